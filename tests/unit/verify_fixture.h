/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certification authorities for the tests of paths and trust anchors: parties with keys, which
 * issue each other any certificate, signed for real, and a crypto table that counts.
 */
#ifndef TOUCHMARK_TESTS_VERIFY_FIXTURE_H
#define TOUCHMARK_TESTS_VERIFY_FIXTURE_H

#include "pki_fixture.h"

#include "client/port/openssl.h"
#include "client/verify.h"

#define VF_DAY INT64_C(86400000)
#define VF_YEAR (365 * VF_DAY)
#define VF_NOW INT64_C(1893456000000) /* 2030-01-01 */
#define VF_KEPT_MAX 256

struct vf_party {
    const char *cn, *unit; /* unit: NULL = none */
    EVP_PKEY *key;
};

/* What a certificate is beside its parties; NULL and 0 are the defaults named. */
struct vf_options {
    const char *basic_constraints; /* "critical,CA:TRUE"; "" = none */
    const char *key_usage, *purposes;
    const char *unknown;                /* value of a private extension */
    const char *names;                  /* nameConstraints */
    const char *policy;                 /* of a critical certificatePolicies */
    const char *serial_number;          /* attribute of the subject */
    const char *key_id, *issuer_key_id; /* octets; "" = none, default: hash of the key */
    EVP_PKEY *signer;                   /* the issuer's key */
    int64_t from_ms, to_ms;             /* from VF_NOW; a year ago, in ten years */
    unsigned serial;                    /* 1 */
    unsigned serial_octets;             /* 1: so many octets, beginning with 0x7f */
};

struct vf {
    struct tm_crypto crypto; /* `self` is this struct */
    unsigned verified;       /* calls */
    enum tm_err broken;      /* what verify returns instead of working */
    void *kept[VF_KEPT_MAX];
    size_t kept_n;
};

static enum tm_err vf_verify(void *self, struct bytes spki, struct bytes algorithm,
                             struct bytes message, struct bytes signature) {
    struct vf *vf = self;
    const struct tm_crypto *real = tm_openssl_crypto();
    vf->verified++;
    return vf->broken ? vf->broken : real->verify(real->self, spki, algorithm, message, signature);
}

UNUSED static int vf_setup(void **state) {
    struct vf *vf = calloc(1, sizeof *vf);
    assert_non_null(vf);
    vf->crypto = *tm_openssl_crypto();
    vf->crypto.self = vf;
    vf->crypto.verify = vf_verify;
    *state = vf;
    return 0;
}

UNUSED static int vf_teardown(void **state) {
    struct vf *vf = *state;
    for (size_t i = 0; i < vf->kept_n; i++)
        free(vf->kept[i]);
    free(vf);
    return 0;
}

/* Memory of its exact size, until the test ends. */
UNUSED static struct bytes vf_keep(struct vf *vf, struct bytes octets) {
    uint8_t *p = malloc(octets.n ? octets.n : 1);
    assert_non_null(p);
    assert_in_range(vf->kept_n, 0, VF_KEPT_MAX - 1);
    vf->kept[vf->kept_n++] = p;
    if (octets.n)
        memcpy(p, octets.p, octets.n);
    return (struct bytes){p, octets.n};
}

/* One behind the other. */
UNUSED static struct bytes vf_join(struct vf *vf, const struct bytes *parts, size_t count) {
    static uint8_t memory[65536];
    struct buf out = BUF_ON(memory);
    for (size_t i = 0; i < count; i++)
        buf_put(&out, parts[i]);
    assert_false(out.full);
    return vf_keep(vf, buf_bytes(&out));
}
#define VF_SET(vf, ...)                                                                            \
    vf_join((vf), (const struct bytes[]){__VA_ARGS__},                                             \
            sizeof((const struct bytes[]){__VA_ARGS__}) / sizeof(struct bytes))

/* The same keys for the whole run; number 0 is RSA, the rest P-256. */
#define VF_RSA 0
UNUSED static EVP_PKEY *vf_key(unsigned number) {
    static EVP_PKEY *keys[32];
    assert_in_range(number, 0, 31);
    if (!keys[number])
        keys[number] = number == VF_RSA ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
    assert_non_null(keys[number]);
    return keys[number];
}

static void vf_entry(X509_NAME *name, const char *field, const char *value) {
    if (value)
        assert_true(X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                               (const unsigned char *)value, -1, -1, 0));
}

UNUSED static X509_NAME *vf_name(const struct vf_party *party, const char *serial_number) {
    X509_NAME *name = X509_NAME_new();
    assert_non_null(name);
    vf_entry(name, "O", "Example Works");
    vf_entry(name, "OU", party->unit);
    vf_entry(name, "CN", party->cn);
    vf_entry(name, "serialNumber", serial_number);
    return name;
}

static void vf_extension(X509 *cert, int nid, const char *value) {
    X509V3_CTX ctx;
    if (!value || !*value)
        return;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(extension);
    assert_true(X509_add_ext(cert, extension, -1));
    X509_EXTENSION_free(extension);
}

/* 1.3.6.1.4.1.32473.1, an example's number (RFC 5612). */
static void vf_unknown_extension(X509 *cert, const char *value) {
    if (!value)
        return;
    bool critical = strncmp(value, "critical,", 9) == 0;
    ASN1_OBJECT *type = OBJ_txt2obj("1.3.6.1.4.1.32473.1", 1);
    ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    assert_true(ASN1_OCTET_STRING_set(octets, (const unsigned char *)"\x05", 2));
    X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, type, critical, octets);
    assert_non_null(extension);
    assert_true(X509_add_ext(cert, extension, -1));
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(octets);
    ASN1_OBJECT_free(type);
}

static void vf_policy(X509 *cert, const char *policy) {
    if (!policy)
        return;
    CERTIFICATEPOLICIES *policies = CERTIFICATEPOLICIES_new();
    POLICYINFO *info = POLICYINFO_new();
    assert_non_null(info);
    info->policyid = OBJ_txt2obj(policy, 1);
    assert_true(sk_POLICYINFO_push(policies, info) > 0);
    assert_int_equal(X509_add1_ext_i2d(cert, NID_certificate_policies, policies, 1, 0), 1);
    CERTIFICATEPOLICIES_free(policies);
}

/* The octets of a key identifier: as given, or the hash of the key (RFC 5280, 4.2.1.2). */
static ASN1_OCTET_STRING *vf_key_id(const char *octets, EVP_PKEY *key) {
    if (octets && !*octets)
        return NULL;
    ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
    unsigned char *spki = NULL, hash[EVP_MAX_MD_SIZE];
    unsigned hash_n = 0;
    int n = i2d_PUBKEY(key, &spki);
    assert_non_null(id);
    assert_true(n > 0);
    assert_true(EVP_Digest(spki, (size_t)n, hash, &hash_n, EVP_sha1(), NULL));
    OPENSSL_free(spki);
    if (octets)
        assert_true(ASN1_OCTET_STRING_set(id, (const unsigned char *)octets, (int)strlen(octets)));
    else
        assert_true(ASN1_OCTET_STRING_set(id, hash, (int)hash_n));
    return id;
}

static void vf_key_ids(X509 *cert, const struct vf_party *subject, const struct vf_party *issuer,
                       const struct vf_options *options) {
    ASN1_OCTET_STRING *own = vf_key_id(options->key_id, subject->key);
    ASN1_OCTET_STRING *other = vf_key_id(options->issuer_key_id, issuer->key);
    if (own)
        assert_int_equal(X509_add1_ext_i2d(cert, NID_subject_key_identifier, own, 0, 0), 1);
    if (other) {
        AUTHORITY_KEYID *authority = AUTHORITY_KEYID_new();
        assert_non_null(authority);
        authority->keyid = other;
        assert_int_equal(X509_add1_ext_i2d(cert, NID_authority_key_identifier, authority, 0, 0), 1);
        AUTHORITY_KEYID_free(authority);
    }
    ASN1_OCTET_STRING_free(own);
}

static void vf_serial(X509 *cert, const struct vf_options *options) {
    unsigned char octets[64] = {0x7f};
    unsigned n = options->serial_octets ? options->serial_octets : 1;
    assert_in_range(n, 1, sizeof octets);
    if (n == 1)
        octets[0] = (unsigned char)(options->serial ? options->serial : 1);
    BIGNUM *number = BN_bin2bn(octets, (int)n, NULL);
    assert_non_null(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)));
    BN_free(number);
}

static void vf_validity(X509 *cert, const struct vf_options *options) {
    int64_t from = VF_NOW + (options->from_ms ? options->from_ms : -VF_YEAR);
    int64_t to = VF_NOW + (options->to_ms ? options->to_ms : 10 * VF_YEAR);
    assert_non_null(ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)(from / 1000)));
    assert_non_null(ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)(to / 1000)));
}

static void vf_names(X509 *cert, const struct vf_party *subject, const struct vf_party *issuer,
                     const struct vf_options *options) {
    X509_NAME *own = vf_name(subject, options->serial_number), *other = vf_name(issuer, NULL);
    assert_true(X509_set_subject_name(cert, own));
    assert_true(X509_set_issuer_name(cert, other));
    X509_NAME_free(own);
    X509_NAME_free(other);
}

static struct bytes vf_encode(struct vf *vf, X509 *cert) {
    struct fixture_der der;
    FIXTURE_I2D(&der, X509, cert);
    struct bytes kept = vf_keep(vf, fixture_bytes(&der));
    fixture_free(&der);
    X509_free(cert);
    return kept;
}

/* What `issuer` signs about `subject`. */
UNUSED static struct bytes vf_issue(struct vf *vf, const struct vf_party *subject,
                                    const struct vf_party *issuer, struct vf_options options) {
    X509 *cert = X509_new();
    assert_non_null(cert);
    assert_true(X509_set_version(cert, X509_VERSION_3));
    vf_serial(cert, &options);
    vf_validity(cert, &options);
    vf_names(cert, subject, issuer, &options);
    assert_true(X509_set_pubkey(cert, subject->key));
    vf_extension(cert, NID_basic_constraints,
                 options.basic_constraints ? options.basic_constraints : "critical,CA:TRUE");
    vf_extension(cert, NID_key_usage, options.key_usage);
    vf_extension(cert, NID_ext_key_usage, options.purposes);
    vf_extension(cert, NID_name_constraints, options.names);
    vf_policy(cert, options.policy);
    vf_unknown_extension(cert, options.unknown);
    vf_key_ids(cert, subject, issuer, &options);
    assert_true(X509_sign(cert, options.signer ? options.signer : issuer->key, EVP_sha256()) > 0);
    return vf_encode(vf, cert);
}

/* A certificate as devices have it: no CA, digitalSignature, clientAuth. */
UNUSED static struct bytes vf_leaf(struct vf *vf, const struct vf_party *subject,
                                   const struct vf_party *issuer, struct vf_options options) {
    if (!options.basic_constraints)
        options.basic_constraints = "";
    if (!options.key_usage)
        options.key_usage = "critical,digitalSignature";
    if (!options.purposes)
        options.purposes = "clientAuth";
    return vf_issue(vf, subject, issuer, options);
}

#define VF_PLAIN ((struct vf_options){0})

/* Whole SubjectPublicKeyInfo. */
UNUSED static struct bytes vf_spki(struct vf *vf, EVP_PKEY *key) {
    unsigned char *p = NULL;
    int n = i2d_PUBKEY(key, &p);
    assert_true(n > 0);
    struct bytes kept = vf_keep(vf, (struct bytes){p, (size_t)n});
    OPENSSL_free(p);
    return kept;
}

#endif
