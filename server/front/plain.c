/* SPDX-License-Identifier: Apache-2.0 */
/* See plain.h. */
#include "server/front/plain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/front/listener.h"
#include "server/front/mhd.h"
#include "server/front/quiet.h"

typedef struct MHD_Response MHD_Response;
AUTO_DEFINE(MHD_Response, MHD_destroy_response)

/* Turns of the daemon in a round; for what is left there is the next. */
#define TURNS_MAX 16

TAILQ_HEAD(front_plain_conns, front_plain_conn);

struct front_plain {
    struct front_plain_config config;
    struct MHD_Daemon *daemon;
    struct front_listener *listener;
    struct loop_fd *watch;   /* libmicrohttpd's epoll */
    struct loop_timer again; /* it has not done all there is to do */
    struct loop_timer drain_end;
    struct front_plain_conns conns;
    size_t count;
    bool touched, draining;
    struct front_plain_conn *attaching; /* handed to libmicrohttpd, not yet taken */
    struct front_quiet quiet;
};

void *front_plain_arg(const struct front_plain_conn *conn) {
    return conn->server->config.arg;
}

struct front_plain_conn *front_plain_first(const struct front_plain *server) {
    return TAILQ_FIRST(&server->conns);
}

/* ---- deadlines ---- */

/* libmicrohttpd sees the end of the socket, and lets go of the connection. */
static void cut(struct front_plain_conn *conn) {
    (void)shutdown(conn->fd, SHUT_RDWR);
    conn->server->touched = true;
}

void front_plain_suspend(struct front_plain_conn *conn) {
    conn->suspended = true;
    MHD_suspend_connection(conn->mhd);
}

void front_plain_resume(struct front_plain_conn *conn) {
    conn->suspended = false;
    conn->server->touched = true;
    MHD_resume_connection(conn->mhd);
}

static void pass_late(void *arg) {
    struct front_plain_conn *conn = arg;
    cut(conn);
    if (conn->suspended) {
        conn->failed = true;
        front_plain_resume(conn);
    }
}

void front_plain_deadline(struct front_plain_conn *conn, int64_t ms) {
    if (loop_timer_set(conn->server->config.loop, &conn->deadline, clock_mono_ms() + ms))
        cut(conn);
}

/* ---- what libmicrohttpd reports ---- */

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *data_n, void **state) {
    const struct front_plain_requests *requests = ((struct front_plain *)cls)->config.requests;
    struct front_plain_conn *conn = front_mhd_context(connection);
    (void)version;
    if (conn->failed)
        return MHD_NO;
    if (*state != conn) {
        *state = conn;
        conn->busy = true;
        return requests->head(conn, method, url);
    }
    if (*data_n == 0)
        return requests->complete(conn);
    size_t n = *data_n;
    *data_n = 0;
    return requests->body ? requests->body(conn, data, n) : MHD_YES;
}

static void end_request(struct front_plain_conn *conn) {
    conn->busy = false;
    if (conn->server->config.requests->over)
        conn->server->config.requests->over(conn);
}

static void request_over(void *cls, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code) {
    (void)cls;
    (void)code;
    *state = NULL;
    end_request(front_mhd_context(connection));
}

static void forget(struct front_plain_conn *conn) {
    struct front_plain *server = conn->server;
    loop_timer_stop(server->config.loop, &conn->deadline);
    TAILQ_REMOVE(&server->conns, conn, entry);
    server->count--;
    free(conn);
}

static void connection_changed(void *cls, struct MHD_Connection *connection, void **context,
                               enum MHD_ConnectionNotificationCode code) {
    struct front_plain *server = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        server->attaching->mhd = connection;
        *context = TAKE(server->attaching);
        return;
    }
    struct front_plain_conn *conn = *context;
    *context = NULL;
    end_request(conn);
    forget(conn);
    if (server->draining && server->count == 0)
        server->config.drained(server->config.arg);
}

/* ---- connections ---- */

static struct front_plain_conn *add(struct front_plain *server, int fd) {
    struct front_plain_conn *conn =
        server->count < server->config.connections_max ? calloc(1, server->config.conn_size) : NULL;
    if (!conn)
        return NULL;
    *conn = (struct front_plain_conn){
        .server = server, .fd = fd, .deadline = {.fn = pass_late, .arg = conn}};
    TAILQ_INSERT_TAIL(&server->conns, conn, entry);
    server->count++;
    return conn;
}

/* After MHD_add_connection the socket is libmicrohttpd's, whatever happened. */
static void accepted(void *arg, int fd, const union front_address *address) {
    struct front_plain *server = arg;
    struct front_plain_conn *conn = add(server, fd);
    if (!conn) {
        front_quiet_log(&server->quiet, LOG_LEVEL_WARN, 0, "%zu connections are all there can be",
                        server->count);
        (void)close(fd);
        return;
    }
    server->attaching = conn;
    server->touched = true;
    socklen_t n =
        address->any.sa_family == AF_INET ? (socklen_t)sizeof address->v4 : sizeof address->v6;
    if (MHD_add_connection(server->daemon, fd, &address->any, n) == MHD_YES) {
        front_plain_deadline(conn, FRONT_PLAIN_REQUEST_MS);
        return;
    }
    front_quiet_log(&server->quiet, LOG_LEVEL_WARN, 0, "HTTP cannot take a connection: %s",
                    strerror(errno));
    if (server->attaching) /* else it had been taken, and was freed with the connection */
        forget(TAKE(server->attaching));
}

bool front_plain_keeps(const struct front_plain *server) {
    return !server->draining && 2 * server->count <= server->config.connections_max;
}

static void drain_ended(void *arg) {
    struct front_plain *server = arg;
    log_warn("%zu connections are cut: the time to finish is over", server->count);
    server->config.drained(server->config.arg);
}

static void cut_idle(struct front_plain *server) {
    struct front_plain_conn *conn;
    TAILQ_FOREACH(conn, &server->conns, entry) {
        if (!conn->busy)
            cut(conn);
    }
}

void front_plain_drain(struct front_plain *server, int64_t timeout_ms, bool stopping) {
    bool timed = server->draining || !loop_timer_set(server->config.loop, &server->drain_end,
                                                     clock_mono_ms() + timeout_ms);
    server->draining = true;
    front_listener_pause(server->listener);
    if (stopping)
        cut_idle(server);
    if (server->count == 0 || !timed)
        server->config.drained(server->config.arg);
}

/* ---- the daemon ---- */

static void after_round(void *arg) {
    struct front_plain *server = arg;
    if (!server->touched)
        return;
    server->touched = false;
    if (front_mhd_run(server->daemon, TURNS_MAX) &&
        loop_timer_set(server->config.loop, &server->again, clock_mono_ms()))
        log_error("no memory for a timer");
}

static void touch(void *arg) {
    struct front_plain *server = arg;
    server->touched = true;
}

static void readable(void *arg, uint32_t events) {
    (void)events;
    touch(arg);
}

static const struct front_mhd_events mhd_events = {
    .handle = handle, .request_over = request_over, .connection_changed = connection_changed};

static enum tm_err start(struct front_plain *server) {
    struct loop *loop = server->config.loop;
    enum tm_err err =
        front_mhd_start(&mhd_events, server, server->config.connections_max, 0, &server->daemon);
    if (err)
        return err;
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info || info->epoll_fd < 0) {
        log_error("the HTTP daemon has no epoll");
        return TM_EIO;
    }
    err = loop_add(loop, info->epoll_fd, EPOLLIN, readable, server, &server->watch);
    if (!err)
        err = front_listener_open(loop, server->config.listen_fd, accepted, server,
                                  &server->listener);
    if (!err)
        loop_after_round(loop, after_round, server);
    return err;
}

enum tm_err front_plain_open(const struct front_plain_config *config,
                             struct front_plain **ret_server) {
    struct front_plain *server = calloc(1, sizeof *server);
    if (!server)
        return TM_ENOMEM;
    server->config = *config;
    server->again = (struct loop_timer){.fn = touch, .arg = server};
    server->drain_end = (struct loop_timer){.fn = drain_ended, .arg = server};
    TAILQ_INIT(&server->conns);
    enum tm_err err = start(server);
    if (err) {
        front_plain_close(server);
        return err;
    }
    *ret_server = server;
    return TM_OK;
}

/* Everything has to be resumed before libmicrohttpd stops. */
void front_plain_close(struct front_plain *server) {
    struct front_plain_conn *conn;
    if (!server)
        return;
    server->draining = false;
    loop_after_round(server->config.loop, NULL, NULL);
    front_listener_close(server->listener);
    TAILQ_FOREACH(conn, &server->conns, entry) {
        if (conn->suspended)
            front_plain_resume(conn);
    }
    loop_remove(server->watch);
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    loop_timer_stop(server->config.loop, &server->again);
    loop_timer_stop(server->config.loop, &server->drain_end);
    free(server);
}

/* ---- responses ---- */

MHD_Response *front_plain_response(struct bytes body, const char *media_type, const char *header,
                                   const char *value) {
    AUTO(MHD_Response)
    response =
        MHD_create_response_from_buffer(body.n, (void *)(uintptr_t)body.p, MHD_RESPMEM_MUST_COPY);
    if (!response ||
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, media_type) != MHD_YES ||
        MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") != MHD_YES ||
        (header && MHD_add_response_header(response, header, value) != MHD_YES))
        return NULL;
    return TAKE(response);
}
