/* SPDX-License-Identifier: Apache-2.0 */
/* Findings: see client/fleet/watch.h. */
#include "client/fleet/watch.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "pki/time.h"

void fleet_watch_found(struct fleet_watch *watch, const char *id, int64_t at_ms, const char *format,
                       ...) {
    if (watch->findings++ >= FLEET_FINDINGS_SHOWN)
        return;
    struct pki_time t = pki_time_from_ms(at_ms);
    (void)fprintf(stderr,
                  "%s, seed %" PRIu64 ": %s at %04d-%02u-%02uT%02u:%02u:%02uZ: ", watch->scenario,
                  watch->seed, id, t.year, t.month, t.day, t.hour, t.minute, t.second);
    va_list args;
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
}
