/* SPDX-License-Identifier: Apache-2.0 */
/* The two requests over plain HTTP, by libmicrohttpd: everything in them is signed. */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "witness/witness.h"

#define CONNECTIONS_MAX 64
#define TIMEOUT_S 30

struct witness_http {
    struct MHD_Daemon *daemon;
    struct witness *witness;
};

/* The body as it comes. */
struct upload {
    uint8_t octets[WITNESS_BODY_MAX];
    size_t n;
    bool over;
};

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type,
                              struct bytes body) {
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body.n, (void *)(uintptr_t)body.p, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status,
                              const char *text) {
    return answer(connection, status, "text/plain", bytes_str(text));
}

static enum MHD_Result add_checkpoint(struct witness_http *http, struct MHD_Connection *connection,
                                      const struct upload *upload) {
    uint8_t memory[AUDIT_SIGNATURE_LINE_MAX];
    struct buf out = BUF_ON(memory);
    if (upload->over)
        return refuse(connection, MHD_HTTP_CONTENT_TOO_LARGE, "the request is too long\n");
    unsigned status = witness_add_checkpoint(
        http->witness, (struct bytes){upload->octets, upload->n}, (uint64_t)time(NULL), &out);
    return answer(connection, status, status == 409 ? "text/x.tlog.size" : "text/plain",
                  buf_bytes(&out));
}

/* /HASH/checkpoint */
static enum MHD_Result give_checkpoint(const struct witness_http *http,
                                       struct MHD_Connection *connection, const char *url) {
    char hash[2 * AUDIT_HASH_SIZE + 1] = "";
    size_t n = strlen(url);
    static const char tail[] = "/checkpoint";
    if (n == 1 + 2 * AUDIT_HASH_SIZE + sizeof tail - 1 &&
        strcmp(url + n - (sizeof tail - 1), tail) == 0)
        memcpy(hash, url + 1, 2 * AUDIT_HASH_SIZE);
    const struct witness_log *log = witness_log_hashed(http->witness, hash);
    if (!log)
        return refuse(connection, MHD_HTTP_NOT_FOUND, "there is nothing here\n");
    return answer(connection, MHD_HTTP_OK, "text/plain; charset=utf-8",
                  (struct bytes){log->note, log->note_n});
}

static void collect(struct upload *upload, const char *data, size_t n) {
    if (n > sizeof upload->octets - upload->n) {
        upload->over = true;
        return;
    }
    memcpy(upload->octets + upload->n, data, n);
    upload->n += n;
}

static enum MHD_Result handle(void *self, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *data_n, void **state) {
    struct witness_http *http = self;
    bool post = strcmp(method, MHD_HTTP_METHOD_POST) == 0;
    (void)version;
    if (strcmp(method, MHD_HTTP_METHOD_GET) == 0)
        return give_checkpoint(http, connection, url);
    if (!post || strcmp(url, "/add-checkpoint") != 0)
        return refuse(connection, post ? MHD_HTTP_NOT_FOUND : MHD_HTTP_METHOD_NOT_ALLOWED,
                      "this is a witness: POST /add-checkpoint (c2sp.org/tlog-witness)\n");
    if (!*state) {
        *state = calloc(1, sizeof(struct upload));
        return *state ? MHD_YES : MHD_NO;
    }
    if (*data_n) {
        collect(*state, data, *data_n);
        *data_n = 0;
        return MHD_YES;
    }
    return add_checkpoint(http, connection, *state);
}

static void completed(void *self, struct MHD_Connection *connection, void **state,
                      enum MHD_RequestTerminationCode code) {
    (void)self, (void)connection, (void)code;
    free(*state);
    *state = NULL;
}

void witness_http_close(struct witness_http *http) {
    if (!http)
        return;
    if (http->daemon)
        MHD_stop_daemon(http->daemon);
    free(http);
}

static bool read_address(const char *address, uint16_t port, struct sockaddr_storage *ret) {
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
    *ret = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return true;
    }
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    return inet_pton(AF_INET6, address, &v6->sin6_addr) == 1;
}

typedef struct witness_http witness_http;
AUTO_DEFINE(witness_http, witness_http_close)

enum tm_err witness_http_open(struct witness *witness, const char *address, uint16_t port,
                              struct witness_http **ret_http, uint16_t *ret_port) {
    AUTO(witness_http) http = calloc(1, sizeof *http);
    struct sockaddr_storage where;
    if (!http)
        return TM_ENOMEM;
    if (!read_address(address, port, &where))
        return TM_EINVAL;
    http->witness = witness;
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL;
    if (where.ss_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    http->daemon = MHD_start_daemon(
        flags, port, NULL, NULL, handle, http, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&where,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)TIMEOUT_S, MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        http->daemon ? MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_BIND_PORT) : NULL;
    if (!info)
        return TM_EIO;
    *ret_port = info->port;
    *ret_http = TAKE(http);
    return TM_OK;
}
