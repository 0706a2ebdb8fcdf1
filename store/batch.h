/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One batch in a write transaction, in two steps. Planning checks every precondition against
 * the state before the batch and encodes every record; only what passed in whole is applied. So
 * a batch that fails leaves no trace in the transaction that it shares with others. All of
 * it runs on the writer's thread.
 */
#ifndef TOUCHMARK_STORE_BATCH_H
#define TOUCHMARK_STORE_BATCH_H

#include "ca/store.h"
#include "store/env.h"
#include "store/records.h"

/* A write transaction under way. */
struct store_writing {
    const struct store_env *env;
    MDB_txn *txn;
    struct ca_hasher *hasher;
    struct audit_frontier frontier; /* with the leaves of this transaction */
};

enum store_op_kind {
    STORE_OP_PUT,    /* may replace */
    STORE_OP_APPEND, /* must be new; its key most likely sorts last */
    STORE_OP_REMOVE, /* must be there */
};

struct store_op {
    enum store_op_kind kind;
    enum store_db db;
    struct bytes key;
    struct bytes value; /* sealed */
};

#define STORE_OPS_MAX (2 * CA_BATCH_MAX) /* a certificate's status: its record and the index */

/* The keys and values of `ops` stand in `arena`. */
struct store_plan {
    size_t count;
    struct store_op ops[STORE_OPS_MAX];
    struct buf arena;
};

/* What the largest batch needs; the index's entry takes less than a certificate's record leaves of
 * STORE_RECORD_MAX. Only what batches fill becomes resident: a few KiB. */
#define STORE_ARENA_SIZE ((size_t)CA_BATCH_MAX * (STORE_KEY_MAX + STORE_RECORD_MAX))

/* Plans a batch; plan->arena holds STORE_ARENA_SIZE octets of the caller's. TM_ECONFLICT,
 * TM_ELIMIT (a value outside its bounds) and TM_ECORRUPT (a record in the way fails its hash) are
 * the batch's result, and *ret_failed the change at fault. TM_EIO and TM_ECRYPTO are fatal. */
MUST_USE enum tm_err store_batch_plan(const struct store_writing *writing,
                                      const struct ca_batch *batch, struct store_plan *plan,
                                      size_t *ret_failed);

/* Carries a plan out. TM_EFULL: the map is full and the transaction must be aborted; anything
 * else is fatal. */
MUST_USE enum tm_err store_batch_apply(struct store_writing *writing,
                                       const struct store_plan *plan);

/*
 * May the batch use a full store's headroom? What begins something new may not: an intent, a
 * device, a request that waits for an officer. Of the others may
 *
 * - what ends an intent, with all that its certificate brings along (a sealed key, a response),
 *   removes a row, changes a certificate's status, or withdraws a device, or stops a job: it must
 * never be stuck;
 * - a device's confirmation: it adds one audit leaf, happens once for each certificate, and a
 *   device that may not confirm asks again and again;
 * - what is published (numbers must rise durably before anything is signed), which rewrites a row
 *   per issuer and shard and adds an audit leaf, at the publisher's pace;
 * - acts, new ones too: the mass revocation that a full store may need begins with one, only
 *   officers make them, and one takes 12 KiB at most; and the rows of issuers, which are as few as
 *   the configuration names;
 * - uses of keys with nothing else beside them: they rewrite one row, and without them OCSP would
 *   end.
 *
 * Not that the certificate of an OCSP key be renewed: that is an issuance, whose intent begins
 * something. It lasts far longer than a full store may be left alone.
 */
bool store_batch_essential(const struct ca_batch *batch);

#endif
