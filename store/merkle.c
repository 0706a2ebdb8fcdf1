/* SPDX-License-Identifier: Apache-2.0 */
/* Appending to a Merkle tree of which only the frontier is kept: see store/merkle.h. */
#include "store/merkle.h"

#include <string.h>

/* RFC 6962, 2.1: leaves and nodes are hashed with different first octets, so that none can pass
 * for the other. */
static const uint8_t LEAF_PREFIX[] = {0x00};
static const uint8_t NODE_PREFIX[] = {0x01};

enum tm_err store_merkle_leaf(struct ca_hasher *hasher, struct bytes leaf, struct audit_hash *ret) {
    const struct bytes parts[] = {BYTES_OF(LEAF_PREFIX), leaf};
    return ca_hash(hasher, parts, 2, ret->octets);
}

enum tm_err store_merkle_node(struct ca_hasher *hasher, const struct audit_hash *left,
                              const struct audit_hash *right, struct audit_hash *ret) {
    const struct bytes parts[] = {BYTES_OF(NODE_PREFIX), BYTES_OF(left->octets),
                                  BYTES_OF(right->octets)};
    return ca_hash(hasher, parts, 3, ret->octets);
}

static bool frontier_fits(const struct audit_frontier *frontier) {
    return frontier->count == (size_t)__builtin_popcountll(frontier->size);
}

static enum tm_err join(void *arg, const struct audit_hash *left, const struct audit_hash *right,
                        struct audit_hash *ret) {
    return store_merkle_node(arg, left, right, ret);
}

enum tm_err store_merkle_append(struct ca_hasher *hasher, struct audit_frontier *frontier,
                                struct bytes leaf) {
    const struct audit_joiner joiner = {join, hasher};
    struct audit_hash node;
    if (!frontier_fits(frontier))
        return TM_ELIMIT;
    enum tm_err err = store_merkle_leaf(hasher, leaf, &node);
    return err ? err : audit_frontier_add(frontier, &node, &joiner);
}

enum tm_err store_merkle_root(struct ca_hasher *hasher, const struct audit_frontier *frontier,
                              uint8_t ret_root[CA_HASH_SIZE]) {
    const struct audit_joiner joiner = {join, hasher};
    struct audit_hash root;
    if (!frontier_fits(frontier))
        return TM_ELIMIT;
    enum tm_err err = audit_frontier_root(frontier, &joiner, &root);
    if (!err)
        memcpy(ret_root, root.octets, CA_HASH_SIZE);
    return err;
}
