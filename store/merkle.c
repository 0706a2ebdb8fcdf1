/* SPDX-License-Identifier: Apache-2.0 */
/* Appending to a Merkle tree of which only the frontier is kept: see store/merkle.h. */
#include "store/merkle.h"

#include <string.h>

/* RFC 6962, 2.1: leaves and nodes are hashed with different first octets, so that none can pass
 * for the other. */
static const uint8_t LEAF_PREFIX[] = {0x00};
static const uint8_t NODE_PREFIX[] = {0x01};

enum tm_err store_merkle_leaf(struct ca_hasher *hasher, struct bytes leaf, struct store_node *ret) {
    const struct bytes parts[] = {BYTES_OF(LEAF_PREFIX), leaf};
    return ca_hash(hasher, parts, 2, ret->hash);
}

enum tm_err store_merkle_node(struct ca_hasher *hasher, const struct store_node *left,
                              const struct store_node *right, struct store_node *ret) {
    const struct bytes parts[] = {BYTES_OF(NODE_PREFIX), BYTES_OF(left->hash),
                                  BYTES_OF(right->hash)};
    return ca_hash(hasher, parts, 3, ret->hash);
}

static bool frontier_fits(const struct store_frontier *frontier) {
    return frontier->count == (size_t)__builtin_popcountll(frontier->size);
}

enum tm_err store_merkle_append(struct ca_hasher *hasher, struct store_frontier *frontier,
                                struct bytes leaf) {
    if (!frontier_fits(frontier) || frontier->size == UINT64_MAX)
        return TM_ELIMIT;
    struct store_node node;
    enum tm_err err = store_merkle_leaf(hasher, leaf, &node);
    size_t count = frontier->count;
    /* Each trailing one bit of the size is a complete subtree as large as what was just made. */
    for (uint64_t size = frontier->size; !err && (size & 1); size >>= 1)
        err = store_merkle_node(hasher, &frontier->nodes[--count], &node, &node);
    if (err)
        return err;
    frontier->nodes[count] = node;
    frontier->count = count + 1;
    frontier->size++;
    return TM_OK;
}

enum tm_err store_merkle_root(struct ca_hasher *hasher, const struct store_frontier *frontier,
                              uint8_t ret_root[CA_HASH_SIZE]) {
    if (!frontier_fits(frontier))
        return TM_ELIMIT;
    struct store_node node;
    size_t i = frontier->count;
    enum tm_err err = TM_OK;
    if (i == 0)
        err = ca_hash(hasher, NULL, 0, node.hash);
    else
        node = frontier->nodes[--i];
    while (!err && i > 0)
        err = store_merkle_node(hasher, &frontier->nodes[--i], &node, &node);
    if (!err)
        memcpy(ret_root, node.hash, CA_HASH_SIZE);
    return err;
}
