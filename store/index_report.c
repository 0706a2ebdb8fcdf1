/* SPDX-License-Identifier: Apache-2.0 */
/* The health of certificates, counted from the lists: see store/index.h. */
#include <string.h>

#include "store/env.h"
#include "store/index_internal.h"

#define DAY_MS INT64_C(86400000)

struct report {
    struct index_txn t;
    int64_t now_ms;
    uint32_t from_day;
    void (*take)(void *arg, const struct ca_health *health);
    void *arg;
};

/* One page of a list, of entries that are `width` octets each, added to what they fall into. False:
 * the last lies beyond every window. */
static bool add_page(const struct report *r, const uint8_t *page, size_t n, size_t width,
                     struct ca_health *health) {
    uint32_t minute = 0;
    for (size_t i = 0; i + width <= n; i += width) {
        struct reader item = {{page + i, width}, 0, false};
        minute = (uint32_t)reader_be(&item, 4);
        if (minute < index_minute(r->now_ms)) {
            health->expired++;
            continue;
        }
        for (size_t w = 0; w < CA_HEALTH_WINDOWS; w++)
            health->expiring[w] += minute < index_minute(r->now_ms + ca_health_days[w] * DAY_MS);
    }
    return minute < index_minute(r->now_ms + ca_health_days[CA_HEALTH_WINDOWS - 1] * DAY_MS);
}

static int count_pages(const struct report *r, MDB_cursor *cursor, MDB_val *k, MDB_val *v,
                       struct ca_health *health) {
    size_t width = v->mv_size, count = 0;
    int rc = mdb_cursor_count(cursor, &count);
    health->in_use = count;
    if (rc)
        return rc;
    if (count == 1) { /* LMDB has no pages of one */
        (void)add_page(r, v->mv_data, width, width, health);
        return 0;
    }
    rc = mdb_cursor_get(cursor, k, v, MDB_GET_MULTIPLE);
    while (!rc && add_page(r, v->mv_data, v->mv_size, width, health))
        rc = mdb_cursor_get(cursor, k, v, MDB_NEXT_MULTIPLE);
    return rc;
}

static enum tm_err count_expiry(const struct report *r, MDB_cursor *cursor, uint16_t tenant,
                                uint32_t profile, struct ca_health *health) {
    uint8_t key[INDEX_LIST_KEY];
    size_t n = 0;
    index_list_key(INDEX_UNRENEWED, tenant, profile, key);
    MDB_val k = {sizeof key, key}, v;
    int rc = mdb_cursor_get(cursor, &k, &v, MDB_SET);
    if (!rc)
        rc = mdb_cursor_count(cursor, &n);
    health->unrenewed = n;
    if (rc && rc != MDB_NOTFOUND)
        return store_lmdb_err(rc, "index: reporting");
    index_list_key(INDEX_EXPIRY, tenant, profile, key);
    k = (MDB_val){sizeof key, key};
    rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_KEY);
    if (!rc)
        rc = count_pages(r, cursor, &k, &v, health);
    return rc == MDB_NOTFOUND ? TM_OK : store_lmdb_err(rc, "index: reporting");
}

static enum tm_err report_profile(const struct report *r, uint16_t tenant, uint32_t profile,
                                  struct ca_health *health) {
    MDB_cursor *cursor;
    enum tm_err err = store_lmdb_err(
        mdb_cursor_open(r->t.txn, r->t.index->dbs[INDEX_DB_TIMED], &cursor), "index: reporting");
    if (err)
        return err;
    err = count_expiry(r, cursor, tenant, profile, health);
    mdb_cursor_close(cursor);
    if (!err)
        err = index_count_sum(&r->t, tenant, profile, r->from_day, health);
    if (!err)
        r->take(r->arg, health);
    return err;
}

/* ---- tenants and profiles ---- */

typedef enum tm_err name_fn(const struct report *r, const struct ca_health *above, uint16_t tenant,
                            const char *name, uint32_t number);

/* Each name of a kind that a tenant has. */
static enum tm_err each_name(const struct report *r, enum index_kind kind, uint16_t tenant,
                             const struct ca_health *above, name_fn *fn) {
    uint8_t octets[3];
    struct buf prefix = BUF_ON(octets);
    MDB_cursor *cursor;
    buf_put_u8(&prefix, (uint8_t)kind);
    buf_put_be(&prefix, tenant, 2);
    MDB_val k = {prefix.n, octets}, v;
    enum tm_err err = store_lmdb_err(
        mdb_cursor_open(r->t.txn, r->t.index->dbs[INDEX_DB_NAME], &cursor), "index: reporting");
    if (err)
        return err;
    int rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    while (!rc && !err && k.mv_size > 3 && memcmp(k.mv_data, octets, 3) == 0) {
        char name[IPC_NAME_MAX + 1] = "";
        struct reader number = {{v.mv_data, v.mv_size}, 0, false};
        size_t n = k.mv_size - 3 < IPC_NAME_MAX ? k.mv_size - 3 : IPC_NAME_MAX;
        memcpy(name, (const uint8_t *)k.mv_data + 3, n);
        err = fn(r, above, tenant, name, (uint32_t)reader_be(&number, 4));
        rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return err || !rc || rc == MDB_NOTFOUND ? err : store_lmdb_err(rc, "index: reporting");
}

static enum tm_err take_profile(const struct report *r, const struct ca_health *above,
                                uint16_t tenant, const char *name, uint32_t number) {
    struct ca_health health = {0};
    TEXT_SET(health.tenant, above->tenant);
    TEXT_SET(health.profile, name);
    return report_profile(r, tenant, number, &health);
}

static enum tm_err take_tenant(const struct report *r, const struct ca_health *above,
                               uint16_t tenant, const char *name, uint32_t number) {
    struct ca_health health = {0};
    (void)above;
    (void)tenant;
    TEXT_SET(health.tenant, name);
    enum tm_err err = each_name(r, INDEX_PROFILE, (uint16_t)number, &health, take_profile);
    return err ? err : report_profile(r, (uint16_t)number, 0, &health);
}

enum tm_err store_index_report(struct ca_index *index, int64_t now_ms, unsigned days,
                               void (*take)(void *arg, const struct ca_health *health), void *arg) {
    struct report r = {.now_ms = now_ms, .take = take, .arg = arg};
    struct ca_health nobody = {0};
    int64_t from_ms = now_ms - (int64_t)days * DAY_MS;
    r.from_day = from_ms < 0 ? 0 : (uint32_t)(from_ms / DAY_MS);
    if (!atomic_load(&index->walked) || atomic_load(&index->broken))
        return TM_EAGAIN;
    enum tm_err err = index_begin(index, false, &r.t);
    if (err)
        return err;
    err = each_name(&r, INDEX_TENANT, 0, &nobody, take_tenant);
    if (!err)
        err = report_profile(&r, 0, 0, &nobody);
    index_abort(&r.t);
    return err;
}
