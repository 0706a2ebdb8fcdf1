/* SPDX-License-Identifier: Apache-2.0 */
/* DER and object identifiers: what is refused, and that OpenSSL reads and writes the same octets.
 */
#include "pki_fixture.h"

#include <time.h>

#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/objects.h>

#include "pki/der.h"
#include "pki/oid.h"
#include "pki/time.h"

#define B(...) BYTES_OF(((const uint8_t[]){__VA_ARGS__}))

static void reads_elements_one_after_the_other(void **state) {
    (void)state;
    struct bytes in = B(0x02, 0x01, 0x05, 0x30, 0x03, 0x01, 0x01, 0xff, 0x04, 0x00);
    struct der d, inner;
    bool there;
    assert_int_equal(der_next(&in, &d), TM_OK);
    assert_int_equal(d.tag, DER_INTEGER);
    assert_int_equal(d.whole.n, 3);
    assert_int_equal(der_optional(&in, DER_CONTEXT(0), &d, &there), TM_OK);
    assert_false(there);
    assert_int_equal(der_expect(&in, DER_SET, &d), TM_EPARSE);
    assert_int_equal(der_expect(&in, DER_SEQUENCE, &d), TM_OK);
    assert_int_equal(der_only(d.value, DER_BOOLEAN, &inner), TM_OK);
    assert_int_equal(der_optional(&in, DER_OCTET_STRING, &d, &there), TM_OK);
    assert_true(there);
    assert_int_equal(d.value.n, 0);
    assert_int_equal(in.n, 0);
    assert_int_equal(der_next(&in, &d), TM_EPARSE);
    assert_int_equal(der_optional(&in, DER_OCTET_STRING, &d, &there), TM_OK);
    assert_false(there);
}

static void refuses_what_is_not_der(void **state) {
    (void)state;
    uint8_t long_form[0x80 + 3] = {0x04, 0x81, 0x80};
    const struct bytes bad[] = {
        {NULL, 0},
        B(0x02),
        B(0x02, 0x01), /* content is missing */
        B(0x30, 0x80, 0x05, 0x00, 0x00, 0x00),
        B(0x30, 0x80, 0x00, 0x00),                         /* indefinite length */
        B(0x04, 0x81, 0x01, 0x00),                         /* long form for a short length */
        B(0x04, 0x82, 0x00, 0x01, 0x00),                   /* leading zero in the length */
        B(0x04, 0x85, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00), /* 2^32 */
        B(0x04, 0x83, 0xff, 0xff, 0xff, 0x00),             /* more than there is */
        B(0x1f, 0x81, 0x01, 0x00),                         /* high tag number */
        B(0x3f, 0x01, 0x00),
        B(0x00, 0x00), /* end of contents */
        {long_form, sizeof long_form - 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct bytes in = bad[i];
        struct der d = {.tag = 0x77};
        assert_int_equal(der_next(&in, &d), TM_EPARSE);
        assert_int_equal(d.tag, 0x77);
        assert_ptr_equal(in.p, bad[i].p);
        assert_int_equal(in.n, bad[i].n);
    }
    struct bytes in = BYTES_OF(long_form);
    struct der d;
    assert_int_equal(der_next(&in, &d), TM_OK);
    assert_int_equal(d.value.n, 0x80);
    assert_int_equal(der_only(B(0x05, 0x00, 0x00), DER_NULL, &d), TM_EPARSE);
}

static struct der element(uint8_t tag, struct bytes value) {
    return (struct der){.tag = tag, .value = value, .whole = value};
}

static void integers_are_minimal_and_not_negative(void **state) {
    (void)state;
    struct bytes magnitude;
    uint32_t small;
    const struct bytes bad[] = {{NULL, 0}, B(0x00, 0x7f), B(0xff, 0x80), B(0x80), B(0xff)};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct der d = element(DER_INTEGER, bad[i]);
        assert_int_equal(der_integer(&d, &magnitude), TM_EPARSE);
        assert_int_equal(der_small(&d, &small), TM_EPARSE);
    }
    assert_true(der_minimal_integer(B(0x80)));
    assert_true(der_minimal_integer(B(0xff, 0x7f)));
    assert_false(der_minimal_integer(B(0xff, 0x80)));
    struct der zero = element(DER_INTEGER, B(0x00));
    assert_int_equal(der_integer(&zero, &magnitude), TM_OK);
    assert_int_equal(magnitude.n, 0);
    struct der large = element(DER_INTEGER, B(0x00, 0xff, 0xff, 0xff, 0xff));
    assert_int_equal(der_small(&large, &small), TM_OK);
    assert_int_equal(small, UINT32_MAX);
    struct der larger = element(DER_INTEGER, B(0x01, 0x00, 0x00, 0x00, 0x00));
    assert_int_equal(der_small(&larger, &small), TM_EPARSE);
    assert_int_equal(der_integer(&larger, &magnitude), TM_OK);
}

static void simple_types_are_strict(void **state) {
    (void)state;
    bool value;
    struct bytes octets;
    struct der yes = element(DER_BOOLEAN, B(0xff)), no = element(DER_BOOLEAN, B(0x00));
    struct der one = element(DER_BOOLEAN, B(0x01)), wide = element(DER_BOOLEAN, B(0xff, 0xff));
    assert_int_equal(der_boolean(&yes, &value), TM_OK);
    assert_true(value);
    assert_int_equal(der_boolean(&no, &value), TM_OK);
    assert_false(value);
    assert_int_equal(der_boolean(&one, &value), TM_EPARSE);
    assert_int_equal(der_boolean(&wide, &value), TM_EPARSE);
    struct der bits = element(DER_BIT_STRING, B(0x00, 0xab));
    struct der odd = element(DER_BIT_STRING, B(0x01, 0xaa)), none = element(DER_BIT_STRING, B(0));
    struct der empty = element(DER_BIT_STRING, (struct bytes){0});
    assert_int_equal(der_bits(&bits, &octets), TM_OK);
    assert_bytes_equal(octets, B(0xab));
    assert_int_equal(der_bits(&odd, &octets), TM_EPARSE);
    assert_int_equal(der_bits(&none, &octets), TM_OK);
    assert_int_equal(octets.n, 0);
    assert_int_equal(der_bits(&empty, &octets), TM_EPARSE);
}

static void times_have_the_two_forms_of_rfc_5280(void **state) {
    (void)state;
    const struct {
        uint8_t tag;
        const char *text;
        int64_t seconds;
    } good[] = {
        {DER_UTC_TIME, "700101000000Z", 0},
        {DER_UTC_TIME, "500101000000Z", -631152000},
        {DER_UTC_TIME, "491231235959Z", 2524607999},
        {DER_UTC_TIME, "240229120000Z", 1709208000},
        {DER_GENERALIZED_TIME, "20500101000000Z", 2524608000},
        {DER_GENERALIZED_TIME, "99991231235959Z", 253402300799},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t ms;
        struct der d = element(good[i].tag, bytes_str(good[i].text));
        assert_int_equal(der_time(&d, &ms), TM_OK);
        assert_true(ms == good[i].seconds * 1000);
    }
    const struct {
        uint8_t tag;
        const char *text;
    } bad[] = {
        {DER_UTC_TIME, "7001010000Z"},           {DER_UTC_TIME, "700101000000+0000"},
        {DER_UTC_TIME, "700101000000"},          {DER_UTC_TIME, "701301000000Z"},
        {DER_UTC_TIME, "700100000000Z"},         {DER_UTC_TIME, "230229000000Z"},
        {DER_UTC_TIME, "700101240000Z"},         {DER_UTC_TIME, "700101000060Z"},
        {DER_UTC_TIME, "7001 1000000Z"},         {DER_UTC_TIME, "19700101000000Z"},
        {DER_GENERALIZED_TIME, "700101000000Z"}, {DER_GENERALIZED_TIME, "20260101000000.5Z"},
        {DER_OCTET_STRING, "700101000000Z"},     {DER_UTC_TIME, ""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ms;
        struct der d = element(bad[i].tag, bytes_str(bad[i].text));
        assert_int_equal(der_time(&d, &ms), TM_EPARSE);
    }
}

/* Against the C library's calendar and OpenSSL's encoder, over four centuries. */
static void times_agree_with_openssl(void **state) {
    (void)state;
    for (int64_t seconds = -631152000; seconds < INT64_C(11644473600);
         seconds += 86400 * 17 + 4711) {
        uint8_t memory[32];
        struct der_writer w = der_writer_on(memory, sizeof memory);
        der_put_time(&w, seconds * 1000 + 999 * (seconds > 0));
        ASN1_TIME *theirs = ASN1_TIME_set(NULL, (time_t)seconds);
        assert_non_null(theirs);
        struct fixture_der der;
        FIXTURE_I2D(&der, ASN1_TIME, theirs);
        assert_bytes_equal(der_written(&w), fixture_bytes(&der));
        struct der d;
        int64_t ms;
        assert_int_equal(der_next(&(struct bytes){der.p, (size_t)der.n}, &d), TM_OK);
        assert_int_equal(der_time(&d, &ms), TM_OK);
        assert_true(ms == seconds * 1000);
        fixture_free(&der);
        ASN1_TIME_free(theirs);
    }
}

static void times_that_no_form_can_say_are_not_written(void **state) {
    (void)state;
    uint8_t memory[32];
    const struct {
        int64_t ms;
        bool full;
        const char *text;
    } cases[] = {
        {INT64_C(253402300799999), false, "99991231235959Z"}, {INT64_C(253402300800000), true, ""},
        {INT64_C(-62167219200000), false, "00000101000000Z"}, {INT64_C(-62167219200001), true, ""},
        {INT64_C(-631152000001), false, "19491231235959Z"},   {INT64_C(-1), false, "691231235959Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct der_writer w = der_writer_on(memory, sizeof memory);
        der_put_time(&w, cases[i].ms);
        assert_int_equal(w.full, cases[i].full);
        struct bytes in = der_written(&w);
        struct der d;
        if (cases[i].full) {
            assert_int_equal(in.n, 0);
            continue;
        }
        assert_int_equal(der_next(&in, &d), TM_OK);
        assert_bytes_equal(d.value, bytes_str(cases[i].text));
    }
}

static void integers_and_bits_agree_with_openssl(void **state) {
    (void)state;
    const char *const numbers[] = {
        "0",   "1",     "127",        "128",        "255",
        "256", "65535", "2147483648", "4294967295", "340282366920938463463374607431768211455"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        uint8_t memory[64], magnitude[32] = {0};
        BIGNUM *bn = NULL;
        assert_true(BN_dec2bn(&bn, numbers[i]) > 0);
        ASN1_INTEGER *theirs = BN_to_ASN1_INTEGER(bn, NULL);
        struct fixture_der der;
        FIXTURE_I2D(&der, ASN1_INTEGER, theirs);
        struct der_writer w = der_writer_on(memory, sizeof memory);
        /* with leading zeros, which the writer must drop */
        assert_int_equal(BN_bn2binpad(bn, magnitude, sizeof magnitude), sizeof magnitude);
        der_put_unsigned(&w, BYTES_OF(magnitude));
        assert_bytes_equal(der_written(&w), fixture_bytes(&der));
        fixture_free(&der);
        ASN1_INTEGER_free(theirs);
        BN_free(bn);
    }
    for (unsigned bits = 0; bits <= 0xffff; bits += 0x35) {
        uint8_t memory[8];
        ASN1_BIT_STRING *theirs = ASN1_BIT_STRING_new();
        for (int bit = 0; bit < 16; bit++)
            if (bits & (0x8000u >> bit))
                assert_true(ASN1_BIT_STRING_set_bit(theirs, bit, 1));
        struct fixture_der der;
        FIXTURE_I2D(&der, ASN1_BIT_STRING, theirs);
        struct der_writer w = der_writer_on(memory, sizeof memory);
        der_put_named_bits(&w, (uint16_t)bits);
        assert_bytes_equal(der_written(&w), fixture_bytes(&der));
        fixture_free(&der);
        ASN1_BIT_STRING_free(theirs);
    }
}

static void lengths_grow_with_the_content(void **state) {
    (void)state;
    static uint8_t memory[70100], zeros[70000];
    const struct {
        size_t n, header;
    } cases[] = {{0, 2},   {127, 2},   {128, 3},   {255, 3},
                 {256, 4}, {65535, 4}, {65536, 5}, {70000, 5}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct der_writer w = der_writer_on(memory, sizeof memory);
        der_put(&w, DER_OCTET_STRING, (struct bytes){zeros, cases[i].n});
        struct bytes out = der_written(&w);
        struct der d;
        assert_int_equal(out.n, cases[i].n + cases[i].header);
        assert_int_equal(der_only(out, DER_OCTET_STRING, &d), TM_OK);
        assert_int_equal(d.value.n, cases[i].n);
    }
}

static struct der_writer write_sample(uint8_t *p, size_t cap) {
    struct der_writer w = der_writer_on(p, cap);
    size_t end = der_mark(&w);
    der_put_bits(&w, B(1, 2, 3));
    der_put_boolean(&w, true);
    der_put_small(&w, 65537);
    der_put(&w, DER_NULL, (struct bytes){0});
    der_raw(&w, B(0x05, 0x00));
    der_wrap(&w, DER_SEQUENCE, end);
    return w;
}

static void a_writer_that_is_full_stays_in_its_memory(void **state) {
    (void)state;
    uint8_t memory[64];
    struct der_writer whole = write_sample(memory, sizeof memory);
    size_t size = der_written(&whole).n;
    assert_bytes_equal(der_written(&whole),
                       B(0x30, 0x12, 0x05, 0x00, 0x05, 0x00, 0x02, 0x03, 0x01, 0x00, 0x01, 0x01,
                         0x01, 0xff, 0x03, 0x04, 0x00, 0x01, 0x02, 0x03));
    for (size_t cap = 0; cap <= size; cap++) {
        uint8_t *exact = malloc(cap + 1);
        assert_non_null(exact);
        exact[cap] = 0xa5;
        struct der_writer w = write_sample(exact, cap);
        assert_int_equal(w.full, cap < size);
        assert_int_equal(der_written(&w).n, cap < size ? 0 : size);
        assert_int_equal(exact[cap], 0xa5);
        free(exact);
    }
}

static void a_writer_appends_to_a_buf(void **state) {
    (void)state;
    uint8_t memory[12] = {0};
    struct buf out = BUF_ON(memory);
    buf_put(&out, B(0xaa, 0xbb));
    struct der_writer w = der_writer_after(&out);
    der_put_small(&w, 7);
    assert_int_equal(der_append(&w, &out), TM_OK);
    assert_bytes_equal(buf_bytes(&out), B(0xaa, 0xbb, 0x02, 0x01, 0x07));
    assert_int_equal(der_append(&w, &out), TM_EINVAL);
    w = der_writer_after(&out);
    der_put(&w, DER_OCTET_STRING, B(1, 2, 3, 4, 5, 6));
    assert_int_equal(der_append(&w, &out), TM_ELIMIT);
    assert_int_equal(out.n, 5);
}

/* Dotted forms of their own, from the standards, in the order of the enum. */
static const char *const dotted[PKI_OID_COUNT] = {
    [PKI_OID_COMMON_NAME] = "2.5.4.3",
    [PKI_OID_SERIAL_NUMBER] = "2.5.4.5",
    [PKI_OID_COUNTRY] = "2.5.4.6",
    [PKI_OID_LOCALITY] = "2.5.4.7",
    [PKI_OID_STATE] = "2.5.4.8",
    [PKI_OID_ORGANIZATION] = "2.5.4.10",
    [PKI_OID_ORGANIZATIONAL_UNIT] = "2.5.4.11",
    [PKI_OID_DOMAIN_COMPONENT] = "0.9.2342.19200300.100.1.25",
    [PKI_OID_USER_ID] = "0.9.2342.19200300.100.1.1",
    [PKI_OID_EMAIL_ADDRESS] = "1.2.840.113549.1.9.1",
    [PKI_OID_DN_QUALIFIER] = "2.5.4.46",
    [PKI_OID_EC_PUBLIC_KEY] = "1.2.840.10045.2.1",
    [PKI_OID_PRIME256V1] = "1.2.840.10045.3.1.7",
    [PKI_OID_SECP384R1] = "1.3.132.0.34",
    [PKI_OID_SECP521R1] = "1.3.132.0.35",
    [PKI_OID_RSA_ENCRYPTION] = "1.2.840.113549.1.1.1",
    [PKI_OID_ED25519] = "1.3.101.112",
    [PKI_OID_ML_DSA_44] = "2.16.840.1.101.3.4.3.17",
    [PKI_OID_ML_DSA_65] = "2.16.840.1.101.3.4.3.18",
    [PKI_OID_ML_DSA_87] = "2.16.840.1.101.3.4.3.19",
    [PKI_OID_ECDSA_SHA256] = "1.2.840.10045.4.3.2",
    [PKI_OID_ECDSA_SHA384] = "1.2.840.10045.4.3.3",
    [PKI_OID_ECDSA_SHA512] = "1.2.840.10045.4.3.4",
    [PKI_OID_RSA_SHA256] = "1.2.840.113549.1.1.11",
    [PKI_OID_RSA_SHA384] = "1.2.840.113549.1.1.12",
    [PKI_OID_RSA_SHA512] = "1.2.840.113549.1.1.13",
    [PKI_OID_SUBJECT_KEY_ID] = "2.5.29.14",
    [PKI_OID_KEY_USAGE] = "2.5.29.15",
    [PKI_OID_SUBJECT_ALT_NAME] = "2.5.29.17",
    [PKI_OID_BASIC_CONSTRAINTS] = "2.5.29.19",
    [PKI_OID_CRL_DISTRIBUTION_POINTS] = "2.5.29.31",
    [PKI_OID_AUTHORITY_KEY_ID] = "2.5.29.35",
    [PKI_OID_EXT_KEY_USAGE] = "2.5.29.37",
    [PKI_OID_AUTHORITY_INFO_ACCESS] = "1.3.6.1.5.5.7.1.1",
    [PKI_OID_CERTIFICATE_POLICIES] = "2.5.29.32",
    [PKI_OID_NAME_CONSTRAINTS] = "2.5.29.30",
    [PKI_OID_CRL_NUMBER] = "2.5.29.20",
    [PKI_OID_ISSUING_DISTRIBUTION_POINT] = "2.5.29.28",
    [PKI_OID_REASON_CODE] = "2.5.29.21",
    [PKI_OID_KP_SERVER_AUTH] = "1.3.6.1.5.5.7.3.1",
    [PKI_OID_KP_CLIENT_AUTH] = "1.3.6.1.5.5.7.3.2",
    [PKI_OID_KP_CMC_RA] = "1.3.6.1.5.5.7.3.28",
    [PKI_OID_KP_CMC_CA] = "1.3.6.1.5.5.7.3.27",
    [PKI_OID_KP_OCSP_SIGNING] = "1.3.6.1.5.5.7.3.9",
    [PKI_OID_KP_CODE_SIGNING] = "1.3.6.1.5.5.7.3.3",
    [PKI_OID_AD_OCSP] = "1.3.6.1.5.5.7.48.1",
    [PKI_OID_AD_CA_ISSUERS] = "1.3.6.1.5.5.7.48.2",
    [PKI_OID_OCSP_BASIC] = "1.3.6.1.5.5.7.48.1.1",
    [PKI_OID_OCSP_NOCHECK] = "1.3.6.1.5.5.7.48.1.5",
    [PKI_OID_ON_HARDWARE_MODULE_NAME] = "1.3.6.1.5.5.7.8.4",
    [PKI_OID_CHALLENGE_PASSWORD] = "1.2.840.113549.1.9.7",
    [PKI_OID_EXTENSION_REQUEST] = "1.2.840.113549.1.9.14",
    [PKI_OID_OTP_CHALLENGE] = "1.2.840.113549.1.9.16.2.56",
    [PKI_OID_REVOCATION_CHALLENGE] = "1.2.840.113549.1.9.16.2.57",
    [PKI_OID_EST_IDENTITY_LINKING] = "1.2.840.113549.1.9.16.2.58",
    [PKI_OID_CHANGE_SUBJECT_NAME] = "1.3.6.1.5.5.7.7.36",
    [PKI_OID_CERTIFICATION_REQUEST_INFO_TEMPLATE] = "1.2.840.113549.1.9.16.2.61",
    [PKI_OID_EXTENSION_REQ_TEMPLATE] = "1.2.840.113549.1.9.16.2.62",
    [PKI_OID_SMIME_CAPABILITIES] = "1.2.840.113549.1.9.15",
    [PKI_OID_DECRYPT_KEY_ID] = "1.2.840.113549.1.9.16.2.37",
    [PKI_OID_ASYMM_DECRYPT_KEY_ID] = "1.2.840.113549.1.9.16.2.54",
    [PKI_OID_DATA] = "1.2.840.113549.1.7.1",
    [PKI_OID_SIGNED_DATA] = "1.2.840.113549.1.7.2",
    [PKI_OID_CONTENT_TYPE] = "1.2.840.113549.1.9.3",
    [PKI_OID_MESSAGE_DIGEST] = "1.2.840.113549.1.9.4",
    [PKI_OID_SIGNING_TIME] = "1.2.840.113549.1.9.5",
    [PKI_OID_SHA1] = "1.3.14.3.2.26",
    [PKI_OID_SHA256] = "2.16.840.1.101.3.4.2.1",
    [PKI_OID_SHA384] = "2.16.840.1.101.3.4.2.2",
    [PKI_OID_SHA512] = "2.16.840.1.101.3.4.2.3",
    [PKI_OID_HMAC_SHA256] = "1.2.840.113549.2.9",
    [PKI_OID_CT_KP_AKEY_PACKAGE] = "2.16.840.1.101.2.1.2.78.5",
    [PKI_OID_AES128_CBC] = "2.16.840.1.101.3.4.1.2",
    [PKI_OID_AES256_CBC] = "2.16.840.1.101.3.4.1.42",
    [PKI_OID_AES128_WRAP] = "2.16.840.1.101.3.4.1.5",
    [PKI_OID_AES256_WRAP] = "2.16.840.1.101.3.4.1.45",
    [PKI_OID_RSAES_OAEP] = "1.2.840.113549.1.1.7",
    [PKI_OID_ECDH_SHA256_KDF] = "1.3.132.1.11.1",
    [PKI_OID_ECDH_SHA384_KDF] = "1.3.132.1.11.2",
    [PKI_OID_CCT_PKI_DATA] = "1.3.6.1.5.5.7.12.2",
    [PKI_OID_CCT_PKI_RESPONSE] = "1.3.6.1.5.5.7.12.3",
    [PKI_OID_CMC_STATUS_INFO] = "1.3.6.1.5.5.7.7.1",
    [PKI_OID_CMC_IDENTIFICATION] = "1.3.6.1.5.5.7.7.2",
    [PKI_OID_CMC_TRANSACTION_ID] = "1.3.6.1.5.5.7.7.5",
    [PKI_OID_CMC_SENDER_NONCE] = "1.3.6.1.5.5.7.7.6",
    [PKI_OID_CMC_RECIPIENT_NONCE] = "1.3.6.1.5.5.7.7.7",
    [PKI_OID_CMC_REG_INFO] = "1.3.6.1.5.5.7.7.18",
    [PKI_OID_CMC_RESPONSE_INFO] = "1.3.6.1.5.5.7.7.19",
    [PKI_OID_CMC_CONFIRM_CERT_ACCEPTANCE] = "1.3.6.1.5.5.7.7.24",
    [PKI_OID_CMC_STATUS_INFO_V2] = "1.3.6.1.5.5.7.7.25",
    [PKI_OID_CMC_IDENTITY_PROOF_V2] = "1.3.6.1.5.5.7.7.34",
};

static void every_known_identifier_is_the_right_one(void **state) {
    (void)state;
    for (unsigned i = 1; i < PKI_OID_COUNT; i++) {
        enum pki_oid oid = (enum pki_oid)i;
        assert_non_null(dotted[i]);
        ASN1_OBJECT *theirs = OBJ_txt2obj(dotted[i], 1);
        assert_non_null(theirs);
        assert_bytes_equal(pki_oid_bytes(oid),
                           (struct bytes){OBJ_get0_data(theirs), OBJ_length(theirs)});
        assert_int_equal(pki_oid_find(pki_oid_bytes(oid)), oid);
        assert_true(pki_oid_valid(pki_oid_bytes(oid)));
        assert_true(pki_oid_name(oid)[0] != '\0');
        char text[64];
        uint8_t memory[32];
        struct buf out = BUF_ON(memory);
        assert_int_equal(pki_oid_format(pki_oid_bytes(oid), text, sizeof text), TM_OK);
        assert_string_equal(text, dotted[i]);
        assert_int_equal(pki_oid_parse(text, &out), TM_OK);
        assert_bytes_equal(buf_bytes(&out), pki_oid_bytes(oid));
        ASN1_OBJECT_free(theirs);
    }
    assert_int_equal(pki_oid_find(B(0x55, 0x04)), PKI_OID_UNKNOWN);
    assert_int_equal(pki_oid_find((struct bytes){0}), PKI_OID_UNKNOWN);
    assert_string_equal(pki_oid_name(PKI_OID_COMMON_NAME), "CN");
    assert_string_equal(pki_oid_name(PKI_OID_COUNT), "unknown");
}

static void other_identifiers_have_their_dotted_form(void **state) {
    (void)state;
    const char *const good[] = {"0.0",  "0.39",    "1.39",           "2.0",
                                "2.40", "2.999.3", "2.48.128.16384", "1.3.6.1.4.1.4294967296.0"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint8_t memory[32];
        char text[64];
        struct buf out = BUF_ON(memory);
        ASN1_OBJECT *theirs = OBJ_txt2obj(good[i], 1);
        assert_non_null(theirs);
        assert_int_equal(pki_oid_parse(good[i], &out), TM_OK);
        assert_bytes_equal(buf_bytes(&out),
                           (struct bytes){OBJ_get0_data(theirs), OBJ_length(theirs)});
        assert_int_equal(pki_oid_format(buf_bytes(&out), text, sizeof text), TM_OK);
        assert_string_equal(text, good[i]);
        assert_int_equal(pki_oid_format(buf_bytes(&out), text, strlen(good[i])), TM_ELIMIT);
        ASN1_OBJECT_free(theirs);
    }
    const char *const bad[] = {"",     "1",    "1.",   ".1",   "3.1",  "1.40", "1.2.",
                               "1..2", "01.2", "1.02", "1.2x", "1.-2", " 1.2", "1.2 "};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t memory[32];
        struct buf out = BUF_ON(memory);
        assert_int_equal(pki_oid_parse(bad[i], &out), TM_EPARSE);
        assert_int_equal(out.n, 0);
    }
    uint8_t memory[3];
    struct buf out = BUF_ON(memory);
    assert_int_equal(pki_oid_parse("1.2.99999999999999999999", &out), TM_ELIMIT);
    assert_int_equal(pki_oid_parse("1.2.840.113549", &out), TM_ELIMIT);
    assert_int_equal(out.n, 0);
    assert_false(out.full);
    char text[64];
    const struct bytes broken[] = {{NULL, 0}, B(0x80, 0x01), B(0x55, 0x80, 0x01), B(0x55, 0x84)};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        assert_false(pki_oid_valid(broken[i]));
        assert_int_equal(pki_oid_format(broken[i], text, sizeof text), TM_EPARSE);
    }
    uint8_t ones[300];
    char long_text[1024];
    memset(ones, 1, sizeof ones);
    assert_int_equal(pki_oid_format(BYTES_OF(ones), long_text, sizeof long_text), TM_ELIMIT);
    struct bytes huge = B(0x69, 0x83, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f);
    assert_true(pki_oid_valid(huge));
    assert_int_equal(pki_oid_format(huge, text, sizeof text), TM_ELIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_elements_one_after_the_other),
        cmocka_unit_test(refuses_what_is_not_der),
        cmocka_unit_test(integers_are_minimal_and_not_negative),
        cmocka_unit_test(simple_types_are_strict),
        cmocka_unit_test(times_have_the_two_forms_of_rfc_5280),
        cmocka_unit_test(times_agree_with_openssl),
        cmocka_unit_test(times_that_no_form_can_say_are_not_written),
        cmocka_unit_test(integers_and_bits_agree_with_openssl),
        cmocka_unit_test(lengths_grow_with_the_content),
        cmocka_unit_test(a_writer_that_is_full_stays_in_its_memory),
        cmocka_unit_test(a_writer_appends_to_a_buf),
        cmocka_unit_test(every_known_identifier_is_the_right_one),
        cmocka_unit_test(other_identifiers_have_their_dotted_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
