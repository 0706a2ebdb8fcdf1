/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints what was measured, one "name: value unit" per line, for people and for docs.
 */
#ifndef TOUCHMARK_BENCH_REPORT_H
#define TOUCHMARK_BENCH_REPORT_H

#include <stdio.h>

#include "bench/floor.h"
#include "bench/load.h"

struct bench_floors {
    struct bench_floor_tls tls;
    struct bench_floor_ecdsa ecdsa;
    bool has_token;
    double signatures_per_second; /* of the token */
};

/* What was not measured is NULL. */
void bench_report(FILE *out, const struct bench_load_result *result,
                  const struct bench_floors *floors);

#endif
