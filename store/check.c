/* SPDX-License-Identifier: Apache-2.0 */
/* Does everything that must agree, agree? See store/check.h. */
#include "store/checker.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void store_fault(struct store_checker *c, const char *format, ...) {
    char text[IPC_TEXT_MAX + 1];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    c->faulty = true;
    c->report(c->arg, text);
}

/* ---- names for sentences ---- */

struct store_name store_device_name(struct bytes key) {
    struct store_name name = {""};
    for (size_t i = 0; i < key.n && i + 1 < sizeof name.text; i++) {
        char ch = (char)key.p[i];
        name.text[i] = ch == 0 ? '/' : '?';
        if (ch > ' ' && ch <= '~')
            name.text[i] = ch;
    }
    return name;
}

struct store_name store_hex_name(struct bytes key) {
    struct store_name name;
    if (hex_encode(key, name.text, sizeof name.text))
        (void)snprintf(name.text, sizeof name.text, "of %zu octets", key.n);
    return name;
}

struct store_name store_serial_name(const struct ca_serial *serial) {
    return store_hex_name(store_serial_key(serial));
}

/* ---- looking things up ---- */

enum tm_err store_find_certificate(struct store_checker *c, const struct ca_serial *serial,
                                   struct store_certificate *ret) {
    if (serial->n == 0 || serial->n > CA_SERIAL_MAX)
        return TM_ENOTFOUND;
    return store_reader_record(c->reader, STORE_DB_CERT, store_serial_key(serial),
                               &store_certificate_schema, ret);
}

enum tm_err store_find_device(struct store_checker *c, const char *tenant, const char *id,
                              struct ca_device *ret) {
    uint8_t octets[STORE_KEY_MAX];
    struct buf key = BUF_ON(octets);
    store_put_device_key(&key, tenant, id);
    return store_reader_record(c->reader, STORE_DB_DEVICE, buf_bytes(&key), &store_device_schema,
                               ret);
}

enum tm_err store_find_transaction(struct store_checker *c, const char *tenant, const char *id,
                                   struct ca_transaction *ret) {
    uint8_t octets[STORE_KEY_MAX];
    struct buf key = BUF_ON(octets);
    store_put_device_key(&key, tenant, id);
    return store_reader_record(c->reader, STORE_DB_TRANSACTION, buf_bytes(&key),
                               &store_transaction_schema, ret);
}

enum tm_err store_find_leaf(struct store_checker *c, uint64_t sequence, struct ca_leaf *ret) {
    uint8_t octets[8];
    struct buf key = BUF_ON(octets);
    store_put_leaf_key(&key, sequence);
    return store_reader_record(c->reader, STORE_DB_LEAF, buf_bytes(&key), &store_leaf_schema, ret);
}

bool store_same_owner(const char *tenant_a, const char *device_a, const char *tenant_b,
                      const char *device_b) {
    return strcmp(tenant_a, tenant_b) == 0 && strcmp(device_a, device_b) == 0;
}

uint8_t store_leaf_event(const struct ca_certificate *cert) {
    return cert->status == CA_CERT_BURNED ? CA_EVENT_BURNED : CA_EVENT_ISSUED;
}

/* ---- all of it ---- */

static void walk(struct store_checker *c, enum store_db db, const char *name,
                 store_check_fn *check) {
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(c->reader->txn, c->reader->env->dbs[db], &cursor);
    if (!rc) {
        MDB_val k, v;
        rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
        for (; !rc; rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT))
            check(c, (struct bytes){k.mv_data, k.mv_size}, (struct bytes){v.mv_data, v.mv_size});
        mdb_cursor_close(cursor);
    }
    if (rc != MDB_NOTFOUND)
        store_fault(c, "the %s cannot be read to the end: %s", name, mdb_strerror(rc));
}

static void check_format(struct store_checker *c) {
    struct store_format format;
    if (store_reader_record(c->reader, STORE_DB_META, bytes_str(STORE_KEY_FORMAT),
                            &store_format_schema, &format))
        store_fault(c, "the format record fails its hash");
}

enum tm_err store_check(struct store_reader *reader, void (*report)(void *arg, const char *text),
                        void *arg) {
    struct store_checker c = {.reader = reader, .report = report, .arg = arg};
    enum tm_err err = store_reader_begin(reader);
    if (err)
        return err;
    check_format(&c);
    walk(&c, STORE_DB_DEVICE, "devices", store_check_device);
    walk(&c, STORE_DB_CERT, "certificates", store_check_certificate);
    walk(&c, STORE_DB_INTENT, "intents", store_check_intent);
    walk(&c, STORE_DB_KEY, "keys", store_check_key);
    walk(&c, STORE_DB_REVOKED, "revoked certificates", store_check_revoked);
    walk(&c, STORE_DB_ROW, "administrative rows", store_check_row);
    walk(&c, STORE_DB_TRANSACTION, "transactions", store_check_transaction);
    walk(&c, STORE_DB_LEAF, "audit leaves", store_check_leaf);
    store_check_tree(&c);
    store_check_tiles(&c);
    walk(&c, STORE_DB_CURSOR, "cursors", store_check_cursor); /* after the leaves were counted */
    store_reader_end(reader);
    return c.faulty ? TM_ECORRUPT : TM_OK;
}
