/* SPDX-License-Identifier: Apache-2.0 */
/* Does everything that must agree, agree? See store/check.h. */
#include "store/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "store/group.h"

struct checker {
    struct store_reader *reader;
    void (*report)(void *arg, const char *text);
    void *arg;
    bool faulty;
    uint64_t next_leaf;         /* the sequence number that must come next */
    struct store_frontier tree; /* recomputed from the leaves */
};

static void fault(struct checker *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fault(struct checker *c, const char *format, ...) {
    char text[IPC_TEXT_MAX + 1];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    c->faulty = true;
    c->report(c->arg, text);
}

/* ---- names for sentences ---- */

struct name {
    char text[2 * IPC_NAME_MAX + 2];
};

/* Keys come from pages that may be damaged: only printable ASCII is passed on. */
static struct name device_name(struct bytes key) {
    struct name name = {""};
    for (size_t i = 0; i < key.n && i + 1 < sizeof name.text; i++) {
        char ch = (char)key.p[i];
        name.text[i] = ch == 0 ? '/' : '?';
        if (ch > ' ' && ch <= '~')
            name.text[i] = ch;
    }
    return name;
}

static struct name hex_name(struct bytes key) {
    struct name name;
    if (hex_encode(key, name.text, sizeof name.text))
        (void)snprintf(name.text, sizeof name.text, "of %zu octets", key.n);
    return name;
}

static struct name serial_name(const struct ca_serial *serial) {
    return hex_name(store_serial_key(serial));
}

static const char *status_name(uint8_t status) {
    switch ((enum ca_cert_status)status) {
    case CA_CERT_ACTIVE:
        return "active";
    case CA_CERT_SUPERSEDED:
        return "superseded";
    case CA_CERT_REVOKED:
        return "revoked";
    case CA_CERT_BURNED:
        return "burned";
    case CA_CERT_UNCONFIRMED:
        return "unconfirmed";
    }
    return "of no known status";
}

/* ---- looking things up ---- */

static enum tm_err find_certificate(struct checker *c, const struct ca_serial *serial,
                                    struct store_certificate *ret) {
    if (serial->n == 0 || serial->n > CA_SERIAL_MAX)
        return TM_ENOTFOUND;
    return store_reader_record(c->reader, STORE_DB_CERT, store_serial_key(serial),
                               &store_certificate_schema, ret);
}

static enum tm_err find_device(struct checker *c, const char *tenant, const char *id,
                               struct ca_device *ret) {
    uint8_t octets[STORE_KEY_MAX];
    struct buf key = BUF_ON(octets);
    store_put_device_key(&key, tenant, id);
    return store_reader_record(c->reader, STORE_DB_DEVICE, buf_bytes(&key), &store_device_schema,
                               ret);
}

static enum tm_err find_leaf(struct checker *c, uint64_t sequence, struct ca_leaf *ret) {
    uint8_t octets[8];
    struct buf key = BUF_ON(octets);
    store_put_leaf_key(&key, sequence);
    return store_reader_record(c->reader, STORE_DB_LEAF, buf_bytes(&key), &store_leaf_schema, ret);
}

static bool same_owner(const char *tenant_a, const char *device_a, const char *tenant_b,
                       const char *device_b) {
    return strcmp(tenant_a, tenant_b) == 0 && strcmp(device_a, device_b) == 0;
}

/* ---- devices ---- */

static void check_ref(struct checker *c, const struct ca_device *device, const char *who,
                      const struct ca_cert_ref *ref) {
    struct name serial = serial_name(&ref->serial);
    struct store_certificate record;
    enum tm_err err = find_certificate(c, &ref->serial, &record);
    const struct ca_certificate *cert = &record.certificate;
    if (err == TM_ENOTFOUND)
        fault(c, "device %s names certificate %s, which is not stored", who, serial.text);
    if (err) /* a damaged certificate is reported with the certificates */
        return;
    if (!same_owner(cert->tenant, cert->device, device->tenant, device->id))
        fault(c, "device %s names certificate %s of another device", who, serial.text);
    /* Superseded is a fact of the device's record alone (ca/types.h). */
    uint8_t expected = ref->status == CA_CERT_SUPERSEDED ? CA_CERT_ACTIVE : ref->status;
    if (cert->status != expected)
        fault(c, "device %s: certificate %s is %s here and %s in its own record", who, serial.text,
              status_name(ref->status), status_name(cert->status));
    if (strcmp(cert->profile, ref->profile) != 0)
        fault(c, "device %s: certificate %s has another profile than its own record", who,
              serial.text);
    if (cert->issued_ms != ref->issued_ms || cert->not_after_ms != ref->not_after_ms)
        fault(c, "device %s: certificate %s has other dates than its own record", who, serial.text);
}

static void check_device(struct checker *c, struct bytes key, struct bytes value) {
    struct name who = device_name(key);
    struct ca_device device;
    if (store_unseal(c->reader->hasher, key, value, &store_device_schema, &device)) {
        fault(c, "device %s: the record fails its hash", who.text);
        return;
    }
    uint8_t octets[STORE_KEY_MAX];
    struct buf own = BUF_ON(octets);
    store_put_device_key(&own, device.tenant, device.id);
    if (!bytes_equal(key, buf_bytes(&own)))
        fault(c, "device %s: the record is of another device", who.text);
    for (size_t i = 0; i < device.cert_count; i++)
        check_ref(c, &device, who.text, &device.certs[i]);
}

/* ---- certificates ---- */

static bool device_names(const struct ca_device *device, const struct ca_serial *serial) {
    for (size_t i = 0; i < device->cert_count; i++)
        if (bytes_equal(store_serial_key(&device->certs[i].serial), store_serial_key(serial)))
            return true;
    return false;
}

/* A device's record names its newest certificates; older ones drop out once it is full. */
static void check_owner(struct checker *c, const struct ca_certificate *cert, const char *serial) {
    struct ca_device device;
    enum tm_err err = find_device(c, cert->tenant, cert->device, &device);
    if (err == TM_ENOTFOUND)
        fault(c, "certificate %s: its device %s/%s is not stored", serial, cert->tenant,
              cert->device);
    if (err || cert->status == CA_CERT_BURNED)
        return;
    if (device.cert_count < CA_DEVICE_CERTS_MAX && !device_names(&device, &cert->serial))
        fault(c, "certificate %s: its device %s/%s does not name it", serial, cert->tenant,
              cert->device);
}

static uint8_t leaf_event(const struct ca_certificate *cert) {
    return cert->status == CA_CERT_BURNED ? CA_EVENT_BURNED : CA_EVENT_ISSUED;
}

static bool leaf_tells_of(const struct ca_leaf *leaf, const struct ca_certificate *cert) {
    return leaf->event == leaf_event(cert) &&
           bytes_equal(store_serial_key(&leaf->serial), store_serial_key(&cert->serial)) &&
           same_owner(leaf->tenant, leaf->device, cert->tenant, cert->device) &&
           strcmp(leaf->profile, cert->profile) == 0 &&
           memcmp(leaf->fingerprint, cert->fingerprint, CA_HASH_SIZE) == 0;
}

static void check_told(struct checker *c, const struct store_certificate *record,
                       const char *serial) {
    const char *event = record->certificate.status == CA_CERT_BURNED ? "burned" : "issued";
    struct ca_leaf leaf;
    enum tm_err err = record->leaf ? find_leaf(c, record->leaf - 1, &leaf) : TM_ENOTFOUND;
    if (err == TM_ENOTFOUND)
        fault(c, "certificate %s: no audit leaf says that it was %s", serial, event);
    else if (!err && !leaf_tells_of(&leaf, &record->certificate))
        fault(c, "certificate %s: audit leaf %" PRIu64 " does not say that it was %s", serial,
              record->leaf - 1, event);
}

static void check_der(struct checker *c, const struct ca_certificate *cert, const char *serial) {
    if (cert->status == CA_CERT_BURNED) {
        if (cert->der.n)
            fault(c, "certificate %s: the serial is burned and has a certificate", serial);
        return;
    }
    uint8_t hash[CA_HASH_SIZE];
    if (cert->der.n == 0 || ca_hash(c->reader->hasher, &cert->der, 1, hash) ||
        memcmp(hash, cert->fingerprint, CA_HASH_SIZE) != 0)
        fault(c, "certificate %s: the fingerprint is not that of its DER", serial);
}

static void check_certificate(struct checker *c, struct bytes key, struct bytes value) {
    struct name serial = hex_name(key);
    struct store_certificate record;
    if (store_unseal(c->reader->hasher, key, value, &store_certificate_schema, &record)) {
        fault(c, "certificate %s: the record fails its hash", serial.text);
        return;
    }
    if (!bytes_equal(key, store_serial_key(&record.certificate.serial)))
        fault(c, "certificate %s: the record is of another serial", serial.text);
    check_der(c, &record.certificate, serial.text);
    check_owner(c, &record.certificate, serial.text);
    check_told(c, &record, serial.text);
}

/* ---- intents and keys ---- */

static void check_intent(struct checker *c, struct bytes key, struct bytes value) {
    struct name serial = hex_name(key);
    struct ca_intent intent;
    if (store_unseal(c->reader->hasher, key, value, &store_intent_schema, &intent)) {
        fault(c, "intent %s: the record fails its hash", serial.text);
        return;
    }
    if (!bytes_equal(key, store_serial_key(&intent.serial)))
        fault(c, "intent %s: the record is of another serial", serial.text);
    struct ca_device device;
    if (find_device(c, intent.tenant, intent.device, &device) == TM_ENOTFOUND)
        fault(c, "intent %s: its device %s/%s is not stored", serial.text, intent.tenant,
              intent.device);
    struct store_certificate record;
    if (find_certificate(c, &intent.serial, &record) == TM_OK)
        fault(c, "intent %s is open, and its serial is %s already", serial.text,
              record.certificate.status == CA_CERT_BURNED ? "burned" : "a certificate");
}

static void check_key(struct checker *c, struct bytes key, struct bytes value) {
    struct name hash = hex_name(key);
    struct store_owner owner;
    struct ca_device device;
    if (store_unseal(c->reader->hasher, key, value, &store_owner_schema, &owner))
        fault(c, "key %s: the record fails its hash", hash.text);
    else if (find_device(c, owner.tenant, owner.device, &device) == TM_ENOTFOUND)
        fault(c, "key %s: its device %s/%s is not stored", hash.text, owner.tenant, owner.device);
}

/* ---- leaves ---- */

/* An issued or burned leaf is the one that its serial's record points to: so there is no
 * second one, and none without a record. */
static void check_serial_leaf(struct checker *c, const struct ca_leaf *leaf, uint64_t sequence) {
    struct name serial = serial_name(&leaf->serial);
    struct store_certificate record;
    enum tm_err err = find_certificate(c, &leaf->serial, &record);
    const char *event = ca_event_name((enum ca_event)leaf->event);
    if (err == TM_ENOTFOUND)
        fault(c, "audit leaf %" PRIu64 " (%s): serial %s is not stored", sequence, event,
              serial.text);
    else if (!err && leaf_event(&record.certificate) != leaf->event)
        fault(c, "audit leaf %" PRIu64 " (%s): serial %s is %s", sequence, event, serial.text,
              status_name(record.certificate.status));
    else if (!err && record.leaf != sequence + 1)
        fault(c, "audit leaf %" PRIu64 " (%s): serial %s has another such leaf", sequence, event,
              serial.text);
}

static void check_sequence(struct checker *c, struct bytes key) {
    struct reader r = {key, 0, false};
    uint64_t sequence = reader_be(&r, 8);
    if (r.bad || reader_left(&r)) {
        fault(c, "an audit leaf stands under a key that is no sequence number");
        return;
    }
    if (sequence != c->next_leaf)
        fault(c, "audit leaves %" PRIu64 " to %" PRIu64 " are missing", c->next_leaf, sequence - 1);
    c->next_leaf = sequence + 1;
}

static void check_leaf(struct checker *c, struct bytes key, struct bytes value) {
    check_sequence(c, key);
    uint64_t sequence = c->next_leaf - 1;
    struct ca_leaf leaf;
    if (store_unseal(c->reader->hasher, key, value, &store_leaf_schema, &leaf)) {
        fault(c, "audit leaf %" PRIu64 ": the record fails its hash", sequence);
        return;
    }
    if (leaf.event == CA_EVENT_ISSUED || leaf.event == CA_EVENT_BURNED)
        check_serial_leaf(c, &leaf, sequence);
    if (store_merkle_append(c->reader->hasher, &c->tree, store_sealed_record(value)))
        fault(c, "audit leaf %" PRIu64 " cannot be hashed", sequence);
}

static void check_tree(struct checker *c) {
    struct store_frontier kept;
    if (store_frontier_read(c->reader->env, c->reader->txn, c->reader->hasher, &kept)) {
        fault(c, "the audit tree's frontier fails its hash");
        return;
    }
    if (kept.size != c->tree.size) {
        fault(c, "the audit tree has %" PRIu64 " leaves by its frontier and %" PRIu64 " sound ones",
              kept.size, c->tree.size);
        return;
    }
    if (kept.count != c->tree.count ||
        memcmp(kept.nodes, c->tree.nodes, kept.count * sizeof kept.nodes[0]) != 0)
        fault(c, "the audit tree's frontier is not that of its leaves");
}

/* ---- all of it ---- */

typedef void check_fn(struct checker *c, struct bytes key, struct bytes value);

static void walk(struct checker *c, enum store_db db, const char *name, check_fn *check) {
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(c->reader->txn, c->reader->env->dbs[db], &cursor);
    if (!rc) {
        MDB_val k, v;
        rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
        for (; !rc; rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT))
            check(c, (struct bytes){k.mv_data, k.mv_size}, (struct bytes){v.mv_data, v.mv_size});
        mdb_cursor_close(cursor);
    }
    if (rc != MDB_NOTFOUND)
        fault(c, "the %s cannot be read to the end: %s", name, mdb_strerror(rc));
}

static void check_format(struct checker *c) {
    struct store_format format;
    if (store_reader_record(c->reader, STORE_DB_META, bytes_str(STORE_KEY_FORMAT),
                            &store_format_schema, &format))
        fault(c, "the format record fails its hash");
}

enum tm_err store_check(struct store_reader *reader, void (*report)(void *arg, const char *text),
                        void *arg) {
    struct checker c = {.reader = reader, .report = report, .arg = arg};
    enum tm_err err = store_reader_begin(reader);
    if (err)
        return err;
    check_format(&c);
    walk(&c, STORE_DB_DEVICE, "devices", check_device);
    walk(&c, STORE_DB_CERT, "certificates", check_certificate);
    walk(&c, STORE_DB_INTENT, "intents", check_intent);
    walk(&c, STORE_DB_KEY, "keys", check_key);
    walk(&c, STORE_DB_LEAF, "audit leaves", check_leaf);
    check_tree(&c);
    store_reader_end(reader);
    return c.faulty ? TM_ECORRUPT : TM_OK;
}
