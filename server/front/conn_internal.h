/* SPDX-License-Identifier: Apache-2.0 */
/* Between conn.c (states and deadlines), pump.c (octets) and identity.c (who the peer is). */
#ifndef TOUCHMARK_SERVER_FRONT_CONN_INTERNAL_H
#define TOUCHMARK_SERVER_FRONT_CONN_INTERNAL_H

#include <sys/queue.h>

#include "server/front/conn.h"
#include "server/front/deadline.h"
#include "server/front/quiet.h"

enum conn_state {
    CONN_HANDSHAKE,
    CONN_OPEN,
    CONN_CLOSING, /* close_notify is on its way; what the peer still sends is thrown away */
    CONN_GONE,    /* nothing is left but this memory */
};

struct front_conn {
    TAILQ_ENTRY(front_conn) entry; /* in front_conns.all or .gone */
    TAILQ_ENTRY(front_conn) todo_entry;
    bool todo; /* in front_conns.todo */
    enum conn_state state;
    enum front_http_phase phase; /* of the current request */
    bool in_head;  /* IDLE: the next request's head is awaited under the header deadline */
    bool readable; /* the socket may have more */
    bool blocked;  /* the stream keeps output that the kernel did not take */
    bool eof;      /* the peer has said that it sends no more */
    int fd;
    struct loop_fd *watch;
    struct front_tls_stream *tls;
    struct front_http_conn *http; /* NULL before the first request and after the last */
    int pair;                     /* the other end of HTTP's socket, or -1 */
    uint8_t *carry;               /* plaintext that the pair did not take yet */
    size_t carry_n;
    size_t discarded; /* octets thrown away while CLOSING */
    struct front_deadline deadline;
    struct front_conns *conns;
    union front_address address;
    char remote[IPC_ADDRESS_MAX + 1]; /* "" = not yet asked for */
    bool identified;
    struct front_tls_peer peer;
    struct front_tls_bindings bindings;
};

TAILQ_HEAD(conn_list, front_conn);

struct front_conns {
    struct loop *loop;
    struct front_tls *tls;
    struct front_http *http;
    struct conn_list all, todo, gone;
    size_t count;
    struct front_conns_counts counts;
    bool stopping; /* whoever is idle is closed */
    struct front_deadline_queue handshake, header, body, response, idle, linger;
    loop_fn *freed;
    void *freed_arg;
    struct front_quiet quiet;
    uint8_t buf[FRONT_TLS_WRITE_MAX]; /* plaintext on its way; wiped after each use */
};

/* Has the connection served again in this round. */
void conn_todo(struct front_conn *conn);
/* Orderly end: close_notify, then wait until the peer has read everything. */
void conn_finish(struct front_conn *conn);
/* Immediate end. */
void conn_cut(struct front_conn *conn);
/* Sends what the stream collected. TM_OK, TM_EAGAIN (conn->blocked); TM_ECLOSED: it was cut. */
MUST_USE enum tm_err conn_flush(struct front_conn *conn);

/* One piece from the peer to HTTP. */
void conn_pump_in(struct front_conn *conn);
/* What HTTP has written, to the peer, as long as the peer takes it. */
void conn_pump_out(struct front_conn *conn);
/* Throws away what comes, so that unread octets do not make the kernel reset the connection before
 * the peer has read its response. TM_EAGAIN: more may come; TM_ECLOSED: that was all. */
MUST_USE enum tm_err conn_discard(struct front_conn *conn);

/* front_http_peer.describe. */
void conn_describe(void *peer, bool proofs, struct est_request *request);

#endif
