/* SPDX-License-Identifier: Apache-2.0 */
/* See takt.h. */
#include "client/station/takt.h"

#include <stdlib.h>
#include <time.h>

double takt_now(void) {
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void add(struct takt_times *times, double seconds) {
    if (times->n == times->cap) {
        size_t cap = times->cap ? 2 * times->cap : 64;
        double *grown = realloc(times->seconds, cap * sizeof *grown);
        if (!grown)
            return;
        times->seconds = grown;
        times->cap = cap;
    }
    times->seconds[times->n++] = seconds;
}

void takt_add_step(struct takt *takt, enum journal_step step, double seconds) {
    add(&takt->steps[step], seconds);
}

void takt_add_unit(struct takt *takt, double seconds) {
    add(&takt->units, seconds);
}

void takt_free(struct takt *takt) {
    for (size_t i = 0; i < STEP_COUNT; i++)
        free(takt->steps[i].seconds);
    free(takt->units.seconds);
    *takt = (struct takt){0};
}

static int ascend(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double takt_percentile(struct takt_times *times, unsigned p) {
    if (times->n == 0)
        return 0;
    qsort(times->seconds, times->n, sizeof times->seconds[0], ascend);
    size_t rank = (times->n * p + 99) / 100; /* the nearest rank, from 1 */
    return times->seconds[rank > 0 ? rank - 1 : 0];
}

static void print(const char *name, struct takt_times *times, FILE *out) {
    if (times->n == 0)
        return;
    (void)fprintf(out, "  %-8s %6zu times, seconds: p50 %.3f p95 %.3f max %.3f\n", name, times->n,
                  takt_percentile(times, 50), takt_percentile(times, 95),
                  takt_percentile(times, 100));
}

void takt_print(struct takt *takt, FILE *out) {
    for (size_t i = 0; i < STEP_COUNT; i++)
        print(journal_step_words[i], &takt->steps[i], out);
    print("unit", &takt->units, out);
}
