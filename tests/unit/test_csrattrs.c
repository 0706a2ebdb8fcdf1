/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CsrAttrs: the example encodings of RFC 9908's draft are read; what we write is read by a decoder
 * that OpenSSL's templates make from the RFC's ASN.1 module.
 */
#include "pki_fixture.h"

#include <openssl/asn1t.h>

#include "est/wire/csrattrs.h"
#include "pki/cert.h"

#define MEMORY_MAX (EST_CSRATTRS_MAX + 16)

/* clang-format off */
/* RFC 9908, appendix A (IMPLICIT TAGS). */
typedef struct {
    ASN1_OBJECT *type;
    ASN1_TYPE *value;
} SINGLE_TEMPLATE;
ASN1_SEQUENCE(SINGLE_TEMPLATE) = {
    ASN1_SIMPLE(SINGLE_TEMPLATE, type, ASN1_OBJECT),
    ASN1_OPT(SINGLE_TEMPLATE, value, ASN1_ANY),
} static_ASN1_SEQUENCE_END(SINGLE_TEMPLATE)

DEFINE_STACK_OF(SINGLE_TEMPLATE)
ASN1_ITEM_TEMPLATE(RDN_TEMPLATE) =
    ASN1_EX_TEMPLATE_TYPE(ASN1_TFLG_SET_OF, 0, RDN_TEMPLATE, SINGLE_TEMPLATE)
static_ASN1_ITEM_TEMPLATE_END(RDN_TEMPLATE)
typedef STACK_OF(SINGLE_TEMPLATE) RDN_TEMPLATE;
DEFINE_STACK_OF(RDN_TEMPLATE)

typedef struct {
    X509_ALGOR *algorithm;
    ASN1_BIT_STRING *key;
} SPKI_TEMPLATE;
ASN1_SEQUENCE(SPKI_TEMPLATE) = {
    ASN1_SIMPLE(SPKI_TEMPLATE, algorithm, X509_ALGOR),
    ASN1_OPT(SPKI_TEMPLATE, key, ASN1_BIT_STRING),
} static_ASN1_SEQUENCE_END(SPKI_TEMPLATE)

typedef struct {
    ASN1_INTEGER *version;
    STACK_OF(RDN_TEMPLATE) *subject;
    SPKI_TEMPLATE *spki;
    STACK_OF(X509_ATTRIBUTE) *attributes;
} INFO_TEMPLATE;
ASN1_SEQUENCE(INFO_TEMPLATE) = {
    ASN1_SIMPLE(INFO_TEMPLATE, version, ASN1_INTEGER),
    ASN1_SEQUENCE_OF_OPT(INFO_TEMPLATE, subject, RDN_TEMPLATE),
    ASN1_IMP_OPT(INFO_TEMPLATE, spki, SPKI_TEMPLATE, 0),
    ASN1_IMP_SET_OF(INFO_TEMPLATE, attributes, X509_ATTRIBUTE, 1),
} static_ASN1_SEQUENCE_END(INFO_TEMPLATE)
    /* clang-format on */

    struct expected {
    const char *oid;    /* dotted */
    const char *values; /* hex of the SET's content, NULL for a bare OID */
};

#define CHALLENGE "1.2.840.113549.1.9.7"

static const struct {
    const char *hex;
    struct expected elements[8];
} examples[] = {
    /* harkins01: RSA of 4096 bits, SHA-256 */
    {"302906092a864886f70d010907301106092a864886f70d0101013104020210"
     "0006092a864886f70d01010b",
     {{CHALLENGE, NULL}, {"1.2.840.113549.1.1.1", "02021000"}, {"1.2.840.113549.1.1.11", NULL}}},
    /* harkins02: P-384, serial number */
    {"302e06092a864886f70d010907301206072a8648ce3d0201310706052b81040022060355040506082a8648ce3d04"
     "0303",
     {{CHALLENGE, NULL},
      {"1.2.840.10045.2.1", "06052b81040022"},
      {"2.5.4.5", NULL},
      {"1.2.840.10045.4.3.3", NULL}}},
    /* harkins03: P-521, friendly name, favourite drink */
    {"304506092a864886f70d010907301206072a8648ce3d0201310706052b8104002306092a864886f70d010914060a"
     "0992268993f22c640105060355040506082a8648ce3d040304",
     {{CHALLENGE, NULL},
      {"1.2.840.10045.2.1", "06052b81040023"},
      {"1.2.840.113549.1.9.20", NULL},
      {"0.9.2342.19200300.100.1.5", NULL},
      {"2.5.4.5", NULL},
      {"1.2.840.10045.4.3.4", NULL}}},
    /* realistic-acp: subjectAltName of RFC 8994 */
    {"3068306606092a864886f70d01090e3159305730550603551d110101ff044b3049a04706082b060105050708"
     "0aa03b1639726663383939342b666437333966633233633334343031313232333334343535303030303030303"
     "02b406163702e6578616d706c652e636f6d",
     {{"1.2.840.113549.1.9.14",
       "305730550603551d110101ff044b3049a04706082b0601050507080aa03b1639726663383939342b66643733396"
       "6"
       "63323363333434303131323233333434353530303030303030302b406163702e6578616d706c652e636f6d"}}},
    /* rfc7030-example01, as RFC 9908 corrects it */
    {"303206092a864886f70d010907301206072a8648ce3d0201310706052b81040022060"
     "72b06010101011606082a8648ce3d040303",
     {{CHALLENGE, NULL},
      {"1.2.840.10045.2.1", "06052b81040022"},
      {"1.3.6.1.1.1.1.22", NULL},
      {"1.2.840.10045.4.3.3", NULL}}},
};

static struct bytes from_hex(const char *hex, uint8_t *memory, size_t cap) {
    size_t n;
    assert_int_equal(hex_decode(hex, memory, cap, &n), TM_OK);
    return (struct bytes){memory, n};
}

static void examples_are_read(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        uint8_t memory[256];
        struct bytes rest;
        struct est_attr_or_oid element;
        assert_int_equal(est_csrattrs_open(from_hex(examples[i].hex, memory, sizeof memory), &rest),
                         TM_OK);
        for (const struct expected *e = examples[i].elements; e->oid; e++) {
            char dotted[64];
            uint8_t values[256];
            assert_int_equal(est_csrattrs_next(&rest, &element), TM_OK);
            assert_int_equal(pki_oid_format(element.oid, dotted, sizeof dotted), TM_OK);
            assert_string_equal(dotted, e->oid);
            assert_int_equal(element.type, pki_oid_find(element.oid));
            assert_int_equal(element.has_values, e->values != NULL);
            if (e->values)
                assert_bytes_equal(element.values, from_hex(e->values, values, sizeof values));
        }
        assert_int_equal(est_csrattrs_next(&rest, &element), TM_ENOTFOUND);
    }
}

static void malformed_messages_are_refused(void **state) {
    (void)state;
    static const char *const not_sequences[] = {"", "3100", "30000500", "3001", "0500"};
    static const char *const bad_elements[] = {
        "30020500",                     /* neither OID nor Attribute */
        "30020605",                     /* an element that is cut */
        "30020600",                     /* an empty OID */
        "300406022a83",                 /* an OID that does not end */
        "300c300a06022a03310005000500", /* more than type and values */
        "300a300806022a8331020500",     /* an Attribute whose OID does not end */
        "3006300406022a03",             /* an Attribute without values */
        "3008300606022a033000",         /* values that are no SET */
        "300a300806022a0331000500",
        "300730050201003100",
    };
    uint8_t memory[64];
    struct bytes rest;
    struct est_attr_or_oid element;
    for (size_t i = 0; i < sizeof not_sequences / sizeof *not_sequences; i++)
        assert_int_equal(
            est_csrattrs_open(from_hex(not_sequences[i], memory, sizeof memory), &rest), TM_EPARSE);
    for (size_t i = 0; i < sizeof bad_elements / sizeof *bad_elements; i++) {
        assert_int_equal(est_csrattrs_open(from_hex(bad_elements[i], memory, sizeof memory), &rest),
                         TM_OK);
        struct bytes before = rest;
        assert_int_equal(est_csrattrs_next(&rest, &element), TM_EPARSE);
        assert_ptr_equal(rest.p, before.p);
    }
    /* RFC 9908, 3.2 allows no values; RFC 7030, 4.5.2 allows no elements */
    assert_int_equal(
        est_csrattrs_open(from_hex("3008300606022a033100", memory, sizeof memory), &rest), TM_OK);
    assert_int_equal(est_csrattrs_next(&rest, &element), TM_OK);
    assert_false(element.has_values);
    assert_int_equal(est_csrattrs_open(from_hex("3000", memory, sizeof memory), &rest), TM_OK);
    assert_int_equal(est_csrattrs_next(&rest, &element), TM_ENOTFOUND);
}

static struct bytes write(const struct est_csrattrs *attrs, uint8_t memory[MEMORY_MAX]) {
    struct buf out = {memory, MEMORY_MAX, 0, false};
    assert_int_equal(est_csrattrs_write(attrs, &out), TM_OK);
    return buf_bytes(&out);
}

static void nothing_asked_is_nothing_written(void **state) {
    (void)state;
    uint8_t memory[MEMORY_MAX];
    assert_int_equal(write(&(struct est_csrattrs){0}, memory).n, 0);
    assert_int_equal(write(&(struct est_csrattrs){.template_form = true}, memory).n, 0);
}

/* The same request as harkins01 is the same octets. */
static void the_old_form_is_the_examples(void **state) {
    (void)state;
    uint8_t memory[MEMORY_MAX], expect[256];
    const struct est_csrattrs attrs = {.key_algorithm = PKI_OID_RSA_ENCRYPTION,
                                       .rsa_bits = 4096,
                                       .signature = PKI_OID_RSA_SHA256,
                                       .challenge_password = true};
    assert_bytes_equal(write(&attrs, memory), from_hex(examples[0].hex, expect, sizeof expect));
}

static const struct est_csrattrs usual = {
    .key_algorithm = PKI_OID_EC_PUBLIC_KEY,
    .curve = PKI_OID_PRIME256V1,
    .signature = PKI_OID_ECDSA_SHA256,
    .challenge_password = true,
    .template_form = true,
    .subject_count = 2,
    .subject = {PKI_OID_ORGANIZATION, PKI_OID_SERIAL_NUMBER},
    .eku_count = 2,
    .eku = {PKI_OID_KP_CLIENT_AUTH, PKI_OID_KP_SERVER_AUTH},
    .key_usage = PKI_KU_DIGITAL_SIGNATURE | PKI_KU_KEY_AGREEMENT,
};

/* The elements' identifiers in order; returns the values of the last. */
static struct bytes assert_elements(struct bytes der, const enum pki_oid *types, size_t count) {
    struct bytes rest;
    struct est_attr_or_oid element = {0};
    assert_int_equal(est_csrattrs_open(der, &rest), TM_OK);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(est_csrattrs_next(&rest, &element), TM_OK);
        assert_int_equal(element.type, types[i]);
    }
    struct est_attr_or_oid more;
    assert_int_equal(est_csrattrs_next(&rest, &more), TM_ENOTFOUND);
    return element.values;
}

static size_t occurrences(struct bytes in, struct bytes what) {
    size_t count = 0;
    for (size_t i = 0; i + what.n <= in.n; i++)
        count += memcmp(in.p + i, what.p, what.n) == 0;
    return count;
}

static void assert_extensions(const X509_ATTRIBUTE *attribute) {
    const ASN1_TYPE *value = X509_ATTRIBUTE_get0_type((X509_ATTRIBUTE *)attribute, 0);
    assert_int_equal(X509_ATTRIBUTE_count(attribute), 1);
    assert_int_equal(value->type, V_ASN1_SEQUENCE);
    const unsigned char *p = value->value.sequence->data;
    X509_EXTENSIONS *extensions = d2i_X509_EXTENSIONS(NULL, &p, value->value.sequence->length);
    assert_non_null(extensions);
    assert_int_equal(sk_X509_EXTENSION_num(extensions), 2);
    int critical;
    ASN1_BIT_STRING *usage = X509V3_get_d2i(extensions, NID_key_usage, &critical, NULL);
    assert_non_null(usage);
    assert_int_equal(critical, 1);
    assert_true(ASN1_BIT_STRING_get_bit(usage, 0));
    assert_true(ASN1_BIT_STRING_get_bit(usage, 4));
    assert_false(ASN1_BIT_STRING_get_bit(usage, 2));
    EXTENDED_KEY_USAGE *purposes = X509V3_get_d2i(extensions, NID_ext_key_usage, &critical, NULL);
    assert_non_null(purposes);
    assert_int_equal(critical, 0);
    assert_int_equal(sk_ASN1_OBJECT_num(purposes), 2);
    assert_int_equal(OBJ_obj2nid(sk_ASN1_OBJECT_value(purposes, 0)), NID_client_auth);
    assert_int_equal(OBJ_obj2nid(sk_ASN1_OBJECT_value(purposes, 1)), NID_server_auth);
    ASN1_BIT_STRING_free(usage);
    EXTENDED_KEY_USAGE_free(purposes);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}

static void both_forms_stand_in_one_message(void **state) {
    (void)state;
    uint8_t memory[MEMORY_MAX];
    struct bytes der = write(&usual, memory);
    const enum pki_oid types[] = {PKI_OID_CHALLENGE_PASSWORD, PKI_OID_EC_PUBLIC_KEY,
                                  PKI_OID_ECDSA_SHA256,
                                  PKI_OID_CERTIFICATION_REQUEST_INFO_TEMPLATE};
    (void)assert_elements(der, types, 4);
    /* RFC 9908, 3.2: "There MUST be only one such attribute." */
    assert_int_equal(occurrences(der, pki_oid_bytes(PKI_OID_EXTENSION_REQUEST)), 1);
    assert_int_equal(occurrences(der, pki_oid_bytes(PKI_OID_EXTENSION_REQ_TEMPLATE)), 0);
}

static INFO_TEMPLATE *read_template(struct bytes values) {
    const unsigned char *p = values.p;
    INFO_TEMPLATE *info =
        (INFO_TEMPLATE *)ASN1_item_d2i(NULL, &p, (long)values.n, ASN1_ITEM_rptr(INFO_TEMPLATE));
    assert_non_null(info);
    assert_ptr_equal(p, values.p + values.n);
    assert_int_equal(ASN1_INTEGER_get(info->version), 0);
    /* what OpenSSL writes of it is what it read: it is DER */
    unsigned char *again = NULL;
    int n = ASN1_item_i2d((ASN1_VALUE *)info, &again, ASN1_ITEM_rptr(INFO_TEMPLATE));
    assert_bytes_equal((struct bytes){again, (size_t)n}, values);
    OPENSSL_free(again);
    return info;
}

static void free_template(INFO_TEMPLATE *info) {
    ASN1_item_free((ASN1_VALUE *)info, ASN1_ITEM_rptr(INFO_TEMPLATE));
}

static void the_template_is_rfc_9908s(void **state) {
    (void)state;
    uint8_t memory[MEMORY_MAX];
    const enum pki_oid types[] = {PKI_OID_CHALLENGE_PASSWORD, PKI_OID_EC_PUBLIC_KEY,
                                  PKI_OID_ECDSA_SHA256,
                                  PKI_OID_CERTIFICATION_REQUEST_INFO_TEMPLATE};
    INFO_TEMPLATE *info = read_template(assert_elements(write(&usual, memory), types, 4));
    static const int subject[] = {NID_organizationName, NID_serialNumber};
    assert_int_equal(sk_RDN_TEMPLATE_num(info->subject), 2);
    for (int i = 0; i < 2; i++) {
        const RDN_TEMPLATE *rdn = sk_RDN_TEMPLATE_value(info->subject, i);
        assert_int_equal(sk_SINGLE_TEMPLATE_num(rdn), 1);
        assert_int_equal(OBJ_obj2nid(sk_SINGLE_TEMPLATE_value(rdn, 0)->type), subject[i]);
        assert_null(sk_SINGLE_TEMPLATE_value(rdn, 0)->value);
    }
    const ASN1_OBJECT *algorithm;
    int parameter_type;
    const void *parameter;
    X509_ALGOR_get0(&algorithm, &parameter_type, &parameter, info->spki->algorithm);
    assert_int_equal(OBJ_obj2nid(algorithm), NID_X9_62_id_ecPublicKey);
    assert_int_equal(parameter_type, V_ASN1_OBJECT);
    assert_int_equal(OBJ_obj2nid(parameter), NID_X9_62_prime256v1);
    assert_null(info->spki->key); /* RFC 9908, 3.4: "MUST be absent" */
    assert_int_equal(sk_X509_ATTRIBUTE_num(info->attributes), 2);
    X509_ATTRIBUTE *challenge = sk_X509_ATTRIBUTE_value(info->attributes, 0);
    X509_ATTRIBUTE *request = sk_X509_ATTRIBUTE_value(info->attributes, 1);
    assert_int_equal(OBJ_obj2nid(X509_ATTRIBUTE_get0_object(challenge)),
                     NID_pkcs9_challengePassword);
    assert_int_equal(X509_ATTRIBUTE_count(challenge), 0);
    assert_int_equal(OBJ_obj2nid(X509_ATTRIBUTE_get0_object(request)), NID_ext_req);
    assert_extensions(request);
    free_template(info);
}

static void without_template_the_extensions_are_in_the_old_form(void **state) {
    (void)state;
    uint8_t memory[MEMORY_MAX];
    struct est_csrattrs attrs = usual;
    attrs.template_form = false;
    struct bytes der = write(&attrs, memory), rest;
    const enum pki_oid types[] = {PKI_OID_CHALLENGE_PASSWORD, PKI_OID_EC_PUBLIC_KEY,
                                  PKI_OID_EXTENSION_REQUEST, PKI_OID_ECDSA_SHA256};
    (void)assert_elements(der, types, 4);
    assert_int_equal(est_csrattrs_open(der, &rest), TM_OK);
    struct der element;
    for (int i = 0; i < 3; i++)
        assert_int_equal(der_next(&rest, &element), TM_OK);
    const unsigned char *p = element.whole.p;
    X509_ATTRIBUTE *request = d2i_X509_ATTRIBUTE(NULL, &p, (long)element.whole.n);
    assert_non_null(request);
    assert_extensions(request);
    X509_ATTRIBUTE_free(request);
}

/* RFC 9908, 4: who knows the template ignores the rest, so any wish makes one. */
static void any_wish_makes_a_template(void **state) {
    (void)state;
    uint8_t memory[MEMORY_MAX];
    const struct est_csrattrs wishes[] = {
        {.template_form = true, .challenge_password = true},
        {.template_form = true, .key_usage = PKI_KU_DIGITAL_SIGNATURE},
        {.template_form = true, .key_algorithm = PKI_OID_ED25519},
        {.template_form = true, .subject_count = 1, .subject = {PKI_OID_COMMON_NAME}},
    };
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(occurrences(write(&wishes[i], memory),
                                     pki_oid_bytes(PKI_OID_CERTIFICATION_REQUEST_INFO_TEMPLATE)),
                         1);
    /* the signature algorithm has no place in it */
    const struct est_csrattrs signature = {.template_form = true,
                                           .signature = PKI_OID_ECDSA_SHA256};
    const enum pki_oid types[] = {PKI_OID_ECDSA_SHA256};
    (void)assert_elements(write(&signature, memory), types, 1);
}

static void either_extension_is_enough(void **state) {
    (void)state;
    uint8_t memory[MEMORY_MAX];
    const struct est_csrattrs wishes[] = {
        {.key_usage = PKI_KU_DIGITAL_SIGNATURE},
        {.eku_count = 1, .eku = {PKI_OID_KP_CLIENT_AUTH}},
    };
    for (size_t i = 0; i < 2; i++) {
        const enum pki_oid types[] = {PKI_OID_EXTENSION_REQUEST};
        (void)assert_elements(write(&wishes[i], memory), types, 1);
    }
}

/* The placeholder has the size, and OpenSSL takes it for an RSA key. */
static void an_rsa_size_is_told_by_a_placeholder(void **state) {
    (void)state;
    static const unsigned sizes[] = {1024, 2048, 2049, 3072, 4096, 8192};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t memory[MEMORY_MAX];
        const struct est_csrattrs attrs = {
            .key_algorithm = PKI_OID_RSA_ENCRYPTION, .rsa_bits = sizes[i], .template_form = true};
        const enum pki_oid types[] = {PKI_OID_RSA_ENCRYPTION,
                                      PKI_OID_CERTIFICATION_REQUEST_INFO_TEMPLATE};
        INFO_TEMPLATE *info = read_template(assert_elements(write(&attrs, memory), types, 2));
        const ASN1_OBJECT *algorithm;
        int parameter_type;
        X509_ALGOR_get0(&algorithm, &parameter_type, NULL, info->spki->algorithm);
        assert_int_equal(OBJ_obj2nid(algorithm), NID_rsaEncryption);
        assert_int_equal(parameter_type, V_ASN1_NULL);
        assert_null(info->subject);
        assert_int_equal(sk_X509_ATTRIBUTE_num(info->attributes), 0);
        const unsigned char *p = info->spki->key->data;
        EVP_PKEY *key = d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, info->spki->key->length);
        assert_non_null(key);
        assert_int_equal(EVP_PKEY_get_bits(key), sizes[i]);
        EVP_PKEY_free(key);
        free_template(info);
    }
}

/* RFC 9908, 3.2: "exactly one Attribute with the type field being the OID specifying the type of
 * the key ... The values field MAY be empty". */
static void a_key_without_parameters_has_no_values(void **state) {
    (void)state;
    uint8_t memory[MEMORY_MAX];
    const struct est_csrattrs attrs = {
        .key_algorithm = PKI_OID_ED25519, .signature = PKI_OID_ED25519, .template_form = true};
    const enum pki_oid types[] = {PKI_OID_ED25519, PKI_OID_ED25519,
                                  PKI_OID_CERTIFICATION_REQUEST_INFO_TEMPLATE};
    INFO_TEMPLATE *info = read_template(assert_elements(write(&attrs, memory), types, 3));
    const ASN1_OBJECT *algorithm;
    int parameter_type;
    X509_ALGOR_get0(&algorithm, &parameter_type, NULL, info->spki->algorithm);
    assert_int_equal(OBJ_obj2nid(algorithm), NID_ED25519);
    assert_int_equal(parameter_type, V_ASN1_UNDEF);
    free_template(info);
}

static void the_longest_wishes_fit(void **state) {
    (void)state;
    uint8_t memory[EST_CSRATTRS_MAX];
    struct buf out = BUF_ON(memory);
    struct est_csrattrs attrs = {.key_algorithm = PKI_OID_RSA_ENCRYPTION,
                                 .rsa_bits = 8192,
                                 .signature = PKI_OID_EST_IDENTITY_LINKING,
                                 .challenge_password = true,
                                 .template_form = true,
                                 .subject_count = EST_CSRATTRS_OIDS_MAX,
                                 .eku_count = EST_CSRATTRS_OIDS_MAX,
                                 .key_usage = 0x8080};
    for (size_t i = 0; i < EST_CSRATTRS_OIDS_MAX; i++)
        attrs.subject[i] = attrs.eku[i] = PKI_OID_EST_IDENTITY_LINKING; /* the longest known */
    assert_int_equal(est_csrattrs_write(&attrs, &out), TM_OK);
    assert_true(out.n > 1024);
}

static void contradictions_and_full_buffers_write_nothing(void **state) {
    (void)state;
    uint8_t memory[MEMORY_MAX];
    const struct est_csrattrs bad[] = {
        {.curve = PKI_OID_PRIME256V1},
        {.key_algorithm = PKI_OID_RSA_ENCRYPTION, .curve = PKI_OID_PRIME256V1},
        {.key_algorithm = PKI_OID_EC_PUBLIC_KEY, .rsa_bits = 2048},
        {.key_algorithm = PKI_OID_RSA_ENCRYPTION, .rsa_bits = 1023},
        {.key_algorithm = PKI_OID_RSA_ENCRYPTION, .rsa_bits = 8193},
        {.subject_count = EST_CSRATTRS_OIDS_MAX + 1},
        {.eku_count = EST_CSRATTRS_OIDS_MAX + 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf out = BUF_ON(memory);
        assert_int_equal(est_csrattrs_write(&bad[i], &out), TM_EINVAL);
        assert_int_equal(out.n, 0);
    }
    size_t whole = write(&usual, memory).n;
    for (size_t cap = 0; cap < whole; cap++) {
        struct buf out = {memory, cap, 0, false};
        assert_int_equal(est_csrattrs_write(&usual, &out), TM_ELIMIT);
        assert_int_equal(out.n, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_are_read),
        cmocka_unit_test(malformed_messages_are_refused),
        cmocka_unit_test(nothing_asked_is_nothing_written),
        cmocka_unit_test(the_old_form_is_the_examples),
        cmocka_unit_test(both_forms_stand_in_one_message),
        cmocka_unit_test(the_template_is_rfc_9908s),
        cmocka_unit_test(without_template_the_extensions_are_in_the_old_form),
        cmocka_unit_test(any_wish_makes_a_template),
        cmocka_unit_test(either_extension_is_enough),
        cmocka_unit_test(an_rsa_size_is_told_by_a_placeholder),
        cmocka_unit_test(a_key_without_parameters_has_no_values),
        cmocka_unit_test(the_longest_wishes_fit),
        cmocka_unit_test(contradictions_and_full_buffers_write_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
