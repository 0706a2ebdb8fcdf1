/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that have made one request and then only stay: what a server's idle clients cost.
 */
#ifndef TOUCHMARK_BENCH_IDLE_H
#define TOUCHMARK_BENCH_IDLE_H

#include "bench/est_client.h"

struct bench_idle;

MUST_USE enum tm_err bench_idle_open(struct bench_client *client, const struct bench_url *url,
                                     size_t count, struct bench_idle **ret_idle);
/* How many still answer a request. */
size_t bench_idle_open_count(struct bench_idle *idle);
void bench_idle_close(struct bench_idle *idle); /* NULL-safe */

#endif
