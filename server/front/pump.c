/* SPDX-License-Identifier: Apache-2.0 */
/* Octets between a peer's TLS stream and HTTP's socket pair. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crash.h"
#include "server/front/conn_internal.h"

/* A peer that still sends this much after its last response is reset. */
#define DISCARD_MAX (1024 * 1024)

/* Sends to HTTP's end; returns what it took. When HTTP has closed it, FRONT_HTTP_CLOSED follows. */
static size_t offer(struct front_conn *conn, const uint8_t *data, size_t n) {
    ssize_t sent = send(conn->pair, data, n, MSG_NOSIGNAL);
    front_http_touched(conn->conns->http);
    conn_todo(conn);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : n;
    return (size_t)sent;
}

static void carry(struct front_conn *conn, const uint8_t *rest, size_t n) {
    if (n == 0)
        return;
    conn->carry = malloc(n);
    if (!conn->carry) {
        conn_cut(conn);
        return;
    }
    memcpy(conn->carry, rest, n);
    conn->carry_n = n;
}

static void offer_carried(struct front_conn *conn) {
    size_t taken = offer(conn, conn->carry, conn->carry_n);
    conn->carry_n -= taken;
    memmove(conn->carry, conn->carry + taken, conn->carry_n);
    if (conn->carry_n)
        return;
    free(conn->carry);
    conn->carry = NULL;
}

static void deliver(struct front_conn *conn, uint8_t *data, size_t n) {
    struct front_conns *conns = conn->conns;
    if (!conn->http && front_http_attach(conns->http, conn, &conn->http, &conn->pair)) {
        conn_cut(conn);
        return;
    }
    if (conn->phase == FRONT_HTTP_IDLE && !conn->in_head) {
        conn->in_head = true;
        front_deadline_start(&conns->header, &conn->deadline, conn);
    }
    size_t taken = offer(conn, data, n);
    carry(conn, data + taken, n - taken);
}

static bool may_read(const struct front_conn *conn) {
    return conn->readable && !conn->eof && conn->carry_n == 0 &&
           (conn->phase == FRONT_HTTP_IDLE || conn->phase == FRONT_HTTP_BODY);
}

/* Nothing is read while a request is being answered: the kernel's buffer holds the peer back. */
void conn_pump_in(struct front_conn *conn) {
    struct front_conns *conns = conn->conns;
    if (conn->carry_n)
        offer_carried(conn);
    if (!may_read(conn))
        return;
    size_t n = 0;
    enum tm_err err = front_tls_read(conn->tls, conns->buf, sizeof conns->buf, &n);
    if (err == TM_ECRYPTO)
        front_quiet_log(&conns->quiet, LOG_LEVEL_INFO, 0, "TLS failed: %s", front_tls_reason());
    conn->eof = err == TM_ECLOSED;
    conn->readable = !err;
    /* Reading can answer, too: a KeyUpdate or an alert. */
    if (conn_flush(conn) != TM_ECLOSED && err == TM_ECRYPTO)
        conn_cut(conn);
    else if (!err && conn->state == CONN_OPEN)
        deliver(conn, conns->buf, n);
    bytes_wipe(conns->buf, n);
}

/* Without a response in sight there is nothing to look for. */
static bool may_have_output(const struct front_conn *conn) {
    return conn->pair >= 0 && !conn->blocked && conn->phase != FRONT_HTTP_CORE &&
           conn->deadline.queue != &conn->conns->idle;
}

void conn_pump_out(struct front_conn *conn) {
    uint8_t *buf = conn->conns->buf;
    ssize_t n = FRONT_TLS_WRITE_MAX;
    while (n == FRONT_TLS_WRITE_MAX && may_have_output(conn)) {
        n = recv(conn->pair, buf, FRONT_TLS_WRITE_MAX, 0);
        if (n <= 0)
            return; /* nothing more, or HTTP's end is closed, which it says itself */
        if (front_tls_write(conn->tls, buf, (size_t)n)) {
            conn_cut(conn);
            return;
        }
        if (n == FRONT_TLS_WRITE_MAX)
            front_http_touched(conn->conns->http); /* it may have waited for room */
        else if (conn->phase == FRONT_HTTP_CLOSED)
            front_tls_close_notify(conn->tls); /* leaves with the response */
        if (conn_flush(conn) == TM_ECLOSED)
            return;
        crash_point("front.response_started");
    }
}

enum tm_err conn_discard(struct front_conn *conn) {
    struct front_conns *conns = conn->conns;
    while (conn->discarded < DISCARD_MAX) {
        ssize_t n = recv(conn->fd, conns->buf, sizeof conns->buf, MSG_TRUNC);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return TM_EAGAIN;
        if (n <= 0)
            return TM_ECLOSED;
        conn->discarded += (size_t)n;
    }
    return TM_ECLOSED;
}
