/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The LMDB environment: databases, the size of the map, and room on the disk.
 *
 * Two limits stand before the last octet. Ordinary batches may fill the map up to
 * `map_ordinary`; what lies between that and `map_most` is headroom for batches that must
 * still fit in a full store (revocation, the end of an intent). And the data file is always
 * reserved on the disk some way ahead of its last page, so that a full disk is noticed before a
 * transaction and not within its commit, and the same batches still fit then.
 *
 * The writer's thread grows the map, which takes map_lock for writing; reads hold it for reading
 * while they look into the map, on the loop's thread and on those of scans. So they do not wait for
 * each other, and a writer that waits for them is not passed by new ones. It is never held across a
 * commit.
 */
#ifndef TOUCHMARK_STORE_ENV_H
#define TOUCHMARK_STORE_ENV_H

#include <lmdb.h>
#include <pthread.h>

#include "base/bytes.h"
#include "ipc/messages.h"

#define STORE_MAP_LEAST (1u << 20)        /* octets: the smallest max_map_size */
#define STORE_DISK_AHEAD (16u << 20)      /* octets reserved on the disk beyond the last page */
#define STORE_DISK_ESSENTIAL (512u << 10) /* without so many nothing is written any more */

enum store_db {
    STORE_DB_META,        /* "format", "frontier" */
    STORE_DB_DEVICE,      /* tenant NUL id */
    STORE_DB_CERT,        /* serial */
    STORE_DB_INTENT,      /* serial */
    STORE_DB_KEY,         /* SHA-256 of the SubjectPublicKeyInfo: who owns it */
    STORE_DB_LEAF,        /* sequence number, 8 octets big endian */
    STORE_DB_TRANSACTION, /* tenant NUL id: the device's newest */
    STORE_DB_CURSOR,      /* consumer's name */
    STORE_DB_ROW,         /* table, one octet, and the row's own key (ca/rows.h) */
    STORE_DB_REVOKED,     /* issuer NUL serial: an index of STORE_DB_CERT */
    STORE_DB_TILE,        /* level, one octet, and index, eight big endian: store/tile.h */
    STORE_DB_COUNT,
    STORE_DB_SINCE_2 = STORE_DB_TRANSACTION, /* these and later ones came with format 2 */
    STORE_DB_SINCE_3 = STORE_DB_ROW,         /* and these with format 3 */
    STORE_DB_SINCE_4 = STORE_DB_TILE,
};

/* Keys in STORE_DB_META. */
#define STORE_KEY_FORMAT "format"
#define STORE_KEY_FRONTIER "frontier"

struct store_env {
    MDB_env *env;
    MDB_dbi dbs[STORE_DB_COUNT];
    int fd; /* LMDB's, of the data file */
    uint64_t page_size;
    uint64_t map_ordinary; /* octets */
    uint64_t map_most;
    uint64_t disk; /* octets of the file that have room on the disk */
    bool whole;    /* no database is missing */
    pthread_rwlock_t map_lock;
    bool lost; /* the map could not be replaced: there is none; under map_lock */
};

/* Opens the folder's environment; `create` makes data file and databases. A store of an older
 * format lacks the newer databases: store_format_raise makes them (store/format.h). A failed open
 * leaves nothing to close. */
MUST_USE enum tm_err store_env_open(struct store_env *env, const char *path, uint64_t map_size,
                                    uint64_t max_map_size, bool create,
                                    char text[IPC_TEXT_MAX + 1]);
void store_env_close(struct store_env *env); /* every transaction must have ended */

/* Makes the databases that are missing; the transaction's commit makes them usable. TM_EFULL,
 * TM_EIO. */
MUST_USE enum tm_err store_env_complete(struct store_env *env, MDB_txn *txn);

/* LMDB's result as ours: TM_OK, TM_ENOTFOUND, TM_EFULL for MDB_MAP_FULL, and TM_EIO for all
 * else, which is logged with `what`. Thread-safe. */
MUST_USE enum tm_err store_lmdb_err(int rc, const char *what);

/* The value under a key. It stays valid until the transaction writes or ends. TM_ENOTFOUND,
 * TM_EIO. */
MUST_USE enum tm_err store_get(const struct store_env *env, MDB_txn *txn, enum store_db db,
                               struct bytes key, struct bytes *ret_value);

/* ---- the writer's thread, outside of transactions ---- */

/* Doubles the map, up to map_ordinary. TM_EFULL: it is there already; TM_EIO: fatal. */
MUST_USE enum tm_err store_env_grow(struct store_env *env);
/* Opens the headroom for the next transactions, or closes what is left of it. TM_EIO: fatal. */
MUST_USE enum tm_err store_env_headroom(struct store_env *env, bool open);

enum store_room { STORE_ROOM_ALL, STORE_ROOM_ESSENTIAL, STORE_ROOM_NONE };
/* Which batches there is room for, on the disk and in the map as far as it can grow; reserves more
 * of the disk when less than STORE_DISK_AHEAD is left ahead. TM_EIO: fatal. */
MUST_USE enum tm_err store_env_room(struct store_env *env, enum store_room *ret_room);

/* ---- any thread ---- */

void store_env_size(struct store_env *env, uint64_t *ret_map_size, uint64_t *ret_used);

#endif
