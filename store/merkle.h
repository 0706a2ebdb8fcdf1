/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Merkle tree over the audit leaves, hashed as RFC 6962, 2.1, says. Of the tree only
 * the frontier is kept: the roots of the complete subtrees that the leaves so far fill, largest
 * first, one per bit of `size`. That is enough to append and to name the root. Pure apart from
 * the hasher; a frontier belongs to one thread.
 */
#ifndef TOUCHMARK_STORE_MERKLE_H
#define TOUCHMARK_STORE_MERKLE_H

#include "ca/hash.h"
#include "ca/types.h"

#define STORE_MERKLE_LEVELS 64 /* a uint64_t of leaves */
#define STORE_TILE_WIDTH 256   /* hashes of a complete tile (store/tile.h) */

struct store_node {
    uint8_t hash[CA_HASH_SIZE];
};

struct store_frontier {
    uint64_t size; /* leaves */
    size_t count;  /* nodes: as many as `size` has bits set */
    struct store_node nodes[STORE_MERKLE_LEVELS];
};

/* The hash of a leaf, and of the node over two. TM_ECRYPTO. */
MUST_USE enum tm_err store_merkle_leaf(struct ca_hasher *hasher, struct bytes leaf,
                                       struct store_node *ret);
MUST_USE enum tm_err store_merkle_node(struct ca_hasher *hasher, const struct store_node *left,
                                       const struct store_node *right, struct store_node *ret);

/* A zeroed frontier is that of the empty tree. Untouched unless TM_OK. TM_ECRYPTO; TM_ELIMIT
 * for a frontier whose count does not fit its size, or a full tree. */
MUST_USE enum tm_err store_merkle_append(struct ca_hasher *hasher, struct store_frontier *frontier,
                                         struct bytes leaf);

/* The Merkle tree hash over all leaves; of none, that of the empty string. */
MUST_USE enum tm_err store_merkle_root(struct ca_hasher *hasher,
                                       const struct store_frontier *frontier,
                                       uint8_t ret_root[CA_HASH_SIZE]);

#endif
