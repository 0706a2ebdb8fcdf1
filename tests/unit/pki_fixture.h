/* SPDX-License-Identifier: Apache-2.0 */
/* What OpenSSL makes for the tests of pki/ and est/: keys, names, certificates, requests, as DER.
 */
#ifndef TOUCHMARK_TESTS_PKI_FIXTURE_H
#define TOUCHMARK_TESTS_PKI_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/bytes.h"

#define UNUSED __attribute__((unused))

/* DER in memory of its own and of its exact size, so that a sanitizer sees any read beyond it. */
struct fixture_der {
    unsigned char *p;
    int n;
};

UNUSED static struct bytes fixture_bytes(const struct fixture_der *der) {
    return (struct bytes){der->p, (size_t)der->n};
}

UNUSED static void fixture_free(struct fixture_der *der) {
    OPENSSL_free(der->p);
    *der = (struct fixture_der){0};
}

#define FIXTURE_I2D(der, type, object)                                                             \
    do {                                                                                           \
        (der)->p = NULL;                                                                           \
        (der)->n = i2d_##type((object), &(der)->p);                                                \
        assert_true((der)->n > 0);                                                                 \
    } while (0)

UNUSED static EVP_PKEY *fixture_p256(void) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    assert_non_null(key);
    return key;
}

UNUSED static X509_NAME *fixture_name(const char *id) {
    X509_NAME *name = X509_NAME_new();
    assert_non_null(name);
    assert_true(X509_NAME_add_entry_by_txt(name, "C", MBSTRING_UTF8, (const unsigned char *)"DE",
                                           -1, -1, 0));
    assert_true(X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8,
                                           (const unsigned char *)"Example Works", -1, -1, 0));
    assert_true(X509_NAME_add_entry_by_txt(name, "serialNumber", MBSTRING_UTF8,
                                           (const unsigned char *)id, -1, -1, 0));
    return name;
}

UNUSED static void fixture_extension(STACK_OF(X509_EXTENSION) * *extensions, int nid,
                                     const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, NULL, NULL, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(extension);
    assert_non_null(X509v3_add_ext(extensions, extension, -1));
    X509_EXTENSION_free(extension);
}

/* A certificate of its own key: the extensions are added by the caller's list, which may be NULL.
 */
UNUSED static X509 *fixture_certificate(EVP_PKEY *key, const char *id,
                                        const STACK_OF(X509_EXTENSION) * extensions) {
    X509 *cert = X509_new();
    X509_NAME *issuer = fixture_name("issuer"), *subject = fixture_name(id);
    assert_non_null(cert);
    assert_true(X509_set_version(cert, X509_VERSION_3));
    assert_true(ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), UINT64_C(0x8123456789abcdef)));
    assert_true(X509_set_issuer_name(cert, issuer));
    assert_true(X509_set_subject_name(cert, subject));
    assert_true(ASN1_TIME_set_string_X509(X509_getm_notBefore(cert), "20260102030405Z"));
    assert_true(ASN1_TIME_set_string_X509(X509_getm_notAfter(cert), "99991231235959Z"));
    assert_true(X509_set_pubkey(cert, key));
    for (int i = 0; extensions && i < sk_X509_EXTENSION_num(extensions); i++)
        assert_true(X509_add_ext(cert, sk_X509_EXTENSION_value(extensions, i), -1));
    bool own_digest = EVP_PKEY_get_id(key) == EVP_PKEY_ED25519;
    assert_true(X509_sign(cert, key, own_digest ? NULL : EVP_sha256()) > 0);
    X509_NAME_free(issuer);
    X509_NAME_free(subject);
    return cert;
}

/* A request, not yet signed. */
UNUSED static X509_REQ *fixture_request(EVP_PKEY *key, const char *id) {
    X509_REQ *request = X509_REQ_new();
    X509_NAME *subject = fixture_name(id);
    assert_non_null(request);
    assert_true(X509_REQ_set_version(request, X509_REQ_VERSION_1));
    assert_true(X509_REQ_set_subject_name(request, subject));
    assert_true(X509_REQ_set_pubkey(request, key));
    X509_NAME_free(subject);
    return request;
}

UNUSED static struct fixture_der fixture_sign_request(X509_REQ *request, EVP_PKEY *key) {
    struct fixture_der der;
    bool own_digest = EVP_PKEY_get_id(key) == EVP_PKEY_ED25519;
    assert_true(X509_REQ_sign(request, key, own_digest ? NULL : EVP_sha256()) > 0);
    FIXTURE_I2D(&der, X509_REQ, request);
    return der;
}

UNUSED static void assert_bytes_equal(struct bytes a, struct bytes b) {
    assert_int_equal(a.n, b.n);
    if (a.n > 0)
        assert_memory_equal(a.p, b.p, a.n);
}

#endif
