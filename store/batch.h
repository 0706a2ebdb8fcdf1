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
    struct store_frontier frontier; /* with the leaves of this transaction */
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

/* The keys and values of `ops` stand in `arena`. */
struct store_plan {
    size_t count;
    struct store_op ops[CA_BATCH_MAX];
    struct buf arena;
};

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

/* Does the batch end, withdraw or confirm something, so that it may use a full store's headroom? */
bool store_batch_essential(const struct ca_batch *batch);

#endif
