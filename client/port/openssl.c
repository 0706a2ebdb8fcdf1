/* SPDX-License-Identifier: Apache-2.0 */
/* The device library's cryptography by OpenSSL: see openssl.h. */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include "base/auto.h"
#include "client/port/openssl.h"
#include "pki/cert.h"

AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)

static const struct algorithm {
    enum pki_oid signature;
    enum pki_oid key;
    const char *digest; /* NULL: the signature has its own */
} algorithms[] = {
    {PKI_OID_ECDSA_SHA256, PKI_OID_EC_PUBLIC_KEY, "SHA256"},
    {PKI_OID_ECDSA_SHA384, PKI_OID_EC_PUBLIC_KEY, "SHA384"},
    {PKI_OID_ECDSA_SHA512, PKI_OID_EC_PUBLIC_KEY, "SHA512"},
    {PKI_OID_RSA_SHA256, PKI_OID_RSA_ENCRYPTION, "SHA256"},
    {PKI_OID_RSA_SHA384, PKI_OID_RSA_ENCRYPTION, "SHA384"},
    {PKI_OID_RSA_SHA512, PKI_OID_RSA_ENCRYPTION, "SHA512"},
    {PKI_OID_ED25519, PKI_OID_ED25519, NULL},
};

static enum tm_err failed(void) {
    ERR_clear_error();
    return TM_ECRYPTO;
}

/* The row of an AlgorithmIdentifier; its parameters say nothing more for these (RFC 5758, 3.2;
 * RFC 4055, 5; RFC 8410, 3). */
static const struct algorithm *find(struct bytes algorithm) {
    struct der sequence, oid;
    if (der_only(algorithm, DER_SEQUENCE, &sequence) || der_expect(&sequence.value, DER_OID, &oid))
        return NULL;
    enum pki_oid wanted = pki_oid_find(oid.value);
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++)
        if (algorithms[i].signature == wanted)
            return &algorithms[i];
    return NULL;
}

/* OpenSSL knows P-256 by every name but RFC 5480's. */
static const char *group_name(enum pki_oid curve) {
    return curve == PKI_OID_PRIME256V1 ? "P-256" : curve == PKI_OID_SECP384R1 ? "P-384" : "P-521";
}

/* What d2i_PUBKEY does, at an eighth of its cost: a device that checks a path does so some ten
 * times at each renewal. */
static EVP_PKEY *ec_key(const struct pki_spki *spki) {
    EVP_PKEY *key = NULL;
    const char *group = group_name(spki->curve);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)(uintptr_t)group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)spki->key.p,
                                          spki->key.n),
        OSSL_PARAM_construct_end(),
    };
    AUTO(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        return NULL;
    return key;
}

/* NULL: not a key of that algorithm, or on a curve that pki/ does not know. */
static EVP_PKEY *public_key(struct bytes spki, enum pki_oid algorithm) {
    struct pki_spki parsed;
    if (pki_spki_parse(spki, &parsed) || parsed.algorithm != algorithm || parsed.bits == 0)
        return NULL;
    if (algorithm == PKI_OID_EC_PUBLIC_KEY)
        return ec_key(&parsed);
    const unsigned char *p = spki.p;
    return d2i_PUBKEY(NULL, &p, (long)spki.n);
}

static enum tm_err openssl_verify(void *self, struct bytes spki, struct bytes algorithm,
                                  struct bytes message, struct bytes signature) {
    (void)self;
    const struct algorithm *row = find(algorithm);
    if (!row)
        return TM_ECRYPTO;
    AUTO(EVP_PKEY) key = public_key(spki, row->key);
    AUTO(EVP_MD_CTX) ctx = EVP_MD_CTX_new();
    if (!key || !ctx ||
        EVP_DigestVerifyInit_ex(ctx, NULL, row->digest, NULL, NULL, key, NULL) != 1 ||
        EVP_DigestVerify(ctx, signature.p, signature.n, message.p, message.n) != 1)
        return failed();
    return TM_OK;
}

static enum tm_err openssl_sha256(void *self, const struct bytes *parts, size_t count,
                                  uint8_t ret[TM_SHA256_SIZE]) {
    (void)self;
    uint8_t digest[TM_SHA256_SIZE];
    AUTO(EVP_MD_CTX) ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestInit_ex2(ctx, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; i < count && good; i++)
        good = EVP_DigestUpdate(ctx, parts[i].p, parts[i].n) == 1;
    if (!good || EVP_DigestFinal_ex(ctx, digest, NULL) != 1)
        return failed();
    memcpy(ret, digest, sizeof digest);
    return TM_OK;
}

static enum tm_err openssl_random(void *self, uint8_t *ret, size_t n) {
    (void)self;
    return RAND_bytes_ex(NULL, ret, n, 0) == 1 ? TM_OK : failed();
}

static const struct tm_crypto table = {
    .version = TM_TABLE_VERSION,
    .sha256 = openssl_sha256,
    .verify = openssl_verify,
    .random = openssl_random,
};

const struct tm_crypto *tm_openssl_crypto(void) {
    return &table;
}
