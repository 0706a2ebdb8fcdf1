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

/* libmicrohttpd's memory per connection: request head and one piece of the body. */
#define CONNECTION_MEMORY 16384
/* Turns of the daemon in one front_http_run; what is left waits for the next. */
#define TURNS_MAX 64

/* Any address: marks a request target that has a query, until the request has its own state. */
static const char has_query_mark[] = "query";

static void *note_query(void *cls, const char *uri, struct MHD_Connection *connection) {
    (void)cls;
    (void)connection;
    return strchr(uri, '?') ? (void *)(uintptr_t)has_query_mark : NULL;
}

static struct front_http_conn *conn_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info->socket_context;
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *data_n, void **state) {
    (void)cls;
    struct front_http_conn *conn = conn_of(connection);
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
    struct front_http_conn *conn = conn_of(connection);
    front_request_end(&conn->request);
    if (conn->peer && code == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        conn->http->peers->phase(conn->peer, FRONT_HTTP_IDLE);
}

static void connection_changed(void *cls, struct MHD_Connection *connection, void **context,
                               enum MHD_ConnectionNotificationCode code) {
    struct front_http *http = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = TAKE(http->attaching);
        conn_of(connection)->mhd = connection;
        return;
    }
    struct front_http_conn *conn = *context;
    *context = NULL;
    front_request_end(&conn->request);
    if (conn->peer)
        http->peers->phase(conn->peer, FRONT_HTTP_CLOSED);
    free(conn);
}

/* Without MHD_USE_ERROR_LOG: for each response libmicrohttpd would format three lines about TCP
 * options that a socket pair does not have. Failures that are ours are seen where it is called. */
static struct MHD_Daemon *start_daemon(struct front_http *http, uint64_t connections) {
    unsigned flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME |
                     MHD_USE_TURBO | FRONT_MHD_ONE_THREAD;
    return MHD_start_daemon(
        flags, 0, NULL, NULL, handle, http, MHD_OPTION_NOTIFY_COMPLETED, request_over, http,
        MHD_OPTION_NOTIFY_CONNECTION, connection_changed, http, MHD_OPTION_URI_LOG_CALLBACK,
        note_query, http, MHD_OPTION_UNESCAPE_CALLBACK, front_mhd_keep_escapes, NULL,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT, 0U, MHD_OPTION_END);
}

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
    /* Closed connections stay with the daemon for a moment: it has room for them. */
    if (!err && !(http->daemon = start_daemon(http, 2 * listen->max_connections))) {
        log_error("cannot start the HTTP daemon: %s", strerror(errno));
        err = TM_EIO;
    }
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
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    for (int i = 0; i < TURNS_MAX && wait_ms == 0; i++) {
        if (MHD_run(http->daemon) != MHD_YES || MHD_get_timeout(http->daemon, &wait_ms) != MHD_YES)
            return;
    }
    http->touched = wait_ms == 0;
}
