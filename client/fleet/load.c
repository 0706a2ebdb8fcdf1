/* SPDX-License-Identifier: Apache-2.0 */
/* Devices by HTTPS or MQTT against a real server: see client/fleet/load.h. */
#include "client/fleet/load.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/auto.h"
#include "client/fleet/carrier.h"
#include "client/fleet/crypto.h"
#include "client/port/run.h"

#define SERVE_MS 10000 /* connections that wait are looked after so often */
#define REST_MS 20     /* between two looks whether the others are as far */

/* What the threads share: who is next, and what was seen. */
struct crowd {
    const struct fleet_load *load;
    int64_t end_mono_ms;
    atomic_size_t next;
    atomic_size_t turns; /* that are over, of all devices */
    atomic_size_t done, enrolled, renewed, failures;
    _Atomic int64_t last_mono_ms; /* when the last certificate came */
    pthread_mutex_t lock;         /* over `text` */
    char text[TM_TEXT_MAX];
};

/* A thread, and the devices that it holds. */
struct party {
    struct crowd *crowd;
    struct fleet_crypto remembered;
    struct tm_crypto crypto;
    struct member **members;
    size_t count;
    int64_t serve_mono_ms;
};

/* A device and its way to the server. */
struct member {
    struct fleet_unit unit;
    struct tm_config config;
    struct fleet_carrier carrier;
    bool lost; /* it did not come as far as it was to */
};

/* ---- one device ---- */

static enum tm_err put_secret(struct fleet_unit *unit, struct fleet_login *login) {
    uint8_t octets[TM_DEVICE_ID_MAX + 1 + FLEET_SECRET_MAX];
    struct buf credential = BUF_ON(octets);
    buf_put(&credential, bytes_str(login->id));
    buf_put_u8(&credential, 0);
    buf_put(&credential, bytes_str(login->secret));
    enum tm_err err = unit->storage.write(unit, TM_ITEM_BOOTSTRAP, buf_bytes(&credential));
    bytes_wipe(octets, sizeof octets);
    bytes_wipe(login->secret, sizeof login->secret);
    return err;
}

static enum tm_err make_device(struct member *member, struct fleet_login *login,
                               struct bytes anchors, const struct tm_crypto *crypto) {
    struct fleet_unit *unit = &member->unit;
    fleet_unit_tables(unit);
    enum tm_err err = put_secret(unit, login);
    if (!err)
        err = tm_device_provision(&member->config, &unit->keys, &unit->storage, crypto, unit->work,
                                  sizeof unit->work, anchors, (struct bytes){NULL, 0});
    return err ? err
               : tm_device_init(&unit->device, &member->config, &unit->keys, &unit->storage, crypto,
                                unit->work, sizeof unit->work);
}

static void note_failure(struct crowd *crowd, const char *text) {
    crowd->failures++;
    (void)pthread_mutex_lock(&crowd->lock);
    TEXT_SET(crowd->text, text);
    (void)pthread_mutex_unlock(&crowd->lock);
}

static void note(struct crowd *crowd, const struct tm_event *event) {
    switch (event->kind) {
    case TM_EVENT_ENROLLED:
        crowd->enrolled++;
        crowd->last_mono_ms = tm_clock_now().mono_ms;
        return;
    case TM_EVENT_RENEWED:
        crowd->renewed++;
        crowd->last_mono_ms = tm_clock_now().mono_ms;
        return;
    case TM_EVENT_FAILED:
    case TM_EVENT_DISCARDED:
    case TM_EVENT_STRANDED:
        note_failure(crowd, event->text);
        return;
    case TM_EVENT_RECOVERED:
    case TM_EVENT_ROLLED_BACK:
    case TM_EVENT_ANCHORS:
    case TM_EVENT_BOOTSTRAP_ERASED:
        return;
    }
}

static bool is_over(const struct crowd *crowd) {
    return tm_clock_now().mono_ms >= crowd->end_mono_ms;
}

/* Runs the device until `kind` is told of `slot`, or the time is over. */
static enum tm_err run_until(struct crowd *crowd, struct member *member, enum tm_event_kind kind,
                             enum tm_slot slot) {
    struct tm_device *device = &member->unit.device;
    while (!is_over(crowd)) {
        struct tm_step step;
        enum tm_err err = tm_run(device, member->carrier.transport, tm_clock_now, &step);
        if (err)
            return err;
        if (step.kind == TM_STEP_TELL) {
            note(crowd, &step.event);
            if (step.event.kind == kind && step.event.slot == slot)
                return TM_OK;
        } else if (step.until_mono_ms >= crowd->end_mono_ms) {
            return TM_ETIMEOUT;
        } else if (fleet_carrier_wait(&member->carrier, step.until_mono_ms)) {
            tm_device_hurry(device);
        }
    }
    return TM_ETIMEOUT;
}

/* ---- its turns: the enrollment, then its renewals ---- */

/* NULL: there is no such device. */
static struct member *join(struct party *party) {
    struct crowd *crowd = party->crowd;
    const struct fleet_load *load = crowd->load;
    size_t number = crowd->next++;
    struct member *member = number < load->count ? calloc(1, sizeof *member) : NULL;
    if (!member)
        return NULL;
    member->config = (struct tm_config){.device_id = load->logins[number].id,
                                        .idevid_label = load->idevid_label,
                                        .ldevid_label = load->ldevid_label,
                                        .backoff_min_s = 1,
                                        .backoff_max_s = 10};
    enum tm_err err = make_device(member, &load->logins[number], load->anchors, &party->crypto);
    if (!err)
        err = fleet_carrier_open(load, number, &member->unit, &party->crypto, &member->carrier);
    if (err)
        note_failure(crowd, tm_err_name(err));
    member->lost = err != TM_OK;
    return member;
}

static void leave(struct crowd *crowd, struct member *member) {
    crowd->done += !member->lost;
    fleet_carrier_close(&member->carrier);
    fleet_unit_free(&member->unit);
    free(member);
}

static enum tm_err enroll(struct crowd *crowd, struct member *member) {
    return run_until(crowd, member, TM_EVENT_ENROLLED,
                     crowd->load->ldevid_label ? TM_SLOT_CURRENT : TM_SLOT_IDEVID);
}

static enum tm_err renew(struct crowd *crowd, struct member *member) {
    tm_device_renew(&member->unit.device);
    return run_until(crowd, member, TM_EVENT_RENEWED, TM_SLOT_CURRENT);
}

static unsigned turns_of(const struct fleet_load *load) {
    return load->ldevid_label ? 1 + load->renewals : 1;
}

static void take_turn(struct crowd *crowd, struct member *member, unsigned turn) {
    if (!member->lost)
        member->lost = (turn == 0 ? enroll(crowd, member) : renew(crowd, member)) != TM_OK;
    crowd->turns++;
}

/* ---- one after the other ---- */

static void take_all_turns(struct party *party) {
    struct crowd *crowd = party->crowd;
    struct member *member;
    while (!is_over(crowd) && (member = join(party))) {
        for (unsigned turn = 0; turn < turns_of(crowd->load); turn++)
            take_turn(crowd, member, turn);
        leave(crowd, member);
    }
}

/* ---- all at once ---- */

/* So that no broker takes them for dead. */
static void serve(struct party *party) {
    int64_t now = tm_clock_now().mono_ms;
    if (now < party->serve_mono_ms)
        return;
    for (size_t i = 0; i < party->count; i++)
        if (party->members[i]->carrier.mqtt)
            (void)fleet_carrier_wait(&party->members[i]->carrier, now + 1);
    party->serve_mono_ms = tm_clock_now().mono_ms + SERVE_MS;
}

static void wait_for_others(struct party *party, unsigned turn) {
    const struct crowd *crowd = party->crowd;
    const struct timespec rest = {.tv_nsec = REST_MS * 1000000};
    while (crowd->turns < (turn + 1) * crowd->load->count && !is_over(crowd)) {
        serve(party);
        (void)nanosleep(&rest, NULL);
    }
}

static void take_turns_together(struct party *party) {
    struct crowd *crowd = party->crowd;
    struct member *member;
    party->members = calloc(crowd->load->count, sizeof(struct member *));
    party->serve_mono_ms = tm_clock_now().mono_ms + SERVE_MS;
    while (party->members && !is_over(crowd) && (member = join(party))) {
        party->members[party->count++] = member;
        take_turn(crowd, member, 0);
        serve(party);
    }
    wait_for_others(party, 0);
    for (unsigned turn = 1; turn < turns_of(crowd->load); turn++) {
        for (size_t i = 0; i < party->count; i++) {
            take_turn(crowd, party->members[i], turn);
            serve(party);
        }
        wait_for_others(party, turn);
    }
    for (size_t i = 0; i < party->count; i++)
        leave(crowd, party->members[i]);
    free(party->members);
}

/* ---- all of them ---- */

static void *work(void *arg) {
    struct party party = {.crowd = arg};
    party.crypto = fleet_crypto_unseeded(&party.remembered);
    if (party.crowd->load->stay)
        take_turns_together(&party);
    else
        take_all_turns(&party);
    return NULL;
}

static void report(struct crowd *crowd, int64_t ms) {
    size_t certificates = crowd->enrolled + crowd->renewed;
    (void)printf("devices: %zu of %zu as far as they were to come\n", (size_t)crowd->done,
                 crowd->load->count);
    (void)printf("certificates: %zu enrolled, %zu renewed in %.2f s, %.0f/s\n",
                 (size_t)crowd->enrolled, (size_t)crowd->renewed, (double)ms / 1000,
                 (double)certificates * 1000 / (double)(ms > 0 ? ms : 1));
    (void)printf("tries that failed: %zu%s%s\n", (size_t)crowd->failures,
                 crowd->text[0] ? ", the last: " : "", crowd->text);
}

/* A connection has up to three files. */
static void lift_limit(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

bool fleet_load_run(const struct fleet_load *load) {
    pthread_t threads[64];
    unsigned started = 0;
    lift_limit();
    int64_t start = tm_clock_now().mono_ms;
    struct crowd crowd = {.load = load,
                          .end_mono_ms = start + (int64_t)load->seconds * 1000,
                          .last_mono_ms = start,
                          .lock = PTHREAD_MUTEX_INITIALIZER};
    while (started < load->threads && !pthread_create(&threads[started], NULL, work, &crowd))
        started++;
    for (unsigned i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
    report(&crowd, crowd.last_mono_ms - start);
    return crowd.done == load->count;
}
