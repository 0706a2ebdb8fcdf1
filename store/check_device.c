/* SPDX-License-Identifier: Apache-2.0 */
/* Devices, what they hold and what is on its way to them: see store/checker.h. */
#include "store/checker.h"

#include <inttypes.h>
#include <string.h>

/* ---- devices ---- */

/* What a device is to confirm came by a transaction. A newer one, about another profile say, may
 * have taken that one's place; none at all cannot be. */
static void check_unconfirmed(struct store_checker *c, const struct ca_device *device,
                              const char *who, const struct ca_cert_ref *ref) {
    struct ca_transaction transaction;
    if (store_find_transaction(c, device->tenant, device->id, &transaction) == TM_ENOTFOUND)
        store_fault(c, "device %s: certificate %s is unconfirmed, and there is no transaction", who,
                    store_serial_name(&ref->serial).text);
}

/* Superseded and unconfirmed are facts of the device's record alone (ca/types.h). */
static uint8_t own_status(const struct ca_cert_ref *ref) {
    bool here_alone = ref->status == CA_CERT_SUPERSEDED || ref->status == CA_CERT_UNCONFIRMED;
    return here_alone ? CA_CERT_ACTIVE : ref->status;
}

static void check_ref(struct store_checker *c, const struct ca_device *device, const char *who,
                      const struct ca_cert_ref *ref) {
    struct store_name serial = store_serial_name(&ref->serial);
    struct store_certificate record;
    enum tm_err err = store_find_certificate(c, &ref->serial, &record);
    const struct ca_certificate *cert = &record.certificate;
    if (err == TM_ENOTFOUND)
        store_fault(c, "device %s names certificate %s, which is not stored", who, serial.text);
    if (err) /* a damaged certificate is reported with the certificates */
        return;
    if (!store_same_owner(cert->tenant, cert->device, device->tenant, device->id))
        store_fault(c, "device %s names certificate %s of another device", who, serial.text);
    if (cert->status != own_status(ref))
        store_fault(c, "device %s: certificate %s is %s here and %s in its own record", who,
                    serial.text, ca_cert_status_name((enum ca_cert_status)ref->status),
                    ca_cert_status_name((enum ca_cert_status)cert->status));
    if (strcmp(cert->profile, ref->profile) != 0)
        store_fault(c, "device %s: certificate %s has another profile than its own record", who,
                    serial.text);
    if (cert->issued_ms != ref->issued_ms || cert->not_after_ms != ref->not_after_ms)
        store_fault(c, "device %s: certificate %s has other dates than its own record", who,
                    serial.text);
}

void store_check_device(struct store_checker *c, struct bytes key, struct bytes value) {
    struct store_name who = store_device_name(key);
    struct ca_device device;
    if (store_unseal(c->reader->hasher, key, value, &store_device_schema, &device)) {
        store_fault(c, "device %s: the record fails its hash", who.text);
        return;
    }
    uint8_t octets[STORE_KEY_MAX];
    struct buf own = BUF_ON(octets);
    store_put_device_key(&own, device.tenant, device.id);
    if (!bytes_equal(key, buf_bytes(&own)))
        store_fault(c, "device %s: the record is of another device", who.text);
    for (size_t i = 0; i < device.cert_count; i++) {
        check_ref(c, &device, who.text, &device.certs[i]);
        if (device.certs[i].status == CA_CERT_UNCONFIRMED)
            check_unconfirmed(c, &device, who.text, &device.certs[i]);
    }
}

/* ---- certificates ---- */

/* A device's record names its newest certificates; older ones drop out once it is full. */
static void check_owner(struct store_checker *c, const struct ca_certificate *cert,
                        const char *serial) {
    struct ca_device device;
    enum tm_err err = store_find_device(c, cert->tenant, cert->device, &device);
    if (err == TM_ENOTFOUND)
        store_fault(c, "certificate %s: its device %s/%s is not stored", serial, cert->tenant,
                    cert->device);
    if (err || cert->status == CA_CERT_BURNED)
        return;
    if (device.cert_count < CA_DEVICE_CERTS_MAX && !ca_device_cert(&device, &cert->serial))
        store_fault(c, "certificate %s: its device %s/%s does not name it", serial, cert->tenant,
                    cert->device);
}

static bool leaf_tells_of(const struct ca_leaf *leaf, const struct ca_certificate *cert) {
    return leaf->event == store_leaf_event(cert) && ca_serial_equal(&leaf->serial, &cert->serial) &&
           store_same_owner(leaf->tenant, leaf->device, cert->tenant, cert->device) &&
           strcmp(leaf->profile, cert->profile) == 0 &&
           memcmp(leaf->fingerprint, cert->fingerprint, CA_HASH_SIZE) == 0;
}

static void check_told(struct store_checker *c, const struct store_certificate *record,
                       const char *serial) {
    const char *event = record->certificate.status == CA_CERT_BURNED ? "burned" : "issued";
    struct ca_leaf leaf;
    enum tm_err err = record->leaf ? store_find_leaf(c, record->leaf - 1, &leaf) : TM_ENOTFOUND;
    if (err == TM_ENOTFOUND)
        store_fault(c, "certificate %s: no audit leaf says that it was %s", serial, event);
    else if (!err && !leaf_tells_of(&leaf, &record->certificate))
        store_fault(c, "certificate %s: audit leaf %" PRIu64 " does not say that it was %s", serial,
                    record->leaf - 1, event);
}

static void check_der(struct store_checker *c, const struct ca_certificate *cert,
                      const char *serial) {
    if (cert->status == CA_CERT_BURNED) {
        if (cert->der.n)
            store_fault(c, "certificate %s: the serial is burned and has a certificate", serial);
        return;
    }
    uint8_t hash[CA_HASH_SIZE];
    if (cert->der.n == 0 || ca_hash(c->reader->hasher, &cert->der, 1, hash) ||
        memcmp(hash, cert->fingerprint, CA_HASH_SIZE) != 0)
        store_fault(c, "certificate %s: the fingerprint is not that of its DER", serial);
}

void store_check_certificate(struct store_checker *c, struct bytes key, struct bytes value) {
    struct store_name serial = store_hex_name(key);
    struct store_certificate record;
    if (store_unseal(c->reader->hasher, key, value, &store_certificate_schema, &record)) {
        store_fault(c, "certificate %s: the record fails its hash", serial.text);
        return;
    }
    if (!bytes_equal(key, store_serial_key(&record.certificate.serial)))
        store_fault(c, "certificate %s: the record is of another serial", serial.text);
    check_der(c, &record.certificate, serial.text);
    check_owner(c, &record.certificate, serial.text);
    check_told(c, &record, serial.text);
    store_check_indexed(c, &record.certificate, serial.text);
}

/* ---- intents and keys ---- */

void store_check_intent(struct store_checker *c, struct bytes key, struct bytes value) {
    struct store_name serial = store_hex_name(key);
    struct ca_intent intent;
    if (store_unseal(c->reader->hasher, key, value, &store_intent_schema, &intent)) {
        store_fault(c, "intent %s: the record fails its hash", serial.text);
        return;
    }
    if (!bytes_equal(key, store_serial_key(&intent.serial)))
        store_fault(c, "intent %s: the record is of another serial", serial.text);
    struct ca_device device;
    if (store_find_device(c, intent.tenant, intent.device, &device) == TM_ENOTFOUND)
        store_fault(c, "intent %s: its device %s/%s is not stored", serial.text, intent.tenant,
                    intent.device);
    struct store_certificate record;
    if (store_find_certificate(c, &intent.serial, &record) == TM_OK)
        store_fault(c, "intent %s is open, and its serial is %s already", serial.text,
                    record.certificate.status == CA_CERT_BURNED ? "burned" : "a certificate");
}

void store_check_key(struct store_checker *c, struct bytes key, struct bytes value) {
    struct store_name hash = store_hex_name(key);
    struct store_owner owner;
    struct ca_device device;
    if (store_unseal(c->reader->hasher, key, value, &store_owner_schema, &owner))
        store_fault(c, "key %s: the record fails its hash", hash.text);
    else if (store_find_device(c, owner.tenant, owner.device, &device) == TM_ENOTFOUND)
        store_fault(c, "key %s: its device %s/%s is not stored", hash.text, owner.tenant,
                    owner.device);
}

/* ---- transactions ---- */

static void check_answered(struct store_checker *c, const struct ca_transaction *transaction,
                           const char *who) {
    struct store_name serial = store_serial_name(&transaction->serial);
    struct store_certificate record;
    enum tm_err err = store_find_certificate(c, &transaction->serial, &record);
    if (err == TM_ENOTFOUND)
        store_fault(c, "transaction of %s: its certificate %s is not stored", who, serial.text);
    else if (!err && !store_same_owner(record.certificate.tenant, record.certificate.device,
                                       transaction->tenant, transaction->device))
        store_fault(c, "transaction of %s: its certificate %s is another device's", who,
                    serial.text);
}

void store_check_transaction(struct store_checker *c, struct bytes key, struct bytes value) {
    struct store_name who = store_device_name(key);
    struct ca_transaction transaction;
    if (store_unseal(c->reader->hasher, key, value, &store_transaction_schema, &transaction)) {
        store_fault(c, "transaction of %s: the record fails its hash", who.text);
        return;
    }
    uint8_t octets[STORE_KEY_MAX];
    struct buf own = BUF_ON(octets);
    store_put_device_key(&own, transaction.tenant, transaction.device);
    if (!bytes_equal(key, buf_bytes(&own)))
        store_fault(c, "transaction of %s: the record is of another device", who.text);
    if (!transaction.response.n)
        store_fault(c, "transaction of %s: it has no response", who.text);
    struct ca_device device;
    enum tm_err err = store_find_device(c, transaction.tenant, transaction.device, &device);
    if (err == TM_ENOTFOUND)
        store_fault(c, "transaction of %s: its device is not stored", who.text);
    else if (!err)
        check_answered(c, &transaction, who.text);
}
