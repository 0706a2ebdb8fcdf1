/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing the index, and how fresh it is: see store/index.h. */
#include "store/index.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "store/datafile.h"
#include "store/env.h"
#include "store/index_internal.h"
#include "store/scan.h"

#define FOLDER "index"

static const struct {
    const char *name;
    unsigned flags;
} databases[INDEX_DB_LAST] = {
    [INDEX_DB_STATE] = {"state", 0},
    [INDEX_DB_NAME] = {"name", 0},
    [INDEX_DB_DEVICE] = {"device", 0},
    [INDEX_DB_NUMBER] = {"number", 0},
    [INDEX_DB_MEMBER] = {"member", MDB_DUPSORT | MDB_DUPFIXED},
    [INDEX_DB_TIMED] = {"timed", MDB_DUPSORT | MDB_DUPFIXED},
    [INDEX_DB_COUNT] = {"count", 0},
};

static int open_databases(struct ca_index *index) {
    MDB_txn *txn;
    int rc = mdb_txn_begin(index->env, NULL, 0, &txn);
    if (rc)
        return rc;
    for (size_t i = 0; !rc && i < INDEX_DB_LAST; i++)
        rc = mdb_dbi_open(txn, databases[i].name, MDB_CREATE | databases[i].flags, &index->dbs[i]);
    if (!rc)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

/* Nothing in it needs to outlive the machine, so nothing waits for the disk. */
static int open_lmdb(struct ca_index *index, const char *folder, uint64_t map_size) {
    int rc = mdb_env_create(&index->env);
    if (!rc)
        rc = mdb_env_set_maxdbs(index->env, INDEX_DB_LAST);
    if (!rc)
        rc = mdb_env_set_mapsize(index->env, map_size);
    if (!rc)
        rc = mdb_env_open(index->env, folder, MDB_NOTLS | MDB_NOSYNC | MDB_NOMETASYNC, 0600);
    return rc ? rc : open_databases(index);
}

/* Does what it says of the last leaf fit this store, and not one that took its place? */
static bool fits_store(struct ca_index *index) {
    const struct index_state *state = &index->state;
    struct ca_audit_head head;
    struct ca_leaf leaf;
    uint8_t hash[CA_HASH_SIZE];
    if (index->store->ops->audit_head(index->store, &head) || head.size < state->next ||
        head.size < state->walked_to)
        return false;
    if (state->next == 0)
        return true;
    return !index->store->ops->leaf(index->store, state->next - 1, &leaf) &&
           !index_leaf_hash(index, &leaf, hash) && memcmp(hash, state->leaf, sizeof hash) == 0;
}

/* What lies there, or an empty state. */
static void read_state(struct ca_index *index) {
    struct index_txn t;
    struct bytes value;
    index->state = (struct index_state){.format = INDEX_FORMAT};
    if (index_begin(index, false, &t))
        return;
    enum tm_err err = index_get(&t, INDEX_DB_STATE, bytes_str("state"), &value);
    if (!err)
        err = codec_decode(&index_state_schema, value, &index->state);
    index_abort(&t);
    bool known = !err && index->state.format == INDEX_FORMAT && fits_store(index);
    if (err != TM_ENOTFOUND && !known)
        atomic_store(&index->broken, true);
    else if (known) {
        atomic_store(&index->next, index->state.next);
        atomic_store(&index->devices, index->state.devices);
        atomic_store(&index->walked, index->state.walked);
    }
}

static enum tm_err open_all(struct ca_index *index, const char *path, uint64_t map_size) {
    char folder[4096];
    bool kept;
    enum tm_err err = store_path(path, FOLDER, folder, sizeof folder);
    if (!err)
        err = index_folder_take(folder, &kept, &index->marker_fd);
    if (!err)
        err = store_lmdb_err(open_lmdb(index, folder, map_size), "opening the index");
    if (!err)
        err = ca_hasher_new(&index->hasher);
    if (!err)
        err = index->store->ops->scan_open(index->store, &index->scan);
    if (!err)
        index->page = calloc(STORE_SCAN_PAGE, sizeof *index->page);
    if (!err && !index->page)
        err = TM_ENOMEM;
    if (!err)
        read_state(index);
    if (!err && !kept)
        log_info("the index of devices is built anew");
    return err;
}

enum tm_err store_index_open(struct ca_store *store, const char *path, uint64_t map_size,
                             struct ca_index **ret_index) {
    struct ca_index *index = calloc(1, sizeof *index);
    if (!index)
        return TM_ENOMEM;
    index->store = store;
    index->marker_fd = -1;
    enum tm_err err = open_all(index, path, map_size);
    if (err) {
        log_warn("there is no index of devices in %s: %s", path, tm_err_name(err));
        if (index->marker_fd >= 0)
            index_mark_broken(index->marker_fd);
        index->failed = true;
        store_index_close(index);
        return err;
    }
    *ret_index = index;
    return TM_OK;
}

void store_index_close(struct ca_index *index) {
    if (!index)
        return;
    bool good = index->env && !index->failed && !atomic_load(&index->broken) &&
                mdb_env_sync(index->env, 1) == 0;
    index->store->ops->scan_close(index->scan);
    if (index->env)
        mdb_env_close(index->env);
    if (good)
        index_mark_closed(index->marker_fd);
    if (index->marker_fd >= 0)
        (void)close(index->marker_fd);
    ca_hasher_free(index->hasher);
    free(index->page);
    free(index);
}

bool store_index_is_behind(struct ca_index *index) {
    struct ca_leaf leaf;
    return !atomic_load(&index->walked) || atomic_load(&index->broken) ||
           index->store->ops->leaf(index->store, atomic_load(&index->next), &leaf) != TM_ENOTFOUND;
}

void store_index_fresh(struct ca_index *index, int64_t now_ms, struct ca_fresh *ret) {
    struct ca_audit_head head = {0};
    struct ca_leaf leaf;
    *ret = (struct ca_fresh){.built = atomic_load(&index->walked) && !atomic_load(&index->broken),
                             .next = atomic_load(&index->next),
                             .devices = atomic_load(&index->devices)};
    if (index->store->ops->audit_head(index->store, &head))
        return;
    ret->size = head.size;
    if (ret->next < ret->size && !index->store->ops->leaf(index->store, ret->next, &leaf) &&
        now_ms > leaf.time_ms)
        ret->behind_ms = now_ms - leaf.time_ms;
}

uint64_t store_index_size(const struct ca_index *index) {
    MDB_envinfo info;
    MDB_stat stat;
    if (mdb_env_info(index->env, &info) || mdb_env_stat(index->env, &stat))
        return 0;
    return (info.me_last_pgno + 1) * stat.ms_psize;
}
