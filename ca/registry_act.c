/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/registry_act.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPTS_MAX 8

_Static_assert(2 * CA_DEVICE_CERTS_MAX + 2 <= CA_BATCH_MAX, "all of a device is one transaction");

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
    act->revoked_count = 0;
    enum tm_err err = act->decide(act, text);
    if (!err)
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

enum tm_err ca_registry_act_revoke_all(struct ca_registry_act *act, uint8_t reason,
                                       char text[IPC_TEXT_MAX + 1]) {
    struct ca_store *store = act->registry->store;
    for (size_t i = 0; i < act->device.cert_count; i++) {
        struct ca_certificate certificate;
        uint8_t der[IPC_CERT_MAX];
        struct buf buf = BUF_ON(der);
        if (act->device.certs[i].status == CA_CERT_REVOKED)
            continue;
        enum tm_err err =
            store->ops->certificate(store, &act->device.certs[i].serial, &certificate, &buf);
        if (err) {
            (void)snprintf(text, IPC_TEXT_MAX + 1, "a certificate of device %s cannot be read: %s",
                           act->device.id, tm_err_name(err));
            return err;
        }
        if (certificate.status == CA_CERT_REVOKED)
            continue;
        ca_registry_act_revoke(act, &certificate, reason);
        ca_registry_act_change(
            act, (struct ca_change){.kind = CA_ADD_LEAF,
                                    .u.leaf = &act->revoked[act->revoked_count - 1].leaf});
    }
    act->device.certs_from_ms = act->registry->now_ms();
    act->device.secret = (struct ca_secret){0};
    return TM_OK;
}
