/* SPDX-License-Identifier: Apache-2.0 */
/* A crypto table for fuzzing: signatures are good or bad by a hash of what they are about, three of
 * four are good, and the same one always is the same. Counts them. */
#ifndef TOUCHMARK_TESTS_FUZZ_VERIFY_CRYPTO_H
#define TOUCHMARK_TESTS_FUZZ_VERIFY_CRYPTO_H

#include <stdlib.h>

#include "client/tables.h"

struct fuzz_crypto {
    struct tm_crypto table;
    unsigned verified;
};

static inline void require(bool condition) {
    if (!condition)
        abort();
}

/* FNV-1a. */
static inline uint32_t fuzz_hash(uint32_t hash, struct bytes octets) {
    for (size_t i = 0; i < octets.n; i++)
        hash = (hash ^ octets.p[i]) * 16777619u;
    return hash;
}

static inline enum tm_err fuzz_verify(void *self, struct bytes spki, struct bytes algorithm,
                                      struct bytes message, struct bytes signature) {
    struct fuzz_crypto *fuzz = self;
    uint32_t hash = fuzz_hash(fuzz_hash(2166136261u, spki), signature);
    fuzz->verified++;
    require(algorithm.n > 0 && message.n > 0 && spki.n > 0);
    return (hash >> 13 & 3) ? TM_OK : TM_ECRYPTO;
}

static inline const struct tm_crypto *fuzz_crypto_init(struct fuzz_crypto *ret) {
    *ret = (struct fuzz_crypto){
        .table = {.version = TM_TABLE_VERSION, .self = ret, .verify = fuzz_verify}};
    return &ret->table;
}

#endif
