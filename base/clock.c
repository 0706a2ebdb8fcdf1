/* SPDX-License-Identifier: Apache-2.0 */
/* Wall and monotonic clocks, and RFC 3339 text. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

#define MS_PER_DAY INT64_C(86400000)
#define YEAR_0_MS INT64_C(-62167219200000)
#define YEAR_9999_END_MS INT64_C(253402300799999)

static int64_t clock_read_ms(clockid_t id) {
    struct timespec now;
    (void)clock_gettime(id, &now); /* cannot fail for these clocks and a valid pointer */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_wall_ms(void) {
    return clock_read_ms(CLOCK_REALTIME);
}

int64_t clock_mono_ms(void) {
    return clock_read_ms(CLOCK_MONOTONIC);
}

struct date {
    unsigned year, month, day;
};

/* Proleptic Gregorian date of a day counted from 0000-03-01. Not gmtime_r: that takes a
 * process-wide lock and opens /etc/localtime, which a sandboxed role may not do. */
static struct date date_of(unsigned days_since_march_0) {
    unsigned era = days_since_march_0 / 146097;
    unsigned day_of_era = days_since_march_0 % 146097;
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned month_from_march = (5 * day_of_year + 2) / 153;
    struct date d;
    d.day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    d.month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    d.year = year_of_era + era * 400 + (d.month <= 2);
    return d;
}

void clock_format(int64_t wall_ms, char ret[CLOCK_TEXT_MAX]) {
    if (wall_ms < YEAR_0_MS)
        wall_ms = YEAR_0_MS;
    if (wall_ms > YEAR_9999_END_MS)
        wall_ms = YEAR_9999_END_MS;
    int64_t from_year_0 = wall_ms - YEAR_0_MS;
    unsigned ms = (unsigned)(from_year_0 % MS_PER_DAY);
    unsigned days = (unsigned)(from_year_0 / MS_PER_DAY);
    /* January and February of year 0 lie before the first March: a whole era of 400 years
     * on, the calendar is the same. */
    struct date d = date_of(days + 146097 - 60);
    (void)snprintf(ret, CLOCK_TEXT_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
                   (d.year - 400) % 10000, d.month % 100, d.day % 100, ms / 3600000 % 100,
                   ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
}
