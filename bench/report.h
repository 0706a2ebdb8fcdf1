/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints what was measured, one "name: value unit" per line, for people and for docs.
 */
#ifndef TOUCHMARK_BENCH_REPORT_H
#define TOUCHMARK_BENCH_REPORT_H

#include <stdio.h>

#include "bench/floor.h"
#include "bench/load.h"

/* What was not measured is NULL. */
void bench_report(FILE *out, const struct bench_load_result *result,
                  const struct bench_floor_tls *tls, const double *signatures_per_second);

#endif
