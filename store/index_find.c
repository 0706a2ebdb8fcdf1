/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions. The answers of one stand in one list or in a few (one per profile, reason or state),
 * which are merged by their time. Each entry must follow from the device's record as it is now.
 */
#include <stdlib.h>
#include <string.h>

#include "store/env.h"
#include "store/index_internal.h"

/* One list, and its first entry that was not given yet. */
struct list {
    uint8_t kind;
    uint32_t value;
    bool end;
    uint32_t minute;
    uint64_t number;
};

struct finding {
    struct index_txn t;
    const struct ca_find *find;
    uint16_t tenant;
    size_t count;
    struct list lists[INDEX_LISTS_MAX];
    void (*take)(void *arg, const struct ca_found *found);
    void *arg;
};

/* ---- which lists ---- */

static enum tm_err add_list(struct finding *f, uint8_t kind, uint32_t value) {
    if (f->count == INDEX_LISTS_MAX)
        return TM_ELIMIT;
    f->lists[f->count++] = (struct list){.kind = kind, .value = value};
    return TM_OK;
}

/* All of a kind that the tenant has. */
static enum tm_err add_kind(struct finding *f, uint8_t kind) {
    uint8_t key[INDEX_LIST_KEY];
    MDB_cursor *cursor;
    index_list_key(kind, f->tenant, 0, key);
    MDB_val k = {sizeof key, key}, v;
    enum tm_err err = store_lmdb_err(
        mdb_cursor_open(f->t.txn, f->t.index->dbs[index_list_db(kind)], &cursor), "index: lists");
    if (err)
        return err;
    int rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    while (!rc && !err && k.mv_size == sizeof key && memcmp(k.mv_data, key, 3) == 0) {
        struct reader r = {{(const uint8_t *)k.mv_data + 3, 4}, 0, false};
        err = add_list(f, kind, (uint32_t)reader_be(&r, 4));
        rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT_NODUP);
    }
    mdb_cursor_close(cursor);
    return err || !rc || rc == MDB_NOTFOUND ? err : store_lmdb_err(rc, "index: lists");
}

/* The list of one name, or all of the kind. A name that was never seen has no list. */
static enum tm_err add_named(struct finding *f, uint8_t kind, enum index_kind names,
                             const char *name) {
    uint32_t value;
    if (!name[0])
        return add_kind(f, kind);
    enum tm_err err = index_name(&f->t, names, f->tenant, name, false, &value);
    return err == TM_ENOTFOUND ? TM_OK : err ? err : add_list(f, kind, value);
}

static enum tm_err add_one_or_kind(struct finding *f, uint8_t kind, uint32_t value) {
    return value ? add_list(f, kind, value) : add_kind(f, kind);
}

/* Entries of a list; 0 also when there is no such list. */
static size_t list_size(struct finding *f, const struct list *list) {
    uint8_t key[INDEX_LIST_KEY];
    MDB_cursor *cursor;
    size_t n = 0;
    index_list_key(list->kind, f->tenant, list->value, key);
    MDB_val k = {sizeof key, key}, v;
    if (mdb_cursor_open(f->t.txn, f->t.index->dbs[index_list_db(list->kind)], &cursor))
        return 0;
    if (!mdb_cursor_get(cursor, &k, &v, MDB_SET))
        (void)mdb_cursor_count(cursor, &n);
    mdb_cursor_close(cursor);
    return n;
}

/* The shortest list of the words that are given; what the others say is looked at in the records.
 */
static enum tm_err add_shortest(struct finding *f) {
    const struct ca_find *find = f->find;
    const struct {
        enum index_kind kind, names;
        const char *name;
    } words[] = {{INDEX_BATCH, INDEX_BATCH, find->batch},
                 {INDEX_SITE, INDEX_SITE, find->site},
                 {INDEX_STATION, INDEX_STATION, find->station},
                 {INDEX_JOB, INDEX_JOB, find->job},
                 {INDEX_SKU, INDEX_SKU, find->sku},
                 {INDEX_EXPIRY, INDEX_PROFILE, find->profile}};
    enum tm_err err = TM_OK;
    bool given = find->state != 0;
    if (find->state)
        err = add_list(f, INDEX_STATE, find->state);
    for (size_t i = 0; i < sizeof words / sizeof words[0] && !err; i++) {
        if (!words[i].name[0])
            continue;
        size_t before = f->count;
        given = true;
        err = add_named(f, (uint8_t)words[i].kind, words[i].names, words[i].name);
        if (!err && f->count == before) { /* nothing can fit it */
            f->count = 0;
            return TM_OK;
        }
    }
    if (err || !given)
        return err ? err : add_kind(f, INDEX_STATE);
    size_t best = 0;
    for (size_t i = 1; i < f->count; i++)
        if (list_size(f, &f->lists[i]) < list_size(f, &f->lists[best]))
            best = i;
    f->lists[0] = f->lists[best];
    f->count = 1;
    return TM_OK;
}

static enum tm_err add_stuck(struct finding *f) {
    static const enum ca_state between[] = {CA_PROVISIONING, CA_MANUFACTURED, CA_RETURNED,
                                            CA_REFURBISHED};
    enum tm_err err = TM_OK;
    if (f->find->state)
        return add_list(f, INDEX_STATE, f->find->state);
    for (size_t i = 0; i < sizeof between / sizeof between[0] && !err; i++)
        err = add_list(f, INDEX_STATE, between[i]);
    return err;
}

static enum tm_err choose_lists(struct finding *f) {
    const struct ca_find *find = f->find;
    switch (find->question) {
    case CA_FIND_MATCHING:
        return add_shortest(f);
    case CA_FIND_EXPIRING:
        return add_named(f, INDEX_EXPIRY, INDEX_PROFILE, find->profile);
    case CA_FIND_FAILING:
        return add_one_or_kind(f, INDEX_FAILING, find->outcome);
    case CA_FIND_STUCK:
        return add_stuck(f);
    case CA_FIND_DUPLICATE:
        return add_one_or_kind(f, INDEX_DUPLICATE, find->outcome);
    case CA_FIND_UNRENEWED:
        return add_named(f, INDEX_UNRENEWED, INDEX_PROFILE, find->profile);
    }
    return TM_EINVAL;
}

/* ---- going along them ---- */

/* To the list's first entry that is not below the minute and number. */
static enum tm_err seek(struct finding *f, struct list *list, uint32_t minute, uint64_t number) {
    uint8_t key[INDEX_LIST_KEY], octets[10];
    MDB_cursor *cursor;
    index_list_key(list->kind, f->tenant, list->value, key);
    struct bytes item = index_list_item(list->kind, minute, number, octets);
    MDB_val k = {sizeof key, key}, v = {item.n, octets};
    enum tm_err err = store_lmdb_err(
        mdb_cursor_open(f->t.txn, f->t.index->dbs[index_list_db(list->kind)], &cursor),
        "index: finding");
    if (err)
        return err;
    int rc = mdb_cursor_get(cursor, &k, &v, MDB_GET_BOTH_RANGE);
    list->end = rc == MDB_NOTFOUND;
    if (!rc) {
        struct reader r = {{v.mv_data, v.mv_size}, 0, false};
        list->minute = list->kind > INDEX_TIMED ? (uint32_t)reader_be(&r, 4) : 0;
        list->number = reader_be(&r, 6);
        err = r.bad ? TM_ECORRUPT : TM_OK;
    }
    mdb_cursor_close(cursor);
    return !rc || list->end ? err : store_lmdb_err(rc, "index: finding");
}

static enum tm_err begin_lists(struct finding *f, const struct ca_find_cursor *cursor) {
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < f->count && !err; i++) {
        struct list *list = &f->lists[i];
        if (!cursor->begun)
            err = seek(f, list, list->kind > INDEX_TIMED ? index_minute(f->find->from_ms) : 0, 0);
        else /* entries of one minute and device come in the order of their lists */
            err = seek(f, list, cursor->minute, cursor->number + (list->value <= cursor->value));
    }
    return err;
}

static bool before(const struct list *a, const struct list *b) {
    if (a->minute != b->minute)
        return a->minute < b->minute;
    return a->number != b->number ? a->number < b->number : a->value < b->value;
}

/* NULL: there are no more. */
static struct list *next_list(struct finding *f) {
    struct list *next = NULL;
    for (size_t i = 0; i < f->count; i++)
        if (!f->lists[i].end && (!next || before(&f->lists[i], next)))
            next = &f->lists[i];
    const struct ca_find *find = f->find;
    bool over = next && next->kind > INDEX_TIMED && find->until_ms &&
                find->question != CA_FIND_MATCHING && next->minute > index_minute(find->until_ms);
    return over ? NULL : next;
}

/* ---- one entry ---- */

static bool word_fits(const char *wanted, const char *is) {
    return !wanted[0] || strcmp(wanted, is) == 0;
}

static bool record_fits(const struct ca_find *find, const struct ca_device *device) {
    return word_fits(find->batch, device->batch) && word_fits(find->site, device->site) &&
           word_fits(find->station, device->station) && word_fits(find->job, device->job) &&
           word_fits(find->sku, device->sku) && (!find->state || find->state == device->state);
}

static bool time_fits(const struct ca_find *find, int64_t ms) {
    return ms >= find->from_ms && (!find->until_ms || ms < find->until_ms);
}

/* The device's certificate that an entry tells of. */
static const struct ca_cert_ref *cert_of(struct finding *f, const struct ca_device *device,
                                         const struct list *at) {
    for (size_t i = 0; i < device->cert_count; i++) {
        const struct ca_cert_ref *ref = &device->certs[i];
        uint32_t profile;
        bool expiry = at->kind == INDEX_EXPIRY;
        if (ca_cert_in_use(ref) && (expiry || index_unrenewed(device, ref)) &&
            index_minute(expiry ? ref->not_after_ms : ref->issued_ms) == at->minute &&
            !index_name(&f->t, INDEX_PROFILE, f->tenant, ref->profile, false, &profile) &&
            profile == at->value &&
            (f->find->question == CA_FIND_MATCHING ||
             time_fits(f->find, expiry ? ref->not_after_ms : ref->issued_ms)))
            return ref;
    }
    return NULL;
}

static bool has_profile(const struct ca_find *find, const struct ca_device *device) {
    if (!find->profile[0])
        return true;
    for (size_t i = 0; i < device->cert_count; i++)
        if (ca_cert_in_use(&device->certs[i]) &&
            strcmp(device->certs[i].profile, find->profile) == 0)
            return true;
    return false;
}

static bool trouble_fits(struct finding *f, const struct ca_trouble *trouble) {
    uint32_t profile;
    if (!time_fits(f->find, trouble->last_ms))
        return false;
    return !f->find->profile[0] ||
           (!index_name(&f->t, INDEX_PROFILE, f->tenant, f->find->profile, false, &profile) &&
            profile == trouble->profile);
}

/* Is it the first of the device's entries in this list? A device is one answer. */
static bool is_first(const struct index_row *row, const struct list *at) {
    for (size_t i = 0; i < row->count; i++)
        if (row->entries[i].kind == at->kind && row->entries[i].value == at->value &&
            row->entries[i].minute < at->minute)
            return false;
    return true;
}

static bool follows(const struct index_row *row, const struct list *at) {
    for (size_t i = 0; i < row->count; i++)
        if (row->entries[i].kind == at->kind && row->entries[i].value == at->value &&
            row->entries[i].minute == at->minute)
            return true;
    return false;
}

static bool judge(struct finding *f, const struct list *at, const struct index_row *row,
                  struct ca_found *found) {
    const struct ca_find *find = f->find;
    const struct ca_device *device = found->device;
    if (!follows(row, at) || !record_fits(find, device))
        return false;
    switch (find->question) {
    case CA_FIND_MATCHING:
        return has_profile(find, device) && is_first(row, at);
    case CA_FIND_EXPIRING:
    case CA_FIND_UNRENEWED:
        found->cert = cert_of(f, device, at);
        return found->cert != NULL;
    case CA_FIND_STUCK:
        return has_profile(find, device) && time_fits(find, device->changed_ms);
    case CA_FIND_FAILING:
        found->trouble = &row->failing;
        return trouble_fits(f, found->trouble);
    case CA_FIND_DUPLICATE:
        found->trouble = &row->duplicate;
        return trouble_fits(f, found->trouble);
    }
    return false;
}

static enum tm_err read_id(const struct finding *f, uint64_t number, char ret[IPC_NAME_MAX + 1]) {
    uint8_t octets[6];
    struct buf key = BUF_ON(octets);
    struct bytes value;
    buf_put_be(&key, number, 6);
    enum tm_err err = index_get(&f->t, INDEX_DB_NUMBER, buf_bytes(&key), &value);
    if (err)
        return err == TM_ENOTFOUND ? TM_ECORRUPT : err;
    if (value.n < 3 || value.n > 2 + IPC_NAME_MAX)
        return TM_ECORRUPT;
    memcpy(ret, value.p + 2, value.n - 2);
    ret[value.n - 2] = 0;
    return TM_OK;
}

/* *ret_fits: it was handed over. What the device's record does not say any more is passed over. */
static enum tm_err look(struct finding *f, const struct list *at, bool *ret_fits) {
    struct ca_store *store = f->t.index->store;
    char id[IPC_NAME_MAX + 1];
    struct ca_device device;
    struct index_row row;
    struct ca_found found = {.device = &device};
    *ret_fits = false;
    enum tm_err err = read_id(f, at->number, id);
    if (!err)
        err = index_row_read(&f->t, f->tenant, id, &row);
    if (err)
        return err;
    err = store->ops->device(store, f->find->tenant, id, &device);
    if (!err) {
        /* A certificate since then has ended the trouble. */
        for (size_t i = 0; i < device.cert_count; i++)
            if (device.certs[i].issued_ms >= row.failing.last_ms)
                row.failing.outcome = 0;
        err = index_entries(&f->t, f->tenant, &device, false, &row);
        if (!err && judge(f, at, &row, &found)) {
            f->take(f->arg, &found);
            *ret_fits = true;
        }
    }
    return err == TM_ENOTFOUND || err == TM_ECORRUPT ? TM_OK : err;
}

static enum tm_err go_along(struct finding *f, struct ca_find_cursor *cursor, size_t max,
                            bool *ret_end) {
    size_t given = 0;
    for (size_t looks = 0; looks < INDEX_LOOKS_MAX && given < max; looks++) {
        struct list *at = next_list(f);
        bool fits;
        if (!at) {
            *ret_end = true;
            return TM_OK;
        }
        enum tm_err err = look(f, at, &fits);
        if (err)
            return err;
        given += fits;
        *cursor = (struct ca_find_cursor){true, at->minute, at->value, at->number};
        err = seek(f, at, at->minute, at->number + 1);
        if (err)
            return err;
    }
    *ret_end = !next_list(f);
    return TM_OK;
}

static enum tm_err find_in(struct finding *f, struct ca_find_cursor *cursor, size_t max,
                           bool *ret_end) {
    enum tm_err err = index_tenant(&f->t, f->find->tenant, false, &f->tenant);
    if (err == TM_ENOTFOUND) {
        *ret_end = true;
        return TM_OK;
    }
    if (!err)
        err = choose_lists(f);
    if (!err)
        err = begin_lists(f, cursor);
    return err ? err : go_along(f, cursor, max, ret_end);
}

enum tm_err store_index_find(struct ca_index *index, const struct ca_find *find,
                             struct ca_find_cursor *cursor, size_t max,
                             void (*take)(void *arg, const struct ca_found *found), void *arg,
                             bool *ret_end) {
    if (!find->tenant[0] || !max || cursor->number >> 48)
        return TM_EINVAL;
    if (!atomic_load(&index->walked) || atomic_load(&index->broken))
        return TM_EAGAIN;
    struct finding *f = malloc(sizeof *f);
    if (!f)
        return TM_ENOMEM;
    f->find = find;
    f->count = 0;
    f->take = take;
    f->arg = arg;
    enum tm_err err = index_begin(index, false, &f->t);
    if (!err) {
        err = find_in(f, cursor, max, ret_end);
        index_abort(&f->t);
    }
    if (err == TM_EIO || err == TM_ECORRUPT)
        atomic_store(&index->broken, true); /* the next step builds it anew */
    free(f);
    return err == TM_ECORRUPT ? TM_EIO : err;
}
