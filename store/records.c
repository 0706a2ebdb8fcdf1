/* SPDX-License-Identifier: Apache-2.0 */
/* The schemas of the registry's records, all keys and the record hash: see store/records.h. */
#include "store/records.h"

#include <string.h>

#include "store/schema.h"

static const struct codec_field CERT_REF_FIELDS[] = {
    SERIAL(struct ca_cert_ref, serial),
    CODEC_STRING(struct ca_cert_ref, profile),
    CODEC_INT(CODEC_U8, struct ca_cert_ref, status, CA_CERT_STATUS_LAST),
    CODEC_INT(CODEC_I64, struct ca_cert_ref, issued_ms, 0),
    CODEC_INT(CODEC_I64, struct ca_cert_ref, not_after_ms, 0),
    CODEC_OCTETS(struct ca_cert_ref, request),
};
static SCHEMA(CERT_REF_SCHEMA, "certificate reference", 0, 1, struct ca_cert_ref, CERT_REF_FIELDS);

static const struct codec_field DEVICE_FIELDS[] = {
    CODEC_STRING(struct ca_device, tenant),
    CODEC_STRING(struct ca_device, id),
    CODEC_INT(CODEC_U64, struct ca_device, version, 0),
    CODEC_INT(CODEC_U8, struct ca_device, state, CA_STATE_LAST),
    CODEC_INT(CODEC_I64, struct ca_device, created_ms, 0),
    CODEC_INT(CODEC_I64, struct ca_device, changed_ms, 0),
    CODEC_STRING(struct ca_device, sku),
    CODEC_STRING(struct ca_device, hardware_revision),
    CODEC_STRING(struct ca_device, batch),
    CODEC_STRING(struct ca_device, site),
    CODEC_STRING(struct ca_device, station),
    STRING_SINCE(struct ca_device, job, 3),
    CODEC_STRING(struct ca_device, operator_name),
    CODEC_STRING(struct ca_device, firmware),
    CODEC_INT(CODEC_U32, struct ca_device, provisioning_version, 0),
    CODEC_INT(CODEC_U32, struct ca_device, rma_count, 0),
    {.name = "rework_count",
     .type = CODEC_U32,
     .since = 3,
     .offset = offsetof(struct ca_device, rework_count)},
    {.name = "certs_from_ms",
     .type = CODEC_I64,
     .since = 3,
     .offset = offsetof(struct ca_device, certs_from_ms)},
    {.name = "pinned",
     .type = CODEC_U8,
     .since = 3,
     .offset = offsetof(struct ca_device, pinned),
     .max = 1},
    CODEC_INT(CODEC_U8, struct ca_device, secret.set, 1),
    CODEC_INT(CODEC_U8, struct ca_device, secret.used, 1),
    CODEC_OCTETS(struct ca_device, secret.salt),
    CODEC_OCTETS(struct ca_device, secret.hash),
    CODEC_OCTETS(struct ca_device, secret.request),
    CODEC_INT(CODEC_I64, struct ca_device, secret.expires_ms, 0),
    {.name = "secret.has_proof",
     .type = CODEC_U8,
     .since = 2,
     .offset = offsetof(struct ca_device, secret.has_proof),
     .max = 1},
    {.name = "secret.proof",
     .type = CODEC_FIXED,
     .since = 2,
     .offset = offsetof(struct ca_device, secret.proof),
     .max = CA_PROOF_SIZE},
    CODEC_LIST(struct ca_device, certs, cert_count, CERT_REF_SCHEMA),
};
SCHEMA(store_device_schema, "device", STORE_TYPE_DEVICE, 3, struct ca_device, DEVICE_FIELDS);

static const struct codec_field CERTIFICATE_FIELDS[] = {
    SERIAL(struct store_certificate, certificate.serial),
    CODEC_INT(CODEC_U8, struct store_certificate, certificate.status, CA_CERT_STATUS_LAST),
    CODEC_STRING(struct store_certificate, certificate.tenant),
    CODEC_STRING(struct store_certificate, certificate.device),
    CODEC_STRING(struct store_certificate, certificate.profile),
    CODEC_OCTETS(struct store_certificate, certificate.profile_hash),
    CODEC_STRING(struct store_certificate, certificate.issuer),
    CODEC_INT(CODEC_I64, struct store_certificate, certificate.issued_ms, 0),
    CODEC_INT(CODEC_I64, struct store_certificate, certificate.not_after_ms, 0),
    CODEC_INT(CODEC_I64, struct store_certificate, certificate.revoked_ms, 0),
    CODEC_INT(CODEC_U8, struct store_certificate, certificate.revoked_reason, 0),
    CODEC_OCTETS(struct store_certificate, certificate.fingerprint),
    CODEC_BLOB(struct store_certificate, certificate.der, IPC_CERT_MAX),
    CODEC_INT(CODEC_U64, struct store_certificate, leaf, 0),
};
SCHEMA(store_certificate_schema, "certificate", STORE_TYPE_CERTIFICATE, 1, struct store_certificate,
       CERTIFICATE_FIELDS);

static const struct codec_field INTENT_FIELDS[] = {
    SERIAL(struct ca_intent, serial),
    CODEC_STRING(struct ca_intent, tenant),
    CODEC_STRING(struct ca_intent, device),
    CODEC_STRING(struct ca_intent, profile),
    CODEC_OCTETS(struct ca_intent, profile_hash),
    CODEC_OCTETS(struct ca_intent, request),
    CODEC_INT(CODEC_U8, struct ca_intent, from_state, CA_STATE_LAST),
    CODEC_INT(CODEC_U8, struct ca_intent, to_state, CA_STATE_LAST),
    CODEC_INT(CODEC_I64, struct ca_intent, created_ms, 0),
    STRING_SINCE(struct ca_intent, job, 2),
};
SCHEMA(store_intent_schema, "intent", STORE_TYPE_INTENT, 2, struct ca_intent, INTENT_FIELDS);

static const struct codec_field OWNER_FIELDS[] = {
    CODEC_STRING(struct store_owner, tenant),
    CODEC_STRING(struct store_owner, device),
};
SCHEMA(store_owner_schema, "key owner", STORE_TYPE_OWNER, 1, struct store_owner, OWNER_FIELDS);

static const struct codec_field LEAF_FIELDS[] = {
    CODEC_INT(CODEC_U8, struct ca_leaf, event, CA_EVENT_LAST),
    CODEC_INT(CODEC_I64, struct ca_leaf, time_ms, 0),
    CODEC_INT(CODEC_U64, struct ca_leaf, request, 0),
    CODEC_INT(CODEC_U8, struct ca_leaf, origin, IPC_ORIGIN_LAST),
    CODEC_INT(CODEC_U8, struct ca_leaf, operation, IPC_OP_LAST),
    CODEC_INT(CODEC_U8, struct ca_leaf, outcome, IPC_OUTCOME_LAST),
    CODEC_INT(CODEC_U8, struct ca_leaf, from_state, CA_STATE_LAST),
    CODEC_INT(CODEC_U8, struct ca_leaf, to_state, CA_STATE_LAST),
    CODEC_INT(CODEC_U32, struct ca_leaf, count, 0),
    CODEC_STRING(struct ca_leaf, tenant),
    CODEC_STRING(struct ca_leaf, device),
    CODEC_STRING(struct ca_leaf, profile),
    SERIAL(struct ca_leaf, serial),
    CODEC_OCTETS(struct ca_leaf, fingerprint),
    CODEC_STRING(struct ca_leaf, actor),
    CODEC_STRING(struct ca_leaf, remote),
    CODEC_STRING(struct ca_leaf, site),
    CODEC_STRING(struct ca_leaf, reason),
    STRING_SINCE(struct ca_leaf, station, 2),
    STRING_SINCE(struct ca_leaf, job, 2),
    STRING_SINCE(struct ca_leaf, operator_name, 2),
    STRING_SINCE(struct ca_leaf, issuer, 3),
    STRING_SINCE(struct ca_leaf, provider, 3),
    {.name = "since_ms",
     .type = CODEC_I64,
     .since = 3,
     .offset = offsetof(struct ca_leaf, since_ms)},
    {.name = "until_ms",
     .type = CODEC_I64,
     .since = 3,
     .offset = offsetof(struct ca_leaf, until_ms)},
    {.name = "terms",
     .type = CODEC_BYTES,
     .since = 3,
     .offset = offsetof(struct ca_leaf, terms),
     .max = CA_TERMS_MAX},
};
#define LEAF_FIELDS_2 (sizeof LEAF_FIELDS / sizeof LEAF_FIELDS[0] - 5)
SCHEMA(store_leaf_schema, "audit leaf", STORE_TYPE_LEAF, 3, struct ca_leaf, LEAF_FIELDS);
static const struct codec_schema LEAF_SCHEMA_2 = {.name = "audit leaf",
                                                  .type = STORE_TYPE_LEAF,
                                                  .version = 2,
                                                  .size = sizeof(struct ca_leaf),
                                                  .fields = LEAF_FIELDS,
                                                  .field_count = LEAF_FIELDS_2};

const struct codec_schema *store_leaf_schema_of(const struct ca_leaf *leaf) {
    bool newer =
        leaf->issuer[0] || leaf->provider[0] || leaf->since_ms || leaf->until_ms || leaf->terms.n;
    return newer ? &store_leaf_schema : &LEAF_SCHEMA_2;
}

static const struct codec_field FORMAT_FIELDS[] = {
    CODEC_INT(CODEC_U32, struct store_format, format, 0),
    CODEC_STRING(struct store_format, environment),
    CODEC_INT(CODEC_I64, struct store_format, created_ms, 0),
};
SCHEMA(store_format_schema, "format", STORE_TYPE_FORMAT, 1, struct store_format, FORMAT_FIELDS);

static const struct codec_field NODE_FIELDS[] = {CODEC_OCTETS(struct audit_hash, octets)};
static SCHEMA(NODE_SCHEMA, "node", 0, 1, struct audit_hash, NODE_FIELDS);

static const struct codec_field FRONTIER_FIELDS[] = {
    CODEC_INT(CODEC_U64, struct audit_frontier, size, 0),
    CODEC_LIST(struct audit_frontier, nodes, count, NODE_SCHEMA),
};
SCHEMA(store_frontier_schema, "frontier", STORE_TYPE_FRONTIER, 1, struct audit_frontier,
       FRONTIER_FIELDS);

static const struct codec_field TRANSACTION_FIELDS[] = {
    CODEC_STRING(struct ca_transaction, tenant),
    CODEC_STRING(struct ca_transaction, device),
    CODEC_OCTETS(struct ca_transaction, id),
    CODEC_INT(CODEC_U8, struct ca_transaction, id_n, CA_TRANSACTION_ID_MAX),
    CODEC_OCTETS(struct ca_transaction, message),
    CODEC_OCTETS(struct ca_transaction, request),
    SERIAL(struct ca_transaction, serial),
    CODEC_INT(CODEC_I64, struct ca_transaction, challenge_ms, 0),
    CODEC_INT(CODEC_I64, struct ca_transaction, created_ms, 0),
    CODEC_BLOB(struct ca_transaction, response, CA_RESPONSE_MAX),
};
SCHEMA(store_transaction_schema, "transaction", STORE_TYPE_TRANSACTION, 1, struct ca_transaction,
       TRANSACTION_FIELDS);

static const struct codec_field CURSOR_FIELDS[] = {
    CODEC_INT(CODEC_U64, struct store_cursor, next, 0),
};
SCHEMA(store_cursor_schema, "cursor", STORE_TYPE_CURSOR, 1, struct store_cursor, CURSOR_FIELDS);

static const struct codec_field REVOKED_FIELDS[] = {
    CODEC_INT(CODEC_I64, struct ca_revoked, revoked_ms, 0),
    CODEC_INT(CODEC_I64, struct ca_revoked, not_after_ms, 0),
    CODEC_INT(CODEC_U8, struct ca_revoked, reason, 0),
};
SCHEMA(store_revoked_schema, "revoked certificate", STORE_TYPE_REVOKED, 1, struct ca_revoked,
       REVOKED_FIELDS);

static const struct codec_field TILE_FIELDS[] = {
    CODEC_BLOB(struct store_tile, hashes, STORE_TILE_WIDTH *CA_HASH_SIZE),
};
SCHEMA(store_tile_schema, "tile", STORE_TYPE_TILE, 1, struct store_tile, TILE_FIELDS);

bool store_name_is_key(const char *name) {
    size_t n = strnlen(name, IPC_NAME_MAX + 1);
    return n > 0 && n <= IPC_NAME_MAX;
}

bool store_serial_is_key(const struct ca_serial *serial) {
    return serial->n > 0 && serial->n <= CA_SERIAL_MAX;
}

void store_put_device_key(struct buf *out, const char *tenant, const char *id) {
    buf_put(out, bytes_str(tenant));
    buf_put_u8(out, 0);
    buf_put(out, bytes_str(id));
}

void store_put_leaf_key(struct buf *out, uint64_t sequence) {
    buf_put_be(out, sequence, 8);
}

void store_put_tile_key(struct buf *out, unsigned level, uint64_t index) {
    buf_put_u8(out, (uint8_t)level);
    buf_put_be(out, index, 8);
}

struct bytes store_serial_key(const struct ca_serial *serial) {
    return (struct bytes){serial->octets, serial->n};
}

struct ca_revoked store_revoked_of(const struct ca_certificate *certificate) {
    return (struct ca_revoked){.serial = certificate->serial,
                               .revoked_ms = certificate->revoked_ms,
                               .not_after_ms = certificate->not_after_ms,
                               .reason = certificate->revoked_reason};
}

void store_put_revoked_key(struct buf *out, const char *issuer, const struct ca_serial *serial) {
    buf_put(out, bytes_str(issuer));
    buf_put_u8(out, 0);
    buf_put(out, store_serial_key(serial));
}

enum tm_err store_put_row_key(struct buf *out, enum ca_table table, const void *row) {
    buf_put_u8(out, (uint8_t)table);
    return ca_row_key(table, row, out);
}

static enum tm_err record_hash(struct ca_hasher *hasher, struct bytes key, struct bytes record,
                               uint8_t ret[CA_HASH_SIZE]) {
    uint8_t length = (uint8_t)key.n;
    struct bytes parts[] = {{&length, 1}, key, record};
    return ca_hash(hasher, parts, 3, ret);
}

enum tm_err store_seal(struct ca_hasher *hasher, struct bytes key,
                       const struct codec_schema *schema, const void *record, struct buf *out) {
    static const uint8_t room[STORE_RECORD_HASH_SIZE];
    size_t start = out->n;
    if (key.n > STORE_KEY_MAX)
        return TM_ELIMIT;
    buf_put(out, BYTES_OF(room));
    enum tm_err err = out->full ? TM_ELIMIT : codec_encode(schema, record, out);
    uint8_t hash[CA_HASH_SIZE];
    size_t at = start + sizeof room;
    if (!err)
        err = record_hash(hasher, key, (struct bytes){out->p + at, out->n - at}, hash);
    if (err) {
        out->n = start;
        return err;
    }
    memcpy(out->p + start, hash, sizeof room);
    return TM_OK;
}

struct bytes store_sealed_record(struct bytes value) {
    if (value.n < STORE_RECORD_HASH_SIZE)
        return (struct bytes){NULL, 0};
    return (struct bytes){value.p + STORE_RECORD_HASH_SIZE, value.n - STORE_RECORD_HASH_SIZE};
}

/* A flipped octet in a page can make LMDB hand out any length: none is read before this. */
static bool length_fits(struct bytes value) {
    return value.n >= STORE_RECORD_HASH_SIZE && value.n <= STORE_RECORD_MAX;
}

enum tm_err store_peek(struct bytes value, const struct codec_schema *schema, void *ret_record) {
    if (!length_fits(value))
        return TM_ECORRUPT;
    return codec_decode(schema, store_sealed_record(value), ret_record) ? TM_ECORRUPT : TM_OK;
}

enum tm_err store_unseal(struct ca_hasher *hasher, struct bytes key, struct bytes value,
                         const struct codec_schema *schema, void *ret_record) {
    if (key.n > STORE_KEY_MAX || !length_fits(value))
        return TM_ECORRUPT;
    uint8_t hash[CA_HASH_SIZE];
    enum tm_err err = record_hash(hasher, key, store_sealed_record(value), hash);
    if (err)
        return err;
    if (memcmp(hash, value.p, STORE_RECORD_HASH_SIZE) != 0)
        return TM_ECORRUPT;
    return store_peek(value, schema, ret_record);
}
