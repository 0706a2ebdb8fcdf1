/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accepts connections from the listening socket that all front processes share. One
 * thread.
 */
#ifndef TOUCHMARK_SERVER_FRONT_LISTENER_H
#define TOUCHMARK_SERVER_FRONT_LISTENER_H

#include <netinet/in.h>

#include "base/loop.h"

struct front_listener;

union front_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* fd is the callee's, non-blocking and close-on-exec. */
typedef void front_accepted_fn(void *arg, int fd, const union front_address *address);

/* Makes the listening socket non-blocking; it stays the caller's. TM_EIO (logged), TM_ENOMEM. */
MUST_USE enum tm_err front_listener_open(struct loop *loop, int listen_fd,
                                         front_accepted_fn *accepted, void *arg,
                                         struct front_listener **ret_listener);
void front_listener_close(struct front_listener *listener); /* NULL-safe */

/* Leaves new connections in the kernel's queue, for the other processes; idempotent. */
void front_listener_pause(struct front_listener *listener);
void front_listener_resume(struct front_listener *listener);

#endif
