/* SPDX-License-Identifier: Apache-2.0 */
/* Trial issue: what comes out is what OpenSSL reads, and what cannot be issued is said. */
#include "ca_fixture.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "ca/csr_check.h"
#include "ca/key.h"
#include "ca/profile_trial.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define DAY_MS (INT64_C(24) * 3600 * 1000)

static struct ca_trial *trial;

static int setup(void **ctx) {
    (void)ctx;
    assert_int_equal(ca_trial_new(clock_wall_ms(), &trial), TM_OK);
    return 0;
}

static int teardown(void **ctx) {
    (void)ctx;
    ca_trial_free(trial);
    return 0;
}

static X509 *issue(const struct ca_profile *profile, unsigned key) {
    uint8_t octets[IPC_CERT_MAX];
    struct buf der = BUF_ON(octets);
    char text[CONF_ERROR_MAX] = "";
    if (ca_trial_issue(trial, profile, key, &der, text))
        fail_msg("%s with %s: %s", profile->name, ca_profile_key_word(key), text);
    const unsigned char *at = octets;
    X509 *certificate = d2i_X509(NULL, &at, (long)der.n);
    assert_non_null(certificate);
    assert_ptr_equal(at, octets + der.n);
    return certificate;
}

static bool is_of_kind(X509 *certificate, unsigned key) {
    EVP_PKEY *found = X509_get0_pubkey(certificate);
    switch (key) {
    case CA_KEY_P256:
    case CA_KEY_P384:
        return EVP_PKEY_is_a(found, "EC") &&
               EVP_PKEY_get_bits(found) == (key == CA_KEY_P256 ? 256 : 384);
    case CA_KEY_RSA2048:
        return EVP_PKEY_is_a(found, "RSA") && EVP_PKEY_get_bits(found) == 2048;
    case CA_KEY_ED25519:
        return EVP_PKEY_is_a(found, "ED25519");
    default:
        return EVP_PKEY_is_a(found, ca_key_ml_dsa_name(key));
    }
}

/* Every kind of key that each shipped profile takes. */
static void shipped_profiles_issue(void **ctx) {
    (void)ctx;
    static const char *const files[] = {"idevid", "ldevid", "tls-server", "ocsp-signer",
                                        "cloud-proof"};
    unsigned issued = 0;
    for (size_t i = 0; i < COUNT(files); i++) {
        char path[512], error[CONF_ERROR_MAX] = "";
        struct ca_profile profile;
        (void)snprintf(path, sizeof path, "%s/%s.yaml", SHIPPED_PROFILES, files[i]);
        if (ca_profile_load(path, &profile, error))
            fail_msg("%s", error);
        for (unsigned key = 1; key <= CA_KEY_LAST; key <<= 1) {
            if (!(profile.keys & key))
                continue;
            X509 *certificate = issue(&profile, key);
            assert_true(is_of_kind(certificate, key));
            X509_free(certificate);
            issued++;
        }
        ca_profile_free(&profile);
    }
    assert_int_equal(issued, 2 + 2 + 2 + 3 + 1);
}

static void what_the_profile_says_is_in_the_certificate(void **ctx) {
    (void)ctx;
    struct ca_profile profile = ca_fixture_profile("field.yaml", CA_FIXTURE_LDEVID);
    X509 *certificate = issue(&profile, CA_KEY_ED25519);
    char subject[256] = "";
    (void)X509_NAME_oneline(X509_get_subject_name(certificate), subject, sizeof subject);
    assert_string_equal(subject, "/O=Example Works/CN=SAMPLE-0001/serialNumber=SAMPLE-0001");
    assert_int_equal(X509_get_key_usage(certificate), KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION);
    assert_int_equal(X509_get_extended_key_usage(certificate), XKU_SSL_CLIENT);
    int days = 0, seconds = 0;
    assert_int_equal(ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(certificate),
                                    X509_get0_notAfter(certificate)),
                     1);
    assert_int_equal(days, 365);
    assert_int_equal(seconds, 300); /* backdate */
    assert_true(X509_get_ext_by_NID(certificate, NID_crl_distribution_points, -1) >= 0);
    assert_true(X509_get_ext_by_NID(certificate, NID_info_access, -1) >= 0);
    X509_free(certificate);
    ca_profile_free(&profile);
}

static void a_server_gets_a_name(void **ctx) {
    (void)ctx;
    struct ca_profile profile = ca_fixture_profile("server.yaml", CA_FIXTURE_SERVER);
    X509 *certificate = issue(&profile, CA_KEY_P256);
    assert_int_equal(X509_check_host(certificate, "device.example", 0, 0, NULL), 1);
    X509_free(certificate);
    ca_profile_free(&profile);
}

/* Profiles that load, and still are none that a certificate can be issued under. */
static void what_cannot_be_issued_is_said(void **ctx) {
    (void)ctx;
    static const struct {
        const char *rest, *says;
    } rows[] = {
        {"not_after: 2020-01-01T00:00:00Z\n", "not_after: is over"},
        {"validity: 1d\next_key_usage: [serverAuth]\nreenroll: false\n"
         "san_uri: [\"urn:x:a\", \"urn:x:a\"]\n",
         "RFC 5280 4.2.1.6: subjectAltName holds a name twice"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char yaml[512], text[CONF_ERROR_MAX] = "";
        uint8_t octets[IPC_CERT_MAX];
        struct buf der = BUF_ON(octets);
        (void)snprintf(yaml, sizeof yaml,
                       "kind: ldevid\nkeys: [p256]\nsubject: [{type: CN, value: \"{id}\"}]\n"
                       "key_usage: [digitalSignature]\ncredentials: [secret]\n"
                       "states: [registered]\n%s",
                       rows[i].rest);
        struct ca_profile profile = ca_fixture_profile("x.yaml", yaml);
        if (ca_trial_issue(trial, &profile, CA_KEY_P256, &der, text) != TM_EDENIED)
            fail_msg("issued: %s", rows[i].rest);
        assert_contains(text, rows[i].says);
        assert_int_equal(der.n, 0);
        ca_profile_free(&profile);
    }
}

/* ---- ML-DSA, where OpenSSL has it ---- */

#define ML_DSA_REST                                                                                \
    "subject: [{type: CN, value: \"{id}\"}]\nkey_usage: [digitalSignature]\nvalidity: 1d\n"        \
    "credentials: [secret]\nstates: [registered]\n"

static bool openssl_has_ml_dsa(void) {
    EVP_SIGNATURE *found = EVP_SIGNATURE_fetch(NULL, "ML-DSA-65", NULL);
    EVP_SIGNATURE_free(found);
    ERR_clear_error();
    return found != NULL;
}

static void check_request(const struct ca_profile *profile, const char *name) {
    struct ca_checker *checker;
    struct ca_refusal refusal = {0};
    struct fixture_der der;
    struct pki_csr csr;
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, name);
    assert_non_null(key);
    X509_REQ *req = fixture_request(key, "TM-000417");
    assert_true(X509_REQ_sign(req, key, NULL) > 0);
    FIXTURE_I2D(&der, X509_REQ, req);
    assert_in_range(der.n, 1, IPC_CSR_MAX);
    assert_int_equal(pki_csr_parse(fixture_bytes(&der), &csr), TM_OK);
    assert_int_equal(ca_checker_new(&checker), TM_OK);
    if (!ca_check_key(&csr, profile, &refusal) || !ca_check_pop(checker, &csr, &refusal))
        fail_msg("%s: %s", name, refusal.text);
    ((uint8_t *)(uintptr_t)csr.signature.p)[csr.signature.n / 2] ^= 1;
    assert_false(ca_check_pop(checker, &csr, &refusal));
    assert_int_equal(refusal.outcome, IPC_BAD_POP);
    ca_checker_free(checker);
    X509_REQ_free(req);
    fixture_free(&der);
    EVP_PKEY_free(key);
}

static void ml_dsa_is_one_more_kind_of_key(void **ctx) {
    (void)ctx;
    static const struct {
        const char *word, *name;
        unsigned key;
        size_t octets; /* of the key: FIPS 204, table 2 */
    } rows[] = {{"mldsa44", "ML-DSA-44", CA_KEY_MLDSA44, 1312},
                {"mldsa65", "ML-DSA-65", CA_KEY_MLDSA65, 1952},
                {"mldsa87", "ML-DSA-87", CA_KEY_MLDSA87, 2592}};
    bool there = openssl_has_ml_dsa();
    printf("OpenSSL %s ML-DSA\n", there ? "with" : "without");
    for (size_t i = 0; i < COUNT(rows); i++) {
        char yaml[512], error[CONF_ERROR_MAX] = "";
        struct ca_profile profile;
        (void)snprintf(yaml, sizeof yaml, "kind: ldevid\nkeys: [p256, %s]\n" ML_DSA_REST,
                       rows[i].word);
        assert_int_equal(ca_key_supported(rows[i].key), there);
        enum tm_err err = ca_profile_load_text(yaml, strlen(yaml), "/x/pq.yaml", &profile, error);
        if (!there) {
            char expected[128];
            (void)snprintf(expected, sizeof expected,
                           "/x/pq.yaml:2: keys: %s: this OpenSSL has no ML-DSA; it needs 3.5",
                           rows[i].word);
            assert_int_equal(err, TM_EPARSE);
            assert_string_equal(error, expected);
            continue;
        }
        if (err)
            fail_msg("%s", error);
        X509 *certificate = issue(&profile, rows[i].key);
        assert_true(is_of_kind(certificate, rows[i].key));
        assert_int_equal(X509_get0_pubkey_bitstr(certificate)->length, (int)rows[i].octets);
        X509_free(certificate);
        check_request(&profile, rows[i].name);
        ca_profile_free(&profile);
    }
}

/* Whatever OpenSSL has: the key's form is judged before it. */
static void an_ml_dsa_key_has_the_size_of_its_set(void **ctx) {
    (void)ctx;
    static const struct {
        enum pki_oid algorithm;
        unsigned kind;
        size_t octets;
    } rows[] = {{PKI_OID_ML_DSA_44, CA_KEY_MLDSA44, 1312},
                {PKI_OID_ML_DSA_65, CA_KEY_MLDSA65, 1952},
                {PKI_OID_ML_DSA_87, CA_KEY_MLDSA87, 2592}};
    static const uint8_t zero[3000];
    for (size_t i = 0; i < COUNT(rows); i++)
        for (int more = -1; more <= 1; more++) {
            uint8_t octets[3200];
            struct der_writer w = der_writer_on(octets, sizeof octets);
            struct pki_spki spki;
            size_t end = der_mark(&w);
            der_put_bits(&w, (struct bytes){zero, rows[i].octets + (size_t)more});
            size_t algorithm = der_mark(&w);
            der_put(&w, DER_OID, pki_oid_bytes(rows[i].algorithm));
            der_wrap(&w, DER_SEQUENCE, algorithm);
            der_wrap(&w, DER_SEQUENCE, end);
            assert_int_equal(pki_spki_parse(der_written(&w), &spki), TM_OK);
            assert_int_equal(ca_key_kind(&spki), rows[i].kind);
            if (more == 0)
                assert_null(ca_key_fault(&spki));
            else
                assert_contains(ca_key_fault(&spki), "RFC 9881");
        }
}

static void an_ml_dsa_key_has_no_parameters(void **ctx) {
    (void)ctx;
    static const uint8_t key[1312];
    uint8_t octets[1400];
    struct der_writer w = der_writer_on(octets, sizeof octets);
    struct pki_spki spki;
    size_t end = der_mark(&w);
    der_put_bits(&w, BYTES_OF(key));
    size_t algorithm = der_mark(&w);
    der_put(&w, DER_NULL, (struct bytes){0});
    der_put(&w, DER_OID, pki_oid_bytes(PKI_OID_ML_DSA_44));
    der_wrap(&w, DER_SEQUENCE, algorithm);
    der_wrap(&w, DER_SEQUENCE, end);
    assert_int_equal(pki_spki_parse(der_written(&w), &spki), TM_EPARSE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shipped_profiles_issue),
        cmocka_unit_test(what_the_profile_says_is_in_the_certificate),
        cmocka_unit_test(a_server_gets_a_name),
        cmocka_unit_test(what_cannot_be_issued_is_said),
        cmocka_unit_test(ml_dsa_is_one_more_kind_of_key),
        cmocka_unit_test(an_ml_dsa_key_has_the_size_of_its_set),
        cmocka_unit_test(an_ml_dsa_key_has_no_parameters),
    };
    return cmocka_run_group_tests_name("profile_trial", tests, setup, teardown);
}
