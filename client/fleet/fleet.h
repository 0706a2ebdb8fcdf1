/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fleet and its plant through virtual years: a queue of wake-up times and a clock that jumps to
 * the next of them. Everything is drawn from the seed but the keys, on which nothing depends. One
 * thread, one process, no network.
 */
#ifndef TOUCHMARK_CLIENT_FLEET_FLEET_H
#define TOUCHMARK_CLIENT_FLEET_FLEET_H

#include "client/fleet/crypto.h"
#include "client/fleet/plant.h"
#include "client/fleet/queue.h"
#include "client/fleet/unit.h"

#define FLEET_PATIENCE                                                                             \
    (3 * FLEET_DAY) /* with nothing in its way a device is well after so long                      \
                     */

#define FLEET_NOTICE (30 * FLEET_DAY) /* and has said so after so long if it cannot be */

struct fleet_options {
    size_t devices;
    unsigned years;
    unsigned lifetime_days;
    uint64_t seed;
    const char *trace; /* ID of a device of which everything is printed; NULL: none */
};

struct fleet_totals {
    uint64_t events[TM_EVENT_STRANDED + 1];
    uint64_t starts, cuts, errors, steps;
    uint64_t cpu_ns, plant_cpu_ns; /* of the process; of that, the plant's */
    uint64_t wall_ns;
    /* At the end. */
    size_t well, retired, asleep, revoked, lapsed, lost;
};

struct fleet {
    struct fleet_options options;
    const struct fleet_scenario *scenario;
    struct fleet_weather weather;
    struct fleet_watch watch;
    struct fleet_plant plant;
    struct fleet_crypto crypto;
    struct tm_crypto table;
    struct fleet_unit *units;
    struct fleet_queue queue;
    int64_t now_ms;
    int64_t last_foul_ms; /* when the weather was last bad, as of the last sweep */
    struct fleet_totals totals;
};

/* TM_ENOMEM, TM_ECRYPTO. */
MUST_USE enum tm_err fleet_init(struct fleet *fleet, const struct fleet_scenario *scenario,
                                const struct fleet_options *options);
void fleet_deinit(struct fleet *fleet);
/* From the first day to the last, and the end checks. */
void fleet_run(struct fleet *fleet);

/* ---- life.c: a device is awake ---- */

/* Whatever is due for the device at fleet->now_ms; sets when it is next. */
void fleet_wake(struct fleet *fleet, size_t number);

/* ---- line.c: between device and plant ---- */

void fleet_exchange(struct fleet *fleet, size_t number, const struct tm_exchange *exchange,
                    struct tm_answer *ret);

/* ---- check.c: what must hold ---- */

/* Looks at CURRENT after the device was awake. */
void fleet_look(struct fleet *fleet, size_t number);
/* Once a virtual day: nobody is without a valid certificate who could have one. Who cannot says
 * so, and is taken out of the plant. */
void fleet_sweep(struct fleet *fleet);
/* After the last day. */
void fleet_finish(struct fleet *fleet);

/* ---- report.c, trace.c ---- */

/* For the device that is traced: a line on standard error. */
void fleet_trace_exchange(const struct fleet *fleet, const struct fleet_unit *unit,
                          const struct tm_exchange *exchange, const struct tm_answer *answer);
void fleet_trace_event(const struct fleet *fleet, const struct fleet_unit *unit,
                       const struct tm_event *event);
void fleet_trace_note(const struct fleet *fleet, const struct fleet_unit *unit, const char *note);

void fleet_report(const struct fleet *fleet);
void fleet_histogram(const struct fleet *fleet);

#endif
