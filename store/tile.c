/* SPDX-License-Identifier: Apache-2.0 */
/* See store/tile.h. */
#include "store/tile.h"

#include <string.h>

enum tm_err store_tile_fold(struct ca_hasher *hasher, struct audit_hash *hashes, size_t count) {
    enum tm_err err = TM_OK;
    for (; count > 1 && !err; count /= 2)
        for (size_t i = 0; i < count / 2 && !err; i++)
            err = store_merkle_node(hasher, &hashes[2 * i], &hashes[2 * i + 1], &hashes[i]);
    return err;
}

size_t store_tile_width(uint64_t size, unsigned level, uint64_t index) {
    uint64_t hashes = level < STORE_TILE_LEVELS ? size >> (8 * level) : 0;
    uint64_t before = index * STORE_TILE_WIDTH;
    if (index > UINT64_MAX / STORE_TILE_WIDTH || hashes <= before)
        return 0;
    return hashes - before < STORE_TILE_WIDTH ? (size_t)(hashes - before) : STORE_TILE_WIDTH;
}

/* ---- records ---- */

static struct bytes tile_key(unsigned level, uint64_t index, struct buf *memory) {
    store_put_tile_key(memory, level, index);
    return buf_bytes(memory);
}

static enum tm_err put_record(const struct store_tiling *t, unsigned level, uint64_t index,
                              const struct audit_hash *hashes, size_t count) {
    uint8_t key_octets[16], octets[STORE_TILE_WIDTH * CA_HASH_SIZE + 64];
    struct buf key = BUF_ON(key_octets), value = BUF_ON(octets);
    const struct store_tile tile = {{hashes[0].octets, count * CA_HASH_SIZE}};
    struct bytes at = tile_key(level, index, &key);
    enum tm_err err = store_seal(t->hasher, at, &store_tile_schema, &tile, &value);
    if (err)
        return err;
    MDB_val k = {key.n, key.p}, v = {value.n, value.p};
    return store_lmdb_err(mdb_put(t->txn, t->env->dbs[STORE_DB_TILE], &k, &v, 0),
                          "storing a tile of the audit tree");
}

/* `count` hashes of it, which must be there. */
static enum tm_err read_record(const struct store_tiling *t, unsigned level, uint64_t index,
                               struct audit_hash *ret, size_t count) {
    uint8_t key_octets[16];
    struct buf key = BUF_ON(key_octets);
    struct bytes at = tile_key(level, index, &key), value;
    struct store_tile tile;
    enum tm_err err = store_get(t->env, t->txn, STORE_DB_TILE, at, &value);
    if (!err)
        err = store_unseal(t->hasher, at, value, &store_tile_schema, &tile);
    if (!err && tile.hashes.n < count * CA_HASH_SIZE)
        err = TM_ECORRUPT;
    if (!err)
        memcpy(ret, tile.hashes.p, count * CA_HASH_SIZE);
    return err == TM_ENOTFOUND ? TM_ECORRUPT : err;
}

static enum tm_err hash_leaf(const struct store_tiling *t, uint64_t sequence,
                             struct audit_hash *ret) {
    uint8_t key_octets[8];
    struct buf key = BUF_ON(key_octets);
    struct bytes value;
    store_put_leaf_key(&key, sequence);
    enum tm_err err = store_get(t->env, t->txn, STORE_DB_LEAF, buf_bytes(&key), &value);
    if (err)
        return err == TM_ENOTFOUND ? TM_ECORRUPT : err;
    return store_merkle_leaf(t->hasher, store_sealed_record(value), ret);
}

static enum tm_err hash_leaves(const struct store_tiling *t, uint64_t first, size_t count,
                               struct audit_hash *ret) {
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < count && !err; i++)
        err = hash_leaf(t, first + i, &ret[i]);
    return err;
}

/* ---- writing ---- */

enum tm_err store_tile_put(const struct store_tiling *t, uint64_t index,
                           const struct audit_hash hashes[STORE_TILE_WIDTH]) {
    struct audit_hash tile[STORE_TILE_WIDTH];
    size_t count = STORE_TILE_WIDTH;
    memcpy(tile, hashes, sizeof tile);
    enum tm_err err = put_record(t, 0, index, tile, count);
    for (unsigned level = 1; !err && count == STORE_TILE_WIDTH; level++) {
        struct audit_hash root;
        size_t before = (size_t)(index % STORE_TILE_WIDTH);
        err = store_tile_fold(t->hasher, tile, count);
        root = tile[0];
        index /= STORE_TILE_WIDTH;
        if (!err && before)
            err = read_record(t, level, index, tile, before);
        tile[before] = root;
        count = before + 1;
        if (!err)
            err = put_record(t, level, index, tile, count);
    }
    return err;
}

enum tm_err store_tile_grow(const struct store_tiling *t, uint64_t size) {
    struct audit_hash tile[STORE_TILE_WIDTH];
    if (!size || size % STORE_TILE_WIDTH)
        return TM_OK;
    enum tm_err err = hash_leaves(t, size - STORE_TILE_WIDTH, STORE_TILE_WIDTH, tile);
    return err ? err : store_tile_put(t, size / STORE_TILE_WIDTH - 1, tile);
}

/* ---- reading ---- */

enum tm_err store_tile_read(const struct store_tiling *t, uint64_t size, unsigned level,
                            uint64_t index, struct audit_hash ret[STORE_TILE_WIDTH],
                            size_t *ret_count) {
    size_t count = store_tile_width(size, level, index);
    enum tm_err err = TM_OK;
    if (count && !level && count < STORE_TILE_WIDTH)
        err = hash_leaves(t, index * STORE_TILE_WIDTH, count, ret);
    else if (count)
        err = read_record(t, level, index, ret, count);
    if (!err)
        *ret_count = count;
    return err;
}

enum tm_err store_tile_node(const struct store_tiling *t, uint64_t size, unsigned level,
                            uint64_t index, uint8_t ret[CA_HASH_SIZE]) {
    if (level >= 64 || index >= size >> level)
        return TM_ENOTFOUND;
    struct audit_hash tile[STORE_TILE_WIDTH];
    uint64_t first = index << level % 8;
    size_t at = (size_t)(first % STORE_TILE_WIDTH), count = (size_t)1 << level % 8, filled = 0;
    enum tm_err err = store_tile_read(t, size, level / 8, first / STORE_TILE_WIDTH, tile, &filled);
    if (!err && filled < at + count)
        err = TM_ECORRUPT;
    if (!err)
        err = store_tile_fold(t->hasher, tile + at, count);
    if (!err)
        memcpy(ret, tile[at].octets, CA_HASH_SIZE);
    return err;
}
