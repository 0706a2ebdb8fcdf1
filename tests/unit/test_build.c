/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The builder against OpenSSL: every certificate that it builds is linted, signed by the issuer's
 * key, read back by OpenSSL, verified up to the root and judged for its purpose.
 */
#include "ca_fixture.h"

#include <openssl/err.h>

#include "ca/build.h"
#include "ca/lint.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)

static const char *const issuer_kinds[] = {"P-256", "P-384", "RSA2048", "ED25519"};
static const char *const subject_kinds[] = {"P-256", "P-384", "RSA2048", "RSA3072", "ED25519"};
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* One certificate to be built: `b` may be changed before issue(). */
struct work {
    const struct ca_fixture *f;
    struct ca_profile profile;
    struct ca_device device;
    struct ca_serial serial;
    EVP_PKEY *key;
    struct fixture_der spki_der;
    struct pki_spki spki;
    struct ca_build b;
    int64_t not_after_ms;
    uint8_t tbs[4096], cert[6144];
    struct bytes tbs_bytes, cert_bytes;
    X509 *x;
};

static void work_open(struct work *w, const struct ca_fixture *f, const char *yaml,
                      const char *kind) {
    memset(w, 0, sizeof *w);
    w->f = f;
    w->profile = ca_fixture_profile("test.yaml", yaml);
    w->device = ca_fixture_device;
    w->key = ca_fixture_shared_key(kind);
    w->spki_der = ca_fixture_spki(w->key);
    assert_int_equal(pki_spki_parse(fixture_bytes(&w->spki_der), &w->spki), TM_OK);
    w->b = (struct ca_build){.profile = &w->profile,
                             .issuer = &f->issuer,
                             .device = &w->device,
                             .serial = &w->serial,
                             .spki = &w->spki,
                             .now_ms = clock_wall_ms(),
                             .ret_not_after_ms = &w->not_after_ms};
    assert_int_equal(ca_serial_make(w->b.now_ms, &w->serial), TM_OK);
}

static void work_close(struct work *w) {
    X509_free(w->x);
    EVP_PKEY_free(w->key);
    fixture_free(&w->spki_der);
    ca_profile_free(&w->profile);
}

static void issue(struct work *w) {
    struct buf tbs = BUF_ON(w->tbs), cert = BUF_ON(w->cert);
    struct ca_lint_token token;
    char text[CA_LINT_TEXT_MAX] = "";
    uint8_t signature[512];
    assert_int_equal(ca_build_tbs(&w->b, &tbs), TM_OK);
    w->tbs_bytes = buf_bytes(&tbs);
    if (ca_lint(w->tbs_bytes, &w->profile, &w->f->issuer, &token, text))
        fail_msg("%s", text);
    assert_true(ca_lint_covers(&token, w->tbs_bytes));
    size_t n = ca_fixture_sign(w->f->key, w->tbs_bytes, signature, sizeof signature);
    assert_int_equal(ca_issuer_verify(&w->f->issuer, w->tbs_bytes, (struct bytes){signature, n}),
                     TM_OK);
    assert_int_equal(
        ca_build_certificate(&w->f->issuer, w->tbs_bytes, (struct bytes){signature, n}, &cert),
        TM_OK);
    w->cert_bytes = buf_bytes(&cert);
    const unsigned char *p = w->cert_bytes.p;
    w->x = d2i_X509(NULL, &p, (long)w->cert_bytes.n);
    assert_non_null(w->x);
    assert_ptr_equal(p, w->cert_bytes.p + w->cert_bytes.n);
}

/* Strictly by RFC 5280, up to the root, for a purpose. */
static void assert_verifies(const struct work *w, int purpose) {
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *untrusted = sk_X509_new_null();
    assert_true(X509_STORE_add_cert(store, w->f->root));
    assert_true(sk_X509_push(untrusted, w->f->cert));
    assert_true(X509_STORE_CTX_init(ctx, store, w->x, untrusted));
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    assert_true(X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT |
                                                       X509_V_FLAG_CHECK_SS_SIGNATURE));
    assert_true(X509_VERIFY_PARAM_set_purpose(param, purpose));
    if (X509_verify_cert(ctx) != 1)
        fail_msg("%s", X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
    assert_int_equal(X509_verify(w->x, w->f->key), 1);
    assert_int_equal(X509_check_purpose(w->x, purpose, 0), 1);
    assert_int_equal(X509_check_ca(w->x), 0);
    sk_X509_free(untrusted);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
}

static void every_issuer_certifies_every_key(void **ctx) {
    (void)ctx;
    for (size_t i = 0; i < COUNT(issuer_kinds); i++) {
        struct ca_fixture f;
        ca_fixture_open(&f, issuer_kinds[i]);
        for (size_t s = 0; s < COUNT(subject_kinds); s++) {
            static const char *const profiles[] = {CA_FIXTURE_IDEVID, CA_FIXTURE_LDEVID};
            for (size_t p = 0; p < COUNT(profiles); p++) {
                struct work w;
                work_open(&w, &f, profiles[p], subject_kinds[s]);
                issue(&w);
                assert_verifies(&w, X509_PURPOSE_SSL_CLIENT);
                assert_int_equal(X509_check_purpose(w.x, X509_PURPOSE_SSL_SERVER, 0), 0);
                EVP_PKEY *certified = X509_get0_pubkey(w.x);
                assert_int_equal(EVP_PKEY_eq(certified, w.key), 1);
                work_close(&w);
            }
        }
        ca_fixture_close(&f);
    }
}

/* OpenSSL's encoding of what it read is what was built: nothing was read otherwise than meant. */
static void openssl_writes_the_same_octets(void **ctx) {
    (void)ctx;
    struct ca_fixture f;
    struct work w;
    ca_fixture_open(&f, "P-256");
    work_open(&w, &f, CA_FIXTURE_LDEVID, "P-256");
    issue(&w);
    struct fixture_der tbs;
    tbs.p = NULL;
    tbs.n = i2d_re_X509_tbs(w.x, &tbs.p); /* encodes anew */
    assert_true(tbs.n > 0);
    assert_bytes_equal(fixture_bytes(&tbs), w.tbs_bytes);
    fixture_free(&tbs);
    work_close(&w);
    ca_fixture_close(&f);
}

static void assert_name(const X509_NAME *name, const char *expect) {
    BIO *out = BIO_new(BIO_s_mem());
    char *text;
    assert_true(X509_NAME_print_ex(out, name, 0, XN_FLAG_RFC2253) >= 0);
    long n = BIO_get_mem_data(out, &text);
    assert_int_equal(n, strlen(expect));
    assert_memory_equal(text, expect, (size_t)n);
    BIO_free(out);
}

/* The DER of an extension's value as OpenSSL writes it from its own configuration language. */
static void assert_extension(const struct work *w, int nid, const char *conf_value, int critical,
                             const char *sections) {
    X509V3_CTX v3;
    CONF *conf = NCONF_new(NULL);
    BIO *in = BIO_new_mem_buf(sections ? sections : "", -1);
    long line;
    assert_true(NCONF_load_bio(conf, in, &line) == 1 || !sections);
    X509V3_set_ctx(&v3, w->f->cert, w->x, NULL, NULL, 0);
    X509V3_set_nconf(&v3, conf);
    X509_EXTENSION *expected = X509V3_EXT_nconf_nid(conf, &v3, nid, conf_value);
    assert_non_null(expected);
    int index = X509_get_ext_by_NID(w->x, nid, -1);
    assert_true(index >= 0);
    X509_EXTENSION *found = X509_get_ext(w->x, index);
    assert_int_equal(X509_EXTENSION_get_critical(found), critical);
    const ASN1_OCTET_STRING *a = X509_EXTENSION_get_data(found);
    const ASN1_OCTET_STRING *b = X509_EXTENSION_get_data(expected);
    assert_bytes_equal((struct bytes){a->data, (size_t)a->length},
                       (struct bytes){b->data, (size_t)b->length});
    X509_EXTENSION_free(expected);
    BIO_free(in);
    NCONF_free(conf);
}

static void an_ldevid_says_what_its_profile_says(void **ctx) {
    (void)ctx;
    struct ca_fixture f;
    struct work w;
    ca_fixture_open(&f, "P-384");
    work_open(&w, &f, CA_FIXTURE_LDEVID, "P-256");
    issue(&w);
    assert_int_equal(X509_get_version(w.x), X509_VERSION_3);
    const ASN1_INTEGER *serial = X509_get0_serialNumber(w.x);
    assert_bytes_equal((struct bytes){serial->data, (size_t)serial->length},
                       (struct bytes){w.serial.octets, w.serial.n});
    assert_name(X509_get_subject_name(w.x), "serialNumber=TM-000417,CN=TM-000417,O=Example Works");
    assert_int_equal(X509_NAME_cmp(X509_get_issuer_name(w.x), X509_get_subject_name(f.cert)), 0);
    assert_int_equal(X509_get_ext_count(w.x), 8);
    assert_extension(&w, NID_authority_key_identifier, "keyid:always", 0, NULL);
    assert_extension(&w, NID_basic_constraints, "CA:FALSE", 1, NULL);
    assert_extension(&w, NID_key_usage, "digitalSignature,nonRepudiation", 1, NULL);
    assert_extension(&w, NID_ext_key_usage, "clientAuth", 0, NULL);
    assert_extension(&w, NID_subject_alt_name, "URI:urn:dev:ops:32473-GW200-TM-000417", 0, NULL);
    assert_extension(&w, NID_crl_distribution_points, "URI:http://pki.example.com/f.crl", 0, NULL);
    assert_extension(&w, NID_info_access,
                     "OCSP;URI:http://ocsp.example.com,caIssuers;URI:http://pki.example.com/f.cer",
                     0, NULL);
    uint8_t hash[32];
    assert_int_equal(EVP_Digest(w.spki.key.p, w.spki.key.n, hash, NULL, EVP_sha256(), NULL), 1);
    const ASN1_OCTET_STRING *ski = X509_get0_subject_key_id(w.x);
    assert_bytes_equal((struct bytes){ski->data, (size_t)ski->length}, (struct bytes){hash, 20});
    work_close(&w);
    ca_fixture_close(&f);
}

static const char *first_url(const GENERAL_NAMES *names) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, 0);
    return (const char *)ASN1_STRING_get0_data(name->d.uniformResourceIdentifier);
}

/* And lint sees a certificate that names another shard, or none. */
static void urls_name_issuer_and_shard(void **ctx) {
    (void)ctx;
    static const char yaml[] =
        "kind: ldevid\n" CA_FIXTURE_KEYS CA_FIXTURE_SUBJECT
        "key_usage: [digitalSignature]\next_key_usage: [clientAuth]\nvalidity: 365d\n"
        "crl_url: \"http://s.example/{issuer}-{shard}.crl\"\n"
        "ocsp_url: \"http://s.example/ocsp/{issuer}\"\n"
        "credentials: [secret]\nstates: [registered]\nnext_state: activated\n";
    struct ca_fixture f;
    ca_fixture_open(&f, "P-256");
    f.issuer.crl_shards = 100;
    for (unsigned i = 0; i < 8; i++) {
        struct work w;
        char expect[64];
        work_open(&w, &f, yaml, "P-256");
        const uint8_t *last = &w.serial.octets[w.serial.n - 2];
        (void)snprintf(expect, sizeof expect, "http://s.example/factory-%u.crl",
                       (last[0] * 256u + last[1]) % 100);
        issue(&w);
        CRL_DIST_POINTS *points = X509_get_ext_d2i(w.x, NID_crl_distribution_points, NULL, NULL);
        AUTHORITY_INFO_ACCESS *access = X509_get_ext_d2i(w.x, NID_info_access, NULL, NULL);
        assert_int_equal(sk_DIST_POINT_num(points), 1);
        assert_string_equal(first_url(sk_DIST_POINT_value(points, 0)->distpoint->name.fullname),
                            expect);
        assert_string_equal(
            (const char *)ASN1_STRING_get0_data(
                sk_ACCESS_DESCRIPTION_value(access, 0)->location->d.uniformResourceIdentifier),
            "http://s.example/ocsp/factory");
        CRL_DIST_POINTS_free(points);
        AUTHORITY_INFO_ACCESS_free(access);
        struct ca_lint_token token;
        char text[CA_LINT_TEXT_MAX] = "";
        uint8_t *digit = memmem(w.tbs, w.tbs_bytes.n, expect, strlen(expect));
        assert_non_null(digit);
        digit[strlen("http://s.example/factory-")] ^= 1;
        assert_int_equal(ca_lint(w.tbs_bytes, &w.profile, &f.issuer, &token, text), TM_EDENIED);
        assert_non_null(strstr(text, "crl_url"));
        work_close(&w);
    }
    struct work w;
    work_open(&w, &f, yaml, "P-256");
    struct buf tbs = BUF_ON(w.tbs);
    f.issuer.crl_shards = 0;
    assert_int_equal(ca_build_tbs(&w.b, &tbs), TM_EINVAL);
    work_close(&w);
    ca_fixture_close(&f);
}

static void an_idevid_is_for_ever_and_names_its_hardware(void **ctx) {
    (void)ctx;
    struct ca_fixture f;
    struct work w;
    ca_fixture_open(&f, "P-256");
    work_open(&w, &f, CA_FIXTURE_IDEVID, "P-256");
    issue(&w);
    const ASN1_TIME *end = X509_get0_notAfter(w.x);
    assert_int_equal(end->type, V_ASN1_GENERALIZEDTIME);
    assert_string_equal((const char *)end->data, "99991231235959Z");
    assert_true(w.not_after_ms == CA_FOREVER_MS);
    assert_extension(&w, NID_subject_alt_name, "otherName:1.3.6.1.5.5.7.8.4;SEQUENCE:hw", 0,
                     "[hw]\ntype=OID:1.3.6.1.4.1.32473.1.7\nserial=FORMAT:ASCII,OCT:TM-000417\n");
    assert_int_equal(X509_get_ext_count(w.x), 6); /* no CRL, no AIA */
    work_close(&w);
    ca_fixture_close(&f);
}

static int64_t time_ms(const ASN1_TIME *t) {
    struct tm tm;
    assert_int_equal(ASN1_TIME_to_tm(t, &tm), 1);
    return (int64_t)timegm(&tm) * 1000;
}

static void times_are_those_of_profile_and_issuer(void **ctx) {
    (void)ctx;
    static const char yaml[] = "kind: ldevid\n" CA_FIXTURE_KEYS CA_FIXTURE_SUBJECT
                               "key_usage: [digitalSignature]\ncredentials: [secret]\n"
                               "states: [registered]\nbackdate: 10m\n";
    static const struct {
        const char *end;
        int64_t lasts_ms; /* 0: to the issuer's end */
    } rows[] = {
        {"validity: 90d\n", 90 * DAY_MS},
        {"validity: 7300d\n", 0},
        {"not_after: 2099-01-01T00:00:00Z\n", 0},
    };
    struct ca_fixture f;
    ca_fixture_open(&f, "P-256");
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[1024];
        struct work w;
        (void)snprintf(text, sizeof text, "%s%s", yaml, rows[i].end);
        work_open(&w, &f, text, "P-256");
        issue(&w);
        int64_t now = w.b.now_ms / 1000 * 1000;
        int64_t expect = rows[i].lasts_ms ? now + rows[i].lasts_ms : f.issuer.view.not_after_ms;
        assert_true(time_ms(X509_get0_notBefore(w.x)) == now - 10 * 60 * 1000);
        assert_true(time_ms(X509_get0_notAfter(w.x)) == expect);
        assert_true(w.not_after_ms == expect);
        work_close(&w);
    }
    ca_fixture_close(&f);
}

static void a_young_issuer_bounds_backdating(void **ctx) {
    (void)ctx;
    struct ca_fixture f;
    struct work w;
    struct buf none = {0};
    ca_fixture_open(&f, "P-256"); /* one hour old */
    work_open(&w, &f, CA_FIXTURE_LDEVID, "P-256");
    w.profile.backdate = 2 * 3600 * 1000;
    issue(&w);
    assert_true(time_ms(X509_get0_notBefore(w.x)) == f.issuer.view.not_before_ms);
    /* outside of the issuer's time nothing is built, for an IDevID neither */
    const int64_t outside[] = {f.issuer.view.not_before_ms - 1000,
                               f.issuer.view.not_after_ms + 1000};
    for (size_t i = 0; i < 2; i++) {
        struct buf out = BUF_ON(w.tbs);
        int64_t untouched = 4711;
        w.b.now_ms = outside[i];
        w.b.ret_not_after_ms = &untouched;
        assert_int_equal(ca_build_tbs(&w.b, &out), TM_EDENIED);
        w.profile.kind = CA_KIND_IDEVID;
        assert_int_equal(ca_build_tbs(&w.b, &out), TM_EDENIED);
        w.profile.kind = CA_KIND_LDEVID;
        assert_int_equal(out.n, 0);
        assert_true(untouched == 4711);
    }
    /* a fixed end that is past */
    w.b.now_ms = clock_wall_ms();
    w.profile.validity = 0;
    w.profile.not_after = w.b.now_ms - 1000;
    assert_int_equal(ca_build_tbs(&w.b, &none), TM_EDENIED);
    work_close(&w);
    ca_fixture_close(&f);
}

static void the_form_of_times_changes_in_2050(void **ctx) {
    (void)ctx;
    static const struct {
        const char *end, *text;
        int type;
    } rows[] = {
        {"not_after: 2049-12-31T23:59:59Z\n", "491231235959Z", V_ASN1_UTCTIME},
        {"not_after: 2050-01-01T00:00:00Z\n", "20500101000000Z", V_ASN1_GENERALIZEDTIME},
    };
    struct ca_fixture f;
    ca_fixture_open(&f, "P-256");
    X509 *old_ca =
        ca_fixture_make(&(struct ca_fixture_cert){.name = "Long",
                                                  .key = f.key,
                                                  .basic_constraints = "critical,CA:TRUE",
                                                  .key_usage = "keyCertSign",
                                                  .key_id = "hash",
                                                  .from_s = -3600,
                                                  .to_s = 60 * CA_FIXTURE_YEAR});
    char message[IPC_TEXT_MAX + 1] = "";
    ca_issuer_free(&f.issuer);
    ca_fixture_write(f.cert_path, &old_ca, 1);
    assert_int_equal(ca_issuer_load("factory", f.cert_path, NULL, &f.issuer, message), TM_OK);
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[1024];
        struct work w;
        (void)snprintf(text, sizeof text,
                       "kind: ldevid\n" CA_FIXTURE_KEYS CA_FIXTURE_SUBJECT
                       "key_usage: [digitalSignature]\ncredentials: [secret]\n"
                       "states: [registered]\n%s",
                       rows[i].end);
        work_open(&w, &f, text, "P-256");
        issue(&w);
        const ASN1_TIME *end = X509_get0_notAfter(w.x);
        assert_int_equal(end->type, rows[i].type);
        assert_string_equal((const char *)end->data, rows[i].text);
        work_close(&w);
    }
    X509_free(old_ca);
    ca_fixture_close(&f);
}

/* Whole GeneralNames as OpenSSL writes them, as in a request. */
static struct fixture_der general_names(const char *conf_value) {
    X509V3_CTX v3;
    X509V3_set_ctx(&v3, NULL, NULL, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &v3, NID_subject_alt_name, conf_value);
    assert_non_null(e);
    GENERAL_NAMES *names = X509V3_EXT_d2i(e);
    struct fixture_der der;
    FIXTURE_I2D(&der, GENERAL_NAMES, names);
    GENERAL_NAMES_free(names);
    X509_EXTENSION_free(e);
    return der;
}

static void a_server_gets_the_names_it_asks_for(void **ctx) {
    (void)ctx;
    static const char asked[] = "DNS:est.example.com,IP:192.0.2.7,IP:2001:db8::7,"
                                "URI:https://est.example.com/";
    struct ca_fixture f;
    struct work w;
    ca_fixture_open(&f, "P-256");
    work_open(&w, &f, CA_FIXTURE_SERVER, "P-256");
    struct fixture_der san = general_names(asked);
    w.b.requested_san = fixture_bytes(&san);
    issue(&w);
    assert_extension(&w, NID_subject_alt_name, asked, 0, NULL);
    assert_verifies(&w, X509_PURPOSE_SSL_SERVER);
    assert_int_equal(X509_check_host(w.x, "est.example.com", 0, 0, NULL), 1);
    assert_int_equal(X509_check_ip_asc(w.x, "2001:db8::7", 0), 1);
    assert_int_equal(X509_check_host(w.x, "other.example.com", 0, 0, NULL), 0);
    fixture_free(&san);
    work_close(&w);
    ca_fixture_close(&f);
}

static void requested_names_stand_once_and_behind_the_profile_s(void **ctx) {
    (void)ctx;
    struct ca_fixture f;
    struct work w;
    ca_fixture_open(&f, "P-256");
    work_open(&w, &f, CA_FIXTURE_LDEVID "san_from_request: true\n", "P-256");
    struct fixture_der san =
        general_names("DNS:a.example,URI:urn:dev:ops:32473-GW200-TM-000417,DNS:b.example,"
                      "DNS:a.example");
    w.b.requested_san = fixture_bytes(&san);
    issue(&w);
    assert_extension(&w, NID_subject_alt_name,
                     "URI:urn:dev:ops:32473-GW200-TM-000417,DNS:a.example,DNS:b.example", 0, NULL);
    fixture_free(&san);
    work_close(&w);
    ca_fixture_close(&f);
}

static void names_that_the_profile_does_not_take_are_not_built(void **ctx) {
    (void)ctx;
    static const struct {
        const char *yaml, *san;
        enum tm_err expect;
    } rows[] = {
        {CA_FIXTURE_LDEVID, "DNS:a.example", TM_EDENIED},
        {CA_FIXTURE_LDEVID, "URI:urn:dev:ops:32473-GW200-TM-000418", TM_EDENIED},
        {CA_FIXTURE_LDEVID, "URI:urn:dev:ops:32473-GW200-TM-000417", TM_OK},
        {CA_FIXTURE_SERVER, "email:a@example.com", TM_EDENIED},
        {CA_FIXTURE_SERVER, "DNS:*.example.com", TM_EDENIED},
        {CA_FIXTURE_SERVER, "DNS:a.example,RID:1.2.3", TM_EDENIED},
    };
    struct ca_fixture f;
    ca_fixture_open(&f, "P-256");
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct work w;
        struct fixture_der san = general_names(rows[i].san);
        work_open(&w, &f, rows[i].yaml, "P-256");
        struct buf out = BUF_ON(w.tbs);
        w.b.requested_san = fixture_bytes(&san);
        assert_int_equal(ca_build_tbs(&w.b, &out), rows[i].expect);
        w.b.requested_san.n--; /* cut short */
        out.n = 0;
        assert_int_equal(ca_build_tbs(&w.b, &out), TM_EDENIED);
        fixture_free(&san);
        work_close(&w);
    }
    ca_fixture_close(&f);
}

static void at_most_so_many_names(void **ctx) {
    (void)ctx;
    struct ca_fixture f;
    struct work w;
    char text[2048] = "";
    size_t n = 0;
    ca_fixture_open(&f, "P-256");
    work_open(&w, &f, CA_FIXTURE_SERVER, "P-256");
    for (int i = 0; i < CA_SAN_NAMES_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%sDNS:h%d.example", i ? "," : "", i);
    struct fixture_der san = general_names(text);
    w.b.requested_san = fixture_bytes(&san);
    issue(&w);
    fixture_free(&san);
    (void)snprintf(text + n, sizeof text - n, ",DNS:more.example");
    san = general_names(text);
    struct buf out = BUF_ON(w.tbs);
    w.b.requested_san = fixture_bytes(&san);
    assert_int_equal(ca_build_tbs(&w.b, &out), TM_ELIMIT);
    fixture_free(&san);
    work_close(&w);
    ca_fixture_close(&f);
}

static void a_renewal_keeps_its_names(void **ctx) {
    (void)ctx;
    struct ca_fixture f;
    struct work first, second;
    struct pki_cert old;
    ca_fixture_open(&f, "P-256");
    work_open(&first, &f, CA_FIXTURE_LDEVID, "P-256");
    issue(&first);
    assert_int_equal(pki_cert_parse(first.cert_bytes, &old), TM_OK);
    work_open(&second, &f, CA_FIXTURE_LDEVID, "P-384");
    (void)strcpy(second.device.sku, "GW300"); /* the registry changed since */
    second.b.renewal = true;
    second.b.keep_subject = old.subject;
    assert_int_equal(pki_cert_san(&old, &second.b.keep_san), TM_OK);
    issue(&second);
    assert_int_equal(X509_NAME_cmp(X509_get_subject_name(first.x), X509_get_subject_name(second.x)),
                     0);
    assert_extension(&second, NID_subject_alt_name, "URI:urn:dev:ops:32473-GW200-TM-000417", 0,
                     NULL);
    assert_verifies(&second, X509_PURPOSE_SSL_CLIENT);
    work_close(&second);
    /* one without names stays without */
    work_open(&second, &f, CA_FIXTURE_LDEVID, "P-256");
    second.b.renewal = true;
    second.b.keep_subject = old.subject;
    issue(&second);
    assert_int_equal(X509_get_ext_by_NID(second.x, NID_subject_alt_name, -1), -1);
    work_close(&second);
    work_close(&first);
    ca_fixture_close(&f);
}

static void values_that_do_not_fit_are_errors(void **ctx) {
    (void)ctx;
    struct ca_fixture f;
    struct work w;
    ca_fixture_open(&f, "P-256");
    work_open(&w, &f, CA_FIXTURE_LDEVID, "P-256");
    struct buf out = BUF_ON(w.tbs);
    static const char *const bad_ids[] = {"", "under_score", "tilde~"};
    for (size_t i = 0; i < COUNT(bad_ids); i++) {
        (void)strcpy(w.device.id, bad_ids[i]);
        assert_int_equal(ca_build_tbs(&w.b, &out), TM_EINVAL);
        assert_int_equal(ca_build_subject(&w.profile, &w.device, &out), TM_EINVAL);
    }
    w.device = ca_fixture_device;
    w.device.sku[0] = '\0';
    assert_int_equal(ca_build_tbs(&w.b, &out), TM_EINVAL);
    assert_int_equal(ca_build_san(&w.profile, &w.device, &out), TM_EINVAL);
    (void)strcpy(w.device.sku, "A B"); /* no URI any more */
    assert_int_equal(ca_build_tbs(&w.b, &out), TM_EINVAL);
    assert_int_equal(out.n, 0);
    /* every length that is too short says so and writes nothing */
    w.device = ca_fixture_device;
    assert_int_equal(ca_build_tbs(&w.b, &out), TM_OK);
    size_t full = out.n;
    for (size_t cap = 0; cap < full; cap++) {
        struct buf small = {w.cert, cap, 0, false};
        assert_int_equal(ca_build_tbs(&w.b, &small), TM_ELIMIT);
        assert_int_equal(small.n, 0);
    }
    work_close(&w);
    ca_fixture_close(&f);
}

static void names_can_be_had_beforehand(void **ctx) {
    (void)ctx;
    struct ca_fixture f;
    struct work w;
    struct pki_cert cert;
    struct bytes san;
    uint8_t octets[512];
    struct buf out = BUF_ON(octets);
    ca_fixture_open(&f, "P-256");
    work_open(&w, &f, CA_FIXTURE_LDEVID, "P-256");
    issue(&w);
    assert_int_equal(pki_cert_parse(w.cert_bytes, &cert), TM_OK);
    assert_int_equal(ca_build_subject(&w.profile, &w.device, &out), TM_OK);
    assert_bytes_equal(buf_bytes(&out), cert.subject);
    out.n = 0;
    assert_int_equal(ca_build_san(&w.profile, &w.device, &out), TM_OK);
    assert_int_equal(pki_cert_san(&cert, &san), TM_OK);
    assert_bytes_equal(buf_bytes(&out), san);
    work_close(&w);
    work_open(&w, &f, CA_FIXTURE_SERVER, "P-256");
    out.n = 0;
    assert_int_equal(ca_build_san(&w.profile, &w.device, &out), TM_OK);
    assert_int_equal(out.n, 0);
    work_close(&w);
    ca_fixture_close(&f);
}

static void serials_are_positive_ordered_and_random(void **ctx) {
    (void)ctx;
    struct ca_serial a, b, c;
    int64_t now = clock_wall_ms();
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(ca_serial_make(now, &a), TM_OK);
        assert_int_equal(ca_serial_make(now, &b), TM_OK);
        assert_int_equal(ca_serial_make(now + 1, &c), TM_OK);
        assert_int_equal(a.n, 16);
        assert_true(a.octets[0] > 0 && a.octets[0] < 0x80); /* positive and minimal */
        assert_memory_equal(a.octets, b.octets, 6);
        assert_memory_not_equal(a.octets + 6, b.octets + 6, 10);
        assert_true(memcmp(a.octets, c.octets, 16) < 0);
    }
    /* every random bit is seen both ways */
    uint8_t ones[10] = {0}, zeros[10] = {0};
    for (int i = 0; i < 200; i++) {
        assert_int_equal(ca_serial_make(now, &a), TM_OK);
        for (int k = 0; k < 10; k++) {
            ones[k] |= a.octets[6 + k];
            zeros[k] |= (uint8_t)~a.octets[6 + k];
        }
    }
    for (int k = 0; k < 10; k++)
        assert_int_equal(ones[k] & zeros[k], 0xff);
    /* with a clock that was never set there is no serial */
    c.n = 99;
    assert_int_equal(ca_serial_make(0, &c), TM_EINVAL);
    assert_int_equal(ca_serial_make(-1, &c), TM_EINVAL);
    assert_int_equal(ca_serial_make(INT64_C(1) << 47, &c), TM_EINVAL);
    assert_int_equal(c.n, 99);
    assert_int_equal(ca_serial_make(INT64_C(1) << 40, &c), TM_OK);
    assert_int_equal(c.octets[0], 1);
    assert_int_equal(ca_serial_make((INT64_C(1) << 47) - 1, &c), TM_OK);
    assert_int_equal(c.octets[0], 0x7f);
}

/* One line of base64 with LF that strongSwan and libest both read holds 765 octets (certs-only). */
static void certificates_stay_small(void **ctx) {
    (void)ctx;
    struct ca_fixture f;
    ca_fixture_open(&f, "P-256");
    static const char *const profiles[] = {CA_FIXTURE_IDEVID, CA_FIXTURE_LDEVID};
    for (size_t i = 0; i < COUNT(profiles); i++) {
        struct work w;
        work_open(&w, &f, profiles[i], "P-256");
        issue(&w);
        assert_in_range(w.cert_bytes.n, 300, 765 - 60);
        work_close(&w);
    }
    ca_fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_issuer_certifies_every_key),
        cmocka_unit_test(openssl_writes_the_same_octets),
        cmocka_unit_test(an_ldevid_says_what_its_profile_says),
        cmocka_unit_test(urls_name_issuer_and_shard),
        cmocka_unit_test(an_idevid_is_for_ever_and_names_its_hardware),
        cmocka_unit_test(times_are_those_of_profile_and_issuer),
        cmocka_unit_test(a_young_issuer_bounds_backdating),
        cmocka_unit_test(the_form_of_times_changes_in_2050),
        cmocka_unit_test(a_server_gets_the_names_it_asks_for),
        cmocka_unit_test(requested_names_stand_once_and_behind_the_profile_s),
        cmocka_unit_test(names_that_the_profile_does_not_take_are_not_built),
        cmocka_unit_test(at_most_so_many_names),
        cmocka_unit_test(a_renewal_keeps_its_names),
        cmocka_unit_test(values_that_do_not_fit_are_errors),
        cmocka_unit_test(names_can_be_had_beforehand),
        cmocka_unit_test(serials_are_positive_ordered_and_random),
        cmocka_unit_test(certificates_stay_small),
    };
    return cmocka_run_group_tests_name("build", tests, NULL, NULL);
}
