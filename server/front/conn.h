/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections: each is a TCP socket with its TLS stream on one side, and from its first
 * request on a socket pair to HTTP on the other.
 *
 *     HANDSHAKE -> OPEN -> CLOSING -> gone
 *
 * Every state has a deadline that the peer cannot put off by sending or reading slowly.
 * OPEN has one per phase of a request: its head, its body, the writing of its response,
 * the idle time until the next. (Waiting for the core is limited by front/upstream.)
 *
 * Everything belongs to the loop's thread. A connection is never freed while its own
 * code runs, but at the end of the loop's round.
 */
#ifndef TOUCHMARK_SERVER_FRONT_CONN_H
#define TOUCHMARK_SERVER_FRONT_CONN_H

#include "base/loop.h"
#include "conf/conf.h"
#include "server/front/http.h"
#include "server/front/listener.h"
#include "server/front/tls.h"

struct front_conns; /* all connections of this process */

/* What HTTP needs of connections: for front_http_new. */
extern const struct front_http_peer front_conn_peer;

/* `tls` and `http` must outlive it. `freed` is called when a connection has gone. TM_ENOMEM. */
MUST_USE enum tm_err front_conns_new(struct loop *loop, const struct conf_listen *listen,
                                     struct front_tls *tls, struct front_http *http, loop_fn *freed,
                                     void *arg, struct front_conns **ret_conns);
/* NULL-safe. Cuts what is left. */
void front_conns_free(struct front_conns *conns);

size_t front_conns_count(const struct front_conns *conns);

/* Since the start. */
struct front_conns_counts {
    uint64_t accepted;
    uint64_t handshake_failures; /* those that were not over in time are among them */
};
struct front_conns_counts front_conns_counts(const struct front_conns *conns);

/* A new connection from the listener; takes fd over. */
void front_conns_add(struct front_conns *conns, int fd, const union front_address *address);

/* The owner that streams of these connections have (front_tls_events.ready). */
void front_conns_ready(void *owner);

/* Closes the connections that are idle, now and from now on. */
void front_conns_close_idle(struct front_conns *conns);

/* To be called after each round of the loop: moves octets between HTTP and peers. */
void front_conns_round(struct front_conns *conns);

#endif
