/* SPDX-License-Identifier: Apache-2.0 */
/* See breaker.h. */
#include "server/core/breaker.h"

bool breaker_fail(struct breaker *breaker, unsigned limit, int64_t now_ms) {
    bool was_closed = breaker->state == BREAKER_CLOSED;
    breaker->in_row++;
    if (breaker->state == BREAKER_OPEN || (was_closed && breaker->in_row < limit))
        return false;
    breaker->pause_ms = was_closed ? BREAKER_PAUSE_MIN_MS : 2 * breaker->pause_ms;
    if (breaker->pause_ms > BREAKER_PAUSE_MAX_MS)
        breaker->pause_ms = BREAKER_PAUSE_MAX_MS;
    breaker->probe_at = now_ms + breaker->pause_ms;
    breaker->state = BREAKER_OPEN;
    return was_closed;
}

bool breaker_succeed(struct breaker *breaker) {
    bool was_closed = breaker->state == BREAKER_CLOSED;
    *breaker = (struct breaker){.state = BREAKER_CLOSED};
    return !was_closed;
}

bool breaker_may_probe(const struct breaker *breaker, int64_t now_ms) {
    return breaker->state == BREAKER_OPEN && now_ms >= breaker->probe_at;
}

void breaker_probe(struct breaker *breaker) {
    breaker->state = BREAKER_HALF_OPEN;
}

void breaker_unproven(struct breaker *breaker, int64_t now_ms) {
    if (breaker->state != BREAKER_HALF_OPEN)
        return;
    breaker->state = BREAKER_OPEN;
    breaker->probe_at = now_ms;
}

const char *breaker_name(enum breaker_state state) {
    switch (state) {
    case BREAKER_OPEN:
        return "open";
    case BREAKER_HALF_OPEN:
        return "half-open";
    case BREAKER_CLOSED:
        break;
    }
    return "closed";
}
