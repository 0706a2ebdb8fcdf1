/* SPDX-License-Identifier: Apache-2.0 */
/* The fleet's cryptography: see client/fleet/crypto.h. */
#include "client/fleet/crypto.h"

#include <string.h>

#include "client/port/openssl.h"

static enum tm_err fleet_sha256(void *self, const struct bytes *parts, size_t count,
                                uint8_t ret[TM_SHA256_SIZE]) {
    const struct tm_crypto *openssl = tm_openssl_crypto();
    (void)self;
    return openssl->sha256(openssl->self, parts, count, ret);
}

/* Device certificates pass once and push CA certificates out of their place now and then. */
static enum tm_err fleet_verify(void *self, struct bytes spki, struct bytes algorithm,
                                struct bytes message, struct bytes signature) {
    struct fleet_crypto *c = self;
    const struct tm_crypto *openssl = tm_openssl_crypto();
    const struct bytes parts[] = {spki, algorithm, message, signature};
    uint8_t hash[TM_SHA256_SIZE];
    enum tm_err err = openssl->sha256(openssl->self, parts, 4, hash);
    if (err)
        return err;
    uint8_t *place = c->good[hash[0] % FLEET_REMEMBERED];
    c->verified++;
    if (memcmp(place, hash, sizeof hash) == 0) {
        c->remembered++;
        return TM_OK;
    }
    err = openssl->verify(openssl->self, spki, algorithm, message, signature);
    if (!err)
        memcpy(place, hash, sizeof hash);
    return err;
}

static enum tm_err seeded(void *self, uint8_t *ret, size_t n) {
    struct fleet_crypto *c = self;
    fleet_random_fill(&c->random, ret, n);
    return TM_OK;
}

static enum tm_err unseeded(void *self, uint8_t *ret, size_t n) {
    const struct tm_crypto *openssl = tm_openssl_crypto();
    (void)self;
    return openssl->random(openssl->self, ret, n);
}

struct tm_crypto fleet_crypto_table(struct fleet_crypto *crypto, uint64_t seed) {
    *crypto = (struct fleet_crypto){.random = fleet_random_of(seed, UINT64_MAX - 100)};
    return (struct tm_crypto){.version = TM_TABLE_VERSION,
                              .self = crypto,
                              .sha256 = fleet_sha256,
                              .verify = fleet_verify,
                              .random = seeded};
}

struct tm_crypto fleet_crypto_unseeded(struct fleet_crypto *crypto) {
    struct tm_crypto table = fleet_crypto_table(crypto, 0);
    table.random = unseeded;
    return table;
}
