/* SPDX-License-Identifier: Apache-2.0 */
/* The loop: see client/fleet/fleet.h. */
#include "client/fleet/fleet.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FIRST_DAY INT64_C(1767225600000) /* 2026-01-01 */
#define CALM_AFTER (30 * FLEET_DAY)      /* beside one lifetime */

static uint64_t nanoseconds(clockid_t clock) {
    struct timespec t;
    if (clock_gettime(clock, &t) != 0)
        return 0;
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void make_unit(struct fleet *f, size_t number) {
    struct fleet_unit *u = &f->units[number];
    struct fleet_account *account = &f->plant.accounts[number];
    fleet_unit_draw(u, number, f->scenario, &f->weather, f->options.seed);
    account->id = u->id;
    if (u->kind != FLEET_WITH_IDEVID)
        TEXT_SET(account->secret, "one-time-credential");
    fleet_queue_set(&f->queue, number, u->born_ms);
}

enum tm_err fleet_init(struct fleet *fleet, const struct fleet_scenario *scenario,
                       const struct fleet_options *options) {
    struct fleet *f = fleet;
    memset(f, 0, sizeof *f);
    f->options = *options;
    f->scenario = scenario;
    f->watch = (struct fleet_watch){.scenario = scenario->name, .seed = options->seed};
    f->table = fleet_crypto_table(&f->crypto, options->seed);
    int64_t lifetime = options->lifetime_days * FLEET_DAY;
    fleet_weather_draw(&f->weather, scenario, options->seed, FIRST_DAY,
                       FIRST_DAY + options->years * 365 * FLEET_DAY, lifetime + CALM_AFTER);
    enum tm_err err = fleet_plant_init(&f->plant, scenario, &f->weather, &f->watch, options->seed,
                                       options->devices, lifetime);
    if (!err)
        err = fleet_queue_init(&f->queue, options->devices);
    f->units = calloc(options->devices, sizeof *f->units);
    if (err || !f->units) {
        fleet_deinit(f);
        return err ? err : TM_ENOMEM;
    }
    for (size_t i = 0; i < options->devices; i++)
        make_unit(f, i);
    return TM_OK;
}

void fleet_deinit(struct fleet *fleet) {
    for (size_t i = 0; fleet->units && i < fleet->options.devices; i++)
        fleet_unit_free(&fleet->units[i]);
    free(fleet->units);
    fleet->units = NULL;
    fleet_queue_deinit(&fleet->queue);
    fleet_plant_deinit(&fleet->plant);
}

void fleet_run(struct fleet *fleet) {
    struct fleet *f = fleet;
    uint64_t cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID), wall = nanoseconds(CLOCK_MONOTONIC);
    int64_t sweep_ms = f->weather.from_ms + FLEET_DAY;
    for (;;) {
        int64_t at;
        size_t next = fleet_queue_first(&f->queue, &at);
        f->now_ms = at < sweep_ms ? at : sweep_ms;
        if (f->now_ms >= f->weather.until_ms)
            break;
        if (at < sweep_ms) {
            fleet_wake(f, next);
            continue;
        }
        fleet_sweep(f);
        sweep_ms += FLEET_DAY;
    }
    fleet_finish(f);
    f->totals.cpu_ns = nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    f->totals.wall_ns = nanoseconds(CLOCK_MONOTONIC) - wall;
}
