/* SPDX-License-Identifier: Apache-2.0 */
/* SignedData of one signer: OpenSSL verifies ours, we read OpenSSL's, and each part is checked. */
#include "der_rewrite.h"
#include "pki_fixture.h"

#include <openssl/cms.h>

#include "est/wire/signed_data.h"
#include "pki/cert.h"

#define B(...) BYTES_OF(((const uint8_t[]){__VA_ARGS__}))
#define SIGNING_TIME_MS INT64_C(1790000000000) /* 2026-09-21 */
#define AFTER_2049_MS INT64_C(2600000000000)   /* 2052-05-22 */

static const uint8_t hello[] = "what a PKIData would be";

struct signer {
    EVP_PKEY *key;
    X509 *cert;
    struct fixture_der der;
    struct pki_cert view;
    struct bytes key_id;
};

static int make_signer(void **state) {
    struct signer *s = calloc(1, sizeof *s);
    STACK_OF(X509_EXTENSION) *extensions = NULL;
    assert_non_null(s);
    s->key = fixture_p256();
    fixture_extension(&extensions, NID_subject_key_identifier, "A1B2C3D4");
    s->cert = fixture_certificate(s->key, "SN-1", extensions);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    FIXTURE_I2D(&s->der, X509, s->cert);
    assert_int_equal(pki_cert_parse(fixture_bytes(&s->der), &s->view), TM_OK);
    assert_int_equal(pki_cert_ski(&s->view, &s->key_id), TM_OK);
    *state = s;
    return 0;
}

static int free_signer(void **state) {
    struct signer *s = *state;
    X509_free(s->cert);
    EVP_PKEY_free(s->key);
    fixture_free(&s->der);
    free(s);
    return 0;
}

static const EVP_MD *md_of(enum pki_oid digest) {
    return digest == PKI_OID_SHA256   ? EVP_sha256()
           : digest == PKI_OID_SHA384 ? EVP_sha384()
                                      : EVP_sha512();
}

static struct bytes digest_of(struct bytes content, enum pki_oid digest,
                              uint8_t memory[EVP_MAX_MD_SIZE]) {
    unsigned n = 0;
    assert_true(EVP_Digest(content.p, content.n, memory, &n, md_of(digest), NULL));
    return (struct bytes){memory, n};
}

static struct bytes sign(EVP_PKEY *key, enum pki_oid digest, struct bytes message, uint8_t *memory,
                         size_t cap) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t n = cap;
    assert_true(EVP_DigestSignInit(ctx, NULL, md_of(digest), NULL, key));
    assert_true(EVP_DigestSign(ctx, memory, &n, message.p, message.n));
    EVP_MD_CTX_free(ctx);
    return (struct bytes){memory, n};
}

static bool verifies(EVP_PKEY *key, enum pki_oid digest, struct bytes message,
                     struct bytes signature) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_true(EVP_DigestVerifyInit(ctx, NULL, md_of(digest), NULL, key));
    int result = EVP_DigestVerify(ctx, signature.p, signature.n, message.p, message.n);
    EVP_MD_CTX_free(ctx);
    return result == 1;
}

static struct bytes ecdsa(enum pki_oid digest) {
    static const uint8_t algorithms[][12] = {
        {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02},
        {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03},
        {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04}};
    return BYTES_OF(algorithms[digest == PKI_OID_SHA256 ? 0 : digest == PKI_OID_SHA384 ? 1 : 2]);
}

/* One message with all its memory. */
struct made {
    uint8_t digest[EVP_MAX_MD_SIZE];
    uint8_t attributes[EST_SIGNED_ATTRIBUTES_MAX];
    uint8_t signature[256];
    uint8_t memory[4096];
    struct est_signed message;
    struct buf out;
};

static void make(const struct signer *s, enum pki_oid digest, bool by_key_id, int64_t time,
                 struct made *m) {
    *m = (struct made){.out = BUF_ON(m->memory)};
    struct buf attributes = BUF_ON(m->attributes);
    m->message = (struct est_signed){
        .content_type = PKI_OID_CCT_PKI_DATA,
        .content = BYTES_OF(hello),
        .certificates = fixture_bytes(&s->der),
        .has_signer = true,
        .signer = by_key_id
                      ? (struct est_signer_id){.key_id = s->key_id}
                      : (struct est_signer_id){.issuer = s->view.issuer, .serial = s->view.serial},
        .digest = digest,
        .algorithm = ecdsa(digest),
    };
    assert_int_equal(est_signed_attributes_write(PKI_OID_CCT_PKI_DATA,
                                                 digest_of(BYTES_OF(hello), digest, m->digest),
                                                 time, &attributes),
                     TM_OK);
    m->message.attributes = buf_bytes(&attributes);
    m->message.signature =
        sign(s->key, digest, buf_bytes(&attributes), m->signature, sizeof m->signature);
    assert_int_equal(est_signed_write(&m->message, &m->out), TM_OK);
}

static CMS_ContentInfo *parse(struct bytes der) {
    const unsigned char *p = der.p;
    CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)der.n);
    assert_non_null(cms);
    assert_ptr_equal(p, der.p + der.n);
    return cms;
}

/* Does OpenSSL verify it, with the signer's certificate from the bag? */
static bool openssl_verifies(struct bytes der) {
    CMS_ContentInfo *cms = parse(der);
    BIO *content = BIO_new(BIO_s_mem());
    bool good =
        CMS_verify(cms, NULL, NULL, NULL, content, CMS_NO_SIGNER_CERT_VERIFY | CMS_BINARY) == 1;
    char *data;
    long n = BIO_get_mem_data(content, &data);
    if (good)
        assert_bytes_equal((struct bytes){(uint8_t *)data, (size_t)n}, BYTES_OF(hello));
    BIO_free(content);
    CMS_ContentInfo_free(cms);
    return good;
}

/* What was read is what was written. */
static void assert_read_back(const struct made *m, int64_t time) {
    struct est_signed back;
    uint8_t memory[EST_SIGNED_ATTRIBUTES_MAX];
    struct buf set = BUF_ON(memory);
    assert_int_equal(est_signed_read(buf_bytes(&m->out), &back), TM_OK);
    assert_int_equal(back.content_type, m->message.content_type);
    assert_bytes_equal(back.content, m->message.content);
    assert_bytes_equal(back.certificates, m->message.certificates);
    assert_true(back.has_signer);
    assert_bytes_equal(back.signer.issuer, m->message.signer.issuer);
    assert_bytes_equal(back.signer.serial, m->message.signer.serial);
    assert_bytes_equal(back.signer.key_id, m->message.signer.key_id);
    assert_int_equal(back.digest, m->message.digest);
    assert_bytes_equal(back.algorithm, m->message.algorithm);
    assert_bytes_equal(back.signature, m->message.signature);
    assert_int_equal(back.signing_time_ms, time);
    assert_memory_equal(back.message_digest.p, m->digest, back.message_digest.n);
    assert_int_equal(est_signed_attributes_message(&back, &set), TM_OK);
    assert_bytes_equal(buf_bytes(&set), m->message.attributes);
}

static void openssl_verifies_ours(void **state) {
    const struct signer *s = *state;
    static const enum pki_oid digests[] = {PKI_OID_SHA256, PKI_OID_SHA384, PKI_OID_SHA512};
    static const int64_t times[] = {0, SIGNING_TIME_MS, AFTER_2049_MS};
    struct made m;
    for (size_t i = 0; i < 18; i++) {
        int64_t time = times[i / 3 % 3];
        make(s, digests[i % 3], i / 9, time, &m);
        assert_true(openssl_verifies(buf_bytes(&m.out)));
        assert_read_back(&m, time);
        /* the last octet of the signature, and one of the content */
        m.memory[m.out.n - 1] ^= 1;
        assert_false(openssl_verifies(buf_bytes(&m.out)));
    }
}

/* RFC 5652, 5.3 and 11.3: a signing time as OpenSSL reads it. */
static void signing_times_are_openssls(void **state) {
    const struct signer *s = *state;
    static const int64_t times[] = {SIGNING_TIME_MS, AFTER_2049_MS};
    struct made m;
    for (size_t i = 0; i < 2; i++) {
        make(s, PKI_OID_SHA256, false, times[i], &m);
        CMS_ContentInfo *cms = parse(buf_bytes(&m.out));
        CMS_SignerInfo *si = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(cms), 0);
        int at = CMS_signed_get_attr_by_NID(si, NID_pkcs9_signingTime, -1);
        ASN1_TYPE *type = X509_ATTRIBUTE_get0_type(CMS_signed_get_attr(si, at), 0);
        assert_int_equal(type->type, i == 0 ? V_ASN1_UTCTIME : V_ASN1_GENERALIZEDTIME);
        ASN1_TIME *expected = ASN1_TIME_set(NULL, times[i] / 1000);
        assert_int_equal(ASN1_TIME_compare((ASN1_TIME *)type->value.asn1_string, expected), 0);
        ASN1_TIME_free(expected);
        CMS_ContentInfo_free(cms);
    }
}

/* As a foreign client signs a PKIData. */
static struct fixture_der openssl_signs(const struct signer *s, unsigned flags, const EVP_MD *md) {
    struct fixture_der der;
    BIO *bio = BIO_new_mem_buf(hello, sizeof hello);
    CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, CMS_PARTIAL | CMS_BINARY);
    assert_non_null(cms);
    assert_true(CMS_set1_eContentType(cms, OBJ_nid2obj(NID_id_cct_PKIData)));
    assert_non_null(CMS_add1_signer(cms, s->cert, s->key, md, flags));
    assert_true(CMS_final(cms, bio, NULL, CMS_BINARY));
    FIXTURE_I2D(&der, CMS_ContentInfo, cms);
    CMS_ContentInfo_free(cms);
    BIO_free(bio);
    return der;
}

static void we_verify_openssls(void **state) {
    const struct signer *s = *state;
    static const enum pki_oid digests[] = {PKI_OID_SHA256, PKI_OID_SHA384, PKI_OID_SHA512};
    uint8_t digest[EVP_MAX_MD_SIZE], memory[1024];
    for (size_t i = 0; i < 6; i++) {
        struct fixture_der der = openssl_signs(s, i / 3 ? CMS_USE_KEYID : 0, md_of(digests[i % 3]));
        struct est_signed message;
        struct buf set = BUF_ON(memory);
        assert_int_equal(est_signed_read(fixture_bytes(&der), &message), TM_OK);
        assert_int_equal(message.content_type, PKI_OID_CCT_PKI_DATA);
        assert_bytes_equal(message.content, BYTES_OF(hello));
        assert_bytes_equal(message.certificates, fixture_bytes(&s->der));
        assert_int_equal(message.digest, digests[i % 3]);
        assert_bytes_equal(message.message_digest,
                           digest_of(BYTES_OF(hello), digests[i % 3], digest));
        assert_true(message.signing_time_ms > SIGNING_TIME_MS / 2);
        assert_bytes_equal(message.signer.key_id, i / 3 ? s->key_id : (struct bytes){0});
        assert_bytes_equal(message.signer.issuer, i / 3 ? (struct bytes){0} : s->view.issuer);
        assert_bytes_equal(message.signer.serial, i / 3 ? (struct bytes){0} : s->view.serial);
        assert_int_equal(est_signed_attributes_message(&message, &set), TM_OK);
        assert_true(verifies(s->key, message.digest, buf_bytes(&set), message.signature));
        fixture_free(&der);
    }
}

static void without_a_signer_there_are_only_certificates(void **state) {
    const struct signer *s = *state;
    uint8_t memory[2048];
    struct buf out = BUF_ON(memory);
    struct est_signed back, message = {.content_type = PKI_OID_CCT_PKI_RESPONSE,
                                       .content = BYTES_OF(hello),
                                       .certificates = fixture_bytes(&s->der)};
    assert_int_equal(est_signed_write(&message, &out), TM_OK);
    assert_int_equal(est_signed_read(buf_bytes(&out), &back), TM_OK);
    assert_false(back.has_signer);
    assert_int_equal(back.content_type, PKI_OID_CCT_PKI_RESPONSE);
    assert_bytes_equal(back.content, BYTES_OF(hello));
    assert_bytes_equal(back.certificates, fixture_bytes(&s->der));
    CMS_ContentInfo *cms = parse(buf_bytes(&out));
    assert_true(sk_CMS_SignerInfo_num(CMS_get0_SignerInfos(cms)) <= 0);
    STACK_OF(X509) *certs = CMS_get1_certs(cms);
    assert_int_equal(sk_X509_num(certs), 1);
    sk_X509_pop_free(certs, X509_free);
    CMS_ContentInfo_free(cms);
    /* neither content nor certificates: RFC 5272, 3.2.1.3.4 */
    message = (struct est_signed){.content_type = PKI_OID_CCT_PKI_RESPONSE};
    out.n = 0;
    assert_int_equal(est_signed_write(&message, &out), TM_OK);
    assert_int_equal(est_signed_read(buf_bytes(&out), &back), TM_OK);
    assert_int_equal(back.content.n, 0);
    assert_int_equal(back.certificates.n, 0);
}

/* ---- Refusals ---- */

#define OID_SIGNED_DATA 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02
#define OID_PKI_DATA 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x0c, 0x02
#define OID_PKI_RESPONSE 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x0c, 0x03
#define OID_SHA256 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01
#define CONTENT_TYPE_OID 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03
#define MESSAGE_DIGEST_OID 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04
#define SIGNING_TIME_OID 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x05
#define UTC_TIME 0x17, 0x0d, '2', '6', '0', '1', '0', '2', '0', '3', '0', '4', '0', '5', 'Z'
#define CONTENT_TYPE 0x30, 0x17, CONTENT_TYPE_OID, 0x31, 0x0a, OID_PKI_DATA
#define MESSAGE_DIGEST 0x30, 0x11, MESSAGE_DIGEST_OID, 0x31, 0x04, 0x04, 0x02, 0xaa, 0xbb
#define SIGNING_TIME 0x30, 0x1c, SIGNING_TIME_OID, 0x31, 0x0f, UTC_TIME

/* A message of parts, each of which can be wrong alone. */
struct recipe {
    struct bytes type;         /* of ContentInfo */
    struct bytes beside;       /* SignedData */
    struct bytes behind;       /* the ContentInfo */
    struct bytes version;      /* of SignedData */
    struct bytes digests;      /* content of digestAlgorithms */
    struct bytes content;      /* content of encapContentInfo */
    struct bytes certificates; /* whole */
    struct bytes crls;         /* whole */
    struct bytes signer;       /* replaces the whole of what comes next */
    struct bytes signer_version, sid, digest, attributes_content, attributes, algorithm, signature,
        unsigned_attributes;
    size_t signers;
    struct bytes end; /* of SignedData */
};

static struct recipe good(void) {
    static const uint8_t type[] = {OID_SIGNED_DATA}, version[] = {0x02, 0x01, 0x03},
                         content[] = {OID_PKI_DATA, 0xa0, 0x03, 0x04, 0x01, 0x05},
                         signer_version[] = {0x02, 0x01, 0x01},
                         sid[] = {0x30, 0x05, 0x30, 0x00, 0x02, 0x01, 0x07},
                         digest[] = {0x30, 0x0b, OID_SHA256},
                         attributes[] = {CONTENT_TYPE, SIGNING_TIME, MESSAGE_DIGEST},
                         algorithm[] = {0x30, 0x03, 0x06, 0x01, 0x2a},
                         signature[] = {0x04, 0x01, 0x99};
    return (struct recipe){.type = BYTES_OF(type),
                           .version = BYTES_OF(version),
                           .content = BYTES_OF(content),
                           .signer_version = BYTES_OF(signer_version),
                           .sid = BYTES_OF(sid),
                           .digest = BYTES_OF(digest),
                           .attributes_content = BYTES_OF(attributes),
                           .algorithm = BYTES_OF(algorithm),
                           .signature = BYTES_OF(signature),
                           .signers = 1};
}

static void cook_signer(struct der_writer *w, const struct recipe *r) {
    size_t mark = der_mark(w);
    if (r->signer.n > 0) {
        der_raw(w, r->signer);
        return;
    }
    der_raw(w, r->unsigned_attributes);
    der_raw(w, r->signature);
    der_raw(w, r->algorithm);
    if (r->attributes.n > 0)
        der_raw(w, r->attributes);
    else if (r->attributes_content.n > 0)
        der_put(w, DER_CONTEXT_CONSTRUCTED(0), r->attributes_content);
    der_raw(w, r->digest);
    der_raw(w, r->sid);
    der_raw(w, r->signer_version);
    der_wrap(w, DER_SEQUENCE, mark);
}

static enum tm_err cook(const struct recipe *r) {
    uint8_t memory[1024];
    struct est_signed message = {.signing_time_ms = 77};
    struct der_writer w = der_writer_on(memory, sizeof memory);
    der_raw(&w, r->behind);
    size_t end = der_mark(&w);
    der_raw(&w, r->beside);
    size_t signed_data = der_mark(&w);
    der_raw(&w, r->end);
    size_t signers = der_mark(&w);
    for (size_t i = 0; i < r->signers; i++)
        cook_signer(&w, r);
    der_wrap(&w, DER_SET, signers);
    der_raw(&w, r->crls);
    der_raw(&w, r->certificates);
    der_put(&w, DER_SEQUENCE, r->content);
    der_put(&w, DER_SET, r->digests);
    der_raw(&w, r->version);
    der_wrap(&w, DER_SEQUENCE, signed_data);
    der_wrap(&w, DER_CONTEXT_CONSTRUCTED(0), end);
    der_raw(&w, r->type);
    der_wrap(&w, DER_SEQUENCE, end);
    assert_false(w.full);
    enum tm_err err = est_signed_read(der_written(&w), &message);
    if (err)
        assert_int_equal(message.signing_time_ms, 77);
    return err;
}

#define COOK(expected, ...)                                                                        \
    do {                                                                                           \
        struct recipe r = good();                                                                  \
        __VA_ARGS__;                                                                               \
        assert_int_equal(cook(&r), (expected));                                                    \
    } while (0)
#define REFUSED(part, ...) COOK(TM_EPARSE, r.part = B(__VA_ARGS__))
#define TAKEN(part, ...) COOK(TM_OK, r.part = B(__VA_ARGS__))

static void the_envelope_is_checked(void **state) {
    (void)state;
    COOK(TM_OK, (void)r);
    REFUSED(type, OID_PKI_DATA);
    REFUSED(beside, 0x05, 0x00);
    REFUSED(behind, 0x05, 0x00);
    REFUSED(version, 0x02, 0x01, 0x00);
    REFUSED(version, 0x02, 0x01, 0x06);
    REFUSED(version, 0x02, 0x01, 0x83);
    REFUSED(version, 0x02, 0x02, 0x00, 0x03);
    TAKEN(version, 0x02, 0x01, 0x05);
    REFUSED(digests, 0x05, 0x00);
    REFUSED(digests, 0x30, 0x00);
    REFUSED(digests, 0x30, 0x04, 0x06, 0x02, 0x80, 0x01);
    REFUSED(digests, 0x30, 0x07, 0x06, 0x01, 0x2a, 0x05, 0x00, 0x05, 0x00);
    TAKEN(digests, 0x30, 0x05, 0x06, 0x01, 0x2a, 0x05, 0x00, 0x30, 0x03, 0x06, 0x01, 0x2b);
    REFUSED(end, 0x05, 0x00);
    COOK(TM_OK, r.signers = 0);
    COOK(TM_ELIMIT, r.signers = 2);
    REFUSED(signer, 0x31, 0x00);
    REFUSED(signer, 0x30, 0x00);
}

static void content_and_bags_are_checked(void **state) {
    (void)state;
    REFUSED(content, 0x05, 0x00);
    REFUSED(content, 0x06, 0x02, 0x80, 0x01);
    REFUSED(content, OID_PKI_DATA, 0xa0, 0x00);
    REFUSED(content, OID_PKI_DATA, 0x04, 0x01, 0x05);
    REFUSED(content, OID_PKI_DATA, 0xa0, 0x05, 0x24, 0x03, 0x04, 0x01, 0x05); /* BER, in parts */
    REFUSED(content, OID_PKI_DATA, 0xa0, 0x05, 0x04, 0x01, 0x05, 0x05, 0x00);
    REFUSED(content, OID_PKI_DATA, 0xa0, 0x03, 0x04, 0x01, 0x05, 0x05, 0x00);
    TAKEN(content, OID_PKI_DATA);
    TAKEN(certificates, 0xa0, 0x02, 0x30, 0x00);
    TAKEN(certificates, 0xa0, 0x00);
    /* RFC 5652, 10.2.2: an attribute certificate, another certificate format */
    REFUSED(certificates, 0xa0, 0x04, 0x30, 0x00, 0xa2, 0x00);
    REFUSED(certificates, 0xa0, 0x02, 0xa3, 0x00);
    TAKEN(crls, 0xa1, 0x02, 0x30, 0x00);
    REFUSED(crls, 0xa2, 0x02, 0x30, 0x00);
}

static void the_signer_is_checked(void **state) {
    (void)state;
    /* RFC 5652, 5.3: version 1 with issuer and serial, 3 with a key identifier */
    REFUSED(signer_version, 0x02, 0x01, 0x03);
    REFUSED(signer_version, 0x05, 0x00);
    REFUSED(sid, 0x80, 0x01, 0xaa);
    COOK(TM_OK, r.sid = B(0x80, 0x01, 0xaa); r.signer_version = B(0x02, 0x01, 0x03));
    COOK(TM_EPARSE, r.sid = B(0x80, 0x00); r.signer_version = B(0x02, 0x01, 0x03));
    COOK(TM_EPARSE, r.sid = B(0xa0, 0x01, 0xaa); r.signer_version = B(0x02, 0x01, 0x03));
    REFUSED(sid, 0x30, 0x03, 0x02, 0x01, 0x07);
    REFUSED(sid, 0x30, 0x07, 0x30, 0x02, 0x05, 0x00, 0x02, 0x01, 0x07);
    REFUSED(sid, 0x30, 0x06, 0x30, 0x00, 0x02, 0x02, 0x00, 0x07);
    REFUSED(sid, 0x30, 0x04, 0x30, 0x00, 0x02, 0x00);
    REFUSED(sid, 0x30, 0x07, 0x30, 0x00, 0x02, 0x01, 0x07, 0x05, 0x00);
    TAKEN(sid, 0x30, 0x05, 0x30, 0x00, 0x02, 0x01, 0x87); /* RFC 5280 has no such serial; some do */
    REFUSED(digest, 0x31, 0x0b, OID_SHA256);
    REFUSED(digest, 0x30, 0x00);
    REFUSED(digest, 0x30, 0x0e, OID_SHA256, 0x02, 0x01, 0x00);
    REFUSED(digest, 0x30, 0x0f, OID_SHA256, 0x05, 0x00, 0x05, 0x00);
    TAKEN(digest, 0x30, 0x0d, OID_SHA256, 0x05, 0x00);
    REFUSED(algorithm, 0x31, 0x03, 0x06, 0x01, 0x2a);
    REFUSED(algorithm, 0x30, 0x00);
    REFUSED(algorithm, 0x30, 0x04, 0x06, 0x02, 0x80, 0x01);
    TAKEN(algorithm, 0x30, 0x05, 0x06, 0x01, 0x2a, 0x30, 0x00);
    REFUSED(signature, 0x04, 0x00);
    REFUSED(signature, 0x03, 0x02, 0x00, 0x99);
    TAKEN(unsigned_attributes, 0xa1, 0x02, 0x30, 0x00);
    REFUSED(unsigned_attributes, 0xa2, 0x02, 0x30, 0x00);
    REFUSED(unsigned_attributes, 0xa1, 0x00, 0x05, 0x00);
}

static void signed_attributes_are_checked(void **state) {
    (void)state;
    COOK(TM_EPARSE, r.attributes_content = (struct bytes){0});
    REFUSED(attributes, 0x31, 0x2c, CONTENT_TYPE, MESSAGE_DIGEST);
    TAKEN(attributes_content, CONTENT_TYPE, MESSAGE_DIGEST);
    TAKEN(attributes_content, MESSAGE_DIGEST, 0x30, 0x05, 0x06, 0x01, 0x2a, 0x31, 0x00,
          CONTENT_TYPE);
    /* RFC 5652, 11.1 and 11.2: both are there, once, with one value */
    REFUSED(attributes_content, CONTENT_TYPE);
    REFUSED(attributes_content, MESSAGE_DIGEST);
    REFUSED(attributes_content, CONTENT_TYPE, CONTENT_TYPE, MESSAGE_DIGEST);
    REFUSED(attributes_content, CONTENT_TYPE, MESSAGE_DIGEST, MESSAGE_DIGEST);
    REFUSED(attributes_content, CONTENT_TYPE, SIGNING_TIME, SIGNING_TIME, MESSAGE_DIGEST);
    REFUSED(attributes_content, 0x30, 0x17, CONTENT_TYPE_OID, 0x31, 0x0a, OID_PKI_RESPONSE,
            MESSAGE_DIGEST);
    REFUSED(attributes_content, 0x30, 0x21, CONTENT_TYPE_OID, 0x31, 0x14, OID_PKI_DATA,
            OID_PKI_DATA, MESSAGE_DIGEST);
    REFUSED(attributes_content, 0x30, 0x0d, CONTENT_TYPE_OID, 0x31, 0x00, MESSAGE_DIGEST);
    REFUSED(attributes_content, 0x30, 0x17, CONTENT_TYPE_OID, 0x30, 0x0a, OID_PKI_DATA,
            MESSAGE_DIGEST);
    REFUSED(attributes_content, CONTENT_TYPE, 0x30, 0x0f, MESSAGE_DIGEST_OID, 0x31, 0x02, 0x04,
            0x00);
    REFUSED(attributes_content, CONTENT_TYPE, 0x30, 0x10, MESSAGE_DIGEST_OID, 0x31, 0x03, 0x0c,
            0x01, 'a');
    REFUSED(attributes_content, CONTENT_TYPE, 0x30, 0x13, MESSAGE_DIGEST_OID, 0x31, 0x04, 0x04,
            0x02, 0xaa, 0xbb, 0x05, 0x00);
    REFUSED(attributes_content, CONTENT_TYPE, MESSAGE_DIGEST, 0x30, 0x0f, SIGNING_TIME_OID, 0x31,
            0x02, 0x17, 0x00);
    REFUSED(attributes_content, CONTENT_TYPE, MESSAGE_DIGEST, 0x31, 0x00);
    REFUSED(attributes_content, CONTENT_TYPE, MESSAGE_DIGEST, 0x30, 0x06, 0x06, 0x02, 0x80, 0x01,
            0x31, 0x00);
    uint8_t memory[256];
    for (size_t n = EST_DIGEST_MAX; n <= EST_DIGEST_MAX + 1; n++) {
        static const uint8_t digest[EST_DIGEST_MAX + 1], oid[] = {MESSAGE_DIGEST_OID},
                                                         type[] = {CONTENT_TYPE};
        struct der_writer w = der_writer_on(memory, sizeof memory);
        size_t end = der_mark(&w);
        der_put(&w, DER_OCTET_STRING, (struct bytes){digest, n});
        der_wrap(&w, DER_SET, end);
        der_raw(&w, BYTES_OF(oid));
        der_wrap(&w, DER_SEQUENCE, end);
        der_raw(&w, BYTES_OF(type));
        COOK(n == EST_DIGEST_MAX ? TM_OK : TM_EPARSE, r.attributes_content = der_written(&w));
    }
}

/* RFC 5652, 5.3: content that is not id-data has signed attributes, and their type is its own. */
static void other_contents_are_told_apart(void **state) {
    const struct signer *s = *state;
    BIO *bio = BIO_new_mem_buf(hello, sizeof hello);
    static const unsigned flags[] = {CMS_BINARY, CMS_BINARY | CMS_NOATTR};
    for (size_t i = 0; i < 2; i++) {
        CMS_ContentInfo *cms = CMS_sign(s->cert, s->key, NULL, bio, flags[i]);
        struct fixture_der der;
        struct est_signed message;
        assert_non_null(cms);
        FIXTURE_I2D(&der, CMS_ContentInfo, cms);
        assert_int_equal(est_signed_read(fixture_bytes(&der), &message), i ? TM_EPARSE : TM_OK);
        if (i == 0)
            assert_int_equal(message.content_type, PKI_OID_UNKNOWN);
        fixture_free(&der);
        CMS_ContentInfo_free(cms);
        (void)BIO_reset(bio);
    }
    BIO_free(bio);
}

static void two_signers_are_too_many(void **state) {
    const struct signer *s = *state;
    BIO *bio = BIO_new_mem_buf(hello, sizeof hello);
    CMS_ContentInfo *cms = CMS_sign(s->cert, s->key, NULL, NULL, CMS_PARTIAL | CMS_BINARY);
    assert_non_null(CMS_add1_signer(cms, s->cert, s->key, EVP_sha384(), CMS_NOCERTS));
    assert_true(CMS_final(cms, bio, NULL, CMS_BINARY));
    struct fixture_der der;
    struct est_signed message;
    FIXTURE_I2D(&der, CMS_ContentInfo, cms);
    assert_int_equal(est_signed_read(fixture_bytes(&der), &message), TM_ELIMIT);
    fixture_free(&der);
    CMS_ContentInfo_free(cms);
    BIO_free(bio);
}

static void what_would_not_be_read_is_not_written(void **state) {
    const struct signer *s = *state;
    struct made m;
    make(s, PKI_OID_SHA256, false, SIGNING_TIME_MS, &m);
    const struct est_signed whole = m.message;
    struct est_signed bad[16];
    size_t n = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        bad[i] = whole;
    bad[n++].content_type = PKI_OID_UNKNOWN;
    bad[n++].content_type = PKI_OID_DATA;
    bad[n++].content_type = PKI_OID_CCT_PKI_RESPONSE; /* the attributes say another */
    bad[n++].digest = PKI_OID_UNKNOWN;
    bad[n++].digest = PKI_OID_HMAC_SHA256;
    bad[n++].signature = (struct bytes){0};
    bad[n++].algorithm = (struct bytes){0};
    bad[n++].algorithm = B(0x30, 0x00, 0x04, 0x00);
    bad[n++].signer.issuer = (struct bytes){0};
    bad[n++].signer.serial = (struct bytes){0};
    bad[n++].signer.serial = B(0x00, 0x01);
    bad[n++].attributes = (struct bytes){0};
    bad[n++].attributes = B(0x31, 0x00);
    bad[n++].attributes.p++;
    bad[n++].certificates = bytes_str("junk");
    bad[n++].certificates.n--;
    assert_int_equal(n, sizeof bad / sizeof *bad);
    for (size_t i = 0; i < n; i++) {
        m.out.n = 0;
        assert_int_equal(est_signed_write(&bad[i], &m.out), TM_EINVAL);
        assert_int_equal(m.out.n, 0);
    }
    static const uint8_t digest[EST_DIGEST_MAX + 1];
    struct buf out = BUF_ON(m.memory);
    static const struct {
        enum pki_oid type;
        size_t n;
    } attributes[] = {{PKI_OID_CCT_PKI_DATA, 31},
                      {PKI_OID_CCT_PKI_DATA, EST_DIGEST_MAX + 1},
                      {PKI_OID_UNKNOWN, 32},
                      {PKI_OID_DATA, 32}};
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++)
        assert_int_equal(est_signed_attributes_write(
                             attributes[i].type, (struct bytes){digest, attributes[i].n}, 0, &out),
                         TM_EINVAL);
    assert_int_equal(out.n, 0);
}

/* ---- Damage ---- */

static enum tm_err read_exact(struct bytes in, struct est_signed *ret) {
    uint8_t *exact = malloc(in.n ? in.n : 1);
    assert_non_null(exact);
    if (in.n > 0)
        memcpy(exact, in.p, in.n);
    enum tm_err err = est_signed_read((struct bytes){exact, in.n}, ret);
    if (err == TM_OK)
        assert_true(ret->content.p >= exact && ret->content.p + ret->content.n <= exact + in.n);
    free(exact);
    return err;
}

static void every_cut_and_every_octet_changed_is_read_without_fault(void **state) {
    const struct signer *s = *state;
    struct est_signed message;
    struct made m;
    make(s, PKI_OID_SHA256, false, SIGNING_TIME_MS, &m);
    for (size_t n = 0; n < m.out.n; n++)
        assert_int_equal(read_exact((struct bytes){m.memory, n}, &message), TM_EPARSE);
    static const uint8_t flips[] = {0x01, 0x20, 0x80, 0x81, 0xff};
    for (size_t i = 0; i < m.out.n * sizeof flips; i++) {
        uint8_t *octet = &m.memory[i / sizeof flips], kept = *octet;
        *octet ^= flips[i % sizeof flips];
        (void)read_exact(buf_bytes(&m.out), &message);
        *octet = kept;
    }
    assert_read_back(&m, SIGNING_TIME_MS);
}

static bool within(struct bytes part, struct bytes whole) {
    return part.p >= whole.p && part.p + part.n <= whole.p + whole.n;
}

/* Which damage of one element leaves a message that is well formed? */
static bool still_a_message(const struct rewrite *r, const struct est_signed *whole) {
    struct bytes element = r->element.whole, octets = r->element.value;
    if (within(element, whole->certificates)) /* they are only counted */
        return r->kind == REWRITE_RETAG ? !bytes_equal(element, whole->certificates) : true;
    bool algorithm = bytes_equal(element, whole->algorithm);
    switch (r->kind) {
    case REWRITE_APPEND: /* a parameter; the digest has none, its NULL is read */
        return r->element.tag == DER_SEQUENCE && (algorithm || r->depth == 5 || r->depth == 4) &&
               octets.n > 0 && octets.p[0] == DER_OID && octets.n == (size_t)octets.p[1] + 2;
    case REWRITE_REMOVE: /* certificates; eContent; signing-time; a digest algorithm; the signer */
        return bytes_equal(octets, whole->certificates) || octets.p == whole->content.p - 2 ||
               (r->depth == 6 && octets.n > 11 && octets.p[10] == 0x05) ||
               (r->depth == 4 && r->element.tag == DER_SEQUENCE &&
                (octets.n == 11 || octets.p[0] == DER_INTEGER));
    case REWRITE_RETAG:
        return false;
    }
    return false;
}

static void damaged_structure_is_refused(void **state) {
    const struct signer *s = *state;
    struct made m;
    make(s, PKI_OID_SHA256, true, SIGNING_TIME_MS, &m);
    struct est_signed whole, message;
    assert_int_equal(est_signed_read(buf_bytes(&m.out), &whole), TM_OK);
    size_t elements = rewrite_count(buf_bytes(&m.out));
    for (int kind = REWRITE_APPEND; kind <= REWRITE_RETAG; kind++) {
        for (size_t i = 0; i < elements; i++) {
            uint8_t memory[4096];
            struct rewrite r = {.kind = (enum rewrite_kind)kind, .target = i};
            struct bytes damaged = rewrite_der(buf_bytes(&m.out), &r, memory, sizeof memory);
            enum tm_err expected = still_a_message(&r, &whole) ? TM_OK : TM_EPARSE;
            if (kind == REWRITE_APPEND && r.depth == 3 && r.element.tag == DER_SET &&
                within(whole.signature, r.element.value))
                expected = TM_ELIMIT; /* a second signer, before what it is is looked at */
            if (r.applied)
                assert_int_equal(est_signed_read(damaged, &message), expected);
        }
    }
}

static void a_full_buffer_is_left_as_it_was(void **state) {
    const struct signer *s = *state;
    struct made m;
    make(s, PKI_OID_SHA512, false, AFTER_2049_MS, &m);
    struct est_signed back;
    assert_int_equal(est_signed_read(buf_bytes(&m.out), &back), TM_OK);
    for (size_t cap = 0; cap < m.out.n; cap += 7) {
        uint8_t *exact = malloc(cap + 1);
        assert_non_null(exact);
        struct buf out = {exact, cap, 0, false};
        assert_int_equal(est_signed_write(&m.message, &out), TM_ELIMIT);
        assert_int_equal(out.n, 0);
        if (cap < m.message.attributes.n) {
            assert_int_equal(est_signed_attributes_message(&back, &out), TM_ELIMIT);
            assert_int_equal(est_signed_attributes_write(PKI_OID_CCT_PKI_DATA, back.message_digest,
                                                         AFTER_2049_MS, &out),
                             TM_ELIMIT);
            assert_int_equal(out.n, 0);
        }
        free(exact);
    }
    assert_true(m.message.attributes.n <= EST_SIGNED_ATTRIBUTES_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_verifies_ours),
        cmocka_unit_test(signing_times_are_openssls),
        cmocka_unit_test(we_verify_openssls),
        cmocka_unit_test(without_a_signer_there_are_only_certificates),
        cmocka_unit_test(the_envelope_is_checked),
        cmocka_unit_test(content_and_bags_are_checked),
        cmocka_unit_test(the_signer_is_checked),
        cmocka_unit_test(signed_attributes_are_checked),
        cmocka_unit_test(other_contents_are_told_apart),
        cmocka_unit_test(two_signers_are_too_many),
        cmocka_unit_test(what_would_not_be_read_is_not_written),
        cmocka_unit_test(every_cut_and_every_octet_changed_is_read_without_fault),
        cmocka_unit_test(damaged_structure_is_refused),
        cmocka_unit_test(a_full_buffer_is_left_as_it_was),
    };
    return cmocka_run_group_tests(tests, make_signer, free_signer);
}
