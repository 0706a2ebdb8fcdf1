/* SPDX-License-Identifier: Apache-2.0 */
/* New devices: see ca/registry_act.h. */
#include <stdio.h>
#include <string.h>

#include "ca/registry_act.h"

#define CESSATION_OF_OPERATION 5 /* RFC 5280, 5.3.1 */

/* ---- an ID that another device had (requirement C3) ---- */

static bool out_of_use(const struct ca_device *device) {
    return device->state == CA_RETIRED || device->state == CA_DEVICE_REVOKED;
}

/* Both are of one product, which allows it, and the one before is out of use. */
static enum tm_err may_replace(const struct ca_registry_act *act, char text[IPC_TEXT_MAX + 1]) {
    const struct ca_product *product = ca_product_named(act->registry->products, act->wanted.sku);
    const struct ca_device *old = &act->device;
    const char *why = !product || product->id_reuse != CA_ID_OUT_OF_USE
                          ? "its ID is never given to another"
                      : strcmp(old->sku, act->wanted.sku) != 0 ? "it was of another product"
                      : !out_of_use(old)                       ? "it is in use"
                      : !act->replaces ? "only an officer gives its ID to another"
                                       : NULL;
    if (!why)
        return TM_OK;
    (void)snprintf(text, IPC_TEXT_MAX + 1, "tenant %s has a device %s already, %s: %s", old->tenant,
                   old->id, ca_state_name((enum ca_state)old->state), why);
    return TM_EEXISTS;
}

/* Nothing of the one before counts for its successor, whose record goes on naming what was revoked
 * with it. */
static enum tm_err replace(struct ca_registry_act *act, char text[IPC_TEXT_MAX + 1]) {
    enum tm_err err = may_replace(act, text);
    if (!err)
        err = ca_registry_act_revoke_all(act, CESSATION_OF_OPERATION, text);
    if (err)
        return err;
    const struct ca_device old = act->device;
    act->device = act->wanted;
    act->device.version = old.version;
    act->device.certs_from_ms = old.certs_from_ms;
    act->device.cert_count = old.cert_count;
    memcpy(act->device.certs, old.certs, sizeof old.certs);
    act->device.state = CA_REGISTERED;
    ca_registry_act_leaf(act, CA_EVENT_DEVICE_ADDED, &act->leaf);
    act->leaf.from_state = old.state;
    TEXT_SET(act->leaf.reason, "in the place of one that is out of use");
    return TM_OK;
}

/* ---- add ---- */

static enum tm_err decide_add(struct ca_registry_act *act, char text[IPC_TEXT_MAX + 1]) {
    struct ca_store *store = act->registry->store;
    const char *id = act->wanted.id;
    if (!ca_device_id_valid(id)) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, CA_DEVICE_ID_FAULT, id, IPC_NAME_MAX);
        return TM_EINVAL;
    }
    if (!ca_products_admit(act->registry->products, &act->wanted, text))
        return TM_EINVAL;
    enum tm_err err = store->ops->device(store, act->wanted.tenant, id, &act->device);
    if (!err)
        err = replace(act, text);
    else if (err == TM_ENOTFOUND) {
        act->device = act->wanted;
        act->device.state = CA_REGISTERED;
        ca_registry_act_leaf(act, CA_EVENT_DEVICE_ADDED, &act->leaf);
        act->leaf.from_state = 0;
        err = TM_OK;
    }
    if (err)
        return err;
    act->device.created_ms = act->leaf.time_ms;
    ca_registry_act_change_device(act);
    return TM_OK;
}

static enum tm_err add(const struct ca_registry *registry, const struct ca_device *device,
                       bool replaces, const char *actor, ca_registry_fn *done, void *arg) {
    struct ca_registry_act *act =
        ca_registry_act_new(registry, device->tenant, device->id, actor, "");
    if (act) {
        act->replaces = replaces;
        TEXT_SET(act->wanted.sku, device->sku);
        TEXT_SET(act->wanted.hardware_revision, device->hardware_revision);
        TEXT_SET(act->wanted.batch, device->batch);
        TEXT_SET(act->wanted.site, device->site);
    }
    return ca_registry_act_start(act, decide_add, done, arg);
}

enum tm_err ca_registry_add(const struct ca_registry *registry, const struct ca_device *device,
                            const char *actor, ca_registry_fn *done, void *arg) {
    return add(registry, device, false, actor, done, arg);
}

enum tm_err ca_registry_replace(const struct ca_registry *registry, const struct ca_device *device,
                                const char *actor, ca_registry_fn *done, void *arg) {
    return add(registry, device, true, actor, done, arg);
}
