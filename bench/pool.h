/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool: devices prepared for load, each with a one-time secret or with a key and
 * certificate of its own, in one file (mode 0600) of length-prefixed records
 * (base/codec.h). Not thread-safe.
 */
#ifndef TOUCHMARK_BENCH_POOL_H
#define TOUCHMARK_BENCH_POOL_H

#include <openssl/x509.h>

#include "ipc/messages.h"

struct bench_device {
    char id[IPC_NAME_MAX + 1];
    char secret[IPC_SECRET_MAX + 1]; /* "" = none, or used */
    EVP_PKEY *key;                   /* NULL = none */
    X509 *certificate;               /* NULL = not enrolled */
    STACK_OF(X509) * chain;          /* borrowed by runs; NULL = none */
};
struct bench_pool {
    struct bench_device *devices;
    size_t count;
};

/* A pool of `count` devices named "<prefix><number>" without credentials. TM_ENOMEM. */
MUST_USE enum tm_err bench_pool_new(const char *prefix, size_t count, struct bench_pool *ret_pool);
void bench_pool_free(struct bench_pool *pool);

/* DIR/pool. TM_EIO, TM_EPARSE (not a pool), TM_ENOMEM. */
MUST_USE enum tm_err bench_pool_load(const char *dir, struct bench_pool *ret_pool);
MUST_USE enum tm_err bench_pool_save(const char *dir, const struct bench_pool *pool);

#endif
