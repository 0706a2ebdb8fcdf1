/* SPDX-License-Identifier: Apache-2.0 */
/* The schemas of the administrative records, one per table: see store/records.h. */
#include "ca/build.h"
#include "store/records.h"
#include "store/schema.h"

static const struct codec_field PENDING_FIELDS[] = {
    CODEC_INT(CODEC_U64, struct ca_pending, version, 0),
    CODEC_STRING(struct ca_pending, tenant),
    CODEC_STRING(struct ca_pending, device),
    CODEC_STRING(struct ca_pending, profile),
    CODEC_INT(CODEC_U8, struct ca_pending, status, CA_PENDING_DENIED),
    CODEC_OCTETS(struct ca_pending, request),
    CODEC_OCTETS(struct ca_pending, spki_sha256),
    CODEC_STRING(struct ca_pending, key_word),
    CODEC_STRING(struct ca_pending, subject),
    CODEC_BLOB(struct ca_pending, san, CA_SAN_MAX),
    CODEC_STRING(struct ca_pending, actor),
    CODEC_STRING(struct ca_pending, remote),
    CODEC_INT(CODEC_I64, struct ca_pending, created_ms, 0),
    CODEC_INT(CODEC_I64, struct ca_pending, asked_ms, 0),
    CODEC_INT(CODEC_I64, struct ca_pending, expires_ms, 0),
    CODEC_STRING(struct ca_pending, officer),
    CODEC_INT(CODEC_I64, struct ca_pending, decided_ms, 0),
    CODEC_STRING(struct ca_pending, reason),
};
static SCHEMA(PENDING_SCHEMA, "pending request", STORE_TYPE_PENDING, 1, struct ca_pending,
              PENDING_FIELDS);

static const struct codec_field ACT_SIGNATURE_FIELDS[] = {
    CODEC_STRING(struct ca_act_signature, officer),
    CODEC_INT(CODEC_I64, struct ca_act_signature, time_ms, 0),
    CODEC_OCTETS(struct ca_act_signature, key),
    CODEC_INT(CODEC_U16, struct ca_act_signature, n, CA_ACT_SIGNATURE_MAX),
    CODEC_OCTETS(struct ca_act_signature, octets),
};
static SCHEMA(ACT_SIGNATURE_SCHEMA, "signature of an act", 0, 1, struct ca_act_signature,
              ACT_SIGNATURE_FIELDS);

static const struct codec_field ACT_FIELDS[] = {
    CODEC_INT(CODEC_U64, struct ca_act, version, 0),
    CODEC_OCTETS(struct ca_act, id),
    CODEC_STRING(struct ca_act, kind),
    CODEC_INT(CODEC_U8, struct ca_act, status, CA_ACT_EXPIRED),
    CODEC_BLOB(struct ca_act, text, CA_ACT_TEXT_MAX),
    CODEC_STRING(struct ca_act, proposer),
    CODEC_INT(CODEC_I64, struct ca_act, created_ms, 0),
    CODEC_INT(CODEC_I64, struct ca_act, expires_ms, 0),
    CODEC_INT(CODEC_I64, struct ca_act, ended_ms, 0),
    CODEC_INT(CODEC_U64, struct ca_act, done, 0),
    SERIAL(struct ca_act, cursor),
    CODEC_STRING(struct ca_act, result),
    CODEC_LIST(struct ca_act, signatures, signature_count, ACT_SIGNATURE_SCHEMA),
};
static SCHEMA(ACT_SCHEMA, "act", STORE_TYPE_ACT, 1, struct ca_act, ACT_FIELDS);

static const struct codec_field PROFILE_FIELDS[] = {
    CODEC_INT(CODEC_U64, struct ca_profile_row, version, 0),
    CODEC_STRING(struct ca_profile_row, name),
    CODEC_OCTETS(struct ca_profile_row, hash),
    CODEC_INT(CODEC_I64, struct ca_profile_row, since_ms, 0),
    CODEC_OCTETS(struct ca_profile_row, act),
};
static SCHEMA(PROFILE_SCHEMA, "profile", STORE_TYPE_PROFILE, 1, struct ca_profile_row,
              PROFILE_FIELDS);

static const struct codec_field ISSUER_FIELDS[] = {
    CODEC_INT(CODEC_U64, struct ca_issuer_row, version, 0),
    CODEC_STRING(struct ca_issuer_row, name),
    CODEC_OCTETS(struct ca_issuer_row, spki_sha256),
    CODEC_INT(CODEC_U32, struct ca_issuer_row, crl_shards, 0),
    CODEC_INT(CODEC_I64, struct ca_issuer_row, since_ms, 0),
    SERIAL(struct ca_issuer_row, ocsp),
    CODEC_INT(CODEC_U64, struct ca_issuer_row, uses[CA_USE_CERTIFICATE], 0),
    CODEC_INT(CODEC_U64, struct ca_issuer_row, uses[CA_USE_CMC], 0),
    CODEC_INT(CODEC_U64, struct ca_issuer_row, uses[CA_USE_CRL], 0),
    CODEC_INT(CODEC_U64, struct ca_issuer_row, uses[CA_USE_OCSP], 0),
    CODEC_INT(CODEC_U64, struct ca_issuer_row, uses[CA_USE_FILTER], 0),
};
_Static_assert(CA_USE_LAST == CA_USE_FILTER, "every use has its field");
static SCHEMA(ISSUER_SCHEMA, "issuer", STORE_TYPE_ISSUER, 1, struct ca_issuer_row, ISSUER_FIELDS);

static const struct codec_field PUBLISHED_FIELDS[] = {
    CODEC_INT(CODEC_U64, struct ca_published, version, 0),
    CODEC_STRING(struct ca_published, issuer),
    CODEC_STRING(struct ca_published, object),
    CODEC_INT(CODEC_U64, struct ca_published, number, 0),
    CODEC_INT(CODEC_I64, struct ca_published, this_update_ms, 0),
    CODEC_INT(CODEC_I64, struct ca_published, next_update_ms, 0),
    CODEC_INT(CODEC_U64, struct ca_published, entries, 0),
    CODEC_INT(CODEC_U64, struct ca_published, size, 0),
    CODEC_OCTETS(struct ca_published, sha256),
    CODEC_INT(CODEC_U8, struct ca_published, released, 1),
};
static SCHEMA(PUBLISHED_SCHEMA, "publication", STORE_TYPE_PUBLISHED, 1, struct ca_published,
              PUBLISHED_FIELDS);

static const struct codec_field KEYGEN_FIELDS[] = {
    CODEC_INT(CODEC_U64, struct ca_keygen, version, 0),
    CODEC_STRING(struct ca_keygen, tenant),
    CODEC_STRING(struct ca_keygen, device),
    CODEC_STRING(struct ca_keygen, profile),
    SERIAL(struct ca_keygen, serial),
    CODEC_OCTETS(struct ca_keygen, request),
    CODEC_INT(CODEC_I64, struct ca_keygen, made_ms, 0),
    CODEC_INT(CODEC_I64, struct ca_keygen, expires_ms, 0),
    CODEC_BLOB(struct ca_keygen, sealed, CA_KEYGEN_SEALED_MAX),
};
static SCHEMA(KEYGEN_SCHEMA, "generated key", STORE_TYPE_KEYGEN, 1, struct ca_keygen,
              KEYGEN_FIELDS);

static const struct codec_field ASK_FIELDS[] = {
    CODEC_INT(CODEC_U64, struct ca_ask_row, version, 0),
    CODEC_STRING(struct ca_ask_row, tenant),
    CODEC_STRING(struct ca_ask_row, device),
    CODEC_STRING(struct ca_ask_row, profile),
    SERIAL(struct ca_ask_row, serial),
    CODEC_OCTETS(struct ca_ask_row, request),
    CODEC_INT(CODEC_U8, struct ca_ask_row, open, 1),
    CODEC_INT(CODEC_U32, struct ca_ask_row, asks, 0),
    CODEC_INT(CODEC_U32, struct ca_ask_row, unknown, 0),
    CODEC_INT(CODEC_I64, struct ca_ask_row, asked_ms, 0),
    CODEC_BLOB(struct ca_ask_row, csr, IPC_UPSTREAM_CSR_MAX),
};
static SCHEMA(ASK_SCHEMA, "question to another CA", STORE_TYPE_ASK, 1, struct ca_ask_row,
              ASK_FIELDS);

static const struct codec_field FOREIGN_FIELDS[] = {
    CODEC_INT(CODEC_U64, struct ca_foreign_row, version, 0),
    CODEC_OCTETS(struct ca_foreign_row, fingerprint),
    SERIAL(struct ca_foreign_row, serial),
};
static SCHEMA(FOREIGN_SCHEMA, "certificate of another CA", STORE_TYPE_FOREIGN, 1,
              struct ca_foreign_row, FOREIGN_FIELDS);
static const struct codec_field AGREED_FIELDS[] = {
    CODEC_INT(CODEC_U64, struct ca_agreed, version, 0),
    CODEC_STRING(struct ca_agreed, name),
    CODEC_BLOB(struct ca_agreed, value, CA_AGREED_VALUE_MAX),
    CODEC_INT(CODEC_I64, struct ca_agreed, since_ms, 0),
    CODEC_OCTETS(struct ca_agreed, act),
};
static SCHEMA(AGREED_SCHEMA, "agreement", STORE_TYPE_AGREED, 1, struct ca_agreed, AGREED_FIELDS);

static const struct codec_field PRODUCT_FIELDS[] = {
    CODEC_INT(CODEC_U64, struct ca_product_row, version, 0),
    CODEC_STRING(struct ca_product_row, sku),
    CODEC_OCTETS(struct ca_product_row, hash),
    CODEC_INT(CODEC_I64, struct ca_product_row, since_ms, 0),
};
static SCHEMA(PRODUCT_SCHEMA, "product", STORE_TYPE_PRODUCT, 1, struct ca_product_row,
              PRODUCT_FIELDS);
static const struct codec_field CHECKPOINT_FIELDS[] = {
    CODEC_INT(CODEC_U64, struct ca_checkpoint, version, 0),
    CODEC_STRING(struct ca_checkpoint, name),
    CODEC_INT(CODEC_U64, struct ca_checkpoint, size, 0),
    CODEC_OCTETS(struct ca_checkpoint, root),
    CODEC_INT(CODEC_I64, struct ca_checkpoint, time_ms, 0),
    CODEC_BLOB(struct ca_checkpoint, note, CA_CHECKPOINT_NOTE_MAX),
};
static SCHEMA(CHECKPOINT_SCHEMA, "checkpoint", STORE_TYPE_CHECKPOINT, 1, struct ca_checkpoint,
              CHECKPOINT_FIELDS);

static const struct codec_field COSIGNATURE_FIELDS[] = {
    CODEC_INT(CODEC_U64, struct ca_cosignature, version, 0),
    CODEC_STRING(struct ca_cosignature, witness),
    CODEC_INT(CODEC_U64, struct ca_cosignature, size, 0),
    CODEC_OCTETS(struct ca_cosignature, root),
    CODEC_INT(CODEC_I64, struct ca_cosignature, time_ms, 0),
    CODEC_BLOB(struct ca_cosignature, line, CA_COSIGNATURE_MAX),
};
static SCHEMA(COSIGNATURE_SCHEMA, "cosignature", STORE_TYPE_COSIGNATURE, 1, struct ca_cosignature,
              COSIGNATURE_FIELDS);

static const struct codec_field DROPPED_FIELDS[] = {
    CODEC_INT(CODEC_U64, struct ca_dropped, version, 0),
    CODEC_STRING(struct ca_dropped, tenant),
    CODEC_STRING(struct ca_dropped, device),
    SERIAL(struct ca_dropped, serial),
    CODEC_INT(CODEC_I64, struct ca_dropped, not_after_ms, 0),
};
static SCHEMA(DROPPED_SCHEMA, "dropped certificate", STORE_TYPE_DROPPED, 1, struct ca_dropped,
              DROPPED_FIELDS);

const struct codec_schema *store_row_schema(enum ca_table table) {
    switch (table) {
    case CA_TABLE_PENDING:
        return &PENDING_SCHEMA;
    case CA_TABLE_ACT:
        return &ACT_SCHEMA;
    case CA_TABLE_PROFILE:
        return &PROFILE_SCHEMA;
    case CA_TABLE_ISSUER:
        return &ISSUER_SCHEMA;
    case CA_TABLE_PUBLISHED:
        return &PUBLISHED_SCHEMA;
    case CA_TABLE_KEYGEN:
        return &KEYGEN_SCHEMA;
    case CA_TABLE_ASK:
        return &ASK_SCHEMA;
    case CA_TABLE_FOREIGN:
        return &FOREIGN_SCHEMA;
    case CA_TABLE_AGREED:
        return &AGREED_SCHEMA;
    case CA_TABLE_PRODUCT:
        return &PRODUCT_SCHEMA;
    case CA_TABLE_JOB:
        return &store_job_schema;
    case CA_TABLE_JOB_IDS:
        return &store_job_ids_schema;
    case CA_TABLE_UNIT:
        return &store_unit_schema;
    case CA_TABLE_OPERATOR:
        return &store_operator_schema;
    case CA_TABLE_SHIFT:
        return &store_shift_schema;
    case CA_TABLE_CHECKPOINT:
        return &CHECKPOINT_SCHEMA;
    case CA_TABLE_COSIGNATURE:
        return &COSIGNATURE_SCHEMA;
    case CA_TABLE_DROPPED:
        return &DROPPED_SCHEMA;
    }
    return NULL;
}
