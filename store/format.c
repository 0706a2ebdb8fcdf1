/* SPDX-License-Identifier: Apache-2.0 */
/* The format record, and stores of older formats: see store/format.h. */
#include "store/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/crash.h"
#include "base/log.h"

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

static enum tm_err raise_now(struct store_env *env, struct ca_hasher *hasher,
                             const struct store_format *format) {
    MDB_txn *txn;
    enum tm_err err =
        store_lmdb_err(mdb_txn_begin(env->env, NULL, 0, &txn), "beginning a transaction");
    if (err)
        return err;
    err = store_env_complete(env, txn);
    if (!err)
        err = store_format_put(env, txn, hasher, format);
    if (err) {
        mdb_txn_abort(txn);
        return err;
    }
    crash_point("store.before_raise");
    return store_lmdb_err(mdb_txn_commit(txn), "raising the format");
}

enum tm_err store_format_raise(struct store_env *env, struct ca_hasher *hasher,
                               const struct store_format *format) {
    struct store_format raised = *format;
    raised.format = STORE_FORMAT;
    enum tm_err err = raise_now(env, hasher, &raised);
    if (err == TM_EFULL) { /* a few pages, once: also in a store that is full */
        err = store_env_headroom(env, true);
        if (!err)
            err = raise_now(env, hasher, &raised);
        enum tm_err closed = store_env_headroom(env, false);
        err = err ? err : closed;
    }
    if (!err)
        log_info("store: format %" PRIu32 " became format %d", format->format, STORE_FORMAT);
    return err;
}
