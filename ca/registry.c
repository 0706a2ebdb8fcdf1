/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/registry.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ca/hash.h"
#include "ca/lifecycle.h"

#define ATTEMPTS_MAX 8

/* One change under way. `decide` reads the store and fills the batch; it runs again when the
 * device changed before the batch was applied. */
struct act {
    const struct ca_registry *registry;
    enum tm_err (*decide)(struct act *act, char text[IPC_TEXT_MAX + 1]);
    ca_registry_fn *done;
    void *arg;
    unsigned attempts;
    struct ca_device wanted; /* what the caller gave */
    enum ca_state to;
    uint8_t reason;
    struct ca_serial serial;
    int64_t valid_ms;
    char secret[CA_SECRET_TEXT];
    struct ca_device device;
    struct ca_certificate certificate;
    struct ca_leaf leaf;
    struct ca_batch batch;
    char words[IPC_TEXT_MAX + 1];
    char actor[IPC_TEXT_MAX + 1];
};

bool ca_device_id_valid(const char *id) {
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-";
    size_t n = strlen(id);
    return n > 0 && n <= IPC_NAME_MAX && strspn(id, allowed) == n;
}

static void act_run(struct act *act);

static void act_end(struct act *act, enum tm_err result, const char *text) {
    bool shown = result == TM_OK;
    act->done(act->arg, result, text, shown ? &act->device : NULL,
              shown && act->secret[0] ? act->secret : NULL);
    bytes_wipe(act, sizeof *act);
    free(act);
}

static void act_succeed(struct act *act) {
    if (act->registry->revoked && act->certificate.status == CA_CERT_REVOKED)
        act->registry->revoked(act->registry->arg, &act->certificate);
    act_end(act, TM_OK, "");
}

static void act_durable(struct ca_batch *batch, enum tm_err result) {
    struct act *act = batch->arg;
    if (result == TM_ECONFLICT && ++act->attempts < ATTEMPTS_MAX)
        act_run(act);
    else if (result)
        act_end(act, result, "the registry did not take the change; nothing happened");
    else
        act_succeed(act);
}

static void act_run(struct act *act) {
    char text[IPC_TEXT_MAX + 1] = "";
    act->batch = (struct ca_batch){.done = act_durable, .arg = act};
    enum tm_err err = act->decide(act, text);
    if (!err)
        err = act->registry->store->ops->submit(act->registry->store, &act->batch);
    if (err)
        act_end(act, err, text[0] ? text : "the registry is busy; try again");
}

static struct act *act_new(const struct ca_registry *registry, const char *tenant, const char *id,
                           const char *actor, const char *words) {
    struct act *act = calloc(1, sizeof *act);
    if (!act)
        return NULL;
    act->registry = registry;
    TEXT_SET(act->wanted.tenant, tenant);
    TEXT_SET(act->wanted.id, id);
    TEXT_SET(act->actor, actor);
    TEXT_SET(act->words, words);
    return act;
}

static enum tm_err act_start(struct act *act, enum tm_err (*decide)(struct act *, char *),
                             ca_registry_fn *done, void *arg) {
    if (!act)
        return TM_ENOMEM;
    act->decide = decide;
    act->done = done;
    act->arg = arg;
    act_run(act);
    return TM_OK;
}

/* ---- what the acts share ---- */

static void fill_leaf(struct act *act, enum ca_event event) {
    act->leaf = (struct ca_leaf){.event = (uint8_t)event,
                                 .time_ms = act->registry->now_ms(),
                                 .from_state = act->device.state,
                                 .to_state = act->device.state};
    TEXT_SET(act->leaf.tenant, act->device.tenant);
    TEXT_SET(act->leaf.device, act->device.id);
    TEXT_SET(act->leaf.site, act->device.site);
    TEXT_SET(act->leaf.actor, act->actor);
    TEXT_SET(act->leaf.reason, act->words);
}

static void add_change(struct act *act, struct ca_change change) {
    act->batch.changes[act->batch.count++] = change;
}

static void change_device(struct act *act) {
    act->device.version++;
    act->device.changed_ms = act->leaf.time_ms;
    add_change(act, (struct ca_change){.kind = CA_PUT_DEVICE, .u.device = &act->device});
    add_change(act, (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = &act->leaf});
}

static enum tm_err load_device(struct act *act, char text[IPC_TEXT_MAX + 1]) {
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

/* ---- add ---- */

static enum tm_err decide_add(struct act *act, char text[IPC_TEXT_MAX + 1]) {
    struct ca_store *store = act->registry->store;
    const char *id = act->wanted.id;
    if (!ca_device_id_valid(id)) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, CA_DEVICE_ID_FAULT, id, IPC_NAME_MAX);
        return TM_EINVAL;
    }
    if (!ca_products_admit(act->registry->products, &act->wanted, text))
        return TM_EINVAL;
    if (store->ops->device(store, act->wanted.tenant, id, &act->device) != TM_ENOTFOUND) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "tenant %s has a device %s already",
                       act->wanted.tenant, id);
        return TM_EEXISTS;
    }
    act->device = act->wanted;
    act->device.state = CA_REGISTERED;
    fill_leaf(act, CA_EVENT_DEVICE_ADDED);
    act->leaf.from_state = 0;
    act->device.created_ms = act->leaf.time_ms;
    change_device(act);
    return TM_OK;
}

enum tm_err ca_registry_add(const struct ca_registry *registry, const struct ca_device *device,
                            const char *actor, ca_registry_fn *done, void *arg) {
    struct act *act = act_new(registry, device->tenant, device->id, actor, "");
    if (act) {
        TEXT_SET(act->wanted.sku, device->sku);
        TEXT_SET(act->wanted.hardware_revision, device->hardware_revision);
        TEXT_SET(act->wanted.batch, device->batch);
        TEXT_SET(act->wanted.site, device->site);
    }
    return act_start(act, decide_add, done, arg);
}

/* ---- transition ---- */

static enum tm_err decide_transition(struct act *act, char text[IPC_TEXT_MAX + 1]) {
    enum tm_err err = load_device(act, text);
    if (err)
        return err;
    enum ca_state from = (enum ca_state)act->device.state;
    if (!ca_transition_allowed(from, act->to)) {
        char allowed[128];
        ca_transitions_from(from, allowed, sizeof allowed);
        (void)snprintf(text, IPC_TEXT_MAX + 1, "device %s is %s and may become: %s", act->device.id,
                       ca_state_name(from), allowed[0] ? allowed : "nothing else");
        return TM_EDENIED;
    }
    fill_leaf(act, CA_EVENT_TRANSITION);
    act->leaf.to_state = (uint8_t)act->to;
    act->device.state = (uint8_t)act->to;
    change_device(act);
    return TM_OK;
}

enum tm_err ca_registry_transition(const struct ca_registry *registry, const char *tenant,
                                   const char *id, enum ca_state to, const char *reason,
                                   const char *actor, ca_registry_fn *done, void *arg) {
    struct act *act = act_new(registry, tenant, id, actor, reason);
    if (act)
        act->to = to;
    return act_start(act, decide_transition, done, arg);
}

/* ---- secret ---- */

/* The key of the identityProofV2 that the device will make of its secret and its ID (RFC
 * 5272, 6.2.1 and 6.2.3), sealed. */
static enum tm_err seal_proof(struct act *act, struct ca_hasher *hasher) {
    struct ca_device *device = &act->device;
    uint8_t key[CA_HASH_SIZE];
    struct bytes parts[] = {bytes_str(act->secret), bytes_str(device->id)};
    enum tm_err err = ca_hash(hasher, parts, 2, key);
    if (!err)
        err = ca_wrap_seal(act->registry->wrap, device->tenant, device->id, device->secret.salt,
                           key, device->secret.proof);
    device->secret.has_proof = !err;
    bytes_wipe(key, sizeof key);
    return err;
}

static enum tm_err make_secret(struct act *act) {
    uint8_t random[(CA_SECRET_TEXT - 1) / 2];
    struct ca_secret *secret = &act->device.secret;
    struct ca_hasher *hasher = NULL;
    *secret =
        (struct ca_secret){.set = true, .expires_ms = act->registry->now_ms() + act->valid_ms};
    enum tm_err err = RAND_priv_bytes(random, sizeof random) == 1 &&
                              RAND_bytes(secret->salt, sizeof secret->salt) == 1
                          ? TM_OK
                          : TM_ECRYPTO;
    if (!err)
        err = hex_encode(BYTES_OF(random), act->secret, sizeof act->secret);
    if (!err)
        err = ca_hasher_new(&hasher);
    if (!err) {
        struct bytes parts[] = {BYTES_OF(secret->salt), bytes_str(act->secret)};
        err = ca_hash(hasher, parts, 2, secret->hash);
    }
    if (!err && act->registry->wrap)
        err = seal_proof(act, hasher);
    ca_hasher_free(hasher);
    bytes_wipe(random, sizeof random);
    return err;
}

static enum tm_err decide_secret(struct act *act, char text[IPC_TEXT_MAX + 1]) {
    enum tm_err err = load_device(act, text);
    if (err)
        return err;
    if (!ca_state_serves((enum ca_state)act->device.state)) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "device %s is %s and gets no enrollment secret",
                       act->device.id, ca_state_name((enum ca_state)act->device.state));
        return TM_EDENIED;
    }
    err = make_secret(act);
    if (err) {
        text_copy(text, IPC_TEXT_MAX + 1, "no randomness for a secret");
        return err;
    }
    fill_leaf(act, CA_EVENT_SECRET_MADE);
    change_device(act);
    return TM_OK;
}

enum tm_err ca_registry_secret(const struct ca_registry *registry, const char *tenant,
                               const char *id, int64_t valid_ms, const char *actor,
                               ca_registry_fn *done, void *arg) {
    struct act *act = act_new(registry, tenant, id, actor, "");
    if (act)
        act->valid_ms = valid_ms;
    return act_start(act, decide_secret, done, arg);
}

/* ---- revoke ---- */

static void revoke_ref(struct act *act) {
    struct ca_cert_ref *ref = ca_device_cert(&act->device, &act->serial);
    if (ref)
        ref->status = CA_CERT_REVOKED;
}

static enum tm_err decide_revoke(struct act *act, char text[IPC_TEXT_MAX + 1]) {
    struct ca_store *store = act->registry->store;
    uint8_t der[IPC_CERT_MAX];
    struct buf buf = BUF_ON(der);
    enum tm_err err = store->ops->certificate(store, &act->serial, &act->certificate, &buf);
    if (err) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "no certificate has this serial");
        return err;
    }
    if (act->certificate.status == CA_CERT_BURNED || act->certificate.status == CA_CERT_REVOKED) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "the serial is %s already",
                       act->certificate.status == CA_CERT_BURNED ? "burned" : "revoked");
        return TM_EDENIED;
    }
    TEXT_SET(act->wanted.tenant, act->certificate.tenant);
    TEXT_SET(act->wanted.id, act->certificate.device);
    err = load_device(act, text);
    if (err)
        return err;
    act->certificate.der = (struct bytes){0};
    act->certificate.status = CA_CERT_REVOKED;
    act->certificate.revoked_ms = act->registry->now_ms();
    act->certificate.revoked_reason = act->reason;
    revoke_ref(act);
    fill_leaf(act, CA_EVENT_REVOKED);
    TEXT_SET(act->leaf.profile, act->certificate.profile);
    act->leaf.serial = act->serial;
    memcpy(act->leaf.fingerprint, act->certificate.fingerprint, CA_HASH_SIZE);
    add_change(act, (struct ca_change){.kind = CA_CERT_STATUS, .u.certificate = &act->certificate});
    change_device(act);
    return TM_OK;
}

enum tm_err ca_registry_revoke(const struct ca_registry *registry, const struct ca_serial *serial,
                               uint8_t reason, const char *text, const char *actor,
                               ca_registry_fn *done, void *arg) {
    struct act *act = act_new(registry, "", "", actor, text);
    if (act) {
        act->serial = *serial;
        act->reason = reason;
    }
    return act_start(act, decide_revoke, done, arg);
}
