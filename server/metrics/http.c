/* SPDX-License-Identifier: Apache-2.0 */
/* See http.h. */
#include "server/metrics/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/front/mhd.h"
#include "server/front/quiet.h"
#include "server/metrics/text.h"

typedef struct MHD_Response MHD_Response;
AUTO_DEFINE(MHD_Response, MHD_destroy_response)

#define TURNS_MAX 16
#define CONNECTION_MS 15000 /* from its begin to its end */
#define SENTENCE_TYPE "text/plain; charset=utf-8"

enum target { TARGET_NONE, TARGET_HEALTH, TARGET_READY, TARGET_METRICS };

struct metrics_conn {
    TAILQ_ENTRY(metrics_conn) entry;
    struct metrics_http *http;
    struct MHD_Connection *mhd; /* NULL: libmicrohttpd has not taken it yet */
    int fd;                     /* libmicrohttpd's */
    struct loop_timer deadline;
    enum target target;
    bool busy;    /* a request has begun */
    bool waiting; /* suspended, until what it wants is known */
    bool asked;   /* and it is being asked for */
    bool failed;  /* there is no memory for a response: close the connection */
};

TAILQ_HEAD(metrics_conn_list, metrics_conn);

struct metrics_http {
    struct metrics_http_config config;
    struct MHD_Daemon *daemon;
    struct loop_fd *watch;   /* libmicrohttpd's epoll */
    struct loop_timer again; /* it has not done all there is to do */
    struct metrics_conn_list conns;
    size_t count;
    bool touched;
    struct metrics_conn *attaching; /* handed to libmicrohttpd, not yet taken */
    struct front_quiet quiet;
};

/* libmicrohttpd sees the end of the socket, and lets go of the connection. */
static void cut(struct metrics_conn *conn) {
    (void)shutdown(conn->fd, SHUT_RDWR);
    conn->http->touched = true;
}

static void resume(struct metrics_conn *conn) {
    conn->waiting = conn->asked = false;
    conn->http->touched = true;
    MHD_resume_connection(conn->mhd);
}

/* libmicrohttpd does not look at one that is suspended. */
static void pass_late(void *arg) {
    struct metrics_conn *conn = arg;
    cut(conn);
    if (conn->waiting) {
        conn->failed = true;
        resume(conn);
    }
}

/* ---- responses ---- */

static enum MHD_Result respond(struct metrics_conn *conn, unsigned status, struct bytes body,
                               const char *type, const char *allow) {
    AUTO(MHD_Response)
    response =
        MHD_create_response_from_buffer(body.n, (void *)(uintptr_t)body.p, MHD_RESPMEM_MUST_COPY);
    if (!response ||
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) != MHD_YES ||
        MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") != MHD_YES ||
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") != MHD_YES ||
        (allow && MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, allow) != MHD_YES))
        return MHD_NO;
    return MHD_queue_response(conn->mhd, status, response);
}

static enum target target_of(const char *path) {
    static const struct {
        const char *path;
        enum target target;
    } rows[] = {
        {"/healthz", TARGET_HEALTH}, {"/readyz", TARGET_READY}, {"/metrics", TARGET_METRICS}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(path, rows[i].path) == 0)
            return rows[i].target;
    return TARGET_NONE;
}

/* Before a body, for which nobody here has a use, is waited for. */
static enum MHD_Result serve(struct metrics_conn *conn, const char *method, const char *path) {
    conn->busy = true;
    conn->target = target_of(path);
    if (conn->target == TARGET_NONE)
        return respond(conn, 404, bytes_str("There is nothing here.\n"), SENTENCE_TYPE, NULL);
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return respond(conn, 405, bytes_str("This method is not for this.\n"), SENTENCE_TYPE,
                       "GET, HEAD");
    return MHD_YES;
}

static enum MHD_Result serve_complete(struct metrics_conn *conn) {
    if (conn->target == TARGET_HEALTH)
        return respond(conn, 200, bytes_str("ok\n"), SENTENCE_TYPE, NULL);
    MHD_suspend_connection(conn->mhd);
    conn->waiting = true;
    conn->http->config.wanted(conn->http->config.arg);
    return MHD_YES;
}

static enum MHD_Result give(struct metrics_conn *conn, struct bytes metrics, struct bytes reasons) {
    if (conn->target == TARGET_METRICS)
        return respond(conn, 200, metrics, METRICS_TEXT_TYPE, NULL);
    return reasons.n ? respond(conn, 503, reasons, SENTENCE_TYPE, NULL)
                     : respond(conn, 200, bytes_str("ready\n"), SENTENCE_TYPE, NULL);
}

void metrics_http_asked(struct metrics_http *http) {
    struct metrics_conn *conn;
    TAILQ_FOREACH(conn, &http->conns, entry) {
        conn->asked = conn->waiting;
    }
}

/* If there is no memory for the response, waking the connection closes it. */
bool metrics_http_answer(struct metrics_http *http, struct bytes metrics, struct bytes reasons) {
    struct metrics_conn *conn;
    bool others = false;
    TAILQ_FOREACH(conn, &http->conns, entry) {
        others |= conn->waiting && !conn->asked;
        if (!conn->asked)
            continue;
        conn->failed = give(conn, metrics, reasons) != MHD_YES;
        resume(conn);
    }
    return others;
}

/* ---- what libmicrohttpd reports ---- */

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *data_n, void **state) {
    (void)cls;
    (void)version;
    (void)data;
    struct metrics_conn *conn = front_mhd_context(connection);
    if (conn->failed)
        return MHD_NO;
    if (*state != conn) {
        *state = conn;
        return serve(conn, method, url);
    }
    if (*data_n > 0) {
        *data_n = 0; /* read and thrown away, until the deadline */
        return MHD_YES;
    }
    return serve_complete(conn);
}

static void request_over(void *cls, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code) {
    (void)cls;
    (void)connection;
    (void)code;
    *state = NULL;
}

static void connection_changed(void *cls, struct MHD_Connection *connection, void **context,
                               enum MHD_ConnectionNotificationCode code) {
    struct metrics_http *http = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        http->attaching->mhd = connection;
        *context = TAKE(http->attaching);
        return;
    }
    struct metrics_conn *conn = *context;
    *context = NULL;
    loop_timer_stop(http->config.loop, &conn->deadline);
    TAILQ_REMOVE(&http->conns, conn, entry);
    http->count--;
    free(conn);
    http->config.freed(http->config.arg);
}

/* ---- connections ---- */

static void set_deadline(struct metrics_conn *conn) {
    if (loop_timer_set(conn->http->config.loop, &conn->deadline, clock_mono_ms() + CONNECTION_MS))
        cut(conn);
}

/* After MHD_add_connection the socket is libmicrohttpd's, whatever happened. */
void metrics_http_add(struct metrics_http *http, int fd, const union front_address *address) {
    struct metrics_conn *conn =
        http->count < METRICS_CONNECTIONS_MAX ? calloc(1, sizeof *conn) : NULL;
    if (!conn) {
        front_quiet_log(&http->quiet, LOG_LEVEL_WARN, 0, "%zu connections are all there can be",
                        http->count);
        (void)close(fd);
        return;
    }
    *conn =
        (struct metrics_conn){.http = http, .fd = fd, .deadline = {.fn = pass_late, .arg = conn}};
    TAILQ_INSERT_TAIL(&http->conns, conn, entry);
    http->count++;
    http->attaching = conn;
    http->touched = true;
    socklen_t n =
        address->any.sa_family == AF_INET ? (socklen_t)sizeof address->v4 : sizeof address->v6;
    if (MHD_add_connection(http->daemon, fd, &address->any, n) == MHD_YES) {
        set_deadline(conn);
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

size_t metrics_http_count(const struct metrics_http *http) {
    return http->count;
}

void metrics_http_close_idle(struct metrics_http *http) {
    struct metrics_conn *conn;
    TAILQ_FOREACH(conn, &http->conns, entry) {
        if (!conn->busy)
            cut(conn);
    }
}

/* ---- the daemon ---- */

void metrics_http_round(struct metrics_http *http) {
    if (!http->touched)
        return;
    http->touched = false;
    if (front_mhd_run(http->daemon, TURNS_MAX) &&
        loop_timer_set(http->config.loop, &http->again, clock_mono_ms()))
        log_error("no memory for a timer");
}

static void touch(void *arg) {
    struct metrics_http *http = arg;
    http->touched = true;
}

static void readable(void *arg, uint32_t events) {
    (void)events;
    touch(arg);
}

static const struct front_mhd_events mhd_events = {
    .handle = handle, .request_over = request_over, .connection_changed = connection_changed};

static enum tm_err start_daemon(struct metrics_http *http) {
    enum tm_err err = front_mhd_start(&mhd_events, http, METRICS_CONNECTIONS_MAX, 0, &http->daemon);
    if (err)
        return err;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info || info->epoll_fd < 0) {
        log_error("the HTTP daemon has no epoll");
        return TM_EIO;
    }
    return loop_add(http->config.loop, info->epoll_fd, EPOLLIN, readable, http, &http->watch);
}

enum tm_err metrics_http_new(const struct metrics_http_config *config,
                             struct metrics_http **ret_http) {
    struct metrics_http *http = calloc(1, sizeof *http);
    if (!http)
        return TM_ENOMEM;
    http->config = *config;
    http->again = (struct loop_timer){.fn = touch, .arg = http};
    TAILQ_INIT(&http->conns);
    enum tm_err err = start_daemon(http);
    if (err) {
        metrics_http_free(http);
        return err;
    }
    *ret_http = http;
    return TM_OK;
}

/* Everything has to be resumed before libmicrohttpd stops. */
void metrics_http_free(struct metrics_http *http) {
    if (!http)
        return;
    struct metrics_conn *conn;
    TAILQ_FOREACH(conn, &http->conns, entry) {
        if (conn->waiting)
            resume(conn);
    }
    loop_remove(http->watch);
    if (http->daemon)
        MHD_stop_daemon(http->daemon);
    loop_timer_stop(http->config.loop, &http->again);
    free(http);
}
