/* SPDX-License-Identifier: Apache-2.0 */
/* The libmicrohttpd daemon of one front process and its connections. */
#include "server/front/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/auto.h"
#include "base/log.h"
#include "server/front/http_internal.h"
#include "server/front/mhd.h"

/* Turns of the daemon in one front_http_run; what is left waits for the next. */
#define TURNS_MAX 64

/* Any address: marks a request target that has a query, until the request has its own state. */
static const char has_query_mark[] = "query";

static void *note_query(void *cls, const char *uri, struct MHD_Connection *connection) {
    (void)cls;
    (void)connection;
    return strchr(uri, '?') ? (void *)(uintptr_t)has_query_mark : NULL;
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *data_n, void **state) {
    (void)cls;
    struct front_http_conn *conn = front_mhd_context(connection);
    struct front_request *request = &conn->request;
    if (!conn->peer || request->failed)
        return MHD_NO;
    if (*state != request) {
        bool has_query = *state == has_query_mark;
        *state = request;
        return front_request_head(request, method, url, version, has_query);
    }
    if (*data_n == 0)
        return front_request_complete(request);
    size_t n = *data_n;
    *data_n = 0;
    return front_request_body(request, data, n);
}

static void request_over(void *cls, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code) {
    (void)cls;
    *state = NULL;
    struct front_http_conn *conn = front_mhd_context(connection);
    front_request_end(&conn->request);
    if (conn->peer && code == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        conn->http->peers->phase(conn->peer, FRONT_HTTP_IDLE);
}

static void connection_changed(void *cls, struct MHD_Connection *connection, void **context,
                               enum MHD_ConnectionNotificationCode code) {
    struct front_http *http = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        http->attaching->mhd = connection;
        *context = TAKE(http->attaching);
        return;
    }
    struct front_http_conn *conn = *context;
    *context = NULL;
    front_request_end(&conn->request);
    if (conn->peer)
        http->peers->phase(conn->peer, FRONT_HTTP_CLOSED);
    free(conn);
}

static const struct front_mhd_events mhd_events = {.handle = handle,
                                                   .request_over = request_over,
                                                   .connection_changed = connection_changed,
                                                   .target = note_query};

static enum tm_err first_id(uint64_t *ret_id) {
    uint32_t process;
    if (getrandom(&process, sizeof process, 0) != sizeof process) {
        log_error("cannot get random octets: %s", strerror(errno));
        return TM_EIO;
    }
    *ret_id = ((uint64_t)process << 32) + 1;
    return TM_OK;
}

enum tm_err front_http_new(struct loop *loop, const struct conf_listen *listen,
                           const struct front_http_peer *peers, struct front_http **ret_http) {
    struct front_http *http = calloc(1, sizeof *http);
    if (!http)
        return TM_ENOMEM;
    http->peers = peers;
    http->max_body = listen->max_body;
    enum tm_err err = first_id(&http->next_id);
    if (!err)
        err = est_service_new(&http->service);
    if (!err)
        err = front_upstream_new(loop, listen->reply_timeout, listen->max_connections,
                                 &front_request_events, http, &http->upstream);
    if (!err)
        err = front_mhd_start(&mhd_events, http, listen->max_connections, MHD_USE_TURBO,
                              &http->daemon);
    if (err) {
        front_http_free(http);
        return err;
    }
    *ret_http = http;
    return TM_OK;
}

void front_http_free(struct front_http *http) {
    if (!http)
        return;
    if (http->daemon)
        MHD_stop_daemon(http->daemon);
    front_upstream_free(http->upstream);
    est_service_free(http->service);
    est_service_free(http->successor);
    free(http);
}

/* A new core counts its catalogs from the start; so they fill a service of their own, while the old
 * one goes on serving. */
void front_http_link(struct front_http *http, int fd) {
    est_service_free(http->successor);
    http->successor = NULL;
    if (est_service_new(&http->successor))
        log_error("no memory for the new core's catalog; the old one stays");
    front_upstream_link(http->upstream, fd);
}

void front_http_on_tls(struct front_http *http,
                       void (*answered)(void *arg, const struct ipc_tls_answer *answer),
                       void *arg) {
    http->tls_answered = answered;
    http->tls_arg = arg;
}

enum tm_err front_http_ask_tls(struct front_http *http, const struct ipc_tls_ask *ask) {
    return front_upstream_ask_tls(http->upstream, ask);
}

void front_http_catalog(struct front_http *http, const struct ipc_catalog *entry) {
    struct est_service *service = http->successor ? http->successor : http->service;
    enum tm_err err = est_service_catalog(service, entry);
    if (err)
        log_error("cannot take a catalog entry of the core: %s", tm_err_name(err));
    if (http->successor && est_service_ready(http->successor)) {
        est_service_free(http->service);
        http->service = TAKE(http->successor);
    }
}

void front_http_drain(struct front_http *http) {
    http->draining = true;
}

/* After MHD_add_connection this end is libmicrohttpd's, whatever happened. */
static enum tm_err add_connection(struct front_http *http, struct front_http_conn *conn, int fd) {
    static const struct sockaddr address = {.sa_family = AF_UNIX};
    http->attaching = conn;
    enum MHD_Result added =
        MHD_add_connection(http->daemon, fd, &address, sizeof address.sa_family);
    if (added == MHD_YES)
        return TM_OK;
    front_quiet_log(&http->quiet, LOG_LEVEL_WARN, 0, "HTTP cannot take a connection: %s",
                    strerror(errno));
    free(TAKE(http->attaching)); /* unless it had been taken, and was freed with the connection */
    return TM_EIO;
}

enum tm_err front_http_attach(struct front_http *http, void *peer,
                              struct front_http_conn **ret_conn, int *ret_fd) {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds)) {
        front_quiet_log(&http->quiet, LOG_LEVEL_WARN, 0, "cannot make a socket pair: %s",
                        strerror(errno));
        return TM_EIO;
    }
    AUTO_FD int ours = fds[0];
    AUTO_FD int theirs = fds[1];
    struct front_http_conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return TM_ENOMEM;
    conn->http = http;
    conn->request.conn = conn;
    enum tm_err err = add_connection(http, conn, TAKE_FD(theirs));
    if (err)
        return err;
    conn->peer = peer;
    http->touched = true;
    *ret_conn = conn;
    *ret_fd = TAKE_FD(ours);
    return TM_OK;
}

void front_http_resume(struct front_http_conn *conn) {
    conn->suspended = false;
    conn->http->touched = true;
    MHD_resume_connection(conn->mhd);
}

void front_http_detach(struct front_http_conn *conn) {
    if (!conn)
        return;
    conn->peer = NULL;
    conn->http->touched = true;
    front_upstream_forget(conn->http->upstream, &conn->request.call);
    if (conn->suspended)
        front_http_resume(conn); /* it sleeps no longer, so that its end is seen */
}

void front_http_touched(struct front_http *http) {
    http->touched = true;
}

void front_http_run(struct front_http *http) {
    if (!http->touched)
        return;
    http->touched = false;
    http->touched = front_mhd_run(http->daemon, TURNS_MAX);
}
