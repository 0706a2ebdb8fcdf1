/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An EVP_PKEY that signs by a key store: see openssl.h.
 *
 * It is an EC_KEY with a method of its own, which OpenSSL 3 takes as a foreign key and signs with
 * by that method, in TLS too. The way that OpenSSL prefers now is a provider: key management,
 * signature and the digests before it, each with its parameters, many times this file's size, and
 * every SSL_CTX that is to use the key has to fetch by that provider's properties. The method's
 * interface is deprecated since 3.0 and there still in 3.5.
 */
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "client/port/openssl.h"

/* EC_KEY and its method, see above. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(EC_KEY, EC_KEY_free)

#define PATIENCE_MS 60000
#define PAUSE_MS 10

struct binding {
    const struct tm_keys *keys;
    unsigned bank;
};

/* What OpenSSL wants made once in a process, and never takes back. */
struct registered {
    int index; /* of the binding among an EC_KEY's extra data */
    EC_KEY_METHOD *method;
};

static const struct registered *registered(void);

/* ---- signing ---- */

static enum tm_err sign(const struct binding *binding, const uint8_t digest[TM_SHA256_SIZE],
                        struct buf *out) {
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    int64_t until = clock_mono_ms() + PATIENCE_MS;
    enum tm_err err;
    while ((err = binding->keys->sign(binding->keys->self, binding->bank, digest, out)) ==
               TM_EAGAIN &&
           clock_mono_ms() < until)
        (void)nanosleep(&pause, NULL);
    return err;
}

/* ECDSA takes the leftmost 256 bits of a longer digest (FIPS 186-5, 6.4.1): that is how P-256 signs
 * SHA-384 and SHA-512, which a server may prefer. Shorter ones (SHA-1) are refused. */
static int method_sign(int type, const unsigned char *digest, int digest_n,
                       unsigned char *signature, unsigned *ret_n, const BIGNUM *k, const BIGNUM *r,
                       EC_KEY *key) {
    (void)type, (void)k, (void)r;
    const struct binding *binding = EC_KEY_get_ex_data(key, registered()->index);
    uint8_t made[TM_SIGNATURE_MAX];
    struct buf out = BUF_ON(made);
    if (!binding || digest_n < TM_SHA256_SIZE)
        return 0;
    enum tm_err err = sign(binding, digest, &out);
    if (err) {
        log_error("the key store does not sign: %s", tm_err_name(err));
        return 0;
    }
    memcpy(signature, made, out.n); /* OpenSSL gives the room that ECDSA_size() says: 72 */
    *ret_n = (unsigned)out.n;
    return 1;
}

/* ---- registration ---- */

static void binding_free(void *parent, void *binding, CRYPTO_EX_DATA *data, int index, long argl,
                         void *argp) {
    (void)parent, (void)data, (void)index, (void)argl, (void)argp;
    free(binding);
}

static int binding_dup(CRYPTO_EX_DATA *to, const CRYPTO_EX_DATA *from, void **binding, int index,
                       long argl, void *argp) {
    (void)to, (void)from, (void)index, (void)argl, (void)argp;
    if (!*binding)
        return 1;
    struct binding *copy = malloc(sizeof *copy);
    if (copy)
        *copy = *(const struct binding *)*binding;
    *binding = copy;
    return copy ? 1 : 0;
}

/* Shared by all keys: OpenSSL's registry of indices is the process's, and grows with each. */
static struct registered process_wide = {.index = -1};

static void register_once(void) {
    EC_KEY_METHOD *method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
    if (!method)
        return;
    EC_KEY_METHOD_set_sign(method, method_sign, NULL, NULL);
    process_wide.index = EC_KEY_get_ex_new_index(0, NULL, NULL, binding_dup, binding_free);
    process_wide.method = method;
}

static const struct registered *registered(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, register_once);
    return &process_wide;
}

/* ---- the key ---- */

static bool bind(EC_KEY *key, const struct tm_keys *keys, unsigned bank) {
    const struct registered *r = registered();
    struct binding *binding = malloc(sizeof *binding);
    if (binding && r->method && r->index >= 0 && EC_KEY_set_method(key, r->method) == 1) {
        *binding = (struct binding){keys, bank};
        if (EC_KEY_set_ex_data(key, r->index, binding) == 1)
            return true;
    }
    free(binding);
    return false;
}

/* The method comes first: at assignment OpenSSL decides whether a key is foreign. */
static EVP_PKEY *wrap(struct bytes spki, const struct tm_keys *keys, unsigned bank) {
    const unsigned char *p = spki.p;
    AUTO(EC_KEY) ec = d2i_EC_PUBKEY(NULL, &p, (long)spki.n);
    AUTO(EVP_PKEY) key = EVP_PKEY_new();
    if (!ec || EC_GROUP_get_curve_name(EC_KEY_get0_group(ec)) != NID_X9_62_prime256v1)
        return NULL;
    if (!key || !bind(ec, keys, bank) || EVP_PKEY_assign_EC_KEY(key, ec) != 1)
        return NULL;
    (void)TAKE(ec);
    return TAKE(key);
}

enum tm_err tm_openssl_key(const struct tm_keys *keys, unsigned bank, EVP_PKEY **ret) {
    uint8_t octets[TM_SPKI_MAX];
    struct buf spki = BUF_ON(octets);
    if (keys->version != TM_TABLE_VERSION)
        return TM_EINVAL;
    enum tm_err err = keys->public_key(keys->self, bank, &spki);
    if (err)
        return err;
    EVP_PKEY *key = wrap(buf_bytes(&spki), keys, bank);
    if (!key) {
        ERR_clear_error();
        return TM_ECRYPTO;
    }
    *ret = key;
    return TM_OK;
}
