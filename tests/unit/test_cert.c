/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates that OpenSSL makes, field by field, and malformed ones. */
#include "der_rewrite.h"
#include "pki_fixture.h"

#include "pki/cert.h"
#include "pki/name.h"

static struct fixture_der certificate_der(X509 *cert) {
    struct fixture_der der;
    FIXTURE_I2D(&der, X509, cert);
    return der;
}

static int64_t openssl_ms(const ASN1_TIME *time) {
    struct tm tm;
    assert_true(ASN1_TIME_to_tm(time, &tm));
    return (int64_t)timegm(&tm) * 1000;
}

/* Compares every field with OpenSSL's view of the same octets. */
static void assert_same(const struct pki_cert *cert, X509 *theirs) {
    struct fixture_der der;
    assert_int_equal(cert->version, X509_get_version(theirs) + 1);
    FIXTURE_I2D(&der, X509_NAME, X509_get_issuer_name(theirs));
    assert_bytes_equal(cert->issuer, fixture_bytes(&der));
    fixture_free(&der);
    FIXTURE_I2D(&der, X509_NAME, X509_get_subject_name(theirs));
    assert_bytes_equal(cert->subject, fixture_bytes(&der));
    fixture_free(&der);
    FIXTURE_I2D(&der, X509_PUBKEY, X509_get_X509_PUBKEY(theirs));
    assert_bytes_equal(cert->spki.whole, fixture_bytes(&der));
    fixture_free(&der);
    const ASN1_BIT_STRING *key = X509_get0_pubkey_bitstr(theirs);
    assert_bytes_equal(cert->spki.key, (struct bytes){key->data, (size_t)key->length});
    const ASN1_BIT_STRING *signature;
    const X509_ALGOR *algorithm;
    X509_get0_signature(&signature, &algorithm, theirs);
    assert_bytes_equal(cert->signature, (struct bytes){signature->data, (size_t)signature->length});
    FIXTURE_I2D(&der, X509_ALGOR, algorithm);
    assert_bytes_equal(cert->algorithm, fixture_bytes(&der));
    assert_bytes_equal(cert->tbs_algorithm, fixture_bytes(&der));
    fixture_free(&der);
    assert_true(cert->not_before_ms == openssl_ms(X509_get0_notBefore(theirs)));
    assert_true(cert->not_after_ms == openssl_ms(X509_get0_notAfter(theirs)));
    assert_int_equal(cert->not_before_tag, ASN1_STRING_type(X509_get0_notBefore(theirs)));
    assert_int_equal(cert->not_after_tag, ASN1_STRING_type(X509_get0_notAfter(theirs)));
    assert_int_equal(cert->extension_count, X509_get_ext_count(theirs));
    for (int i = 0; i < X509_get_ext_count(theirs); i++) {
        X509_EXTENSION *extension = X509_get_ext(theirs, i);
        const ASN1_OBJECT *oid = X509_EXTENSION_get_object(extension);
        const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(extension);
        assert_bytes_equal(cert->extensions[i].oid,
                           (struct bytes){OBJ_get0_data(oid), OBJ_length(oid)});
        assert_int_equal(cert->extensions[i].critical, X509_EXTENSION_get_critical(extension));
        assert_bytes_equal(
            cert->extensions[i].value,
            (struct bytes){ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)});
    }
}

static STACK_OF(X509_EXTENSION) * usual_extensions(void) {
    STACK_OF(X509_EXTENSION) *extensions = NULL;
    fixture_extension(&extensions, NID_basic_constraints, "critical,CA:TRUE,pathlen:3");
    fixture_extension(&extensions, NID_key_usage, "critical,digitalSignature,keyCertSign,cRLSign");
    fixture_extension(&extensions, NID_ext_key_usage, "clientAuth,1.3.6.1.5.5.7.3.28,1.2.3.4");
    fixture_extension(&extensions, NID_subject_key_identifier, "00112233445566778899");
    fixture_extension(&extensions, NID_subject_alt_name, "DNS:device.example,IP:192.0.2.7");
    fixture_extension(&extensions, NID_crl_distribution_points, "URI:http://crl.example/a");
    return extensions;
}

static void free_extensions(STACK_OF(X509_EXTENSION) * extensions) {
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}

static void fields_are_openssls(void **state) {
    (void)state;
    EVP_PKEY *keys[] = {EVP_EC_gen("P-256"), EVP_EC_gen("P-384"), EVP_EC_gen("P-521"),
                        EVP_RSA_gen(2048), EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")};
    static const struct {
        enum pki_oid algorithm, curve;
        unsigned bits;
    } expect[] = {{PKI_OID_EC_PUBLIC_KEY, PKI_OID_PRIME256V1, 256},
                  {PKI_OID_EC_PUBLIC_KEY, PKI_OID_SECP384R1, 384},
                  {PKI_OID_EC_PUBLIC_KEY, PKI_OID_SECP521R1, 521},
                  {PKI_OID_RSA_ENCRYPTION, PKI_OID_UNKNOWN, 2048},
                  {PKI_OID_ED25519, PKI_OID_UNKNOWN, 256}};
    for (size_t i = 0; i < 5; i++) {
        STACK_OF(X509_EXTENSION) *extensions = usual_extensions();
        X509 *theirs = fixture_certificate(keys[i], "SN-1", extensions);
        struct fixture_der der = certificate_der(theirs);
        struct pki_cert cert, bare;
        assert_int_equal(pki_cert_parse(fixture_bytes(&der), &cert), TM_OK);
        assert_same(&cert, theirs);
        assert_bytes_equal(cert.whole, fixture_bytes(&der));
        static const uint8_t serial[] = {0x00, 0x81, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
        assert_bytes_equal(cert.serial, BYTES_OF(serial));
        assert_int_equal(cert.spki.algorithm, expect[i].algorithm);
        assert_int_equal(cert.spki.curve, expect[i].curve);
        assert_int_equal(cert.spki.bits, expect[i].bits);
        assert_int_equal(pki_tbs_parse(cert.tbs, &bare), TM_OK);
        assert_int_equal(bare.whole.n + bare.algorithm.n + bare.signature.n, 0);
        assert_bytes_equal(bare.spki.whole, cert.spki.whole);
        assert_int_equal(pki_tbs_parse(fixture_bytes(&der), &bare), TM_EPARSE);
        fixture_free(&der);
        X509_free(theirs);
        EVP_PKEY_free(keys[i]);
        free_extensions(extensions);
    }
}

static void extensions_are_read(void **state) {
    (void)state;
    EVP_PKEY *key = fixture_p256();
    STACK_OF(X509_EXTENSION) *extensions = usual_extensions();
    X509 *theirs = fixture_certificate(key, "SN-1", extensions);
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, theirs, theirs, NULL, NULL, 0);
    X509_EXTENSION *aki =
        X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid:always");
    assert_non_null(aki);
    assert_true(X509_add_ext(theirs, aki, -1));
    X509_EXTENSION_free(aki);
    assert_true(X509_sign(theirs, key, EVP_sha256()) > 0);
    struct fixture_der der = certificate_der(theirs);
    struct pki_cert cert;
    assert_int_equal(pki_cert_parse(fixture_bytes(&der), &cert), TM_OK);
    bool ca;
    int path_len;
    uint16_t usage;
    enum pki_oid purposes[PKI_EKU_MAX];
    size_t count;
    struct bytes ski, aki_id, san;
    assert_int_equal(pki_cert_basic_constraints(&cert, &ca, &path_len), TM_OK);
    assert_true(ca);
    assert_int_equal(path_len, 3);
    assert_int_equal(pki_cert_key_usage(&cert, &usage), TM_OK);
    assert_int_equal(usage, PKI_KU_DIGITAL_SIGNATURE | PKI_KU_KEY_CERT_SIGN | PKI_KU_CRL_SIGN);
    assert_int_equal(pki_cert_eku(&cert, purposes, &count), TM_OK);
    assert_int_equal(count, 3);
    assert_int_equal(purposes[0], PKI_OID_KP_CLIENT_AUTH);
    assert_int_equal(purposes[1], PKI_OID_KP_CMC_RA);
    assert_int_equal(purposes[2], PKI_OID_UNKNOWN);
    assert_int_equal(pki_cert_ski(&cert, &ski), TM_OK);
    assert_int_equal(ski.n, 10);
    assert_int_equal(pki_cert_aki(&cert, &aki_id), TM_OK);
    assert_bytes_equal(ski, aki_id);
    assert_int_equal(pki_cert_san(&cert, &san), TM_OK);
    assert_bytes_equal(san, pki_cert_extension(&cert, PKI_OID_SUBJECT_ALT_NAME)->value);
    assert_null(pki_cert_extension(&cert, PKI_OID_NAME_CONSTRAINTS));
    fixture_free(&der);
    X509_free(theirs);
    EVP_PKEY_free(key);
    free_extensions(extensions);
}

static void absent_extensions_are_not_found(void **state) {
    (void)state;
    EVP_PKEY *key = fixture_p256();
    X509 *theirs = fixture_certificate(key, "SN-1", NULL);
    struct fixture_der der = certificate_der(theirs);
    struct pki_cert cert;
    bool ca;
    int path_len;
    uint16_t usage;
    enum pki_oid purposes[PKI_EKU_MAX];
    size_t count;
    struct bytes value;
    assert_int_equal(pki_cert_parse(fixture_bytes(&der), &cert), TM_OK);
    assert_int_equal(cert.extension_count, 0);
    assert_int_equal(pki_cert_basic_constraints(&cert, &ca, &path_len), TM_ENOTFOUND);
    assert_int_equal(pki_cert_key_usage(&cert, &usage), TM_ENOTFOUND);
    assert_int_equal(pki_cert_eku(&cert, purposes, &count), TM_ENOTFOUND);
    assert_int_equal(pki_cert_ski(&cert, &value), TM_ENOTFOUND);
    assert_int_equal(pki_cert_aki(&cert, &value), TM_ENOTFOUND);
    assert_int_equal(pki_cert_san(&cert, &value), TM_ENOTFOUND);
    fixture_free(&der);
    X509_free(theirs);
    EVP_PKEY_free(key);
}

/* A TBSCertificate written by hand, so that each part can be wrong alone. */
struct recipe {
    int version;        /* INTEGER in [0]; -1 = absent */
    const char *serial; /* INTEGER content */
    size_t serial_n;
    const char *not_before, *not_after;
    bool unique_id;
    size_t extension_count;
    struct pki_extension extensions[PKI_EXTENSIONS_MAX + 1];
    bool empty_extensions;
    bool trailing;
};

static const struct recipe usual = {.version = 2,
                                    .serial = "\x01",
                                    .serial_n = 1,
                                    .not_before = "260101000000Z",
                                    .not_after = "270101000000Z"};

static const uint8_t algorithm_der[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                        0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
static const uint8_t ed25519_der[] = {0x30, 0x0a, 0x30, 0x05, 0x06, 0x03,
                                      0x2b, 0x65, 0x70, 0x03, 0x01, 0x00};

static void write_extensions(struct der_writer *w, const struct recipe *r) {
    size_t end = der_mark(w);
    if (r->extension_count == 0 && !r->empty_extensions)
        return;
    for (size_t i = r->extension_count; i > 0; i--) {
        const struct pki_extension *e = &r->extensions[i - 1];
        size_t one = der_mark(w);
        der_put(w, DER_OCTET_STRING, e->value);
        if (e->critical)
            der_put_boolean(w, true);
        der_put(w, DER_OID, e->oid);
        der_wrap(w, DER_SEQUENCE, one);
    }
    der_wrap(w, DER_SEQUENCE, end);
    der_wrap(w, DER_CONTEXT_CONSTRUCTED(3), end);
}

static struct bytes write_tbs(struct der_writer *w, const struct recipe *r) {
    static const struct pki_rdn rdn = {PKI_OID_COMMON_NAME, "x"};
    size_t end = der_mark(w);
    if (r->trailing)
        der_put(w, DER_NULL, (struct bytes){0});
    write_extensions(w, r);
    if (r->unique_id)
        der_put(w, DER_CONTEXT(2), BYTES_OF(((const uint8_t[]){0x00, 0x01})));
    der_raw(w, BYTES_OF(ed25519_der));
    pki_name_write(w, &rdn, 1);
    size_t validity = der_mark(w);
    der_put(w, strlen(r->not_after) == 13 ? DER_UTC_TIME : DER_GENERALIZED_TIME,
            bytes_str(r->not_after));
    der_put(w, DER_UTC_TIME, bytes_str(r->not_before));
    der_wrap(w, DER_SEQUENCE, validity);
    pki_name_write(w, &rdn, 1);
    der_raw(w, BYTES_OF(algorithm_der));
    der_put(w, DER_INTEGER, (struct bytes){(const uint8_t *)r->serial, r->serial_n});
    if (r->version >= 0) {
        size_t version = der_mark(w);
        der_put_small(w, (uint32_t)r->version);
        der_wrap(w, DER_CONTEXT_CONSTRUCTED(0), version);
    }
    der_wrap(w, DER_SEQUENCE, end);
    return der_written(w);
}

static enum tm_err parse_recipe(const struct recipe *r, struct pki_cert *ret_cert) {
    static uint8_t memory[4096];
    struct der_writer w = der_writer_on(memory, sizeof memory);
    struct bytes tbs = write_tbs(&w, r);
    assert_false(w.full);
    return pki_tbs_parse(tbs, ret_cert);
}

static struct pki_extension extension(const char *oid, size_t oid_n, const char *value, size_t n) {
    return (struct pki_extension){.oid = {(const uint8_t *)oid, oid_n},
                                  .value = {(const uint8_t *)value, n}};
}

static void versions_and_what_they_allow(void **state) {
    (void)state;
    struct pki_cert cert;
    struct recipe r = usual;
    assert_int_equal(parse_recipe(&r, &cert), TM_OK);
    assert_int_equal(cert.version, 3);
    r.version = -1;
    assert_int_equal(parse_recipe(&r, &cert), TM_OK);
    assert_int_equal(cert.version, 1);
    r.unique_id = true; /* RFC 5280, 4.1.2.8 */
    assert_int_equal(parse_recipe(&r, &cert), TM_EPARSE);
    r.version = 1;
    assert_int_equal(parse_recipe(&r, &cert), TM_OK);
    r.extension_count = 1; /* RFC 5280, 4.1.2.9 */
    r.extensions[0] = extension("\x55\x1d\x0f", 3, "\x03\x01", 2);
    assert_int_equal(parse_recipe(&r, &cert), TM_EPARSE);
    r.version = 2;
    assert_int_equal(parse_recipe(&r, &cert), TM_OK);
    r.version = 3;
    assert_int_equal(parse_recipe(&r, &cert), TM_EPARSE);
}

static void malformed_parts_are_refused(void **state) {
    (void)state;
    struct pki_cert cert;
    const struct recipe bad[] = {
        {.version = 2, .serial = "", .not_before = "260101000000Z", .not_after = "270101000000Z"},
        {.version = 2,
         .serial = "\x00\x01",
         .serial_n = 2,
         .not_before = "260101000000Z",
         .not_after = "270101000000Z"},
        {.version = 2,
         .serial = "\x01",
         .serial_n = 1,
         .not_before = "260001000000Z",
         .not_after = "270101000000Z"},
        {.version = 2,
         .serial = "\x01",
         .serial_n = 1,
         .not_before = "260101000000Z",
         .not_after = "20270101000000+0100"},
        {.version = 2,
         .serial = "\x01",
         .serial_n = 1,
         .not_before = "260101000000Z",
         .not_after = "270101000000Z",
         .empty_extensions = true},
        {.version = 2,
         .serial = "\x01",
         .serial_n = 1,
         .not_before = "260101000000Z",
         .not_after = "270101000000Z",
         .trailing = true},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        memset(&cert, 0x5a, sizeof cert);
        struct pki_cert before = cert;
        assert_int_equal(parse_recipe(&bad[i], &cert), TM_EPARSE);
        assert_memory_equal(&cert, &before, sizeof cert);
    }
}

/* RFC 5280, 4.2: "MUST NOT include more than one instance of a particular extension" */
static void an_extension_occurs_once(void **state) {
    (void)state;
    struct pki_cert cert;
    struct recipe r = usual;
    r.extension_count = 3;
    r.extensions[0] = extension("\x55\x1d\x0e", 3, "\x04\x00", 2);
    r.extensions[1] = extension("\x2a\x03", 2, "", 0);
    r.extensions[2] = extension("\x2a\x04", 2, "", 0);
    assert_int_equal(parse_recipe(&r, &cert), TM_OK);
    r.extensions[2] = extension("\x2a\x03", 2, "x", 1);
    assert_int_equal(parse_recipe(&r, &cert), TM_EPARSE);
    r.extensions[2] = extension("\x55\x1d\x0e", 3, "", 0);
    assert_int_equal(parse_recipe(&r, &cert), TM_EPARSE);
}

static void extension_identifiers_are_valid(void **state) {
    (void)state;
    struct pki_cert cert;
    struct recipe r = usual;
    r.extension_count = 1;
    r.extensions[0] = extension("", 0, "", 0);
    assert_int_equal(parse_recipe(&r, &cert), TM_EPARSE);
    r.extensions[0] = extension("\x2a\x80\x01", 3, "", 0);
    assert_int_equal(parse_recipe(&r, &cert), TM_EPARSE);
    r.extensions[0] = extension("\x2a\x83", 2, "", 0);
    assert_int_equal(parse_recipe(&r, &cert), TM_EPARSE);
}

static void extensions_are_bounded(void **state) {
    (void)state;
    static char oids[PKI_EXTENSIONS_MAX + 1][2];
    struct pki_cert cert;
    struct recipe r = usual;
    for (size_t i = 0; i <= PKI_EXTENSIONS_MAX; i++) {
        oids[i][0] = 0x2a;
        oids[i][1] = (char)(i + 1);
        r.extensions[i] = extension(oids[i], 2, "", 0);
    }
    r.extension_count = PKI_EXTENSIONS_MAX;
    assert_int_equal(parse_recipe(&r, &cert), TM_OK);
    assert_int_equal(cert.extension_count, PKI_EXTENSIONS_MAX);
    r.extension_count = PKI_EXTENSIONS_MAX + 1;
    assert_int_equal(parse_recipe(&r, &cert), TM_ELIMIT);
}

static void malformed_extension_values_are_refused(void **state) {
    (void)state;
    bool ca;
    int path_len;
    uint16_t usage;
    enum pki_oid purposes[PKI_EKU_MAX];
    size_t count;
    struct bytes value;
    struct pki_cert cert;
    struct recipe r = usual;
    r.extension_count = 1;
#define REFUSED(oid, content, call)                                                                \
    do {                                                                                           \
        r.extensions[0] = extension(oid, 3, content, sizeof content - 1);                          \
        assert_int_equal(parse_recipe(&r, &cert), TM_OK);                                          \
        assert_int_equal(call, TM_EPARSE);                                                         \
    } while (0)
    REFUSED("\x55\x1d\x13", "", pki_cert_basic_constraints(&cert, &ca, &path_len));
    REFUSED("\x55\x1d\x13", "\x30\x03\x01\x01\x01",
            pki_cert_basic_constraints(&cert, &ca, &path_len));
    REFUSED("\x55\x1d\x13", "\x30\x06\x01\x01\xff\x02\x01\xff",
            pki_cert_basic_constraints(&cert, &ca, &path_len));
    REFUSED("\x55\x1d\x13", "\x30\x09\x01\x01\xff\x02\x04\x7f\xff\xff\xff\x00",
            pki_cert_basic_constraints(&cert, &ca, &path_len));
    REFUSED("\x55\x1d\x13", "\x30\x02\x05\x00", pki_cert_basic_constraints(&cert, &ca, &path_len));
    REFUSED("\x55\x1d\x0f", "\x03\x00", pki_cert_key_usage(&cert, &usage));
    REFUSED("\x55\x1d\x0f", "\x03\x02\x08\x80", pki_cert_key_usage(&cert, &usage));
    REFUSED("\x55\x1d\x0f", "\x03\x02\x01\x81", pki_cert_key_usage(&cert, &usage));
    REFUSED("\x55\x1d\x0f", "\x03\x01\x01", pki_cert_key_usage(&cert, &usage));
    REFUSED("\x55\x1d\x0f", "\x03\x04\x00\x80\x00\x00", pki_cert_key_usage(&cert, &usage));
    REFUSED("\x55\x1d\x0f", "\x03\x02\x07\x80\x05", pki_cert_key_usage(&cert, &usage));
    REFUSED("\x55\x1d\x25", "\x30\x00", pki_cert_eku(&cert, purposes, &count));
    REFUSED("\x55\x1d\x25", "\x30\x02\x06\x00", pki_cert_eku(&cert, purposes, &count));
    REFUSED("\x55\x1d\x25", "\x30\x02\x05\x00", pki_cert_eku(&cert, purposes, &count));
    REFUSED("\x55\x1d\x0e", "\x30\x00", pki_cert_ski(&cert, &value));
    REFUSED("\x55\x1d\x23", "\x30\x02\x80\x05", pki_cert_aki(&cert, &value));
    REFUSED("\x55\x1d\x11", "\x30\x00", pki_cert_san(&cert, &value));
#undef REFUSED
    r.extensions[0] = extension("\x55\x1d\x23", 3, "\x30\x00", 2);
    assert_int_equal(parse_recipe(&r, &cert), TM_OK);
    assert_int_equal(pki_cert_aki(&cert, &value), TM_ENOTFOUND);
    r.extensions[0] = extension("\x55\x1d\x0f", 3, "\x03\x03\x07\x80\x80", 5);
    assert_int_equal(parse_recipe(&r, &cert), TM_OK);
    assert_int_equal(pki_cert_key_usage(&cert, &usage), TM_OK);
    assert_int_equal(usage, 0x8080);
    r.extensions[0] = extension("\x55\x1d\x0f", 3, "\x03\x01\x00", 3);
    assert_int_equal(parse_recipe(&r, &cert), TM_OK);
    assert_int_equal(pki_cert_key_usage(&cert, &usage), TM_OK);
    assert_int_equal(usage, 0);
    r.extensions[0] = extension("\x55\x1d\x13", 3, "\x30\x00", 2);
    assert_int_equal(parse_recipe(&r, &cert), TM_OK);
    assert_int_equal(pki_cert_basic_constraints(&cert, &ca, &path_len), TM_OK);
    assert_false(ca);
    assert_int_equal(path_len, -1);
}

/* RFC 5280, 4.1.1.2: "This field MUST contain the same algorithm identifier as the signature field
 * in the sequence tbsCertificate". */
static void both_algorithms_are_the_same(void **state) {
    (void)state;
    EVP_PKEY *key = fixture_p256();
    X509 *theirs = fixture_certificate(key, "SN-1", NULL);
    struct fixture_der der = certificate_der(theirs);
    struct pki_cert cert;
    assert_int_equal(pki_cert_parse(fixture_bytes(&der), &cert), TM_OK);
    /* the last octet of ecdsa-with-SHA256 in the outer identifier: now SHA384 */
    der.p[cert.algorithm.p + cert.algorithm.n - 1 - der.p] = 0x03;
    assert_int_equal(pki_cert_parse(fixture_bytes(&der), &cert), TM_EPARSE);
    fixture_free(&der);
    X509_free(theirs);
    EVP_PKEY_free(key);
}

static void keys_with_wrong_parameters_are_refused(void **state) {
    (void)state;
    struct pki_spki spki;
#define RSA(parameters, key)                                                                       \
    "\x30\x1a\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01" parameters "\x03\x09\x00" key
#define SPKI(content) ((struct bytes){(const uint8_t *)(content), sizeof(content) - 1})
    /* Ed25519 with NULL (RFC 8410, 3) */
    assert_int_equal(
        pki_spki_parse(SPKI("\x30\x0c\x30\x07\x06\x03\x2b\x65\x70\x05\x00\x03\x01\x00"), &spki),
        TM_EPARSE);
    /* id-ecPublicKey without parameters (RFC 5480, 2.1.1) */
    assert_int_equal(
        pki_spki_parse(SPKI("\x30\x0e\x30\x09\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x03\x01\x00"),
                       &spki),
        TM_EPARSE);
    /* an unknown curve and an unknown algorithm parse */
    assert_int_equal(
        pki_spki_parse(
            SPKI(
                "\x30\x12\x30\x0d\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x02\x2a\x03\x03\x01\x00"),
            &spki),
        TM_OK);
    assert_int_equal(spki.algorithm, PKI_OID_EC_PUBLIC_KEY);
    assert_int_equal(spki.curve, PKI_OID_UNKNOWN);
    assert_int_equal(spki.bits, 0);
    assert_int_equal(pki_spki_parse(SPKI("\x30\x09\x30\x04\x06\x02\x2a\x03\x03\x01\x00"), &spki),
                     TM_OK);
    assert_int_equal(spki.algorithm, PKI_OID_UNKNOWN);
    /* a known identifier that names no key */
    assert_int_equal(
        pki_spki_parse(SPKI("\x30\x0a\x30\x05\x06\x03\x55\x04\x03\x03\x01\x00"), &spki), TM_OK);
    assert_int_equal(spki.algorithm, PKI_OID_UNKNOWN);
    /* RSA: parameters are NULL (RFC 3279, 2.3.1), the key is two integers */
    assert_int_equal(
        pki_spki_parse(SPKI(RSA("\x05\x00", "\x30\x06\x02\x01\x03\x02\x01\x03")), &spki), TM_OK);
    assert_int_equal(spki.bits, 2);
    assert_int_equal(
        pki_spki_parse(SPKI(RSA("\x05\x00", "\x30\x06\x02\x01\x00\x02\x01\x03")), &spki), TM_OK);
    assert_int_equal(spki.bits, 0);
    assert_int_equal(
        pki_spki_parse(SPKI(RSA("\x04\x00", "\x30\x06\x02\x01\x03\x02\x01\x03")), &spki),
        TM_EPARSE);
    assert_int_equal(
        pki_spki_parse(SPKI(RSA("\x05\x00", "\x30\x06\x02\x01\x83\x02\x01\x03")), &spki),
        TM_EPARSE);
    assert_int_equal(
        pki_spki_parse(SPKI(RSA("\x05\x00", "\x30\x06\x02\x01\x03\x03\x01\x00")), &spki),
        TM_EPARSE);
    assert_int_equal(
        pki_spki_parse(SPKI(RSA("\x05\x00", "\x31\x06\x02\x01\x03\x02\x01\x03")), &spki),
        TM_EPARSE);
    assert_int_equal(
        pki_spki_parse(SPKI("\x30\x19\x30\x0c\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
                            "\x05\x01\x03\x09\x00\x30\x06\x02\x01\x03\x02\x01\x03"),
                       &spki),
        TM_EPARSE);
#undef SPKI
#undef RSA
}

/* Every octet changed, and every length: what still parses reads the same as OpenSSL does. */
static void damaged_certificates_do_no_harm(void **state) {
    (void)state;
    EVP_PKEY *key = fixture_p256();
    STACK_OF(X509_EXTENSION) *extensions = usual_extensions();
    X509 *theirs = fixture_certificate(key, "SN-1", extensions);
    struct fixture_der der = certificate_der(theirs);
    size_t n = (size_t)der.n, same = 0;
    for (size_t i = 0; i < n; i++) {
        struct pki_cert cert;
        assert_int_equal(pki_cert_parse((struct bytes){der.p, i}, &cert), TM_EPARSE);
        uint8_t *copy = malloc(n);
        assert_non_null(copy);
        memcpy(copy, der.p, n);
        copy[i] ^= (uint8_t)(1u << (i % 8));
        const unsigned char *p = copy;
        if (pki_cert_parse((struct bytes){copy, n}, &cert) == TM_OK) {
            X509 *damaged = d2i_X509(NULL, &p, (long)n);
            if (damaged) {
                assert_same(&cert, damaged);
                same++;
            }
            X509_free(damaged);
        }
        free(copy);
    }
    assert_true(same > n / 8);
    uint8_t *longer = calloc(1, n + 1);
    assert_non_null(longer);
    memcpy(longer, der.p, n);
    struct pki_cert cert;
    assert_int_equal(pki_cert_parse((struct bytes){longer, n + 1}, &cert), TM_EPARSE);
    free(longer);
    fixture_free(&der);
    X509_free(theirs);
    EVP_PKEY_free(key);
    free_extensions(extensions);
}

/* The damage that leaves a certificate: an RDN, an extension, its critical flag or all extensions
 * less; the key's algorithm less (then the curve stands for it); another string type; another
 * curve. */
static bool still_a_certificate(const struct rewrite *r, const struct pki_cert *whole) {
    uint8_t tag = r->element.tag;
    struct bytes curve = pki_oid_bytes(PKI_OID_PRIME256V1);
    switch (r->kind) {
    case REWRITE_APPEND:
        return false;
    case REWRITE_REMOVE:
        return (r->depth == 3 && tag == DER_SET) || (r->depth == 2 && tag == 0xa3) ||
               (r->depth == 4 && tag == DER_SEQUENCE && r->element.whole.p > whole->spki.whole.p) ||
               (r->depth == 5 && tag == DER_BOOLEAN) ||
               bytes_equal(r->element.value, pki_oid_bytes(PKI_OID_EC_PUBLIC_KEY));
    case REWRITE_RETAG:
        return (r->depth == 5 && (tag == DER_UTF8_STRING || tag == DER_PRINTABLE_STRING)) ||
               bytes_equal(r->element.value, curve);
    }
    return false;
}

static void damaged_structure_is_refused(void **state) {
    (void)state;
    EVP_PKEY *key = fixture_p256();
    STACK_OF(X509_EXTENSION) *extensions = usual_extensions();
    X509 *theirs = fixture_certificate(key, "SN-1", extensions);
    struct fixture_der der = certificate_der(theirs);
    struct pki_cert whole, cert;
    assert_int_equal(pki_cert_parse(fixture_bytes(&der), &whole), TM_OK);
    size_t elements = rewrite_count(fixture_bytes(&der));
    for (int kind = REWRITE_APPEND; kind <= REWRITE_RETAG; kind++) {
        for (size_t i = 0; i < elements; i++) {
            uint8_t memory[2048];
            struct rewrite r = {.kind = (enum rewrite_kind)kind, .target = i};
            struct bytes damaged = rewrite_der(fixture_bytes(&der), &r, memory, sizeof memory);
            if (r.applied)
                assert_int_equal(pki_cert_parse(damaged, &cert),
                                 still_a_certificate(&r, &whole) ? TM_OK : TM_EPARSE);
        }
    }
    fixture_free(&der);
    X509_free(theirs);
    EVP_PKEY_free(key);
    free_extensions(extensions);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_openssls),
        cmocka_unit_test(extensions_are_read),
        cmocka_unit_test(absent_extensions_are_not_found),
        cmocka_unit_test(versions_and_what_they_allow),
        cmocka_unit_test(malformed_parts_are_refused),
        cmocka_unit_test(an_extension_occurs_once),
        cmocka_unit_test(extension_identifiers_are_valid),
        cmocka_unit_test(extensions_are_bounded),
        cmocka_unit_test(malformed_extension_values_are_refused),
        cmocka_unit_test(both_algorithms_are_the_same),
        cmocka_unit_test(keys_with_wrong_parameters_are_refused),
        cmocka_unit_test(damaged_structure_is_refused),
        cmocka_unit_test(damaged_certificates_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
