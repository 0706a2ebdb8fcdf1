/* SPDX-License-Identifier: Apache-2.0 */
/* The device's certification requests, signed by OpenSSL as a key store would, then read by OpenSSL
 * and by the server's own reader. */
#include "pki_fixture.h"

#include <openssl/ecdsa.h>

#include "client/device.h"
#include "client/request.h"
#include "pki/csr.h"
#include "pki/name.h"

#define REQUEST_MAX 1024

/* dNSName gateway.example, as a whole GeneralNames */
static const uint8_t SAN[] = {0x30, 0x11, 0x82, 0x0f, 'g', 'a', 't', 'e', 'w', 'a',
                              'y',  '.',  'e',  'x',  'a', 'm', 'p', 'l', 'e'};

struct made {
    EVP_PKEY *key;
    struct fixture_der spki;
    uint8_t octets[REQUEST_MAX]; /* info, then the request */
    struct bytes info, whole;
};

static void made_init(struct made *made) {
    X509_PUBKEY *spki = NULL;
    made->key = fixture_p256();
    assert_true(X509_PUBKEY_set(&spki, made->key));
    FIXTURE_I2D(&made->spki, X509_PUBKEY, spki);
    X509_PUBKEY_free(spki);
}

static void made_deinit(struct made *made) {
    fixture_free(&made->spki);
    EVP_PKEY_free(made->key);
}

/* The signature of the info's digest alone: that is all that a key store is given. */
static size_t sign(EVP_PKEY *key, struct bytes info, uint8_t ret[TM_SIGNATURE_MAX]) {
    uint8_t digest[TM_SHA256_SIZE];
    size_t n = TM_SIGNATURE_MAX;
    assert_true(EVP_Digest(info.p, info.n, digest, NULL, EVP_sha256(), NULL));
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    assert_true(EVP_PKEY_sign_init(ctx) > 0);
    assert_true(EVP_PKEY_sign(ctx, ret, &n, digest, sizeof digest) > 0);
    EVP_PKEY_CTX_free(ctx);
    return n;
}

static void make(struct made *made, struct tm_request request) {
    uint8_t signature[TM_SIGNATURE_MAX];
    struct buf out = BUF_ON(made->octets);
    request.spki = fixture_bytes(&made->spki);
    assert_int_equal(tm_request_info(&request, &out), TM_OK);
    made->info = buf_bytes(&out);
    size_t n = sign(made->key, made->info, signature);
    assert_int_equal(tm_request_finish(made->info, (struct bytes){signature, n}, &out), TM_OK);
    made->whole = (struct bytes){out.p + made->info.n, out.n - made->info.n};
}

/* As `openssl req -verify` does it. */
static X509_REQ *verified(const struct made *made) {
    const unsigned char *p = made->whole.p;
    X509_REQ *theirs = d2i_X509_REQ(NULL, &p, (long)made->whole.n);
    assert_non_null(theirs);
    assert_ptr_equal(p, made->whole.p + made->whole.n);
    assert_int_equal(X509_REQ_verify(theirs, made->key), 1);
    assert_int_equal(X509_REQ_get_version(theirs), X509_REQ_VERSION_1);
    assert_int_equal(X509_REQ_get_signature_nid(theirs), NID_ecdsa_with_SHA256);
    assert_int_equal(EVP_PKEY_eq(X509_REQ_get0_pubkey(theirs), made->key), 1);
    return theirs;
}

/* OpenSSL writes every SET OF in DER order: written again, nothing may have moved. */
static void assert_der(const struct made *made, X509_REQ *theirs) {
    struct fixture_der again;
    assert_true(i2d_re_X509_REQ_tbs(theirs, NULL) > 0);
    FIXTURE_I2D(&again, re_X509_REQ_tbs, theirs);
    assert_bytes_equal(made->info, fixture_bytes(&again));
    fixture_free(&again);
}

static void parse(const struct made *made, struct pki_csr *ret) {
    assert_int_equal(pki_csr_parse(made->whole, ret), TM_OK);
    assert_bytes_equal(ret->info, made->info);
    assert_bytes_equal(ret->spki.whole, fixture_bytes(&made->spki));
    assert_int_equal(ret->signature_algorithm, PKI_OID_ECDSA_SHA256);
}

static void assert_entry(X509_REQ *theirs, int position, int nid, int type, const char *value) {
    X509_NAME_ENTRY *entry = X509_NAME_get_entry(X509_REQ_get_subject_name(theirs), position);
    assert_non_null(entry);
    assert_int_equal(OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry)), nid);
    const ASN1_STRING *data = X509_NAME_ENTRY_get_data(entry);
    assert_int_equal(ASN1_STRING_type(data), type);
    assert_bytes_equal(
        (struct bytes){ASN1_STRING_get0_data(data), (size_t)ASN1_STRING_length(data)},
        bytes_str(value));
}

static void a_first_request_names_the_device(void **state) {
    (void)state;
    struct made made;
    struct pki_csr csr;
    made_init(&made);
    make(&made, (struct tm_request){.device_id = "GW-0042"});
    X509_REQ *theirs = verified(&made);
    assert_der(&made, theirs);
    assert_int_equal(X509_NAME_entry_count(X509_REQ_get_subject_name(theirs)), 2);
    assert_entry(theirs, 0, NID_commonName, V_ASN1_UTF8STRING, "GW-0042");
    assert_entry(theirs, 1, NID_serialNumber, V_ASN1_PRINTABLESTRING, "GW-0042");
    assert_int_equal(X509_REQ_get_attr_count(theirs), 0);
    parse(&made, &csr);
    assert_int_equal(csr.attribute_count, 0);
    /* RFC 2986, 4.1: attributes [0] is not OPTIONAL. */
    assert_memory_equal(made.info.p + made.info.n - 2, "\xa0\x00", 2);
    X509_REQ_free(theirs);
    made_deinit(&made);
}

static void an_id_beyond_printable_string_is_a_common_name(void **state) {
    (void)state;
    struct made made;
    made_init(&made);
    make(&made, (struct tm_request){.device_id = "gw_42"});
    X509_REQ *theirs = verified(&made);
    assert_int_equal(X509_NAME_entry_count(X509_REQ_get_subject_name(theirs)), 1);
    assert_entry(theirs, 0, NID_commonName, V_ASN1_UTF8STRING, "gw_42");
    X509_REQ_free(theirs);
    made_deinit(&made);
}

static void a_renewal_has_the_certificates_subject(void **state) {
    (void)state;
    struct made made;
    struct pki_csr csr;
    struct fixture_der subject;
    X509_NAME *name = fixture_name("SN-7");
    FIXTURE_I2D(&subject, X509_NAME, name);
    made_init(&made);
    make(&made, (struct tm_request){.subject = fixture_bytes(&subject), .device_id = "not this"});
    X509_REQ *theirs = verified(&made);
    assert_int_equal(X509_NAME_cmp(X509_REQ_get_subject_name(theirs), name), 0);
    parse(&made, &csr);
    assert_bytes_equal(csr.subject, fixture_bytes(&subject));
    X509_REQ_free(theirs);
    X509_NAME_free(name);
    fixture_free(&subject);
    made_deinit(&made);
}

static void assert_san(X509_REQ *theirs, const struct pki_csr *csr, bool critical) {
    const struct pki_extension *ours = pki_csr_extension(csr, PKI_OID_SUBJECT_ALT_NAME);
    STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(theirs);
    assert_int_equal(sk_X509_EXTENSION_num(extensions), 1);
    X509_EXTENSION *san = sk_X509_EXTENSION_value(extensions, 0);
    assert_int_equal(OBJ_obj2nid(X509_EXTENSION_get_object(san)), NID_subject_alt_name);
    assert_int_equal(X509_EXTENSION_get_critical(san), critical);
    const ASN1_STRING *value = X509_EXTENSION_get_data(san);
    assert_bytes_equal((struct bytes){value->data, (size_t)value->length}, BYTES_OF(SAN));
    assert_int_equal(csr->extension_count, 1);
    assert_non_null(ours);
    assert_int_equal(ours->critical, critical);
    assert_bytes_equal(ours->value, BYTES_OF(SAN));
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}

static void assert_password(X509_REQ *theirs, const struct pki_csr *csr, struct bytes binding) {
    unsigned char text[4 * TM_BINDING_MAX];
    int n = EVP_EncodeBlock(text, binding.p, (int)binding.n);
    int at = X509_REQ_get_attr_by_NID(theirs, NID_pkcs9_challengePassword, -1);
    assert_true(at >= 0);
    const ASN1_STRING *value =
        X509_ATTRIBUTE_get0_data(X509_REQ_get_attr(theirs, at), 0, V_ASN1_PRINTABLESTRING, NULL);
    assert_non_null(value);
    assert_bytes_equal((struct bytes){value->data, (size_t)value->length},
                       (struct bytes){text, (size_t)n});
    assert_bytes_equal(csr->challenge_password, (struct bytes){text, (size_t)n});
}

/* Bindings of each length make the challengePassword shorter than the extensionRequest, as long
 * and longer: the order of the two in their SET turns over, and base64 ends in each of its ways. */
static void attributes_are_in_der_order(void **state) {
    (void)state;
    uint8_t binding[TM_BINDING_MAX];
    unsigned password_first = 0, extensions_first = 0, equal = 0;
    struct made made;
    made_init(&made);
    for (size_t i = 0; i < sizeof binding; i++)
        binding[i] = (uint8_t)(0xfb - i * 7);
    for (size_t n = 1; n <= sizeof binding; n++) {
        struct pki_csr csr;
        make(&made, (struct tm_request){
                        .device_id = "GW-0042", .san = BYTES_OF(SAN), .binding = {binding, n}});
        X509_REQ *theirs = verified(&made);
        parse(&made, &csr);
        assert_der(&made, theirs);
        assert_int_equal(csr.attribute_count, 2);
        assert_san(theirs, &csr, false);
        assert_password(theirs, &csr, (struct bytes){binding, n});
        bool password = csr.attributes[0].type == PKI_OID_CHALLENGE_PASSWORD;
        password_first += password;
        extensions_first += !password;
        /* SET { SEQUENCE { OID, SET } }: both OIDs have as many octets */
        equal += csr.attributes[0].values.n == csr.attributes[1].values.n;
        X509_REQ_free(theirs);
    }
    assert_true(password_first > 0 && extensions_first > 0 && equal > 0);
    made_deinit(&made);
}

static void each_attribute_may_stand_alone(void **state) {
    (void)state;
    static const uint8_t binding[32] = {0x3e, 0xff};
    struct made made;
    struct pki_csr csr;
    made_init(&made);
    make(&made, (struct tm_request){.device_id = "GW-0042", .san = BYTES_OF(SAN)});
    X509_REQ *theirs = verified(&made);
    parse(&made, &csr);
    assert_int_equal(csr.attribute_count, 1);
    assert_san(theirs, &csr, false);
    X509_REQ_free(theirs);
    make(&made, (struct tm_request){.device_id = "GW-0042", .binding = BYTES_OF(binding)});
    theirs = verified(&made);
    parse(&made, &csr);
    assert_int_equal(csr.attribute_count, 1);
    assert_password(theirs, &csr, BYTES_OF(binding));
    X509_REQ_free(theirs);
    made_deinit(&made);
}

/* RFC 5280, 4.2.1.6 */
static void a_san_without_a_subject_is_critical(void **state) {
    (void)state;
    static const uint8_t empty[] = {0x30, 0x00};
    struct made made;
    struct pki_csr csr;
    made_init(&made);
    make(&made, (struct tm_request){.subject = BYTES_OF(empty), .san = BYTES_OF(SAN)});
    X509_REQ *theirs = verified(&made);
    assert_der(&made, theirs);
    parse(&made, &csr);
    assert_true(pki_name_empty(csr.subject));
    assert_san(theirs, &csr, true);
    X509_REQ_free(theirs);
    made_deinit(&made);
}

static void ids_that_no_attribute_holds_are_refused(void **state) {
    (void)state;
    char id[TM_DEVICE_ID_MAX + 2] = {0};
    uint8_t octets[REQUEST_MAX], spki[TM_SPKI_MAX] = {0};
    struct buf out = BUF_ON(octets);
    struct tm_request request = {.device_id = id, .spki = BYTES_OF(spki)};
    assert_int_equal(tm_request_info(&request, &out), TM_EINVAL);
    memcpy(id, "\xff", 2); /* not UTF-8 */
    assert_int_equal(tm_request_info(&request, &out), TM_EINVAL);
    memset(id, 'x', TM_DEVICE_ID_MAX + 1);
    assert_int_equal(tm_request_info(&request, &out), TM_EINVAL);
    assert_int_equal(out.n, 0);
    id[TM_DEVICE_ID_MAX] = 0;
    assert_int_equal(tm_request_info(&request, &out), TM_OK);
}

static void what_does_not_fit_is_refused(void **state) {
    (void)state;
    static const uint8_t binding[TM_BINDING_MAX + 1];
    uint8_t signature[TM_SIGNATURE_MAX], info[REQUEST_MAX], whole[REQUEST_MAX];
    struct made made;
    made_init(&made);
    struct tm_request request = {.device_id = "GW-0042",
                                 .spki = fixture_bytes(&made.spki),
                                 .san = BYTES_OF(SAN),
                                 .binding = {binding, TM_BINDING_MAX}};
    make(&made, request);
    size_t n = sign(made.key, made.info, signature);
    for (size_t cap = 0; cap < made.info.n; cap++) {
        struct buf out = {info, cap, 0, false};
        assert_int_equal(tm_request_info(&request, &out), TM_ELIMIT);
        assert_int_equal(out.n, 0);
    }
    for (size_t cap = 0; cap < made.info.n + n; cap++) {
        struct buf out = {whole, cap, 0, false};
        assert_int_equal(tm_request_finish(made.info, (struct bytes){signature, n}, &out),
                         TM_ELIMIT);
        assert_int_equal(out.n, 0);
    }
    request.binding.n++;
    struct buf out = BUF_ON(info);
    assert_int_equal(tm_request_info(&request, &out), TM_ELIMIT);
    made_deinit(&made);
}

/* ---- signatures ---- */

static void assert_signature(const uint8_t r[32], const uint8_t s[32]) {
    uint8_t octets[1 + TM_SIGNATURE_MAX] = {0xee};
    struct buf out = {octets, sizeof octets, 1, false}; /* behind what is there already */
    struct fixture_der theirs;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    assert_true(ECDSA_SIG_set0(sig, BN_bin2bn(r, 32, NULL), BN_bin2bn(s, 32, NULL)));
    FIXTURE_I2D(&theirs, ECDSA_SIG, sig);
    assert_int_equal(tm_ecdsa_signature((struct bytes){r, 32}, (struct bytes){s, 32}, &out), TM_OK);
    assert_int_equal(octets[0], 0xee);
    assert_bytes_equal((struct bytes){octets + 1, out.n - 1}, fixture_bytes(&theirs));
    out = (struct buf){octets, (size_t)theirs.n - 1, 0, false};
    assert_int_equal(tm_ecdsa_signature((struct bytes){r, 32}, (struct bytes){s, 32}, &out),
                     TM_ELIMIT);
    assert_int_equal(out.n, 0);
    ECDSA_SIG_free(sig);
    fixture_free(&theirs);
}

/* Each number of leading zero octets, with the next bit set and not. */
static void signatures_are_openssls(void **state) {
    (void)state;
    static const uint8_t tops[] = {0x01, 0x7f, 0x80, 0xff};
    for (size_t zeros = 0; zeros < 32; zeros++)
        for (size_t top = 0; top < sizeof tops; top++) {
            uint8_t r[32] = {0}, s[32];
            memset(r + zeros, 0x5a, sizeof r - zeros);
            memset(s, 0xa5, sizeof s);
            r[zeros] = tops[top];
            assert_signature(r, s);
            assert_signature(s, r);
            assert_signature(r, r);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_request_names_the_device),
        cmocka_unit_test(an_id_beyond_printable_string_is_a_common_name),
        cmocka_unit_test(a_renewal_has_the_certificates_subject),
        cmocka_unit_test(attributes_are_in_der_order),
        cmocka_unit_test(each_attribute_may_stand_alone),
        cmocka_unit_test(a_san_without_a_subject_is_critical),
        cmocka_unit_test(ids_that_no_attribute_holds_are_refused),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(signatures_are_openssls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
