/* SPDX-License-Identifier: Apache-2.0 */
/* What is counted by day, from the audit log alone: issued, renewed, refused by reason. */
#include <string.h>

#include "store/env.h"
#include "store/index_internal.h"

#define DAY_MS 86400000

static void put_key(struct buf *key, enum index_count kind, uint16_t tenant, uint32_t profile,
                    uint8_t outcome, uint32_t day) {
    buf_put_u8(key, (uint8_t)kind);
    buf_put_be(key, tenant, 2);
    buf_put_be(key, profile, 4);
    buf_put_be(key, day, 4);
    buf_put_u8(key, outcome);
}

static uint32_t day_of(int64_t ms) {
    return ms < 0 ? 0 : (uint32_t)(ms / DAY_MS);
}

static enum tm_err count(struct index_txn *t, enum index_count kind, uint16_t tenant,
                         uint32_t profile, const struct ca_leaf *leaf) {
    uint8_t octets[12], number[8];
    struct buf key = BUF_ON(octets), value = BUF_ON(number);
    struct bytes known;
    uint64_t n = 0;
    put_key(&key, kind, tenant, profile, leaf->outcome, day_of(leaf->time_ms));
    enum tm_err err = index_get(t, INDEX_DB_COUNT, buf_bytes(&key), &known);
    if (!err) {
        struct reader r = {known, 0, false};
        n = reader_be(&r, 8);
    } else if (err != TM_ENOTFOUND)
        return err;
    buf_put_be(&value, n + 1, 8);
    return index_put(t, INDEX_DB_COUNT, buf_bytes(&key), buf_bytes(&value));
}

/* By simplereenroll; or with a certificate of its own, where the device was in use before. */
static bool is_renewal(const struct ca_leaf *leaf) {
    return leaf->operation == IPC_OP_REENROLL ||
           (leaf->from_state == CA_ACTIVATED && leaf->to_state == CA_ACTIVATED &&
            strncmp(leaf->actor, "cert:", 5) == 0);
}

enum tm_err index_count_leaf(struct index_txn *t, uint16_t tenant, const struct ca_leaf *leaf) {
    uint32_t profile = 0;
    if (leaf->event != CA_EVENT_ISSUED && leaf->event != CA_EVENT_REFUSED)
        return TM_OK;
    enum tm_err err = leaf->profile[0]
                          ? index_name(t, INDEX_PROFILE, tenant, leaf->profile, true, &profile)
                          : TM_OK;
    if (err || leaf->event == CA_EVENT_REFUSED)
        return err ? err : count(t, INDEX_REFUSED, tenant, profile, leaf);
    err = count(t, INDEX_ISSUED, tenant, profile, leaf);
    return err || !is_renewal(leaf) ? err : count(t, INDEX_RENEWED, tenant, profile, leaf);
}

/* One entry of what is added up. */
static void add(enum index_count kind, uint8_t outcome, uint64_t n, struct ca_health *health) {
    if (kind == INDEX_ISSUED)
        health->issued += n;
    else if (kind == INDEX_RENEWED)
        health->renewed += n;
    else if (outcome <= IPC_OUTCOME_LAST)
        health->refused[outcome] += n;
}

static enum tm_err sum_kind(MDB_cursor *cursor, enum index_count kind, uint16_t tenant,
                            uint32_t profile, uint32_t from_day, struct ca_health *health) {
    uint8_t octets[12];
    struct buf key = BUF_ON(octets);
    put_key(&key, kind, tenant, profile, 0, from_day);
    MDB_val k = {key.n, octets}, v;
    int rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    for (; !rc; rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
        struct reader r = {{k.mv_data, k.mv_size}, 0, false},
                      n = {{v.mv_data, v.mv_size}, 0, false};
        if (k.mv_size != sizeof octets || memcmp(k.mv_data, octets, 7) != 0)
            return TM_OK;
        (void)reader_take(&r, 11);
        add(kind, (uint8_t)reader_be(&r, 1), reader_be(&n, 8), health);
    }
    return rc == MDB_NOTFOUND ? TM_OK : store_lmdb_err(rc, "index: counting");
}

enum tm_err index_count_sum(const struct index_txn *t, uint16_t tenant, uint32_t profile,
                            uint32_t from_day, struct ca_health *health) {
    static const enum index_count kinds[] = {INDEX_ISSUED, INDEX_RENEWED, INDEX_REFUSED};
    MDB_cursor *cursor;
    enum tm_err err = store_lmdb_err(
        mdb_cursor_open(t->txn, t->index->dbs[INDEX_DB_COUNT], &cursor), "index: counting");
    if (err)
        return err;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && !err; i++)
        err = sum_kind(cursor, kinds[i], tenant, profile, from_day, health);
    mdb_cursor_close(cursor);
    return err;
}
