/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/registry_act.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "ca/hash.h"
#include "ca/lifecycle.h"

bool ca_device_id_valid(const char *id) {
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-";
    size_t n = strlen(id);
    return n > 0 && n <= IPC_NAME_MAX && strspn(id, allowed) == n;
}

/* ---- secret ---- */

/* The key of the identityProofV2 that the device will make of its secret and its ID (RFC
 * 5272, 6.2.1 and 6.2.3), sealed. */
static enum tm_err seal_proof(struct ca_registry_act *act, struct ca_hasher *hasher) {
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

static enum tm_err make_secret(struct ca_registry_act *act) {
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

static enum tm_err decide_secret(struct ca_registry_act *act, char text[IPC_TEXT_MAX + 1]) {
    enum tm_err err = ca_registry_act_load(act, text);
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
    ca_registry_act_leaf(act, CA_EVENT_SECRET_MADE, &act->leaf);
    ca_registry_act_change_device(act);
    return TM_OK;
}

enum tm_err ca_registry_secret(const struct ca_registry *registry, const char *tenant,
                               const char *id, int64_t valid_ms, const char *actor,
                               ca_registry_fn *done, void *arg) {
    struct ca_registry_act *act = ca_registry_act_new(registry, tenant, id, actor, "");
    if (act)
        act->valid_ms = valid_ms;
    return ca_registry_act_start(act, decide_secret, done, arg);
}

/* ---- revoke ---- */

/* Its row, if it has one, has served. */
static enum tm_err forget_dropped(struct ca_registry_act *act, char text[IPC_TEXT_MAX + 1]) {
    struct ca_store *store = act->registry->store;
    struct ca_dropped row = {.serial = act->serial};
    TEXT_SET(row.tenant, act->device.tenant);
    TEXT_SET(row.device, act->device.id);
    enum tm_err err = store->ops->row(store, CA_TABLE_DROPPED, &row, NULL);
    if (!err)
        ca_registry_act_end_dropped(act, &row);
    else if (err != TM_ENOTFOUND)
        (void)snprintf(text, IPC_TEXT_MAX + 1, "the registry cannot be read: %s", tm_err_name(err));
    return err == TM_ENOTFOUND ? TM_OK : err;
}

static enum tm_err decide_revoke(struct ca_registry_act *act, char text[IPC_TEXT_MAX + 1]) {
    struct ca_store *store = act->registry->store;
    uint8_t der[IPC_CERT_MAX];
    struct buf buf = BUF_ON(der);
    struct ca_certificate certificate;
    enum tm_err err = store->ops->certificate(store, &act->serial, &certificate, &buf);
    if (err) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "no certificate has this serial");
        return err;
    }
    if (certificate.status == CA_CERT_BURNED || certificate.status == CA_CERT_REVOKED) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "the serial is %s already",
                       certificate.status == CA_CERT_BURNED ? "burned" : "revoked");
        return TM_EDENIED;
    }
    TEXT_SET(act->wanted.tenant, certificate.tenant);
    TEXT_SET(act->wanted.id, certificate.device);
    err = ca_registry_act_load(act, text);
    if (err)
        return err;
    ca_registry_act_revoke(act, &certificate, act->reason);
    act->leaf = act->revoked[0].leaf;
    ca_registry_act_change_device(act);
    return forget_dropped(act, text);
}

enum tm_err ca_registry_revoke(const struct ca_registry *registry, const struct ca_serial *serial,
                               uint8_t reason, const char *text, const char *actor,
                               ca_registry_fn *done, void *arg) {
    struct ca_registry_act *act = ca_registry_act_new(registry, "", "", actor, text);
    if (act) {
        act->serial = *serial;
        act->reason = reason;
    }
    return ca_registry_act_start(act, decide_revoke, done, arg);
}
