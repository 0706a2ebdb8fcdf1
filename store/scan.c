/* SPDX-License-Identifier: Apache-2.0 */
/* Walks on other threads: see store/scan.h. */
#include "store/scan.h"

#include <stdlib.h>
#include <string.h>

struct ca_scan {
    struct store_reader reader;
};

/* One page: where it begins, what its keys begin with, and how a record becomes a row. */
struct page {
    enum store_db db;
    struct bytes after;
    struct bytes prefix;
    size_t max;
    enum tm_err (*take)(const struct page *page, struct store_reader *reader, struct bytes key,
                        struct bytes value, size_t index);
    void *rows;
};

enum tm_err store_scan_open(struct store_env *env, struct ca_scan **ret_scan) {
    struct ca_scan *scan = calloc(1, sizeof *scan);
    if (!scan)
        return TM_ENOMEM;
    enum tm_err err = store_reader_init(&scan->reader, env);
    if (err)
        free(scan);
    else
        *ret_scan = scan;
    return err;
}

void store_scan_close(struct ca_scan *scan) {
    if (!scan)
        return;
    store_reader_deinit(&scan->reader);
    free(scan);
}

static bool begins_with(struct bytes key, struct bytes prefix) {
    return key.n >= prefix.n && (!prefix.n || memcmp(key.p, prefix.p, prefix.n) == 0);
}

/* Rows until the page is full, the walk ends or a record is bad. */
static enum tm_err take_rows(struct store_reader *reader, MDB_cursor *cursor,
                             const struct page *page, size_t *ret_n) {
    MDB_val k, v;
    size_t n = 0;
    enum tm_err err = TM_OK;
    int rc = store_seek(cursor, page->after, &k, &v);
    while (!rc) {
        struct bytes key = {k.mv_data, k.mv_size}, value = {v.mv_data, v.mv_size};
        if (!begins_with(key, page->prefix))
            break;
        err = page->take(page, reader, key, value, n);
        if (err || ++n == page->max || n == STORE_SCAN_PAGE)
            break;
        rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    if (rc && rc != MDB_NOTFOUND)
        err = store_lmdb_err(rc, "scanning");
    if (err && !n)
        return err;
    *ret_n = n; /* what was good before it; the next page begins with it */
    return TM_OK;
}

static enum tm_err read_page(struct ca_scan *scan, const struct page *page, size_t *ret_n) {
    struct store_reader *reader = &scan->reader;
    if (!page->max)
        return TM_EINVAL;
    enum tm_err err = store_reader_begin(reader);
    if (err)
        return err;
    MDB_cursor *cursor;
    err = store_lmdb_err(mdb_cursor_open(reader->txn, reader->env->dbs[page->db], &cursor),
                         "scanning");
    if (!err) {
        err = take_rows(reader, cursor, page, ret_n);
        mdb_cursor_close(cursor);
    }
    store_reader_end(reader);
    return err;
}

/* ---- what is walked ---- */

static bool serial_is_cursor(const struct ca_serial *serial) {
    return serial->n == 0 || store_serial_is_key(serial);
}

static enum tm_err take_revoked(const struct page *page, struct store_reader *reader,
                                struct bytes key, struct bytes value, size_t index) {
    struct ca_revoked *row = (struct ca_revoked *)page->rows + index;
    enum tm_err err = store_unseal(reader->hasher, key, value, &store_revoked_schema, row);
    struct bytes serial = {key.p + page->prefix.n, key.n - page->prefix.n};
    if (!err && (!ca_serial_read(serial, &row->serial) || !serial.n))
        err = TM_ECORRUPT;
    return err;
}

enum tm_err store_scan_revoked(struct ca_scan *scan, const char *issuer, struct ca_serial *cursor,
                               struct ca_revoked *rows, size_t max, size_t *ret_n) {
    if (!store_name_is_key(issuer) || !serial_is_cursor(cursor))
        return TM_EINVAL;
    uint8_t octets[STORE_KEY_MAX];
    struct buf after = BUF_ON(octets);
    store_put_revoked_key(&after, issuer, cursor);
    struct page page = {.db = STORE_DB_REVOKED,
                        .after = buf_bytes(&after),
                        .prefix = {octets, strlen(issuer) + 1},
                        .max = max,
                        .take = take_revoked,
                        .rows = rows};
    enum tm_err err = read_page(scan, &page, ret_n);
    if (!err && *ret_n)
        *cursor = rows[*ret_n - 1].serial;
    return err;
}

static enum tm_err take_certificate(const struct page *page, struct store_reader *reader,
                                    struct bytes key, struct bytes value, size_t index) {
    struct ca_summary *row = (struct ca_summary *)page->rows + index;
    struct store_certificate record;
    enum tm_err err = store_unseal(reader->hasher, key, value, &store_certificate_schema, &record);
    if (err)
        return err;
    const struct ca_certificate *certificate = &record.certificate;
    *row = (struct ca_summary){.serial = certificate->serial,
                               .status = certificate->status,
                               .issued_ms = certificate->issued_ms,
                               .not_after_ms = certificate->not_after_ms};
    TEXT_SET(row->tenant, certificate->tenant);
    TEXT_SET(row->device, certificate->device);
    TEXT_SET(row->profile, certificate->profile);
    TEXT_SET(row->issuer, certificate->issuer);
    return TM_OK;
}

enum tm_err store_scan_certificates(struct ca_scan *scan, struct ca_serial *cursor,
                                    struct ca_summary *rows, size_t max, size_t *ret_n) {
    if (!serial_is_cursor(cursor))
        return TM_EINVAL;
    struct page page = {.db = STORE_DB_CERT,
                        .after = store_serial_key(cursor),
                        .max = max,
                        .take = take_certificate,
                        .rows = rows};
    enum tm_err err = read_page(scan, &page, ret_n);
    if (!err && *ret_n)
        *cursor = rows[*ret_n - 1].serial;
    return err;
}

static enum tm_err take_device(const struct page *page, struct store_reader *reader,
                               struct bytes key, struct bytes value, size_t index) {
    struct ca_device *row = (struct ca_device *)page->rows + index;
    return store_unseal(reader->hasher, key, value, &store_device_schema, row);
}

enum tm_err store_scan_devices(struct ca_scan *scan, const char *tenant,
                               char cursor[IPC_NAME_MAX + 1], struct ca_device *rows, size_t max,
                               size_t *ret_n) {
    if (!store_name_is_key(tenant) || (cursor[0] && !store_name_is_key(cursor)))
        return TM_EINVAL;
    uint8_t octets[STORE_KEY_MAX];
    struct buf after = BUF_ON(octets);
    store_put_device_key(&after, tenant, cursor);
    struct page page = {.db = STORE_DB_DEVICE,
                        .after = buf_bytes(&after),
                        .prefix = {octets, strlen(tenant) + 1},
                        .max = max,
                        .take = take_device,
                        .rows = rows};
    enum tm_err err = read_page(scan, &page, ret_n);
    if (!err && *ret_n)
        memcpy(cursor, rows[*ret_n - 1].id, IPC_NAME_MAX + 1);
    return err;
}

enum tm_err store_scan_device(struct ca_scan *scan, const char *tenant, const char *id,
                              struct ca_device *ret) {
    return store_read_device(&scan->reader, tenant, id, ret);
}

enum tm_err store_scan_every_device(struct ca_scan *scan, char tenant[IPC_NAME_MAX + 1],
                                    char id[IPC_NAME_MAX + 1], struct ca_device *rows, size_t max,
                                    size_t *ret_n) {
    uint8_t octets[STORE_KEY_MAX];
    struct buf after = BUF_ON(octets);
    bool begins = !tenant[0] && !id[0];
    if (!begins && (!store_name_is_key(tenant) || !store_name_is_key(id)))
        return TM_EINVAL;
    if (!begins)
        store_put_device_key(&after, tenant, id);
    struct page page = {.db = STORE_DB_DEVICE,
                        .after = buf_bytes(&after),
                        .max = max,
                        .take = take_device,
                        .rows = rows};
    enum tm_err err = read_page(scan, &page, ret_n);
    if (!err && *ret_n) {
        memcpy(tenant, rows[*ret_n - 1].tenant, IPC_NAME_MAX + 1);
        memcpy(id, rows[*ret_n - 1].id, IPC_NAME_MAX + 1);
    }
    return err;
}

enum tm_err store_scan_leaf(struct ca_scan *scan, uint64_t sequence, struct ca_leaf *ret) {
    return store_read_leaf(&scan->reader, sequence, ret);
}

enum tm_err store_scan_audit_head(struct ca_scan *scan, struct ca_audit_head *ret) {
    return store_read_head(&scan->reader, ret);
}
