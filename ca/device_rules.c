/* SPDX-License-Identifier: Apache-2.0 */
/* What the registry says of a device beyond its state: its product and its keys. */
#include <string.h>

#include "ca/request.h"

/* A device's product says which certificates it may have; and its ID, until it has had the first:
 * one that is in the field is not stranded by a rule that came later. */
static bool product_allows(const struct ca_request *r, struct ca_refusal *ret) {
    const struct ca_products *products = r->service->config->products;
    char text[IPC_TEXT_MAX + 1];
    if (ca_products_allow(products, &r->device, r->label->profile->name, text) &&
        (r->device.cert_count || ca_products_admit(products, &r->device, text)))
        return true;
    return ca_refuse(ret, IPC_DENIED, "%s", text);
}

static bool own_certificate(const struct ca_request *r) {
    return r->who.credential & (CA_CRED_IDEVID | CA_CRED_LDEVID);
}

/* Until a certificate of ours speaks for the device, the keys do that came with its record. */
static bool key_is_its(struct ca_request *r, struct ca_refusal *ret) {
    struct ca_store *store = r->service->store;
    char tenant[IPC_NAME_MAX + 1], device[IPC_NAME_MAX + 1];
    uint8_t hash[CA_HASH_SIZE];
    if (!r->device.pinned || own_certificate(r))
        return true;
    if (!r->generated && !ca_hash(r->service->hasher, &r->csr.spki.whole, 1, hash) &&
        !store->ops->key_owner(store, hash, tenant, device) &&
        strcmp(tenant, r->device.tenant) == 0 && strcmp(device, r->device.id) == 0)
        return true;
    return ca_refuse(ret, IPC_BAD_KEY,
                     "the key is none of those that device %s was registered with", r->device.id);
}

bool ca_device_rules_fit(struct ca_request *r, struct ca_refusal *ret) {
    return r->message.origin == IPC_ORIGIN_LOCAL || (product_allows(r, ret) && key_is_its(r, ret));
}
