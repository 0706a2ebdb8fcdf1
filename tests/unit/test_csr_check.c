/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that OpenSSL makes, good and spoiled: key, signature, linking, extensions. */
#include "ca_fixture.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>

#include "ca/build.h"
#include "ca/csr_check.h"
#include "est/wire/base64.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static struct {
    struct ca_checker *checker;
    struct ca_profile ldevid, server, idevid, p256_only, linked, unlinked, rsa;
    EVP_PKEY *key;
} t;

static int setup(void **ctx) {
    (void)ctx;
    assert_int_equal(ca_checker_new(&t.checker), TM_OK);
    t.ldevid = ca_fixture_profile("ldevid.yaml", CA_FIXTURE_LDEVID);
    t.idevid = ca_fixture_profile("idevid.yaml", CA_FIXTURE_IDEVID);
    t.server = ca_fixture_profile("server.yaml", CA_FIXTURE_SERVER);
    t.linked = ca_fixture_profile("linked.yaml", CA_FIXTURE_LDEVID "link: required\n");
    t.unlinked = ca_fixture_profile("unlinked.yaml", CA_FIXTURE_LDEVID "link: \"off\"\n");
    static const char rest[] = "subject: [{type: CN, value: \"{id}\"}]\n"
                               "key_usage: [digitalSignature]\nvalidity: 1d\n"
                               "credentials: [secret]\nstates: [registered]\n";
    char yaml[512];
    (void)snprintf(yaml, sizeof yaml, "kind: ldevid\nkeys: [p256]\n%s", rest);
    t.p256_only = ca_fixture_profile("p256.yaml", yaml);
    (void)snprintf(yaml, sizeof yaml, "kind: ldevid\nkeys: [p384, rsa2048]\n%s", rest);
    t.rsa = ca_fixture_profile("rsa.yaml", yaml);
    t.key = ca_fixture_key("P-256");
    return 0;
}

static int teardown(void **ctx) {
    (void)ctx;
    struct ca_profile *const profiles[] = {&t.ldevid, &t.server,   &t.idevid, &t.p256_only,
                                           &t.linked, &t.unlinked, &t.rsa};
    for (size_t i = 0; i < COUNT(profiles); i++)
        ca_profile_free(profiles[i]);
    EVP_PKEY_free(t.key);
    ca_checker_free(t.checker);
    return 0;
}

/* A request on its way: its DER and the view of it. */
struct request {
    struct fixture_der der;
    struct pki_csr csr;
};

static void request_parse(struct request *r) {
    assert_int_equal(pki_csr_parse(fixture_bytes(&r->der), &r->csr), TM_OK);
}

static struct request request_sign(X509_REQ *req, EVP_PKEY *key, const EVP_MD *md) {
    struct request r;
    assert_true(X509_REQ_sign(req, key, md) > 0);
    FIXTURE_I2D(&r.der, X509_REQ, req);
    X509_REQ_free(req);
    request_parse(&r);
    return r;
}

static struct request plain(EVP_PKEY *key, const EVP_MD *md) {
    return request_sign(fixture_request(key, "TM-000417"), key, md);
}

static void assert_refused(bool passed, const struct ca_refusal *refusal, enum ipc_outcome outcome,
                           const char *says) {
    if (passed)
        fail_msg("taken; expected: %s", says);
    assert_int_equal(refusal->outcome, outcome);
    assert_contains(refusal->text, says);
}

static void assert_taken(bool passed, const struct ca_refusal *refusal) {
    if (!passed)
        fail_msg("%s", refusal->text);
    assert_int_equal(refusal->outcome, 0);
}

/* ---- keys ---- */

static void kinds_of_keys_are_taken_as_the_profile_says(void **ctx) {
    (void)ctx;
    static const struct {
        const char *kind;
        bool all, p256_only, rsa;
        const char *says;
    } rows[] = {
        {"P-256", true, true, false, "the key is EC on secp256r1; profile rsa takes p384, rsa2048"},
        {"P-384", true, false, true, "the key is EC on secp384r1; profile p256 takes p256"},
        {"RSA2048", true, false, true, "the key is RSA of 2048 bits; profile p256 takes p256"},
        {"RSA3072", true, false, true, "the key is RSA of 3072 bits; profile p256 takes p256"},
        {"ED25519", true, false, false, "the key is Ed25519; profile"},
        {"P-521", false, false, false, "the key is EC on secp521r1"},
        {"secp256k1", false, false, false, "a curve that is unknown"},
        {"RSA1024", false, false, false, "the key is RSA of 1024 bits"},
        {"X25519", false, false, false, "of an unknown algorithm"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        EVP_PKEY *key = strcmp(rows[i].kind, "X25519") == 0
                            ? EVP_PKEY_Q_keygen(NULL, NULL, "X25519")
                            : ca_fixture_shared_key(rows[i].kind);
        struct fixture_der der = ca_fixture_spki(key);
        struct pki_csr csr = {0};
        assert_int_equal(pki_spki_parse(fixture_bytes(&der), &csr.spki), TM_OK);
        const struct {
            const struct ca_profile *profile;
            bool expect;
        } tries[] = {
            {&t.ldevid, rows[i].all}, {&t.p256_only, rows[i].p256_only}, {&t.rsa, rows[i].rsa}};
        bool said = false;
        for (size_t k = 0; k < COUNT(tries); k++) {
            struct ca_refusal refusal = {0};
            if (ca_check_key(&csr, tries[k].profile, &refusal) != tries[k].expect)
                fail_msg("%s under %s: %s", rows[i].kind, tries[k].profile->name, refusal.text);
            assert_int_equal(refusal.outcome, tries[k].expect ? 0 : IPC_BAD_KEY);
            said |= strstr(refusal.text, rows[i].says) != NULL;
        }
        assert_true(said);
        fixture_free(&der);
        EVP_PKEY_free(key);
    }
}

static void points_are_uncompressed_and_curves_named(void **ctx) {
    (void)ctx;
    struct ca_refusal refusal = {0};
    EVP_PKEY *key = ca_fixture_key("P-256");
    assert_int_equal(EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                                    "compressed"),
                     1);
    struct request r = plain(key, EVP_sha256());
    assert_refused(ca_check_key(&r.csr, &t.ldevid, &refusal), &refusal, IPC_BAD_KEY,
                   "RFC 5480 2.2: the EC point is not in uncompressed form");
    fixture_free(&r.der);
    EVP_PKEY_free(key);

    EVP_PKEY_CTX *make = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    key = NULL;
    assert_int_equal(EVP_PKEY_keygen_init(make), 1);
    assert_true(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(make, NID_X9_62_prime256v1) > 0);
    assert_true(EVP_PKEY_CTX_set_ec_param_enc(make, OPENSSL_EC_EXPLICIT_CURVE) > 0);
    assert_int_equal(EVP_PKEY_keygen(make, &key), 1);
    r = plain(key, EVP_sha256());
    assert_refused(ca_check_key(&r.csr, &t.ldevid, &refusal), &refusal, IPC_BAD_KEY, "not named");
    assert_null(ca_spki_key(t.checker, &r.csr.spki));
    fixture_free(&r.der);
    EVP_PKEY_free(key);
    EVP_PKEY_CTX_free(make);
}

/* SubjectPublicKeyInfo of an RSA key that nobody would generate. */
static size_t rsa_spki(size_t octets, uint8_t last, uint32_t exponent, uint8_t *ret, size_t cap) {
    static const uint8_t algorithm[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                        0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
    uint8_t modulus[1100], key[1200];
    memset(modulus, 0xc5, octets);
    modulus[octets - 1] = last;
    struct der_writer k = der_writer_on(key, sizeof key);
    size_t end = der_mark(&k);
    der_put_small(&k, exponent);
    der_put_unsigned(&k, (struct bytes){modulus, octets});
    der_wrap(&k, DER_SEQUENCE, end);
    struct der_writer w = der_writer_on(ret, cap);
    end = der_mark(&w);
    der_put_bits(&w, der_written(&k));
    der_raw(&w, BYTES_OF(algorithm));
    der_wrap(&w, DER_SEQUENCE, end);
    struct bytes whole = der_written(&w);
    assert_true(whole.n > 0);
    memmove(ret, whole.p, whole.n);
    return whole.n;
}

static void rsa_numbers_are_in_range(void **ctx) {
    (void)ctx;
    static const struct {
        size_t octets;
        uint8_t last;
        uint32_t exponent;
        const char *says; /* NULL: good */
    } rows[] = {
        {256, 0xc5, 65537, NULL},
        {512, 0xc5, 0xfffffffd, NULL},
        {255, 0xc5, 65537, "RSA of 2040 bits"},
        {513, 0xc5, 65537, "RSA of 4104 bits"},
        {1024, 0xc5, 65537, "RSA of 8192 bits"},
        {256, 0xc4, 65537, "modulus is even"},
        {256, 0xc5, 3, "less than 65537"},
        {256, 0xc5, 65535, "less than 65537"},
        {256, 0xc5, 65538, "exponent is even"},
        {256, 0xc5, 1, "less than 65537"},
        {256, 0xc5, 0, "malformed"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t der[1300];
        struct pki_csr csr = {0};
        struct ca_refusal refusal = {0};
        size_t n = rsa_spki(rows[i].octets, rows[i].last, rows[i].exponent, der, sizeof der);
        assert_int_equal(pki_spki_parse((struct bytes){der, n}, &csr.spki), TM_OK);
        bool passed = ca_check_key(&csr, &t.ldevid, &refusal);
        if (rows[i].says)
            assert_refused(passed, &refusal, IPC_BAD_KEY, rows[i].says);
        else
            assert_taken(passed, &refusal);
        EVP_PKEY *key = ca_spki_key(t.checker, &csr.spki);
        assert_int_equal(key != NULL, rows[i].says == NULL);
        EVP_PKEY_free(key);
    }
}

static void openssl_has_the_same_key(void **ctx) {
    (void)ctx;
    static const char *const kinds[] = {"P-256", "P-384", "RSA2048", "RSA3072", "ED25519"};
    for (size_t i = 0; i < COUNT(kinds); i++)
        for (int round = 0; round < 2; round++) { /* the checker's own keys stay what they are */
            EVP_PKEY *key = ca_fixture_shared_key(kinds[i]);
            struct fixture_der der = ca_fixture_spki(key);
            struct pki_spki spki;
            assert_int_equal(pki_spki_parse(fixture_bytes(&der), &spki), TM_OK);
            EVP_PKEY *found = ca_spki_key(t.checker, &spki);
            assert_non_null(found);
            assert_int_equal(EVP_PKEY_eq(key, found), 1);
            EVP_PKEY_free(found);
            EVP_PKEY_free(key);
            fixture_free(&der);
        }
}

/* ---- proof of possession ---- */

static void every_good_signature_verifies(void **ctx) {
    (void)ctx;
    static const char *const kinds[] = {"P-256", "P-384", "RSA2048"};
    const EVP_MD *const digests[] = {EVP_sha256(), EVP_sha384(), EVP_sha512()};
    for (size_t i = 0; i <= COUNT(kinds); i++)
        for (size_t d = 0; d < (i < COUNT(kinds) ? COUNT(digests) : 1); d++) {
            struct ca_refusal refusal = {0};
            EVP_PKEY *key = ca_fixture_shared_key(i < COUNT(kinds) ? kinds[i] : "ED25519");
            struct request r = plain(key, i < COUNT(kinds) ? digests[d] : NULL);
            assert_taken(ca_check_key(&r.csr, &t.ldevid, &refusal), &refusal);
            assert_taken(ca_check_pop(t.checker, &r.csr, &refusal), &refusal);
            fixture_free(&r.der);
            EVP_PKEY_free(key);
        }
}

static void no_octet_of_a_signed_request_can_change(void **ctx) {
    (void)ctx;
    static const char *const kinds[] = {"P-256", "ED25519"};
    for (size_t k = 0; k < COUNT(kinds); k++) {
        EVP_PKEY *key = ca_fixture_key(kinds[k]);
        struct request r = plain(key, ca_fixture_digest(key));
        size_t parsed = 0;
        for (int i = 0; i < r.der.n; i++) {
            struct pki_csr csr;
            struct ca_refusal refusal = {0};
            r.der.p[i] ^= 0x01;
            if (!pki_csr_parse(fixture_bytes(&r.der), &csr)) {
                parsed++;
                if (ca_check_pop(t.checker, &csr, &refusal))
                    fail_msg("%s: octet %d may change", kinds[k], i);
                assert_true(refusal.outcome == IPC_BAD_POP || refusal.outcome == IPC_BAD_KEY);
            }
            r.der.p[i] ^= 0x01;
        }
        assert_true(parsed > 100);
        fixture_free(&r.der);
        EVP_PKEY_free(key);
    }
}

static void another_s_signature_is_refused(void **ctx) {
    (void)ctx;
    struct ca_refusal refusal = {0};
    EVP_PKEY *other = ca_fixture_key("P-256");
    struct request r = request_sign(fixture_request(t.key, "TM-1"), other, EVP_sha256());
    assert_refused(ca_check_pop(t.checker, &r.csr, &refusal), &refusal, IPC_BAD_POP,
                   "does not verify with its own key (RFC 2986");
    fixture_free(&r.der);
    EVP_PKEY_free(other);
}

static void a_point_off_the_curve_is_a_bad_key(void **ctx) {
    (void)ctx;
    struct ca_refusal refusal = {0};
    struct request r = plain(t.key, EVP_sha256());
    ((uint8_t *)(uintptr_t)r.csr.spki.key.p)[40] ^= 1;
    assert_taken(ca_check_key(&r.csr, &t.ldevid, &refusal), &refusal);
    assert_refused(ca_check_pop(t.checker, &r.csr, &refusal), &refusal, IPC_BAD_KEY,
                   "not on its curve");
    /* a coordinate that is no field element */
    memset((uint8_t *)(uintptr_t)r.csr.spki.key.p + 1, 0xff, 64);
    assert_refused(ca_check_pop(t.checker, &r.csr, &refusal), &refusal, IPC_BAD_KEY,
                   "not on its curve");
    fixture_free(&r.der);
}

static void weak_and_unknown_algorithms_are_named(void **ctx) {
    (void)ctx;
    const struct {
        const char *kind;
        const EVP_MD *md;
        const char *says;
    } rows[] = {
        {"RSA2048", EVP_sha1(), "sha1WithRSAEncryption, which is broken"},
        {"RSA2048", EVP_md5(), "md5WithRSAEncryption, which is broken"},
        {"P-256", EVP_sha1(), "ecdsa-with-SHA1, which is broken"},
        {"P-256", EVP_sha224(), "1.2.840.10045.4.3.1 is not taken; sign with"},
        {"RSA2048", EVP_sha224(), "1.2.840.113549.1.1.14 is not taken; sign with"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ca_refusal refusal = {0};
        EVP_PKEY *key = ca_fixture_shared_key(rows[i].kind);
        struct request r = plain(key, rows[i].md);
        assert_refused(ca_check_pop(t.checker, &r.csr, &refusal), &refusal, IPC_BAD_POP,
                       rows[i].says);
        fixture_free(&r.der);
        EVP_PKEY_free(key);
    }
}

static void rsa_pss_is_not_taken(void **ctx) {
    (void)ctx;
    struct ca_refusal refusal = {0};
    struct request r;
    EVP_PKEY *key = ca_fixture_shared_key("RSA2048");
    X509_REQ *req = fixture_request(key, "TM-1");
    EVP_MD_CTX *sign = EVP_MD_CTX_new();
    EVP_PKEY_CTX *params;
    assert_int_equal(EVP_DigestSignInit(sign, &params, EVP_sha256(), NULL, key), 1);
    assert_true(EVP_PKEY_CTX_set_rsa_padding(params, RSA_PKCS1_PSS_PADDING) > 0);
    assert_true(X509_REQ_sign_ctx(req, sign) > 0);
    FIXTURE_I2D(&r.der, X509_REQ, req);
    request_parse(&r);
    assert_refused(ca_check_pop(t.checker, &r.csr, &refusal), &refusal, IPC_BAD_POP,
                   "1.2.840.113549.1.1.10 is not taken");
    fixture_free(&r.der);
    X509_REQ_free(req);
    EVP_MD_CTX_free(sign);
    EVP_PKEY_free(key);
}

static void the_algorithm_must_be_the_key_s(void **ctx) {
    (void)ctx;
    static const enum pki_oid wrong[] = {PKI_OID_RSA_SHA256, PKI_OID_ED25519};
    struct request r = plain(t.key, EVP_sha256());
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct ca_refusal refusal = {0};
        r.csr.signature_algorithm = wrong[i];
        assert_refused(ca_check_pop(t.checker, &r.csr, &refusal), &refusal, IPC_BAD_POP,
                       "is not one of the key's");
    }
    fixture_free(&r.der);
}

/* ---- linking ---- */

static const uint8_t exporter[32] = {1, 2, 3, 250, 251, 252};
static const uint8_t unique[12] = {9, 8, 7, 200};
static const uint8_t foreign[32] = {42};

#define CHALLENGE_PASSWORD "1.2.840.113549.1.9.7"
#define OTP_CHALLENGE "1.2.840.113549.1.9.16.2.56"
#define REVOCATION_CHALLENGE "1.2.840.113549.1.9.16.2.57"
#define IDENTITY_LINKING "1.2.840.113549.1.9.16.2.58"

static void add_attribute(X509_REQ *req, const char *oid, const char *value) {
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    assert_non_null(object);
    assert_int_equal(
        X509_REQ_add1_attr_by_OBJ(req, object, MBSTRING_ASC, (const unsigned char *)value, -1), 1);
    ASN1_OBJECT_free(object);
}

static struct request carrying(const char *oid, const char *value) {
    X509_REQ *req = fixture_request(t.key, "TM-000417");
    add_attribute(req, oid, value);
    return request_sign(req, t.key, EVP_sha256());
}

/* base64, wrapped after `wrap` characters; 0 = not */
static const char *base64(struct bytes value, size_t wrap) {
    static uint8_t text[128];
    struct buf out = BUF_ON(text);
    assert_int_equal(est_base64_encode(value, wrap, &out), TM_OK);
    buf_put_u8(&out, 0);
    assert_false(out.full);
    return (const char *)text;
}

static const struct bytes none = {0};

static void the_session_s_own_binding_is_taken_wherever_it_stands(void **ctx) {
    (void)ctx;
    static const char *const attributes[] = {CHALLENGE_PASSWORD, IDENTITY_LINKING, OTP_CHALLENGE};
    const struct ca_profile *const profiles[] = {&t.linked, &t.ldevid, &t.unlinked};
    for (size_t a = 0; a < COUNT(attributes); a++)
        for (size_t p = 0; p < COUNT(profiles); p++) {
            struct ca_refusal refusal = {0};
            struct request e = carrying(attributes[a], base64(BYTES_OF(exporter), 0));
            assert_taken(
                ca_check_link(&e.csr, profiles[p], BYTES_OF(exporter), none, false, &refusal),
                &refusal);
            assert_taken(ca_check_link(&e.csr, profiles[p], BYTES_OF(exporter), BYTES_OF(unique),
                                       false, &refusal),
                         &refusal);
            fixture_free(&e.der);
            struct request u = carrying(attributes[a], base64(BYTES_OF(unique), 0));
            assert_taken(
                ca_check_link(&u.csr, profiles[p], none, BYTES_OF(unique), false, &refusal),
                &refusal);
            fixture_free(&u.der);
        }
}

static void another_session_s_is_refused_under_every_policy(void **ctx) {
    (void)ctx;
    static const struct {
        const char *oid, *name;
    } attributes[] = {{CHALLENGE_PASSWORD, "challengePassword is not"},
                      {IDENTITY_LINKING, "estIdentityLinking is not"},
                      {OTP_CHALLENGE, "otpChallenge is not"}};
    const struct ca_profile *const profiles[] = {&t.linked, &t.ldevid, &t.unlinked};
    for (size_t a = 0; a < COUNT(attributes); a++)
        for (size_t p = 0; p < COUNT(profiles); p++) {
            struct ca_refusal refusal = {0};
            struct request r = carrying(attributes[a].oid, base64(BYTES_OF(foreign), 0));
            assert_refused(ca_check_link(&r.csr, profiles[p], BYTES_OF(exporter), BYTES_OF(unique),
                                         false, &refusal),
                           &refusal, IPC_BAD_LINK, attributes[a].name);
            /* nothing to compare with is no reason to believe it */
            assert_refused(ca_check_link(&r.csr, profiles[p], none, none, false, &refusal),
                           &refusal, IPC_BAD_LINK, "this session has none");
            fixture_free(&r.der);
        }
}

static void nothing_like_the_binding_is_taken_for_it(void **ctx) {
    (void)ctx;
    uint8_t longer[33];
    memcpy(longer, exporter, 32);
    longer[32] = 0;
    char hex[65];
    assert_int_equal(hex_encode(BYTES_OF(exporter), hex, sizeof hex), TM_OK);
    char values[6][130];
    (void)snprintf(values[0], 130, "%s", base64((struct bytes){exporter, 31}, 0));
    (void)snprintf(values[1], 130, "%s", base64(BYTES_OF(longer), 0));
    (void)snprintf(values[2], 130, "%s", hex);
    (void)snprintf(values[3], 130, "my password");
    (void)snprintf(values[4], 130, "%s=", base64(BYTES_OF(exporter), 0));
    (void)snprintf(values[5], 130, "=");
    for (size_t i = 0; i < COUNT(values); i++) {
        struct ca_refusal refusal = {0};
        struct request r = carrying(CHALLENGE_PASSWORD, values[i]);
        assert_refused(
            ca_check_link(&r.csr, &t.ldevid, BYTES_OF(exporter), BYTES_OF(unique), false, &refusal),
            &refusal, IPC_BAD_LINK, "challengePassword is not the channel binding");
        fixture_free(&r.der);
    }
    /* but base64 as some clients wrap it is */
    struct ca_refusal refusal = {0};
    struct request r = carrying(CHALLENGE_PASSWORD, base64(BYTES_OF(exporter), 20));
    assert_taken(ca_check_link(&r.csr, &t.ldevid, BYTES_OF(exporter), none, false, &refusal),
                 &refusal);
    fixture_free(&r.der);
}

static void all_that_is_carried_must_be_right(void **ctx) {
    (void)ctx;
    struct ca_refusal refusal = {0};
    X509_REQ *req = fixture_request(t.key, "TM-000417");
    add_attribute(req, CHALLENGE_PASSWORD, base64(BYTES_OF(exporter), 0));
    add_attribute(req, IDENTITY_LINKING, base64(BYTES_OF(foreign), 0));
    struct request r = request_sign(req, t.key, EVP_sha256());
    assert_refused(ca_check_link(&r.csr, &t.ldevid, BYTES_OF(exporter), none, false, &refusal),
                   &refusal, IPC_BAD_LINK, "estIdentityLinking");
    fixture_free(&r.der);
}

static void only_required_needs_one_and_an_ra_is_exempt(void **ctx) {
    (void)ctx;
    struct ca_refusal refusal = {0};
    struct request r = plain(t.key, EVP_sha256());
    assert_refused(ca_check_link(&r.csr, &t.linked, BYTES_OF(exporter), none, false, &refusal),
                   &refusal, IPC_NOT_LINKED, "RFC 7030, 3.5");
    assert_refused(ca_check_link(&r.csr, &t.linked, none, none, false, &refusal), &refusal,
                   IPC_NOT_LINKED, "profile linked requires");
    refusal = (struct ca_refusal){0};
    assert_taken(ca_check_link(&r.csr, &t.ldevid, BYTES_OF(exporter), none, false, &refusal),
                 &refusal);
    assert_taken(ca_check_link(&r.csr, &t.unlinked, none, none, false, &refusal), &refusal);
    assert_taken(ca_check_link(&r.csr, &t.linked, BYTES_OF(exporter), none, true, &refusal),
                 &refusal);
    fixture_free(&r.der);
    r = carrying(CHALLENGE_PASSWORD, base64(BYTES_OF(foreign), 0));
    assert_taken(ca_check_link(&r.csr, &t.linked, BYTES_OF(exporter), none, true, &refusal),
                 &refusal);
    fixture_free(&r.der);
}

/* ---- extensions ---- */

static struct request asking(const char *const *extensions, EVP_PKEY *key) {
    X509_REQ *req = fixture_request(key, "TM-000417");
    STACK_OF(X509_EXTENSION) *list = NULL;
    X509V3_CTX v3;
    X509V3_set_ctx(&v3, NULL, NULL, req, NULL, 0);
    X509V3_set_nconf(&v3, NULL);
    for (size_t i = 0; extensions[i]; i += 2) {
        X509_EXTENSION *e = X509V3_EXT_nconf(NULL, &v3, extensions[i], extensions[i + 1]);
        if (!e)
            fail_msg("OpenSSL cannot write %s = %s", extensions[i], extensions[i + 1]);
        assert_non_null(X509v3_add_ext(&list, e, -1));
        X509_EXTENSION_free(e);
    }
    assert_int_equal(X509_REQ_add_extensions(req, list), 1);
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    return request_sign(req, key, ca_fixture_digest(key));
}

static bool check_extensions(const struct request *r, const struct ca_profile *profile,
                             struct ca_refusal *refusal) {
    uint8_t octets[512];
    struct buf own = BUF_ON(octets);
    assert_int_equal(ca_build_san(profile, &ca_fixture_device, &own), TM_OK);
    *refusal = (struct ca_refusal){0};
    return ca_check_extensions(&r->csr, profile, buf_bytes(&own), refusal);
}

#define OWN_URI "URI:urn:dev:ops:32473-GW200-TM-000417"

static void what_the_profile_sets_anyway_may_be_asked_for(void **ctx) {
    (void)ctx;
    static const char *const rows[][10] = {
        {"keyUsage", "critical,digitalSignature"},
        {"keyUsage", "digitalSignature,nonRepudiation", "extendedKeyUsage", "clientAuth"},
        {"basicConstraints", "CA:FALSE"},
        {"basicConstraints", "critical,CA:FALSE", "subjectKeyIdentifier", "hash"},
        {"extendedKeyUsage", "critical,clientAuth"},
        {"subjectAltName", OWN_URI},
        {"basicConstraints", "CA:FALSE", "keyUsage", "digitalSignature", "extendedKeyUsage",
         "clientAuth", "subjectAltName", OWN_URI},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ca_refusal refusal;
        struct request r = asking(rows[i], t.key);
        assert_taken(check_extensions(&r, &t.ldevid, &refusal), &refusal);
        fixture_free(&r.der);
    }
    struct ca_refusal refusal;
    struct request r = plain(t.key, EVP_sha256());
    assert_taken(check_extensions(&r, &t.ldevid, &refusal), &refusal);
    fixture_free(&r.der);
}

static void a_key_identifier_by_sha256_may_be_asked_for(void **ctx) {
    (void)ctx;
    struct fixture_der spki = ca_fixture_spki(t.key);
    struct pki_spki view;
    uint8_t hash[32];
    char hex[65];
    struct ca_refusal refusal;
    assert_int_equal(pki_spki_parse(fixture_bytes(&spki), &view), TM_OK);
    assert_int_equal(EVP_Digest(view.key.p, view.key.n, hash, NULL, EVP_sha256(), NULL), 1);
    assert_int_equal(hex_encode((struct bytes){hash, 20}, hex, sizeof hex), TM_OK);
    const char *const ask[] = {"subjectKeyIdentifier", hex, NULL};
    struct request r = asking(ask, t.key);
    assert_taken(check_extensions(&r, &t.ldevid, &refusal), &refusal);
    fixture_free(&r.der);
    fixture_free(&spki);
}

/* An arc of more than 63 bits: there is no number to print. */
static void types_that_cannot_be_printed_are_refused_too(void **ctx) {
    (void)ctx;
    static const uint8_t oid[] = {0x2a, 0x8f, 0xff, 0xff, 0xff, 0xff,
                                  0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
    static const uint8_t algorithm[] = {0x30, 0x0e, 0x06, 0x0c, 0x2a, 0x8f, 0xff, 0xff,
                                        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
    struct ca_refusal refusal = {0};
    struct pki_csr csr = {.extension_count = 1,
                          .extensions = {{.oid = BYTES_OF(oid)}},
                          .algorithm = BYTES_OF(algorithm)};
    assert_refused(ca_check_extensions(&csr, &t.ldevid, none, &refusal), &refusal,
                   IPC_BAD_EXTENSION, "overlong type");
    assert_refused(ca_check_pop(t.checker, &csr, &refusal), &refusal, IPC_BAD_POP,
                   "cannot be read; sign with");
}

static void anything_more_is_refused_and_named(void **ctx) {
    (void)ctx;
    const struct {
        const struct ca_profile *profile;
        const char *ask[4];
        enum ipc_outcome outcome;
        const char *says;
    } rows[] = {
        {&t.ldevid,
         {"keyUsage", "digitalSignature,keyEncipherment"},
         IPC_BAD_EXTENSION,
         "keyUsage asks for keyEncipherment, which profile ldevid does not set"},
        {&t.ldevid, {"keyUsage", "keyCertSign"}, IPC_BAD_EXTENSION, "keyCertSign"},
        {&t.ldevid, {"keyUsage", "cRLSign"}, IPC_BAD_EXTENSION, "cRLSign"},
        {&t.ldevid,
         {"keyUsage", "digitalSignature,decipherOnly"},
         IPC_BAD_EXTENSION,
         "decipherOnly"},
        {&t.idevid, {"keyUsage", "nonRepudiation"}, IPC_BAD_EXTENSION, "nonRepudiation"},
        {&t.ldevid, {"keyUsage", "DER:04:01:80"}, IPC_BAD_EXTENSION, "keyUsage is malformed"},
        {&t.ldevid,
         {"extendedKeyUsage", "clientAuth,serverAuth"},
         IPC_BAD_EXTENSION,
         "id-kp-serverAuth purpose"},
        {&t.ldevid,
         {"extendedKeyUsage", "anyExtendedKeyUsage"},
         IPC_BAD_EXTENSION,
         "an unknown purpose"},
        {&t.ldevid,
         {"extendedKeyUsage", "DER:30:00"},
         IPC_BAD_EXTENSION,
         "extKeyUsage is malformed"},
        {&t.p256_only, {"extendedKeyUsage", "clientAuth"}, IPC_BAD_EXTENSION, "clientAuth"},
        {&t.ldevid, {"basicConstraints", "CA:TRUE"}, IPC_BAD_EXTENSION, "a CA's certificate"},
        {&t.server,
         {"basicConstraints", "critical,CA:TRUE,pathlen:0"},
         IPC_BAD_EXTENSION,
         "a CA's certificate"},
        {&t.ldevid,
         {"basicConstraints", "DER:05:00"},
         IPC_BAD_EXTENSION,
         "basicConstraints is malformed"},
        {&t.ldevid,
         {"subjectKeyIdentifier", "01:02:03"},
         IPC_BAD_EXTENSION,
         "subjectKeyIdentifier does not derive from the key"},
        {&t.ldevid,
         {"certificatePolicies", "DER:30:06:30:04:06:02:2a:03"},
         IPC_BAD_EXTENSION,
         "extension 2.5.29.32 (certificatePolicies), which profile ldevid does not set"},
        {&t.ldevid, {"1.2.3.4.5", "ASN1:UTF8:x"}, IPC_BAD_EXTENSION, "extension 1.2.3.4.5, which"},
        {&t.ldevid,
         {"1.2.3.4.5", "critical,ASN1:UTF8:x"},
         IPC_BAD_EXTENSION,
         "extension 1.2.3.4.5, which"},
        {&t.ldevid, {"nsComment", "made by a tool"}, IPC_BAD_EXTENSION, "2.16.840.1.113730.1.13"},
        {&t.ldevid,
         {"subjectAltName", "DNS:device.example.com"},
         IPC_BAD_SAN,
         "a name that profile ldevid does not give"},
        {&t.ldevid,
         {"subjectAltName", "URI:urn:dev:ops:32473-GW200-TM-000418"},
         IPC_BAD_SAN,
         "a name that profile ldevid does not give"},
        {&t.ldevid,
         {"subjectAltName", OWN_URI ",IP:192.0.2.1"},
         IPC_BAD_SAN,
         "a name that profile ldevid does not give"},
        {&t.ldevid, {"subjectAltName", "DER:30:00"}, IPC_BAD_SAN, "empty or malformed"},
        {&t.ldevid, {"subjectAltName", "DER:30:04:82:05:61:62"}, IPC_BAD_SAN, "malformed"},
        {&t.server,
         {"subjectAltName", "DNS:*.example.com"},
         IPC_BAD_SAN,
         "a dNSName is a wildcard"},
        {&t.server, {"subjectAltName", "email:a@example.com"}, IPC_BAD_SAN, "a name is neither"},
        {&t.server,
         {"subjectAltName", "otherName:1.2.3;UTF8:x"},
         IPC_BAD_SAN,
         "an otherName is not a hardwareModuleName"},
        {&t.server,
         {"subjectAltName",
          "DER:30:1b:a0:19:06:08:2b:06:01:05:05:07:08:04:a0:0d:30:0b:06:03:2a:03:04:04:04:31:32:"
          "33:34"},
         IPC_BAD_SAN,
         "a name that profile server does not give"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ca_refusal refusal;
        struct request r = asking(rows[i].ask, t.key);
        assert_refused(check_extensions(&r, rows[i].profile, &refusal), &refusal, rows[i].outcome,
                       rows[i].says);
        fixture_free(&r.der);
    }
}

static void names_are_taken_from_the_request_where_the_profile_says(void **ctx) {
    (void)ctx;
    struct ca_refusal refusal;
    const char *const ask[] = {"subjectAltName",
                               "DNS:est.example.com,IP:192.0.2.7,IP:2001:db8::1,URI:urn:x:y",
                               "extendedKeyUsage", "serverAuth", NULL};
    struct request r = asking(ask, t.key);
    assert_taken(check_extensions(&r, &t.server, &refusal), &refusal);
    fixture_free(&r.der);
    char many[1024] = "";
    size_t n = 0;
    for (int i = 0; i <= CA_SAN_NAMES_MAX; i++)
        n += (size_t)snprintf(many + n, sizeof many - n, "%sDNS:h%d.example", i ? "," : "", i);
    const char *const too_many[] = {"subjectAltName", many, NULL};
    r = asking(too_many, t.key);
    assert_refused(check_extensions(&r, &t.server, &refusal), &refusal, IPC_BAD_SAN,
                   "more than 32 names");
    fixture_free(&r.der);
}

/* The names of the certificate that is renewed may be asked for, whatever the profile says now. */
static void a_renewal_may_ask_for_its_old_names(void **ctx) {
    (void)ctx;
    struct ca_refusal refusal = {0};
    const char *const ask[] = {"subjectAltName", "DNS:old.example.com", NULL};
    struct request r = asking(ask, t.key);
    const struct pki_extension *san = pki_csr_extension(&r.csr, PKI_OID_SUBJECT_ALT_NAME);
    assert_taken(ca_check_extensions(&r.csr, &t.ldevid, san->value, &refusal), &refusal);
    assert_refused(ca_check_extensions(&r.csr, &t.ldevid, none, &refusal), &refusal, IPC_BAD_SAN,
                   "does not give");
    fixture_free(&r.der);
}

static void attributes_that_ask_for_nothing_are_passed_over(void **ctx) {
    (void)ctx;
    struct ca_refusal refusal;
    X509_REQ *req = fixture_request(t.key, "TM-000417");
    add_attribute(req, "1.2.840.113549.1.9.2", "unstructuredName of openssl req");
    add_attribute(req, "1.3.6.1.1.1.1.22", "00:11:22:33:44:55"); /* macAddress, RFC 7030, 4.5.2 */
    struct request r = request_sign(req, t.key, EVP_sha256());
    assert_taken(check_extensions(&r, &t.ldevid, &refusal), &refusal);
    fixture_free(&r.der);
    r = carrying(REVOCATION_CHALLENGE, "remember this");
    assert_refused(check_extensions(&r, &t.ldevid, &refusal), &refusal, IPC_BAD_EXTENSION,
                   "revocationChallenge");
    fixture_free(&r.der);
    r = carrying("1.3.6.1.4.1.311.2.1.14", "x");
    assert_refused(check_extensions(&r, &t.ldevid, &refusal), &refusal, IPC_BAD_EXTENSION,
                   "1.3.6.1.4.1.311.2.1.14");
    fixture_free(&r.der);
}

static void sentences_hold_no_control_characters(void **ctx) {
    (void)ctx;
    struct ca_refusal refusal;
    char longest[600];
    assert_false(ca_refuse(&refusal, IPC_BAD_CSR, "a\nb\x1b[31m\x7f%s", "\xc3\xa9"));
    assert_string_equal(refusal.text, "a?b?[31m???");
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_false(ca_refuse(&refusal, IPC_BAD_CSR, "%s", longest));
    assert_int_equal(strlen(refusal.text), IPC_TEXT_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_of_keys_are_taken_as_the_profile_says),
        cmocka_unit_test(points_are_uncompressed_and_curves_named),
        cmocka_unit_test(rsa_numbers_are_in_range),
        cmocka_unit_test(openssl_has_the_same_key),
        cmocka_unit_test(every_good_signature_verifies),
        cmocka_unit_test(no_octet_of_a_signed_request_can_change),
        cmocka_unit_test(another_s_signature_is_refused),
        cmocka_unit_test(a_point_off_the_curve_is_a_bad_key),
        cmocka_unit_test(weak_and_unknown_algorithms_are_named),
        cmocka_unit_test(rsa_pss_is_not_taken),
        cmocka_unit_test(the_algorithm_must_be_the_key_s),
        cmocka_unit_test(the_session_s_own_binding_is_taken_wherever_it_stands),
        cmocka_unit_test(another_session_s_is_refused_under_every_policy),
        cmocka_unit_test(nothing_like_the_binding_is_taken_for_it),
        cmocka_unit_test(all_that_is_carried_must_be_right),
        cmocka_unit_test(only_required_needs_one_and_an_ra_is_exempt),
        cmocka_unit_test(what_the_profile_sets_anyway_may_be_asked_for),
        cmocka_unit_test(a_key_identifier_by_sha256_may_be_asked_for),
        cmocka_unit_test(types_that_cannot_be_printed_are_refused_too),
        cmocka_unit_test(anything_more_is_refused_and_named),
        cmocka_unit_test(names_are_taken_from_the_request_where_the_profile_says),
        cmocka_unit_test(a_renewal_may_ask_for_its_old_names),
        cmocka_unit_test(attributes_that_ask_for_nothing_are_passed_over),
        cmocka_unit_test(sentences_hold_no_control_characters),
    };
    return cmocka_run_group_tests_name("csr_check", tests, setup, teardown);
}
