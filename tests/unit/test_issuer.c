/* SPDX-License-Identifier: Apache-2.0 */
/* Issuing CAs: what is derived from a good one, why a bad one is refused, signatures. */
#include "ca_fixture.h"

static const char *const kinds[] = {"P-256", "P-384", "P-521", "RSA2048", "ED25519"};
static const enum pki_oid signatures[] = {PKI_OID_ECDSA_SHA256, PKI_OID_ECDSA_SHA384,
                                          PKI_OID_ECDSA_SHA512, PKI_OID_RSA_SHA256,
                                          PKI_OID_ED25519};
#define KIND_COUNT (sizeof kinds / sizeof kinds[0])

static void every_kind_of_key_is_loaded(void **ctx) {
    (void)ctx;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct ca_fixture f;
        struct fixture_der cert, root;
        ca_fixture_open(&f, kinds[i]);
        FIXTURE_I2D(&cert, X509, f.cert);
        FIXTURE_I2D(&root, X509, f.root);
        assert_string_equal(f.issuer.name, "factory");
        assert_bytes_equal(f.issuer.der, fixture_bytes(&cert));
        assert_bytes_equal(f.issuer.chain, fixture_bytes(&root));
        assert_bytes_equal(f.issuer.view.whole, f.issuer.der);
        assert_int_equal(f.issuer.signature, signatures[i]);
        const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(f.cert);
        assert_bytes_equal(f.issuer.key_id,
                           (struct bytes){id->data, (size_t)ASN1_STRING_length(id)});
        assert_int_equal(EVP_PKEY_eq(f.issuer.key, f.key), 1);
        fixture_free(&cert);
        fixture_free(&root);
        ca_fixture_close(&f);
    }
}

static void only_the_pinned_key_verifies(void **ctx) {
    (void)ctx;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct ca_fixture f;
        uint8_t signature[512], message[] = "to be signed";
        ca_fixture_open(&f, kinds[i]);
        const EVP_MD *digest = strcmp(kinds[i], "P-521") == 0 ? EVP_sha512() : NULL;
        struct bytes tbs = BYTES_OF(message);
        size_t n = sizeof signature;
        EVP_MD_CTX *sign = EVP_MD_CTX_new();
        EVP_PKEY *other = ca_fixture_key(kinds[i]);
        for (int round = 0; round < 2; round++) {
            n = sizeof signature;
            EVP_MD_CTX_reset(sign);
            assert_int_equal(EVP_DigestSignInit(sign, NULL,
                                                digest ? digest : ca_fixture_digest(f.key), NULL,
                                                round ? other : f.key),
                             1);
            assert_int_equal(EVP_DigestSign(sign, signature, &n, tbs.p, tbs.n), 1);
            assert_int_equal(ca_issuer_verify(&f.issuer, tbs, (struct bytes){signature, n}),
                             round ? TM_ECRYPTO : TM_OK);
            if (round)
                continue;
            message[0] ^= 1;
            assert_int_equal(ca_issuer_verify(&f.issuer, tbs, (struct bytes){signature, n}),
                             TM_ECRYPTO);
            message[0] ^= 1;
            signature[n / 2] ^= 1;
            assert_int_equal(ca_issuer_verify(&f.issuer, tbs, (struct bytes){signature, n}),
                             TM_ECRYPTO);
            signature[n / 2] ^= 1;
            assert_int_equal(ca_issuer_verify(&f.issuer, tbs, (struct bytes){signature, n - 1}),
                             TM_ECRYPTO);
            assert_int_equal(ca_issuer_verify(&f.issuer, tbs, (struct bytes){signature, 0}),
                             TM_ECRYPTO);
        }
        EVP_PKEY_free(other);
        EVP_MD_CTX_free(sign);
        ca_fixture_close(&f);
    }
}

static void the_token_key_is_recognised(void **ctx) {
    (void)ctx;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct ca_fixture f;
        ca_fixture_open(&f, kinds[i]);
        EVP_PKEY *other = ca_fixture_key(kinds[i]);
        struct fixture_der own = ca_fixture_spki(f.key), foreign = ca_fixture_spki(other);
        assert_true(ca_issuer_has_key(&f.issuer, fixture_bytes(&own)));
        assert_false(ca_issuer_has_key(&f.issuer, fixture_bytes(&foreign)));
        assert_false(ca_issuer_has_key(&f.issuer, (struct bytes){own.p, (size_t)own.n - 1}));
        assert_false(ca_issuer_has_key(&f.issuer, (struct bytes){0}));
        fixture_free(&own);
        fixture_free(&foreign);
        EVP_PKEY_free(other);
        ca_fixture_close(&f);
    }
}

static void algorithms_are_what_openssl_writes(void **ctx) {
    (void)ctx;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct ca_fixture f;
        uint8_t octets[32];
        struct der_writer w = der_writer_on(octets, sizeof octets);
        struct fixture_der expected;
        ca_fixture_open(&f, kinds[i]);
        X509 *self = ca_fixture_make(&(struct ca_fixture_cert){.name = "x", .key = f.key});
        if (strcmp(kinds[i], "P-521") == 0)
            assert_true(X509_sign(self, f.key, EVP_sha512()) > 0);
        const X509_ALGOR *algorithm;
        X509_get0_signature(NULL, &algorithm, self);
        FIXTURE_I2D(&expected, X509_ALGOR, algorithm);
        ca_put_signature_algorithm(&w, f.issuer.signature);
        assert_bytes_equal(der_written(&w), fixture_bytes(&expected));
        fixture_free(&expected);
        X509_free(self);
        ca_fixture_close(&f);
    }
}

/* ---- refusals ---- */

/* Loads `cert` with `chain` above it; NULL: no chain file. Returns what is said. */
static enum tm_err load(const struct ca_fixture *f, X509 *cert, X509 *const *chain, size_t count,
                        char text[IPC_TEXT_MAX + 1]) {
    struct ca_issuer issuer = {.signature = PKI_OID_DATA};
    text[0] = '\0';
    ca_fixture_write(f->cert_path, &cert, 1);
    if (count)
        ca_fixture_write(f->chain_path, chain, count);
    enum tm_err err =
        ca_issuer_load("other", f->cert_path, count ? f->chain_path : NULL, &issuer, text);
    if (err)
        assert_int_equal(issuer.signature, PKI_OID_DATA);
    else
        ca_issuer_free(&issuer);
    return err;
}

static void what_is_no_issuing_ca_is_refused(void **ctx) {
    (void)ctx;
    static const struct {
        const char *key, *name, *basic_constraints, *key_usage, *key_id;
        long from_s, to_s;
        const char *says; /* NULL: good */
    } rows[] = {
        {"P-256", "CA", "critical,CA:TRUE", "keyCertSign", "hash", -60, 3600, NULL},
        {"P-256", "CA", "critical,CA:FALSE", "keyCertSign", "hash", -60, 3600, "4.2.1.9"},
        {"P-256", "CA", NULL, "keyCertSign", "hash", -60, 3600, "4.2.1.9"},
        {"P-256", "CA", "critical,CA:TRUE", "cRLSign", "hash", -60, 3600, "4.2.1.3"},
        {"P-256", "CA", "critical,CA:TRUE", NULL, "hash", -60, 3600, "4.2.1.3"},
        {"P-256", "CA", "critical,CA:TRUE", "keyCertSign", NULL, -60, 3600, "4.2.1.2"},
        {"P-256", NULL, "critical,CA:TRUE", "keyCertSign", "hash", -60, 3600, "4.1.2.6"},
        {"RSA1024", "CA", "critical,CA:TRUE", "keyCertSign", "hash", -60, 3600, "2048"},
        {"secp256k1", "CA", "critical,CA:TRUE", "keyCertSign", "hash", -60, 3600, "P-256"},
        {"P-256", "CA", "critical,CA:TRUE", "keyCertSign", "hash", -3600, -60, "expired"},
        {"P-256", "CA", "critical,CA:TRUE", "keyCertSign", "hash", 3600, 7200, "not yet valid"},
    };
    struct ca_fixture f;
    ca_fixture_open(&f, "P-256");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[IPC_TEXT_MAX + 1];
        EVP_PKEY *key = ca_fixture_key(rows[i].key);
        X509 *cert = ca_fixture_make(
            &(struct ca_fixture_cert){.name = rows[i].name,
                                      .key = key,
                                      .issuer = f.root,
                                      .issuer_key = f.root_key,
                                      .basic_constraints = rows[i].basic_constraints,
                                      .key_usage = rows[i].key_usage,
                                      .key_id = rows[i].key_id,
                                      .from_s = rows[i].from_s,
                                      .to_s = rows[i].to_s});
        enum tm_err err = load(&f, cert, &f.root, 1, text);
        assert_int_equal(err, rows[i].says ? TM_EDENIED : TM_OK);
        if (rows[i].says)
            assert_contains(text, rows[i].says);
        X509_free(cert);
        EVP_PKEY_free(key);
    }
    ca_fixture_close(&f);
}

static void version_1_and_overlong_names_are_refused(void **ctx) {
    (void)ctx;
    struct ca_fixture f;
    struct ca_issuer issuer;
    char text[IPC_TEXT_MAX + 1], name[IPC_NAME_MAX + 2];
    ca_fixture_open(&f, "P-256");
    X509 *old = ca_fixture_make(
        &(struct ca_fixture_cert){.name = "Old", .key = f.key, .from_s = -60, .to_s = 3600});
    assert_true(X509_set_version(old, X509_VERSION_1));
    assert_true(X509_sign(old, f.key, EVP_sha256()) > 0);
    assert_int_equal(load(&f, old, NULL, 0, text), TM_EPARSE);
    assert_contains(text, "version 3");
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    ca_fixture_write(f.cert_path, &f.cert, 1);
    assert_int_equal(ca_issuer_load(name, f.cert_path, f.chain_path, &issuer, text), TM_EPARSE);
    assert_contains(text, "64 octets");
    name[IPC_NAME_MAX] = '\0';
    ca_fixture_write(f.chain_path, &f.root, 1);
    assert_int_equal(ca_issuer_load(name, f.cert_path, f.chain_path, &issuer, text), TM_OK);
    ca_issuer_free(&issuer);
    X509_free(old);
    ca_fixture_close(&f);
}

static void a_chain_must_hold(void **ctx) {
    (void)ctx;
    struct ca_fixture f, other;
    char text[IPC_TEXT_MAX + 1];
    ca_fixture_open(&f, "P-256");
    ca_fixture_open(&other, "P-256");
    assert_int_equal(load(&f, f.cert, &f.root, 1, text), TM_OK);
    /* no chain, and not self-signed */
    assert_int_equal(load(&f, f.cert, NULL, 0, text), TM_EDENIED);
    assert_contains(text, "self-signed root");
    /* another root */
    assert_int_equal(load(&f, f.cert, &other.root, 1, text), TM_EDENIED);
    assert_contains(text, "does not verify up to its root");
    /* the root not last */
    X509 *turned[] = {f.root, other.cert};
    assert_int_equal(load(&f, f.cert, turned, 2, text), TM_EDENIED);
    assert_contains(text, "self-signed root");
    /* a forged link: the right names, another key */
    X509 *forged =
        ca_fixture_make(&(struct ca_fixture_cert){.name = "CA",
                                                  .key = f.key,
                                                  .issuer = f.root,
                                                  .issuer_key = other.root_key,
                                                  .basic_constraints = "critical,CA:TRUE",
                                                  .key_usage = "keyCertSign",
                                                  .key_id = "hash",
                                                  .from_s = -60,
                                                  .to_s = 3600});
    assert_int_equal(load(&f, forged, &f.root, 1, text), TM_EDENIED);
    assert_contains(text, "signature failure");
    X509_free(forged);
    /* a root alone is an issuer of its own */
    assert_int_equal(load(&f, f.root, NULL, 0, text), TM_OK);
    ca_fixture_close(&f);
    ca_fixture_close(&other);
}

static X509 *make_ca(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key,
                     const char *constraints) {
    return ca_fixture_make(&(struct ca_fixture_cert){.name = name,
                                                     .key = key,
                                                     .issuer = issuer,
                                                     .issuer_key = issuer_key,
                                                     .basic_constraints = constraints,
                                                     .key_usage = "critical,keyCertSign",
                                                     .key_id = "hash",
                                                     .from_s = -60,
                                                     .to_s = 3600});
}

static void path_lengths_above_are_kept(void **ctx) {
    (void)ctx;
    static const struct {
        const char *root, *middle;
        enum tm_err expect;
    } rows[] = {
        /* below the root: middle, lower, issuer; below the middle: lower, issuer */
        {"critical,CA:TRUE,pathlen:3", "critical,CA:TRUE,pathlen:2", TM_OK},
        {"critical,CA:TRUE", "critical,CA:TRUE", TM_OK},
        {"critical,CA:TRUE,pathlen:2", "critical,CA:TRUE,pathlen:2", TM_EDENIED},
        {"critical,CA:TRUE,pathlen:1", "critical,CA:TRUE", TM_EDENIED},
        {"critical,CA:TRUE,pathlen:3", "critical,CA:TRUE,pathlen:1", TM_EDENIED},
        {"critical,CA:TRUE", "critical,CA:TRUE,pathlen:0", TM_EDENIED},
    };
    struct ca_fixture f;
    EVP_PKEY *middle_key = ca_fixture_key("P-256"), *key = ca_fixture_key("P-256");
    ca_fixture_open(&f, "P-256");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[IPC_TEXT_MAX + 1];
        X509 *root = make_ca("R", f.root_key, NULL, NULL, rows[i].root);
        X509 *middle = make_ca("M", middle_key, root, f.root_key, rows[i].middle);
        X509 *lower = make_ca("L", f.key, middle, middle_key, "critical,CA:TRUE,pathlen:1");
        X509 *issuer = make_ca("I", key, lower, f.key, "critical,CA:TRUE,pathlen:0");
        X509 *chain[] = {lower, middle, root};
        assert_int_equal(load(&f, issuer, chain, 3, text), rows[i].expect);
        if (rows[i].expect)
            assert_true(strstr(text, "pathLen") || strstr(text, "path length"));
        X509_free(root);
        X509_free(middle);
        X509_free(lower);
        X509_free(issuer);
    }
    EVP_PKEY_free(middle_key);
    EVP_PKEY_free(key);
    ca_fixture_close(&f);
}

/* One CA right below a root that allows none: OpenSSL alone would let it pass. */
static void a_root_that_allows_no_ca_below_it_is_heard(void **ctx) {
    (void)ctx;
    struct ca_fixture f;
    char text[IPC_TEXT_MAX + 1];
    ca_fixture_open(&f, "P-256");
    X509 *root = make_ca("R", f.root_key, NULL, NULL, "critical,CA:TRUE,pathlen:0");
    X509 *issuer = make_ca("I", f.key, root, f.root_key, "critical,CA:TRUE");
    assert_int_equal(load(&f, issuer, &root, 1, text), TM_EDENIED);
    assert_contains(text, "pathLenConstraint");
    X509_free(root);
    X509_free(issuer);
    ca_fixture_close(&f);
}

static void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void files_that_hold_no_certificate_are_refused(void **ctx) {
    (void)ctx;
    static const char *const contents[] = {
        "", "nothing here\n", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nMIIB"};
    struct ca_fixture f;
    struct ca_issuer issuer;
    char text[IPC_TEXT_MAX + 1];
    ca_fixture_open(&f, "P-256");
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        write_text(f.cert_path, contents[i]);
        assert_int_equal(ca_issuer_load("x", f.cert_path, f.chain_path, &issuer, text), TM_EPARSE);
        assert_contains(text, f.cert_path);
    }
    X509 *two[] = {f.cert, f.root};
    ca_fixture_write(f.cert_path, two, 2);
    assert_int_equal(ca_issuer_load("x", f.cert_path, f.chain_path, &issuer, text), TM_EPARSE);
    assert_contains(text, "more than 1 certificate");
    ca_fixture_write(f.cert_path, &f.cert, 1);
    X509 *nine[9] = {f.root, f.root, f.root, f.root, f.root, f.root, f.root, f.root, f.root};
    ca_fixture_write(f.chain_path, nine, 9);
    assert_int_equal(ca_issuer_load("x", f.cert_path, f.chain_path, &issuer, text), TM_EPARSE);
    assert_contains(text, "more than 8");
    assert_int_equal(ca_issuer_load("x", "/nowhere/a.pem", f.chain_path, &issuer, text), TM_EIO);
    assert_contains(text, "/nowhere/a.pem");
    ca_fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_key_is_loaded),
        cmocka_unit_test(only_the_pinned_key_verifies),
        cmocka_unit_test(the_token_key_is_recognised),
        cmocka_unit_test(algorithms_are_what_openssl_writes),
        cmocka_unit_test(what_is_no_issuing_ca_is_refused),
        cmocka_unit_test(version_1_and_overlong_names_are_refused),
        cmocka_unit_test(a_chain_must_hold),
        cmocka_unit_test(path_lengths_above_are_kept),
        cmocka_unit_test(a_root_that_allows_no_ca_below_it_is_heard),
        cmocka_unit_test(files_that_hold_no_certificate_are_refused),
    };
    return cmocka_run_group_tests_name("issuer", tests, NULL, NULL);
}
