/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCSP, read and written here, against OpenSSL: its requests are read, and every answer is verified
 * by it with nothing but the CA's certificates and says what it was told.
 */
#include "ca_fixture.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>

#include "ca/ocsp.h"
#include "der_rewrite.h"

#define NOW_MS clock_wall_ms()
#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static const struct ca_serial serial_one = {.octets = {1, 2, 3, 4, 5, 6, 7, 8, 9}, .n = 9};

/* A CA and its OCSP responder. */
struct rig {
    struct ca_fixture f;
    EVP_PKEY *key;
    X509 *cert;
    struct ca_ocsp_responder responder;
};

/* purposes: extKeyUsage; issuer_key: NULL for the CA's. */
static X509 *delegated(const struct ca_fixture *f, EVP_PKEY *key, EVP_PKEY *issuer_key,
                       const char *purposes) {
    X509 *cert =
        ca_fixture_make(&(struct ca_fixture_cert){.name = "OCSP",
                                                  .key = key,
                                                  .issuer = f->cert,
                                                  .issuer_key = issuer_key ? issuer_key : f->key,
                                                  .key_usage = "critical,digitalSignature",
                                                  .from_s = -3600,
                                                  .to_s = CA_FIXTURE_YEAR});
    ca_fixture_add(cert, f->cert, NID_ext_key_usage, purposes);
    EVP_PKEY *signer = issuer_key ? issuer_key : f->key;
    assert_true(X509_sign(cert, signer, ca_fixture_digest(signer)) > 0);
    return cert;
}

static enum tm_err load(const struct ca_fixture *f, X509 *cert, struct ca_ocsp_responder *ret) {
    struct fixture_der der;
    char text[IPC_TEXT_MAX + 1] = "";
    FIXTURE_I2D(&der, X509, cert);
    enum tm_err err = ca_ocsp_responder_load(&f->issuer, fixture_bytes(&der), ret, text);
    assert_int_equal(text[0] != '\0', err != TM_OK);
    fixture_free(&der);
    return err;
}

static void rig_open(struct rig *rig, const char *ca_kind, const char *kind) {
    ca_fixture_open(&rig->f, ca_kind);
    rig->key = ca_fixture_shared_key(kind);
    rig->cert = delegated(&rig->f, rig->key, NULL, "OCSPSigning");
    assert_int_equal(load(&rig->f, rig->cert, &rig->responder), TM_OK);
}

static void rig_close(struct rig *rig) {
    ca_ocsp_responder_free(&rig->responder);
    X509_free(rig->cert);
    EVP_PKEY_free(rig->key);
    ca_fixture_close(&rig->f);
}

static OCSP_CERTID *their_id(const struct rig *rig, const struct ca_serial *serial,
                             const EVP_MD *md) {
    BIGNUM *n = BN_bin2bn(serial->octets, serial->n, NULL);
    ASN1_INTEGER *integer = BN_to_ASN1_INTEGER(n, NULL);
    OCSP_CERTID *id = OCSP_cert_id_new(md, X509_get_subject_name(rig->f.cert),
                                       X509_get0_pubkey_bitstr(rig->f.cert), integer);
    assert_non_null(id);
    ASN1_INTEGER_free(integer);
    BN_free(n);
    return id;
}

static size_t sign(const struct rig *rig, struct bytes data, uint8_t signature[512]) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t n = 512;
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, ca_fixture_digest(rig->key), NULL, rig->key), 1);
    assert_int_equal(EVP_DigestSign(ctx, signature, &n, data.p, data.n), 1);
    EVP_MD_CTX_free(ctx);
    return n;
}

/* ---- requests ---- */

static void requests_of_openssl_are_read(void **state) {
    (void)state;
    struct rig rig;
    rig_open(&rig, "P-256", "P-256");
    for (int variant = 0; variant < 16; variant++) {
        OCSP_REQUEST *request = OCSP_REQUEST_new();
        int count = variant & 1 ? PKI_OCSP_SINGLES_MAX : 1;
        for (int i = 0; i < count; i++) {
            struct ca_serial serial = serial_one;
            serial.octets[8] = (uint8_t)i;
            assert_non_null(OCSP_request_add0_id(
                request, their_id(&rig, &serial, variant & 2 ? EVP_sha256() : EVP_sha1())));
        }
        if (variant & 4)
            assert_int_equal(OCSP_request_add1_nonce(request, NULL, 32), 1);
        if (variant & 8)
            assert_int_equal(OCSP_request_sign(request, rig.cert, rig.key, EVP_sha256(), NULL, 0),
                             1);
        struct fixture_der der;
        struct pki_ocsp_request read;
        FIXTURE_I2D(&der, OCSP_REQUEST, request);
        assert_int_equal(pki_ocsp_request_parse(fixture_bytes(&der), &read), TM_OK);
        assert_int_equal(read.count, count);
        for (int i = 0; i < count; i++) {
            assert_int_equal(read.ids[i].hash, variant & 2 ? PKI_OID_SHA256 : PKI_OID_SHA1);
            assert_true(ca_ocsp_names_issuer(&rig.f.issuer, &read.ids[i]));
            assert_int_equal(read.ids[i].serial.n, serial_one.n);
            assert_memory_equal(read.ids[i].serial.p, serial_one.octets, 8);
            assert_int_equal(read.ids[i].serial.p[8], i);
            uint8_t memory[256];
            struct buf out = BUF_ON(memory);
            struct ca_serial serial = serial_one;
            serial.octets[8] = (uint8_t)i;
            assert_int_equal(ca_ocsp_cert_id(&rig.f.issuer, read.ids[i].hash, &serial, &out),
                             TM_OK);
            assert_true(bytes_equal(buf_bytes(&out), read.ids[i].whole));
        }
        for (size_t n = 0; n < (size_t)der.n; n++)
            assert_int_equal(pki_ocsp_request_parse((struct bytes){der.p, n}, &read), TM_EPARSE);
        fixture_free(&der);
        OCSP_REQUEST_free(request);
    }
    rig_close(&rig);
}

static void too_many_at_once_is_said_so(void **state) {
    (void)state;
    struct rig rig;
    struct fixture_der der;
    struct pki_ocsp_request read;
    rig_open(&rig, "P-256", "P-256");
    OCSP_REQUEST *request = OCSP_REQUEST_new();
    FIXTURE_I2D(&der, OCSP_REQUEST, request);
    assert_int_equal(pki_ocsp_request_parse(fixture_bytes(&der), &read), TM_EPARSE); /* nothing */
    fixture_free(&der);
    for (int i = 0; i <= PKI_OCSP_SINGLES_MAX; i++)
        assert_non_null(OCSP_request_add0_id(request, their_id(&rig, &serial_one, EVP_sha1())));
    FIXTURE_I2D(&der, OCSP_REQUEST, request);
    assert_int_equal(pki_ocsp_request_parse(fixture_bytes(&der), &read), TM_ELIMIT);
    fixture_free(&der);
    OCSP_REQUEST_free(request);
    rig_close(&rig);
}

static void damaged_requests_are_refused(void **state) {
    (void)state;
    struct rig rig;
    struct fixture_der der;
    struct pki_ocsp_request read;
    uint8_t memory[2048];
    rig_open(&rig, "P-256", "P-256");
    OCSP_REQUEST *request = OCSP_REQUEST_new();
    assert_non_null(OCSP_request_add0_id(request, their_id(&rig, &serial_one, EVP_sha1())));
    assert_int_equal(OCSP_request_add1_nonce(request, NULL, 16), 1);
    FIXTURE_I2D(&der, OCSP_REQUEST, request);
    assert_int_equal(pki_ocsp_request_parse(fixture_bytes(&der), &read), TM_OK);
    const uint8_t *from = read.ids[0].whole.p, *to = from + read.ids[0].whole.n;
    size_t count = rewrite_count(fixture_bytes(&der));
    unsigned tried = 0;
    for (size_t i = 0; i < count; i++) {
        for (int kind = REWRITE_APPEND; kind <= REWRITE_RETAG; kind++) {
            struct rewrite r = {.kind = (enum rewrite_kind)kind, .target = i};
            struct bytes changed = rewrite_der(fixture_bytes(&der), &r, memory, sizeof memory);
            bool in_id = r.element.whole.p >= from && r.element.whole.p < to;
            bool is_algorithm = r.element.whole.p >= from && r.depth == 5 && r.element.tag == 0x30;
            bool is_null = r.element.tag == DER_NULL; /* parameters, which are anything */
            if (!r.applied || !in_id || is_algorithm || is_null)
                continue;
            tried++;
            assert_int_equal(pki_ocsp_request_parse(changed, &read), TM_EPARSE);
        }
    }
    assert_int_equal(tried, 11);
    OCSP_REQUEST_free(request);
    fixture_free(&der);
    rig_close(&rig);
}

static void a_cert_id_names_one_issuer(void **state) {
    (void)state;
    struct rig rig, other;
    uint8_t memory[256];
    struct buf out = BUF_ON(memory);
    struct pki_ocsp_cert_id id;
    rig_open(&rig, "P-256", "P-256");
    rig_open(&other, "P-256", "P-256"); /* of the same name */
    assert_int_equal(ca_ocsp_cert_id(&rig.f.issuer, PKI_OID_SHA256, &serial_one, &out), TM_OK);
    assert_int_equal(pki_ocsp_cert_id_parse(buf_bytes(&out), &id), TM_OK);
    assert_true(ca_ocsp_names_issuer(&rig.f.issuer, &id));
    assert_false(ca_ocsp_names_issuer(&other.f.issuer, &id));
    struct pki_ocsp_cert_id changed = id;
    changed.hash = PKI_OID_SHA1;
    assert_false(ca_ocsp_names_issuer(&rig.f.issuer, &changed));
    changed = id;
    changed.name_hash.n = 0;
    assert_false(ca_ocsp_names_issuer(&rig.f.issuer, &changed));
    changed = id;
    changed.hash = PKI_OID_UNKNOWN;
    assert_false(ca_ocsp_names_issuer(&rig.f.issuer, &changed));
    assert_int_equal(ca_ocsp_cert_id(&rig.f.issuer, PKI_OID_SHA384, &serial_one, &out), TM_EINVAL);
    assert_int_equal(pki_ocsp_cert_id_write(&changed, &out), TM_EINVAL);
    out.cap = out.n;
    assert_int_equal(ca_ocsp_cert_id(&rig.f.issuer, PKI_OID_SHA1, &serial_one, &out), TM_ELIMIT);
    rig_close(&rig);
    rig_close(&other);
}

/* ---- answers ---- */

/* Answers to one request for `count` certificates: good, revoked, unknown and so on. */
static struct pki_ocsp_single single_at(const struct rig *rig, int i, struct buf *ids) {
    struct ca_serial serial = serial_one;
    struct pki_ocsp_single single = {.status = (enum pki_ocsp_status)(i % 3),
                                     .this_update_ms = NOW_MS / 1000 * 1000,
                                     .next_update_ms = NOW_MS / 1000 * 1000 + DAY_MS};
    size_t from = ids->n;
    serial.octets[8] = (uint8_t)i;
    assert_int_equal(
        ca_ocsp_cert_id(&rig->f.issuer, i % 2 ? PKI_OID_SHA256 : PKI_OID_SHA1, &serial, ids),
        TM_OK);
    struct bytes id = {ids->p + from, ids->n - from};
    assert_int_equal(pki_ocsp_cert_id_parse(id, &single.id), TM_OK);
    if (single.status == PKI_OCSP_REVOKED) {
        single.revoked_ms = single.this_update_ms - DAY_MS;
        single.reason = i == 1 ? 0 : 4;
    }
    return single;
}

static int64_t time_of(const ASN1_GENERALIZEDTIME *time) {
    struct tm tm;
    assert_int_equal(ASN1_TIME_to_tm(time, &tm), 1);
    return (int64_t)timegm(&tm) * 1000;
}

static void assert_says(OCSP_BASICRESP *basic, const struct rig *rig,
                        const struct pki_ocsp_single *single, int i) {
    struct ca_serial serial = serial_one;
    serial.octets[8] = (uint8_t)i;
    OCSP_CERTID *id = their_id(rig, &serial, i % 2 ? EVP_sha256() : EVP_sha1());
    int status = -1, reason = -1;
    ASN1_GENERALIZEDTIME *revoked = NULL, *from, *to;
    assert_int_equal(OCSP_resp_find_status(basic, id, &status, &reason, &revoked, &from, &to), 1);
    assert_int_equal(status, i % 3 == 0   ? V_OCSP_CERTSTATUS_GOOD
                             : i % 3 == 1 ? V_OCSP_CERTSTATUS_REVOKED
                                          : V_OCSP_CERTSTATUS_UNKNOWN);
    assert_int_equal(time_of(from), single->this_update_ms);
    assert_int_equal(time_of(to), single->next_update_ms);
    if (status == V_OCSP_CERTSTATUS_REVOKED) {
        assert_int_equal(time_of(revoked), single->revoked_ms);
        assert_int_equal(reason, single->reason ? single->reason : -1);
    }
    OCSP_CERTID_free(id);
}

/* By the root alone as a trust anchor, as `openssl ocsp` does it. */
static void assert_verifies(const struct rig *rig, OCSP_BASICRESP *basic) {
    X509_STORE *store = X509_STORE_new();
    STACK_OF(X509) *others = sk_X509_new_null();
    assert_int_equal(X509_STORE_add_cert(store, rig->f.root), 1);
    assert_true(sk_X509_push(others, rig->f.cert) > 0);
    assert_int_equal(OCSP_basic_verify(basic, others, store, 0), 1);
    sk_X509_free(others);
    X509_STORE_free(store);
}

static void openssl_verifies_answers(void **state) {
    (void)state;
    static const char *const kinds[] = {"P-256", "P-384", "RSA2048", "ED25519"};
    for (size_t k = 0; k < COUNT(kinds); k++) {
        struct rig rig;
        rig_open(&rig, kinds[k], kinds[k]);
        for (int count = 1; count <= PKI_OCSP_SINGLES_MAX; count++) {
            struct pki_ocsp_single singles[PKI_OCSP_SINGLES_MAX];
            uint8_t id_memory[2048], data_memory[2048], signature[512], memory[8192];
            struct buf ids = BUF_ON(id_memory), data = BUF_ON(data_memory), out = BUF_ON(memory);
            for (int i = 0; i < count; i++)
                singles[i] = single_at(&rig, i, &ids);
            assert_int_equal(ca_ocsp_data(&rig.responder, NOW_MS, singles, (size_t)count, &data),
                             TM_OK);
            struct bytes tbs = buf_bytes(&data);
            size_t n = sign(&rig, tbs, signature);
            assert_int_equal(
                ca_ocsp_response(&rig.responder, tbs, (struct bytes){signature, n}, &out), TM_OK);
            const unsigned char *p = out.p;
            OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &p, (long)out.n);
            assert_non_null(response);
            assert_ptr_equal(p, out.p + out.n);
            assert_int_equal(OCSP_response_status(response), OCSP_RESPONSE_STATUS_SUCCESSFUL);
            OCSP_BASICRESP *basic = OCSP_response_get1_basic(response);
            assert_non_null(basic);
            assert_verifies(&rig, basic);
            assert_int_equal(OCSP_resp_count(basic), count);
            for (int i = 0; i < count; i++)
                assert_says(basic, &rig, &singles[i], i);
            OCSP_BASICRESP_free(basic);
            OCSP_RESPONSE_free(response);
        }
        rig_close(&rig);
    }
}

static void answers_read_back(void **state) {
    (void)state;
    struct rig rig;
    struct pki_ocsp_single singles[3];
    uint8_t id_memory[2048], data_memory[2048], memory[4096];
    struct buf ids = BUF_ON(id_memory), out = BUF_ON(data_memory);
    struct pki_ocsp_data read;
    int64_t now = NOW_MS / 1000 * 1000;
    rig_open(&rig, "P-256", "P-256");
    for (int i = 0; i < 3; i++)
        singles[i] = single_at(&rig, i, &ids);
    singles[1].reason = 1;
    assert_int_equal(ca_ocsp_data(&rig.responder, now, singles, 3, &out), TM_OK);
    assert_int_equal(pki_ocsp_data_parse(buf_bytes(&out), &read), TM_OK);
    assert_true(bytes_equal(read.key_hash, BYTES_OF(rig.responder.key_hash)));
    assert_int_equal(read.produced_ms, now);
    assert_int_equal(read.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(bytes_equal(read.singles[i].id.whole, singles[i].id.whole));
        assert_int_equal(read.singles[i].status, singles[i].status);
        assert_int_equal(read.singles[i].revoked_ms, singles[i].revoked_ms);
        assert_int_equal(read.singles[i].reason, singles[i].reason);
        assert_int_equal(read.singles[i].this_update_ms, singles[i].this_update_ms);
        assert_int_equal(read.singles[i].next_update_ms, singles[i].next_update_ms);
    }
    for (size_t n = 0; n < out.n; n++)
        assert_int_equal(pki_ocsp_data_parse((struct bytes){out.p, n}, &read), TM_EPARSE);
    size_t count = rewrite_count(buf_bytes(&out));
    for (size_t i = 0; i < count; i++) {
        struct rewrite r = {.kind = REWRITE_APPEND, .target = i};
        struct bytes changed = rewrite_der(buf_bytes(&out), &r, memory, sizeof memory);
        if (r.applied && r.depth != 4) /* parameters of a CertID's hash are anything */
            assert_int_equal(pki_ocsp_data_parse(changed, &read), TM_EPARSE);
    }
    rig_close(&rig);
}

static void what_cannot_be_said_is_not_written(void **state) {
    (void)state;
    struct rig rig;
    struct pki_ocsp_single singles[PKI_OCSP_SINGLES_MAX + 1];
    uint8_t id_memory[2048], memory[4096];
    struct buf ids = BUF_ON(id_memory), out = BUF_ON(memory);
    rig_open(&rig, "P-256", "P-256");
    for (int i = 0; i <= PKI_OCSP_SINGLES_MAX; i++)
        singles[i] = single_at(&rig, i, &ids);
    assert_int_equal(ca_ocsp_data(&rig.responder, NOW_MS, singles, 0, &out), TM_EINVAL);
    assert_int_equal(ca_ocsp_data(&rig.responder, NOW_MS, singles, PKI_OCSP_SINGLES_MAX + 1, &out),
                     TM_EINVAL);
    singles[1].reason = 8;
    assert_int_equal(ca_ocsp_data(&rig.responder, NOW_MS, singles, 2, &out), TM_EINVAL);
    singles[1].reason = 0;
    singles[0].this_update_ms = INT64_MAX;
    assert_int_equal(ca_ocsp_data(&rig.responder, NOW_MS, singles, 2, &out), TM_EINVAL);
    singles[0].this_update_ms = 0;
    out.cap = 100;
    assert_int_equal(ca_ocsp_data(&rig.responder, NOW_MS, singles, 2, &out), TM_ELIMIT);
    assert_int_equal(out.n, 0);
    rig_close(&rig);
}

static void only_the_responders_signature_makes_a_response(void **state) {
    (void)state;
    struct rig rig;
    uint8_t id_memory[512], data_memory[512], signature[512], memory[4096];
    struct buf ids = BUF_ON(id_memory), data = BUF_ON(data_memory), out = BUF_ON(memory);
    rig_open(&rig, "P-256", "P-256");
    struct pki_ocsp_single single = single_at(&rig, 0, &ids);
    assert_int_equal(ca_ocsp_data(&rig.responder, NOW_MS, &single, 1, &data), TM_OK);
    struct bytes tbs = buf_bytes(&data);
    struct bytes good = {signature, sign(&rig, tbs, signature)};
    signature[good.n - 1] ^= 1;
    assert_int_equal(ca_ocsp_response(&rig.responder, tbs, good, &out), TM_ECRYPTO);
    signature[good.n - 1] ^= 1;
    assert_int_equal(ca_ocsp_response(&rig.responder, (struct bytes){tbs.p, tbs.n - 1}, good, &out),
                     TM_ECRYPTO);
    assert_int_equal(out.n, 0);
    out.cap = 300;
    assert_int_equal(ca_ocsp_response(&rig.responder, tbs, good, &out), TM_ELIMIT);
    out.cap = sizeof memory;
    assert_int_equal(ca_ocsp_response(&rig.responder, tbs, good, &out), TM_OK);
    rig_close(&rig);
}

static void only_who_was_delegated_is_a_responder(void **state) {
    (void)state;
    struct ca_fixture f;
    struct ca_ocsp_responder responder;
    ca_fixture_open(&f, "P-256");
    EVP_PKEY *key = ca_fixture_shared_key("P-256"), *other = ca_fixture_key("P-256");
    EVP_PKEY *weak = ca_fixture_shared_key("RSA1024");
    const struct {
        EVP_PKEY *key, *issuer_key;
        const char *purposes;
        enum tm_err err;
    } cases[] = {
        {key, NULL, "OCSPSigning", TM_OK},       {key, NULL, "clientAuth,OCSPSigning", TM_OK},
        {key, NULL, "clientAuth", TM_EDENIED},   {key, NULL, NULL, TM_EDENIED},
        {key, other, "OCSPSigning", TM_EDENIED}, {f.key, NULL, "OCSPSigning", TM_EDENIED},
        {weak, NULL, "OCSPSigning", TM_EDENIED}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        X509 *cert = delegated(&f, cases[i].key, cases[i].issuer_key, cases[i].purposes);
        assert_int_equal(load(&f, cert, &responder), cases[i].err);
        if (!cases[i].err)
            ca_ocsp_responder_free(&responder);
        X509_free(cert);
    }
    char text[IPC_TEXT_MAX + 1] = "";
    assert_int_equal(ca_ocsp_responder_load(&f.issuer, (struct bytes){0}, &responder, text),
                     TM_EPARSE);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    EVP_PKEY_free(weak);
    ca_fixture_close(&f);
}

static void errors_say_why(void **state) {
    (void)state;
    static const struct {
        enum ca_ocsp_error ours;
        int theirs;
    } errors[] = {{CA_OCSP_MALFORMED_REQUEST, OCSP_RESPONSE_STATUS_MALFORMEDREQUEST},
                  {CA_OCSP_INTERNAL_ERROR, OCSP_RESPONSE_STATUS_INTERNALERROR},
                  {CA_OCSP_TRY_LATER, OCSP_RESPONSE_STATUS_TRYLATER},
                  {CA_OCSP_UNAUTHORIZED, OCSP_RESPONSE_STATUS_UNAUTHORIZED}};
    for (size_t i = 0; i < COUNT(errors); i++) {
        uint8_t memory[16];
        struct buf out = BUF_ON(memory);
        assert_int_equal(ca_ocsp_error(errors[i].ours, &out), TM_OK);
        const unsigned char *p = out.p;
        OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &p, (long)out.n);
        assert_non_null(response);
        assert_int_equal(OCSP_response_status(response), errors[i].theirs);
        assert_null(OCSP_response_get1_basic(response));
        OCSP_RESPONSE_free(response);
        out = (struct buf){memory, 4, 0, false};
        assert_int_equal(ca_ocsp_error(errors[i].ours, &out), TM_ELIMIT);
    }
    ERR_clear_error();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_of_openssl_are_read),
        cmocka_unit_test(too_many_at_once_is_said_so),
        cmocka_unit_test(damaged_requests_are_refused),
        cmocka_unit_test(a_cert_id_names_one_issuer),
        cmocka_unit_test(openssl_verifies_answers),
        cmocka_unit_test(answers_read_back),
        cmocka_unit_test(what_cannot_be_said_is_not_written),
        cmocka_unit_test(only_the_responders_signature_makes_a_response),
        cmocka_unit_test(only_who_was_delegated_is_a_responder),
        cmocka_unit_test(errors_say_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
