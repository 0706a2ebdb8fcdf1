/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One group of batches, one transaction, one fdatasync: what the writer's thread does between
 * taking batches and handing their results back.
 */
#ifndef TOUCHMARK_STORE_GROUP_H
#define TOUCHMARK_STORE_GROUP_H

#include "store/batch.h"
#include "store/store.h"

struct store_group_item {
    struct ca_batch *batch;
    enum tm_err result;
};

struct store_group {
    size_t count;
    struct store_group_item items[STORE_GROUP_MAX]; /* in the order of submission */
};

/* What commits groups; belongs to the writer's thread. */
struct store_committer {
    struct store_env *env;
    struct ca_hasher *hasher;
    struct audit_frontier frontier; /* as committed */
    struct store_plan plan;
    bool headroom;     /* the map is open up to map_most */
    int64_t warned_ms; /* clock_mono_ms when a full store was last logged */
};

/* Makes one for an open environment. TM_ECORRUPT: its frontier cannot be read, or does not fit
 * its leaves. */
MUST_USE enum tm_err store_committer_new(struct store_env *env,
                                         struct store_committer **ret_committer);
void store_committer_free(struct store_committer *committer); /* NULL-safe */

/* Commits a group and sets every item's result. Anything but TM_OK is fatal: what became of the
 * group is unknown, and nothing may be committed after it. */
MUST_USE enum tm_err store_group_commit(struct store_committer *committer,
                                        struct store_group *group);

/* Reads the frontier within a transaction; of a store without leaves it is zero. */
MUST_USE enum tm_err store_frontier_read(const struct store_env *env, MDB_txn *txn,
                                         struct ca_hasher *hasher,
                                         struct audit_frontier *ret_frontier);

#endif
