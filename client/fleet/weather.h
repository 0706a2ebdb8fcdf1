/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plant's faults over the years: spells on four tracks, drawn from the seed before the run, so
 * that the simulator knows at any time whether a device could have done better. A root rollover is
 * three moments. Virtual time in ms since 1970.
 */
#ifndef TOUCHMARK_CLIENT_FLEET_WEATHER_H
#define TOUCHMARK_CLIENT_FLEET_WEATHER_H

#include "client/fleet/random.h"
#include "client/fleet/scenario.h"

#define FLEET_SECOND INT64_C(1000)
#define FLEET_HOUR (3600 * FLEET_SECOND)
#define FLEET_DAY (24 * FLEET_HOUR)
#define FLEET_SPELLS_MAX 512

enum fleet_track { FLEET_ROUTE, FLEET_LINES, FLEET_CERTIFICATES, FLEET_PROBES, FLEET_TRACKS };

enum fleet_spell_kind {
    FLEET_FAIR,
    /* ROUTE */
    FLEET_NO_ROUTE,
    FLEET_BUSY,       /* 503 */
    FLEET_BUSY_UNTIL, /* 503 with Retry-After: the end of the spell, an hour at most */
    /* LINES */
    FLEET_LOSSY,
    /* CERTIFICATES */
    FLEET_WRONG_KEY,
    FLEET_WRONG_SUBJECT,
    FLEET_EXPIRED,
    FLEET_FOREIGN,       /* issued by a CA that leads to no anchor */
    FLEET_NO_LEAF,       /* a CA certificate */
    FLEET_NO_CLIENT,     /* good for serverAuth only */
    FLEET_BAD_SIGNATURE, /* named after the right issuer */
    FLEET_GARBAGE,       /* no certificate at all */
    /* PROBES */
    FLEET_UNREACHABLE,
    FLEET_UNKNOWN_ISSUER, /* what was issued since the spell began is refused */
};

struct fleet_spell {
    int64_t from_ms, until_ms; /* until: not in it any more */
    enum fleet_spell_kind kind;
};

struct fleet_weather {
    int64_t from_ms, until_ms; /* of the run */
    int64_t calm_from_ms;      /* no spell and no incident begins or lasts after it */
    struct fleet_spell spells[FLEET_TRACKS][FLEET_SPELLS_MAX];
    size_t count[FLEET_TRACKS];
    /* Root rollover; INT64_MAX: there is none. */
    int64_t announce_ms; /* cacerts offers the new root beside the old one */
    int64_t switch_ms;   /* certificates and TLS come from the new one */
    int64_t end_ms;      /* the old root expires */
};

void fleet_weather_draw(struct fleet_weather *weather, const struct fleet_scenario *scenario,
                        uint64_t seed, int64_t from_ms, int64_t until_ms, int64_t calm_ms);
/* The spell at that time; {kind FLEET_FAIR} when there is none. */
struct fleet_spell fleet_weather_at(const struct fleet_weather *weather, enum fleet_track track,
                                    int64_t at_ms);
/* When was the last moment at or before `at_ms` that was not fair on some track? */
int64_t fleet_weather_last_foul(const struct fleet_weather *weather, int64_t at_ms);
const char *fleet_spell_name(enum fleet_spell_kind kind);

#endif
