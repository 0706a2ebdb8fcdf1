/* SPDX-License-Identifier: Apache-2.0 */
/* Devices for a store: see store_fill.h. */
#include "bench/store_fill.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DER_SIZE 540 /* of a P-256 certificate */
#define DAY_MS INT64_C(86400000)

/* One device on its way into the store. */
struct lane {
    struct filling *filling;
    struct ca_device device;
    struct ca_certificate certs[FILL_CERTS];
    uint8_t der[FILL_CERTS][DER_SIZE];
    struct ca_leaf leaves[1 + FILL_CERTS];
    struct ca_leaf refused;
    struct ca_batch batch;
};

uint64_t fill_random(uint64_t *state) {
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* ---- records as issuance leaves them ---- */

static const char *const profiles[FILL_CERTS] = {"bench-idevid", "bench-ldevid", "bench-vpn"};

/* 48 bits of milliseconds and 80 that rise within one, as serials of one server do. */
static struct ca_serial make_serial(struct filling *f) {
    struct ca_serial serial = {.n = 16};
    struct buf out = {serial.octets, serial.n, 0, false};
    buf_put_be(&out, (uint64_t)f->now_ms, 6);
    buf_put_be(&out, ++f->serial, 4);
    buf_put_be(&out, fill_random(&f->random), 6);
    return serial;
}

static void random_octets(struct filling *f, uint8_t *octets, size_t n) {
    for (size_t i = 0; i < n; i += 8) {
        uint64_t x = fill_random(&f->random);
        memcpy(octets + i, &x, n - i < 8 ? n - i : 8);
    }
}

static struct ca_leaf make_leaf(const struct lane *lane, enum ca_event event) {
    const struct ca_device *d = &lane->device;
    struct ca_leaf leaf = {.event = (uint8_t)event,
                           .time_ms = lane->filling->now_ms,
                           .request = lane->filling->begun,
                           .origin = IPC_ORIGIN_HTTPS,
                           .operation = IPC_OP_ENROLL,
                           .from_state = CA_PROVISIONING,
                           .to_state = d->state};
    TEXT_SET(leaf.tenant, d->tenant);
    TEXT_SET(leaf.device, d->id);
    TEXT_SET(leaf.site, d->site);
    TEXT_SET(leaf.remote, "192.0.2.17:48122");
    (void)snprintf(leaf.actor, sizeof leaf.actor, "secret:%s", d->id);
    return leaf;
}

static void make_certificate(struct lane *lane, size_t i) {
    struct filling *f = lane->filling;
    struct ca_certificate *c = &lane->certs[i];
    *c = (struct ca_certificate){
        .serial = make_serial(f),
        .status = CA_CERT_ACTIVE,
        .issued_ms = f->now_ms,
        .not_after_ms = i == 0 ? INT64_C(253402300799000)
                               : f->now_ms + 30 * DAY_MS +
                                     (int64_t)(fill_random(&f->random) % (335 * (uint64_t)DAY_MS))};
    TEXT_SET(c->tenant, lane->device.tenant);
    TEXT_SET(c->device, lane->device.id);
    TEXT_SET(c->profile, profiles[i]);
    TEXT_SET(c->issuer, "bench");
    random_octets(f, c->profile_hash, sizeof c->profile_hash);
    random_octets(f, c->fingerprint, sizeof c->fingerprint);
    random_octets(f, lane->der[i], DER_SIZE);
    c->der = BYTES_OF(lane->der[i]);
    struct ca_cert_ref *ref = &lane->device.certs[FILL_CERTS - 1 - i];
    *ref = (struct ca_cert_ref){.serial = c->serial,
                                .status = CA_CERT_ACTIVE,
                                .issued_ms = c->issued_ms,
                                .not_after_ms = c->not_after_ms};
    TEXT_SET(ref->profile, c->profile);
    random_octets(f, ref->request, sizeof ref->request);
    lane->leaves[1 + i] = make_leaf(lane, CA_EVENT_ISSUED);
    lane->leaves[1 + i].serial = c->serial;
    TEXT_SET(lane->leaves[1 + i].profile, c->profile);
    memcpy(lane->leaves[1 + i].fingerprint, c->fingerprint, CA_HASH_SIZE);
}

/* One of a thousand is stuck in the factory; a batch is 5,000 units, a job 20,000. One of 500 was
 * refused after its last certificate (fill_batch). */
static void make_device(struct lane *lane, unsigned long n) {
    struct filling *f = lane->filling;
    lane->device = (struct ca_device){.version = 1,
                                      .state = n % 1000 == 7 ? CA_PROVISIONING : CA_ACTIVATED,
                                      .created_ms = f->now_ms,
                                      .changed_ms = f->now_ms,
                                      .cert_count = FILL_CERTS};
    struct ca_device *d = &lane->device;
    TEXT_SET(d->tenant, f->tenant);
    (void)snprintf(d->id, sizeof d->id, "%s%09lu", f->prefix, n);
    (void)snprintf(d->batch, sizeof d->batch, "batch-%lu", n / 5000);
    (void)snprintf(d->job, sizeof d->job, "job-%lu", n / 20000);
    (void)snprintf(d->station, sizeof d->station, "station-%lu", n % 40);
    (void)snprintf(d->site, sizeof d->site, "works-%lu", n % 4);
    (void)snprintf(d->sku, sizeof d->sku, "sku-%lu", n % 25);
    TEXT_SET(d->hardware_revision, "C");
}

static void add(struct lane *lane, struct ca_change change) {
    lane->batch.changes[lane->batch.count++] = change;
}

static void add_certificate(struct lane *lane, size_t i) {
    struct ca_change key = {.kind = CA_CLAIM_KEY,
                            .u.key = {.tenant = lane->device.tenant, .device = lane->device.id}};
    random_octets(lane->filling, key.u.key.spki_hash, CA_HASH_SIZE);
    add(lane, key);
    add(lane, (struct ca_change){.kind = CA_PUT_CERT, .u.certificate = &lane->certs[i]});
    add(lane, (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = &lane->leaves[1 + i]});
}

static void fill_batch(struct lane *lane) {
    lane->batch.count = 0;
    add(lane, (struct ca_change){.kind = CA_PUT_DEVICE, .u.device = &lane->device});
    lane->leaves[0] = make_leaf(lane, CA_EVENT_DEVICE_ADDED);
    add(lane, (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = &lane->leaves[0]});
    for (size_t i = 0; i < FILL_CERTS; i++)
        add_certificate(lane, i);
    if (lane->filling->begun % 500)
        return;
    lane->refused = make_leaf(lane, CA_EVENT_REFUSED);
    lane->refused.outcome = lane->filling->begun % 1000 ? IPC_EXPIRED : IPC_DUPLICATE_KEY;
    lane->refused.time_ms++;
    add(lane, (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = &lane->refused});
}

/* ---- filling ---- */

static void new_device(struct lane *lane) {
    make_device(lane, lane->filling->begun++);
    for (size_t i = 0; i < FILL_CERTS; i++)
        make_certificate(lane, i);
    fill_batch(lane);
}

/* The second certificate of some device, by its own. */
static enum tm_err renew_device(struct lane *lane) {
    struct filling *f = lane->filling;
    struct ca_device *d = &lane->device;
    char id[IPC_NAME_MAX + 1];
    f->begun++;
    (void)snprintf(id, sizeof id, "%s%09lu", f->prefix,
                   (unsigned long)(fill_random(&f->random) % f->devices));
    enum tm_err err = f->store->ops->device(f->store, f->tenant, id, d);
    if (err)
        return err;
    for (size_t i = 0; i < d->cert_count; i++)
        if (strcmp(d->certs[i].profile, profiles[1]) == 0)
            d->certs[i].status = CA_CERT_SUPERSEDED;
    if (d->cert_count < CA_DEVICE_CERTS_MAX)
        d->cert_count++;
    memmove(&d->certs[1], &d->certs[0], (d->cert_count - 1) * sizeof d->certs[0]);
    struct ca_cert_ref next = d->certs[FILL_CERTS - 2]; /* make_certificate writes there */
    make_certificate(lane, 1);
    d->certs[0] = d->certs[FILL_CERTS - 2];
    d->certs[FILL_CERTS - 2] = next;
    d->version++;
    d->changed_ms = f->now_ms;
    lane->leaves[2].operation = IPC_OP_REENROLL;
    lane->batch.count = 0;
    add(lane, (struct ca_change){.kind = CA_PUT_DEVICE, .u.device = d});
    add_certificate(lane, 1);
    return TM_OK;
}

static void begin(struct lane *lane);

static void durable(struct ca_batch *batch, enum tm_err result) {
    struct lane *lane = batch->arg;
    struct filling *f = lane->filling;
    f->done++;
    if (result && result != TM_ECONFLICT) /* two renewals of one device */
        f->err = result;
    if (f->done % 100000 == 0)
        fprintf(stderr, "%lu devices\n", f->done);
    if (f->err || f->done == f->wanted)
        loop_stop(f->loop);
    else if (f->begun < f->wanted)
        begin(lane);
}

static void begin(struct lane *lane) {
    struct filling *f = lane->filling;
    f->now_ms += f->begun % 2 ? 1 : 0;
    if (f->renews)
        f->err = renew_device(lane);
    else
        new_device(lane);
    lane->batch.done = durable;
    lane->batch.arg = lane;
    if (!f->err)
        f->err = f->store->ops->submit(f->store, &lane->batch);
    if (f->err)
        loop_stop(f->loop);
}

static enum tm_err run(struct filling *f, unsigned long wanted, bool renews) {
    struct lane *lanes = calloc(FILL_IN_FLIGHT, sizeof *lanes);
    if (!lanes)
        return TM_ENOMEM;
    f->wanted = wanted;
    f->renews = renews;
    f->begun = f->done = 0;
    f->err = TM_OK;
    for (size_t i = 0; i < FILL_IN_FLIGHT && f->begun < wanted && !f->err; i++) {
        lanes[i].filling = f;
        begin(&lanes[i]);
    }
    enum tm_err err = f->err || !wanted ? f->err : loop_run(f->loop);
    if (!err)
        err = f->err;
    free(lanes);
    return err;
}

enum tm_err fill_devices(struct filling *filling) {
    return run(filling, filling->devices, false);
}

enum tm_err fill_renew(struct filling *filling, unsigned long count) {
    return filling->devices ? run(filling, count, true) : TM_OK;
}
