/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A circuit breaker: whether something that failed is worth asking. Closed: it is. Open, after so
 * many failures in a row: it is left alone for a pause, then half-open: one question may be asked,
 * and the answer closes it or doubles the pause. A plain value without a clock or a lock.
 */
#ifndef TOUCHMARK_SERVER_CORE_BREAKER_H
#define TOUCHMARK_SERVER_CORE_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_PAUSE_MIN_MS 1000
#define BREAKER_PAUSE_MAX_MS 30000

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

/* Zero-initialised: closed. */
struct breaker {
    enum breaker_state state;
    unsigned in_row; /* failures since the last success */
    int64_t pause_ms;
    int64_t probe_at; /* open: when it may be asked again */
};

/* True when it was closed and opens, which the limit-th failure in a row makes it do. */
bool breaker_fail(struct breaker *breaker, unsigned limit, int64_t now_ms);
/* True when it was not closed; now it is. */
bool breaker_succeed(struct breaker *breaker);
bool breaker_may_probe(const struct breaker *breaker, int64_t now_ms);
/* The question is asked. */
void breaker_probe(struct breaker *breaker);
/* The answer proves nothing: the next question may be asked at once. */
void breaker_unproven(struct breaker *breaker, int64_t now_ms);
const char *breaker_name(enum breaker_state state); /* "closed", ...; never NULL */

#endif
