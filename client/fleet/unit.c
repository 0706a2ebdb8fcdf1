/* SPDX-License-Identifier: Apache-2.0 */
/* What a device is and what happens to it, drawn before the run: see client/fleet/unit.h. */
#include "client/fleet/unit.h"

#include <stdio.h>

#define FACTORY_DAYS 10
#define AWAY_MIN (5 * FLEET_DAY)
#define AWAY_MAX (140 * FLEET_DAY)

static void plan(struct fleet_unit *u, enum fleet_incident_kind kind, int64_t from_ms,
                 int64_t until_ms) {
    if (u->incident_count < FLEET_INCIDENTS_MAX)
        u->incidents[u->incident_count++] = (struct fleet_incident){kind, from_ms, until_ms, false};
}

/* One spell somewhere between birth and the calm at the end, for `per_thousand` devices. */
static void maybe(struct fleet_unit *u, unsigned per_thousand, enum fleet_incident_kind kind,
                  const struct fleet_weather *w, int64_t max_ms) {
    if (!fleet_random_chance(&u->random, per_thousand))
        return;
    int64_t length = fleet_random_between(&u->random, AWAY_MIN, max_ms);
    if (w->calm_from_ms - length <= u->born_ms)
        return;
    int64_t from = fleet_random_between(&u->random, u->born_ms, w->calm_from_ms - length);
    plan(u, kind, from, from + length);
}

static void draw_incidents(struct fleet_unit *u, const struct fleet_scenario *s,
                           const struct fleet_weather *w) {
    if (w->announce_ms != INT64_MAX && fleet_random_chance(&u->random, s->asleep)) {
        u->asleep = true;
        plan(u, FLEET_SWITCHED_OFF, w->announce_ms - FLEET_DAY, w->end_ms + FLEET_DAY);
        return;
    }
    maybe(u, s->off, FLEET_SWITCHED_OFF, w, AWAY_MAX);
    maybe(u, s->unplugged, FLEET_UNPLUGGED, w, AWAY_MAX);
    maybe(u, s->revoked, FLEET_REVOKED_CERT, w, AWAY_MIN);
    maybe(u, s->retired, FLEET_RETIRED, w, AWAY_MIN);
    maybe(u, s->suspended, FLEET_SUSPENDED, w, 60 * FLEET_DAY);
}

/* Seven of ten came with the maker's IDevID, two get theirs in the factory, one has none. */
static enum fleet_kind draw_kind(struct fleet_random *r) {
    int64_t die = fleet_random_between(r, 0, 9);
    return die < 7 ? FLEET_WITH_IDEVID : die < 9 ? FLEET_FROM_FACTORY : FLEET_WITHOUT_IDEVID;
}

static enum fleet_clock draw_clock(struct fleet_random *r, unsigned clockless) {
    if (fleet_random_chance(r, clockless))
        return FLEET_CLOCK_NONE;
    return fleet_random_chance(r, clockless) ? FLEET_CLOCK_LATE : FLEET_CLOCK_GOOD;
}

void fleet_unit_draw(struct fleet_unit *unit, size_t number, const struct fleet_scenario *scenario,
                     const struct fleet_weather *weather, uint64_t seed) {
    *unit = (struct fleet_unit){.random = fleet_random_of(seed, number)};
    struct fleet_random *r = &unit->random;
    (void)snprintf(unit->id, sizeof unit->id, "UNIT-%06zu", number);
    unit->kind = draw_kind(r);
    unit->clock = draw_clock(r, scenario->clockless);
    if (fleet_random_chance(r, scenario->skewed))
        unit->skew_ms = fleet_random_between(r, -120, 120) * FLEET_SECOND;
    unit->slow = fleet_random_chance(r, scenario->slow);
    unit->keeps = fleet_random_chance(r, scenario->keeps);
    unit->cut = scenario->cut;
    unit->failed = scenario->failed;
    unit->born_ms = weather->from_ms + fleet_random_between(r, 0, FACTORY_DAYS * FLEET_DAY);
    unit->trouble_ms = unit->born_ms;
    draw_incidents(unit, scenario, weather);
    fleet_unit_tables(unit);
}

struct tm_now fleet_unit_now(const struct fleet_unit *unit) {
    int64_t up = unit->lived_ms - unit->started_ms;
    bool unset =
        unit->clock == FLEET_CLOCK_NONE || (unit->clock == FLEET_CLOCK_LATE && up < FLEET_HOUR);
    return (struct tm_now){.mono_ms = up + FLEET_SECOND,
                           .wall_ms = unset ? 0 : unit->lived_ms + unit->skew_ms};
}
