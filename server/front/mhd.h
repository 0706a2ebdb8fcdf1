/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libmicrohttpd, run by hand in one thread, without a socket of its own to listen on: how the
 * daemon is started and let work. One thread.
 */
#ifndef TOUCHMARK_SERVER_FRONT_MHD_H
#define TOUCHMARK_SERVER_FRONT_MHD_H

#include <microhttpd.h>
#include <stdbool.h>

#include "base/err.h"

/* Called with `arg` of front_mhd_start first. */
struct front_mhd_events {
    MHD_AccessHandlerCallback handle; /* paths come as they were sent, with their escapes */
    MHD_RequestCompletedCallback request_over;
    /* When it has started it sets the connection's context. */
    MHD_NotifyConnectionCallback connection_changed;
    /* Sees the whole request target and returns the request's first state. NULL: none. */
    void *(*target)(void *arg, const char *target, struct MHD_Connection *connection);
};

/* Deadlines are the caller's. `flags`: more of MHD_FLAG. TM_EIO (logged). */
MUST_USE enum tm_err front_mhd_start(const struct front_mhd_events *events, void *arg,
                                     size_t connections_max, unsigned flags,
                                     struct MHD_Daemon **ret_daemon);
/* At most so many turns. True: there is more to do at once. */
MUST_USE bool front_mhd_run(struct MHD_Daemon *daemon, int turns_max);
/* What connection_changed has set. */
void *front_mhd_context(struct MHD_Connection *connection);

#endif
