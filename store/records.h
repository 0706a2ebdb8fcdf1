/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands in the databases: one schema (base/codec.h) per record, and the keys.
 *
 * A stored value is the record hash, 16 octets, and the encoded record. The record hash is
 * SHA-256 over the key's length (one octet), the key and the encoded record, cut to 16 octets:
 * LMDB keeps no checksums, and with the key in the hash a record that landed under another's key
 * is noticed too.
 */
#ifndef TOUCHMARK_STORE_RECORDS_H
#define TOUCHMARK_STORE_RECORDS_H

#include "base/codec.h"
#include "ca/hash.h"
#include "ca/rows.h"
#include "store/merkle.h"

#define STORE_FORMAT 4            /* raised when an older program could not read the store */
#define STORE_RECORD_HASH_SIZE 16 /* octets */
#define STORE_RECORD_MAX 13312    /* octets of a stored value: a transaction with its response */
#define STORE_KEY_MAX 255         /* octets of a key; LMDB takes 511 */

/* Values are stored: never renumber. */
enum store_type {
    STORE_TYPE_DEVICE = 0x1001,
    STORE_TYPE_CERTIFICATE,
    STORE_TYPE_INTENT,
    STORE_TYPE_OWNER,
    STORE_TYPE_LEAF,
    STORE_TYPE_FORMAT,
    STORE_TYPE_FRONTIER,
    STORE_TYPE_TRANSACTION,
    STORE_TYPE_CURSOR,
    STORE_TYPE_REVOKED,
    STORE_TYPE_PENDING,
    STORE_TYPE_ACT,
    STORE_TYPE_PROFILE,
    STORE_TYPE_ISSUER,
    STORE_TYPE_PUBLISHED,
    STORE_TYPE_KEYGEN,
    STORE_TYPE_ASK,
    STORE_TYPE_FOREIGN,
    STORE_TYPE_AGREED,
    STORE_TYPE_PRODUCT,
    STORE_TYPE_JOB,
    STORE_TYPE_JOB_IDS,
    STORE_TYPE_UNIT,
    STORE_TYPE_OPERATOR,
    STORE_TYPE_SHIFT,
    STORE_TYPE_CHECKPOINT,
    STORE_TYPE_COSIGNATURE,
    STORE_TYPE_TILE,
    STORE_TYPE_DROPPED,
};

/* A certificate or burned serial, and which audit leaf of the same transaction tells of it. */
struct store_certificate {
    struct ca_certificate certificate;
    uint64_t leaf; /* its sequence number plus one; 0: the transaction had none */
};

/* Who may use a key. */
struct store_owner {
    char tenant[IPC_NAME_MAX + 1];
    char device[IPC_NAME_MAX + 1];
};

/* How far a consumer of the audit log has come. */
struct store_cursor {
    uint64_t next; /* sequence number of the first leaf that it has not got */
};

/* Hashes of the audit tree, one after the other (store/tile.h). */
struct store_tile {
    struct bytes hashes;
};

/* What the store is. */
struct store_format {
    uint32_t format; /* STORE_FORMAT */
    char environment[IPC_NAME_MAX + 1];
    int64_t created_ms;
};

/* For struct ca_device, store_certificate, ca_intent, store_owner, ca_leaf, store_format,
 * store_frontier, ca_transaction, store_cursor, ca_revoked (whose serial stands in its key alone)
 * and store_tile. */
extern const struct codec_schema store_device_schema, store_certificate_schema, store_intent_schema,
    store_owner_schema, store_leaf_schema, store_format_schema, store_frontier_schema,
    store_transaction_schema, store_cursor_schema, store_revoked_schema, store_tile_schema;

/* In which version a leaf is written: the oldest that can say all that it does, from 2 on. So what
 * an older program wrote comes to the same octets again, and a leaf is no larger than it must be.
 */
const struct codec_schema *store_leaf_schema_of(const struct ca_leaf *leaf);

/* A row of any table (ca/rows.h). */
union store_row {
    uint64_t version; /* the first member of every table's struct */
    struct ca_pending pending;
    struct ca_act act;
    struct ca_profile_row profile;
    struct ca_issuer_row issuer;
    struct ca_published published;
    struct ca_keygen keygen;
    struct ca_ask_row ask;
    struct ca_foreign_row foreign;
    struct ca_agreed agreed;
    struct ca_product_row product;
    struct ca_job job;
    struct ca_job_ids job_ids;
    struct ca_unit unit;
    struct ca_operator person;
    struct ca_shift shift;
    struct ca_checkpoint checkpoint;
    struct ca_cosignature cosignature;
    struct ca_dropped dropped;
};

/* NULL: there is no such table. */
const struct codec_schema *store_row_schema(enum ca_table table);

/* LMDB refuses keys of no or too many octets: nothing is stored under such names and serials. */
bool store_name_is_key(const char *name);
bool store_serial_is_key(const struct ca_serial *serial);

/* Appends tenant, NUL and device ID: a tenant's devices stand together, sorted by ID. The key of a
 * device and of its transaction. */
void store_put_device_key(struct buf *out, const char *tenant, const char *id);
/* Appends the eight octets of a sequence number, big endian. */
void store_put_leaf_key(struct buf *out, uint64_t sequence);
/* Appends a tile's key: the level's octet, and the eight of its index, big endian. */
void store_put_tile_key(struct buf *out, unsigned level, uint64_t index);
/* The serial's own octets; borrows from it. */
struct bytes store_serial_key(const struct ca_serial *serial);
/* How the index of the revoked tells of a certificate. */
struct ca_revoked store_revoked_of(const struct ca_certificate *certificate);
/* Appends issuer, NUL and serial: what an issuer revoked stands together, sorted by serial. With a
 * serial of no octets it is what they begin with. */
void store_put_revoked_key(struct buf *out, const char *issuer, const struct ca_serial *serial);
/* Appends the table's octet and the row's own key: a table's rows stand together. TM_ELIMIT and
 * TM_EINVAL as ca_row_key. */
MUST_USE enum tm_err store_put_row_key(struct buf *out, enum ca_table table, const void *row);

/* Appends the stored value of a record. TM_ELIMIT and TM_EINVAL as codec_encode, TM_ECRYPTO. */
MUST_USE enum tm_err store_seal(struct ca_hasher *hasher, struct bytes key,
                                const struct codec_schema *schema, const void *record,
                                struct buf *out);

/* Checks the record hash and decodes; BYTES members borrow from `value`. TM_ECORRUPT when
 * the hash is another or the record cannot be one; *ret_record is then unspecified. */
MUST_USE enum tm_err store_unseal(struct ca_hasher *hasher, struct bytes key, struct bytes value,
                                  const struct codec_schema *schema, void *ret_record);

/* Decodes like store_unseal and trusts the hash: what BYTES members borrow is not even looked at.
 * For walks over many records that judge few. TM_ECORRUPT: the record cannot be one. */
MUST_USE enum tm_err store_peek(struct bytes value, const struct codec_schema *schema,
                                void *ret_record);

/* The encoded record within a stored value: of a leaf, the octets that the Merkle tree hashes. */
struct bytes store_sealed_record(struct bytes value);

#endif
