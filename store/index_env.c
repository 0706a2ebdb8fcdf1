/* SPDX-License-Identifier: Apache-2.0 */
/* Databases and keys of the index: see store/index_internal.h. */
#include <errno.h>

#include "base/log.h"
#include "store/env.h"
#include "store/index_internal.h"
#include "store/records.h"
#include "store/schema.h"

static const struct codec_field state_fields[] = {
    CODEC_INT(CODEC_U32, struct index_state, format, 0),
    CODEC_INT(CODEC_U64, struct index_state, next, 0),
    CODEC_INT(CODEC_U64, struct index_state, walked_to, 0),
    CODEC_INT(CODEC_U8, struct index_state, walked, 1),
    CODEC_STRING(struct index_state, tenant),
    CODEC_STRING(struct index_state, device),
    CODEC_INT(CODEC_U64, struct index_state, devices, 0),
    CODEC_INT(CODEC_U32, struct index_state, tenants, 0),
    CODEC_INT(CODEC_U32, struct index_state, names, 0),
    CODEC_OCTETS(struct index_state, leaf),
};
SCHEMA(index_state_schema, "index_state", 0x1101, 1, struct index_state, state_fields);

static const char STATE_KEY[] = "state";

enum tm_err index_begin(struct ca_index *index, bool writes, struct index_txn *ret) {
    *ret = (struct index_txn){.index = index, .writes = writes};
    if (writes)
        ret->state = index->state;
    return store_lmdb_err(mdb_txn_begin(index->env, NULL, writes ? 0 : MDB_RDONLY, &ret->txn),
                          "index: beginning");
}

void index_abort(struct index_txn *t) {
    mdb_txn_abort(t->txn);
    t->txn = NULL;
}

enum tm_err index_commit(struct index_txn *t) {
    uint8_t octets[512];
    struct buf value = BUF_ON(octets);
    enum tm_err err = codec_encode(&index_state_schema, &t->state, &value);
    if (!err)
        err = index_put(t, INDEX_DB_STATE, bytes_str(STATE_KEY), buf_bytes(&value));
    if (err) {
        index_abort(t);
        return err;
    }
    int rc = mdb_txn_commit(t->txn);
    t->txn = NULL;
    if (rc == ENOSPC || rc == EDQUOT || rc == EFBIG)
        return TM_EFULL;
    return store_lmdb_err(rc, "index: committing");
}

static MDB_val val_of(struct bytes octets) {
    return (MDB_val){octets.n, (void *)(uintptr_t)octets.p};
}

enum tm_err index_get(const struct index_txn *t, enum index_db db, struct bytes key,
                      struct bytes *ret) {
    MDB_val k = val_of(key), v;
    enum tm_err err = store_lmdb_err(mdb_get(t->txn, t->index->dbs[db], &k, &v), "index: reading");
    if (!err)
        *ret = (struct bytes){v.mv_data, v.mv_size};
    return err;
}

enum tm_err index_put(struct index_txn *t, enum index_db db, struct bytes key, struct bytes value) {
    MDB_val k = val_of(key), v = val_of(value);
    return store_lmdb_err(mdb_put(t->txn, t->index->dbs[db], &k, &v, 0), "index: writing");
}

enum tm_err index_leaf_hash(const struct ca_index *index, const struct ca_leaf *leaf,
                            uint8_t ret[CA_HASH_SIZE]) {
    uint8_t octets[STORE_RECORD_MAX];
    struct buf out = BUF_ON(octets);
    enum tm_err err = codec_encode(store_leaf_schema_of(leaf), leaf, &out);
    struct bytes record = buf_bytes(&out);
    return err ? err : ca_hash(index->hasher, &record, 1, ret);
}

/* ---- names ---- */

enum tm_err index_name(struct index_txn *t, enum index_kind kind, uint16_t tenant, const char *text,
                       bool make, uint32_t *ret) {
    uint8_t octets[3 + IPC_NAME_MAX], number[4];
    struct buf key = BUF_ON(octets), value = BUF_ON(number);
    struct bytes found;
    buf_put_u8(&key, (uint8_t)kind);
    buf_put_be(&key, tenant, 2);
    buf_put(&key, bytes_str(text));
    enum tm_err err = index_get(t, INDEX_DB_NAME, buf_bytes(&key), &found);
    if (!err) {
        struct reader r = {found, 0, false};
        *ret = (uint32_t)reader_be(&r, 4);
        return r.bad ? TM_ECORRUPT : TM_OK;
    }
    if (err != TM_ENOTFOUND || !make)
        return err;
    *ret = kind == INDEX_TENANT ? ++t->state.tenants : ++t->state.names;
    buf_put_be(&value, *ret, 4);
    return index_put(t, INDEX_DB_NAME, buf_bytes(&key), buf_bytes(&value));
}

enum tm_err index_tenant(struct index_txn *t, const char *text, bool make, uint16_t *ret) {
    uint32_t number;
    enum tm_err err = index_name(t, INDEX_TENANT, 0, text, make, &number);
    if (!err && number > UINT16_MAX)
        err = TM_ELIMIT;
    if (!err)
        *ret = (uint16_t)number;
    return err;
}

/* ---- lists ---- */

void index_list_key(uint8_t kind, uint16_t tenant, uint32_t value, uint8_t ret[INDEX_LIST_KEY]) {
    struct buf key = {ret, INDEX_LIST_KEY, 0, false};
    buf_put_u8(&key, kind);
    buf_put_be(&key, tenant, 2);
    buf_put_be(&key, value, 4);
}

enum index_db index_list_db(uint8_t kind) {
    return kind > INDEX_TIMED ? INDEX_DB_TIMED : INDEX_DB_MEMBER;
}

struct bytes index_list_item(uint8_t kind, uint32_t minute, uint64_t number, uint8_t ret[10]) {
    struct buf item = {ret, 10, 0, false};
    if (kind > INDEX_TIMED)
        buf_put_be(&item, minute, 4);
    buf_put_be(&item, number, 6);
    return buf_bytes(&item);
}
