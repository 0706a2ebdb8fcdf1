/* SPDX-License-Identifier: Apache-2.0 */
/* See audit/tree.h. Proofs are verified as RFC 9162, 2.1.3.2 and 2.1.4.2 say, whose trees are the
 * same. */
#include "audit/tree.h"

#include <string.h>

enum tm_err audit_leaf_hash(struct bytes leaf, struct audit_hash *ret) {
    static const uint8_t prefix[] = {0x00};
    const struct bytes parts[] = {BYTES_OF(prefix), leaf};
    return audit_sha256(parts, 2, ret);
}

enum tm_err audit_node_hash(const struct audit_hash *left, const struct audit_hash *right,
                            struct audit_hash *ret) {
    static const uint8_t prefix[] = {0x01};
    const struct bytes parts[] = {BYTES_OF(prefix), BYTES_OF(left->octets),
                                  BYTES_OF(right->octets)};
    return audit_sha256(parts, 3, ret);
}

/* ---- growing ---- */

static enum tm_err join(const struct audit_joiner *joiner, const struct audit_hash *left,
                        struct audit_hash *node) {
    return joiner ? joiner->node(joiner->arg, left, node, node) : audit_node_hash(left, node, node);
}

/* Each trailing one bit of the size is a complete subtree as large as what was just made. */
enum tm_err audit_frontier_add(struct audit_frontier *frontier, const struct audit_hash *leaf,
                               const struct audit_joiner *joiner) {
    if (frontier->size >= AUDIT_SIZE_MAX)
        return TM_ELIMIT;
    struct audit_hash node = *leaf;
    size_t count = frontier->count;
    enum tm_err err = TM_OK;
    for (uint64_t size = frontier->size; !err && (size & 1); size >>= 1)
        err = join(joiner, &frontier->nodes[--count], &node);
    if (err)
        return err;
    frontier->nodes[count] = node;
    frontier->count = count + 1;
    frontier->size++;
    return TM_OK;
}

enum tm_err audit_frontier_root(const struct audit_frontier *frontier,
                                const struct audit_joiner *joiner, struct audit_hash *ret) {
    if (!frontier->count)
        return audit_sha256(NULL, 0, ret);
    struct audit_hash node = frontier->nodes[frontier->count - 1];
    enum tm_err err = TM_OK;
    for (size_t i = frontier->count - 1; !err && i > 0; i--)
        err = join(joiner, &frontier->nodes[i - 1], &node);
    if (!err)
        *ret = node;
    return err;
}

/* That of the leaves from `start` on, which is a multiple of the largest power of two that is not
 * above n. */
static enum tm_err frontier_from(const struct audit_nodes *nodes, uint64_t start, uint64_t n,
                                 struct audit_frontier *ret) {
    *ret = (struct audit_frontier){.size = n};
    enum tm_err err = TM_OK;
    for (unsigned level = 62; level <= 62 && !err; level--) {
        if (!(n >> level & 1))
            continue;
        err = nodes->node(nodes->arg, level, start >> level, &ret->nodes[ret->count]);
        ret->count++;
        start += UINT64_C(1) << level;
    }
    return err;
}

enum tm_err audit_frontier_of(const struct audit_nodes *nodes, uint64_t size,
                              struct audit_frontier *ret) {
    struct audit_frontier frontier;
    if (size > AUDIT_SIZE_MAX)
        return TM_ELIMIT;
    enum tm_err err = frontier_from(nodes, 0, size, &frontier);
    if (!err)
        *ret = frontier;
    return err;
}

static enum tm_err root_from(const struct audit_nodes *nodes, uint64_t start, uint64_t n,
                             struct audit_hash *ret) {
    struct audit_frontier frontier;
    enum tm_err err = frontier_from(nodes, start, n, &frontier);
    return err ? err : audit_frontier_root(&frontier, NULL, ret);
}

enum tm_err audit_root(const struct audit_nodes *nodes, uint64_t size, struct audit_hash *ret) {
    return size > AUDIT_SIZE_MAX ? TM_ELIMIT : root_from(nodes, 0, size, ret);
}

/* ---- proofs, made ---- */

/* The largest power of two below n, which is two or more. */
static uint64_t split(uint64_t n) {
    return UINT64_C(1) << (63 - __builtin_clzll(n - 1));
}

static enum tm_err add(const struct audit_nodes *nodes, uint64_t start, uint64_t n,
                       struct audit_proof *proof) {
    if (proof->count == AUDIT_PROOF_MAX)
        return TM_ELIMIT;
    return root_from(nodes, start, n, &proof->hashes[proof->count++]);
}

/* They were found from the root down, and proofs go up. */
static void turn(struct audit_proof *proof) {
    for (size_t i = 0; i < proof->count / 2; i++) {
        struct audit_hash other = proof->hashes[i];
        proof->hashes[i] = proof->hashes[proof->count - 1 - i];
        proof->hashes[proof->count - 1 - i] = other;
    }
}

enum tm_err audit_inclusion_make(const struct audit_nodes *nodes, uint64_t index, uint64_t size,
                                 struct audit_proof *ret) {
    struct audit_proof proof = {0};
    uint64_t start = 0, n = size;
    enum tm_err err = size > AUDIT_SIZE_MAX ? TM_ELIMIT : index >= size ? TM_EINVAL : TM_OK;
    while (!err && n > 1) {
        uint64_t k = split(n);
        bool left = index - start < k;
        err = left ? add(nodes, start + k, n - k, &proof) : add(nodes, start, k, &proof);
        start += left ? 0 : k;
        n = left ? k : n - k;
    }
    if (err)
        return err;
    turn(&proof);
    *ret = proof;
    return TM_OK;
}

enum tm_err audit_consistency_make(const struct audit_nodes *nodes, uint64_t old, uint64_t size,
                                   struct audit_proof *ret) {
    struct audit_proof proof = {0};
    uint64_t start = 0, m = old, n = size;
    enum tm_err err = size > AUDIT_SIZE_MAX ? TM_ELIMIT : old > size ? TM_EINVAL : TM_OK;
    while (!err && m && m != n) {
        uint64_t k = split(n);
        bool left = m <= k;
        err = left ? add(nodes, start + k, n - k, &proof) : add(nodes, start, k, &proof);
        start += left ? 0 : k;
        m -= left ? 0 : k;
        n = left ? k : n - k;
    }
    if (!err && start) /* else it is the old tree's root, which is known */
        err = add(nodes, start, n, &proof);
    if (err)
        return err;
    turn(&proof);
    *ret = proof;
    return TM_OK;
}

/* ---- proofs, verified ---- */

static enum tm_err settle(bool proven) {
    return proven ? TM_OK : TM_EDENIED;
}

enum tm_err audit_inclusion_verify(uint64_t index, uint64_t size, const struct audit_hash *leaf,
                                   const struct audit_proof *proof, const struct audit_hash *root) {
    if (size > AUDIT_SIZE_MAX || index >= size || proof->count > AUDIT_PROOF_MAX)
        return TM_EDENIED;
    struct audit_hash node = *leaf;
    uint64_t fn = index, sn = size - 1;
    for (size_t i = 0; i < proof->count; i++) {
        const struct audit_hash *p = &proof->hashes[i];
        if (!sn)
            return TM_EDENIED;
        bool right = (fn & 1) || fn == sn;
        enum tm_err err =
            right ? audit_node_hash(p, &node, &node) : audit_node_hash(&node, p, &node);
        if (err)
            return err;
        for (; right && !(fn & 1) && fn; fn >>= 1)
            sn >>= 1;
        fn >>= 1;
        sn >>= 1;
    }
    return settle(!sn && audit_hash_equal(&node, root));
}

/* One hash of the proof goes into the new tree's root, and, if it stands on the left, into the old
 * one's. */
static enum tm_err climb(const struct audit_hash *p, bool left, struct audit_hash *old,
                         struct audit_hash *new) {
    enum tm_err err = TM_OK;
    if (left)
        err = audit_node_hash(p, old, old);
    if (err)
        return err;
    return left ? audit_node_hash(p, new, new) : audit_node_hash(new, p, new);
}

static enum tm_err verify_growth(uint64_t old, uint64_t size, const struct audit_hash *old_root,
                                 const struct audit_hash *root, const struct audit_proof *proof) {
    bool whole = (old & (old - 1)) == 0; /* the old root is a node of the new tree */
    size_t i = whole ? 0 : 1;
    if (proof->count < (whole ? 1 : 2))
        return TM_EDENIED;
    struct audit_hash from = whole ? *old_root : proof->hashes[0], to = from;
    uint64_t fn = old - 1, sn = size - 1;
    for (; fn & 1; fn >>= 1)
        sn >>= 1;
    for (; i < proof->count; i++) {
        if (!sn)
            return TM_EDENIED;
        bool left = (fn & 1) || fn == sn;
        enum tm_err err = climb(&proof->hashes[i], left, &from, &to);
        if (err)
            return err;
        for (; left && !(fn & 1) && fn; fn >>= 1)
            sn >>= 1;
        fn >>= 1;
        sn >>= 1;
    }
    return settle(!sn && audit_hash_equal(&from, old_root) && audit_hash_equal(&to, root));
}

enum tm_err audit_consistency_verify(uint64_t old, uint64_t size, const struct audit_hash *old_root,
                                     const struct audit_hash *root,
                                     const struct audit_proof *proof) {
    if (size > AUDIT_SIZE_MAX || old > size || proof->count > AUDIT_PROOF_MAX)
        return TM_EDENIED;
    if (old == size)
        return settle(!proof->count && audit_hash_equal(old_root, root));
    if (old)
        return verify_growth(old, size, old_root, root, proof);
    struct audit_hash empty;
    enum tm_err err = audit_sha256(NULL, 0, &empty);
    return err ? err : settle(!proof->count && audit_hash_equal(old_root, &empty));
}
