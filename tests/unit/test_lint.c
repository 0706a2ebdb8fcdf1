/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lint over certificates that are made by hand, octet for octet, without the builder: good ones
 * pass, and each with one thing wrong is refused with the section that forbids it. At the end
 * every rule must have been the one that refused.
 */
#include "ca_fixture.h"

#include "ca/lint.h"
#include "ca/lint_rules.h"

/* ---- a writer of its own ---- */

static uint8_t pool[1 << 17];
static size_t pool_n;

static struct bytes put(const void *p, size_t n) {
    assert_true(n <= sizeof pool - pool_n);
    if (n)
        memcpy(pool + pool_n, p, n);
    pool_n += n;
    return (struct bytes){pool + pool_n - n, n};
}

/* An element of the parts one after the other. */
static struct bytes element(unsigned tag, const struct bytes *parts, size_t count) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += parts[i].n;
    uint8_t header[4] = {(uint8_t)tag, (uint8_t)n};
    size_t header_n = 2;
    if (n > 0xff) {
        header[1] = 0x82;
        header[2] = (uint8_t)(n >> 8);
        header[3] = (uint8_t)n;
        header_n = 4;
    } else if (n > 0x7f) {
        header[1] = 0x81;
        header[2] = (uint8_t)n;
        header_n = 3;
    }
    struct bytes start = put(header, header_n);
    for (size_t i = 0; i < count; i++)
        (void)put(parts[i].p, parts[i].n);
    return (struct bytes){start.p, header_n + n};
}
#define E(tag, ...)                                                                                \
    element((tag), (const struct bytes[]){__VA_ARGS__},                                            \
            sizeof((const struct bytes[]){__VA_ARGS__}) / sizeof(struct bytes))
#define S(text) put((text), strlen(text))
#define X(octets) put((octets), sizeof(octets) - 1) /* a string literal with octets */
#define EMPTY ((struct bytes){0})
#define OID(octets) E(0x06, X(octets))

#define OID_CN "\x55\x04\x03"
#define OID_SERIAL "\x55\x04\x05"
#define OID_O "\x55\x04\x0a"
#define OID_SKI "\x55\x1d\x0e"
#define OID_KU "\x55\x1d\x0f"
#define OID_SAN "\x55\x1d\x11"
#define OID_BC "\x55\x1d\x13"
#define OID_CDP "\x55\x1d\x1f"
#define OID_AKI "\x55\x1d\x23"
#define OID_EKU "\x55\x1d\x25"
#define OID_AIA "\x2b\x06\x01\x05\x05\x07\x01\x01"
#define OID_CLIENT "\x2b\x06\x01\x05\x05\x07\x03\x02"
#define OID_SERVER "\x2b\x06\x01\x05\x05\x07\x03\x01"
#define OID_OCSP "\x2b\x06\x01\x05\x05\x07\x30\x01"
#define OID_ISSUERS "\x2b\x06\x01\x05\x05\x07\x30\x02"
#define OID_HW "\x2b\x06\x01\x05\x05\x07\x08\x04"
#define OID_HW_TYPE "\x2b\x06\x01\x04\x01\x81\xfd\x59\x01\x07" /* 1.3.6.1.4.1.32473.1.7 */

static struct bytes rdn_of(struct bytes oid, unsigned tag, const char *value) {
    return E(0x31, E(0x30, oid, E(tag, S(value))));
}
#define RDN(oid, tag, value) rdn_of(OID(oid), (tag), (value))

static struct bytes extension_of(struct bytes oid, bool critical, struct bytes value) {
    return E(0x30, oid, critical ? X("\x01\x01\xff") : EMPTY, E(0x04, value));
}
#define EXT(oid, critical, value) extension_of(OID(oid), (critical), (value))

static struct bytes time_of(int64_t ms, unsigned tag) {
    char text[32];
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    assert_non_null(gmtime_r(&seconds, &tm));
    assert_true(strftime(text, sizeof text, "%Y%m%d%H%M%SZ", &tm));
    return E(tag, S(tag == 0x17 ? text + 2 : text));
}

/* ---- good certificates ---- */

#define DAY_MS (INT64_C(24) * 3600 * 1000)

enum { AKI, SKI, BC, KU, EKU, SAN, CDP, AIA, EXTRA, EXT_COUNT };

struct parts {
    struct bytes version, serial, algorithm, issuer, validity, subject, spki, unique;
    struct bytes ext[EXT_COUNT];
    bool no_extensions;
};

static struct {
    struct ca_fixture f;
    struct ca_profile ldevid, idevid, server, p256_only, fixed_end, proof;
    EVP_PKEY *key;
    struct bytes spki;
    int64_t now_ms, fixed_end_ms;
} t;

static struct bytes validity(int64_t from_ms, int64_t to_ms) {
    return E(0x30, time_of(from_ms, 0x17),
             time_of(to_ms, to_ms < INT64_C(2524608000000) ? 0x17 : 0x18));
}

static struct bytes key_id(struct bytes spki, const EVP_MD *md) {
    struct pki_spki view;
    uint8_t hash[32];
    assert_int_equal(pki_spki_parse(spki, &view), TM_OK);
    assert_int_equal(EVP_Digest(view.key.p, view.key.n, hash, NULL, md, NULL), 1);
    return EXT(OID_SKI, false, E(0x04, put(hash, 20)));
}

static struct bytes location(struct bytes oid, const char *url) {
    return E(0x30, oid, E(0x86, S(url)));
}

static struct bytes crl_point(const char *url) {
    return E(0x30, E(0x30, E(0xa0, E(0xa0, E(0x86, S(url))))));
}

static struct bytes hardware_name(struct bytes hw_type, const char *serial) {
    return E(0xa0, OID(OID_HW), E(0xa0, E(0x30, hw_type, E(0x04, S(serial)))));
}

static struct parts good(const struct ca_profile *profile) {
    struct parts p = {
        .version = E(0xa0, X("\x02\x01\x02")),
        .serial = E(0x02, X("\x01\x9a\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f")),
        .algorithm = E(0x30, OID("\x2a\x86\x48\xce\x3d\x04\x03\x02")),
        .issuer = t.f.issuer.view.subject,
        .validity = validity(t.now_ms - 300000, t.now_ms + 300 * DAY_MS),
        .subject = E(0x30, RDN(OID_O, 0x0c, "Example Works"), RDN(OID_CN, 0x0c, "TM-000417"),
                     RDN(OID_SERIAL, 0x13, "TM-000417")),
        .spki = t.spki,
        .ext = {[AKI] = EXT(OID_AKI, false, E(0x30, E(0x80, t.f.issuer.key_id))),
                [SKI] = key_id(t.spki, EVP_sha256()),
                [BC] = EXT(OID_BC, true, X("\x30\x00")),
                [KU] = EXT(OID_KU, true, X("\x03\x02\x07\x80")),
                [EKU] = EXT(OID_EKU, false, E(0x30, OID(OID_CLIENT)))},
    };
    switch (profile->kind) {
    case CA_KIND_IDEVID:
        p.validity = validity(t.now_ms - 300000, CA_FOREVER_MS);
        p.ext[SAN] = EXT(OID_SAN, false, E(0x30, hardware_name(OID(OID_HW_TYPE), "TM-000417")));
        break;
    case CA_KIND_TLS_SERVER:
        p.validity = validity(t.now_ms - 300000, t.now_ms + 90 * DAY_MS);
        p.ext[EKU] = EXT(OID_EKU, false, E(0x30, OID(OID_SERVER)));
        p.ext[SAN] = EXT(OID_SAN, false,
                         E(0x30, E(0x82, S("est.example.com")), E(0x87, X("\xc0\x00\x02\x07"))));
        break;
    case CA_KIND_PROOF:
        p.subject = E(0x30, RDN(OID_CN, 0x0c, "3a5f.c-9"));
        p.validity = validity(t.now_ms - 300000, t.now_ms + DAY_MS);
        p.ext[EKU] = EMPTY;
        break;
    default:
        p.ext[KU] = EXT(OID_KU, true, X("\x03\x02\x06\xc0"));
        p.ext[SAN] = EXT(OID_SAN, false, E(0x30, E(0x86, S("urn:dev:ops:32473-GW200-TM-000417"))));
        p.ext[CDP] = EXT(OID_CDP, false, crl_point("http://pki.example.com/f.crl"));
        p.ext[AIA] = EXT(OID_AIA, false,
                         E(0x30, location(OID(OID_OCSP), "http://ocsp.example.com"),
                           location(OID(OID_ISSUERS), "http://pki.example.com/f.cer")));
        break;
    }
    return p;
}

static struct bytes compose(const struct parts *p) {
    struct bytes extensions = element(0x30, p->ext, EXT_COUNT);
    return E(0x30, p->version, p->serial, p->algorithm, p->issuer, p->validity, p->subject, p->spki,
             p->unique, p->no_extensions ? EMPTY : E(0xa3, extensions));
}

/* Ends with the day after tomorrow. */
static struct ca_profile fixed_end_profile(void) {
    char yaml[1024], end[CLOCK_TEXT_MAX];
    t.fixed_end_ms = (t.now_ms / DAY_MS + 3) * DAY_MS - 1000;
    clock_format(t.fixed_end_ms, end);
    (void)snprintf(yaml, sizeof yaml,
                   "kind: ldevid\n" CA_FIXTURE_KEYS CA_FIXTURE_SUBJECT
                   "key_usage: [digitalSignature]\next_key_usage: [clientAuth]\n"
                   "not_after: %.19sZ\ncredentials: [secret]\nstates: [registered]\n",
                   end);
    return ca_fixture_profile("fixed.yaml", yaml);
}

static int setup(void **ctx) {
    (void)ctx;
    static uint8_t spki[128];
    ca_fixture_open(&t.f, "P-256");
    t.now_ms = clock_wall_ms() / 1000 * 1000;
    t.ldevid = ca_fixture_profile("ldevid.yaml", CA_FIXTURE_LDEVID);
    t.idevid = ca_fixture_profile("idevid.yaml", CA_FIXTURE_IDEVID);
    t.server = ca_fixture_profile("server.yaml", CA_FIXTURE_SERVER);
    t.p256_only = ca_fixture_profile(
        "p256.yaml", "kind: ldevid\nkeys: [p256]\n" CA_FIXTURE_SUBJECT
                     "key_usage: [digitalSignature]\nvalidity: 365d\ncredentials: [secret]\n"
                     "states: [registered]\n");
    t.fixed_end = fixed_end_profile();
    t.proof = ca_fixture_profile(
        "proof.yaml", "kind: proof\nkeys: [p256]\nsubject: [{type: CN, value: \"{id}\"}]\n"
                      "key_usage: [digitalSignature]\nvalidity: 1d\nretry_window: 1d\n"
                      "states: [activated]\n");
    t.key = ca_fixture_key("P-256");
    struct fixture_der der = ca_fixture_spki(t.key);
    assert_true((size_t)der.n <= sizeof spki);
    memcpy(spki, der.p, (size_t)der.n);
    t.spki = (struct bytes){spki, (size_t)der.n};
    fixture_free(&der);
    return 0;
}

static int teardown(void **ctx) {
    (void)ctx;
    ca_profile_free(&t.ldevid);
    ca_profile_free(&t.idevid);
    ca_profile_free(&t.server);
    ca_profile_free(&t.p256_only);
    ca_profile_free(&t.fixed_end);
    ca_profile_free(&t.proof);
    EVP_PKEY_free(t.key);
    ca_fixture_close(&t.f);
    return 0;
}

/* ---- what is wrong with the bad ones ---- */

#define BAD(name) static void name(struct parts *p)

/* X.690 */
BAD(critical_false_is_written) {
    p->ext[SKI] =
        E(0x30, OID(OID_SKI), X("\x01\x01\x00"), E(0x04, E(0x04, X("12345678901234567890"))));
}
BAD(ca_false_is_written) {
    p->ext[BC] = EXT(OID_BC, true, X("\x30\x03\x01\x01\x00"));
}
BAD(true_is_not_ff) {
    p->ext[BC] = EXT(OID_BC, true, X("\x30\x03\x01\x01\x01"));
}
BAD(set_descends) {
    p->subject = E(0x30, E(0x31, E(0x30, OID(OID_SERIAL), E(0x13, S("A"))),
                           E(0x30, OID(OID_CN), E(0x0c, S("A")))));
}
BAD(unused_bits_are_set) {
    p->ext[KU] = EXT(OID_KU, true, X("\x03\x02\x06\xc1"));
}
BAD(null_has_content) {
    p->algorithm = E(0x30, OID("\x2a\x86\x48\xce\x3d\x04\x03\x02"), X("\x05\x01\x00"));
}
BAD(oid_is_padded) {
    p->ext[EKU] = EXT(OID_EKU, false, X("\x30\x05\x06\x03\x80\x01\x02"));
}
BAD(integer_is_padded) {
    p->ext[BC] = EXT(OID_BC, true, X("\x30\x04\x02\x02\x00\x01"));
}
BAD(length_is_padded) {
    p->ext[BC] = EXT(OID_BC, true, X("\x30\x81\x00"));
}
BAD(nested_too_deep) {
    struct bytes deep = X("\x05\x00");
    for (int i = 0; i < 20; i++)
        deep = E(0x30, deep);
    p->ext[EXTRA] = EXT("\x2a\x03", false, deep);
}
BAD(named_bits_keep_zeros) {
    p->ext[KU] = EXT(OID_KU, true, X("\x03\x02\x00\xc0"));
}

/* RFC 5280, 4.1 */
BAD(version_1) {
    p->version = EMPTY;
    p->no_extensions = true;
}
BAD(version_2) {
    p->version = E(0xa0, X("\x02\x01\x01"));
    p->no_extensions = true;
}
BAD(serial_negative) {
    p->serial = E(0x02, X("\x81\x9a\x02\x03\x04\x05\x06\x07\x08\x09"));
}
BAD(serial_zero) {
    p->serial = E(0x02, X("\x00"));
}
BAD(serial_of_63_bits) {
    p->serial = E(0x02, X("\x7f\x9a\x02\x03\x04\x05\x06\x07"));
}
BAD(serial_of_21_octets) {
    p->serial = E(0x02, X("\x01"
                          "12345678901234567890"));
}
BAD(serial_padded) {
    p->serial = E(0x02, X("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09"));
}
BAD(algorithm_of_another_key) {
    p->algorithm = E(0x30, OID("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"), X("\x05\x00"));
}
BAD(algorithm_with_null) {
    p->algorithm = E(0x30, OID("\x2a\x86\x48\xce\x3d\x04\x03\x02"), X("\x05\x00"));
}
BAD(algorithm_with_sha384) {
    p->algorithm = E(0x30, OID("\x2a\x86\x48\xce\x3d\x04\x03\x03"));
}
BAD(issuer_of_another_type) {
    p->issuer = E(0x30, RDN(OID_CN, 0x13, "Test Manufacturing CA"));
}
BAD(issuer_is_another) {
    p->issuer = E(0x30, RDN(OID_CN, 0x0c, "Test Manufacturing CB"));
}
BAD(end_in_generalized_time) {
    p->validity = E(0x30, time_of(t.now_ms, 0x17), time_of(t.now_ms + DAY_MS, 0x18));
}
BAD(start_in_generalized_time) {
    p->validity = E(0x30, time_of(t.now_ms, 0x18), time_of(t.now_ms + DAY_MS, 0x17));
}
BAD(ends_before_it_starts) {
    p->validity = validity(t.now_ms, t.now_ms - 1000);
}
BAD(starts_before_its_issuer) {
    p->validity = validity(t.f.issuer.view.not_before_ms - 1000, t.now_ms + DAY_MS);
}
BAD(ends_after_its_issuer) {
    p->validity = validity(t.now_ms, t.f.issuer.view.not_after_ms + 1000);
}
BAD(starts_after_its_issuer_s_end) {
    p->validity = validity(t.f.issuer.view.not_after_ms + 1000, CA_FOREVER_MS);
}
BAD(subject_empty) {
    p->subject = E(0x30, EMPTY);
}
BAD(subject_with_mail) {
    p->subject = E(0x30, RDN("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01", 0x16, "a@example.com"));
}
BAD(subject_in_teletex) {
    p->subject = E(0x30, RDN(OID_CN, 0x14, "TM-1"));
}
BAD(subject_too_long) {
    p->subject = E(0x30, RDN(OID_CN, 0x0c,
                             "01234567890123456789012345678901234567890123456789012345678901234"));
}
BAD(subject_serial_in_utf8) {
    p->subject = E(0x30, RDN(OID_SERIAL, 0x0c, "TM-1"));
}
BAD(subject_serial_not_printable) {
    p->subject = E(0x30, RDN(OID_SERIAL, 0x13, "TM_1"));
}
BAD(subject_with_control) {
    p->subject = E(0x30, RDN(OID_CN, 0x0c, "TM\n1"));
}
BAD(subject_with_empty_value) {
    p->subject = E(0x30, RDN(OID_CN, 0x0c, ""));
}

#define ALGORITHM_P256                                                                             \
    E(0x30, OID("\x2a\x86\x48\xce\x3d\x02\x01"), OID("\x2a\x86\x48\xce\x3d\x03\x01\x07"))

static void set_key(struct parts *p, struct bytes spki) {
    p->spki = spki;
    p->ext[SKI] = key_id(spki, EVP_sha256());
}
static struct bytes new_key(const char *kind) {
    EVP_PKEY *key = ca_fixture_key(kind);
    struct fixture_der der = ca_fixture_spki(key);
    struct bytes spki = put(der.p, (size_t)der.n);
    fixture_free(&der);
    EVP_PKEY_free(key);
    return spki;
}
static struct bytes rsa_key(size_t octets, uint8_t last, struct bytes exponent) {
    uint8_t n[1024];
    memset(n, 0xa5, sizeof n);
    n[0] = 0;
    n[octets] = last;
    return E(0x30, E(0x30, OID("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"), X("\x05\x00")),
             E(0x03, X("\x00"), E(0x30, E(0x02, put(n, octets + 1)), E(0x02, exponent))));
}
BAD(key_compressed) {
    struct pki_spki view;
    assert_int_equal(pki_spki_parse(t.spki, &view), TM_OK);
    struct bytes x = put(view.key.p + 1, 32);
    set_key(p, E(0x30, ALGORITHM_P256, E(0x03, X("\x00\x02"), x)));
}
BAD(key_hybrid) {
    struct pki_spki view;
    assert_int_equal(pki_spki_parse(t.spki, &view), TM_OK);
    struct bytes xy = put(view.key.p + 1, 64);
    set_key(p, E(0x30, ALGORITHM_P256, E(0x03, X("\x00\x06"), xy)));
}
BAD(key_short) {
    set_key(p, E(0x30, ALGORITHM_P256,
                 E(0x03, X("\x00\x04"
                           "0123456789"))));
}
BAD(key_on_p521) {
    set_key(p, new_key("P-521"));
}
BAD(key_on_unknown_curve) {
    set_key(p, new_key("secp256k1"));
}
BAD(key_with_explicit_curve) {
    set_key(p, E(0x30, E(0x30, OID("\x2a\x86\x48\xce\x3d\x02\x01"), E(0x30, X("\x02\x01\x01"))),
                 E(0x03, X("\x00\x04"
                           "0123456789"))));
}
BAD(key_of_unknown_algorithm) {
    set_key(p, E(0x30, E(0x30, OID("\x2b\x65\x71")),
                 E(0x03, X("\x00"
                           "0123456789"))));
}
BAD(key_rsa_1024) {
    set_key(p, new_key("RSA1024"));
}
BAD(key_rsa_too_long) {
    set_key(p, rsa_key(520, 0xa5, X("\x01\x00\x01")));
}
BAD(key_rsa_even_modulus) {
    set_key(p, rsa_key(256, 0xa4, X("\x01\x00\x01")));
}
BAD(key_rsa_exponent_3) {
    set_key(p, rsa_key(256, 0xa5, X("\x03")));
}
BAD(key_rsa_exponent_even) {
    set_key(p, rsa_key(256, 0xa5, X("\x01\x00\x02")));
}
BAD(key_rsa_exponent_zero) {
    set_key(p, rsa_key(256, 0xa5, X("\x00")));
}
BAD(key_rsa_exponent_long) {
    set_key(p, rsa_key(256, 0xa5, X("\x01\x00\x00\x00\x00\x00\x00\x00\x01")));
}
BAD(key_ed25519_short) {
    set_key(p, E(0x30, E(0x30, OID("\x2b\x65\x70")),
                 E(0x03, X("\x00"
                           "0123456789"))));
}
BAD(unique_id) {
    p->unique = X("\x82\x02\x00\x01");
}

/* RFC 5280, 4.2 */
BAD(extension_twice) {
    p->ext[EXTRA] = p->ext[SKI];
}
BAD(extension_unknown) {
    p->ext[EXTRA] = EXT("\x2a\x03", false, X("\x05\x00"));
}
BAD(extension_of_policies) {
    p->ext[EXTRA] = EXT("\x55\x1d\x20", false, E(0x30, E(0x30, OID("\x2a\x03"))));
}
BAD(subject_key_critical) {
    p->ext[SKI] = EXT(OID_SKI, true, E(0x04, X("12345678901234567890")));
}
BAD(usage_not_critical) {
    p->ext[KU] = EXT(OID_KU, false, X("\x03\x02\x06\xc0"));
}
BAD(constraints_not_critical) {
    p->ext[BC] = EXT(OID_BC, false, X("\x30\x00"));
}
BAD(names_critical) {
    p->ext[SAN] = EXT(OID_SAN, true, E(0x30, E(0x86, S("urn:dev:ops:32473-GW200-TM-000417"))));
}
BAD(authority_missing) {
    p->ext[AKI] = EMPTY;
}
BAD(authority_another) {
    p->ext[AKI] = EXT(OID_AKI, false, E(0x30, E(0x80, X("12345678901234567890"))));
}
BAD(authority_with_serial) {
    p->ext[AKI] = EXT(OID_AKI, false, E(0x30, E(0x80, t.f.issuer.key_id), X("\x82\x01\x01")));
}
BAD(authority_without_key) {
    p->ext[AKI] = EXT(OID_AKI, false, E(0x30, EMPTY));
}
BAD(subject_key_missing) {
    p->ext[SKI] = EMPTY;
}
BAD(subject_key_another) {
    p->ext[SKI] = EXT(OID_SKI, false, E(0x04, X("12345678901234567890")));
}
BAD(subject_key_uncut) {
    struct pki_spki view;
    uint8_t hash[32];
    assert_int_equal(pki_spki_parse(t.spki, &view), TM_OK);
    assert_int_equal(EVP_Digest(view.key.p, view.key.n, hash, NULL, EVP_sha256(), NULL), 1);
    p->ext[SKI] = EXT(OID_SKI, false, E(0x04, put(hash, 32)));
}
BAD(usage_missing) {
    p->ext[KU] = EMPTY;
}
BAD(usage_signs_certificates) {
    p->ext[KU] = EXT(OID_KU, true, X("\x03\x02\x02\xc4"));
}
BAD(usage_signs_crls) {
    p->ext[KU] = EXT(OID_KU, true, X("\x03\x02\x01\xc2"));
}
BAD(usage_empty) {
    p->ext[KU] = EXT(OID_KU, true, X("\x03\x01\x00"));
}
BAD(usage_malformed) {
    p->ext[KU] = EXT(OID_KU, true, X("\x04\x01\x80"));
}
BAD(names_empty) {
    p->ext[SAN] = EXT(OID_SAN, false, E(0x30, EMPTY));
}
BAD(name_not_a_uri) {
    p->ext[SAN] = EXT(OID_SAN, false, E(0x30, E(0x86, S("no uri"))));
}
BAD(name_a_wildcard) {
    p->ext[SAN] = EXT(OID_SAN, false, E(0x30, E(0x82, S("*.example.com"))));
}
BAD(name_an_address_of_5) {
    p->ext[SAN] = EXT(OID_SAN, false, E(0x30, E(0x87, S("12345"))));
}
BAD(name_a_mail) {
    p->ext[SAN] = EXT(OID_SAN, false, E(0x30, E(0x81, S("a@example.com"))));
}
BAD(name_twice) {
    p->ext[SAN] = EXT(OID_SAN, false, E(0x30, E(0x86, S("urn:a:b")), E(0x86, S("urn:a:b"))));
}
BAD(names_with_rest) {
    p->ext[SAN] = EXT(OID_SAN, false,
                      X("\x30\x05\x86\x03"
                        "a:b\x05\x00"));
}
BAD(constraints_true) {
    p->ext[BC] = EXT(OID_BC, true, X("\x30\x03\x01\x01\xff"));
}
BAD(constraints_with_length) {
    p->ext[BC] = EXT(OID_BC, true, X("\x30\x03\x02\x01\x00"));
}
BAD(constraints_malformed) {
    p->ext[BC] = EXT(OID_BC, true, X("\x05\x00"));
}
BAD(purpose_unknown) {
    p->ext[EKU] = EXT(OID_EKU, false, E(0x30, OID("\x55\x1d\x25\x00")));
}
BAD(purposes_empty) {
    p->ext[EKU] = EXT(OID_EKU, false, E(0x30, EMPTY));
}

/* IEEE 802.1AR */
BAD(idevid_that_ends) {
    p->validity = validity(t.now_ms, t.now_ms + 365 * DAY_MS);
}
BAD(idevid_without_serial) {
    p->subject = E(0x30, RDN(OID_CN, 0x0c, "TM-000417"));
}
BAD(idevid_of_two_modules) {
    p->ext[SAN] = EXT(OID_SAN, false,
                      E(0x30, hardware_name(OID(OID_HW_TYPE), "TM-000417"),
                        hardware_name(OID(OID_HW_TYPE), "TM-000418")));
}
BAD(hardware_name_malformed) {
    p->ext[SAN] =
        EXT(OID_SAN, false, E(0x30, E(0xa0, OID(OID_HW), E(0xa0, E(0x30, OID(OID_HW_TYPE))))));
}

/* the profile */
BAD(key_on_p384) {
    set_key(p, new_key("P-384"));
}
BAD(lives_too_long) {
    p->validity = validity(t.now_ms - 300000, t.now_ms + 366 * DAY_MS);
}
BAD(ends_after_the_fixed_end) {
    p->validity = validity(t.now_ms, t.fixed_end_ms + 1000);
    p->ext[KU] = EXT(OID_KU, true, X("\x03\x02\x07\x80"));
}
BAD(usage_less) {
    p->ext[KU] = EXT(OID_KU, true, X("\x03\x02\x07\x80"));
}
BAD(usage_more) {
    p->ext[KU] = EXT(OID_KU, true, X("\x03\x02\x03\xc8"));
}
BAD(purpose_of_a_server) {
    p->ext[EKU] = EXT(OID_EKU, false, E(0x30, OID(OID_SERVER)));
}
BAD(purpose_more) {
    p->ext[EKU] = EXT(OID_EKU, false, E(0x30, OID(OID_CLIENT), OID(OID_SERVER)));
}
BAD(purposes_missing) {
    p->ext[EKU] = EMPTY;
}
BAD(name_dns_in_an_ldevid) {
    p->ext[SAN] = EXT(OID_SAN, false, E(0x30, E(0x82, S("est.example.com"))));
}
BAD(name_uri_in_an_idevid) {
    p->ext[SAN] = EXT(OID_SAN, false, E(0x30, E(0x86, S("urn:a:b"))));
}
BAD(name_of_other_hardware) {
    p->ext[SAN] = EXT(OID_SAN, false, E(0x30, hardware_name(OID("\x2a\x03\x04"), "TM-000417")));
}
BAD(name_of_hardware_in_a_server) {
    p->ext[SAN] = EXT(OID_SAN, false, E(0x30, hardware_name(OID(OID_HW_TYPE), "TM-000417")));
}
BAD(server_without_names) {
    p->ext[SAN] = EMPTY;
}
BAD(crl_missing) {
    p->ext[CDP] = EMPTY;
}
BAD(crl_another) {
    p->ext[CDP] = EXT(OID_CDP, false, crl_point("http://pki.example.com/g.crl"));
}
BAD(crl_two) {
    struct bytes point = E(0x30, E(0xa0, E(0xa0, E(0x86, S("http://pki.example.com/f.crl")))));
    p->ext[CDP] = EXT(OID_CDP, false, E(0x30, point, point));
}
BAD(crl_unasked) {
    p->ext[CDP] = EXT(OID_CDP, false, crl_point("http://pki.example.com/f.crl"));
}
BAD(access_missing) {
    p->ext[AIA] = EMPTY;
}
BAD(access_half) {
    p->ext[AIA] = EXT(OID_AIA, false, E(0x30, location(OID(OID_OCSP), "http://ocsp.example.com")));
}
BAD(access_swapped) {
    p->ext[AIA] = EXT(OID_AIA, false,
                      E(0x30, location(OID(OID_ISSUERS), "http://ocsp.example.com"),
                        location(OID(OID_OCSP), "http://pki.example.com/f.cer")));
}
BAD(access_unasked) {
    p->ext[AIA] = EXT(OID_AIA, false, E(0x30, location(OID(OID_OCSP), "http://ocsp.example.com")));
}

BAD(ocsp_unasked) {
    p->ext[EXTRA] = EXT("\x2b\x06\x01\x05\x05\x07\x30\x01\x05", false, X("\x05\x00"));
}

BAD(proof_of_a_device) {
    p->subject = E(0x30, RDN(OID_CN, 0x0c, "TM-000417"), RDN(OID_SERIAL, 0x13, "TM-000417"));
}
BAD(proof_without_code) {
    p->subject = E(0x30, RDN(OID_SERIAL, 0x13, "TM-000417"));
}
BAD(proof_of_no_code) {
    p->subject = E(0x30, RDN(OID_CN, 0x0c, "Example Works CA"));
}
BAD(proof_for_two_days) {
    p->validity = validity(t.now_ms - 300000, t.now_ms + 2 * DAY_MS);
}
BAD(proof_with_purpose) {
    p->ext[EKU] = EXT(OID_EKU, false, E(0x30, OID(OID_CLIENT)));
}
BAD(proof_with_names) {
    p->ext[SAN] = EXT(OID_SAN, false, E(0x30, E(0x82, S("est.example.com"))));
}

#define CASE(profile, name, says)                                                                  \
    { &t.profile, name, #name, says }
static const struct bad {
    const struct ca_profile *profile;
    void (*spoil)(struct parts *p);
    const char *name, *says;
} bad[] = {
    CASE(ldevid, critical_false_is_written, "X.690 10, 11: a BOOLEAN"),
    CASE(ldevid, ca_false_is_written, "X.690 10, 11: a BOOLEAN"),
    CASE(ldevid, true_is_not_ff, "X.690 10, 11: a BOOLEAN"),
    CASE(ldevid, set_descends, "X.690 10, 11: a SET"),
    CASE(ldevid, unused_bits_are_set, "X.690 10, 11: a BIT STRING"),
    CASE(ldevid, null_has_content, "X.690 10, 11: a NULL"),
    CASE(ldevid, oid_is_padded, "X.690 10, 11: an OBJECT IDENTIFIER"),
    CASE(ldevid, integer_is_padded, "X.690 10, 11: an INTEGER"),
    CASE(ldevid, length_is_padded, "X.690 10, 11: an element"),
    CASE(ldevid, nested_too_deep, "X.690 10, 11: elements are nested"),
    CASE(ldevid, named_bits_keep_zeros, "X.690 11.2.2: keyUsage"),
    CASE(ldevid, version_1, "RFC 5280 4.1.2.1: the version"),
    CASE(ldevid, version_2, "RFC 5280 4.1.2.1: the version"),
    CASE(ldevid, serial_negative, "RFC 5280 4.1.2.2: the serial number is negative"),
    CASE(ldevid, serial_zero, "RFC 5280 4.1.2.2: the serial number has no room"),
    CASE(ldevid, serial_of_63_bits, "RFC 5280 4.1.2.2: the serial number has no room"),
    CASE(ldevid, serial_of_21_octets, "RFC 5280 4.1.2.2: the serial number is longer"),
    CASE(ldevid, serial_padded, "RFC 5280 4.1, 4.2"),
    CASE(ldevid, algorithm_of_another_key, "RFC 5280 4.1.2.3"),
    CASE(ldevid, algorithm_with_null, "RFC 5280 4.1.2.3"),
    CASE(ldevid, algorithm_with_sha384, "RFC 5280 4.1.2.3"),
    CASE(ldevid, issuer_of_another_type, "RFC 5280 4.1.2.4"),
    CASE(ldevid, issuer_is_another, "RFC 5280 4.1.2.4"),
    CASE(ldevid, end_in_generalized_time, "RFC 5280 4.1.2.5: a time"),
    CASE(ldevid, start_in_generalized_time, "RFC 5280 4.1.2.5: a time"),
    CASE(ldevid, ends_before_it_starts, "RFC 5280 4.1.2.5: notAfter is before notBefore"),
    CASE(ldevid, starts_before_its_issuer, "RFC 5280 6.1.3: notBefore is before"),
    CASE(idevid, starts_before_its_issuer, "RFC 5280 6.1.3: notBefore is before"),
    CASE(ldevid, ends_after_its_issuer, "RFC 5280 6.1.3: notAfter is after"),
    CASE(server, ends_after_its_issuer, "RFC 5280 6.1.3: notAfter is after"),
    CASE(idevid, starts_after_its_issuer_s_end, "RFC 5280 6.1.3: notBefore is after"),
    CASE(ldevid, subject_empty, "RFC 5280 4.1.2.6"),
    CASE(ldevid, subject_with_mail, "RFC 5280 appendix A.1"),
    CASE(ldevid, subject_in_teletex, "RFC 5280 appendix A.1"),
    CASE(ldevid, subject_too_long, "RFC 5280 appendix A.1"),
    CASE(ldevid, subject_serial_in_utf8, "RFC 5280 appendix A.1"),
    CASE(ldevid, subject_serial_not_printable, "RFC 5280 appendix A.1"),
    CASE(ldevid, subject_with_control, "RFC 5280 appendix A.1"),
    CASE(ldevid, subject_with_empty_value, "RFC 5280 appendix A.1"),
    CASE(ldevid, key_compressed, "RFC 5480 2.2"),
    CASE(ldevid, key_hybrid, "RFC 5480 2.2"),
    CASE(ldevid, key_short, "RFC 5480 2.2"),
    CASE(ldevid, key_on_p521, "RFC 5280 4.1.2.7"),
    CASE(ldevid, key_on_unknown_curve, "RFC 5280 4.1.2.7"),
    CASE(ldevid, key_with_explicit_curve, "RFC 5280 4.1.2.7"),
    CASE(ldevid, key_of_unknown_algorithm, "RFC 5280 4.1.2.7"),
    CASE(ldevid, key_rsa_1024, "RFC 5280 4.1.2.7"),
    CASE(ldevid, key_rsa_too_long, "RFC 5280 4.1.2.7"),
    CASE(ldevid, key_rsa_even_modulus, "RFC 8017 3.1: the RSA modulus"),
    CASE(ldevid, key_rsa_exponent_3, "FIPS 186-5 A.1.1"),
    CASE(ldevid, key_rsa_exponent_even, "RFC 8017 3.1: the RSA exponent"),
    CASE(ldevid, key_rsa_exponent_zero, "RFC 8017 A.1.1"),
    CASE(ldevid, key_rsa_exponent_long, "RFC 8017 3.1: the RSA exponent"),
    CASE(ldevid, key_ed25519_short, "RFC 8410 4"),
    CASE(ldevid, unique_id, "RFC 5280 4.1.2.8"),
    CASE(ldevid, extension_twice, "RFC 5280 4.1, 4.2"),
    CASE(ldevid, extension_unknown, "RFC 5280 4.2: there is an extension"),
    CASE(ldevid, extension_of_policies, "RFC 5280 4.2: there is an extension"),
    CASE(ldevid, subject_key_critical, "RFC 5280 4.2: an extension is critical"),
    CASE(ldevid, usage_not_critical, "RFC 5280 4.2: an extension is critical"),
    CASE(ldevid, constraints_not_critical, "RFC 5280 4.2: an extension is critical"),
    CASE(ldevid, names_critical, "RFC 5280 4.2: an extension is critical"),
    CASE(ldevid, authority_missing, "RFC 5280 4.2.1.1: there is no"),
    CASE(ldevid, authority_another, "RFC 5280 4.2.1.1: the authorityKeyIdentifier is not the"),
    CASE(ldevid, authority_with_serial, "RFC 5280 4.2.1.1: the authorityKeyIdentifier is not one"),
    CASE(ldevid, authority_without_key, "RFC 5280 4.2.1.1: the authorityKeyIdentifier is not one"),
    CASE(ldevid, subject_key_missing, "RFC 5280 4.2.1.2: there is no"),
    CASE(ldevid, subject_key_another, "RFC 5280 4.2.1.2: the subjectKeyIdentifier"),
    CASE(ldevid, subject_key_uncut, "RFC 5280 4.2.1.2: the subjectKeyIdentifier"),
    CASE(ldevid, usage_missing, "RFC 5280 4.2.1.3: there is no"),
    CASE(ldevid, usage_signs_certificates, "RFC 5280 4.2.1.3: keyUsage lets"),
    CASE(ldevid, usage_signs_crls, "RFC 5280 4.2.1.3: keyUsage lets"),
    CASE(ldevid, usage_empty, "RFC 5280 4.2.1.3: keyUsage is empty"),
    CASE(ldevid, usage_malformed, "RFC 5280 4.2.1.3: there is no"),
    CASE(ldevid, names_empty, "RFC 5280 4.2.1.6: subjectAltName is empty"),
    CASE(ldevid, name_not_a_uri, "RFC 5280 4.2.1.6: a URI"),
    CASE(server, name_a_wildcard, "RFC 5280 4.2.1.6: a dNSName is a wildcard"),
    CASE(server, name_an_address_of_5, "RFC 5280 4.2.1.6: an iPAddress"),
    CASE(server, name_a_mail, "RFC 5280 4.2.1.6: a name is neither"),
    CASE(ldevid, name_twice, "RFC 5280 4.2.1.6: subjectAltName holds a name twice"),
    CASE(ldevid, names_with_rest, "RFC 5280 4.2.1.6: subjectAltName is empty or malformed"),
    CASE(ldevid, constraints_true, "RFC 5280 4.2.1.9: basicConstraints makes a CA"),
    CASE(idevid, constraints_true, "RFC 5280 4.2.1.9: basicConstraints makes a CA"),
    CASE(server, constraints_true, "RFC 5280 4.2.1.9: basicConstraints makes a CA"),
    CASE(ldevid, constraints_with_length, "RFC 5280 4.2.1.9: basicConstraints makes a CA"),
    CASE(ldevid, constraints_malformed, "RFC 5280 4.2.1.9: basicConstraints is malformed"),
    CASE(ldevid, purpose_unknown, "RFC 5280 4.2.1.12: extKeyUsage holds a purpose"),
    CASE(ldevid, purposes_empty, "RFC 5280 4.2.1.12: extKeyUsage is malformed"),
    CASE(idevid, idevid_that_ends, "IEEE 802.1AR 8.5"),
    CASE(idevid, idevid_without_serial, "IEEE 802.1AR 8.6"),
    CASE(idevid, idevid_of_two_modules, "IEEE 802.1AR 8.10.4"),
    CASE(idevid, hardware_name_malformed, "RFC 5280 4.2.1.6: a hardwareModuleName is malformed"),
    CASE(p256_only, key_on_p384, "profile: the key"),
    CASE(ldevid, lives_too_long, "profile: the lifetime"),
    CASE(fixed_end, ends_after_the_fixed_end, "profile: notAfter"),
    CASE(ldevid, usage_less, "profile: keyUsage"),
    CASE(ldevid, usage_more, "profile: keyUsage"),
    CASE(ldevid, purpose_of_a_server, "profile: extKeyUsage"),
    CASE(ldevid, purpose_more, "profile: extKeyUsage"),
    CASE(ldevid, purposes_missing, "profile: extKeyUsage"),
    CASE(ldevid, name_dns_in_an_ldevid, "profile: subjectAltName"),
    CASE(idevid, name_uri_in_an_idevid, "profile: subjectAltName"),
    CASE(idevid, name_of_other_hardware, "profile: subjectAltName"),
    CASE(server, name_of_hardware_in_a_server, "profile: subjectAltName"),
    CASE(server, server_without_names, "profile: a TLS server has no subjectAltName"),
    CASE(ldevid, crl_missing, "profile: cRLDistributionPoints"),
    CASE(ldevid, crl_another, "profile: cRLDistributionPoints"),
    CASE(ldevid, crl_two, "profile: cRLDistributionPoints"),
    CASE(idevid, crl_unasked, "profile: cRLDistributionPoints"),
    CASE(ldevid, access_missing, "profile: authorityInfoAccess"),
    CASE(ldevid, access_half, "profile: authorityInfoAccess"),
    CASE(ldevid, access_swapped, "profile: authorityInfoAccess"),
    CASE(idevid, access_unasked, "profile: authorityInfoAccess"),
    CASE(ldevid, ocsp_unasked, "profile: OCSPSigning"),
    CASE(proof, proof_of_a_device, "profile: the subject is not one CN"),
    CASE(proof, proof_without_code, "profile: the subject is not one CN"),
    CASE(proof, proof_of_no_code, "profile: the CN is no registration code"),
    CASE(proof, proof_for_two_days, "profile: the lifetime"),
    CASE(proof, proof_with_purpose, "profile: extKeyUsage"),
    CASE(proof, proof_with_names, "profile: subjectAltName"),
};
#define BAD_COUNT (sizeof bad / sizeof bad[0])

/* ---- tests ---- */

static enum tm_err lint(struct bytes tbs, const struct ca_profile *profile,
                        char text[CA_LINT_TEXT_MAX]) {
    struct ca_lint_token token;
    memset(&token, 0x77, sizeof token);
    /* A copy of the exact size, so that a sanitizer sees any read past its end. */
    uint8_t *copy = malloc(tbs.n ? tbs.n : 1);
    assert_non_null(copy);
    if (tbs.n)
        memcpy(copy, tbs.p, tbs.n);
    text[0] = '\0';
    enum tm_err err = ca_lint((struct bytes){copy, tbs.n}, profile, &t.f.issuer, &token, text);
    if (err)
        assert_int_equal(token.tbs_hash[0] & token.tbs_hash[31], 0x77);
    free(copy);
    return err;
}

static void good_ones_pass(void **ctx) {
    (void)ctx;
    const struct ca_profile *profiles[] = {&t.ldevid, &t.idevid, &t.server, &t.proof};
    for (size_t i = 0; i < 4; i++) {
        char text[CA_LINT_TEXT_MAX];
        struct ca_lint_token token;
        pool_n = 0;
        struct parts p = good(profiles[i]);
        struct bytes tbs = compose(&p);
        if (ca_lint(tbs, profiles[i], &t.f.issuer, &token, text))
            fail_msg("profile %zu: %s", i, text);
        assert_true(ca_lint_covers(&token, tbs));
        assert_false(ca_lint_covers(&token, (struct bytes){tbs.p, tbs.n - 1}));
        ((uint8_t *)(uintptr_t)tbs.p)[tbs.n / 2] ^= 1;
        assert_false(ca_lint_covers(&token, tbs));
    }
}

/* What is as good. */
static void subject_key_by_sha1(struct parts *p) {
    p->ext[SKI] = key_id(t.spki, EVP_sha1());
}
static void no_basic_constraints(struct parts *p) {
    p->ext[BC] = EMPTY;
}
static void no_names(struct parts *p) {
    p->ext[SAN] = EMPTY;
}
static void serial_of_9_octets(struct parts *p) {
    p->serial = E(0x02, X("\x01\x9a\x02\x03\x04\x05\x06\x07\x08"));
}
static void serial_of_20_octets(struct parts *p) {
    p->serial = E(0x02, X("12345678901234567890"));
}
static void ends_with_its_issuer(struct parts *p) {
    int64_t end = t.f.issuer.view.not_after_ms;
    p->validity = validity(end - DAY_MS, end);
}
static void another_key(struct parts *p) {
    set_key(p, new_key("ED25519"));
}
static void set_ascends(struct parts *p) {
    p->subject = E(0x30, E(0x31, E(0x30, OID(OID_CN), E(0x0c, S("A"))),
                           E(0x30, OID(OID_SERIAL), E(0x13, S("A")))));
}

static void what_is_as_good_passes(void **ctx) {
    (void)ctx;
    static void (*const changes[])(struct parts *) = {
        subject_key_by_sha1, no_basic_constraints, no_names,    serial_of_9_octets,
        serial_of_20_octets, ends_with_its_issuer, another_key, set_ascends};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        char text[CA_LINT_TEXT_MAX];
        pool_n = 0;
        struct parts p = good(&t.ldevid);
        changes[i](&p);
        if (lint(compose(&p), &t.ldevid, text))
            fail_msg("change %zu: %s", i, text);
    }
}

static void each_wrong_one_is_refused_with_its_section(void **ctx) {
    (void)ctx;
    for (size_t i = 0; i < BAD_COUNT; i++) {
        char text[CA_LINT_TEXT_MAX];
        pool_n = 0;
        struct parts p = good(bad[i].profile);
        bad[i].spoil(&p);
        enum tm_err err = lint(compose(&p), bad[i].profile, text);
        if (err != TM_EDENIED || strncmp(text, bad[i].says, strlen(bad[i].says)) != 0)
            fail_msg("%s: %d \"%s\", expected \"%s\"", bad[i].name, (int)err, text, bad[i].says);
    }
}

static const struct lint_rule *const tables[] = {
    lint_der_rules, lint_field_rules, lint_extension_rules, lint_devid_rules, lint_profile_rules};
enum { TABLE_COUNT = sizeof tables / sizeof tables[0], RULES_MAX = 32 };

/* Marks the first rule that has something to say. */
static void mark_first(const struct lint_case *c, bool fired[TABLE_COUNT][RULES_MAX]) {
    for (size_t table = 0; table < TABLE_COUNT; table++)
        for (size_t i = 0; tables[table][i].check; i++)
            if (tables[table][i].check(c)) {
                fired[table][i] = true;
                return;
            }
}

static void every_rule_has_refused_one(void **ctx) {
    (void)ctx;
    bool fired[TABLE_COUNT][RULES_MAX] = {0};
    for (size_t i = 0; i < BAD_COUNT; i++) {
        pool_n = 0;
        struct parts p = good(bad[i].profile);
        bad[i].spoil(&p);
        struct lint_case c = {.profile = bad[i].profile, .issuer = &t.f.issuer};
        if (!pki_tbs_parse(compose(&p), &c.cert))
            mark_first(&c, fired);
    }
    for (size_t table = 0; table < TABLE_COUNT; table++)
        for (size_t i = 0; tables[table][i].check; i++)
            if (!fired[table][i])
                fail_msg("rule %zu of table %zu (%s) never refused", i, table,
                         tables[table][i].section ? tables[table][i].section : "own section");
}

static void what_is_cut_or_followed_is_refused(void **ctx) {
    (void)ctx;
    char text[CA_LINT_TEXT_MAX];
    pool_n = 0;
    struct parts p = good(&t.ldevid);
    struct bytes tbs = compose(&p);
    for (size_t n = 0; n < tbs.n; n++) {
        assert_int_equal(lint((struct bytes){tbs.p, n}, &t.ldevid, text), TM_EDENIED);
        assert_starts(text, "RFC 5280 4.1, 4.2");
    }
    (void)put("\0", 1); /* right behind it */
    assert_int_equal(lint((struct bytes){tbs.p, tbs.n + 1}, &t.ldevid, text), TM_EDENIED);
}

/* No octet can be changed to make a CA, another issuer, or more than the profile: whatever still
 * passes agrees with the good one in all of that. */
static void no_single_octet_makes_more_of_it(void **ctx) {
    (void)ctx;
    char text[CA_LINT_TEXT_MAX];
    pool_n = 0;
    struct parts p = good(&t.ldevid);
    struct bytes tbs = compose(&p);
    uint8_t *octets = (uint8_t *)(uintptr_t)tbs.p;
    size_t passed = 0;
    for (size_t i = 0; i < tbs.n; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            octets[i] ^= (uint8_t)(1u << bit);
            struct pki_cert cert;
            bool ca = false;
            int path_len;
            uint16_t usage = 0;
            if (!lint(tbs, &t.ldevid, text)) {
                passed++;
                assert_int_equal(pki_tbs_parse(tbs, &cert), TM_OK);
                assert_int_equal(pki_cert_basic_constraints(&cert, &ca, &path_len), TM_OK);
                assert_false(ca);
                assert_int_equal(pki_cert_key_usage(&cert, &usage), TM_OK);
                assert_int_equal(usage, ca_profile_key_usage(&t.ldevid));
                assert_bytes_equal(cert.issuer, t.f.issuer.view.subject);
            }
            octets[i] ^= (uint8_t)(1u << bit);
        }
    /* serial, names and the like may differ; keys, extensions and the rest not */
    assert_in_range(passed, 100, tbs.n * 8 / 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones_pass),
        cmocka_unit_test(what_is_as_good_passes),
        cmocka_unit_test(each_wrong_one_is_refused_with_its_section),
        cmocka_unit_test(every_rule_has_refused_one),
        cmocka_unit_test(what_is_cut_or_followed_is_refused),
        cmocka_unit_test(no_single_octet_makes_more_of_it),
    };
    return cmocka_run_group_tests_name("lint", tests, setup, teardown);
}
