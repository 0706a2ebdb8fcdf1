/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time. Wall-clock values are milliseconds since 1970-01-01T00:00:00Z (int64_t,
 * suffix _ms), deadlines are monotonic milliseconds. Thread-safe.
 */
#ifndef TOUCHMARK_BASE_CLOCK_H
#define TOUCHMARK_BASE_CLOCK_H

#include <stdint.h>

#include "base/err.h"

int64_t clock_wall_ms(void);
int64_t clock_mono_ms(void);

/* RFC 3339 in UTC with milliseconds, "2026-01-02T03:04:05.678Z", 25 octets with
 * its NUL. Years 0 to 9999; anything else prints as the nearer end. */
#define CLOCK_TEXT_MAX 25
void clock_format(int64_t wall_ms, char ret[CLOCK_TEXT_MAX]);

#endif
