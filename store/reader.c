/* SPDX-License-Identifier: Apache-2.0 */
/* Reads of single records: see store/reader.h. */
#include "store/reader.h"

#include <string.h>

static enum tm_err lock_map(struct store_env *env) {
    (void)pthread_rwlock_rdlock(&env->map_lock);
    if (!env->lost)
        return TM_OK;
    (void)pthread_rwlock_unlock(&env->map_lock);
    return TM_EIO;
}

enum tm_err store_reader_init(struct store_reader *reader, struct store_env *env) {
    *reader = (struct store_reader){.env = env};
    enum tm_err err = ca_hasher_new(&reader->hasher);
    if (!err)
        err = lock_map(env);
    if (!err) {
        err = store_lmdb_err(mdb_txn_begin(env->env, NULL, MDB_RDONLY, &reader->txn),
                             "beginning to read");
        if (!err)
            mdb_txn_reset(reader->txn);
        (void)pthread_rwlock_unlock(&env->map_lock);
    }
    if (err)
        store_reader_deinit(reader);
    return err;
}

void store_reader_deinit(struct store_reader *reader) {
    if (reader->txn)
        mdb_txn_abort(reader->txn);
    ca_hasher_free(reader->hasher);
    *reader = (struct store_reader){0};
}

enum tm_err store_reader_begin(struct store_reader *reader) {
    enum tm_err err = lock_map(reader->env);
    if (err)
        return err;
    err = store_lmdb_err(mdb_txn_renew(reader->txn), "beginning to read");
    if (err)
        (void)pthread_rwlock_unlock(&reader->env->map_lock);
    return err;
}

void store_reader_end(struct store_reader *reader) {
    mdb_txn_reset(reader->txn);
    (void)pthread_rwlock_unlock(&reader->env->map_lock);
}

enum tm_err store_reader_record(struct store_reader *reader, enum store_db db, struct bytes key,
                                const struct codec_schema *schema, void *ret_record) {
    struct bytes value;
    enum tm_err err = store_get(reader->env, reader->txn, db, key, &value);
    return err ? err : store_unseal(reader->hasher, key, value, schema, ret_record);
}

enum tm_err store_read_one(struct store_reader *reader, enum store_db db, struct bytes key,
                           const struct codec_schema *schema, void *ret_record) {
    enum tm_err err = store_reader_begin(reader);
    if (err)
        return err;
    err = store_reader_record(reader, db, key, schema, ret_record);
    store_reader_end(reader);
    return err;
}

enum tm_err store_read_device(struct store_reader *reader, const char *tenant, const char *id,
                              struct ca_device *ret) {
    if (!store_name_is_key(tenant) || !store_name_is_key(id))
        return TM_ENOTFOUND;
    uint8_t octets[STORE_KEY_MAX];
    struct buf key = BUF_ON(octets);
    store_put_device_key(&key, tenant, id);
    return store_read_one(reader, STORE_DB_DEVICE, buf_bytes(&key), &store_device_schema, ret);
}

enum tm_err store_copy_out(struct bytes from, struct buf *out, struct bytes *ret) {
    if (out->full || out->cap - out->n < from.n)
        return TM_ELIMIT;
    *ret = (struct bytes){0}; /* a burned serial has no certificate */
    if (from.n)
        *ret = (struct bytes){out->p + out->n, from.n};
    buf_put(out, from);
    return TM_OK;
}

static enum tm_err hand_out(const struct store_certificate *record, struct ca_certificate *ret,
                            struct buf *der) {
    struct bytes copy;
    enum tm_err err = store_copy_out(record->certificate.der, der, &copy);
    if (err)
        return err;
    *ret = record->certificate;
    ret->der = copy;
    return TM_OK;
}

enum tm_err store_read_certificate(struct store_reader *reader, const struct ca_serial *serial,
                                   struct ca_certificate *ret, struct buf *der) {
    if (!store_serial_is_key(serial))
        return TM_ENOTFOUND;
    enum tm_err err = store_reader_begin(reader);
    if (err)
        return err;
    struct store_certificate record;
    err = store_reader_record(reader, STORE_DB_CERT, store_serial_key(serial),
                              &store_certificate_schema, &record);
    if (!err)
        err = hand_out(&record, ret, der);
    store_reader_end(reader);
    return err;
}

static enum tm_err read_transaction(struct store_reader *reader, struct bytes key,
                                    struct ca_transaction *ret, struct buf *response) {
    struct ca_transaction record;
    enum tm_err err =
        store_reader_record(reader, STORE_DB_TRANSACTION, key, &store_transaction_schema, &record);
    if (!err)
        err = store_copy_out(record.response, response, &record.response);
    if (!err)
        *ret = record;
    return err;
}

enum tm_err store_read_transaction(struct store_reader *reader, const char *tenant, const char *id,
                                   struct ca_transaction *ret, struct buf *response) {
    if (!store_name_is_key(tenant) || !store_name_is_key(id))
        return TM_ENOTFOUND;
    uint8_t octets[STORE_KEY_MAX];
    struct buf key = BUF_ON(octets);
    store_put_device_key(&key, tenant, id);
    enum tm_err err = store_reader_begin(reader);
    if (err)
        return err;
    err = read_transaction(reader, buf_bytes(&key), ret, response);
    store_reader_end(reader);
    return err;
}

enum tm_err store_read_cursor(struct store_reader *reader, const char *consumer,
                              struct store_cursor *ret) {
    if (!store_name_is_key(consumer))
        return TM_ENOTFOUND;
    return store_read_one(reader, STORE_DB_CURSOR, bytes_str(consumer), &store_cursor_schema, ret);
}

enum tm_err store_read_owner(struct store_reader *reader, const uint8_t spki_hash[CA_HASH_SIZE],
                             struct store_owner *ret) {
    return store_read_one(reader, STORE_DB_KEY, (struct bytes){spki_hash, CA_HASH_SIZE},
                          &store_owner_schema, ret);
}

/* ---- pages ---- */

static bool serial_is_cursor(const struct ca_serial *serial) {
    return serial->n == 0 || store_serial_is_key(serial);
}

int store_seek(MDB_cursor *cursor, struct bytes after, MDB_val *key, MDB_val *value) {
    if (after.n == 0)
        return mdb_cursor_get(cursor, key, value, MDB_FIRST);
    *key = (MDB_val){after.n, (void *)(uintptr_t)after.p};
    int rc = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
    if (rc || !bytes_equal(after, (struct bytes){key->mv_data, key->mv_size}))
        return rc;
    return mdb_cursor_get(cursor, key, value, MDB_NEXT);
}

enum tm_err store_reader_next(struct store_reader *reader, enum store_db db, struct bytes after,
                              struct bytes *ret_key, struct bytes *ret_value) {
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc = mdb_cursor_open(reader->txn, reader->env->dbs[db], &cursor);
    if (rc)
        return store_lmdb_err(rc, "paging");
    rc = store_seek(cursor, after, &key, &value);
    mdb_cursor_close(cursor);
    if (rc)
        return store_lmdb_err(rc, "paging");
    *ret_key = (struct bytes){key.mv_data, key.mv_size};
    *ret_value = (struct bytes){value.mv_data, value.mv_size};
    return TM_OK;
}

/* A tenant's devices stand together, so the next tenant begins behind all keys with this one's. */
static enum tm_err next_tenant(struct store_reader *reader, struct bytes after,
                               char ret[IPC_NAME_MAX + 1]) {
    struct bytes key, value;
    struct ca_device device;
    enum tm_err err = store_reader_next(reader, STORE_DB_DEVICE, after, &key, &value);
    if (!err)
        err = store_unseal(reader->hasher, key, value, &store_device_schema, &device);
    if (!err)
        memcpy(ret, device.tenant, sizeof device.tenant);
    return err;
}

enum tm_err store_read_next_tenant(struct store_reader *reader, char tenant[IPC_NAME_MAX + 1]) {
    uint8_t octets[STORE_KEY_MAX];
    struct buf after = BUF_ON(octets);
    if (tenant[0]) {
        buf_put(&after, bytes_str(tenant));
        buf_put_u8(&after, 1);
    }
    enum tm_err err = store_reader_begin(reader);
    if (err)
        return err;
    err = next_tenant(reader, buf_bytes(&after), tenant);
    store_reader_end(reader);
    return err;
}

static enum tm_err next_device(struct store_reader *reader, const char *tenant, struct bytes after,
                               struct ca_device *ret) {
    struct bytes key, value;
    enum tm_err err = store_reader_next(reader, STORE_DB_DEVICE, after, &key, &value);
    if (err)
        return err;
    size_t prefix = strlen(tenant) + 1; /* with the NUL that ends the tenant in a key */
    if (key.n < prefix || memcmp(key.p, tenant, prefix) != 0)
        return TM_ENOTFOUND;
    return store_unseal(reader->hasher, key, value, &store_device_schema, ret);
}

enum tm_err store_read_next_device(struct store_reader *reader, const char *tenant,
                                   char cursor[IPC_NAME_MAX + 1], struct ca_device *ret) {
    if (!store_name_is_key(tenant))
        return TM_ENOTFOUND;
    uint8_t octets[STORE_KEY_MAX];
    struct buf after = BUF_ON(octets);
    store_put_device_key(&after, tenant, cursor);
    enum tm_err err = store_reader_begin(reader);
    if (err)
        return err;
    err = next_device(reader, tenant, buf_bytes(&after), ret);
    store_reader_end(reader);
    if (!err)
        memcpy(cursor, ret->id, sizeof ret->id);
    return err;
}

static enum tm_err next_certificate(struct store_reader *reader, struct bytes after,
                                    struct ca_certificate *ret, struct buf *der) {
    struct bytes key, value;
    struct store_certificate record;
    enum tm_err err = store_reader_next(reader, STORE_DB_CERT, after, &key, &value);
    if (!err)
        err = store_unseal(reader->hasher, key, value, &store_certificate_schema, &record);
    return err ? err : hand_out(&record, ret, der);
}

enum tm_err store_read_next_certificate(struct store_reader *reader, struct ca_serial *cursor,
                                        struct ca_certificate *ret, struct buf *der) {
    enum tm_err err = serial_is_cursor(cursor) ? store_reader_begin(reader) : TM_EINVAL;
    if (err)
        return err;
    err = next_certificate(reader, store_serial_key(cursor), ret, der);
    store_reader_end(reader);
    if (!err)
        *cursor = ret->serial;
    return err;
}

static enum tm_err next_intent(struct store_reader *reader, struct bytes after,
                               struct ca_intent *ret) {
    struct bytes key, value;
    enum tm_err err = store_reader_next(reader, STORE_DB_INTENT, after, &key, &value);
    return err ? err : store_unseal(reader->hasher, key, value, &store_intent_schema, ret);
}

enum tm_err store_read_next_intent(struct store_reader *reader, struct ca_serial *cursor,
                                   struct ca_intent *ret) {
    enum tm_err err = serial_is_cursor(cursor) ? store_reader_begin(reader) : TM_EINVAL;
    if (err)
        return err;
    err = next_intent(reader, store_serial_key(cursor), ret);
    store_reader_end(reader);
    if (!err)
        *cursor = ret->serial;
    return err;
}

static enum tm_err next_cursor(struct store_reader *reader, char consumer[IPC_NAME_MAX + 1],
                               struct store_cursor *ret) {
    struct bytes key, value;
    enum tm_err err = store_reader_next(reader, STORE_DB_CURSOR, bytes_str(consumer), &key, &value);
    if (!err && key.n > IPC_NAME_MAX)
        err = TM_ECORRUPT;
    if (!err)
        err = store_unseal(reader->hasher, key, value, &store_cursor_schema, ret);
    if (err)
        return err;
    memcpy(consumer, key.p, key.n);
    consumer[key.n] = 0;
    return TM_OK;
}

enum tm_err store_read_next_cursor(struct store_reader *reader, char consumer[IPC_NAME_MAX + 1],
                                   struct store_cursor *ret) {
    enum tm_err err = store_reader_begin(reader);
    if (err)
        return err;
    err = next_cursor(reader, consumer, ret);
    store_reader_end(reader);
    return err;
}
