/* SPDX-License-Identifier: Apache-2.0 */
/* See keys.h. */
#include "client/dut/keys.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

#include "base/auto.h"

AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)
AUTO_DEFINE(X509_REQ, X509_REQ_free)
AUTO_DEFINE(PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free)

static enum tm_err failed(void) {
    ERR_clear_error();
    return TM_ECRYPTO;
}

/* What i2d_ made, which is freed. */
static enum tm_err put_der(unsigned char *der, int n, struct buf *out) {
    if (n <= 0)
        return failed();
    buf_put(out, (struct bytes){der, (size_t)n});
    OPENSSL_clear_free(der, (size_t)n);
    return out->full ? TM_ELIMIT : TM_OK;
}

static EVP_PKEY *parse(struct bytes key) {
    const unsigned char *p = key.p;
    return d2i_AutoPrivateKey(NULL, &p, (long)key.n);
}

static EVP_PKEY *make(enum wire_key kind) {
    switch (kind) {
    case WIRE_P256:
        return EVP_EC_gen("P-256");
    case WIRE_P384:
        return EVP_EC_gen("P-384");
    case WIRE_ED25519:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    case WIRE_RSA2048:
        return EVP_RSA_gen(2048);
    }
    return NULL;
}

enum tm_err dut_key_make(enum wire_key kind, struct buf *out) {
    AUTO(EVP_PKEY) key = make(kind);
    AUTO(PKCS8_PRIV_KEY_INFO) info = key ? EVP_PKEY2PKCS8(key) : NULL;
    unsigned char *der = NULL;
    int n = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;
    return put_der(der, n, out);
}

bool dut_key_fits(struct bytes octets, enum wire_key kind) {
    AUTO(EVP_PKEY) key = parse(octets);
    if (!key)
        return false;
    switch (kind) {
    case WIRE_P256:
        return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) == 256;
    case WIRE_P384:
        return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) == 384;
    case WIRE_ED25519:
        return EVP_PKEY_is_a(key, "ED25519");
    case WIRE_RSA2048:
        return EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) == 2048;
    }
    return false;
}

enum tm_err dut_key_public(struct bytes octets, struct buf *out) {
    AUTO(EVP_PKEY) key = parse(octets);
    unsigned char *der = NULL;
    int n = key ? i2d_PUBKEY(key, &der) : -1;
    return put_der(der, n, out);
}

static const EVP_MD *digest_of(const EVP_PKEY *key) {
    if (EVP_PKEY_is_a(key, "ED25519"))
        return NULL;
    return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) == 384 ? EVP_sha384() : EVP_sha256();
}

static bool add_name(X509_NAME *name, const char *type, const char *value) {
    return X509_NAME_add_entry_by_txt(name, type, MBSTRING_UTF8, (const unsigned char *)value, -1,
                                      -1, 0) == 1;
}

/* serialNumber is a PrintableString, which not every ID is. */
static bool name_request(X509_REQ *request, const char *subject) {
    X509_NAME *name = X509_REQ_get_subject_name(request);
    if (!add_name(name, "CN", subject))
        return false;
    (void)add_name(name, "serialNumber", subject);
    ERR_clear_error();
    return true;
}

enum tm_err dut_key_request(struct bytes octets, const char *subject, struct buf *out) {
    AUTO(EVP_PKEY) key = parse(octets);
    AUTO(X509_REQ) request = X509_REQ_new();
    unsigned char *der = NULL;
    if (!key || !request || X509_REQ_set_pubkey(request, key) != 1 ||
        !name_request(request, subject) || X509_REQ_sign(request, key, digest_of(key)) <= 0)
        return failed();
    int n = i2d_X509_REQ(request, &der);
    return put_der(der, n, out);
}

enum tm_err dut_key_sign(struct bytes octets, struct bytes data, struct buf *out) {
    AUTO(EVP_PKEY) key = parse(octets);
    AUTO(EVP_MD_CTX) ctx = EVP_MD_CTX_new();
    uint8_t signature[512];
    size_t n = sizeof signature;
    if (!key || !ctx || EVP_DigestSignInit(ctx, NULL, digest_of(key), NULL, key) != 1 ||
        EVP_DigestSign(ctx, signature, &n, data.p, data.n) != 1)
        return failed();
    buf_put(out, (struct bytes){signature, n});
    return out->full ? TM_ELIMIT : TM_OK;
}
