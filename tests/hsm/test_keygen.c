/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys made by the server (requirement A8), on LMDB and a SoftHSM token. OpenSSL's CMS, of which
 * the readers here know nothing of ours, decrypts and verifies what is encrypted.
 */
#include <openssl/cms.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "ca/wrap.h"
#include "est/wire/signed_data.h"
#include "pkcs11/ticket.h"
#include "service_rig.h"

#define DAY_MS INT64_C(86400000)

static struct bytes der_of(const struct rig_answer *answer) {
    return (struct bytes){answer->der, answer->der_n};
}

static struct bytes key_of(const struct rig_answer *answer) {
    return (struct bytes){answer->key, answer->key_n};
}

static X509 *x509_of(struct bytes der) {
    const uint8_t *p = der.p;
    X509 *cert = d2i_X509(NULL, &p, (long)der.n);
    assert_non_null(cert);
    return cert;
}

static EVP_PKEY *private_of(struct bytes pkcs8) {
    const uint8_t *p = pkcs8.p;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)pkcs8.n);
    assert_non_null(info);
    assert_ptr_equal(p, pkcs8.p + pkcs8.n);
    EVP_PKEY *key = EVP_PKCS82PKEY(info);
    assert_non_null(key);
    PKCS8_PRIV_KEY_INFO_free(info);
    return key;
}

static void assert_key_fits(struct bytes pkcs8, struct bytes certificate) {
    X509 *cert = x509_of(certificate);
    EVP_PKEY *key = private_of(pkcs8);
    assert_int_equal(X509_check_private_key(cert, key), 1);
    EVP_PKEY_free(key);
    X509_free(cert);
}

static void assert_same_answer(const struct rig_answer *a, const struct rig_answer *b) {
    assert_true(bytes_equal(der_of(a), der_of(b)));
    assert_true(bytes_equal(key_of(a), key_of(b)));
    assert_int_equal(a->key_encrypted, b->key_encrypted);
}

static enum tm_err stored_row(struct rig *rig, const char *device, const char *profile,
                              struct ca_keygen *ret) {
    static uint8_t memory[CA_ROW_MEMORY_MAX];
    struct buf buf = BUF_ON(memory);
    memset(ret, 0, sizeof *ret);
    (void)strcpy(ret->tenant, "acme");
    (void)snprintf(ret->device, sizeof ret->device, "%s", device);
    (void)snprintf(ret->profile, sizeof ret->profile, "%s", profile);
    return rig->store->ops->row(rig->store, CA_TABLE_KEYGEN, ret, &buf);
}

static bool has_row(struct rig *rig, const char *device, const char *profile) {
    struct ca_keygen row;
    enum tm_err err = stored_row(rig, device, profile, &row);
    assert_true(err == TM_OK || err == TM_ENOTFOUND);
    return !err;
}

/* A request that is refused is answered when its leaf is durable, and so is all before it. */
static void settle(struct rig *rig, EVP_PKEY *key) {
    struct rig_request nobody = {.label = "ldevid", .key = key};
    struct rig_answer answer;
    rig_enroll(rig, &nobody, &answer);
    rig_assert_outcome(&answer, IPC_NO_CREDENTIAL);
}

/* ---- CSRs with attributes ---- */

static void add_attribute(X509_REQ *req, const char *oid, int type, struct bytes value) {
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    X509_ATTRIBUTE *attribute =
        X509_ATTRIBUTE_create_by_OBJ(NULL, object, type, value.p, (int)value.n);
    assert_non_null(attribute);
    assert_int_equal(X509_REQ_add1_attr(req, attribute), 1);
    X509_ATTRIBUTE_free(attribute);
    ASN1_OBJECT_free(object);
}

static void add_capabilities(X509_REQ *req, const char *const *oids) {
    uint8_t memory[512];
    struct der_writer w = der_writer_on(memory, sizeof memory);
    size_t end = der_mark(&w), count = 0;
    while (oids[count])
        count++;
    while (count-- > 0) {
        uint8_t octets[32];
        struct buf oid = BUF_ON(octets);
        size_t mark = der_mark(&w);
        assert_int_equal(pki_oid_parse(oids[count], &oid), TM_OK);
        der_put(&w, DER_OID, buf_bytes(&oid));
        der_wrap(&w, DER_SEQUENCE, mark);
    }
    der_wrap(&w, DER_SEQUENCE, end);
    add_attribute(req, "1.2.840.113549.1.9.15", V_ASN1_SEQUENCE, der_written(&w));
}

#define AES128_CBC "2.16.840.1.101.3.4.1.2"
#define AES256_CBC "2.16.840.1.101.3.4.1.42"
#define AES128_WRAP "2.16.840.1.101.3.4.1.5"
#define AES256_WRAP "2.16.840.1.101.3.4.1.45"
#define OAEP "1.2.840.113549.1.1.7"
#define RSA_PKCS1 "1.2.840.113549.1.1.1"
static const char *const all[] = {AES256_CBC, AES256_WRAP, OAEP, NULL};

struct wish {
    EVP_PKEY *key;
    struct bytes key_id;             /* asymmetricDecryptKeyIdentifier */
    const char *const *capabilities; /* NULL = none */
    struct bytes symmetric;          /* decryptKeyIdentifier */
    const char *challenge;
    bool spoil; /* the signature is of something else */
};

static struct bytes make_csr(const struct wish *wish) {
    static uint8_t der[4096];
    X509_REQ *req = X509_REQ_new();
    assert_non_null(req);
    if (wish->key_id.n)
        add_attribute(req, "1.2.840.113549.1.9.16.2.54", V_ASN1_OCTET_STRING, wish->key_id);
    if (wish->symmetric.n)
        add_attribute(req, "1.2.840.113549.1.9.16.2.37", V_ASN1_OCTET_STRING, wish->symmetric);
    if (wish->capabilities)
        add_capabilities(req, wish->capabilities);
    if (wish->challenge)
        assert_true(X509_REQ_add1_attr_by_NID(req, NID_pkcs9_challengePassword, MBSTRING_UTF8,
                                              (const unsigned char *)wish->challenge, -1));
    assert_true(X509_REQ_set_pubkey(req, wish->key));
    bool ed25519 = EVP_PKEY_get_base_id(wish->key) == EVP_PKEY_ED25519;
    assert_true(X509_REQ_sign(req, wish->key, ed25519 ? NULL : EVP_sha256()) > 0);
    uint8_t *p = der;
    int n = i2d_X509_REQ(req, NULL);
    assert_true(n > 0 && (size_t)n <= sizeof der);
    assert_int_equal(i2d_X509_REQ(req, &p), n);
    X509_REQ_free(req);
    if (wish->spoil)
        der[n - 1] ^= 1;
    return (struct bytes){der, (size_t)n};
}

/* ---- under TLS alone ---- */

static void test_key_and_certificate(void **state) {
    struct rig *rig = *state;
    struct rig_answer answer;
    char secret[CA_SECRET_TEXT];
    rig_device_add(rig, "K1", secret);
    EVP_PKEY *dummy = EVP_EC_gen("P-256");
    struct rig_request request = {.label = "keygen",
                                  .keygen = true,
                                  .user = "K1",
                                  .secret = secret,
                                  .key = dummy,
                                  .cn = "K1"};
    rig_enroll(rig, &request, &answer);
    rig_assert_outcome(&answer, IPC_ISSUED);
    assert_false(answer.key_encrypted);
    assert_key_fits(key_of(&answer), der_of(&answer));
    X509 *cert = x509_of(der_of(&answer));
    assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(cert), dummy), 0);
    X509_free(cert);
    EVP_PKEY_free(dummy);
}

static EVP_PKEY *make_key(const char *kind) {
    if (strcmp(kind, "RSA") == 0)
        return EVP_RSA_gen(2048);
    return strcmp(kind, "ED25519") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                                        : EVP_EC_gen(kind);
}

/* The request's own key says which kind is liked; one that is not made here gives the first. Its
 * signature counts for nothing (RFC 7030, 4.4.1). */
static void test_kind_of_key(void **state) {
    static const struct {
        const char *dummy;
        int id, bits;
    } kinds[] = {{"P-256", EVP_PKEY_EC, 256},
                 {"P-384", EVP_PKEY_EC, 384},
                 {"ED25519", EVP_PKEY_ED25519, 256},
                 {"RSA", EVP_PKEY_EC, 256}};
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct rig_answer answer;
        char secret[CA_SECRET_TEXT], id[16];
        (void)snprintf(id, sizeof id, "KIND%zu", i);
        rig_device_add(rig, id, secret);
        struct wish wish = {.key = make_key(kinds[i].dummy), .spoil = true};
        struct rig_request request = {.label = "keygen",
                                      .keygen = true,
                                      .user = id,
                                      .secret = secret,
                                      .csr = make_csr(&wish)};
        rig_enroll(rig, &request, &answer);
        rig_assert_outcome(&answer, IPC_ISSUED);
        assert_key_fits(key_of(&answer), der_of(&answer));
        EVP_PKEY *made = private_of(key_of(&answer));
        assert_int_equal(EVP_PKEY_get_base_id(made), kinds[i].id);
        assert_int_equal(EVP_PKEY_get_bits(made), kinds[i].bits);
        EVP_PKEY_free(made);
        EVP_PKEY_free(wish.key);
    }
}

/* A device with a certificate of `label` for `key`. */
static void enroll(struct rig *rig, const char *label, const char *id, EVP_PKEY *key,
                   struct rig_answer *ret) {
    char secret[CA_SECRET_TEXT];
    rig_device_add(rig, id, secret);
    struct rig_request request = {
        .label = label, .user = id, .secret = secret, .key = key, .cn = id};
    rig_enroll(rig, &request, ret);
    rig_assert_outcome(ret, IPC_ISSUED);
}

/* The private scalar of an EC key, which stands in no other form in its PKCS#8. */
static size_t scalar_of(struct bytes pkcs8, uint8_t ret[64]) {
    EVP_PKEY *key = private_of(pkcs8);
    BIGNUM *scalar = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(key, "priv", &scalar), 1);
    int n = BN_bn2bin(scalar, ret);
    BN_clear_free(scalar);
    EVP_PKEY_free(key);
    return (size_t)n;
}

static bool stands_in_store(const struct rig *rig, struct bytes octets) {
    char path[192];
    (void)snprintf(path, sizeof path, "%s/data.mdb", rig->store_path);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    size_t n = (size_t)ftell(f);
    rewind(f);
    uint8_t *data = malloc(n);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    bool found = memmem(data, n, octets.p, octets.n) != NULL;
    free(data);
    return found;
}

static void test_store_has_no_key_in_clear(void **state) {
    struct rig *rig = *state;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    struct rig_answer identity, answer;
    struct ca_keygen row;
    uint8_t scalar[64];
    enroll(rig, "ldevid", "S1", key, &identity);
    struct rig_request request = {
        .label = "keygen", .keygen = true, .certificate = der_of(&identity), .key = key};
    rig_enroll(rig, &request, &answer);
    rig_assert_outcome(&answer, IPC_ISSUED);
    size_t n = scalar_of(key_of(&answer), scalar);
    assert_false(stands_in_store(rig, (struct bytes){scalar, n}));
    assert_int_equal(stored_row(rig, "S1", "keygen", &row), TM_OK);
    assert_true(row.sealed.n > answer.key_n);
    assert_true(stands_in_store(rig, row.sealed)); /* so the search can find something */
    EVP_PKEY_free(key);
}

/* ---- again ---- */

struct identified {
    EVP_PKEY *key, *dummy;
    struct rig_answer identity;
    struct rig_request request; /* by the identity, for a key under label "keygen" */
};

static void identified_open(struct rig *rig, const char *id, struct identified *ret) {
    *ret = (struct identified){.key = EVP_EC_gen("P-256"), .dummy = EVP_EC_gen("P-256")};
    enroll(rig, "ldevid", id, ret->key, &ret->identity);
    ret->request = (struct rig_request){.label = "keygen",
                                        .keygen = true,
                                        .certificate = der_of(&ret->identity),
                                        .key = ret->dummy};
}

static void identified_close(struct identified *it) {
    EVP_PKEY_free(it->key);
    EVP_PKEY_free(it->dummy);
}

static void test_repeat_is_the_same(void **state) {
    struct rig *rig = *state;
    struct identified it;
    struct rig_answer first, again, after;
    identified_open(rig, "R1", &it);
    int64_t now = clock_wall_ms();
    rig_set_clock(now);
    rig_enroll(rig, &it.request, &first);
    rig_assert_outcome(&first, IPC_ISSUED);
    rig_set_clock(now + DAY_MS);
    rig_enroll(rig, &it.request, &again);
    rig_assert_outcome(&again, IPC_REPEATED);
    assert_same_answer(&first, &again);
    rig_set_clock(now + DAY_MS + 1);
    rig_enroll(rig, &it.request, &after);
    rig_assert_outcome(&after, IPC_ISSUED);
    assert_false(bytes_equal(der_of(&first), der_of(&after)));
    assert_false(bytes_equal(key_of(&first), key_of(&after)));
    assert_key_fits(key_of(&after), der_of(&after));
    rig_set_clock(0);
    identified_close(&it);
}

/* The secret is used up, and its one request still has its answer. */
static void test_repeat_by_secret(void **state) {
    struct rig *rig = *state;
    struct rig_answer first, again, other;
    char secret[CA_SECRET_TEXT];
    rig_device_add(rig, "R2", secret);
    EVP_PKEY *dummy = EVP_EC_gen("P-256"), *next = EVP_EC_gen("P-256");
    struct rig_request request = {
        .label = "keygen", .keygen = true, .user = "R2", .secret = secret, .key = dummy};
    rig_enroll(rig, &request, &first);
    rig_assert_outcome(&first, IPC_ISSUED);
    rig_enroll(rig, &request, &again);
    rig_assert_outcome(&again, IPC_REPEATED);
    assert_same_answer(&first, &again);
    request.key = next;
    rig_enroll(rig, &request, &other);
    rig_assert_outcome(&other, IPC_SECRET_USED);
    assert_int_equal(other.key_n, 0);
    EVP_PKEY_free(dummy);
    EVP_PKEY_free(next);
}

/* Asking for a key and asking for a certificate are never the same request. */
static void test_simpleenroll_is_another_request(void **state) {
    struct rig *rig = *state;
    struct identified it;
    struct rig_answer made, enrolled, again;
    identified_open(rig, "R3", &it);
    rig_enroll(rig, &it.request, &made);
    rig_assert_outcome(&made, IPC_ISSUED);
    it.request.keygen = false;
    rig_enroll(rig, &it.request, &enrolled);
    rig_assert_outcome(&enrolled, IPC_ISSUED);
    assert_int_equal(enrolled.key_n, 0);
    assert_false(bytes_equal(der_of(&made), der_of(&enrolled)));
    it.request.keygen = true;
    rig_enroll(rig, &it.request, &again); /* what it had is superseded */
    rig_assert_outcome(&again, IPC_ISSUED);
    assert_false(bytes_equal(der_of(&made), der_of(&again)));
    identified_close(&it);
}

/* Two at once: one certificate, the same key. */
static void test_two_at_once(void **state) {
    struct rig *rig = *state;
    struct identified it;
    struct rig_answer answers[2];
    identified_open(rig, "R4", &it);
    rig_send(rig, &it.request, &answers[0]);
    rig_send(rig, &it.request, &answers[1]);
    rig_wait(rig, answers, 2);
    rig_assert_outcome(&answers[0], IPC_ISSUED);
    rig_assert_outcome(&answers[1], IPC_REPEATED);
    assert_same_answer(&answers[0], &answers[1]);
    identified_close(&it);
}

static void test_row_ends_when_the_device_has_its_key(void **state) {
    struct rig *rig = *state;
    struct identified it;
    struct rig_answer made, renewed;
    identified_open(rig, "D1", &it);
    rig_enroll(rig, &it.request, &made);
    rig_assert_outcome(&made, IPC_ISSUED);
    assert_true(has_row(rig, "D1", "keygen"));
    EVP_PKEY *next = EVP_EC_gen("P-256");
    /* Another subject: refused, and yet it was the certificate's holder who asked. */
    struct rig_request renew = {
        .label = "keygen", .reenroll = true, .certificate = der_of(&made), .key = next};
    rig_enroll(rig, &renew, &renewed);
    rig_assert_outcome(&renewed, IPC_BAD_SUBJECT);
    settle(rig, it.key);
    assert_false(has_row(rig, "D1", "keygen"));
    EVP_PKEY_free(next);
    identified_close(&it);
}

/* The certificate of one generated key asks for the next: the row makes room for another. */
static void test_renewal_by_serverkeygen(void **state) {
    struct rig *rig = *state;
    struct identified it;
    struct rig_answer made, next, again;
    struct ca_keygen row;
    identified_open(rig, "D2", &it);
    rig_enroll(rig, &it.request, &made);
    rig_assert_outcome(&made, IPC_ISSUED);
    X509 *cert = x509_of(der_of(&made));
    X509_REQ *req = X509_REQ_new();
    assert_int_equal(X509_REQ_set_subject_name(req, X509_get_subject_name(cert)), 1);
    assert_int_equal(X509_REQ_set_pubkey(req, it.dummy), 1);
    assert_true(X509_REQ_sign(req, it.dummy, EVP_sha256()) > 0);
    uint8_t *csr = NULL;
    int n = i2d_X509_REQ(req, &csr);
    assert_true(n > 0);
    struct rig_request renew = {
        .label = "keygen", .keygen = true, .certificate = der_of(&made), .csr = {csr, (size_t)n}};
    rig_enroll(rig, &renew, &next);
    rig_assert_outcome(&next, IPC_ISSUED);
    assert_key_fits(key_of(&next), der_of(&next));
    assert_int_equal(stored_row(rig, "D2", "keygen", &row), TM_OK);
    assert_int_equal(row.version, 1);
    rig_enroll(rig, &renew, &again);
    rig_assert_outcome(&again, IPC_REPEATED);
    assert_same_answer(&next, &again);
    OPENSSL_free(csr);
    X509_REQ_free(req);
    X509_free(cert);
    identified_close(&it);
}

static void test_row_ends_with_the_window(void **state) {
    struct rig *rig = *state;
    struct identified it;
    struct rig_answer made;
    identified_open(rig, "D3", &it);
    int64_t now = clock_wall_ms();
    rig_set_clock(now);
    rig_enroll(rig, &it.request, &made);
    rig_assert_outcome(&made, IPC_ISSUED);
    rig_set_clock(now + DAY_MS);
    ca_service_tick(rig->service);
    settle(rig, it.key);
    assert_true(has_row(rig, "D3", "keygen"));
    rig_set_clock(now + DAY_MS + 120000);
    ca_service_tick(rig->service);
    settle(rig, it.key);
    assert_false(has_row(rig, "D3", "keygen"));
    rig_set_clock(0);
    identified_close(&it);
}

/* A revoked certificate's key is not given again. */
static void test_revoked_is_not_repeated(void **state) {
    struct rig *rig = *state;
    struct identified it;
    struct rig_answer made, again;
    struct ca_keygen row;
    identified_open(rig, "D4", &it);
    rig_enroll(rig, &it.request, &made);
    rig_assert_outcome(&made, IPC_ISSUED);
    assert_int_equal(stored_row(rig, "D4", "keygen", &row), TM_OK);
    struct ca_serial serial = row.serial;
    rig_revoke(rig, &serial);
    rig_enroll(rig, &it.request, &again);
    rig_assert_outcome(&again, IPC_ISSUED);
    assert_false(bytes_equal(der_of(&made), der_of(&again)));
    identified_close(&it);
}

/* What another wrap key sealed is nobody's answer: the device gets a new key. */
static void test_other_wrap_key(void **state) {
    struct rig *rig = *state;
    struct identified it;
    struct rig_answer made, again;
    char path[192], text[IPC_TEXT_MAX + 1];
    struct ca_wrap *other;
    identified_open(rig, "D5", &it);
    rig_enroll(rig, &it.request, &made);
    rig_assert_outcome(&made, IPC_ISSUED);
    (void)snprintf(path, sizeof path, "%s/other.key", rig->hsm.folder);
    assert_int_equal(ca_wrap_open(path, &other, text), TM_OK);
    rig->config.wrap = other;
    rig_enroll(rig, &it.request, &again);
    rig_assert_outcome(&again, IPC_ISSUED);
    assert_false(bytes_equal(der_of(&made), der_of(&again)));
    rig->config.wrap = rig->wrap;
    ca_wrap_free(other);
    identified_close(&it);
}

/* ---- what is not given ---- */

static void test_not_offered(void **state) {
    struct rig *rig = *state;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    struct rig_answer identity, answer;
    enroll(rig, "ldevid", "N1", key, &identity);
    struct rig_request request = {
        .label = "ldevid", .keygen = true, .certificate = der_of(&identity), .key = key};
    rig_enroll(rig, &request, &answer);
    rig_assert_outcome(&answer, IPC_NOT_IMPLEMENTED);
    request.label = "keygen";
    request.certificate = (struct bytes){0};
    rig_enroll(rig, &request, &answer);
    rig_assert_outcome(&answer, IPC_NO_CREDENTIAL);
    EVP_PKEY_free(key);
}

static void keep_outcome(void *arg, const struct ipc_reply *reply) {
    assert_int_equal(reply->key.n, 0);
    *(enum ipc_outcome *)arg = (enum ipc_outcome)reply->outcome;
}

/* Whoever took the bridge over gets no private keys. */
static void test_not_over_mqtt(void **state) {
    struct rig *rig = *state;
    struct identified it;
    enum ipc_outcome outcome = 0;
    identified_open(rig, "N2", &it);
    struct wish wish = {.key = it.dummy};
    struct ipc_enroll message = {.id = 1,
                                 .operation = IPC_OP_SERVERKEYGEN,
                                 .origin = IPC_ORIGIN_MQTT,
                                 .label = "keygen",
                                 .peer_leaf = der_of(&it.identity),
                                 .csr = make_csr(&wish)};
    ca_service_enroll(rig->service, &message, keep_outcome, &outcome);
    settle(rig, it.key);
    assert_int_equal(outcome, IPC_NOT_IMPLEMENTED);
    identified_close(&it);
}

static void test_no_wrap_key(void **state) {
    struct rig *rig = *state;
    struct ca_service *service = NULL;
    struct ca_service_config config = rig->config;
    config.wrap = NULL;
    assert_int_equal(
        ca_service_new(&config, rig->store, core_signer_interface(rig->signer_link), &service),
        TM_EINVAL);
    assert_null(service);
}

static void test_binding_counts_where_there_is_one(void **state) {
    struct rig *rig = *state;
    struct identified it;
    struct rig_answer answer;
    static const uint8_t exporter[32] = {1};
    identified_open(rig, "N3", &it);
    it.request.exporter = BYTES_OF(exporter);
    struct wish wish = {.key = it.dummy,
                        .challenge = "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="};
    it.request.csr = make_csr(&wish);
    rig_enroll(rig, &it.request, &answer);
    rig_assert_outcome(&answer, IPC_BAD_LINK);
    wish.challenge = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    it.request.csr = make_csr(&wish);
    rig_enroll(rig, &it.request, &answer);
    rig_assert_outcome(&answer, IPC_ISSUED);
    identified_close(&it);
}

static void test_not_a_request(void **state) {
    struct rig *rig = *state;
    struct identified it;
    struct rig_answer answer;
    identified_open(rig, "N4", &it);
    it.request.csr = bytes_str("\x30\x03\x02\x01\x00");
    rig_enroll(rig, &it.request, &answer);
    rig_assert_outcome(&answer, IPC_BAD_CSR);
    identified_close(&it);
}

/* ---- encrypted ---- */

static struct bytes key_id_of(struct bytes certificate) {
    static uint8_t octets[64];
    X509 *cert = x509_of(certificate);
    const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(cert);
    assert_non_null(id);
    size_t n = (size_t)ASN1_STRING_length(id);
    memcpy(octets, ASN1_STRING_get0_data(id), n);
    X509_free(cert);
    return (struct bytes){octets, n};
}

static X509 *x509_file(const struct rig *rig, const char *name) {
    char path[192];
    (void)snprintf(path, sizeof path, "%s/%s.pem", rig->hsm.folder, name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    X509 *cert = PEM_read_X509(f, NULL, NULL, NULL);
    assert_non_null(cert);
    assert_int_equal(fclose(f), 0);
    return cert;
}

static struct bytes octets_of(BIO *bio) {
    char *p;
    long n = BIO_get_mem_data(bio, &p);
    assert_true(n > 0);
    return (struct bytes){(const uint8_t *)p, (size_t)n};
}

/* EnvelopedData whose content is a SignedData: what OpenSSL decrypts lacks the ContentInfo. */
static CMS_ContentInfo *decrypt(struct bytes message, EVP_PKEY *key, struct bytes certificate,
                                int cipher) {
    const uint8_t *p = message.p;
    CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)message.n);
    X509 *cert = x509_of(certificate);
    BIO *out = BIO_new(BIO_s_mem());
    assert_non_null(cms);
    assert_int_equal(OBJ_obj2nid(CMS_get0_type(cms)), NID_pkcs7_enveloped);
    assert_int_equal(OBJ_obj2nid(CMS_get0_eContentType(cms)), NID_pkcs7_signed);
    assert_int_equal(CMS_decrypt(cms, key, cert, NULL, out, CMS_BINARY), 1);
    struct bytes plain = octets_of(out);
    uint8_t *memory = malloc(plain.n + 64);
    struct der_writer w = der_writer_on(memory, plain.n + 64);
    size_t end = der_mark(&w);
    der_put(&w, DER_CONTEXT_CONSTRUCTED(0), plain);
    der_put(&w, DER_OID, pki_oid_bytes(PKI_OID_SIGNED_DATA));
    der_wrap(&w, DER_SEQUENCE, end);
    p = der_written(&w).p;
    CMS_ContentInfo *inner = d2i_CMS_ContentInfo(NULL, &p, (long)der_written(&w).n);
    assert_non_null(inner);
    /* The content's algorithm stands in the message as an OID. */
    const ASN1_OBJECT *object = OBJ_nid2obj(cipher);
    assert_non_null(memmem(message.p, message.n, OBJ_get0_data(object), OBJ_length(object)));
    free(memory);
    BIO_free(out);
    X509_free(cert);
    CMS_ContentInfo_free(cms);
    return inner;
}

/* The key in the SignedData, whose signature is the issuing CA's. */
static void assert_signed_key(struct rig *rig, CMS_ContentInfo *cms, struct bytes certificate) {
    char type[64];
    X509 *root = x509_file(rig, "root");
    X509_STORE *store = X509_STORE_new();
    BIO *out = BIO_new(BIO_s_mem());
    struct der package, key;
    assert_true(OBJ_obj2txt(type, sizeof type, CMS_get0_eContentType(cms), 1) > 0);
    assert_string_equal(type, "2.16.840.1.101.2.1.2.78.5");
    assert_int_equal(X509_STORE_add_cert(store, root), 1);
    /* The CA's certificate is what signs; S/MIME's own purpose is an end entity's. */
    assert_int_equal(X509_STORE_set_purpose(store, X509_PURPOSE_ANY), 1);
    assert_int_equal(CMS_verify(cms, NULL, store, NULL, out, CMS_BINARY), 1);
    assert_int_equal(der_only(octets_of(out), DER_SEQUENCE, &package), TM_OK);
    assert_int_equal(der_only(package.value, DER_SEQUENCE, &key), TM_OK);
    assert_key_fits(key.whole, certificate);
    BIO_free(out);
    X509_STORE_free(store);
    X509_free(root);
}

struct recipient {
    const char *label, *kind;
    const char *const *capabilities;
    int cipher;
};

static void try_recipient(struct rig *rig, const char *id, const struct recipient *to) {
    struct rig_answer identity, answer, again;
    EVP_PKEY *key = make_key(to->kind), *dummy = EVP_EC_gen("P-256");
    enroll(rig, to->label, id, key, &identity);
    struct wish wish = {
        .key = dummy, .key_id = key_id_of(der_of(&identity)), .capabilities = to->capabilities};
    struct rig_request request = {.label = "keygen",
                                  .keygen = true,
                                  .certificate = der_of(&identity),
                                  .csr = make_csr(&wish)};
    rig_enroll(rig, &request, &answer);
    rig_assert_outcome(&answer, IPC_ISSUED);
    assert_true(answer.key_encrypted);
    CMS_ContentInfo *cms = decrypt(key_of(&answer), key, der_of(&identity), to->cipher);
    assert_signed_key(rig, cms, der_of(&answer));
    rig_enroll(rig, &request, &again);
    rig_assert_outcome(&again, IPC_REPEATED);
    assert_same_answer(&answer, &again);
    CMS_ContentInfo_free(cms);
    EVP_PKEY_free(key);
    EVP_PKEY_free(dummy);
}

static void test_encrypted(void **state) {
    static const char *const small[] = {AES128_CBC, AES128_WRAP, OAEP, NULL};
    static const char *const wrap_only[] = {AES256_WRAP, NULL};
    static const char *const kdf[] = {"1.3.132.1.11.2", AES128_WRAP, AES256_WRAP, AES128_CBC, NULL};
    const struct recipient recipients[] = {
        {"sealed", "P-256", all, NID_aes_256_cbc}, {"sealed", "P-384", all, NID_aes_256_cbc},
        {"rsa", "RSA", all, NID_aes_256_cbc},      {"sealed", "P-256", small, NID_aes_128_cbc},
        {"rsa", "RSA", small, NID_aes_128_cbc},    {"sealed", "P-256", wrap_only, NID_aes_256_cbc},
        {"sealed", "P-256", kdf, NID_aes_128_cbc},
    };
    for (size_t i = 0; i < sizeof recipients / sizeof recipients[0]; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "E%zu", i);
        try_recipient(*state, id, &recipients[i]);
    }
}

static void refuse(struct rig *rig, struct rig_request *request, const struct wish *wish,
                   const char *word) {
    struct rig_answer answer;
    request->csr = make_csr(wish);
    rig_enroll(rig, request, &answer);
    rig_assert_outcome(&answer, IPC_BAD_EXTENSION);
    assert_int_equal(answer.key_n, 0);
    assert_int_equal(answer.der_n, 0);
    if (!strstr(answer.text, word))
        fail_msg("\"%s\" does not say %s", answer.text, word);
}

static void test_encryption_refused(void **state) {
    static const char *const pkcs1[] = {AES256_CBC, RSA_PKCS1, NULL};
    static const char *const no_wrap[] = {AES256_CBC, NULL};
    static const char *const other_sizes[] = {AES256_CBC, AES128_WRAP, NULL};
    struct rig *rig = *state;
    struct rig_answer agrees, signs, enciphers;
    EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256"), *rsa = make_key("RSA");
    enroll(rig, "sealed", "F1", key, &agrees);
    enroll(rig, "ldevid", "F2", other, &signs);
    enroll(rig, "rsa", "F3", rsa, &enciphers);
    struct rig_request request = {
        .label = "keygen", .keygen = true, .certificate = der_of(&agrees)};
    struct wish wish = {.key = key, .symmetric = bytes_str("shared"), .capabilities = all};
    refuse(rig, &request, &wish, "decryptKeyIdentifier");
    wish = (struct wish){.key = key, .key_id = bytes_str("whose"), .capabilities = all};
    refuse(rig, &request, &wish, "client certificate");
    wish = (struct wish){.key = key, .key_id = key_id_of(der_of(&agrees))};
    refuse(rig, &request, &wish, "SMIMECapabilities");
    wish.capabilities = no_wrap;
    refuse(rig, &request, &wish, "id-aes256-wrap");
    wish.capabilities = other_sizes;
    refuse(rig, &request, &wish, "same size");
    request.certificate = der_of(&signs);
    wish = (struct wish){.key = key, .key_id = key_id_of(der_of(&signs)), .capabilities = all};
    refuse(rig, &request, &wish, "keyAgreement");
    request.certificate = der_of(&enciphers);
    wish =
        (struct wish){.key = key, .key_id = key_id_of(der_of(&enciphers)), .capabilities = pkcs1};
    refuse(rig, &request, &wish, "RSAES-OAEP");
    request.label = "sealed";
    wish = (struct wish){.key = key};
    refuse(rig, &request, &wish, "encrypted only");
    assert_int_equal(rig_count(rig, CA_CERT_BURNED), 0);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    EVP_PKEY_free(rsa);
}

/* A signer that comes back later: the ticket waits, as others do. */
static void test_signer_restarts(void **state) {
    struct rig *rig = *state;
    struct rig_answer identity, answer;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    enroll(rig, "sealed", "G1", key, &identity);
    struct wish wish = {.key = key, .key_id = key_id_of(der_of(&identity)), .capabilities = all};
    struct rig_request request = {.label = "keygen",
                                  .keygen = true,
                                  .certificate = der_of(&identity),
                                  .csr = make_csr(&wish)};
    rig_signer_stop(rig);
    rig_send(rig, &request, &answer);
    rig_signer_start(rig);
    rig_wait(rig, &answer, 1);
    rig_assert_outcome(&answer, IPC_ISSUED);
    CMS_ContentInfo *cms = decrypt(key_of(&answer), key, der_of(&identity), NID_aes_256_cbc);
    assert_signed_key(rig, cms, der_of(&answer));
    CMS_ContentInfo_free(cms);
    EVP_PKEY_free(key);
}

/* ---- the signer's own judgement ---- */

static void test_ticket(void **state) {
    struct rig *rig = *state;
    static const uint8_t digest[48] = {7};
    const struct ca_issuer *issuers[] = {&rig->setup.issuers[0]};
    const struct hsm_rules rules = {.issuers = issuers, .issuer_count = 1};
    const int64_t now = clock_wall_ms();
    const struct ipc_keygen_ticket good = {
        .id = 1, .issuer = "mfg", .signing_time_ms = now, .digest = {digest, 32}};
    struct ipc_keygen_ticket bad[] = {good, good, good, good};
    uint8_t octets[EST_SIGNED_ATTRIBUTES_MAX];
    struct buf out = BUF_ON(octets);
    char text[IPC_TEXT_MAX + 1];
    size_t issuer = 9;
    assert_int_equal(hsm_keygen_ticket_check(&rules, &good, now, &issuer, &out, text), TM_OK);
    assert_int_equal(issuer, 0);
    assert_int_equal(octets[0], DER_SET); /* so it is never a certificate's TBS */
    assert_non_null(memmem(out.p, out.n, digest, 32));
    struct bytes type = pki_oid_bytes(PKI_OID_CT_KP_AKEY_PACKAGE);
    assert_non_null(memmem(out.p, out.n, type.p, type.n));
    (void)strcpy(bad[0].issuer, "nobody");
    bad[1].signing_time_ms += HSM_CMC_SKEW_MS + 1;
    bad[2].digest.n = 48;
    bad[3].digest.n = 0;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        out.n = 0;
        text[0] = '\0';
        assert_int_equal(hsm_keygen_ticket_check(&rules, &bad[i], now, &issuer, &out, text),
                         TM_EDENIED);
        assert_int_equal(out.n, 0);
        assert_true(text[0]);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_key_and_certificate),
        TEST(test_kind_of_key),
        TEST(test_store_has_no_key_in_clear),
        TEST(test_repeat_is_the_same),
        TEST(test_repeat_by_secret),
        TEST(test_simpleenroll_is_another_request),
        TEST(test_two_at_once),
        TEST(test_row_ends_when_the_device_has_its_key),
        TEST(test_renewal_by_serverkeygen),
        TEST(test_row_ends_with_the_window),
        TEST(test_revoked_is_not_repeated),
        TEST(test_other_wrap_key),
        TEST(test_not_offered),
        TEST(test_not_over_mqtt),
        TEST(test_no_wrap_key),
        TEST(test_binding_counts_where_there_is_one),
        TEST(test_not_a_request),
        TEST(test_encrypted),
        TEST(test_encryption_refused),
        TEST(test_signer_restarts),
        TEST(test_ticket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
