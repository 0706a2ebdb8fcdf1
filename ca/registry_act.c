/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/registry_act.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPTS_MAX 8

_Static_assert(2 * CA_DEVICE_CERTS_MAX + 2 <= CA_BATCH_MAX, "all of a device is one transaction");
_Static_assert(3 * CA_REGISTRY_ACT_DROPPED_MAX + 1 <= CA_BATCH_MAX &&
                   CA_REGISTRY_ACT_DROPPED_MAX <= CA_DEVICE_CERTS_MAX,
               "what dropped out has room");

static void run(struct ca_registry_act *act);

static void end(struct ca_registry_act *act, enum tm_err result, const char *text) {
    bool shown = result == TM_OK;
    act->done(act->arg, result, text, shown ? &act->device : NULL,
              shown && act->secret[0] ? act->secret : NULL);
    bytes_wipe(act, sizeof *act);
    free(act);
}

static void succeed(struct ca_registry_act *act) {
    const struct ca_registry *registry = act->registry;
    for (size_t i = 0; registry->revoked && i < act->revoked_count; i++)
        registry->revoked(registry->arg, &act->revoked[i].certificate);
    if (act->part)
        run(act);
    else
        end(act, TM_OK, "");
}

static void durable(struct ca_batch *batch, enum tm_err result) {
    struct ca_registry_act *act = batch->arg;
    if (result == TM_ECONFLICT && ++act->attempts < ATTEMPTS_MAX)
        run(act);
    else if (result)
        end(act, result, "the registry did not take the change; nothing happened");
    else
        succeed(act);
}

static void run(struct ca_registry_act *act) {
    char text[IPC_TEXT_MAX + 1] = "";
    act->batch = (struct ca_batch){.done = durable, .arg = act};
    act->revoked_count = act->dropped_count = 0;
    enum tm_err err = act->decide(act, text);
    act->part = err == TM_EAGAIN;
    if (!err || act->part)
        err = act->registry->store->ops->submit(act->registry->store, &act->batch);
    if (err)
        end(act, err, text[0] ? text : "the registry is busy; try again");
}

struct ca_registry_act *ca_registry_act_new(const struct ca_registry *registry, const char *tenant,
                                            const char *id, const char *actor, const char *words) {
    struct ca_registry_act *act = calloc(1, sizeof *act);
    if (!act)
        return NULL;
    act->registry = registry;
    TEXT_SET(act->wanted.tenant, tenant);
    TEXT_SET(act->wanted.id, id);
    TEXT_SET(act->actor, actor);
    TEXT_SET(act->words, words);
    return act;
}

enum tm_err ca_registry_act_start(struct ca_registry_act *act,
                                  enum tm_err (*decide)(struct ca_registry_act *, char *),
                                  ca_registry_fn *done, void *arg) {
    if (!act)
        return TM_ENOMEM;
    act->decide = decide;
    act->done = done;
    act->arg = arg;
    run(act);
    return TM_OK;
}

/* ---- what the kinds share ---- */

void ca_registry_act_leaf(const struct ca_registry_act *act, enum ca_event event,
                          struct ca_leaf *ret) {
    *ret = (struct ca_leaf){.event = (uint8_t)event,
                            .time_ms = act->registry->now_ms(),
                            .from_state = act->device.state,
                            .to_state = act->device.state};
    TEXT_SET(ret->tenant, act->device.tenant);
    TEXT_SET(ret->device, act->device.id);
    TEXT_SET(ret->site, act->device.site);
    TEXT_SET(ret->actor, act->actor);
    TEXT_SET(ret->reason, act->words);
}

void ca_registry_act_change(struct ca_registry_act *act, struct ca_change change) {
    act->batch.changes[act->batch.count++] = change;
}

void ca_registry_act_change_device(struct ca_registry_act *act) {
    act->device.version++;
    act->device.changed_ms = act->leaf.time_ms;
    ca_registry_act_change(act,
                           (struct ca_change){.kind = CA_PUT_DEVICE, .u.device = &act->device});
    ca_registry_act_change(act, (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = &act->leaf});
}

enum tm_err ca_registry_act_load(struct ca_registry_act *act, char text[IPC_TEXT_MAX + 1]) {
    struct ca_store *store = act->registry->store;
    enum tm_err err = store->ops->device(store, act->wanted.tenant, act->wanted.id, &act->device);
    if (err == TM_ENOTFOUND)
        (void)snprintf(text, IPC_TEXT_MAX + 1, "tenant %s has no device %s", act->wanted.tenant,
                       act->wanted.id);
    else if (err)
        (void)snprintf(text, IPC_TEXT_MAX + 1, "device %s cannot be read: %s", act->wanted.id,
                       tm_err_name(err));
    return err;
}

void ca_registry_act_revoke(struct ca_registry_act *act, const struct ca_certificate *certificate,
                            uint8_t reason) {
    struct ca_registry_act_revoked *revoked = &act->revoked[act->revoked_count++];
    struct ca_cert_ref *ref = ca_device_cert(&act->device, &certificate->serial);
    revoked->certificate = *certificate;
    revoked->certificate.der = (struct bytes){0};
    revoked->certificate.status = CA_CERT_REVOKED;
    revoked->certificate.revoked_ms = act->registry->now_ms();
    revoked->certificate.revoked_reason = reason;
    if (ref)
        ref->status = CA_CERT_REVOKED;
    ca_registry_act_leaf(act, CA_EVENT_REVOKED, &revoked->leaf);
    TEXT_SET(revoked->leaf.profile, certificate->profile);
    revoked->leaf.serial = certificate->serial;
    TEXT_SET(revoked->leaf.issuer, certificate->issuer);
    memcpy(revoked->leaf.fingerprint, certificate->fingerprint, CA_HASH_SIZE);
    ca_registry_act_change(
        act, (struct ca_change){.kind = CA_CERT_STATUS, .u.certificate = &revoked->certificate});
}

void ca_registry_act_end_dropped(struct ca_registry_act *act, const struct ca_dropped *dropped) {
    struct ca_dropped *row = &act->dropped[act->dropped_count++];
    *row = *dropped;
    ca_registry_act_change(
        act,
        (struct ca_change){.kind = CA_END_ROW, .u.row = {.table = CA_TABLE_DROPPED, .row = row}});
}

/* Unless it is revoked already. */
static enum tm_err revoke_told(struct ca_registry_act *act, const struct ca_serial *serial,
                               uint8_t reason, char text[IPC_TEXT_MAX + 1]) {
    struct ca_store *store = act->registry->store;
    struct ca_certificate certificate;
    uint8_t der[IPC_CERT_MAX];
    struct buf buf = BUF_ON(der);
    enum tm_err err = store->ops->certificate(store, serial, &certificate, &buf);
    if (err) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "a certificate of device %s cannot be read: %s",
                       act->device.id, tm_err_name(err));
        return err;
    }
    if (certificate.status == CA_CERT_REVOKED)
        return TM_OK;
    ca_registry_act_revoke(act, &certificate, reason);
    ca_registry_act_change(
        act, (struct ca_change){.kind = CA_ADD_LEAF,
                                .u.leaf = &act->revoked[act->revoked_count - 1].leaf});
    return TM_OK;
}

/* Some of those that dropped out of the device's record, in a transaction of their own: TM_EAGAIN,
 * or TM_OK when there are none. What was decided on the device so far is given up. Should the act
 * end after it, or be refused then, the device has lost certificates that it has not used for
 * long. */
static enum tm_err revoke_dropped(struct ca_registry_act *act, uint8_t reason,
                                  char text[IPC_TEXT_MAX + 1]) {
    struct ca_store *store = act->registry->store;
    struct ca_serial cursor = {.n = 0};
    struct ca_dropped dropped;
    enum tm_err err = TM_OK;
    while (!err && act->dropped_count < CA_REGISTRY_ACT_DROPPED_MAX) {
        err = ca_dropped_next(store, act->device.tenant, act->device.id, &cursor, &dropped);
        if (!err && !act->dropped_count)
            err = ca_registry_act_load(act, text);
        if (!err && dropped.not_after_ms >= act->registry->now_ms())
            err = revoke_told(act, &dropped.serial, reason, text);
        if (!err)
            ca_registry_act_end_dropped(act, &dropped);
    }
    if (err && err != TM_ENOTFOUND)
        return err;
    if (!act->dropped_count)
        return TM_OK;
    act->device.version++;
    act->device.changed_ms = act->registry->now_ms();
    ca_registry_act_change(act,
                           (struct ca_change){.kind = CA_PUT_DEVICE, .u.device = &act->device});
    return TM_EAGAIN;
}

enum tm_err ca_registry_act_revoke_all(struct ca_registry_act *act, uint8_t reason,
                                       char text[IPC_TEXT_MAX + 1]) {
    enum tm_err err = revoke_dropped(act, reason, text);
    for (size_t i = 0; !err && i < act->device.cert_count; i++)
        if (act->device.certs[i].status != CA_CERT_REVOKED)
            err = revoke_told(act, &act->device.certs[i].serial, reason, text);
    if (err)
        return err;
    act->device.certs_from_ms = act->registry->now_ms();
    return TM_OK;
}
