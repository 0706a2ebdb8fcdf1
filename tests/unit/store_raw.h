/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Closed stores, read and changed past the code under test, and stores that must not open. Included
 * once per test program, beside store_fixture.h.
 */
#ifndef TOUCHMARK_TESTS_STORE_RAW_H
#define TOUCHMARK_TESTS_STORE_RAW_H

#include <sys/resource.h>

#include "store/env.h"
#include "tests/unit/store_fixture.h"

UNUSED static void close_store(struct fixture *f) {
    store_close(f->store);
    f->store = NULL;
}

/* Opening fails with this error, and its sentence says this. */
UNUSED static void assert_refused(struct fixture *f, enum tm_err wanted, const char *says) {
    char text[IPC_TEXT_MAX + 1] = "";
    struct ca_store *store = NULL;
    assert_int_equal(store_open(f->loop, &f->config, &store, text), wanted);
    assert_null(store);
    if (!strstr(text, says))
        fail_msg("\"%s\" does not say \"%s\"", text, says);
}

UNUSED static void open_raw(const struct fixture *f, struct store_env *env) {
    char text[IPC_TEXT_MAX + 1];
    assert_int_equal(
        store_env_open(env, f->path, f->config.map_size, f->config.max_map_size, false, text),
        TM_OK);
}

UNUSED static void put_raw(struct fixture *f, enum store_db db, struct bytes key,
                           struct bytes value) {
    struct store_env env;
    MDB_txn *txn;
    MDB_val k = {key.n, (void *)(uintptr_t)key.p}, v = {value.n, (void *)(uintptr_t)value.p};
    open_raw(f, &env);
    assert_int_equal(mdb_txn_begin(env.env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_put(txn, env.dbs[db], &k, &v, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    store_env_close(&env);
}

/* Flips a bit in the middle of certificate n's record. */
UNUSED static void flip_certificate(struct fixture *f, uint64_t n) {
    uint8_t octets[STORE_RECORD_MAX];
    struct buf copy = BUF_ON(octets);
    struct store_env env;
    MDB_txn *txn;
    struct ca_serial serial = sample_serial(n);
    struct bytes value;
    open_raw(f, &env);
    assert_int_equal(mdb_txn_begin(env.env, NULL, MDB_RDONLY, &txn), 0);
    assert_int_equal(store_get(&env, txn, STORE_DB_CERT, store_serial_key(&serial), &value), TM_OK);
    buf_put(&copy, value);
    mdb_txn_abort(txn);
    store_env_close(&env);
    octets[copy.n / 2] ^= 4;
    put_raw(f, STORE_DB_CERT, store_serial_key(&serial), buf_bytes(&copy));
}

/* A limit on the size of files is to the store what a full disk is; 0: none. */
UNUSED static void limit_files(uint64_t octets) {
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = octets ? octets : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

#endif
