/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Merkle tree's hashes, in tiles as c2sp.org/tlog-tiles cuts them: tile (0, n) holds the hashes
 * of leaves 256 n to 256 n + 255, tile (l, n) those of the complete tiles 256 n ... of the level
 * below. A level-0 tile is written by the transaction that adds its last leaf; those above it grow
 * then, one hash each. So any node of the tree is one tile away, or, at the right edge, fewer than
 * 256 leaves. A proof needs some dozens of them.
 */
#ifndef TOUCHMARK_STORE_TILE_H
#define TOUCHMARK_STORE_TILE_H

#include "store/env.h"
#include "store/records.h"

#define STORE_TILE_LEVELS 8 /* of 256 each: a uint64_t of leaves */

/* A transaction to write in. */
struct store_tiling {
    const struct store_env *env;
    MDB_txn *txn;
    struct ca_hasher *hasher;
};

/* Puts a complete tile of level 0, and what follows from it above. TM_EFULL; TM_ECORRUPT: a tile
 * that has to grow fails its hash or lacks hashes; TM_EIO, TM_ECRYPTO. */
MUST_USE enum tm_err store_tile_put(const struct store_tiling *tiling, uint64_t index,
                                    const struct audit_hash hashes[STORE_TILE_WIDTH]);
/* The tree has grown to `size` leaves, one at a time: puts what that completes. The same. */
MUST_USE enum tm_err store_tile_grow(const struct store_tiling *tiling, uint64_t size);

/* A transaction to read in: of a tile the first hashes that a tree of `size` leaves fills, at most
 * 256 of them; *ret_count 0: none. TM_ECORRUPT, TM_EIO, TM_ECRYPTO. */
MUST_USE enum tm_err store_tile_read(const struct store_tiling *tiling, uint64_t size,
                                     unsigned level, uint64_t index,
                                     struct audit_hash ret[STORE_TILE_WIDTH], size_t *ret_count);
/* The root of the complete subtree over leaves [index << level, (index + 1) << level).
 * TM_ENOTFOUND: a tree of `size` leaves has not so many. */
MUST_USE enum tm_err store_tile_node(const struct store_tiling *tiling, uint64_t size,
                                     unsigned level, uint64_t index, uint8_t ret[CA_HASH_SIZE]);

/* The root over the hashes of one complete subtree: `count` is a power of two. Uses them up. */
MUST_USE enum tm_err store_tile_fold(struct ca_hasher *hasher, struct audit_hash *hashes,
                                     size_t count);
/* How many hashes of this tile a tree of `size` leaves fills. */
size_t store_tile_width(uint64_t size, unsigned level, uint64_t index);

#endif
