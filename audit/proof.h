/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proofs as text: a leaf's inclusion (c2sp.org/tlog-proof), which is a receipt when its `extra` is
 * the leaf; and what a witness is asked (c2sp.org/tlog-witness, add-checkpoint). Both end with a
 * checkpoint. Everything borrows; nothing allocates; thread-safe.
 */
#ifndef TOUCHMARK_AUDIT_PROOF_H
#define TOUCHMARK_AUDIT_PROOF_H

#include "audit/note.h"
#include "audit/tree.h"

#define AUDIT_LEAF_MAX 4096 /* octets of a leaf in a receipt */
/* Octets of either text. */
#define AUDIT_PROOF_TEXT_MAX (2 * AUDIT_LEAF_MAX + AUDIT_PROOF_MAX * 45 + 128 + AUDIT_NOTE_MAX)

struct audit_receipt {
    struct bytes leaf; /* as the tree hashes it */
    uint64_t index;
    struct audit_proof proof;
    struct bytes checkpoint; /* the signed note */
};

/* Appends it. TM_ELIMIT. */
MUST_USE enum tm_err audit_receipt_put(struct buf *out, const struct audit_receipt *receipt);
/* The leaf goes into `memory`, for which AUDIT_LEAF_MAX + 3 octets are enough. TM_EPARSE;
 * TM_ELIMIT.
 */
MUST_USE enum tm_err audit_receipt_parse(struct bytes text, struct buf *memory,
                                         struct audit_receipt *ret);
/* Is the leaf in the tree that the checkpoint, whoever signed it, is of? TM_EPARSE: it has none;
 * TM_EDENIED: no. */
MUST_USE enum tm_err audit_receipt_verify(const struct audit_receipt *receipt);

struct audit_addition {
    uint64_t old;
    struct audit_proof proof;
    struct bytes checkpoint; /* the signed note */
};

MUST_USE enum tm_err audit_addition_put(struct buf *out, const struct audit_addition *addition);
MUST_USE enum tm_err audit_addition_parse(struct bytes text, struct audit_addition *ret);

#endif
