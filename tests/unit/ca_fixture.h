/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of ca/ work on: keys of every kind, a root and an issuing CA made by OpenSSL in
 * a folder of their own, profiles from text, a device.
 */
#ifndef TOUCHMARK_TESTS_CA_FIXTURE_H
#define TOUCHMARK_TESTS_CA_FIXTURE_H

#include "pki_fixture.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "ca/issuer.h"
#include "ca/profile.h"

/* "P-256", "P-384", "P-521", "ED25519", "RSA2048", "RSA1024", "RSA3072" */
UNUSED static EVP_PKEY *ca_fixture_key(const char *kind) {
    EVP_PKEY *key;
    if (strncmp(kind, "RSA", 3) == 0)
        key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)atoi(kind + 3));
    else if (strcmp(kind, "ED25519") == 0)
        key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    else
        key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);
    assert_non_null(key);
    return key;
}

/* The same key of a kind for the whole run, since making an RSA key takes long; free each. */
UNUSED static EVP_PKEY *ca_fixture_shared_key(const char *kind) {
    static struct {
        const char *kind;
        EVP_PKEY *key;
    } keys[12];
    size_t i = 0;
    while (i < 12 && keys[i].kind && strcmp(keys[i].kind, kind) != 0)
        i++;
    assert_in_range(i, 0, 11);
    if (!keys[i].kind) {
        keys[i].key = ca_fixture_key(kind);
        keys[i].kind = kind;
    }
    assert_int_equal(EVP_PKEY_up_ref(keys[i].key), 1);
    return keys[i].key;
}

/* The digest that goes with a CA's key. */
UNUSED static const EVP_MD *ca_fixture_digest(EVP_PKEY *key) {
    if (EVP_PKEY_is_a(key, "ED25519"))
        return NULL;
    return EVP_PKEY_get_bits(key) == 384 ? EVP_sha384() : EVP_sha256();
}

/* What a CA's certificate is made of; what is NULL or 0 is left out. */
struct ca_fixture_cert {
    const char *name; /* CN */
    EVP_PKEY *key;
    X509 *issuer; /* NULL: self-signed */
    EVP_PKEY *issuer_key;
    const char *basic_constraints, *key_usage, *key_id;
    long from_s, to_s; /* from now */
};

UNUSED static void ca_fixture_add(X509 *cert, X509 *issuer, int nid, const char *value) {
    X509V3_CTX ctx;
    if (!value)
        return;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(extension);
    assert_true(X509_add_ext(cert, extension, -1));
    X509_EXTENSION_free(extension);
}

UNUSED static X509 *ca_fixture_make(const struct ca_fixture_cert *make) {
    X509 *cert = X509_new();
    assert_non_null(cert);
    X509_NAME *subject = X509_get_subject_name(cert);
    X509 *issuer = make->issuer ? make->issuer : cert;
    assert_true(X509_set_version(cert, X509_VERSION_3));
    assert_true(ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), 4711));
    if (make->name)
        assert_true(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                               (const unsigned char *)make->name, -1, -1, 0));
    assert_true(X509_set_issuer_name(cert, X509_get_subject_name(issuer)));
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), make->from_s));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), make->to_s));
    assert_true(X509_set_pubkey(cert, make->key));
    ca_fixture_add(cert, issuer, NID_basic_constraints, make->basic_constraints);
    ca_fixture_add(cert, issuer, NID_key_usage, make->key_usage);
    ca_fixture_add(cert, issuer, NID_subject_key_identifier, make->key_id);
    if (make->issuer)
        ca_fixture_add(cert, issuer, NID_authority_key_identifier, "keyid");
    EVP_PKEY *signer = make->issuer_key ? make->issuer_key : make->key;
    assert_true(X509_sign(cert, signer, ca_fixture_digest(signer)) > 0);
    return cert;
}

UNUSED static void ca_fixture_write(const char *path, X509 *const *certs, size_t count) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (size_t i = 0; i < count; i++)
        assert_true(PEM_write_X509(f, certs[i]));
    assert_int_equal(fclose(f), 0);
}

#define CA_FIXTURE_YEAR (365L * 24 * 3600)

/* A root of ten years, an issuing CA of five under it, loaded. */
struct ca_fixture {
    char folder[32], cert_path[64], chain_path[64];
    EVP_PKEY *root_key, *key;
    X509 *root, *cert;
    struct ca_issuer issuer;
};

UNUSED static void ca_fixture_folder(char folder[32]) {
    (void)snprintf(folder, 32, "/tmp/touchmark-ca-XXXXXX");
    assert_non_null(mkdtemp(folder));
}

UNUSED static void ca_fixture_open(struct ca_fixture *f, const char *kind) {
    char text[IPC_TEXT_MAX + 1] = "";
    memset(f, 0, sizeof *f);
    ca_fixture_folder(f->folder);
    (void)snprintf(f->cert_path, sizeof f->cert_path, "%s/issuer.pem", f->folder);
    (void)snprintf(f->chain_path, sizeof f->chain_path, "%s/chain.pem", f->folder);
    f->root_key = ca_fixture_key("P-384");
    f->key = ca_fixture_key(kind);
    f->root = ca_fixture_make(&(struct ca_fixture_cert){.name = "Test Root",
                                                        .key = f->root_key,
                                                        .basic_constraints = "critical,CA:TRUE",
                                                        .key_usage = "critical,keyCertSign,cRLSign",
                                                        .key_id = "hash",
                                                        .from_s = -3600,
                                                        .to_s = 10 * CA_FIXTURE_YEAR});
    f->cert =
        ca_fixture_make(&(struct ca_fixture_cert){.name = "Test Manufacturing CA",
                                                  .key = f->key,
                                                  .issuer = f->root,
                                                  .issuer_key = f->root_key,
                                                  .basic_constraints = "critical,CA:TRUE,pathlen:0",
                                                  .key_usage = "critical,keyCertSign,cRLSign",
                                                  .key_id = "hash",
                                                  .from_s = -3600,
                                                  .to_s = 5 * CA_FIXTURE_YEAR});
    ca_fixture_write(f->cert_path, &f->cert, 1);
    ca_fixture_write(f->chain_path, &f->root, 1);
    if (ca_issuer_load("factory", f->cert_path, f->chain_path, &f->issuer, text))
        fail_msg("%s", text);
}

UNUSED static void ca_fixture_close(struct ca_fixture *f) {
    ca_issuer_free(&f->issuer);
    X509_free(f->root);
    X509_free(f->cert);
    EVP_PKEY_free(f->root_key);
    EVP_PKEY_free(f->key);
    (void)unlink(f->cert_path);
    (void)unlink(f->chain_path);
    assert_int_equal(rmdir(f->folder), 0);
}

/* ---- profiles ---- */

UNUSED static struct ca_profile ca_fixture_profile(const char *path, const char *yaml) {
    struct ca_profile profile = {0};
    char error[CONF_ERROR_MAX] = "";
    if (ca_profile_load_text(yaml, strlen(yaml), path, &profile, error))
        fail_msg("%s", error);
    return profile;
}

#define CA_FIXTURE_KEYS "keys: [p256, p384, ed25519, rsa2048]\n"
#define CA_FIXTURE_SUBJECT                                                                         \
    "subject: [{type: O, value: Example Works}, {type: CN, value: \"{id}\"},"                      \
    " {type: serialNumber, value: \"{id}\"}]\n"

#define CA_FIXTURE_IDEVID                                                                          \
    "kind: idevid\n" CA_FIXTURE_KEYS CA_FIXTURE_SUBJECT "hw_type: 1.3.6.1.4.1.32473.1.7\n"         \
    "key_usage: [digitalSignature]\next_key_usage: [clientAuth]\n"                                 \
    "not_after: 99991231235959Z\ncredentials: [secret]\nstates: [registered]\n"                    \
    "next_state: manufactured\n"

#define CA_FIXTURE_LDEVID                                                                          \
    "kind: ldevid\n" CA_FIXTURE_KEYS CA_FIXTURE_SUBJECT                                            \
    "san_uri: [\"urn:dev:ops:32473-{sku}-{id}\"]\n"                                                \
    "key_usage: [digitalSignature, nonRepudiation]\next_key_usage: [clientAuth]\n"                 \
    "validity: 365d\ncrl_url: http://pki.example.com/f.crl\n"                                      \
    "ocsp_url: http://ocsp.example.com\nissuers_url: http://pki.example.com/f.cer\n"               \
    "credentials: [secret, idevid]\nstates: [manufactured, activated]\nnext_state: activated\n"    \
    "reenroll: true\nexisting: supersede\n"

#define CA_FIXTURE_SERVER                                                                          \
    "kind: tls-server\n" CA_FIXTURE_KEYS                                                           \
    "subject: [{type: CN, value: \"{id}\"}]\nsan_from_request: true\n"                             \
    "key_usage: [digitalSignature]\next_key_usage: [serverAuth]\n"                                 \
    "validity: 90d\ncredentials: []\nstates: [activated]\n"

UNUSED static const struct ca_device ca_fixture_device = {.tenant = "works",
                                                          .id = "TM-000417",
                                                          .version = 1,
                                                          .state = CA_REGISTERED,
                                                          .sku = "GW200",
                                                          .hardware_revision = "B",
                                                          .batch = "2026-07",
                                                          .site = "ULM"};

/* ---- small things ---- */

/* The SubjectPublicKeyInfo of a key. */
UNUSED static struct fixture_der ca_fixture_spki(EVP_PKEY *key) {
    struct fixture_der der;
    FIXTURE_I2D(&der, PUBKEY, key);
    return der;
}

/* A signature over `data`, as the signer process would answer it. */
UNUSED static size_t ca_fixture_sign(EVP_PKEY *key, struct bytes data, uint8_t *ret, size_t cap) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t n = cap;
    assert_non_null(ctx);
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, ca_fixture_digest(key), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, ret, &n, data.p, data.n), 1);
    EVP_MD_CTX_free(ctx);
    return n;
}

UNUSED static void assert_starts(const char *text, const char *start) {
    if (strncmp(text, start, strlen(start)) != 0)
        fail_msg("\"%s\" does not start with \"%s\"", text, start);
}

UNUSED static void assert_contains(const char *text, const char *part) {
    if (!strstr(text, part))
        fail_msg("\"%s\" does not contain \"%s\"", text, part);
}

#endif
