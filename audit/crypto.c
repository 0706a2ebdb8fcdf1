/* SPDX-License-Identifier: Apache-2.0 */
/* See audit/crypto.h. */
#include "audit/crypto.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/auto.h"

AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)

bool audit_hash_equal(const struct audit_hash *a, const struct audit_hash *b) {
    return memcmp(a->octets, b->octets, sizeof a->octets) == 0;
}

enum tm_err audit_sha256(const struct bytes *parts, size_t count, struct audit_hash *ret) {
    AUTO(EVP_MD_CTX) ctx = EVP_MD_CTX_new();
    struct audit_hash hash;
    bool good = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; i < count && good; i++)
        good = EVP_DigestUpdate(ctx, parts[i].p, parts[i].n) == 1;
    if (!good || EVP_DigestFinal_ex(ctx, hash.octets, NULL) != 1)
        return TM_ECRYPTO;
    *ret = hash;
    return TM_OK;
}

enum tm_err audit_ed25519_verify(const uint8_t public_key[AUDIT_ED25519_PUBLIC_SIZE],
                                 struct bytes message,
                                 const uint8_t signature[AUDIT_ED25519_SIZE]) {
    AUTO(EVP_PKEY)
    key =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, AUDIT_ED25519_PUBLIC_SIZE);
    if (!key)
        return TM_EPARSE;
    AUTO(EVP_MD_CTX) ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestVerify(ctx, signature, AUDIT_ED25519_SIZE, message.p, message.n) == 1;
    if (!good)
        ERR_clear_error();
    return good ? TM_OK : TM_ECRYPTO;
}

static EVP_PKEY *private_key(const uint8_t seed[AUDIT_ED25519_SEED_SIZE]) {
    return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, AUDIT_ED25519_SEED_SIZE);
}

enum tm_err audit_ed25519_sign(const uint8_t seed[AUDIT_ED25519_SEED_SIZE], struct bytes message,
                               uint8_t ret[AUDIT_ED25519_SIZE]) {
    AUTO(EVP_PKEY) key = private_key(seed);
    AUTO(EVP_MD_CTX) ctx = EVP_MD_CTX_new();
    uint8_t signature[AUDIT_ED25519_SIZE];
    size_t n = sizeof signature;
    bool good = key && ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestSign(ctx, signature, &n, message.p, message.n) == 1 &&
                n == sizeof signature;
    if (!good)
        return TM_ECRYPTO;
    memcpy(ret, signature, sizeof signature);
    return TM_OK;
}

enum tm_err audit_ed25519_public(const uint8_t seed[AUDIT_ED25519_SEED_SIZE],
                                 uint8_t ret[AUDIT_ED25519_PUBLIC_SIZE]) {
    AUTO(EVP_PKEY) key = private_key(seed);
    uint8_t octets[AUDIT_ED25519_PUBLIC_SIZE];
    size_t n = sizeof octets;
    if (!key || EVP_PKEY_get_raw_public_key(key, octets, &n) != 1 || n != sizeof octets)
        return TM_ECRYPTO;
    memcpy(ret, octets, sizeof octets);
    return TM_OK;
}

/* ---- base64 ---- */

enum tm_err audit_base64_put(struct buf *out, struct bytes data) {
    size_t n = (data.n + 2) / 3 * 4;
    if (out->full || data.n > INT32_MAX / 2 || out->cap - out->n <= n) /* OpenSSL adds a NUL */
        return TM_ELIMIT;
    if (data.n)
        (void)EVP_EncodeBlock(out->p + out->n, data.p, (int)data.n);
    out->n += n;
    return TM_OK;
}

/* Is it what these octets are written as? In blocks, so that no text needs memory. */
static bool is_text_of(struct bytes text, struct bytes data) {
    uint8_t block[64 + 1];
    for (size_t at = 0; at < data.n; at += 48) {
        size_t n = data.n - at < 48 ? data.n - at : 48;
        size_t wanted = (size_t)EVP_EncodeBlock(block, data.p + at, (int)n);
        if (memcmp(block, text.p + at / 3 * 4, wanted) != 0)
            return false;
    }
    return true;
}

static size_t padding(struct bytes text) {
    size_t n = 0;
    while (n < 2 && text.p[text.n - 1 - n] == '=')
        n++;
    return n;
}

enum tm_err audit_base64_read(struct bytes text, struct buf *out) {
    if (!text.n)
        return TM_OK;
    if (text.n % 4 || text.n > INT32_MAX / 2)
        return TM_EPARSE;
    size_t room = text.n / 4 * 3, n = room - padding(text);
    if (out->full || out->cap - out->n < room) /* OpenSSL writes the padding's octets, too */
        return TM_ELIMIT;
    uint8_t *to = out->p + out->n;
    if (EVP_DecodeBlock(to, text.p, (int)text.n) != (int)room ||
        !is_text_of(text, (struct bytes){to, n}))
        return TM_EPARSE;
    out->n += n;
    return TM_OK;
}
