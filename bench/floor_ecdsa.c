/* SPDX-License-Identifier: Apache-2.0 */
/* The bare signatures: no enrollment goes without two verifications and one signature. */
#include <openssl/evp.h>
#include <time.h>

#include "base/auto.h"
#include "bench/csr.h"
#include "bench/floor.h"

#define ROUND 200

AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)

static double cpu_seconds(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct signing {
    EVP_PKEY *key;
    EVP_MD_CTX *ctx;
    uint8_t text[400]; /* about a TBSCertificate */
    uint8_t signature[128];
    size_t size;
};

static bool sign(struct signing *s) {
    s->size = sizeof s->signature;
    return EVP_DigestSignInit(s->ctx, NULL, EVP_sha256(), NULL, s->key) == 1 &&
           EVP_DigestSign(s->ctx, s->signature, &s->size, s->text, sizeof s->text) == 1;
}

static bool verify(struct signing *s) {
    return EVP_DigestVerifyInit(s->ctx, NULL, EVP_sha256(), NULL, s->key) == 1 &&
           EVP_DigestVerify(s->ctx, s->signature, s->size, s->text, sizeof s->text) == 1;
}

/* CPU of one call in us over about `seconds`; 0 when it fails. */
static double measure(struct signing *s, bool (*step)(struct signing *), unsigned seconds) {
    double start = cpu_seconds(), used = 0;
    unsigned done = 0;
    while (used < seconds) {
        for (unsigned i = 0; i < ROUND; i++, done++)
            if (!step(s))
                return 0;
        used = cpu_seconds() - start;
    }
    return used / done * 1e6;
}

enum tm_err bench_floor_ecdsa(unsigned seconds, struct bench_floor_ecdsa *ret) {
    AUTO(EVP_PKEY) key = bench_key_new();
    AUTO(EVP_MD_CTX) ctx = EVP_MD_CTX_new();
    struct signing s = {.key = key, .ctx = ctx};
    struct bench_floor_ecdsa result;
    if (!key || !ctx)
        return TM_ECRYPTO;
    result.sign_us = measure(&s, sign, seconds);
    result.verify_us = measure(&s, verify, seconds);
    if (result.sign_us <= 0 || result.verify_us <= 0)
        return TM_ECRYPTO;
    *ret = result;
    return TM_OK;
}
