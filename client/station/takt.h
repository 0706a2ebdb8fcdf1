/* SPDX-License-Identifier: Apache-2.0 */
/* How long units and their steps took in one run. One thread. */
#ifndef TOUCHMARK_STATION_TAKT_H
#define TOUCHMARK_STATION_TAKT_H

#include <stdio.h>

#include "client/station/journal.h"

struct takt_times {
    size_t n, cap;
    double *seconds;
};

struct takt {
    struct takt_times steps[STEP_COUNT], units;
};

/* Seconds, of which only differences mean something. */
double takt_now(void);

/* Zero-initialised it holds nothing. What there is no memory for is not counted. */
void takt_add_step(struct takt *takt, enum journal_step step, double seconds);
void takt_add_unit(struct takt *takt, double seconds);
void takt_free(struct takt *takt);

/* Of so many seconds, p of a hundred took no longer than this; 0 when there are none. Sorts. */
double takt_percentile(struct takt_times *times, unsigned p);

/* A line with p50, p95 and max for each step that was made, and for units. */
void takt_print(struct takt *takt, FILE *out);

#endif
