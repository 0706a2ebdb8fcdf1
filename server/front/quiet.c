/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded number of log lines per second. */
#include "server/front/quiet.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/clock.h"

#define LINES_PER_SECOND 5

static bool may_write(struct front_quiet *quiet) {
    int64_t second = clock_mono_ms() / 1000;
    if (quiet->second != second) {
        quiet->second = second;
        quiet->lines = 0;
    }
    if (quiet->lines >= LINES_PER_SECOND) {
        quiet->left_out++;
        return false;
    }
    quiet->lines++;
    return true;
}

void front_quiet_log(struct front_quiet *quiet, enum log_level level, uint64_t request,
                     const char *format, ...) {
    if (!may_write(quiet))
        return;
    char text[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (quiet->left_out)
        log_line(level, request, "%s (and %" PRIu64 " more like it)", text, quiet->left_out);
    else
        log_line(level, request, "%s", text);
    quiet->left_out = 0;
}
