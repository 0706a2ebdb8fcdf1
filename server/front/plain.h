/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP as the small faces serve it, which have no TLS of their own: one libmicrohttpd daemon on the
 * role's listening socket, its epoll nested in the role's loop; each connection with one deadline
 * that nothing a peer does moves; and the end, when what is open may finish first. What is served
 * is the face's. One thread.
 */
#ifndef TOUCHMARK_SERVER_FRONT_PLAIN_H
#define TOUCHMARK_SERVER_FRONT_PLAIN_H

#include <microhttpd.h>
#include <sys/queue.h>

#include "base/bytes.h"
#include "base/loop.h"

#define FRONT_PLAIN_REQUEST_MS 15000 /* a connection's first deadline */

struct front_plain;

/* A face's own connection begins with this. It reads what stands here, and sets `failed`. */
struct front_plain_conn {
    TAILQ_ENTRY(front_plain_conn) entry;
    struct front_plain *server;
    struct MHD_Connection *mhd; /* NULL: libmicrohttpd has not taken it yet */
    int fd;                     /* libmicrohttpd's */
    struct loop_timer deadline;
    bool busy;      /* a request has begun */
    bool suspended; /* until front_plain_resume */
    bool failed;    /* there is no memory for a response: close the connection */
};

/* How a face serves a request. MHD_NO closes the connection. */
struct front_plain_requests {
    /* Its strings are libmicrohttpd's, until it is over. With a response queued here the body is
     * not waited for. */
    enum MHD_Result (*head)(struct front_plain_conn *conn, const char *method, const char *path);
    /* A piece of its body. NULL: bodies are thrown away. */
    enum MHD_Result (*body)(struct front_plain_conn *conn, const char *data, size_t n);
    enum MHD_Result (*complete)(struct front_plain_conn *conn); /* all of it is there */
    /* It has ended, or its connection has; more than once is possible. NULL: nothing is to do. */
    void (*over)(struct front_plain_conn *conn);
};

struct front_plain_config {
    struct loop *loop; /* whose front_plain_open takes loop_after_round */
    int listen_fd;     /* stays the caller's */
    size_t connections_max;
    size_t conn_size; /* octets of the face's own connection; it begins as zeros */
    const struct front_plain_requests *requests;
    void (*drained)(void *arg); /* front_plain_drain is done */
    void *arg;                  /* its, and front_plain_arg */
};

/* Accepts from now on. TM_ENOMEM, TM_EIO (logged). */
MUST_USE enum tm_err front_plain_open(const struct front_plain_config *config,
                                      struct front_plain **ret_server);
void front_plain_close(struct front_plain *server); /* NULL-safe; cuts what is open */
void *front_plain_arg(const struct front_plain_conn *conn);

/* Accepts no more and calls `drained` when the last connection has ended, or after timeout_ms.
 * `stopping`: those between two requests are cut. May be called again. */
void front_plain_drain(struct front_plain *server, int64_t timeout_ms, bool stopping);
/* May connections be kept for another request? Not while it drains, and not when more than half of
 * those that there can be are open. */
bool front_plain_keeps(const struct front_plain *server);

/* From now on; instead of the deadline before. */
void front_plain_deadline(struct front_plain_conn *conn, int64_t ms);
/* While it is suspended libmicrohttpd does not look at it; its deadline goes on, and closes it. */
void front_plain_suspend(struct front_plain_conn *conn);
void front_plain_resume(struct front_plain_conn *conn);
/* The first connection; NULL: there is none. */
struct front_plain_conn *front_plain_first(const struct front_plain *server);

/* A response with a copy of `body` that nobody may keep; `header` is one more, or NULL. The
 * caller's; NULL: there is no memory. */
struct MHD_Response *front_plain_response(struct bytes body, const char *media_type,
                                          const char *header, const char *value);

#endif
