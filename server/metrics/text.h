/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples as text: Prometheus' text format, version 0.0.4. Each metric once, with HELP and TYPE,
 * and below it the samples of all processes. Thread-safe.
 */
#ifndef TOUCHMARK_SERVER_METRICS_TEXT_H
#define TOUCHMARK_SERVER_METRICS_TEXT_H

#include <stdio.h>

#include "server/metrics/metric.h"

#define METRICS_TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* What one process has said. */
struct metrics_said {
    enum ipc_role role;
    const char *process; /* "front-0" */
    const struct ipc_sample *samples;
    size_t count;
};

/* Writes all of it. What a process may not say, and what no metric is, is left out. */
void metrics_text(const struct metrics_said *said, size_t count, FILE *out);

#endif
