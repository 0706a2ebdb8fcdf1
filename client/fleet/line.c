/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between a device and the plant: what a transport does (takes certificates from the device's
 * storage, keeps the connection that a request is bound to), and what a bad line does to it.
 */
#include <string.h>
#include <time.h>

#include "client/fleet/fleet.h"

#define LOST_THERE 150 /* per thousand of a lossy line, before the plant saw it */
#define LOST_BACK 250  /* and after */

static void no_answer(struct fleet_unit *u, struct tm_answer *ret) {
    u->connected = false;
    *ret = (struct tm_answer){.result = TM_RESULT_NETWORK};
    TEXT_SET(ret->text, "no answer");
}

static bool lost(struct fleet *f, struct fleet_unit *u, unsigned per_thousand) {
    return fleet_weather_at(&f->weather, FLEET_LINES, u->lived_ms).kind == FLEET_LOSSY &&
           fleet_random_chance(&u->random, per_thousand);
}

/* A CACERTS exchange opens the connection. */
static bool connect_line(struct fleet *f, struct fleet_unit *u, const struct tm_exchange *e) {
    if (u->unplugged ||
        fleet_weather_at(&f->weather, FLEET_ROUTE, u->lived_ms).kind == FLEET_NO_ROUTE)
        return false;
    if (e->bound && !u->connected)
        return false;
    if (e->operation == TM_OP_CACERTS) {
        u->connected = true;
        fleet_random_fill(&u->random, u->binding, sizeof u->binding);
    }
    return !lost(f, u, LOST_THERE);
}

static struct fleet_call call_of(struct fleet *f, size_t number, const struct tm_exchange *e) {
    struct fleet_unit *u = &f->units[number];
    struct fleet_call call = {
        .exchange = e,
        .device = number,
        .now_ms = u->lived_ms,
        .anchors = fleet_unit_item(u, (enum tm_item)(TM_ITEM_ANCHORS_0 + e->anchors_bank)),
        .binding = BYTES_OF(u->binding)};
    if (e->secret)
        call.secret = fleet_unit_item(u, TM_ITEM_BOOTSTRAP);
    if (e->slot == TM_SLOT_NONE)
        return call;
    call.leaf = fleet_unit_leaf(u, e->chain_bank);
    call.spki = BYTES_OF(u->banks[e->key_bank].spki);
    if (call.leaf.n == 0 || !u->banks[e->key_bank].pkey)
        fleet_watch_found(
            &f->watch, u->id, u->lived_ms,
            "an exchange is to use slot %u, but chain bank %u or key bank %u is empty", e->slot,
            e->chain_bank, e->key_bank);
    return call;
}

static uint64_t cpu_now(void) {
    struct timespec t;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) != 0)
        return 0;
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void learned_roots(struct fleet *f, size_t number, const struct tm_exchange *e,
                          const struct tm_answer *answer) {
    int64_t at = f->units[number].lived_ms;
    if (e->operation == TM_OP_CACERTS && answer->result == TM_RESULT_OK &&
        at >= f->weather.announce_ms && at < f->weather.end_ms)
        f->plant.accounts[number].saw_new_root = true;
}

void fleet_exchange(struct fleet *fleet, size_t number, const struct tm_exchange *exchange,
                    struct tm_answer *ret) {
    struct fleet_unit *u = &fleet->units[number];
    u->lived_ms += fleet_random_between(&u->random, 20, 2000);
    if (!connect_line(fleet, u, exchange)) {
        no_answer(u, ret);
        fleet_trace_exchange(fleet, u, exchange, ret);
        return;
    }
    struct fleet_call call = call_of(fleet, number, exchange);
    uint64_t before = cpu_now();
    fleet_plant_answer(&fleet->plant, &call, ret);
    fleet->totals.plant_cpu_ns += cpu_now() - before;
    if (lost(fleet, u, LOST_BACK))
        no_answer(u, ret);
    learned_roots(fleet, number, exchange, ret);
    fleet_trace_exchange(fleet, u, exchange, ret);
}
