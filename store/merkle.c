/* SPDX-License-Identifier: Apache-2.0 */
/* Appending to a Merkle tree of which only the frontier is kept: see store/merkle.h. */
#include "store/merkle.h"

#include <string.h>

/* RFC 6962, 2.1: leaves and nodes are hashed with different first octets, so that none can pass
 * for the other. */
static const uint8_t LEAF_PREFIX[] = {0x00};
static const uint8_t NODE_PREFIX[] = {0x01};

static enum tm_err hash_node(struct ca_hasher *hasher, const uint8_t left[CA_HASH_SIZE],
                             const uint8_t right[CA_HASH_SIZE], uint8_t ret[CA_HASH_SIZE]) {
    struct bytes parts[] = {BYTES_OF(NODE_PREFIX), {left, CA_HASH_SIZE}, {right, CA_HASH_SIZE}};
    return ca_hash(hasher, parts, 3, ret);
}

static bool frontier_fits(const struct store_frontier *frontier) {
    return frontier->count == (size_t)__builtin_popcountll(frontier->size);
}

enum tm_err store_merkle_append(struct ca_hasher *hasher, struct store_frontier *frontier,
                                struct bytes leaf) {
    if (!frontier_fits(frontier) || frontier->size == UINT64_MAX)
        return TM_ELIMIT;
    uint8_t node[CA_HASH_SIZE];
    struct bytes parts[] = {BYTES_OF(LEAF_PREFIX), leaf};
    enum tm_err err = ca_hash(hasher, parts, 2, node);
    size_t count = frontier->count;
    /* Each trailing one bit of the size is a complete subtree as large as what was just made. */
    for (uint64_t size = frontier->size; !err && (size & 1); size >>= 1)
        err = hash_node(hasher, frontier->nodes[--count].hash, node, node);
    if (err)
        return err;
    memcpy(frontier->nodes[count].hash, node, CA_HASH_SIZE);
    frontier->count = count + 1;
    frontier->size++;
    return TM_OK;
}

enum tm_err store_merkle_root(struct ca_hasher *hasher, const struct store_frontier *frontier,
                              uint8_t ret_root[CA_HASH_SIZE]) {
    if (!frontier_fits(frontier))
        return TM_ELIMIT;
    uint8_t node[CA_HASH_SIZE];
    size_t i = frontier->count;
    enum tm_err err = TM_OK;
    if (i == 0)
        err = ca_hash(hasher, NULL, 0, node);
    else
        memcpy(node, frontier->nodes[--i].hash, CA_HASH_SIZE);
    while (!err && i > 0)
        err = hash_node(hasher, frontier->nodes[--i].hash, node, node);
    if (!err)
        memcpy(ret_root, node, CA_HASH_SIZE);
    return err;
}
