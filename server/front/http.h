/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP at the front: one libmicrohttpd daemon, run by hand in the worker's own thread.
 * It reads plaintext requests from one end of a socket pair per connection and
 * writes responses to it; whoever holds the other end moves the octets. Requests are
 * answered by est/service, or by the core while libmicrohttpd's connection sleeps.
 *
 * Everything that wakes libmicrohttpd happens in this thread: octets written or read
 * at the other end, a connection added, closed or woken. So nobody watches its
 * descriptors: front_http_run after such an event is enough.
 */
#ifndef TOUCHMARK_SERVER_FRONT_HTTP_H
#define TOUCHMARK_SERVER_FRONT_HTTP_H

#include "base/loop.h"
#include "conf/conf.h"
#include "est/service/service.h"

struct front_http;
struct front_http_conn; /* one connection */

/* Where a connection's current request is. */
enum front_http_phase {
    FRONT_HTTP_BODY,     /* its head is complete, its body is being read */
    FRONT_HTTP_CORE,     /* it waits for the core; there is nothing to read or write */
    FRONT_HTTP_RESPONSE, /* its response is being written */
    FRONT_HTTP_IDLE,     /* it is over; the next may begin */
    FRONT_HTTP_CLOSED,   /* so is the connection: what was written can still be read */
};

/* What HTTP has to know of the peer that a connection belongs to. Called only from functions of
 * this header. */
struct front_http_peer {
    /* The connection's request has entered another phase. */
    void (*phase)(void *peer, enum front_http_phase phase);
    /* Sets remote, and with `proofs` also peer_leaf, peer_chain, tls_exporter, tls_unique; all live
     * as long as the peer. */
    void (*describe)(void *peer, bool proofs, struct est_request *request);
};

/* `peers` must outlive it. TM_ENOMEM, TM_EIO (logged). */
MUST_USE enum tm_err front_http_new(struct loop *loop, const struct conf_listen *listen,
                                    const struct front_http_peer *peers,
                                    struct front_http **ret_http);
/* NULL-safe. Every connection has to be detached before. */
void front_http_free(struct front_http *http);

/* The link to a core, new or again; takes fd over. */
void front_http_link(struct front_http *http, int fd);

/* The way to the core is also that of TLS, when its key is on a token. A question that no core gets
 * is to be asked again when there is a link. */
void front_http_on_tls(struct front_http *http,
                       void (*answered)(void *arg, const struct ipc_tls_answer *answer), void *arg);
MUST_USE enum tm_err front_http_ask_tls(struct front_http *http, const struct ipc_tls_ask *ask);

/* From now on every response closes its connection. */
void front_http_drain(struct front_http *http);

/* A connection for `peer`. *ret_fd is the other end of its socket pair, the caller's. TM_EIO,
 * TM_ENOMEM (logged). */
MUST_USE enum tm_err front_http_attach(struct front_http *http, void *peer,
                                       struct front_http_conn **ret_conn, int *ret_fd);
/* The peer is gone (after this it is not called): close the other end, too. A request that waits
 * for the core is given up. NULL-safe. Not after FRONT_HTTP_CLOSED, which ends *conn. */
void front_http_detach(struct front_http_conn *conn);

/* Something happened at the other end of a pair. */
void front_http_touched(struct front_http *http);
/* Lets libmicrohttpd do what there is to do, if anything was touched. */
void front_http_run(struct front_http *http);

#endif
