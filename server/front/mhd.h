/* SPDX-License-Identifier: Apache-2.0 */
/* How libmicrohttpd is used by who runs it by hand in one thread. */
#ifndef TOUCHMARK_SERVER_FRONT_MHD_H
#define TOUCHMARK_SERVER_FRONT_MHD_H

#include <microhttpd.h>
#include <string.h>

/* From 0.9.77.7 on, libmicrohttpd would queue an added connection for a thread that may be another,
 * unless it is told that there is one only. Earlier versions see that by themselves. */
#if MHD_VERSION >= 0x00097707
#define FRONT_MHD_ONE_THREAD MHD_USE_NO_THREAD_SAFETY
#else
#define FRONT_MHD_ONE_THREAD 0U
#endif

/* MHD_OPTION_UNESCAPE_CALLBACK: paths are judged as they were sent. */
static inline size_t front_mhd_keep_escapes(void *cls, struct MHD_Connection *connection,
                                            char *text) {
    (void)cls;
    (void)connection;
    return strlen(text);
}

#endif
