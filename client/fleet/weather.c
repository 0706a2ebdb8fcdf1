/* SPDX-License-Identifier: Apache-2.0 */
/* The plant's faults over the years: see client/fleet/weather.h. */
#include "client/fleet/weather.h"

/* How spells of a track come: a pause, then a spell of one of the kinds. */
struct climate {
    int64_t pause_min, pause_max, spell_min, spell_max;
    enum fleet_spell_kind first, last;
};

static const struct climate climates[FLEET_TRACKS] = {
    [FLEET_ROUTE] = {4 * FLEET_DAY, 40 * FLEET_DAY, FLEET_HOUR, 6 * FLEET_DAY, FLEET_NO_ROUTE,
                     FLEET_BUSY_UNTIL},
    [FLEET_LINES] = {FLEET_DAY, 20 * FLEET_DAY, FLEET_DAY, 10 * FLEET_DAY, FLEET_LOSSY,
                     FLEET_LOSSY},
    [FLEET_CERTIFICATES] = {10 * FLEET_DAY, 40 * FLEET_DAY, FLEET_HOUR, 30 * FLEET_HOUR,
                            FLEET_WRONG_KEY, FLEET_GARBAGE},
    [FLEET_PROBES] = {5 * FLEET_DAY, 40 * FLEET_DAY, FLEET_HOUR, 2 * FLEET_DAY, FLEET_UNREACHABLE,
                      FLEET_UNKNOWN_ISSUER},
};

static void draw_track(struct fleet_weather *w, enum fleet_track track, struct fleet_random *r) {
    const struct climate *c = &climates[track];
    int64_t at = w->from_ms;
    while (w->count[track] < FLEET_SPELLS_MAX) {
        int64_t from = at + fleet_random_between(r, c->pause_min, c->pause_max);
        int64_t until = from + fleet_random_between(r, c->spell_min, c->spell_max);
        enum fleet_spell_kind kind =
            (enum fleet_spell_kind)fleet_random_between(r, (int64_t)c->first, (int64_t)c->last);
        if (until > w->calm_from_ms)
            return;
        w->spells[track][w->count[track]++] = (struct fleet_spell){from, until, kind};
        at = until;
    }
}

/* A quarter of the run before, half a run of transition in which devices may be away. */
static void draw_rollover(struct fleet_weather *w, bool rollover) {
    int64_t span = w->until_ms - w->from_ms;
    w->announce_ms = rollover ? w->from_ms + span / 4 : INT64_MAX;
    w->switch_ms = rollover ? w->announce_ms + span / 16 : INT64_MAX;
    w->end_ms = rollover ? w->announce_ms + span / 16 * 5 : INT64_MAX;
}

void fleet_weather_draw(struct fleet_weather *weather, const struct fleet_scenario *scenario,
                        uint64_t seed, int64_t from_ms, int64_t until_ms, int64_t calm_ms) {
    const bool wanted[FLEET_TRACKS] = {
        [FLEET_ROUTE] = scenario->outages,
        [FLEET_LINES] = scenario->lossy,
        [FLEET_CERTIFICATES] = scenario->bad,
        [FLEET_PROBES] = scenario->probe,
    };
    *weather = (struct fleet_weather){
        .from_ms = from_ms, .until_ms = until_ms, .calm_from_ms = until_ms - calm_ms};
    draw_rollover(weather, scenario->rollover);
    for (unsigned track = 0; track < FLEET_TRACKS; track++) {
        struct fleet_random r = fleet_random_of(seed, UINT64_MAX - track);
        if (wanted[track])
            draw_track(weather, (enum fleet_track)track, &r);
    }
}

struct fleet_spell fleet_weather_at(const struct fleet_weather *weather, enum fleet_track track,
                                    int64_t at_ms) {
    for (size_t i = 0; i < weather->count[track]; i++) {
        const struct fleet_spell *spell = &weather->spells[track][i];
        if (at_ms < spell->from_ms)
            break;
        if (at_ms < spell->until_ms)
            return *spell;
    }
    return (struct fleet_spell){.kind = FLEET_FAIR};
}

int64_t fleet_weather_last_foul(const struct fleet_weather *weather, int64_t at_ms) {
    int64_t last = INT64_MIN;
    for (unsigned track = 0; track < FLEET_TRACKS; track++)
        for (size_t i = 0; i < weather->count[track]; i++) {
            const struct fleet_spell *spell = &weather->spells[track][i];
            int64_t until = spell->until_ms < at_ms ? spell->until_ms : at_ms;
            if (spell->from_ms <= at_ms && until > last)
                last = until;
        }
    return last;
}

const char *fleet_spell_name(enum fleet_spell_kind kind) {
    static const char *const names[] = {"fair",
                                        "no route",
                                        "busy",
                                        "busy with Retry-After",
                                        "lossy",
                                        "wrong key",
                                        "wrong subject",
                                        "expired",
                                        "foreign issuer",
                                        "CA certificate",
                                        "serverAuth only",
                                        "bad signature",
                                        "garbage",
                                        "service unreachable",
                                        "issuer unknown to the service"};
    return names[kind];
}
