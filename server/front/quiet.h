/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines that strangers can cause: some per second are written, the rest is
 * counted and the count is written with the next one. One per kind of event.
 */
#ifndef TOUCHMARK_SERVER_FRONT_QUIET_H
#define TOUCHMARK_SERVER_FRONT_QUIET_H

#include "base/log.h"

struct front_quiet {
    int64_t second; /* monotonic second of the last line */
    unsigned lines; /* written in it */
    uint64_t left_out;
};

void front_quiet_log(struct front_quiet *quiet, enum log_level level, uint64_t request,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
