/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store reads from a file that may be damaged. The first octet of an input chooses the
 * reader, the rest is what it reads. A record that decodes must encode to the same octets, one of
 * an older version to its newest form; a sealed one opens under its own key only; a meta page is
 * read or refused.
 */
#include <stdlib.h>
#include <string.h>

#include "store/datafile.h"
#include "store/records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct codec_schema *const SCHEMAS[] = {
    &store_device_schema,   &store_certificate_schema, &store_intent_schema,
    &store_owner_schema,    &store_leaf_schema,        &store_format_schema,
    &store_frontier_schema, &store_transaction_schema, &store_cursor_schema,
    &store_revoked_schema,  &store_tile_schema,
};
#define RECORD_COUNT (sizeof SCHEMAS / sizeof SCHEMAS[0])
#define SCHEMA_COUNT (RECORD_COUNT + CA_TABLE_LAST)

/* The records above, then the tables' rows. */
static const struct codec_schema *schema_at(size_t i) {
    return i < RECORD_COUNT ? SCHEMAS[i] : store_row_schema((enum ca_table)(i - RECORD_COUNT + 1));
}

/* Large enough for every record. */
union any_record {
    struct ca_device device;
    struct store_certificate certificate;
    struct ca_intent intent;
    struct store_owner owner;
    struct ca_leaf leaf;
    struct store_format format;
    struct audit_frontier frontier;
    struct ca_transaction transaction;
    struct store_cursor cursor;
    struct ca_revoked revoked;
    struct store_tile tile;
    union store_row row;
};

static void require(bool holds) {
    if (!holds)
        abort();
}

static void try_sealed(struct ca_hasher *hasher, const struct codec_schema *schema,
                       const union any_record *record) {
    uint8_t octets[STORE_RECORD_MAX];
    struct buf value = BUF_ON(octets);
    union any_record back;
    require(!store_seal(hasher, bytes_str("key"), schema, record, &value));
    require(!store_unseal(hasher, bytes_str("key"), buf_bytes(&value), schema, &back));
    require(store_unseal(hasher, bytes_str("kez"), buf_bytes(&value), schema, &back) ==
            TM_ECORRUPT);
    octets[value.n - 1] ^= 1;
    require(store_unseal(hasher, bytes_str("key"), buf_bytes(&value), schema, &back) ==
            TM_ECORRUPT);
}

static void try_record(struct ca_hasher *hasher, const struct codec_schema *schema,
                       struct bytes in) {
    uint8_t octets[STORE_RECORD_MAX], again[STORE_RECORD_MAX];
    struct buf out = BUF_ON(octets), same = BUF_ON(again);
    union any_record record, newest;
    uint8_t root[CA_HASH_SIZE];
    if (!schema || codec_decode(schema, in, &record))
        return;
    require(!codec_encode(schema, &record, &out));
    require(!codec_decode(schema, buf_bytes(&out), &newest));
    require(!codec_encode(schema, &newest, &same));
    require(bytes_equal(buf_bytes(&out), buf_bytes(&same)));
    if (in.p[2] == schema->version)
        require(bytes_equal(in, buf_bytes(&out)));
    try_sealed(hasher, schema, &record);
    if (schema == &store_frontier_schema && !store_merkle_root(hasher, &record.frontier, root) &&
        record.frontier.size < UINT64_MAX)
        require(!store_merkle_append(hasher, &record.frontier, in));
}

static void try_meta(struct bytes in) {
    struct store_meta meta;
    if (store_meta_parse(in, &meta))
        return;
    require(meta.page_size >= 512 && meta.page_size <= 65536);
    require((meta.last_page + 1) * meta.page_size <= INT64_MAX);
}

/* A value as LMDB hands it out. */
static void try_stored(struct ca_hasher *hasher, struct bytes in) {
    struct ca_device device;
    enum tm_err err = store_unseal(hasher, bytes_str("k"), in, &store_device_schema, &device);
    require(!err || err == TM_ECORRUPT);
    if (!err) /* who trusts the hash sees the same */
        require(!store_peek(in, &store_device_schema, &device));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    struct bytes in = {data + 1, size - 1};
    struct ca_hasher *hasher;
    require(!ca_hasher_new(&hasher));
    size_t choice = data[0] % (SCHEMA_COUNT + 2);
    if (choice < SCHEMA_COUNT && schema_at(choice))
        try_record(hasher, schema_at(choice), in);
    else if (choice <= SCHEMA_COUNT)
        try_meta(in);
    else
        try_stored(hasher, in);
    ca_hasher_free(hasher);
    return 0;
}
