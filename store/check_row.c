/* SPDX-License-Identifier: Apache-2.0 */
/* Administrative rows, and the index of revoked certificates: see store/checker.h. */
#include <inttypes.h>
#include <string.h>

#include "store/checker.h"

/* ---- rows ---- */

static const char *table_name(uint8_t table) {
    const struct codec_schema *schema = store_row_schema((enum ca_table)table);
    return schema ? schema->name : NULL;
}

/* The number of a certificate that another CA signed leads to it. */
static void check_foreign(struct store_checker *c, const struct ca_foreign_row *row,
                          const char *who) {
    struct store_certificate record;
    enum tm_err err = store_find_certificate(c, &row->serial, &record);
    if (err == TM_ENOTFOUND)
        store_fault(c, "certificate %s of another CA is not stored", who);
    else if (!err && memcmp(record.certificate.fingerprint, row->fingerprint, CA_HASH_SIZE) != 0)
        store_fault(c, "certificate %s of another CA leads to another certificate", who);
}

/* It is one of that device. */
static void check_dropped(struct store_checker *c, const struct ca_dropped *row) {
    struct store_name serial = store_serial_name(&row->serial);
    struct store_certificate record;
    enum tm_err err = store_find_certificate(c, &row->serial, &record);
    if (err == TM_ENOTFOUND)
        store_fault(c, "dropped certificate %s is not stored", serial.text);
    else if (!err && !store_same_owner(row->tenant, row->device, record.certificate.tenant,
                                       record.certificate.device))
        store_fault(c, "dropped certificate %s is another device's", serial.text);
}

static bool has_octets_key(enum ca_table table) {
    return table == CA_TABLE_ACT || table == CA_TABLE_FOREIGN;
}

void store_check_row(struct store_checker *c, struct bytes key, struct bytes value) {
    const char *table = table_name(key.p[0]);
    if (!table) {
        store_fault(c, "a row stands in table %u, which is none", key.p[0]);
        return;
    }
    struct bytes own_key = {key.p + 1, key.n - 1};
    enum ca_table number = (enum ca_table)key.p[0];
    struct store_name who =
        has_octets_key(number) ? store_hex_name(own_key) : store_device_name(own_key);
    uint8_t octets[STORE_KEY_MAX];
    struct buf own = BUF_ON(octets);
    union store_row row;
    if (store_unseal(c->reader->hasher, key, value, store_row_schema(number), &row))
        store_fault(c, "%s %s: the record fails its hash", table, who.text);
    else if (store_put_row_key(&own, number, &row) || !bytes_equal(key, buf_bytes(&own)))
        store_fault(c, "%s %s: the record is of another key", table, who.text);
    else if (row.version == 0)
        store_fault(c, "%s %s: it has no version", table, who.text);
    else if (number == CA_TABLE_FOREIGN)
        check_foreign(c, &row.foreign, who.text);
    else if (number == CA_TABLE_DROPPED)
        check_dropped(c, &row.dropped);
}

/* ---- revoked certificates ---- */

static bool same_revocation(const struct ca_revoked *a, const struct ca_revoked *b) {
    return a->revoked_ms == b->revoked_ms && a->not_after_ms == b->not_after_ms &&
           a->reason == b->reason;
}

static enum tm_err find_revoked(struct store_checker *c, const struct ca_certificate *certificate,
                                struct ca_revoked *ret) {
    uint8_t octets[STORE_KEY_MAX];
    struct buf key = BUF_ON(octets);
    store_put_revoked_key(&key, certificate->issuer, &certificate->serial);
    return store_reader_record(c->reader, STORE_DB_REVOKED, buf_bytes(&key), &store_revoked_schema,
                               ret);
}

/* Of an entry that stands under issuer and serial. */
static void check_entry(struct store_checker *c, struct bytes key, const struct ca_revoked *entry,
                        const char *who) {
    struct store_certificate record;
    enum tm_err err = store_find_certificate(c, &entry->serial, &record);
    const struct ca_certificate *certificate = &record.certificate;
    uint8_t octets[STORE_KEY_MAX];
    struct buf own = BUF_ON(octets);
    if (err == TM_ENOTFOUND)
        store_fault(c, "revoked certificate %s is not stored", who);
    if (err) /* a damaged certificate is reported with the certificates */
        return;
    store_put_revoked_key(&own, certificate->issuer, &certificate->serial);
    const struct ca_revoked wanted = store_revoked_of(certificate);
    if (!bytes_equal(key, buf_bytes(&own)))
        store_fault(c, "revoked certificate %s is of issuer %s", who, certificate->issuer);
    else if (certificate->status != CA_CERT_REVOKED)
        store_fault(c, "revoked certificate %s is %s in its own record", who,
                    ca_cert_status_name((enum ca_cert_status)certificate->status));
    else if (!same_revocation(entry, &wanted))
        store_fault(c, "revoked certificate %s has another reason or other dates in its own record",
                    who);
}

void store_check_revoked(struct store_checker *c, struct bytes key, struct bytes value) {
    const uint8_t *nul = memchr(key.p, 0, key.n);
    struct bytes serial = {NULL, 0};
    if (nul)
        serial = (struct bytes){nul + 1, key.n - (size_t)(nul + 1 - key.p)};
    struct store_name who = store_hex_name(serial);
    struct ca_revoked entry;
    if (store_unseal(c->reader->hasher, key, value, &store_revoked_schema, &entry))
        store_fault(c, "revoked certificate %s: the record fails its hash", who.text);
    else if (!ca_serial_read(serial, &entry.serial))
        store_fault(c, "revoked certificate %s stands under a key that is none", who.text);
    else
        check_entry(c, key, &entry, who.text);
}

/* What the index has too much is found by its own walk. */
void store_check_indexed(struct store_checker *c, const struct ca_certificate *certificate,
                         const char *serial) {
    struct ca_revoked entry;
    if (certificate->status == CA_CERT_REVOKED &&
        find_revoked(c, certificate, &entry) == TM_ENOTFOUND)
        store_fault(c, "certificate %s is revoked, and not among the revoked of its issuer %s",
                    serial, certificate->issuer);
}
