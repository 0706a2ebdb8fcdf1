/* SPDX-License-Identifier: Apache-2.0 */
/* The LMDB environment: see store/env.h. */
#include "store/env.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "store/datafile.h"

#define READERS_MAX 256 /* a few are ours; the others are for LMDB's own tools, a backup say */
#define MAP_UNIT 65536u /* octets: every page size divides it */
#define HEADROOM_SHARE 8
#define HEADROOM_MOST (64u << 20)

static const char *const DB_NAMES[STORE_DB_COUNT] = {
    "meta",        "device", "cert", "intent",  "key",  "leaf",
    "transaction", "cursor", "row",  "revoked", "tile",
};

enum tm_err store_lmdb_err(int rc, const char *what) {
    switch (rc) {
    case MDB_SUCCESS:
        return TM_OK;
    case MDB_NOTFOUND:
        return TM_ENOTFOUND;
    case MDB_MAP_FULL:
        return TM_EFULL;
    default:
        log_error("store: %s: %s", what, mdb_strerror(rc));
        return TM_EIO;
    }
}

enum tm_err store_get(const struct store_env *env, MDB_txn *txn, enum store_db db, struct bytes key,
                      struct bytes *ret_value) {
    MDB_val k = {key.n, (void *)(uintptr_t)key.p}, v;
    enum tm_err err = store_lmdb_err(mdb_get(txn, env->dbs[db], &k, &v), DB_NAMES[db]);
    if (!err)
        *ret_value = (struct bytes){v.mv_data, v.mv_size};
    return err;
}

static uint64_t least_of(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static uint64_t whole_units(uint64_t size) {
    return size - size % MAP_UNIT;
}

static uint64_t used_octets(const struct store_env *env) {
    MDB_envinfo info;
    (void)mdb_env_info(env->env, &info);
    return (info.me_last_pgno + 1) * env->page_size;
}

static int open_databases(struct store_env *env, bool create) {
    MDB_txn *txn;
    int rc = mdb_txn_begin(env->env, NULL, create ? 0 : MDB_RDONLY, &txn);
    if (rc)
        return rc;
    env->whole = true;
    for (size_t i = 0; !rc && i < STORE_DB_COUNT; i++) {
        rc = mdb_dbi_open(txn, DB_NAMES[i], create ? MDB_CREATE : 0, &env->dbs[i]);
        if (rc == MDB_NOTFOUND && i >= STORE_DB_SINCE_2) {
            env->whole = false;
            rc = 0;
        }
    }
    if (rc) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

enum tm_err store_env_complete(struct store_env *env, MDB_txn *txn) {
    int rc = 0;
    for (size_t i = STORE_DB_SINCE_2; !rc && i < STORE_DB_COUNT; i++)
        rc = mdb_dbi_open(txn, DB_NAMES[i], MDB_CREATE, &env->dbs[i]);
    return store_lmdb_err(rc, "making a database");
}

/* Never MDB_WRITEMAP, MDB_NOSYNC or MDB_NOMETASYNC: each loses what was acknowledged. MDB_NOTLS:
 * a reader's slot belongs to its transaction and not to a thread. MDB_NORDAHEAD: what is looked up
 * is anywhere, and in a store that is larger than the memory each page that is read ahead takes the
 * place of one that is in use. */
static int open_lmdb(struct store_env *env, const char *path, uint64_t map_size, bool create) {
    int rc = mdb_env_create(&env->env);
    if (rc)
        return rc;
    rc = mdb_env_set_maxdbs(env->env, STORE_DB_COUNT);
    if (!rc)
        rc = mdb_env_set_maxreaders(env->env, READERS_MAX);
    if (!rc)
        rc = mdb_env_set_mapsize(env->env, least_of(map_size, env->map_ordinary));
    if (!rc)
        rc = mdb_env_open(env->env, path, MDB_NOTLS | MDB_NORDAHEAD, 0600);
    if (!rc)
        rc = mdb_reader_check(env->env, NULL);
    if (!rc)
        rc = open_databases(env, create);
    if (!rc)
        rc = mdb_env_get_fd(env->env, &env->fd);
    MDB_stat stat;
    if (!rc)
        rc = mdb_env_stat(env->env, &stat);
    if (!rc)
        env->page_size = stat.ms_psize;
    if (rc)
        mdb_env_close(env->env);
    return rc;
}

/* A map that must grow is not kept waiting by reads that follow each other closely. */
static void init_lock(pthread_rwlock_t *lock) {
    pthread_rwlockattr_t attr;
    (void)pthread_rwlockattr_init(&attr);
    (void)pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    (void)pthread_rwlock_init(lock, &attr);
    (void)pthread_rwlockattr_destroy(&attr);
}

enum tm_err store_env_open(struct store_env *env, const char *path, uint64_t map_size,
                           uint64_t max_map_size, bool create, char text[IPC_TEXT_MAX + 1]) {
    if (max_map_size < STORE_MAP_LEAST || max_map_size > SIZE_MAX / 2 || map_size > max_map_size) {
        (void)snprintf(text, IPC_TEXT_MAX + 1,
                       "the store's map must be at least %u octets, and not above its maximum",
                       STORE_MAP_LEAST);
        return TM_EINVAL;
    }
    *env = (struct store_env){.map_most = whole_units(max_map_size)};
    env->map_ordinary =
        whole_units(env->map_most - least_of(env->map_most / HEADROOM_SHARE, HEADROOM_MOST));
    int rc = open_lmdb(env, path, map_size, create);
    if (rc) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "the store %.160s cannot be opened: %s", path,
                       mdb_strerror(rc));
        return rc == ENOENT ? TM_ENOTFOUND : rc == MDB_NOTFOUND ? TM_ECORRUPT : TM_EIO;
    }
    init_lock(&env->map_lock);
    return TM_OK;
}

void store_env_close(struct store_env *env) {
    mdb_env_close(env->env);
    (void)pthread_rwlock_destroy(&env->map_lock);
}

/* LMDB rounds a map that is too small up to what is in use. When it fails, the old map is gone
 * as well. */
static enum tm_err set_map(struct store_env *env, uint64_t size) {
    (void)pthread_rwlock_wrlock(&env->map_lock);
    int rc = mdb_env_set_mapsize(env->env, size);
    env->lost = rc != 0;
    (void)pthread_rwlock_unlock(&env->map_lock);
    return rc ? store_lmdb_err(rc, "replacing the map") : TM_OK;
}

enum tm_err store_env_grow(struct store_env *env) {
    MDB_envinfo info;
    (void)mdb_env_info(env->env, &info);
    if (info.me_mapsize >= env->map_ordinary)
        return TM_EFULL;
    /* A tool that died while reading keeps pages from being used again. */
    (void)mdb_reader_check(env->env, NULL);
    uint64_t size = least_of(2 * (uint64_t)info.me_mapsize, env->map_ordinary);
    log_info("store: the map grows to %llu octets", (unsigned long long)size);
    return set_map(env, size);
}

enum tm_err store_env_headroom(struct store_env *env, bool open) {
    return set_map(env, open ? env->map_most : env->map_ordinary);
}

static enum tm_err reserve(struct store_env *env, uint64_t size) {
    size = least_of(size, env->map_most);
    if (env->disk >= size)
        return TM_OK;
    enum tm_err err = store_file_reserve(env->fd, size);
    if (!err)
        env->disk = size;
    return err;
}

static enum tm_err disk_room(struct store_env *env, uint64_t used, enum store_room *ret_room) {
    uint64_t wanted = least_of(used + STORE_DISK_AHEAD, env->map_most);
    enum tm_err err = TM_OK;
    if (env->disk < wanted) {
        err = reserve(env, wanted + STORE_DISK_AHEAD);
        if (err == TM_EFULL)
            err = reserve(env, wanted);
        if (err == TM_EFULL)
            err = reserve(env, used + STORE_DISK_ESSENTIAL);
    }
    if (err && err != TM_EFULL)
        return err;
    if (env->disk >= wanted)
        *ret_room = STORE_ROOM_ALL;
    else if (env->disk >= used + STORE_DISK_ESSENTIAL)
        *ret_room = STORE_ROOM_ESSENTIAL;
    else
        *ret_room = STORE_ROOM_NONE;
    return TM_OK;
}

/* Pages that LMDB may use again: its database 0 lists them per transaction, each list led by its
 * length. */
static int count_free(MDB_txn *txn, uint64_t *ret_pages) {
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn, 0, &cursor);
    if (rc)
        return rc;
    uint64_t pages = 0;
    MDB_val key, value;
    for (rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); !rc;
         rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        size_t length;
        memcpy(&length, value.mv_data, sizeof length);
        pages += length;
    }
    mdb_cursor_close(cursor);
    *ret_pages = pages;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Pages that were taken from the headroom and came free again are headroom still: ordinary batches
 * must not use it up bit by bit. */
static enum tm_err into_headroom(struct store_env *env, uint64_t used, bool *ret_into) {
    MDB_txn *txn;
    uint64_t pages = 0;
    enum tm_err err =
        store_lmdb_err(mdb_txn_begin(env->env, NULL, MDB_RDONLY, &txn), "beginning to read");
    if (err)
        return err;
    err = store_lmdb_err(count_free(txn, &pages), "counting free pages");
    mdb_txn_abort(txn);
    if (!err)
        *ret_into = used > env->map_ordinary + pages * env->page_size;
    return err;
}

enum tm_err store_env_room(struct store_env *env, enum store_room *ret_room) {
    uint64_t used = used_octets(env);
    enum store_room room;
    bool into = false;
    enum tm_err err = disk_room(env, used, &room);
    if (!err && used > env->map_ordinary)
        err = into_headroom(env, used, &into);
    if (err)
        return err;
    *ret_room = into && room == STORE_ROOM_ALL ? STORE_ROOM_ESSENTIAL : room;
    return TM_OK;
}

void store_env_size(struct store_env *env, uint64_t *ret_map_size, uint64_t *ret_used) {
    MDB_envinfo info;
    (void)pthread_rwlock_rdlock(&env->map_lock);
    if (env->lost) {
        info = (MDB_envinfo){0};
    } else
        (void)mdb_env_info(env->env, &info);
    (void)pthread_rwlock_unlock(&env->map_lock);
    *ret_map_size = info.me_mapsize;
    *ret_used = (info.me_last_pgno + 1) * env->page_size;
}
