/* SPDX-License-Identifier: Apache-2.0 */
/* What a gateway is told about certificates: good and revoked only for what the issuer issued. */
#include "filter_fixture.h"

#include "client/filter.h"
#include "client/port/openssl.h"

#define GOOD_I 500    /* of the universe, not revoked */
#define REVOKED_I 501 /* revoked */
#define BURNED_I 502  /* no certificate, as far as the CA knows */
#define NEVER_I 503   /* a time that is covered, a serial that was not given out */
#define ISSUED 1000

/* An issuer, its filter, and what stands behind the crypto table. */
struct rig {
    struct ca_fixture ca;
    struct bytes file, issuer;
    struct tm_filter filter;
    struct tm_crypto crypto; /* `self` is this struct */
    enum tm_err broken_verify, broken_sha256;
};

static enum tm_err rig_verify(void *self, struct bytes spki, struct bytes algorithm,
                              struct bytes message, struct bytes signature) {
    const struct rig *r = self;
    const struct tm_crypto *real = tm_openssl_crypto();
    return r->broken_verify ? r->broken_verify
                            : real->verify(real->self, spki, algorithm, message, signature);
}

static enum tm_err rig_sha256(void *self, const struct bytes *parts, size_t count,
                              uint8_t ret[TM_SHA256_SIZE]) {
    const struct rig *r = self;
    const struct tm_crypto *real = tm_openssl_crypto();
    return r->broken_sha256 ? r->broken_sha256 : real->sha256(real->self, parts, count, ret);
}

static struct ca_serial serial_of(size_t i) {
    uint64_t seed = 1000 + i;
    return ff_serial_at(FF_FROM + (int64_t)i * FF_STEP, &seed);
}

static enum ca_filter_kind kind_of(size_t i) {
    return i == BURNED_I ? CA_FILTER_BURNED : i % 10 == 1 ? CA_FILTER_REVOKED : CA_FILTER_GOOD;
}

static struct bytes make_filter(const struct ca_fixture *ca) {
    struct ca_filter *filter = ff_new(&ca->issuer);
    for (size_t i = 0; i < ISSUED; i++) {
        struct ca_serial serial = serial_of(i);
        if (i != NEVER_I)
            assert_int_equal(ca_filter_add(filter, &serial, kind_of(i)), TM_OK);
    }
    return ff_finish(ca, filter);
}

static void open_rig(struct rig *r, const char *kind) {
    memset(r, 0, sizeof *r);
    ca_fixture_open(&r->ca, kind);
    r->file = make_filter(&r->ca);
    r->issuer = r->ca.issuer.der;
    r->crypto = *tm_openssl_crypto();
    r->crypto.self = r;
    r->crypto.verify = rig_verify;
    r->crypto.sha256 = rig_sha256;
    assert_int_equal(tm_filter_open(&r->filter, &r->crypto, r->file, r->issuer), TM_OK);
}

static void close_rig(struct rig *r) {
    ff_free(r->file);
    ca_fixture_close(&r->ca);
}

static int setup(void **state) {
    *state = malloc(sizeof(struct rig));
    assert_non_null(*state);
    open_rig(*state, "P-256");
    return 0;
}

static int teardown(void **state) {
    close_rig(*state);
    free(*state);
    return 0;
}

/* A device's certificate with this serial, signed by `signer`. */
static struct fixture_der certificate_by(const struct rig *r, struct bytes serial,
                                         EVP_PKEY *signer) {
    struct fixture_der der;
    EVP_PKEY *key = ca_fixture_shared_key("P-256");
    X509 *cert = ca_fixture_make(&(struct ca_fixture_cert){.name = "pump-17",
                                                           .key = key,
                                                           .issuer = r->ca.cert,
                                                           .issuer_key = signer,
                                                           .to_s = CA_FIXTURE_YEAR});
    BIGNUM *number = BN_bin2bn(serial.p, (int)serial.n, NULL);
    assert_non_null(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)));
    assert_true(X509_sign(cert, signer, ca_fixture_digest(signer)) > 0);
    FIXTURE_I2D(&der, X509, cert);
    BN_free(number);
    X509_free(cert);
    EVP_PKEY_free(key);
    return der;
}

static enum tm_filter_answer ask_at(const struct rig *r, int64_t now_ms, int64_t tolerance_ms,
                                    struct bytes certificate, const char *expect) {
    const char *why = NULL;
    enum tm_filter_answer answer =
        tm_filter_ask(&r->filter, &r->crypto, now_ms, tolerance_ms, certificate, &why);
    assert_non_null(why);
    assert_contains(why, expect);
    return answer;
}

static enum tm_filter_answer ask_signed(const struct rig *r, struct bytes serial, EVP_PKEY *signer,
                                        const char *expect) {
    struct fixture_der der = certificate_by(r, serial, signer);
    enum tm_filter_answer answer = ask_at(r, FF_NOW + 1, 0, fixture_bytes(&der), expect);
    fixture_free(&der);
    return answer;
}

static enum tm_filter_answer ask_number(const struct rig *r, size_t i, const char *expect) {
    struct ca_serial serial = serial_of(i);
    return ask_signed(r, (struct bytes){serial.octets, serial.n}, r->ca.key, expect);
}

/* ---- what was issued ---- */

static void every_kind_of_issuer_is_understood(void **state) {
    static const char *const kinds[] = {"P-256", "P-384", "P-521", "RSA2048", "ED25519"};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct rig r;
        open_rig(&r, kinds[i]);
        assert_int_equal(r.filter.number, 17);
        assert_int_equal(r.filter.made_ms, FF_NOW);
        assert_int_equal(r.filter.next_ms, FF_NOW + FF_HOUR);
        assert_int_equal(r.filter.from_ms, 0);
        assert_int_equal(r.filter.until_ms, FF_NOW - FF_HOUR);
        assert_int_equal(ask_number(&r, GOOD_I, "not revoked"), TM_FILTER_GOOD);
        assert_int_equal(ask_number(&r, REVOKED_I, "it is revoked"), TM_FILTER_REVOKED);
        close_rig(&r);
    }
}

static void certificates_of_the_universe_get_their_answers(void **state) {
    for (size_t i = 0; i < ISSUED; i += 7)
        if (i != NEVER_I && i != BURNED_I)
            assert_int_equal(ask_number(*state, i, "revoked"),
                             kind_of(i) == CA_FILTER_GOOD ? TM_FILTER_GOOD : TM_FILTER_REVOKED);
}

static void a_burned_serial_is_not_good_even_when_it_is_signed(void **state) {
    assert_int_equal(ask_number(*state, BURNED_I, "revoked"), TM_FILTER_REVOKED);
}

/* ---- what was not ---- */

static void forged_certificates_are_unknown(void **state) {
    struct rig *r = *state;
    EVP_PKEY *other = ca_fixture_key("P-256");
    for (size_t i = 0; i < ISSUED; i += 50) {
        struct ca_serial serial = serial_of(i);
        assert_int_equal(
            ask_signed(r, (struct bytes){serial.octets, serial.n}, other, "does not verify"),
            TM_FILTER_UNKNOWN);
    }
    EVP_PKEY_free(other);
}

/* The filter itself would call most of them not revoked: it is the signature that they lack. */
static void serials_that_were_never_given_out_are_unknown(void **state) {
    struct rig *r = *state;
    EVP_PKEY *other = ca_fixture_key("P-256");
    struct pki_filter_file file;
    struct pki_filter_header header;
    size_t not_revoked = 0;
    uint64_t seed = 4711;
    assert_int_equal(pki_filter_file_read(r->file, &file), TM_OK);
    assert_int_equal(pki_filter_header_read(file.header, &header), TM_OK);
    for (size_t i = 0; i < 200; i++) {
        struct ca_serial serial = ff_serial_at(FF_FROM + (int64_t)i, &seed);
        struct bytes octets = {serial.octets, serial.n};
        assert_int_equal(ask_signed(r, octets, other, "does not verify"), TM_FILTER_UNKNOWN);
        not_revoked += !pki_filter_revoked(&header, file.body, serial.octets);
    }
    assert_in_range(not_revoked, 100, 200);
    EVP_PKEY_free(other);
}

static void one_changed_bit_makes_a_certificate_unknown(void **state) {
    struct rig *r = *state;
    struct ca_serial serial = serial_of(GOOD_I);
    struct fixture_der der = certificate_by(r, (struct bytes){serial.octets, serial.n}, r->ca.key);
    for (int i = 0; i < der.n; i++) {
        der.p[i] ^= 0x04;
        assert_int_equal(ask_at(r, FF_NOW, 0, fixture_bytes(&der), ""), TM_FILTER_UNKNOWN);
        der.p[i] ^= 0x04;
    }
    assert_int_equal(ask_at(r, FF_NOW, 0, fixture_bytes(&der), ""), TM_FILTER_GOOD);
    fixture_free(&der);
}

static void serials_outside_of_the_coverage_are_unknown(void **state) {
    struct rig *r = *state;
    uint64_t seed = 1;
    struct ca_serial newer = ff_serial_at(r->filter.until_ms + 1, &seed);
    assert_int_equal(ask_signed(r, (struct bytes){newer.octets, 16}, r->ca.key, "does not cover"),
                     TM_FILTER_UNKNOWN);
    struct ca_serial known = serial_of(GOOD_I);
    uint8_t longer[17] = {1};
    memcpy(longer + 1, known.octets, 16);
    assert_int_equal(ask_signed(r, (struct bytes){known.octets, 15}, r->ca.key, "form"),
                     TM_FILTER_UNKNOWN);
    assert_int_equal(ask_signed(r, BYTES_OF(longer), r->ca.key, "form"), TM_FILTER_UNKNOWN);
    assert_int_equal(ask_signed(r, (struct bytes){(const uint8_t *)"\x07", 1}, r->ca.key, "form"),
                     TM_FILTER_UNKNOWN);
}

static void other_issuers_certificates_are_unknown(void **state) {
    struct rig *r = *state, other;
    open_rig(&other, "P-256");
    struct ca_serial serial = serial_of(GOOD_I);
    struct fixture_der der =
        certificate_by(&other, (struct bytes){serial.octets, serial.n}, other.ca.key);
    assert_int_equal(ask_at(&other, FF_NOW, 0, fixture_bytes(&der), ""), TM_FILTER_GOOD);
    assert_int_equal(ask_at(r, FF_NOW, 0, fixture_bytes(&der), "another issuer"),
                     TM_FILTER_UNKNOWN);
    fixture_free(&der);
    close_rig(&other);
    assert_int_equal(ask_at(r, FF_NOW, 0, r->issuer, "another issuer"), TM_FILTER_UNKNOWN);
}

static void what_is_no_certificate_is_unknown(void **state) {
    struct rig *r = *state;
    struct ca_serial serial = serial_of(GOOD_I);
    struct fixture_der der = certificate_by(r, (struct bytes){serial.octets, serial.n}, r->ca.key);
    struct bytes whole = fixture_bytes(&der);
    for (size_t n = 0; n < whole.n; n++)
        assert_int_equal(ask_at(r, FF_NOW, 0, (struct bytes){whole.p, n}, "no certificate"),
                         TM_FILTER_UNKNOWN);
    uint8_t *more = calloc(1, whole.n + 1);
    memcpy(more, whole.p, whole.n);
    assert_int_equal(ask_at(r, FF_NOW, 0, (struct bytes){more, whole.n + 1}, "no certificate"),
                     TM_FILTER_UNKNOWN);
    free(more);
    fixture_free(&der);
}

/* ---- time ---- */

static void good_needs_a_filter_of_its_time_and_revoked_does_not(void **state) {
    struct rig *r = *state;
    static const struct {
        int64_t now_ms, tolerance_ms;
        enum tm_filter_answer answer;
        const char *why;
    } rows[] = {
        {FF_NOW, 0, TM_FILTER_GOOD, "not revoked"},
        {FF_NOW + FF_HOUR, 0, TM_FILTER_GOOD, "not revoked"},
        {FF_NOW + FF_HOUR + 1, 0, TM_FILTER_UNKNOWN, "overdue"},
        {FF_NOW + FF_HOUR + 1, -5, TM_FILTER_UNKNOWN, "overdue"},
        {FF_NOW + FF_HOUR + 1000, 1000, TM_FILTER_GOOD, "not revoked"},
        {FF_NOW + FF_HOUR + 1001, 1000, TM_FILTER_UNKNOWN, "overdue"},
        {INT64_MAX, INT64_MAX, TM_FILTER_GOOD, "not revoked"},
        {INT64_MAX, 0, TM_FILTER_UNKNOWN, "overdue"},
        {FF_NOW - 1, 0, TM_FILTER_UNKNOWN, "future"},
        {FF_NOW - 1000, 1000, TM_FILTER_GOOD, "not revoked"},
        {FF_NOW - 1001, 1000, TM_FILTER_UNKNOWN, "future"},
        {0, INT64_MAX, TM_FILTER_UNKNOWN, "time is not known"},
        {INT64_MIN, INT64_MAX, TM_FILTER_UNKNOWN, "time is not known"},
    };
    struct ca_serial good = serial_of(GOOD_I), revoked = serial_of(REVOKED_I);
    struct fixture_der of_good = certificate_by(r, (struct bytes){good.octets, 16}, r->ca.key);
    struct fixture_der of_revoked =
        certificate_by(r, (struct bytes){revoked.octets, 16}, r->ca.key);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(
            ask_at(r, rows[i].now_ms, rows[i].tolerance_ms, fixture_bytes(&of_good), rows[i].why),
            rows[i].answer);
        assert_int_equal(ask_at(r, rows[i].now_ms, rows[i].tolerance_ms, fixture_bytes(&of_revoked),
                                "it is revoked"),
                         TM_FILTER_REVOKED);
    }
    fixture_free(&of_good);
    fixture_free(&of_revoked);
}

/* ---- files ---- */

static void one_changed_bit_anywhere_in_the_file_is_found(void **state) {
    struct rig *r = *state;
    uint8_t *copy = malloc(r->file.n);
    struct tm_filter filter = {.number = 99};
    memcpy(copy, r->file.p, r->file.n);
    for (size_t i = 0; i < r->file.n; i++) {
        copy[i] ^= (uint8_t)(1 << i % 8);
        enum tm_err err =
            tm_filter_open(&filter, &r->crypto, (struct bytes){copy, r->file.n}, r->issuer);
        if (err != TM_ECRYPTO && err != TM_EPARSE && err != TM_EDENIED)
            fail_msg("octet %zu: %s", i, tm_err_name(err));
        copy[i] ^= (uint8_t)(1 << i % 8);
    }
    assert_int_equal(filter.number, 99);
    free(copy);
}

static void a_file_of_another_length_is_refused(void **state) {
    struct rig *r = *state;
    struct tm_filter filter;
    for (size_t n = 0; n < r->file.n; n++) {
        uint8_t *exact = malloc(n ? n : 1);
        memcpy(exact, r->file.p, n);
        assert_int_not_equal(
            tm_filter_open(&filter, &r->crypto, (struct bytes){exact, n}, r->issuer), TM_OK);
        free(exact);
    }
    uint8_t *more = calloc(1, r->file.n + 1);
    memcpy(more, r->file.p, r->file.n);
    assert_int_equal(
        tm_filter_open(&filter, &r->crypto, (struct bytes){more, r->file.n + 1}, r->issuer),
        TM_ECRYPTO);
    free(more);
}

static void another_certificate_opens_no_filter(void **state) {
    struct rig *r = *state, other;
    struct tm_filter filter;
    open_rig(&other, "P-256");
    assert_int_equal(tm_filter_open(&filter, &r->crypto, r->file, other.issuer), TM_EDENIED);
    assert_int_equal(tm_filter_open(&filter, &r->crypto, r->file, r->ca.issuer.chain), TM_EDENIED);
    assert_int_equal(tm_filter_open(&filter, &r->crypto, r->file, r->file), TM_EPARSE);
    /* The same key identifier, another key: whoever makes such a certificate signs no filter. */
    X509 *twin =
        ca_fixture_make(&(struct ca_fixture_cert){.name = "Test Manufacturing CA",
                                                  .key = other.ca.key,
                                                  .basic_constraints = "critical,CA:TRUE"});
    ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
    assert_true(ASN1_OCTET_STRING_set(id, r->ca.issuer.key_id.p, (int)r->ca.issuer.key_id.n));
    assert_int_equal(X509_add1_ext_i2d(twin, NID_subject_key_identifier, id, 0, 0), 1);
    assert_true(X509_sign(twin, other.ca.key, EVP_sha256()) > 0);
    struct fixture_der der;
    FIXTURE_I2D(&der, X509, twin);
    assert_int_equal(tm_filter_open(&filter, &r->crypto, r->file, fixture_bytes(&der)), TM_ECRYPTO);
    fixture_free(&der);
    ASN1_OCTET_STRING_free(id);
    X509_free(twin);
    close_rig(&other);
}

/* A certificate for the issuer's key and key identifier that is not one of a CA. */
static void a_device_certificate_opens_no_filter(void **state) {
    struct rig *r = *state;
    struct tm_filter filter;
    struct fixture_der der;
    X509 *leaf = ca_fixture_make(&(struct ca_fixture_cert){.name = "Test Manufacturing CA",
                                                           .key = r->ca.key,
                                                           .key_usage = "digitalSignature",
                                                           .key_id = "hash"});
    FIXTURE_I2D(&der, X509, leaf);
    assert_int_equal(tm_filter_open(&filter, &r->crypto, r->file, fixture_bytes(&der)), TM_EDENIED);
    fixture_free(&der);
    X509_free(leaf);
}

static void a_table_that_fails_proves_nothing(void **state) {
    struct rig *r = *state;
    struct tm_filter filter;
    r->broken_verify = TM_EAGAIN;
    assert_int_equal(tm_filter_open(&filter, &r->crypto, r->file, r->issuer), TM_EAGAIN);
    assert_int_equal(ask_number(r, GOOD_I, "could not be checked"), TM_FILTER_UNKNOWN);
    assert_int_equal(ask_number(r, REVOKED_I, "could not be checked"), TM_FILTER_UNKNOWN);
    r->broken_verify = TM_OK;
    r->broken_sha256 = TM_EIO;
    assert_int_equal(tm_filter_open(&filter, &r->crypto, r->file, r->issuer), TM_EIO);
    r->broken_sha256 = TM_OK;
    r->crypto.version++;
    assert_int_equal(tm_filter_open(&filter, &r->crypto, r->file, r->issuer), TM_EINVAL);
    r->crypto.version--;
    assert_int_equal(tm_filter_open(&filter, &r->crypto, r->file, r->issuer), TM_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_issuer_is_understood),
        cmocka_unit_test(certificates_of_the_universe_get_their_answers),
        cmocka_unit_test(a_burned_serial_is_not_good_even_when_it_is_signed),
        cmocka_unit_test(forged_certificates_are_unknown),
        cmocka_unit_test(serials_that_were_never_given_out_are_unknown),
        cmocka_unit_test(one_changed_bit_makes_a_certificate_unknown),
        cmocka_unit_test(serials_outside_of_the_coverage_are_unknown),
        cmocka_unit_test(other_issuers_certificates_are_unknown),
        cmocka_unit_test(what_is_no_certificate_is_unknown),
        cmocka_unit_test(good_needs_a_filter_of_its_time_and_revoked_does_not),
        cmocka_unit_test(one_changed_bit_anywhere_in_the_file_is_found),
        cmocka_unit_test(a_file_of_another_length_is_refused),
        cmocka_unit_test(another_certificate_opens_no_filter),
        cmocka_unit_test(a_device_certificate_opens_no_filter),
        cmocka_unit_test(a_table_that_fails_proves_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
