/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the index: see store/index.h.
 *
 * Names are numbers (a tenant's batch "B7" is one), devices are numbers, and times are minutes, so
 * that entries are short. A posting list has a key of seven octets, kind, tenant and value, and as
 * its sorted values the devices, led by their minute where the kind has a time: so each question's
 * answers stand together in order.
 */
#ifndef TOUCHMARK_STORE_INDEX_INTERNAL_H
#define TOUCHMARK_STORE_INDEX_INTERNAL_H

#include <lmdb.h>
#include <stdatomic.h>

#include "ca/hash.h"
#include "store/index.h"

#define INDEX_FORMAT 1       /* another one is built anew */
#define INDEX_LOOKS_MAX 1000 /* entries that one question looks at */
#define INDEX_LISTS_MAX 512
#define INDEX_LIST_KEY 7

/* Values are stored: a change takes another INDEX_FORMAT. */
enum index_kind {
    INDEX_TENANT = 1, /* names only */
    INDEX_PROFILE,    /* names only */
    INDEX_BATCH,
    INDEX_SITE,
    INDEX_STATION,
    INDEX_JOB,
    INDEX_SKU,
    INDEX_TIMED, /* from here on with a minute; this one is none */
    INDEX_STATE,
    INDEX_EXPIRY,    /* by profile */
    INDEX_UNRENEWED, /* by profile */
    INDEX_FAILING,   /* by outcome */
    INDEX_DUPLICATE, /* by outcome */
};

enum index_db {
    INDEX_DB_STATE,  /* "state" */
    INDEX_DB_NAME,   /* kind, tenant, text: its number */
    INDEX_DB_DEVICE, /* tenant, ID: what is known of it */
    INDEX_DB_NUMBER, /* number of a device: tenant, ID */
    INDEX_DB_MEMBER, /* lists without a minute: six octets, the device's number */
    INDEX_DB_TIMED,  /* lists with one: ten octets */
    INDEX_DB_COUNT,  /* kind of count, tenant, profile, outcome, day: how many */
    INDEX_DB_LAST,
};

/* How far it has come. */
struct index_state {
    uint32_t format;
    uint64_t next;                 /* the first leaf that is not in it */
    uint64_t walked_to;            /* leaves that there were when the walk began */
    uint8_t walked;                /* bool: the walk is over */
    char tenant[IPC_NAME_MAX + 1]; /* the last device of the walk */
    char device[IPC_NAME_MAX + 1];
    uint64_t devices; /* numbers that were given out */
    uint32_t tenants;
    uint32_t names;             /* other ones */
    uint8_t leaf[CA_HASH_SIZE]; /* SHA-256 of leaf next - 1, or zero */
};

struct ca_index {
    struct ca_store *store;
    struct ca_scan *scan; /* of the thread of the steps */
    struct ca_hasher *hasher;
    MDB_env *env;
    MDB_dbi dbs[INDEX_DB_LAST];
    int marker_fd;
    struct index_state state; /* of the last commit; the thread of the steps */
    bool failed;              /* no step any more; the same thread */
    struct ca_device *page;   /* of the walk */
    /* For other threads. */
    _Atomic uint64_t next;
    _Atomic uint64_t devices;
    atomic_bool walked;
    atomic_bool broken; /* what is in it must not be believed */
};

/* One transaction, and the state as it will be when it is committed. */
struct index_txn {
    struct ca_index *index;
    MDB_txn *txn;
    bool writes;
    struct index_state state;
};

/* ---- index_env.c ---- */

extern const struct codec_schema index_state_schema;
MUST_USE enum tm_err index_begin(struct ca_index *index, bool writes, struct index_txn *ret);
/* Stores the state, too. After an error nothing of it happened. */
MUST_USE enum tm_err index_commit(struct index_txn *t);
void index_abort(struct index_txn *t);
/* As store_get and mdb_put; TM_EFULL, TM_EIO. */
MUST_USE enum tm_err index_get(const struct index_txn *t, enum index_db db, struct bytes key,
                               struct bytes *ret);
MUST_USE enum tm_err index_put(struct index_txn *t, enum index_db db, struct bytes key,
                               struct bytes value);
/* The number of a name; `make`: it gets one. TM_ENOTFOUND. */
MUST_USE enum tm_err index_name(struct index_txn *t, enum index_kind kind, uint16_t tenant,
                                const char *text, bool make, uint32_t *ret);
MUST_USE enum tm_err index_tenant(struct index_txn *t, const char *text, bool make, uint16_t *ret);
/* The key of a list, and what list and length a kind has. */
void index_list_key(uint8_t kind, uint16_t tenant, uint32_t value, uint8_t ret[INDEX_LIST_KEY]);
enum index_db index_list_db(uint8_t kind);
struct bytes index_list_item(uint8_t kind, uint32_t minute, uint64_t number, uint8_t ret[10]);

/* SHA-256 of a leaf as it is stored: by it the index knows its store. */
MUST_USE enum tm_err index_leaf_hash(const struct ca_index *index, const struct ca_leaf *leaf,
                                     uint8_t ret[CA_HASH_SIZE]);

/* ---- index_file.c ---- */

/* Makes the folder, throws away what lies there and may not be used, and marks it as open.
 * *ret_fd: the mark, for index_mark_closed. Logged. */
MUST_USE enum tm_err index_folder_take(const char *folder, bool *ret_kept, int *ret_fd);
void index_mark_closed(int fd);
/* Nothing of it may be used again. */
void index_mark_broken(int fd);

/* ---- index_row.c ---- */

struct index_entry {
    uint8_t kind;
    uint32_t value;
    uint32_t minute; /* 0 where the kind has none */
};
#define INDEX_ENTRIES_MAX (5 + 1 + 2 * CA_DEVICE_CERTS_MAX + 2)

/* What the index knows of a device. */
struct index_row {
    uint64_t number;
    struct ca_trouble failing;
    struct ca_trouble duplicate;
    size_t count;
    struct index_entry entries[INDEX_ENTRIES_MAX];
};

uint32_t index_minute(int64_t ms);
/* Is it in use, and the only one of its profile? */
bool index_unrenewed(const struct ca_device *device, const struct ca_cert_ref *ref);
/* The entries that follow from a device's record and what went wrong with it; `make`: names get
 * numbers; without, those that have none are left out. */
MUST_USE enum tm_err index_entries(struct index_txn *t, uint16_t tenant,
                                   const struct ca_device *device, bool make,
                                   struct index_row *row);
/* TM_ENOTFOUND, TM_ECORRUPT. */
MUST_USE enum tm_err index_row_read(const struct index_txn *t, uint16_t tenant, const char *id,
                                    struct index_row *ret);
/* What leaves say of a device, in their order. */
struct index_news {
    bool issued; /* it got a certificate, which ends what failed before */
    struct ca_trouble failing;
    struct ca_trouble duplicate; /* outcome 0: nothing more */
};
/* Replaces what is known of it: by the record as it is, and the news on top of what is known. */
MUST_USE enum tm_err index_row_replace(struct index_txn *t, uint16_t tenant,
                                       const struct ca_device *device,
                                       const struct index_news *news);

/* ---- index_count.c ---- */

enum index_count { INDEX_ISSUED = 1, INDEX_RENEWED, INDEX_REFUSED };
MUST_USE enum tm_err index_count_leaf(struct index_txn *t, uint16_t tenant,
                                      const struct ca_leaf *leaf);
/* Adds up what was counted from a day (since 1970) on. */
MUST_USE enum tm_err index_count_sum(const struct index_txn *t, uint16_t tenant, uint32_t profile,
                                     uint32_t from_day, struct ca_health *health);

#endif
