/* SPDX-License-Identifier: Apache-2.0 */
/* Reads of the audit log and its tree: see store/reader.h. */
#include <string.h>

#include "store/group.h"
#include "store/reader.h"
#include "store/tile.h"

enum tm_err store_read_leaf(struct store_reader *reader, uint64_t sequence, struct ca_leaf *ret) {
    uint8_t octets[8];
    struct buf key = BUF_ON(octets);
    store_put_leaf_key(&key, sequence);
    enum tm_err err =
        store_read_one(reader, STORE_DB_LEAF, buf_bytes(&key), &store_leaf_schema, ret);
    ret->terms = (struct bytes){0}; /* they would borrow from a page that may go */
    return err;
}

enum tm_err store_read_head(struct store_reader *reader, struct ca_audit_head *ret) {
    enum tm_err err = store_reader_begin(reader);
    if (err)
        return err;
    struct audit_frontier frontier;
    err = store_frontier_read(reader->env, reader->txn, reader->hasher, &frontier);
    store_reader_end(reader);
    if (!err)
        err = store_merkle_root(reader->hasher, &frontier, ret->root);
    if (!err)
        ret->size = frontier.size;
    return err;
}

static enum tm_err leaf_octets(struct store_reader *reader, struct bytes key, struct buf *out) {
    struct bytes value, copy;
    struct ca_leaf leaf;
    enum tm_err err = store_get(reader->env, reader->txn, STORE_DB_LEAF, key, &value);
    if (!err)
        err = store_unseal(reader->hasher, key, value, &store_leaf_schema, &leaf);
    return err ? err : store_copy_out(store_sealed_record(value), out, &copy);
}

enum tm_err store_read_leaf_octets(struct store_reader *reader, uint64_t sequence,
                                   struct buf *out) {
    uint8_t octets[8];
    struct buf key = BUF_ON(octets);
    store_put_leaf_key(&key, sequence);
    enum tm_err err = store_reader_begin(reader);
    if (err)
        return err;
    err = leaf_octets(reader, buf_bytes(&key), out);
    store_reader_end(reader);
    return err;
}

static struct store_tiling tiling(const struct store_reader *reader) {
    return (struct store_tiling){reader->env, reader->txn, reader->hasher};
}

static enum tm_err tree_size(struct store_reader *reader, uint64_t *ret) {
    struct audit_frontier frontier;
    enum tm_err err = store_frontier_read(reader->env, reader->txn, reader->hasher, &frontier);
    if (!err)
        *ret = frontier.size;
    return err;
}

enum tm_err store_read_node(struct store_reader *reader, unsigned level, uint64_t index,
                            uint8_t ret[CA_HASH_SIZE]) {
    uint64_t size = 0;
    enum tm_err err = store_reader_begin(reader);
    if (err)
        return err;
    const struct store_tiling t = tiling(reader);
    err = tree_size(reader, &size);
    if (!err)
        err = store_tile_node(&t, size, level, index, ret);
    store_reader_end(reader);
    return err;
}

enum tm_err store_read_tile(struct store_reader *reader, uint64_t size, unsigned level,
                            uint64_t index, struct buf *out) {
    struct audit_hash hashes[STORE_TILE_WIDTH];
    size_t count = 0;
    uint64_t have = 0;
    struct bytes copy;
    enum tm_err err = store_reader_begin(reader);
    if (err)
        return err;
    const struct store_tiling t = tiling(reader);
    err = tree_size(reader, &have);
    if (!err && (size > have || !store_tile_width(size, level, index)))
        err = TM_ENOTFOUND;
    if (!err)
        err = store_tile_read(&t, size, level, index, hashes, &count);
    if (!err)
        err = store_copy_out((struct bytes){hashes[0].octets, count * CA_HASH_SIZE}, out, &copy);
    store_reader_end(reader);
    return err;
}
