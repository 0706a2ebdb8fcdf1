/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers that a seed repeats (SplitMix64). Good for dice, not for keys. One thread per struct.
 */
#ifndef TOUCHMARK_CLIENT_FLEET_RANDOM_H
#define TOUCHMARK_CLIENT_FLEET_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fleet_random {
    uint64_t state;
};

/* A stream of its own for each `stream` of one seed. */
struct fleet_random fleet_random_of(uint64_t seed, uint64_t stream);
uint64_t fleet_random_next(struct fleet_random *r);
/* from <= result <= to. */
int64_t fleet_random_between(struct fleet_random *r, int64_t from, int64_t to);
/* True `per_thousand` times out of 1,000. */
bool fleet_random_chance(struct fleet_random *r, unsigned per_thousand);
/* One number is drawn, whatever n: lengths that hang on keys do not change what comes after. */
void fleet_random_fill(struct fleet_random *r, uint8_t *ret, size_t n);

#endif
