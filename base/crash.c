/* SPDX-License-Identifier: Apache-2.0 */
/* Crash points of the fault tests; empty in a release build. */
#include "base/crash.h"

#ifdef TOUCHMARK_CRASH_POINTS

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

void crash_point(const char *name) {
    /* How often the wanted point was passed: it has to outlive the call, and any thread
     * may pass it. Test builds only. */
    static atomic_ulong passes;
    const char *wanted = getenv("TOUCHMARK_CRASH");
    size_t n = strlen(name);
    if (!wanted || strncmp(wanted, name, n) != 0 || (wanted[n] != '\0' && wanted[n] != ':'))
        return;
    unsigned long at = wanted[n] == ':' ? strtoul(wanted + n + 1, NULL, 10) : 1;
    if (atomic_fetch_add(&passes, 1) + 1 == at)
        (void)raise(SIGKILL);
}

#endif
