/* SPDX-License-Identifier: Apache-2.0 */
/* See mhd.h. */
#include "server/front/mhd.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"

/* Per connection: heads of request and response, and a piece of the body. */
#define CONNECTION_MEMORY 16384

/* From 0.9.77.7 on, libmicrohttpd would queue an added connection for a thread that may be another,
 * unless it is told that there is one only. Earlier versions see that by themselves. */
#if MHD_VERSION >= 0x00097707
#define ONE_THREAD MHD_USE_NO_THREAD_SAFETY
#else
#define ONE_THREAD 0U
#endif

/* MHD_OPTION_UNESCAPE_CALLBACK: paths are judged as they were sent. */
static size_t keep_escapes(void *cls, struct MHD_Connection *connection, char *text) {
    (void)cls;
    (void)connection;
    return strlen(text);
}

/* Without MHD_USE_ERROR_LOG: for each response libmicrohttpd would format three lines about TCP
 * options that a socket pair does not have. Failures that are ours are seen where it is called.
 * Closed connections stay with the daemon for a moment: it has room for them. */
enum tm_err front_mhd_start(const struct front_mhd_events *events, void *arg,
                            size_t connections_max, unsigned flags,
                            struct MHD_Daemon **ret_daemon) {
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | ONE_THREAD | flags, 0,
        NULL, NULL, events->handle, arg, MHD_OPTION_NOTIFY_COMPLETED, events->request_over, arg,
        MHD_OPTION_NOTIFY_CONNECTION, events->connection_changed, arg, MHD_OPTION_URI_LOG_CALLBACK,
        events->target, arg, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)(2 * connections_max),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, 0U, MHD_OPTION_END);
    if (!daemon) {
        log_error("cannot start the HTTP daemon: %s", strerror(errno));
        return TM_EIO;
    }
    *ret_daemon = daemon;
    return TM_OK;
}

bool front_mhd_run(struct MHD_Daemon *daemon, int turns_max) {
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    for (int i = 0; i < turns_max && wait_ms == 0; i++) {
        if (MHD_run(daemon) != MHD_YES || MHD_get_timeout(daemon, &wait_ms) != MHD_YES)
            return false;
    }
    return wait_ms == 0;
}

void *front_mhd_context(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info->socket_context;
}
