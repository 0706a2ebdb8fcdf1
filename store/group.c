/* SPDX-License-Identifier: Apache-2.0 */
/* Group commit, and what happens when map or disk are full: see store/group.h. */
#include "store/group.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"

#define WARN_AGAIN_MS 60000

/* How an attempt to commit ended. */
enum attempt {
    ATTEMPT_DONE,
    ATTEMPT_MAP_FULL,
    ATTEMPT_DISK_FULL,
    ATTEMPT_FATAL,
};

enum tm_err store_frontier_read(const struct store_env *env, MDB_txn *txn, struct ca_hasher *hasher,
                                struct audit_frontier *ret_frontier) {
    struct bytes key = bytes_str(STORE_KEY_FRONTIER), value;
    enum tm_err err = store_get(env, txn, STORE_DB_META, key, &value);
    if (!err)
        return store_unseal(hasher, key, value, &store_frontier_schema, ret_frontier);
    if (err == TM_ENOTFOUND) {
        *ret_frontier = (struct audit_frontier){0};
        return TM_OK;
    }
    return err;
}

static enum tm_err load_frontier(struct store_committer *c) {
    MDB_txn *txn;
    enum tm_err err = store_lmdb_err(mdb_txn_begin(c->env->env, NULL, MDB_RDONLY, &txn), "reading");
    if (err)
        return err;
    MDB_stat stat;
    err = store_frontier_read(c->env, txn, c->hasher, &c->frontier);
    if (!err)
        err = store_lmdb_err(mdb_stat(txn, c->env->dbs[STORE_DB_LEAF], &stat), "counting leaves");
    if (!err && stat.ms_entries != c->frontier.size)
        err = TM_ECORRUPT;
    mdb_txn_abort(txn);
    return err;
}

enum tm_err store_committer_new(struct store_env *env, struct store_committer **ret_committer) {
    struct store_committer *c = calloc(1, sizeof *c);
    if (!c)
        return TM_ENOMEM;
    c->env = env;
    c->plan.arena = (struct buf){.p = malloc(STORE_ARENA_SIZE), .cap = STORE_ARENA_SIZE};
    enum tm_err err = c->plan.arena.p ? ca_hasher_new(&c->hasher) : TM_ENOMEM;
    if (!err)
        err = load_frontier(c);
    if (err) {
        store_committer_free(c);
        return err;
    }
    *ret_committer = c;
    return TM_OK;
}

void store_committer_free(struct store_committer *committer) {
    if (!committer)
        return;
    ca_hasher_free(committer->hasher);
    free(committer->plan.arena.p);
    free(committer);
}

/* ---- one attempt ---- */

static enum attempt attempt_of(enum tm_err err) {
    if (!err)
        return ATTEMPT_DONE;
    return err == TM_EFULL ? ATTEMPT_MAP_FULL : ATTEMPT_FATAL;
}

static bool is_batch_result(enum tm_err err) {
    return err == TM_ECONFLICT || err == TM_ELIMIT || err == TM_ECORRUPT;
}

static enum attempt apply_item(struct store_committer *c, struct store_writing *w,
                               struct store_group_item *item) {
    item->result = store_batch_plan(w, item->batch, &c->plan, &item->batch->failed);
    if (is_batch_result(item->result)) {
        if (item->result != TM_ECONFLICT)
            log_error("store: change %zu of a batch was refused: %s", item->batch->failed,
                      tm_err_name(item->result));
        return ATTEMPT_DONE;
    }
    return attempt_of(item->result ? item->result : store_batch_apply(w, &c->plan));
}

static enum attempt save_frontier(struct store_committer *c, const struct store_writing *w) {
    if (w->frontier.size == c->frontier.size)
        return ATTEMPT_DONE;
    struct bytes key = bytes_str(STORE_KEY_FRONTIER);
    struct buf out = {c->plan.arena.p, c->plan.arena.cap, 0, false};
    enum tm_err err = store_seal(c->hasher, key, &store_frontier_schema, &w->frontier, &out);
    if (err)
        return ATTEMPT_FATAL;
    MDB_val k = {key.n, (void *)(uintptr_t)key.p}, v = {out.n, out.p};
    return attempt_of(store_lmdb_err(mdb_put(w->txn, c->env->dbs[STORE_DB_META], &k, &v, 0),
                                     "storing the frontier"));
}

/* Any error of a commit but these is fatal: after one of fdatasync the kernel has dropped
 * pages that it will not write again, and later commits would succeed over them. */
static enum attempt commit(struct store_committer *c, struct store_writing *w) {
    crash_point("store.before_commit");
    int rc = mdb_txn_commit(w->txn);
    if (rc == MDB_MAP_FULL)
        return ATTEMPT_MAP_FULL;
    if (rc == ENOSPC || rc == EDQUOT)
        return ATTEMPT_DISK_FULL;
    if (rc) {
        log_error("store: commit failed: %s", mdb_strerror(rc));
        return ATTEMPT_FATAL;
    }
    crash_point("store.after_commit");
    c->frontier = w->frontier;
    return ATTEMPT_DONE;
}

static enum attempt attempt(struct store_committer *c, struct store_group *group,
                            bool essential_only) {
    struct store_writing w = {.env = c->env, .hasher = c->hasher, .frontier = c->frontier};
    if (store_lmdb_err(mdb_txn_begin(c->env->env, NULL, 0, &w.txn), "beginning a transaction"))
        return ATTEMPT_FATAL;
    enum attempt got = ATTEMPT_DONE;
    bool any = false;
    for (size_t i = 0; got == ATTEMPT_DONE && i < group->count; i++) {
        struct store_group_item *item = &group->items[i];
        item->result = TM_EFULL;
        if (essential_only && !store_batch_essential(item->batch))
            continue;
        got = apply_item(c, &w, item);
        any = any || item->result == TM_OK;
    }
    if (got == ATTEMPT_DONE && any)
        got = save_frontier(c, &w);
    if (got == ATTEMPT_DONE && any)
        return commit(c, &w);
    mdb_txn_abort(w.txn);
    return got;
}

/* ---- until it is decided ---- */

static void refuse_all(struct store_group *group) {
    for (size_t i = 0; i < group->count; i++) {
        group->items[i].result = TM_EFULL;
        group->items[i].batch->failed = 0;
    }
}

static bool has_essential(const struct store_group *group) {
    for (size_t i = 0; i < group->count; i++)
        if (store_batch_essential(group->items[i].batch))
            return true;
    return false;
}

static void warn_full(struct store_committer *c) {
    int64_t now = clock_mono_ms();
    if (c->warned_ms && now - c->warned_ms < WARN_AGAIN_MS)
        return;
    c->warned_ms = now;
    log_warn("store: map or disk are full; only what ends or withdraws is stored");
}

static enum tm_err set_headroom(struct store_committer *c, bool open) {
    if (c->headroom == open)
        return TM_OK;
    c->headroom = open;
    return store_env_headroom(c->env, open);
}

/* After a full map: TM_OK when the group may be tried again, maybe with essential batches only. */
static enum tm_err make_room(struct store_committer *c, const struct store_group *group,
                             bool *essential_only) {
    enum tm_err err = *essential_only ? TM_EFULL : store_env_grow(c->env);
    if (err != TM_EFULL)
        return err;
    *essential_only = true;
    if (c->headroom || !has_essential(group))
        return TM_EFULL;
    return set_headroom(c, true);
}

static enum tm_err commit_in_room(struct store_committer *c, struct store_group *group,
                                  bool essential_only) {
    for (;;) {
        enum attempt got = attempt(c, group, essential_only);
        if (got == ATTEMPT_DONE) {
            if (essential_only)
                warn_full(c);
            return TM_OK;
        }
        if (got == ATTEMPT_FATAL)
            return TM_EIO;
        enum tm_err err =
            got == ATTEMPT_DISK_FULL ? TM_EFULL : make_room(c, group, &essential_only);
        if (err == TM_EFULL) {
            warn_full(c);
            refuse_all(group);
            return TM_OK;
        }
        if (err)
            return err;
    }
}

enum tm_err store_group_commit(struct store_committer *committer, struct store_group *group) {
    enum store_room room;
    enum tm_err err = store_env_room(committer->env, &room);
    if (err)
        return err;
    if (room == STORE_ROOM_NONE) {
        warn_full(committer);
        refuse_all(group);
        return TM_OK;
    }
    err = commit_in_room(committer, group, room == STORE_ROOM_ESSENTIAL);
    return err ? err : set_headroom(committer, false);
}
