/* SPDX-License-Identifier: Apache-2.0 */
/* Dice: see client/fleet/random.h. */
#include "client/fleet/random.h"

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

uint64_t fleet_random_next(struct fleet_random *r) {
    uint64_t z = r->state += GOLDEN;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

struct fleet_random fleet_random_of(uint64_t seed, uint64_t stream) {
    struct fleet_random a = {seed}, b = {stream * GOLDEN};
    return (struct fleet_random){fleet_random_next(&a) ^ fleet_random_next(&b)};
}

int64_t fleet_random_between(struct fleet_random *r, int64_t from, int64_t to) {
    return from + (int64_t)(fleet_random_next(r) % (uint64_t)(to - from + 1));
}

bool fleet_random_chance(struct fleet_random *r, unsigned per_thousand) {
    return fleet_random_next(r) % 1000 < per_thousand;
}

void fleet_random_fill(struct fleet_random *r, uint8_t *ret, size_t n) {
    struct fleet_random own = {fleet_random_next(r)};
    for (size_t i = 0; i < n; i++)
        ret[i] = (uint8_t)(fleet_random_next(&own) >> 56);
}
