/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signed checkpoints of the audit log (c2sp.org/tlog-checkpoint). While the log grows, one is
 * signed every audit.interval by the key on the token for that, verified with the pinned key and
 * stored; nobody can change what stands before it without another root. Witnesses' cosignatures,
 * which a command brings from them, are stored beside.
 *
 * What was shown to others is a witness of the store: a checkpoint of a larger tree than the log
 * has, or with another root than the log has at that size, says that somebody put back or rewrote
 * the store. It is held then, as a store that is older than its CRLs (restored.h), until that is
 * accepted.
 *
 *   checkpoint.c         signing
 *   checkpoint_judge.c   what was shown against what there is
 *   checkpoint_cosign.c  what witnesses say
 *   checkpoint_proof.c   proofs
 *
 * On the loop's thread. Not having any is NULL, which core_checkpoint_tick and _free take.
 */
#ifndef TOUCHMARK_SERVER_CORE_CHECKPOINT_H
#define TOUCHMARK_SERVER_CORE_CHECKPOINT_H

#include "audit/proof.h"
#include "ca/signer.h"
#include "server/core/core.h"

struct core_alarm;

struct core_checkpoint_config {
    struct ca_store *store;
    struct ca_signer *signer;
    struct core_restored *restored;
    struct core_alarm *alarm;
    const struct core_audit *audit;
    const struct conf_audit *conf;
    int64_t (*now_ms)(void);
};

struct core_checkpoint;

/* Reads what was stored, and audit.seen, and judges it. TM_ENOMEM, what the store says. */
MUST_USE enum tm_err core_checkpoint_new(const struct core_checkpoint_config *config,
                                         struct core_checkpoint **ret_checkpoint);
/* After the store and the signer are closed. */
void core_checkpoint_free(struct core_checkpoint *checkpoint);
/* Signs when it is time. Call it every 100 ms; not while the store is held. */
void core_checkpoint_tick(struct core_checkpoint *checkpoint);

/* The next tick signs, if the log grew. */
void core_checkpoint_hurry(struct core_checkpoint *checkpoint);

/* The newest signed note, and the newest that a witness cosigned; empty: none. Valid until the next
 * tick, or the next thing brought from a witness. */
struct bytes core_checkpoint_signed(const struct core_checkpoint *checkpoint);
struct bytes core_checkpoint_cosigned(const struct core_checkpoint *checkpoint);
/* What the log's key signed last, and what a witness did (by its place in core_audit). */
struct core_checkpoint_mark {
    uint64_t size;   /* leaves of the tree; 0: none is known */
    int64_t time_ms; /* 0: the same */
};
struct core_checkpoint_mark core_checkpoint_own(const struct core_checkpoint *checkpoint);
struct core_checkpoint_mark core_checkpoint_seen(const struct core_checkpoint *checkpoint,
                                                 size_t witness);

/* A receipt for a leaf, appended: under the newest cosigned checkpoint if the leaf is in it, else
 * under the newest. TM_ENOTFOUND: it is in none yet, or there is no such leaf. */
MUST_USE enum tm_err core_checkpoint_receipt(struct core_checkpoint *checkpoint, uint64_t sequence,
                                             struct buf *out);
/* What to send to a witness that saw a tree of `old` leaves (c2sp.org/tlog-witness), appended.
 * TM_ENOTFOUND: there is no checkpoint; TM_EINVAL: it is of a smaller tree. */
MUST_USE enum tm_err core_checkpoint_addition(struct core_checkpoint *checkpoint, uint64_t old,
                                              struct buf *out);

/* Takes what a witness gave: a checkpoint of this log with its cosignature. Calls `done` once, with
 * the sentence for who brought it. TM_EDENIED: it shows another history, and the store is held from
 * now on; TM_EPARSE, TM_ECRYPTO, TM_ENOTFOUND: it is none, or not by a witness of the
 * configuration. TM_EAGAIN: another is being stored. */
typedef void core_cosigned_fn(void *arg, enum tm_err result, const char *text);
void core_checkpoint_cosign(struct core_checkpoint *checkpoint, struct bytes note,
                            core_cosigned_fn *done, void *arg);

#endif
