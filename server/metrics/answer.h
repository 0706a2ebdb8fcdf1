/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process says when it is asked for its numbers: samples, added one by one, and reasons why
 * it cannot do its work. They leave in as many messages as they need, up to a bound. One thread.
 */
#ifndef TOUCHMARK_SERVER_METRICS_ANSWER_H
#define TOUCHMARK_SERVER_METRICS_ANSWER_H

#include "server/metrics/metric.h"

#define METRICS_MESSAGES_MAX 24 /* of one answer */

struct metrics_answer {
    void (*send)(void *arg, const struct ipc_metrics_answer *message);
    void *arg;
    unsigned messages; /* sent */
    uint64_t dropped;
    struct ipc_metrics_answer message;
};

/* Labels in the order of the metric's row; NULL or "": it has none. Names that are too long are
 * cut. */
void metrics_add(struct metrics_answer *answer, enum metric metric, double value, const char *first,
                 const char *second, const char *third);

/* A histogram without labels: `counts` has one more than `bounds` (in seconds, rising), for what
 * is above the last. */
void metrics_add_histogram(struct metrics_answer *answer, enum metric metric, const double *bounds,
                           size_t bound_count, const uint64_t *counts, double sum);
/* A summary without quantiles, of one label. */
void metrics_add_summary(struct metrics_answer *answer, enum metric metric, uint64_t count,
                         double sum, const char *label);

/* One clear sentence; those that do not fit are left out. */
void metrics_reason(struct metrics_answer *answer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Sends what is left. */
void metrics_end(struct metrics_answer *answer);

#endif
