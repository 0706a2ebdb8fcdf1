/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Merkle tree of RFC 6962, 2.1: its hashes, and proofs that a leaf is in it (2.1.1) and that
 * one tree is the beginning of another (2.1.2). Whoever makes proofs hands in the nodes; the node
 * (level, index) is the root of the complete subtree over the leaves [index << level, (index + 1)
 * << level). Nothing allocates; thread-safe.
 */
#ifndef TOUCHMARK_AUDIT_TREE_H
#define TOUCHMARK_AUDIT_TREE_H

#include "audit/crypto.h"

/* Trees beyond have proofs of more than AUDIT_PROOF_MAX hashes. */
#define AUDIT_SIZE_MAX (UINT64_C(1) << 62)
#define AUDIT_PROOF_MAX 63 /* as many as a witness takes (c2sp.org/tlog-witness) */

struct audit_proof {
    size_t count;
    struct audit_hash hashes[AUDIT_PROOF_MAX];
};

/* Where nodes come from. Any error ends what asked for them. */
struct audit_nodes {
    enum tm_err (*node)(void *arg, unsigned level, uint64_t index, struct audit_hash *ret);
    void *arg;
};

MUST_USE enum tm_err audit_leaf_hash(struct bytes leaf, struct audit_hash *ret);
MUST_USE enum tm_err audit_node_hash(const struct audit_hash *left, const struct audit_hash *right,
                                     struct audit_hash *ret);

/* The root over the first `size` leaves; of none, the hash of the empty string. TM_ELIMIT beyond
 * AUDIT_SIZE_MAX; TM_ECRYPTO; what `nodes` says. */
MUST_USE enum tm_err audit_root(const struct audit_nodes *nodes, uint64_t size,
                                struct audit_hash *ret);

/* Leaf `index` is in the tree of `size` leaves. TM_EINVAL: it is not below size. */
MUST_USE enum tm_err audit_inclusion_make(const struct audit_nodes *nodes, uint64_t index,
                                          uint64_t size, struct audit_proof *ret);
/* TM_EDENIED: it does not prove that. */
MUST_USE enum tm_err audit_inclusion_verify(uint64_t index, uint64_t size,
                                            const struct audit_hash *leaf,
                                            const struct audit_proof *proof,
                                            const struct audit_hash *root);

/* The tree of `old` leaves is the beginning of that of `size`. Of no leaves, and of the same tree,
 * the proof is empty. TM_EINVAL: old is above size. */
MUST_USE enum tm_err audit_consistency_make(const struct audit_nodes *nodes, uint64_t old,
                                            uint64_t size, struct audit_proof *ret);
/* TM_EDENIED: it does not prove that. */
MUST_USE enum tm_err audit_consistency_verify(uint64_t old, uint64_t size,
                                              const struct audit_hash *old_root,
                                              const struct audit_hash *root,
                                              const struct audit_proof *proof);

/* ---- growing one without its nodes ---- */

/* The roots of the complete subtrees that the leaves so far fill, largest first: one per bit of
 * `size`. Zeroed: the empty tree. */
struct audit_frontier {
    uint64_t size;
    size_t count;
    struct audit_hash nodes[64];
};

/* Hashes a node in the way of audit_node_hash, for who has a faster one; where it is NULL, that is
 * done. `ret` may be one of the two. */
struct audit_joiner {
    enum tm_err (*node)(void *arg, const struct audit_hash *left, const struct audit_hash *right,
                        struct audit_hash *ret);
    void *arg;
};

/* TM_ELIMIT beyond AUDIT_SIZE_MAX; TM_ECRYPTO; then it is as before. */
MUST_USE enum tm_err audit_frontier_add(struct audit_frontier *frontier,
                                        const struct audit_hash *leaf,
                                        const struct audit_joiner *joiner);
MUST_USE enum tm_err audit_frontier_root(const struct audit_frontier *frontier,
                                         const struct audit_joiner *joiner, struct audit_hash *ret);
/* The frontier of a tree whose nodes there are. As audit_root. */
MUST_USE enum tm_err audit_frontier_of(const struct audit_nodes *nodes, uint64_t size,
                                       struct audit_frontier *ret);

#endif
