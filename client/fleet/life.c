/* SPDX-License-Identifier: Apache-2.0 */
/* A device is awake: starts, steps, power cuts, and what happens to it. See client/fleet/fleet.h.
 */
#include <string.h>

#include "client/fleet/fleet.h"

#define STEPS_MAX 200 /* without a wait */
#define SCRIBBLE 0xa5 /* memory after a start holds anything */

static bool within(const struct fleet_unit *u, enum fleet_incident_kind kind, int64_t now_ms,
                   int64_t *ret_until_ms) {
    for (size_t i = 0; i < u->incident_count; i++) {
        const struct fleet_incident *x = &u->incidents[i];
        if (x->kind == kind && now_ms >= x->from_ms && now_ms < x->until_ms) {
            *ret_until_ms = x->until_ms;
            return true;
        }
    }
    return false;
}

/* The next moment at which an incident begins or ends. */
static int64_t next_incident(const struct fleet_unit *u, int64_t now_ms) {
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < u->incident_count; i++) {
        const struct fleet_incident *x = &u->incidents[i];
        if (x->from_ms > now_ms && x->from_ms < next)
            next = x->from_ms;
        if (x->until_ms > now_ms && x->until_ms < next)
            next = x->until_ms;
    }
    return next;
}

/* The application will use CURRENT. */
static void use_later(struct fleet_unit *u, int64_t least_ms) {
    u->use_ms = u->lived_ms + fleet_random_between(&u->random, least_ms, 20 * FLEET_HOUR);
}

/* Those that happen once, and those that last. */
static void incidents(struct fleet *f, size_t number) {
    struct fleet_unit *u = &f->units[number];
    struct fleet_account *account = &f->plant.accounts[number];
    for (size_t i = 0; i < u->incident_count; i++) {
        struct fleet_incident *x = &u->incidents[i];
        if (x->begun || x->from_ms > f->now_ms)
            continue;
        x->begun = true;
        u->trouble_ms = f->now_ms;
        if (x->kind == FLEET_REVOKED_CERT || x->kind == FLEET_RETIRED) {
            fleet_trace_note(f, u, "its certificates are revoked");
            fleet_plant_revoke(&f->plant, number);
            use_later(u, FLEET_HOUR);
        }
        account->retired |= x->kind == FLEET_RETIRED;
    }
    int64_t until;
    account->suspended = within(u, FLEET_SUSPENDED, f->now_ms, &until);
    u->unplugged = within(u, FLEET_UNPLUGGED, f->now_ms, &until);
}

static void switch_off(struct fleet *f, size_t number, int64_t until_ms) {
    struct fleet_unit *u = &f->units[number];
    u->on = false;
    u->trouble_ms = until_ms;
    fleet_queue_set(&f->queue, number, until_ms);
}

/* Seconds to an hour, now and then days. */
static void power_cut(struct fleet *f, size_t number) {
    struct fleet_unit *u = &f->units[number];
    bool days = fleet_random_chance(&u->random, 100);
    f->totals.cuts++;
    fleet_trace_note(f, u, "the power is cut");
    switch_off(f, number,
               u->lived_ms + fleet_random_between(&u->random, FLEET_SECOND,
                                                  days ? 3 * FLEET_DAY : FLEET_HOUR));
}

/* ---- start ---- */

static struct tm_config config_of(const struct fleet_unit *u) {
    return (struct tm_config){.device_id = u->id,
                              .idevid_label =
                                  u->kind == FLEET_FROM_FACTORY ? FLEET_LABEL_IDEVID : NULL,
                              .ldevid_label = FLEET_LABEL_LDEVID,
                              .keep_key = u->keeps,
                              .anchor_unit = FLEET_UNIT};
}

/* In the factory: an IDevID, or a one-time credential. */
static enum tm_err equip(struct fleet *f, size_t number, struct buf *idevid) {
    struct fleet_unit *u = &f->units[number];
    if (u->kind == FLEET_WITH_IDEVID) {
        struct fleet_key *key = &u->banks[TM_BANK_IDEVID];
        enum tm_err err = key->pkey ? TM_OK : fleet_key_new(key);
        return err ? err
                   : fleet_plant_idevid(&f->plant, number, BYTES_OF(key->spki), f->now_ms, idevid);
    }
    uint8_t octets[64];
    struct buf secret = BUF_ON(octets);
    buf_put(&secret, bytes_str(u->id));
    buf_put_u8(&secret, 0);
    buf_put(&secret, bytes_str(f->plant.accounts[number].secret));
    return u->storage.write(u, TM_ITEM_BOOTSTRAP, buf_bytes(&secret));
}

static enum tm_err provision(struct fleet *f, size_t number, const struct tm_config *config) {
    struct fleet_unit *u = &f->units[number];
    uint8_t chain[FLEET_CERT_MAX], set[TM_ANCHORS_MAX];
    struct buf idevid = BUF_ON(chain), anchors = BUF_ON(set);
    fleet_plant_anchors(&f->plant, f->now_ms, &anchors);
    enum tm_err err = equip(f, number, &idevid);
    if (err)
        return err;
    return tm_device_provision(config, &u->keys, &u->storage, &f->table, u->work, sizeof u->work,
                               buf_bytes(&anchors), buf_bytes(&idevid));
}

static enum tm_err start(struct fleet *f, size_t number) {
    struct fleet_unit *u = &f->units[number];
    const struct tm_config config = config_of(u);
    memset(&u->device, SCRIBBLE, sizeof u->device);
    memset(u->work, SCRIBBLE, sizeof u->work);
    u->dark = u->asked = u->connected = false;
    u->started_ms = u->lived_ms;
    f->totals.starts++;
    fleet_trace_note(f, u, "it starts");
    enum tm_err err = tm_device_init(&u->device, &config, &u->keys, &u->storage, &f->table, u->work,
                                     sizeof u->work);
    if (err != TM_ENOTFOUND)
        return err;
    err = provision(f, number, &config);
    return err ? err
               : tm_device_init(&u->device, &config, &u->keys, &u->storage, &f->table, u->work,
                                sizeof u->work);
}

static void switch_on(struct fleet *f, size_t number) {
    struct fleet_unit *u = &f->units[number];
    enum tm_err err = start(f, number);
    if (u->dark) {
        power_cut(f, number);
        return;
    }
    u->on = !err;
    if (err && err != TM_EIO)
        fleet_watch_found(&f->watch, u->id, u->lived_ms, "it does not start: %s", tm_err_name(err));
    if (err)
        switch_off(f, number, u->lived_ms + FLEET_HOUR / 60);
}

/* ---- steps ---- */

static void hear(struct fleet *f, struct fleet_unit *u, const struct tm_event *event) {
    f->totals.events[event->kind]++;
    fleet_trace_event(f, u, event);
    switch (event->kind) {
    case TM_EVENT_RENEWED:
        if (u->lived_ms < f->weather.calm_from_ms &&
            fleet_random_chance(&u->random, f->scenario->refused)) {
            u->refused = true;
            use_later(u, FLEET_HOUR);
        }
        u->stranded = false;
        break;
    case TM_EVENT_ENROLLED:
    case TM_EVENT_RECOVERED:
        u->stranded = false;
        break;
    case TM_EVENT_STRANDED:
        u->stranded = true;
        break;
    default:
        break;
    }
}

/* When the device wants to be stepped again; with *ret_waits false at once. */
static enum tm_err one_step(struct fleet *f, size_t number, bool *ret_waits, int64_t *ret_mono_ms) {
    struct fleet_unit *u = &f->units[number];
    struct tm_step step;
    enum tm_err err = tm_device_step(&u->device, fleet_unit_now(u), &step);
    f->totals.steps++;
    if (err)
        return err;
    *ret_waits = step.kind == TM_STEP_WAIT;
    if (step.kind == TM_STEP_WAIT)
        *ret_mono_ms = step.until_mono_ms;
    if (step.kind == TM_STEP_TELL)
        hear(f, u, &step.event);
    if (step.kind == TM_STEP_EXCHANGE) {
        struct tm_answer answer;
        fleet_exchange(f, number, &step.exchange, &answer);
        return tm_device_answer(&u->device, fleet_unit_now(u), &answer);
    }
    return TM_OK;
}

/* Steps until the device waits. When it is next, virtual time. */
static int64_t steps(struct fleet *f, size_t number) {
    struct fleet_unit *u = &f->units[number];
    for (unsigned i = 0; i < STEPS_MAX; i++) {
        bool waits = false;
        int64_t mono = 0;
        enum tm_err err = one_step(f, number, &waits, &mono);
        if (u->dark)
            return 0;
        if (err) {
            f->totals.errors++;
            fleet_trace_note(f, u, tm_err_name(err));
            if (err != TM_EIO && err != TM_EAGAIN)
                fleet_watch_found(&f->watch, u->id, u->lived_ms, "a step fails: %s",
                                  tm_err_name(err));
            return u->lived_ms + FLEET_SECOND;
        }
        int64_t at = mono - FLEET_SECOND + u->started_ms;
        if (waits)
            return mono == INT64_MAX ? INT64_MAX : at > u->lived_ms ? at : u->lived_ms + 1;
    }
    fleet_watch_found(&f->watch, u->id, u->lived_ms, "%u steps and no wait", STEPS_MAX);
    return u->lived_ms + FLEET_DAY;
}

/* The application's own experience: a new certificate that is refused once, or a revoked one that
 * is refused whenever the service can be reached. */
static void use(struct fleet *f, struct fleet_unit *u) {
    if (!u->use_ms || u->lived_ms < u->use_ms)
        return;
    bool reached = !u->unplugged &&
                   fleet_weather_at(&f->weather, FLEET_ROUTE, u->lived_ms).kind != FLEET_NO_ROUTE;
    bool revoked = u->current && f->plant.certs[u->current].status == FLEET_REVOKED;
    if (reached && (u->refused || revoked)) {
        fleet_trace_note(f, u, "its application sees CURRENT refused");
        tm_device_used(&u->device, false);
        u->refused = false;
    }
    u->use_ms = 0;
    if (u->refused || revoked)
        use_later(u, FLEET_HOUR);
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

void fleet_wake(struct fleet *fleet, size_t number) {
    struct fleet_unit *u = &fleet->units[number];
    bool calm = fleet->now_ms >= fleet->weather.calm_from_ms;
    int64_t until;
    u->lived_ms = fleet->now_ms;
    u->cut = calm ? 0 : fleet->scenario->cut;
    u->failed = calm ? 0 : fleet->scenario->failed;
    incidents(fleet, number);
    if (within(u, FLEET_SWITCHED_OFF, fleet->now_ms, &until)) {
        switch_off(fleet, number, until);
        return;
    }
    if (!u->on)
        switch_on(fleet, number);
    if (!u->on)
        return;
    use(fleet, u);
    int64_t next = steps(fleet, number);
    if (u->dark) {
        power_cut(fleet, number);
        return;
    }
    fleet_look(fleet, number);
    if (u->use_ms)
        next = least(next, u->use_ms);
    fleet_queue_set(&fleet->queue, number, least(next, next_incident(u, u->lived_ms)));
}
