/* SPDX-License-Identifier: Apache-2.0 */
/* What OpenSSL signs, mbedTLS's table verifies, and nothing else. */
#include "pki_fixture.h"

#include "client/port/mbedtls.h"
#include "pki/cert.h"

#define MESSAGE "what a CA signed"

/* Random octets 0, 1, 2, ...; fails when `fail` is set. */
struct source {
    uint8_t next;
    bool fail;
};

static int source_random(void *arg, unsigned char *ret, size_t n) {
    struct source *source = (struct source *)arg;
    for (size_t i = 0; i < n; i++)
        ret[i] = source->next++;
    return source->fail ? -1 : 0;
}

static struct source octets;
static struct tm_mbedtls mbedtls = {source_random, &octets};

/* A signature over MESSAGE, its key and its algorithm as certificates carry them. */
struct signed_message {
    struct fixture_der spki;
    struct fixture_der algorithm;
    struct fixture_der signature;
};

/* The AlgorithmIdentifier is that of a certificate which OpenSSL signs with key and digest. */
static struct fixture_der algorithm_of(EVP_PKEY *key, const EVP_MD *md) {
    X509 *cert = fixture_certificate(key, "device-1", NULL);
    assert_true(X509_sign(cert, key, md) > 0);
    struct fixture_der der;
    const X509_ALGOR *algorithm;
    X509_get0_signature(NULL, &algorithm, cert);
    FIXTURE_I2D(&der, X509_ALGOR, algorithm);
    X509_free(cert);
    return der;
}

static struct signed_message sign(EVP_PKEY *key, const EVP_MD *md) {
    struct signed_message made;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t n;
    FIXTURE_I2D(&made.spki, PUBKEY, key);
    made.algorithm = algorithm_of(key, md);
    assert_true(EVP_DigestSignInit(ctx, NULL, md, NULL, key));
    assert_true(EVP_DigestSign(ctx, NULL, &n, (const uint8_t *)MESSAGE, strlen(MESSAGE)));
    made.signature.p = OPENSSL_malloc(n);
    assert_true(
        EVP_DigestSign(ctx, made.signature.p, &n, (const uint8_t *)MESSAGE, strlen(MESSAGE)));
    made.signature.n = (int)n;
    EVP_MD_CTX_free(ctx);
    return made;
}

static void signed_free(struct signed_message *made) {
    fixture_free(&made->spki);
    fixture_free(&made->algorithm);
    fixture_free(&made->signature);
}

static enum tm_err verify(struct bytes spki, struct bytes algorithm, struct bytes message,
                          struct bytes signature) {
    struct tm_crypto crypto = tm_mbedtls_crypto(&mbedtls);
    return crypto.verify(crypto.self, spki, algorithm, message, signature);
}

static enum tm_err verify_made(const struct signed_message *made) {
    return verify(fixture_bytes(&made->spki), fixture_bytes(&made->algorithm), bytes_str(MESSAGE),
                  fixture_bytes(&made->signature));
}

/* Each octet of the signature changed alone, some of the key, then the message. */
static void assert_changes_refused(const struct signed_message *made) {
    for (int i = 0; i < made->signature.n; i++) {
        made->signature.p[i] ^= 1;
        assert_int_equal(verify_made(made), TM_ECRYPTO);
        made->signature.p[i] ^= 1;
    }
    for (int i = made->spki.n - 64; i < made->spki.n - 8; i += 7) {
        made->spki.p[i] ^= 1;
        assert_int_equal(verify_made(made), TM_ECRYPTO);
        made->spki.p[i] ^= 1;
    }
    assert_int_equal(verify(fixture_bytes(&made->spki), fixture_bytes(&made->algorithm),
                            bytes_str("what a CA sign"), fixture_bytes(&made->signature)),
                     TM_ECRYPTO);
    assert_int_equal(verify_made(made), TM_OK);
}

/* Cut anywhere, or with something behind it. */
static void assert_other_lengths_refused(const struct signed_message *made) {
    uint8_t *longer = malloc((size_t)made->signature.n + 1);
    assert_non_null(longer);
    memcpy(longer, made->signature.p, (size_t)made->signature.n);
    longer[made->signature.n] = 0;
    for (size_t n = 0; n <= (size_t)made->signature.n + 1; n++) {
        enum tm_err expected = n == (size_t)made->signature.n ? TM_OK : TM_ECRYPTO;
        uint8_t *exact = malloc(n ? n : 1);
        assert_non_null(exact);
        memcpy(exact, longer, n);
        assert_int_equal(verify(fixture_bytes(&made->spki), fixture_bytes(&made->algorithm),
                                bytes_str(MESSAGE), (struct bytes){exact, n}),
                         expected);
        free(exact);
    }
    free(longer);
}

static void check_key(EVP_PKEY *key) {
    const EVP_MD *digests[] = {EVP_sha256(), EVP_sha384(), EVP_sha512()};
    for (size_t i = 0; i < 3; i++) {
        struct signed_message made = sign(key, digests[i]);
        assert_int_equal(verify_made(&made), TM_OK);
        assert_changes_refused(&made);
        assert_other_lengths_refused(&made);
        signed_free(&made);
    }
}

static void signatures_of_openssl(void **state) {
    (void)state;
    EVP_PKEY *keys[] = {EVP_EC_gen("P-256"), EVP_EC_gen("P-384"), EVP_RSA_gen(2048)};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        check_key(keys[i]);
        EVP_PKEY_free(keys[i]);
    }
}

/* Long RSA keys cost seconds to make: one, one digest. */
static void the_longest_rsa_key(void **state) {
    (void)state;
    EVP_PKEY *key = EVP_RSA_gen(4096);
    struct signed_message made = sign(key, EVP_sha256());
    assert_int_equal(verify_made(&made), TM_OK);
    signed_free(&made);
    EVP_PKEY_free(key);
}

static void assert_key_refused(EVP_PKEY *key, const EVP_MD *md) {
    assert_non_null(key);
    struct signed_message made = sign(key, md);
    assert_int_equal(verify_made(&made), TM_ECRYPTO);
    signed_free(&made);
    EVP_PKEY_free(key);
}

static void other_keys_and_digests_refused(void **state) {
    (void)state;
    assert_key_refused(EVP_RSA_gen(1024), EVP_sha256());
    assert_key_refused(EVP_RSA_gen(4104), EVP_sha256());
    assert_key_refused(EVP_EC_gen("P-521"), EVP_sha512());
    assert_key_refused(EVP_EC_gen("secp256k1"), EVP_sha256());
    assert_key_refused(EVP_EC_gen("P-256"), EVP_sha1());
    assert_key_refused(EVP_RSA_gen(2048), EVP_sha1());
    assert_key_refused(EVP_EC_gen("P-256"), EVP_sha224());
}

/* RFC 8017, 8.2.2 asks for the exponent as it is: one beyond what CAs use is not computed. */
static void long_rsa_exponent_refused(void **state) {
    (void)state;
    BIGNUM *exponent = BN_new();
    assert_non_null(exponent);
    assert_true(BN_set_bit(exponent, 64) && BN_set_bit(exponent, 0));
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;
    assert_true(EVP_PKEY_keygen_init(ctx) > 0 && EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2048) > 0 &&
                EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, exponent) > 0 &&
                EVP_PKEY_generate(ctx, &key) > 0);
    assert_key_refused(key, EVP_sha256());
    EVP_PKEY_CTX_free(ctx);
    BN_free(exponent);
}

static void what_does_not_belong_together_refused(void **state) {
    (void)state;
    EVP_PKEY *ec = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256"), *rsa = EVP_RSA_gen(2048);
    struct signed_message a = sign(ec, EVP_sha256()), b = sign(other, EVP_sha256()),
                          c = sign(ec, EVP_sha384()), d = sign(rsa, EVP_sha256());
    struct bytes message = bytes_str(MESSAGE), signature = fixture_bytes(&a.signature);
    assert_int_equal(
        verify(fixture_bytes(&b.spki), fixture_bytes(&a.algorithm), message, signature),
        TM_ECRYPTO);
    assert_int_equal(
        verify(fixture_bytes(&a.spki), fixture_bytes(&c.algorithm), message, signature),
        TM_ECRYPTO);
    assert_int_equal(
        verify(fixture_bytes(&a.spki), fixture_bytes(&d.algorithm), message, signature),
        TM_ECRYPTO);
    assert_int_equal(
        verify(fixture_bytes(&d.spki), fixture_bytes(&a.algorithm), message, signature),
        TM_ECRYPTO);
    struct bytes none = {NULL, 0};
    assert_int_equal(verify(none, fixture_bytes(&a.algorithm), message, signature), TM_ECRYPTO);
    assert_int_equal(verify(fixture_bytes(&a.spki), none, message, signature), TM_ECRYPTO);
    assert_int_equal(verify(fixture_bytes(&a.spki), fixture_bytes(&a.algorithm), none, signature),
                     TM_ECRYPTO);
    signed_free(&a);
    signed_free(&b);
    signed_free(&c);
    signed_free(&d);
    EVP_PKEY_free(ec);
    EVP_PKEY_free(other);
    EVP_PKEY_free(rsa);
}

/* Writes SEQUENCE { OID, [NULL or what else `parameters` is] } of a known algorithm. */
static struct bytes identifier(enum pki_oid oid, struct bytes parameters, uint8_t ret[32]) {
    struct der_writer w = der_writer_on(ret, 32);
    size_t end = der_mark(&w);
    der_raw(&w, parameters);
    der_put(&w, DER_OID, pki_oid_bytes(oid));
    der_wrap(&w, DER_SEQUENCE, end);
    assert_false(w.full);
    return der_written(&w);
}

static void algorithm_parameters(void **state) {
    (void)state;
    static const uint8_t null[] = {DER_NULL, 0}, integer[] = {DER_INTEGER, 1, 1},
                         full_null[] = {DER_NULL, 1, 0};
    struct bytes none = {NULL, 0}, message = bytes_str(MESSAGE);
    EVP_PKEY *ec = EVP_EC_gen("P-256"), *rsa = EVP_RSA_gen(2048);
    struct signed_message e = sign(ec, EVP_sha256()), r = sign(rsa, EVP_sha256());
    const struct {
        enum pki_oid oid;
        const struct signed_message *made;
        struct bytes parameters;
        enum tm_err expected;
    } cases[] = {
        {PKI_OID_ECDSA_SHA256, &e, none, TM_OK},
        {PKI_OID_ECDSA_SHA256, &e, BYTES_OF(null), TM_ECRYPTO},
        {PKI_OID_RSA_SHA256, &r, BYTES_OF(null), TM_OK},
        {PKI_OID_RSA_SHA256, &r, none, TM_OK},
        {PKI_OID_RSA_SHA256, &r, BYTES_OF(integer), TM_ECRYPTO},
        {PKI_OID_RSA_SHA256, &r, BYTES_OF(full_null), TM_ECRYPTO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t room[32];
        struct bytes algorithm = identifier(cases[i].oid, cases[i].parameters, room);
        assert_int_equal(verify(fixture_bytes(&cases[i].made->spki), algorithm, message,
                                fixture_bytes(&cases[i].made->signature)),
                         cases[i].expected);
    }
    signed_free(&e);
    signed_free(&r);
    EVP_PKEY_free(ec);
    EVP_PKEY_free(rsa);
}

/* ECDSA-Sig-Value with r and s from big endian octets. */
static struct bytes signature_of(struct bytes r, struct bytes s, uint8_t ret[160]) {
    struct der_writer w = der_writer_on(ret, 160);
    size_t end = der_mark(&w);
    der_put_unsigned(&w, s);
    der_put_unsigned(&w, r);
    der_wrap(&w, DER_SEQUENCE, end);
    assert_false(w.full);
    return der_written(&w);
}

/* FIPS 186-5, 6.4.2: r and s are in [1, n-1]. Infinity as a key would verify r = s = 1. */
static void signatures_out_of_range_refused(void **state) {
    (void)state;
    static const uint8_t order[] = {0xff, 0xff, 0xff, 0xff, 0,    0,    0,    0,
                                    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84,
                                    0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
    static const uint8_t one[] = {1};
    static const uint8_t wide[65] = {1};
    const struct bytes values[] = {{NULL, 0}, BYTES_OF(one), BYTES_OF(order), BYTES_OF(wide)};
    EVP_PKEY *key = EVP_EC_gen("P-256");
    struct signed_message made = sign(key, EVP_sha256());
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++) {
            uint8_t room[160];
            struct bytes signature = signature_of(values[i], values[j], room);
            assert_int_equal(verify(fixture_bytes(&made.spki), fixture_bytes(&made.algorithm),
                                    bytes_str(MESSAGE), signature),
                             TM_ECRYPTO);
        }
    signed_free(&made);
    EVP_PKEY_free(key);
}

/* A SubjectPublicKeyInfo on P-256 with these octets as its point. */
static struct bytes spki_of(struct bytes point, uint8_t ret[128]) {
    struct der_writer w = der_writer_on(ret, 128);
    size_t end = der_mark(&w);
    der_put_bits(&w, point);
    size_t algorithm = der_mark(&w);
    der_put(&w, DER_OID, pki_oid_bytes(PKI_OID_PRIME256V1));
    der_put(&w, DER_OID, pki_oid_bytes(PKI_OID_EC_PUBLIC_KEY));
    der_wrap(&w, DER_SEQUENCE, algorithm);
    der_wrap(&w, DER_SEQUENCE, end);
    assert_false(w.full);
    return der_written(&w);
}

static void points_that_are_no_keys_refused(void **state) {
    (void)state;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    struct signed_message made = sign(key, EVP_sha256());
    uint8_t room[128], point[66] = {0};
    memcpy(point, made.spki.p + made.spki.n - 65, 65);
    const struct bytes algorithm = fixture_bytes(&made.algorithm), message = bytes_str(MESSAGE),
                       signature = fixture_bytes(&made.signature);
    assert_int_equal(
        verify(spki_of((struct bytes){point, 65}, room), algorithm, message, signature), TM_OK);
    for (size_t n = 0; n <= 66; n++)
        if (n != 65)
            assert_int_equal(
                verify(spki_of((struct bytes){point, n}, room), algorithm, message, signature),
                TM_ECRYPTO);
    point[64] ^= 1;
    assert_int_equal(
        verify(spki_of((struct bytes){point, 65}, room), algorithm, message, signature),
        TM_ECRYPTO);
    memset(point, 0, sizeof point); /* infinity */
    assert_int_equal(verify(spki_of((struct bytes){point, 1}, room), algorithm, message, signature),
                     TM_ECRYPTO);
    point[0] = 4; /* (0, 0) */
    assert_int_equal(
        verify(spki_of((struct bytes){point, 65}, room), algorithm, message, signature),
        TM_ECRYPTO);
    signed_free(&made);
    EVP_PKEY_free(key);
}

static void hashes_of_openssl(void **state) {
    (void)state;
    struct tm_crypto crypto = tm_mbedtls_crypto(&mbedtls);
    const char *texts[] = {"", "a", "abc",
                           "what stands in the journal, longer than one block of 64"};
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++) {
            const struct bytes parts[] = {bytes_str(texts[i]), {NULL, 0}, bytes_str(texts[j])};
            char joined[160];
            uint8_t ours[TM_SHA256_SIZE], theirs[TM_SHA256_SIZE];
            (void)snprintf(joined, sizeof joined, "%s%s", texts[i], texts[j]);
            assert_true(EVP_Digest(joined, strlen(joined), theirs, NULL, EVP_sha256(), NULL));
            assert_int_equal(crypto.sha256(crypto.self, parts, 3, ours), TM_OK);
            assert_memory_equal(ours, theirs, sizeof ours);
        }
    uint8_t of_nothing[TM_SHA256_SIZE], theirs[TM_SHA256_SIZE];
    assert_true(EVP_Digest("", 0, theirs, NULL, EVP_sha256(), NULL));
    assert_int_equal(crypto.sha256(crypto.self, NULL, 0, of_nothing), TM_OK);
    assert_memory_equal(of_nothing, theirs, sizeof theirs);
}

static void random_is_the_callers(void **state) {
    (void)state;
    struct tm_crypto crypto = tm_mbedtls_crypto(&mbedtls);
    uint8_t got[5];
    assert_int_equal(crypto.version, TM_TABLE_VERSION);
    octets = (struct source){.next = 7};
    assert_int_equal(crypto.random(crypto.self, got, sizeof got), TM_OK);
    assert_memory_equal(got, "\x07\x08\x09\x0a\x0b", sizeof got);
    octets.fail = true;
    assert_int_equal(crypto.random(crypto.self, got, sizeof got), TM_ECRYPTO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_of_openssl),
        cmocka_unit_test(the_longest_rsa_key),
        cmocka_unit_test(other_keys_and_digests_refused),
        cmocka_unit_test(long_rsa_exponent_refused),
        cmocka_unit_test(what_does_not_belong_together_refused),
        cmocka_unit_test(algorithm_parameters),
        cmocka_unit_test(signatures_out_of_range_refused),
        cmocka_unit_test(points_that_are_no_keys_refused),
        cmocka_unit_test(hashes_of_openssl),
        cmocka_unit_test(random_is_the_callers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
