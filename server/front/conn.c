/* SPDX-License-Identifier: Apache-2.0 */
/* The states of connections and their deadlines. */
#include "server/front/conn.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "server/front/conn_internal.h"

/* How long a peer may take to read the end of its last response, and to close. */
#define LINGER_MS 2000
/* Turns between HTTP and peers in one round of the loop. */
#define TURNS_MAX 16
/* Registered once: edge-triggered events need no further system call. */
#define EVENTS (EPOLLIN | EPOLLRDHUP | EPOLLET)

void conn_todo(struct front_conn *conn) {
    if (conn->todo || conn->state == CONN_GONE)
        return;
    conn->todo = true;
    TAILQ_INSERT_TAIL(&conn->conns->todo, conn, todo_entry);
}

static void leave_http(struct front_conn *conn) {
    front_http_detach(TAKE(conn->http));
    if (conn->pair >= 0)
        (void)close(conn->pair);
    conn->pair = -1;
}

void conn_cut(struct front_conn *conn) {
    struct front_conns *conns = conn->conns;
    if (conn->state == CONN_GONE)
        return;
    conns->counts.handshake_failures += conn->state == CONN_HANDSHAKE;
    leave_http(conn);
    front_deadline_stop(&conn->deadline);
    loop_remove(TAKE(conn->watch));
    front_tls_stream_free(TAKE(conn->tls));
    (void)close(conn->fd);
    if (conn->todo)
        TAILQ_REMOVE(&conns->todo, conn, todo_entry);
    TAILQ_REMOVE(&conns->all, conn, entry);
    TAILQ_INSERT_TAIL(&conns->gone, conn, entry);
    conn->state = CONN_GONE;
    conns->count--;
}

enum tm_err conn_flush(struct front_conn *conn) {
    enum tm_err err = front_tls_flush(conn->tls);
    conn->blocked = err == TM_EAGAIN;
    if (conn->blocked && loop_change(conn->watch, EVENTS | EPOLLOUT))
        err = TM_ECLOSED;
    if (err && err != TM_EAGAIN) {
        conn_cut(conn);
        return TM_ECLOSED;
    }
    return err;
}

/* CLOSING, and everything is with the kernel. */
static void end_output(struct front_conn *conn) {
    if (conn->eof) {
        conn_cut(conn);
        return;
    }
    (void)shutdown(conn->fd, SHUT_WR);
    if (conn_discard(conn) == TM_ECLOSED)
        conn_cut(conn);
}

void conn_finish(struct front_conn *conn) {
    struct front_conns *conns = conn->conns;
    conn->state = CONN_CLOSING;
    leave_http(conn);
    front_deadline_start(&conns->linger, &conn->deadline, conn);
    front_tls_close_notify(conn->tls);
    if (conn_flush(conn) == TM_OK)
        end_output(conn);
}

/* The response has left: the next request may come. If it said that the connection closes, HTTP
 * closes it; a peer that was not told may already have sent its next request. */
static void response_done(struct front_conn *conn) {
    struct front_conns *conns = conn->conns;
    if (conns->stopping)
        conn_finish(conn);
    else
        front_deadline_start(&conns->idle, &conn->deadline, conn);
}

static bool response_is_out(const struct front_conn *conn) {
    return conn->phase == FRONT_HTTP_IDLE && !conn->in_head && !conn->blocked &&
           conn->deadline.queue != &conn->conns->idle;
}

/* Nothing can come that would complete a request. */
static bool is_over(const struct front_conn *conn) {
    return conn->eof && !conn->blocked &&
           (conn->phase == FRONT_HTTP_IDLE || conn->phase == FRONT_HTTP_BODY);
}

static void serve_open(struct front_conn *conn) {
    if (conn->blocked && conn_flush(conn))
        return;
    conn_pump_out(conn);
    if (conn->state == CONN_OPEN && !conn->blocked && conn->phase == FRONT_HTTP_CLOSED)
        conn_finish(conn);
    if (conn->state == CONN_OPEN && response_is_out(conn))
        response_done(conn);
    if (conn->state == CONN_OPEN)
        conn_pump_in(conn);
    if (conn->state == CONN_OPEN && is_over(conn))
        conn_finish(conn);
}

static void serve_closing(struct front_conn *conn) {
    if (conn->blocked && conn_flush(conn) == TM_OK)
        end_output(conn);
    else if (conn->state == CONN_CLOSING && conn_discard(conn) == TM_ECLOSED && !conn->blocked)
        conn_cut(conn);
}

static void serve_handshake(struct front_conn *conn) {
    struct front_conns *conns = conn->conns;
    if (conn->blocked && conn_flush(conn))
        return;
    enum tm_err err = front_tls_handshake(conn->tls);
    if (err == TM_ECRYPTO)
        front_quiet_log(&conns->quiet, LOG_LEVEL_INFO, 0, "TLS handshake failed: %s",
                        front_tls_reason());
    if (conn_flush(conn) == TM_ECLOSED || err == TM_EAGAIN)
        return;
    if (err) {
        conn_cut(conn);
        return;
    }
    conn->state = CONN_OPEN;
    front_deadline_start(&conns->header, &conn->deadline, conn);
    conn_todo(conn); /* the first request may have come with the last flight */
}

static void serve(struct front_conn *conn) {
    switch (conn->state) {
    case CONN_HANDSHAKE:
        serve_handshake(conn);
        return;
    case CONN_OPEN:
        serve_open(conn);
        return;
    case CONN_CLOSING:
        serve_closing(conn);
        return;
    case CONN_GONE:
        return;
    }
}

static void on_event(void *arg, uint32_t events) {
    struct front_conn *conn = arg;
    if (events & (EPOLLERR | EPOLLHUP)) {
        conn_cut(conn);
        return;
    }
    if (events & (EPOLLIN | EPOLLRDHUP)) {
        conn->readable = true;
        front_tls_readable(conn->tls, events & EPOLLRDHUP);
    }
    conn_todo(conn);
}

/* HTTP's word on the current request. */
static void on_phase(void *peer, enum front_http_phase phase) {
    struct front_conn *conn = peer;
    struct front_conns *conns = conn->conns;
    conn->phase = phase;
    conn->in_head = false;
    switch (phase) {
    case FRONT_HTTP_BODY:
        front_deadline_start(&conns->body, &conn->deadline, conn);
        break;
    case FRONT_HTTP_CORE:
        front_deadline_stop(&conn->deadline);
        break;
    case FRONT_HTTP_RESPONSE:
        front_deadline_start(&conns->response, &conn->deadline, conn);
        break;
    case FRONT_HTTP_IDLE: /* until the response has left, its deadline goes on */
        break;
    case FRONT_HTTP_CLOSED:
        conn->http = NULL;
        break;
    }
    conn_todo(conn);
}

const struct front_http_peer front_conn_peer = {.phase = on_phase, .describe = conn_describe};

static void pass_hard(void *arg, void *owner) {
    (void)arg;
    conn_cut(owner);
}

/* Who waits for a signature gets an alert (RFC 8446, 6.2). */
static void pass_handshake(void *arg, void *owner) {
    struct front_conns *conns = arg;
    struct front_conn *conn = owner;
    if (!front_tls_give_up(conn->tls)) {
        conn_cut(conn);
        return;
    }
    front_quiet_log(&conns->quiet, LOG_LEVEL_WARN, 0,
                    "TLS handshake given up: no signature of the token in time");
    front_deadline_start(&conns->linger, &conn->deadline, conn);
    conn_todo(conn);
}

static void pass_gently(void *arg, void *owner) {
    (void)arg;
    conn_finish(owner);
}

static enum tm_err init_deadlines(struct front_conns *conns, const struct conf_listen *listen) {
    const struct {
        struct front_deadline_queue *queue;
        int64_t duration_ms;
        void (*passed)(void *arg, void *owner);
    } rows[] = {
        {&conns->handshake, listen->handshake_timeout, pass_handshake},
        {&conns->header, listen->header_timeout, pass_gently},
        {&conns->body, listen->body_timeout, pass_gently},
        {&conns->response, listen->body_timeout, pass_hard},
        {&conns->idle, listen->idle_timeout, pass_gently},
        {&conns->linger, LINGER_MS, pass_hard},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum tm_err err = front_deadline_queue_init(rows[i].queue, conns->loop, rows[i].duration_ms,
                                                    rows[i].passed, conns);
        if (err)
            return err;
    }
    return TM_OK;
}

enum tm_err front_conns_new(struct loop *loop, const struct conf_listen *listen,
                            struct front_tls *tls, struct front_http *http, loop_fn *freed,
                            void *arg, struct front_conns **ret_conns) {
    struct front_conns *conns = calloc(1, sizeof *conns);
    if (!conns)
        return TM_ENOMEM;
    conns->loop = loop;
    conns->tls = tls;
    conns->http = http;
    conns->freed = freed;
    conns->freed_arg = arg;
    TAILQ_INIT(&conns->all);
    TAILQ_INIT(&conns->todo);
    TAILQ_INIT(&conns->gone);
    enum tm_err err = init_deadlines(conns, listen);
    if (err) {
        front_conns_free(conns);
        return err;
    }
    *ret_conns = conns;
    return TM_OK;
}

static void bury(struct front_conns *conns) {
    struct front_conn *conn;
    while ((conn = TAILQ_FIRST(&conns->gone))) {
        TAILQ_REMOVE(&conns->gone, conn, entry);
        free(conn->carry);
        free(conn->peer.der);
        free(conn);
    }
}

void front_conns_free(struct front_conns *conns) {
    if (!conns)
        return;
    struct front_conn *conn;
    while ((conn = TAILQ_FIRST(&conns->all)))
        conn_cut(conn);
    bury(conns);
    front_deadline_queue_deinit(&conns->handshake);
    front_deadline_queue_deinit(&conns->header);
    front_deadline_queue_deinit(&conns->body);
    front_deadline_queue_deinit(&conns->response);
    front_deadline_queue_deinit(&conns->idle);
    front_deadline_queue_deinit(&conns->linger);
    free(conns);
}

size_t front_conns_count(const struct front_conns *conns) {
    return conns->count;
}

struct front_conns_counts front_conns_counts(const struct front_conns *conns) {
    return conns->counts;
}

static enum tm_err open_conn(struct front_conns *conns, struct front_conn *conn) {
    enum tm_err err = front_tls_stream_new(conns->tls, conn->fd, conn, &conn->tls);
    if (!err)
        err = loop_add(conns->loop, conn->fd, EVENTS, on_event, conn, &conn->watch);
    return err;
}

void front_conns_add(struct front_conns *conns, int fd, const union front_address *address) {
    struct front_conn *conn = calloc(1, sizeof *conn);
    if (!conn) {
        (void)close(fd);
        return;
    }
    conn->conns = conns;
    conn->fd = fd;
    conn->pair = -1;
    conn->address = *address;
    conn->phase = FRONT_HTTP_IDLE;
    conn->in_head = true;
    TAILQ_INSERT_TAIL(&conns->all, conn, entry);
    conns->count++;
    conns->counts.accepted++;
    front_deadline_start(&conns->handshake, &conn->deadline, conn);
    if (open_conn(conns, conn))
        conn_cut(conn);
}

void front_conns_ready(void *owner) {
    conn_todo(owner);
}

void front_conns_close_idle(struct front_conns *conns) {
    conns->stopping = true;
    struct front_conn *conn = TAILQ_FIRST(&conns->all);
    while (conn) {
        struct front_conn *next = TAILQ_NEXT(conn, entry);
        if (conn->state == CONN_OPEN && conn->deadline.queue == &conns->idle)
            conn_finish(conn);
        conn = next;
    }
}

static void serve_todo(struct front_conns *conns) {
    struct front_conn *last = TAILQ_LAST(&conns->todo, conn_list);
    struct front_conn *conn;
    bool more = last != NULL;
    while (more && (conn = TAILQ_FIRST(&conns->todo))) {
        more = conn != last;
        TAILQ_REMOVE(&conns->todo, conn, todo_entry);
        conn->todo = false;
        serve(conn);
    }
}

void front_conns_round(struct front_conns *conns) {
    front_http_run(conns->http);
    for (int i = 0; i < TURNS_MAX && !TAILQ_EMPTY(&conns->todo); i++) {
        serve_todo(conns);
        front_http_run(conns->http);
    }
    if (!TAILQ_EMPTY(&conns->todo))
        loop_wake(conns->loop);
    bool freed = !TAILQ_EMPTY(&conns->gone);
    bury(conns);
    if (freed)
        conns->freed(conns->freed_arg);
}
