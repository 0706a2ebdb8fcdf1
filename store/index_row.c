/* SPDX-License-Identifier: Apache-2.0 */
/* What the index knows of one device, and the entries that follow from it. */
#include <string.h>

#include "store/env.h"
#include "store/index_internal.h"

#define MINUTE_MS 60000
#define HAS_FAILING 1u
#define HAS_DUPLICATE 2u
#define ROW_MAX 512

uint32_t index_minute(int64_t ms) {
    int64_t minute = ms / MINUTE_MS;
    return minute < 0 ? 0 : minute > UINT32_MAX ? UINT32_MAX : (uint32_t)minute;
}

/* ---- entries ---- */

static bool has_entry(const struct index_row *row, const struct index_entry *entry) {
    for (size_t i = 0; i < row->count; i++)
        if (row->entries[i].kind == entry->kind && row->entries[i].value == entry->value &&
            row->entries[i].minute == entry->minute)
            return true;
    return false;
}

static void add(struct index_row *row, enum index_kind kind, uint32_t value, int64_t ms) {
    struct index_entry entry = {(uint8_t)kind, value, kind > INDEX_TIMED ? index_minute(ms) : 0};
    if (row->count < INDEX_ENTRIES_MAX && !has_entry(row, &entry))
        row->entries[row->count++] = entry;
}

static enum tm_err add_named(struct index_txn *t, uint16_t tenant, struct index_row *row,
                             enum index_kind kind, const char *text, bool make) {
    uint32_t number;
    if (!text[0])
        return TM_OK;
    enum tm_err err = index_name(t, kind, tenant, text, make, &number);
    if (!err)
        add(row, kind, number, 0);
    return err == TM_ENOTFOUND ? TM_OK : err;
}

bool index_unrenewed(const struct ca_device *device, const struct ca_cert_ref *ref) {
    size_t same = 0;
    for (size_t i = 0; i < device->cert_count; i++)
        same += strcmp(device->certs[i].profile, ref->profile) == 0;
    return same == 1 && ca_cert_in_use(ref);
}

static enum tm_err add_certificates(struct index_txn *t, uint16_t tenant,
                                    const struct ca_device *device, bool make,
                                    struct index_row *row) {
    for (size_t i = 0; i < device->cert_count; i++) {
        const struct ca_cert_ref *ref = &device->certs[i];
        uint32_t profile;
        if (!ca_cert_in_use(ref))
            continue;
        enum tm_err err = index_name(t, INDEX_PROFILE, tenant, ref->profile, make, &profile);
        if (err == TM_ENOTFOUND)
            continue;
        if (err)
            return err;
        add(row, INDEX_EXPIRY, profile, ref->not_after_ms);
        if (index_unrenewed(device, ref))
            add(row, INDEX_UNRENEWED, profile, ref->issued_ms);
    }
    return TM_OK;
}

enum tm_err index_entries(struct index_txn *t, uint16_t tenant, const struct ca_device *device,
                          bool make, struct index_row *row) {
    row->count = 0;
    enum tm_err err = add_named(t, tenant, row, INDEX_BATCH, device->batch, make);
    if (!err)
        err = add_named(t, tenant, row, INDEX_SITE, device->site, make);
    if (!err)
        err = add_named(t, tenant, row, INDEX_STATION, device->station, make);
    if (!err)
        err = add_named(t, tenant, row, INDEX_JOB, device->job, make);
    if (!err)
        err = add_named(t, tenant, row, INDEX_SKU, device->sku, make);
    if (!err)
        err = add_certificates(t, tenant, device, make, row);
    add(row, INDEX_STATE, device->state, device->changed_ms);
    if (row->failing.outcome)
        add(row, INDEX_FAILING, row->failing.outcome, row->failing.last_ms);
    if (row->duplicate.outcome)
        add(row, INDEX_DUPLICATE, row->duplicate.outcome, row->duplicate.last_ms);
    return err;
}

/* ---- the stored row ---- */

static void put_trouble(struct buf *out, const struct ca_trouble *trouble) {
    if (!trouble->outcome)
        return;
    buf_put_u8(out, trouble->outcome);
    buf_put_be(out, trouble->profile, 4);
    buf_put_be(out, trouble->count, 4);
    buf_put_be(out, (uint64_t)trouble->first_ms, 8);
    buf_put_be(out, (uint64_t)trouble->last_ms, 8);
}

static struct ca_trouble get_trouble(struct reader *r) {
    struct ca_trouble trouble;
    trouble.outcome = (uint8_t)reader_be(r, 1);
    trouble.profile = (uint32_t)reader_be(r, 4);
    trouble.count = (uint32_t)reader_be(r, 4);
    trouble.first_ms = (int64_t)reader_be(r, 8);
    trouble.last_ms = (int64_t)reader_be(r, 8);
    return trouble;
}

static void row_encode(const struct index_row *row, struct buf *out) {
    unsigned has =
        (row->failing.outcome ? HAS_FAILING : 0) | (row->duplicate.outcome ? HAS_DUPLICATE : 0);
    buf_put_be(out, row->number, 6);
    buf_put_u8(out, (uint8_t)has);
    put_trouble(out, &row->failing);
    put_trouble(out, &row->duplicate);
    for (size_t i = 0; i < row->count; i++) {
        buf_put_u8(out, row->entries[i].kind);
        buf_put_be(out, row->entries[i].value, 4);
        if (row->entries[i].kind > INDEX_TIMED)
            buf_put_be(out, row->entries[i].minute, 4);
    }
}

static enum tm_err row_decode(struct bytes in, struct index_row *ret) {
    struct reader r = {in, 0, false};
    memset(ret, 0, sizeof *ret);
    ret->number = reader_be(&r, 6);
    unsigned has = (unsigned)reader_be(&r, 1);
    if (has & HAS_FAILING)
        ret->failing = get_trouble(&r);
    if (has & HAS_DUPLICATE)
        ret->duplicate = get_trouble(&r);
    while (!r.bad && reader_left(&r) && ret->count < INDEX_ENTRIES_MAX) {
        struct index_entry *entry = &ret->entries[ret->count++];
        entry->kind = (uint8_t)reader_be(&r, 1);
        entry->value = (uint32_t)reader_be(&r, 4);
        if (entry->kind > INDEX_TIMED)
            entry->minute = (uint32_t)reader_be(&r, 4);
    }
    return r.bad || reader_left(&r) ? TM_ECORRUPT : TM_OK;
}

static void put_key(struct buf *key, uint16_t tenant, const char *id) {
    buf_put_be(key, tenant, 2);
    buf_put(key, bytes_str(id));
}

enum tm_err index_row_read(const struct index_txn *t, uint16_t tenant, const char *id,
                           struct index_row *ret) {
    uint8_t octets[2 + IPC_NAME_MAX];
    struct buf key = BUF_ON(octets);
    struct bytes value;
    put_key(&key, tenant, id);
    enum tm_err err = index_get(t, INDEX_DB_DEVICE, buf_bytes(&key), &value);
    return err ? err : row_decode(value, ret);
}

/* ---- replacing ---- */

/* Puts one entry into its list, or takes it out. */
static enum tm_err change_list(struct index_txn *t, uint16_t tenant, uint64_t number,
                               const struct index_entry *entry, bool in) {
    uint8_t key[INDEX_LIST_KEY], item[10];
    index_list_key(entry->kind, tenant, entry->value, key);
    struct bytes octets = index_list_item(entry->kind, entry->minute, number, item);
    MDB_val k = {sizeof key, key}, v = {octets.n, item};
    MDB_dbi db = t->index->dbs[index_list_db(entry->kind)];
    int rc = in ? mdb_put(t->txn, db, &k, &v, MDB_NODUPDATA) : mdb_del(t->txn, db, &k, &v);
    if (rc == (in ? MDB_KEYEXIST : MDB_NOTFOUND))
        rc = 0;
    return store_lmdb_err(rc, "index: changing a list");
}

static enum tm_err change_lists(struct index_txn *t, uint16_t tenant, const struct index_row *old,
                                const struct index_row *row) {
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < old->count && !err; i++)
        if (!has_entry(row, &old->entries[i]))
            err = change_list(t, tenant, row->number, &old->entries[i], false);
    for (size_t i = 0; i < row->count && !err; i++)
        if (!has_entry(old, &row->entries[i]))
            err = change_list(t, tenant, row->number, &row->entries[i], true);
    return err;
}

static enum tm_err give_number(struct index_txn *t, struct bytes key, uint64_t *ret) {
    uint8_t octets[6];
    struct buf number = BUF_ON(octets);
    buf_put_be(&number, ++t->state.devices, 6);
    *ret = t->state.devices;
    MDB_val k = {number.n, octets}, v = {key.n, (void *)(uintptr_t)key.p};
    return store_lmdb_err(mdb_put(t->txn, t->index->dbs[INDEX_DB_NUMBER], &k, &v, MDB_APPEND),
                          "index: a new device");
}

/* On top of what is known. */
static void add_trouble(struct ca_trouble *known, const struct ca_trouble *more) {
    if (!more->outcome || more->last_ms < known->last_ms)
        return;
    int64_t first_ms = known->outcome ? known->first_ms : more->first_ms;
    uint32_t count = known->count + more->count;
    *known = *more;
    known->first_ms = first_ms;
    known->count = count;
}

/* A certificate of a later time ends it. */
static bool is_over(const struct ca_trouble *failing, const struct ca_device *device) {
    for (size_t i = 0; i < device->cert_count; i++)
        if (device->certs[i].issued_ms >= failing->last_ms)
            return true;
    return false;
}

static enum tm_err store_row(struct index_txn *t, struct bytes key, struct bytes was,
                             const struct index_row *row) {
    uint8_t octets[ROW_MAX];
    struct buf value = BUF_ON(octets);
    row_encode(row, &value);
    if (value.full)
        return TM_ELIMIT;
    return bytes_equal(buf_bytes(&value), was)
               ? TM_OK
               : index_put(t, INDEX_DB_DEVICE, key, buf_bytes(&value));
}

enum tm_err index_row_replace(struct index_txn *t, uint16_t tenant, const struct ca_device *device,
                              const struct index_news *news) {
    uint8_t octets[2 + IPC_NAME_MAX], copy[ROW_MAX];
    struct buf key = BUF_ON(octets), was = BUF_ON(copy);
    struct bytes value;
    struct index_row old, row;
    put_key(&key, tenant, device->id);
    memset(&old, 0, sizeof old);
    enum tm_err err = index_get(t, INDEX_DB_DEVICE, buf_bytes(&key), &value);
    if (!err) {
        buf_put(&was, value); /* the map's own octets go with the first change */
        err = row_decode(value, &old);
    } else if (err == TM_ENOTFOUND)
        err = give_number(t, buf_bytes(&key), &old.number);
    if (err)
        return err;
    row = old;
    if (news->issued)
        row.failing = (struct ca_trouble){0};
    add_trouble(&row.failing, &news->failing);
    add_trouble(&row.duplicate, &news->duplicate);
    if (row.failing.outcome && is_over(&row.failing, device))
        row.failing = (struct ca_trouble){0};
    err = index_entries(t, tenant, device, true, &row);
    if (!err)
        err = change_lists(t, tenant, &old, &row);
    return err ? err : store_row(t, buf_bytes(&key), buf_bytes(&was), &row);
}
