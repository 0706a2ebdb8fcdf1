/* SPDX-License-Identifier: Apache-2.0 */
/* So many a second. */
#include "mqtt/bridge/bridge_internal.h"

#define ONE 1000 /* thousandths */

void mqtt_pace_init(struct mqtt_pace *pace, unsigned per_second, int64_t now) {
    *pace = (struct mqtt_pace){
        .per_second = per_second, .thousandths = (int64_t)per_second * ONE, .at = now};
}

static int64_t available(const struct mqtt_pace *pace, int64_t now) {
    int64_t most = (int64_t)pace->per_second * ONE;
    int64_t elapsed = now - pace->at;
    if (elapsed >= 1000)
        return most;
    int64_t sum = pace->thousandths + elapsed * pace->per_second;
    return sum > most ? most : sum;
}

bool mqtt_pace_take(struct mqtt_pace *pace, int64_t now) {
    pace->thousandths = available(pace, now);
    pace->at = now;
    if (pace->thousandths < ONE)
        return false;
    pace->thousandths -= ONE;
    return true;
}

int64_t mqtt_pace_next(const struct mqtt_pace *pace, int64_t now) {
    int64_t missing = ONE - available(pace, now);
    return missing <= 0 ? now : now + (missing + pace->per_second - 1) / pace->per_second;
}
