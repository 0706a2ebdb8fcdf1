/* SPDX-License-Identifier: Apache-2.0 */
/* Certification requests that OpenSSL makes, with and without attributes, and malformed ones. */
#include "der_rewrite.h"
#include "pki_fixture.h"

#include "pki/csr.h"
#include "pki/name.h"

static struct fixture_der plain_request(EVP_PKEY *key) {
    X509_REQ *request = fixture_request(key, "SN-1");
    struct fixture_der der = fixture_sign_request(request, key);
    X509_REQ_free(request);
    return der;
}

static void assert_same(const struct pki_csr *csr, const struct fixture_der *der) {
    const unsigned char *p = der->p;
    X509_REQ *theirs = d2i_X509_REQ(NULL, &p, der->n);
    struct fixture_der part;
    assert_non_null(theirs);
    FIXTURE_I2D(&part, X509_NAME, X509_REQ_get_subject_name(theirs));
    assert_bytes_equal(csr->subject, fixture_bytes(&part));
    fixture_free(&part);
    FIXTURE_I2D(&part, X509_PUBKEY, X509_REQ_get_X509_PUBKEY(theirs));
    assert_bytes_equal(csr->spki.whole, fixture_bytes(&part));
    fixture_free(&part);
    const ASN1_BIT_STRING *signature;
    const X509_ALGOR *algorithm;
    X509_REQ_get0_signature(theirs, &signature, &algorithm);
    assert_bytes_equal(csr->signature, (struct bytes){signature->data, (size_t)signature->length});
    FIXTURE_I2D(&part, X509_ALGOR, algorithm);
    assert_bytes_equal(csr->algorithm, fixture_bytes(&part));
    fixture_free(&part);
    FIXTURE_I2D(&part, re_X509_REQ_tbs, theirs);
    assert_bytes_equal(csr->info, fixture_bytes(&part));
    fixture_free(&part);
    assert_int_equal(csr->attribute_count, X509_REQ_get_attr_count(theirs));
    X509_REQ_free(theirs);
}

static void fields_are_openssls(void **state) {
    (void)state;
    EVP_PKEY *keys[] = {EVP_EC_gen("P-256"), EVP_RSA_gen(2048),
                        EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")};
    static const enum pki_oid signatures[] = {PKI_OID_ECDSA_SHA256, PKI_OID_RSA_SHA256,
                                              PKI_OID_ED25519};
    for (size_t i = 0; i < 3; i++) {
        struct fixture_der der = plain_request(keys[i]);
        struct pki_csr csr;
        assert_int_equal(pki_csr_parse(fixture_bytes(&der), &csr), TM_OK);
        assert_same(&csr, &der);
        assert_int_equal(csr.signature_algorithm, signatures[i]);
        assert_int_equal(csr.extension_count, 0);
        assert_int_equal(csr.challenge_password.n, 0);
        fixture_free(&der);
        EVP_PKEY_free(keys[i]);
    }
}

static void add_text(X509_REQ *request, const char *type, int string_type, const char *value) {
    assert_true(X509_REQ_add1_attr_by_txt(request, type, string_type, (const unsigned char *)value,
                                          (int)strlen(value)));
}

static void attributes_are_read(void **state) {
    (void)state;
    static const unsigned char change[] = {0x30, 0x02, 0x30, 0x00};
    EVP_PKEY *key = fixture_p256();
    X509_REQ *request = fixture_request(key, "SN-1");
    STACK_OF(X509_EXTENSION) *extensions = NULL;
    fixture_extension(&extensions, NID_subject_alt_name, "DNS:device.example");
    fixture_extension(&extensions, NID_key_usage, "critical,digitalSignature");
    assert_true(X509_REQ_add_extensions(request, extensions));
    add_text(request, "challengePassword", V_ASN1_PRINTABLESTRING, "binding");
    add_text(request, "1.2.840.113549.1.9.16.2.56", V_ASN1_UTF8STRING, "otp");
    add_text(request, "1.2.840.113549.1.9.16.2.57", V_ASN1_UTF8STRING, "revoke");
    add_text(request, "1.2.840.113549.1.9.16.2.58", V_ASN1_UTF8STRING, "link");
    add_text(request, "1.2.3.4", V_ASN1_UTF8STRING, "unknown");
    assert_true(X509_REQ_add1_attr_by_txt(request, "1.3.6.1.5.5.7.7.36", V_ASN1_SEQUENCE, change,
                                          sizeof change));
    struct fixture_der der = fixture_sign_request(request, key);
    struct pki_csr csr;
    assert_int_equal(pki_csr_parse(fixture_bytes(&der), &csr), TM_OK);
    assert_same(&csr, &der);
    assert_bytes_equal(csr.challenge_password, bytes_str("binding"));
    assert_bytes_equal(csr.otp_challenge, bytes_str("otp"));
    assert_bytes_equal(csr.revocation_challenge, bytes_str("revoke"));
    assert_bytes_equal(csr.est_identity_linking, bytes_str("link"));
    assert_bytes_equal(csr.change_subject_name, BYTES_OF(change));
    assert_int_equal(csr.extension_count, 2);
    const struct pki_extension *usage = pki_csr_extension(&csr, PKI_OID_KEY_USAGE);
    assert_non_null(usage);
    assert_true(usage->critical);
    assert_non_null(pki_csr_extension(&csr, PKI_OID_SUBJECT_ALT_NAME));
    assert_null(pki_csr_extension(&csr, PKI_OID_EXT_KEY_USAGE));
    bool unknown = false;
    for (size_t i = 0; i < csr.attribute_count; i++)
        unknown |= csr.attributes[i].type == PKI_OID_UNKNOWN;
    assert_true(unknown);
    fixture_free(&der);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    X509_REQ_free(request);
    EVP_PKEY_free(key);
}

/* A request written by hand: the content of [0], version, and what follows. */
struct recipe {
    uint32_t version;
    bool no_attributes;
    const char *attributes;
    size_t n;
    const char *after;
    size_t after_n;
};

static enum tm_err parse_recipe(const struct recipe *r, struct pki_csr *ret) {
    static const uint8_t algorithm[] = {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70};
    static const struct pki_rdn rdn = {PKI_OID_COMMON_NAME, "x"};
    static uint8_t memory[4096];
    struct der_writer w = der_writer_on(memory, sizeof memory);
    der_raw(&w, (struct bytes){(const uint8_t *)r->after, r->after_n});
    size_t end = der_mark(&w);
    der_put_bits(&w, BYTES_OF(((const uint8_t[]){1, 2, 3})));
    der_raw(&w, BYTES_OF(algorithm));
    size_t info = der_mark(&w);
    if (!r->no_attributes)
        der_put(&w, DER_CONTEXT_CONSTRUCTED(0),
                (struct bytes){(const uint8_t *)r->attributes, r->n});
    size_t spki = der_mark(&w);
    der_put_bits(&w, BYTES_OF(((const uint8_t[]){9, 9, 9})));
    der_raw(&w, BYTES_OF(algorithm));
    der_wrap(&w, DER_SEQUENCE, spki);
    pki_name_write(&w, &rdn, 1);
    der_put_small(&w, r->version);
    der_wrap(&w, DER_SEQUENCE, info);
    der_wrap(&w, DER_SEQUENCE, end);
    assert_false(w.full);
    return pki_csr_parse(der_written(&w), ret);
}

#define ATTRIBUTES(text) .attributes = (text), .n = sizeof(text) - 1
/* SEQUENCE { 1.2.840.113549.1.9.x, SET of the given length ... */
#define PKCS9(total, last, set)                                                                    \
    "\x30" total "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09" last "\x31" set

static void empty_attributes_may_be_left_out(void **state) {
    (void)state;
    struct pki_csr csr;
    assert_int_equal(parse_recipe(&(struct recipe){.no_attributes = true}, &csr), TM_OK);
    assert_int_equal(parse_recipe(&(struct recipe){ATTRIBUTES("")}, &csr), TM_OK);
    assert_int_equal(csr.attribute_count, 0);
}

static void malformed_requests_are_refused(void **state) {
    (void)state;
    const struct recipe bad[] = {
        {.version = 1},                      /* RFC 2986, 4.1: v1(0) */
        {.after = "\x05\x00", .after_n = 2}, /* trailing octets */
        {.after = "\x00", .after_n = 1},
        {ATTRIBUTES("\x05\x00")},                                 /* not an Attribute */
        {ATTRIBUTES("\x30\x06\x06\x02\x2a\x03\x31\x00")},         /* no value */
        {ATTRIBUTES("\x30\x08\x06\x02\x2a\x03\x31\x02\x05\x01")}, /* a value that is cut */
        {ATTRIBUTES("\x30\x08\x06\x02\x2a\x03\x30\x02\x05\x00")}, /* SEQUENCE for SET */
        /* challengePassword: empty, of another type, two values, twice */
        {ATTRIBUTES(PKCS9("\x0f", "\x07", "\x02") "\x13\x00")},
        {ATTRIBUTES(PKCS9("\x10", "\x07", "\x03") "\x02\x01\x01")},
        {ATTRIBUTES(PKCS9("\x13", "\x07", "\x06") "\x13\x01x\x13\x01y")},
        {ATTRIBUTES(
            PKCS9("\x10", "\x07", "\x03") "\x13\x01x" PKCS9("\x10", "\x07", "\x03") "\x13\x01x")},
        /* extensionRequest: empty, not a SEQUENCE, one extension twice */
        {ATTRIBUTES(PKCS9("\x0f", "\x0e", "\x02") "\x30\x00")},
        {ATTRIBUTES(PKCS9("\x0f", "\x0e", "\x02") "\x05\x00")},
        {ATTRIBUTES(PKCS9(
            "\x1f", "\x0e",
            "\x12") "\x30\x10\x30\x06\x06\x02\x2a\x03\x04\x00\x30\x06\x06\x02\x2a\x03\x04\x00")},
        /* an unknown attribute twice */
        {ATTRIBUTES(
            "\x30\x08\x06\x02\x2a\x03\x31\x02\x05\x00\x30\x08\x06\x02\x2a\x03\x31\x02\x05\x00")},
    };
    struct pki_csr csr;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(parse_recipe(&bad[i], &csr), TM_EPARSE);
    struct recipe good = {ATTRIBUTES(PKCS9("\x10", "\x07", "\x03") "\x16\x01x")};
    assert_int_equal(parse_recipe(&good, &csr), TM_OK);
    assert_bytes_equal(csr.challenge_password, bytes_str("x"));
}

static void attributes_are_bounded(void **state) {
    (void)state;
    char attributes[(PKI_ATTRIBUTES_MAX + 1) * 10];
    for (size_t i = 0; i <= PKI_ATTRIBUTES_MAX; i++) {
        memcpy(attributes + i * 10, "\x30\x08\x06\x02\x2a\x00\x31\x02\x05\x00", 10);
        attributes[i * 10 + 5] = (char)(i + 1);
    }
    struct pki_csr csr;
    struct recipe r = {.attributes = attributes, .n = PKI_ATTRIBUTES_MAX * 10};
    assert_int_equal(parse_recipe(&r, &csr), TM_OK);
    assert_int_equal(csr.attribute_count, PKI_ATTRIBUTES_MAX);
    r.n += 10;
    assert_int_equal(parse_recipe(&r, &csr), TM_ELIMIT);
}

static void damaged_requests_do_no_harm(void **state) {
    (void)state;
    EVP_PKEY *key = fixture_p256();
    X509_REQ *request = fixture_request(key, "SN-1");
    STACK_OF(X509_EXTENSION) *extensions = NULL;
    fixture_extension(&extensions, NID_subject_alt_name, "DNS:device.example");
    assert_true(X509_REQ_add_extensions(request, extensions));
    add_text(request, "challengePassword", V_ASN1_PRINTABLESTRING, "binding");
    struct fixture_der der = fixture_sign_request(request, key);
    size_t n = (size_t)der.n, same = 0;
    for (size_t i = 0; i < n; i++) {
        struct pki_csr csr;
        assert_int_equal(pki_csr_parse((struct bytes){der.p, i}, &csr), TM_EPARSE);
        struct fixture_der copy = {OPENSSL_memdup(der.p, n), der.n};
        assert_non_null(copy.p);
        copy.p[i] ^= (uint8_t)(1u << (i % 8));
        if (pki_csr_parse(fixture_bytes(&copy), &csr) == TM_OK) {
            const unsigned char *p = copy.p;
            X509_REQ *theirs = d2i_X509_REQ(NULL, &p, copy.n);
            if (theirs) {
                assert_same(&csr, &copy);
                same++;
            }
            X509_REQ_free(theirs);
        }
        fixture_free(&copy);
    }
    assert_true(same > n / 8);
    fixture_free(&der);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    X509_REQ_free(request);
    EVP_PKEY_free(key);
}

/* The damage that leaves a request: an RDN, all attributes, one of them, an extension or its
 * critical flag less; the key's algorithm less (then the curve stands for it); another string type
 * in the name; another curve; parameters for the signature. */
static bool still_a_request(const struct rewrite *r, const struct pki_csr *whole) {
    uint8_t tag = r->element.tag;
    const uint8_t *at = r->element.whole.p;
    bool attribute = at >= whole->spki.whole.p + whole->spki.whole.n;
    struct bytes key = pki_oid_bytes(PKI_OID_EC_PUBLIC_KEY);
    switch (r->kind) {
    case REWRITE_APPEND:
        return bytes_equal(r->element.whole, whole->algorithm);
    case REWRITE_REMOVE:
        return (r->depth == 3 && tag == DER_SET) || (r->depth == 2 && tag == 0xa0) ||
               (r->depth == 3 && tag == DER_SEQUENCE && attribute) ||
               (r->depth == 6 && tag == DER_SEQUENCE) || (r->depth == 7 && tag == DER_BOOLEAN) ||
               bytes_equal(r->element.value, key);
    case REWRITE_RETAG:
        return (r->depth == 5 && !attribute && tag != DER_OID) ||
               bytes_equal(r->element.value, pki_oid_bytes(PKI_OID_PRIME256V1));
    }
    return false;
}

static void damaged_structure_is_refused(void **state) {
    (void)state;
    EVP_PKEY *key = fixture_p256();
    X509_REQ *request = fixture_request(key, "SN-1");
    STACK_OF(X509_EXTENSION) *extensions = NULL;
    fixture_extension(&extensions, NID_subject_alt_name, "DNS:device.example");
    fixture_extension(&extensions, NID_key_usage, "critical,digitalSignature");
    assert_true(X509_REQ_add_extensions(request, extensions));
    add_text(request, "challengePassword", V_ASN1_PRINTABLESTRING, "binding");
    struct fixture_der der = fixture_sign_request(request, key);
    struct pki_csr whole, csr;
    assert_int_equal(pki_csr_parse(fixture_bytes(&der), &whole), TM_OK);
    size_t elements = rewrite_count(fixture_bytes(&der));
    for (int kind = REWRITE_APPEND; kind <= REWRITE_RETAG; kind++) {
        for (size_t i = 0; i < elements; i++) {
            uint8_t memory[2048];
            struct rewrite r = {.kind = (enum rewrite_kind)kind, .target = i};
            struct bytes damaged = rewrite_der(fixture_bytes(&der), &r, memory, sizeof memory);
            if (r.applied)
                assert_int_equal(pki_csr_parse(damaged, &csr),
                                 still_a_request(&r, &whole) ? TM_OK : TM_EPARSE);
        }
    }
    fixture_free(&der);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    X509_REQ_free(request);
    EVP_PKEY_free(key);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_openssls),
        cmocka_unit_test(attributes_are_read),
        cmocka_unit_test(empty_attributes_may_be_left_out),
        cmocka_unit_test(malformed_requests_are_refused),
        cmocka_unit_test(attributes_are_bounded),
        cmocka_unit_test(damaged_structure_is_refused),
        cmocka_unit_test(damaged_requests_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
