/* SPDX-License-Identifier: Apache-2.0 */
/* The format record, and stores of older formats: see store/format.h. */
#include "store/format.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/crash.h"
#include "base/log.h"
#include "store/tile.h"

enum tm_err store_format_put(const struct store_env *env, MDB_txn *txn, struct ca_hasher *hasher,
                             const struct store_format *format) {
    uint8_t octets[256];
    struct buf value = BUF_ON(octets);
    struct bytes key = bytes_str(STORE_KEY_FORMAT);
    enum tm_err err = store_seal(hasher, key, &store_format_schema, format, &value);
    if (err)
        return err;
    MDB_val k = {key.n, (void *)(uintptr_t)key.p}, v = {value.n, value.p};
    return store_lmdb_err(mdb_put(txn, env->dbs[STORE_DB_META], &k, &v, 0), "storing the format");
}

static enum tm_err judge(const struct store_format *format, const struct store_config *config,
                         char text[IPC_TEXT_MAX + 1]) {
    if (format->format == 0 || format->format > STORE_FORMAT) {
        (void)snprintf(text, IPC_TEXT_MAX + 1,
                       "the store %.160s has format %" PRIu32
                       "; this program knows formats up to %d",
                       config->path, format->format, STORE_FORMAT);
        return TM_EDENIED;
    }
    if (strcmp(format->environment, config->environment) != 0) {
        (void)snprintf(text, IPC_TEXT_MAX + 1,
                       "the store %.60s was made for environment %s, not for %.64s", config->path,
                       format->environment, config->environment);
        return TM_EDENIED;
    }
    return TM_OK;
}

enum tm_err store_format_check(struct store_reader *reader, const struct store_config *config,
                               struct store_format *ret_format, char text[IPC_TEXT_MAX + 1]) {
    struct store_format format;
    enum tm_err err = store_reader_begin(reader);
    if (!err) {
        err = store_reader_record(reader, STORE_DB_META, bytes_str(STORE_KEY_FORMAT),
                                  &store_format_schema, &format);
        store_reader_end(reader);
    }
    if (err) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "the store %.160s has no sound format record",
                       config->path);
        return err == TM_ENOTFOUND ? TM_ECORRUPT : err;
    }
    err = judge(&format, config, text);
    if (!err)
        *ret_format = format;
    return err;
}

/* ---- raising ---- */

struct raising {
    struct store_env *env;
    struct ca_hasher *hasher;
    MDB_txn *txn;
    uint64_t indexed;
    uint64_t damaged;
    bool disk_full;
};

/* Nothing was promised yet: a full disk is no more than that here. */
static enum tm_err raise_err(struct raising *r, int rc, const char *what) {
    r->disk_full = rc == ENOSPC || rc == EDQUOT || rc == EFBIG;
    return r->disk_full ? TM_EFULL : store_lmdb_err(rc, what);
}

static enum tm_err put_revoked(struct raising *r, const struct ca_certificate *certificate) {
    uint8_t key_octets[STORE_KEY_MAX], value_octets[64];
    struct buf key = BUF_ON(key_octets), value = BUF_ON(value_octets);
    const struct ca_revoked revoked = store_revoked_of(certificate);
    store_put_revoked_key(&key, certificate->issuer, &certificate->serial);
    enum tm_err err =
        store_seal(r->hasher, buf_bytes(&key), &store_revoked_schema, &revoked, &value);
    if (err)
        return err;
    MDB_val k = {key.n, key.p}, v = {value.n, value.p};
    r->indexed++;
    return raise_err(r, mdb_put(r->txn, r->env->dbs[STORE_DB_REVOKED], &k, &v, 0),
                     "indexing a revoked certificate");
}

/* Most certificates are not revoked: of those neither hash nor DER is looked at. A damaged record
 * does not keep the store from being opened: no more than it does of this program's own format. */
static enum tm_err index_certificate(struct raising *r, struct bytes key, struct bytes value) {
    struct store_certificate record;
    enum tm_err err = store_peek(value, &store_certificate_schema, &record);
    if (!err && record.certificate.status != CA_CERT_REVOKED)
        return TM_OK;
    if (!err)
        err = store_unseal(r->hasher, key, value, &store_certificate_schema, &record);
    if (err == TM_ECORRUPT) {
        r->damaged++;
        return TM_OK;
    }
    return err ? err : put_revoked(r, &record.certificate);
}

static enum tm_err index_revoked(struct raising *r) {
    MDB_cursor *cursor;
    MDB_val k, v;
    int rc = mdb_cursor_open(r->txn, r->env->dbs[STORE_DB_CERT], &cursor);
    if (rc)
        return store_lmdb_err(rc, "walking the certificates");
    enum tm_err err = TM_OK;
    for (rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST); !rc && !err;
         rc = err ? 0 : mdb_cursor_get(cursor, &k, &v, MDB_NEXT))
        err = index_certificate(r, (struct bytes){k.mv_data, k.mv_size},
                                (struct bytes){v.mv_data, v.mv_size});
    mdb_cursor_close(cursor);
    if (err || rc == MDB_NOTFOUND)
        return err;
    return store_lmdb_err(rc, "walking the certificates");
}

/* Of leaves in the order of their numbers: a hole among them is found when the store is started. */
static enum tm_err tile_leaves(struct raising *r, MDB_cursor *cursor) {
    const struct store_tiling tiling = {r->env, r->txn, r->hasher};
    struct audit_hash tile[STORE_TILE_WIDTH];
    uint64_t size = 0;
    MDB_val k, v;
    enum tm_err err = TM_OK;
    int rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
    for (; !rc && !err; rc = err ? 0 : mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
        struct bytes leaf = store_sealed_record((struct bytes){v.mv_data, v.mv_size});
        err = store_merkle_leaf(r->hasher, leaf, &tile[size++ % STORE_TILE_WIDTH]);
        if (!err && size % STORE_TILE_WIDTH == 0)
            err = store_tile_put(&tiling, size / STORE_TILE_WIDTH - 1, tile);
    }
    if (err || rc == MDB_NOTFOUND)
        return err;
    return store_lmdb_err(rc, "walking the audit leaves");
}

static enum tm_err build_tiles(struct raising *r) {
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(r->txn, r->env->dbs[STORE_DB_LEAF], &cursor);
    if (rc)
        return store_lmdb_err(rc, "walking the audit leaves");
    enum tm_err err = tile_leaves(r, cursor);
    mdb_cursor_close(cursor);
    return err;
}

static enum tm_err raise_now(struct raising *r, const struct store_format *format) {
    r->indexed = r->damaged = 0;
    enum tm_err err =
        store_lmdb_err(mdb_txn_begin(r->env->env, NULL, 0, &r->txn), "beginning a transaction");
    if (err)
        return err;
    err = store_env_complete(r->env, r->txn);
    if (!err)
        err = index_revoked(r);
    if (!err)
        err = build_tiles(r);
    if (!err)
        err = store_format_put(r->env, r->txn, r->hasher, format);
    if (err) {
        mdb_txn_abort(r->txn);
        return err;
    }
    crash_point("store.before_raise");
    return raise_err(r, mdb_txn_commit(r->txn), "raising the format");
}

/* In a map that grows like that of any batch; at last what is kept for revocations must do, also in
 * a store that is full. */
static enum tm_err raise_in_room(struct raising *r, const struct store_format *format) {
    enum tm_err err = raise_now(r, format), grown = TM_OK;
    while (err == TM_EFULL && !r->disk_full && !grown) {
        grown = store_env_grow(r->env);
        if (!grown)
            err = raise_now(r, format);
    }
    if (grown != TM_EFULL)
        return grown ? grown : err;
    err = store_env_headroom(r->env, true);
    if (!err)
        err = raise_now(r, format);
    enum tm_err closed = store_env_headroom(r->env, false);
    return err ? err : closed;
}

enum tm_err store_format_raise(struct store_env *env, struct ca_hasher *hasher,
                               const struct store_format *format) {
    struct store_format raised = *format;
    struct raising r = {.env = env, .hasher = hasher};
    raised.format = STORE_FORMAT;
    enum tm_err err = raise_in_room(&r, &raised);
    if (err)
        return err;
    log_info("store: format %" PRIu32 " became format %d; %" PRIu64 " certificates are revoked",
             format->format, STORE_FORMAT, r.indexed);
    if (r.damaged)
        log_error("store: %" PRIu64 " certificates fail their hash; check the store", r.damaged);
    env->whole = true;
    return TM_OK;
}
