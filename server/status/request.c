/* SPDX-License-Identifier: Apache-2.0 */
/* One request: what it is for, and what it gets. See http.h. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "est/wire/http.h"
#include "server/status/http_internal.h"

#define DROPPED_MAX 65536 /* of a body that is too large, so that who sends it hears why */
#define RETRY_AFTER "10"  /* seconds */

static const char too_large[] = "The request is larger than an OCSP request has to be.";

static const struct status_http *http_of(const struct status_conn *conn) {
    return front_plain_arg(&conn->plain);
}

static const char *header(const struct status_conn *conn, const char *name) {
    return MHD_lookup_connection_value(conn->plain.mhd, MHD_HEADER_KIND, name);
}

/* A body that nobody wants is not waited for. */
static enum MHD_Result head(struct front_plain_conn *plain, const char *method, const char *path) {
    struct status_conn *conn = (struct status_conn *)plain;
    const char *length = header(conn, MHD_HTTP_HEADER_CONTENT_LENGTH);
    conn->method = method;
    conn->target = status_target_of(http_of(conn)->base, path);
    if (length && strtoull(length, NULL, 10) > DROPPED_MAX)
        return status_respond_text(conn, 413, too_large, NULL, NULL);
    return MHD_YES;
}

static enum MHD_Result body(struct front_plain_conn *plain, const char *data, size_t n) {
    struct status_conn *conn = (struct status_conn *)plain;
    conn->too_large |= n > STATUS_OCSP_REQUEST_MAX - conn->body_n;
    if (conn->too_large) {
        conn->dropped += n;
        return conn->dropped > DROPPED_MAX ? MHD_NO : MHD_YES;
    }
    if (!conn->body && !(conn->body = malloc(STATUS_OCSP_REQUEST_MAX)))
        return MHD_NO;
    memcpy(conn->body + conn->body_n, data, n);
    conn->body_n += n;
    return MHD_YES;
}

static enum MHD_Result give_file(struct status_conn *conn) {
    const struct status_entry *entry = status_table_find(http_of(conn)->table, conn->target.rest);
    if (!entry)
        return status_respond_text(conn, 404, "Nothing is published under this name.", NULL, NULL);
    if (!entry->item)
        return status_respond_text(conn, 503, "This has not been published yet; try again.",
                                   MHD_HTTP_HEADER_RETRY_AFTER, RETRY_AFTER);
    return status_respond_item(conn, entry->item);
}

/* RFC 5019, 2.1.1: requests are for one certificate. What cannot be answered here is "unauthorized"
 * (2.2.3). */
static enum MHD_Result give_status(struct status_conn *conn, struct bytes der) {
    struct pki_ocsp_request request;
    struct status_item *item;
    enum tm_err err = pki_ocsp_request_parse(der, &request);
    if (err == TM_EPARSE)
        return status_respond_error(conn, status_ocsp_error(STATUS_OCSP_MALFORMED));
    if (err || request.count != 1 || request.ids[0].whole.n > IPC_OCSP_ID_MAX)
        return status_respond_error(conn, status_ocsp_error(STATUS_OCSP_UNAUTHORIZED));
    err = status_ocsp_ask(http_of(conn)->ocsp, &request.ids[0], &conn->ask, &item);
    if (err == TM_OK)
        return status_respond_item(conn, item);
    if (err != TM_EAGAIN)
        return status_respond_error(conn, status_ocsp_error(STATUS_OCSP_TRY_LATER));
    /* The answer comes before. */
    front_plain_deadline(&conn->plain, http_of(conn)->asking_ms + FRONT_PLAIN_REQUEST_MS);
    front_plain_suspend(&conn->plain);
    return MHD_YES;
}

static enum MHD_Result give_ocsp(struct status_conn *conn) {
    uint8_t der[STATUS_OCSP_REQUEST_MAX];
    struct buf request = BUF_ON(der);
    if (conn->target.rest[0] == '\0') {
        if (!est_media_type_is(header(conn, MHD_HTTP_HEADER_CONTENT_TYPE),
                               "application/ocsp-request"))
            return status_respond_text(
                conn, 415, "The content type has to be application/ocsp-request.", NULL, NULL);
        return give_status(conn, (struct bytes){conn->body, conn->body_n});
    }
    if (status_target_request(conn->target.rest, &request))
        return status_respond_text(
            conn, 400, "What follows /ocsp/ has to be an OCSP request in base64.", NULL, NULL);
    return give_status(conn, buf_bytes(&request));
}

static enum MHD_Result complete(struct front_plain_conn *plain) {
    struct status_conn *conn = (struct status_conn *)plain;
    const char *allow;
    if (conn->too_large)
        return status_respond_text(conn, 413, too_large, NULL, NULL);
    if (conn->target.kind == STATUS_NOTHING)
        return status_respond_text(conn, 404, "There is nothing here.", NULL, NULL);
    if (!status_target_allows(&conn->target, conn->method, &allow))
        return status_respond_text(conn, 405, "This method is not for this.", MHD_HTTP_HEADER_ALLOW,
                                   allow);
    return conn->target.kind == STATUS_FILE ? give_file(conn) : give_ocsp(conn);
}

static void over(struct front_plain_conn *plain) {
    struct status_conn *conn = (struct status_conn *)plain;
    status_ocsp_forget(&conn->ask);
    free(conn->body);
    conn->body = NULL;
    conn->body_n = conn->dropped = 0;
    conn->too_large = false;
    conn->method = NULL;
    front_plain_deadline(plain, FRONT_PLAIN_REQUEST_MS);
}

/* If there is no memory for the response, waking the connection closes it. */
void status_http_answered(struct status_ask *ask, struct status_item *item, struct bytes error) {
    struct status_conn *conn =
        (struct status_conn *)((char *)ask - offsetof(struct status_conn, ask));
    conn->plain.failed =
        (item ? status_respond_item(conn, item) : status_respond_error(conn, error)) != MHD_YES;
    front_plain_resume(&conn->plain);
}

static void drained(void *arg) {
    const struct status_http *http = arg;
    http->drained(http->arg);
}

enum tm_err status_http_open(struct status_http *http, struct loop *loop, int listen_fd,
                             size_t connections_max) {
    static const struct front_plain_requests requests = {
        .head = head, .body = body, .complete = complete, .over = over};
    const struct front_plain_config config = {.loop = loop,
                                              .listen_fd = listen_fd,
                                              .connections_max = connections_max,
                                              .conn_size = sizeof(struct status_conn),
                                              .requests = &requests,
                                              .drained = drained,
                                              .arg = http};
    return front_plain_open(&config, &http->server);
}
