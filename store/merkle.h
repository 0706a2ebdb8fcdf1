/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Merkle tree over the audit leaves (audit/tree.h), hashed by a hasher that is made once: a
 * leaf costs a handful of hashes, and making what hashes would cost as much again. Of the tree only
 * the frontier is kept. Pure apart from the hasher; a frontier belongs to one thread.
 */
#ifndef TOUCHMARK_STORE_MERKLE_H
#define TOUCHMARK_STORE_MERKLE_H

#include "audit/tree.h"
#include "ca/hash.h"
#include "ca/types.h"

#define STORE_TILE_WIDTH 256 /* hashes of a complete tile (store/tile.h) */

/* The hash of a leaf, and of the node over two. TM_ECRYPTO. */
MUST_USE enum tm_err store_merkle_leaf(struct ca_hasher *hasher, struct bytes leaf,
                                       struct audit_hash *ret);
MUST_USE enum tm_err store_merkle_node(struct ca_hasher *hasher, const struct audit_hash *left,
                                       const struct audit_hash *right, struct audit_hash *ret);

/* A zeroed frontier is that of the empty tree. Untouched unless TM_OK. TM_ECRYPTO; TM_ELIMIT
 * for a frontier whose count does not fit its size, or a full tree. */
MUST_USE enum tm_err store_merkle_append(struct ca_hasher *hasher, struct audit_frontier *frontier,
                                         struct bytes leaf);

/* The Merkle tree hash over all leaves; of none, that of the empty string. */
MUST_USE enum tm_err store_merkle_root(struct ca_hasher *hasher,
                                       const struct audit_frontier *frontier,
                                       uint8_t ret_root[CA_HASH_SIZE]);

#endif
