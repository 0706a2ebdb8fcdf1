/* SPDX-License-Identifier: Apache-2.0 */
/* The libmicrohttpd daemon of the status face, its connections and their deadlines. */
#include "server/status/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/front/mhd.h"
#include "server/status/http_internal.h"

/* Turns of the daemon in a round; for what is left there is the next. */
#define TURNS_MAX 16
/* From a connection's begin, or its last response, until the next request is there. */
#define REQUEST_MS 15000
/* A response may take that, and what the slowest rate needs for it. */
#define RESPONSE_MS 15000
#define RATE_MIN 16 /* octets per millisecond */

/* ---- deadlines ---- */

/* libmicrohttpd sees the end of the socket, and lets go of the connection. */
static void cut(struct status_conn *conn) {
    (void)shutdown(conn->fd, SHUT_RDWR);
    conn->http->touched = true;
}

static void pass_late(void *arg) {
    cut(arg);
}

static void set_deadline(struct status_conn *conn, int64_t ms) {
    if (loop_timer_set(conn->http->config.loop, &conn->deadline, clock_mono_ms() + ms))
        cut(conn);
}

void status_conn_responds(struct status_conn *conn, size_t n) {
    set_deadline(conn, RESPONSE_MS + (int64_t)(n / RATE_MIN));
}

/* While it is suspended libmicrohttpd does not look at it, and the question has its own deadline.
 */
void status_conn_suspend(struct status_conn *conn) {
    conn->suspended = true;
    loop_timer_stop(conn->http->config.loop, &conn->deadline);
    MHD_suspend_connection(conn->mhd);
}

void status_conn_resume(struct status_conn *conn) {
    conn->suspended = false;
    conn->http->touched = true;
    MHD_resume_connection(conn->mhd);
}

/* ---- what libmicrohttpd reports ---- */

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *data_n, void **state) {
    (void)cls;
    (void)version;
    struct status_conn *conn = front_mhd_context(connection);
    if (conn->failed)
        return MHD_NO;
    if (*state != conn) {
        *state = conn;
        return status_request_head(conn, method, url);
    }
    if (*data_n == 0)
        return status_request_complete(conn);
    size_t n = *data_n;
    *data_n = 0;
    return status_request_body(conn, data, n);
}

static void request_over(void *cls, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code) {
    (void)cls;
    (void)code;
    *state = NULL;
    struct status_conn *conn = front_mhd_context(connection);
    status_request_end(conn);
    set_deadline(conn, REQUEST_MS);
}

static void connection_changed(void *cls, struct MHD_Connection *connection, void **context,
                               enum MHD_ConnectionNotificationCode code) {
    struct status_http *http = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        http->attaching->mhd = connection;
        *context = TAKE(http->attaching);
        return;
    }
    struct status_conn *conn = *context;
    *context = NULL;
    status_request_end(conn);
    loop_timer_stop(http->config.loop, &conn->deadline);
    TAILQ_REMOVE(&http->conns, conn, entry);
    http->count--;
    free(conn);
    http->config.freed(http->config.arg);
}

/* ---- connections ---- */

/* After MHD_add_connection the socket is libmicrohttpd's, whatever happened. */
void status_http_add(struct status_http *http, int fd, const union front_address *address) {
    struct status_conn *conn =
        http->count < http->config.connections_max ? calloc(1, sizeof *conn) : NULL;
    if (!conn) {
        front_quiet_log(&http->quiet, LOG_LEVEL_WARN, 0, "%zu connections are all there can be",
                        http->count);
        (void)close(fd);
        return;
    }
    *conn =
        (struct status_conn){.http = http, .fd = fd, .deadline = {.fn = pass_late, .arg = conn}};
    TAILQ_INSERT_TAIL(&http->conns, conn, entry);
    http->count++;
    http->attaching = conn;
    http->touched = true;
    socklen_t n =
        address->any.sa_family == AF_INET ? (socklen_t)sizeof address->v4 : sizeof address->v6;
    if (MHD_add_connection(http->daemon, fd, &address->any, n) == MHD_YES) {
        set_deadline(conn, REQUEST_MS);
        return;
    }
    front_quiet_log(&http->quiet, LOG_LEVEL_WARN, 0, "HTTP cannot take a connection: %s",
                    strerror(errno));
    if (!http->attaching)
        return; /* it had been taken, and was freed with the connection */
    TAILQ_REMOVE(&http->conns, conn, entry);
    http->count--;
    free(TAKE(http->attaching));
}

size_t status_http_count(const struct status_http *http) {
    return http->count;
}

void status_http_drain(struct status_http *http) {
    http->draining = true;
}

void status_http_close_idle(struct status_http *http) {
    struct status_conn *conn;
    TAILQ_FOREACH(conn, &http->conns, entry) {
        if (!conn->busy)
            cut(conn);
    }
}

/* ---- the daemon ---- */

void status_http_round(struct status_http *http) {
    if (!http->touched)
        return;
    http->touched = false;
    if (front_mhd_run(http->daemon, TURNS_MAX) &&
        loop_timer_set(http->config.loop, &http->again, clock_mono_ms()))
        log_error("no memory for a timer");
}

static void touch(void *arg) {
    struct status_http *http = arg;
    http->touched = true;
}

static void readable(void *arg, uint32_t events) {
    (void)events;
    touch(arg);
}

static const struct front_mhd_events mhd_events = {
    .handle = handle, .request_over = request_over, .connection_changed = connection_changed};

static enum tm_err start_daemon(struct status_http *http) {
    enum tm_err err =
        front_mhd_start(&mhd_events, http, http->config.connections_max, 0, &http->daemon);
    if (err)
        return err;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info || info->epoll_fd < 0) {
        log_error("the HTTP daemon has no epoll");
        return TM_EIO;
    }
    return loop_add(http->config.loop, info->epoll_fd, EPOLLIN, readable, http, &http->watch);
}

enum tm_err status_http_new(const struct status_http_config *config,
                            struct status_http **ret_http) {
    struct status_http *http = calloc(1, sizeof *http);
    if (!http)
        return TM_ENOMEM;
    http->config = *config;
    http->again = (struct loop_timer){.fn = touch, .arg = http};
    TAILQ_INIT(&http->conns);
    enum tm_err err = start_daemon(http);
    if (err) {
        status_http_free(http);
        return err;
    }
    *ret_http = http;
    return TM_OK;
}

/* Everything has to be resumed before libmicrohttpd stops. */
void status_http_free(struct status_http *http) {
    if (!http)
        return;
    struct status_conn *conn;
    TAILQ_FOREACH(conn, &http->conns, entry) {
        status_ocsp_forget(&conn->ask);
        if (conn->suspended)
            status_conn_resume(conn);
    }
    loop_remove(http->watch);
    if (http->daemon)
        MHD_stop_daemon(http->daemon);
    loop_timer_stop(http->config.loop, &http->again);
    free(http);
}
