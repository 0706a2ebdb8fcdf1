/* SPDX-License-Identifier: Apache-2.0 */
/* A device's Full PKI Requests, as OpenSSL's CMS_verify and the server's reader see them, and the
 * offers that come before. */
#include "client_cmc_fixture.h"

#include <openssl/hmac.h>

/* ---- what OpenSSL says ---- */

static X509_STORE *store_of(struct bytes anchor) {
    X509_STORE *store = X509_STORE_new();
    X509 *cert = cf_x509(anchor);
    assert_int_equal(X509_STORE_add_cert(store, cert), 1);
    X509_STORE_set_purpose(store, X509_PURPOSE_ANY);
    X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), (time_t)(VF_NOW / 1000));
    X509_free(cert);
    return store;
}

/* Verified with the certificates that came along, up to the root. */
static bool verified_by_chain(struct bytes request, struct bytes anchor) {
    const unsigned char *p = request.p;
    CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)request.n);
    X509_STORE *store = store_of(anchor);
    assert_non_null(cms);
    assert_ptr_equal(p, request.p + request.n);
    bool good = CMS_verify(cms, NULL, store, NULL, NULL, CMS_BINARY) == 1;
    X509_STORE_free(store);
    CMS_ContentInfo_free(cms);
    return good;
}

/* Verified with a bare key that has this subjectKeyIdentifier. */
static bool verified_by_key(struct cf *cf, struct bytes request, EVP_PKEY *key,
                            const char *key_id) {
    const unsigned char *p = request.p;
    struct vf_party party = {"whoever", NULL, key};
    struct bytes der = vf_leaf(cf->vf, &party, &party, (struct vf_options){.key_id = key_id});
    CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)request.n);
    STACK_OF(X509) *certs = sk_X509_new_null();
    assert_non_null(cms);
    assert_true(sk_X509_push(certs, cf_x509(der)) > 0);
    bool good =
        CMS_verify(cms, certs, NULL, NULL, NULL, CMS_BINARY | CMS_NO_SIGNER_CERT_VERIFY) == 1;
    sk_X509_pop_free(certs, X509_free);
    CMS_ContentInfo_free(cms);
    return good;
}

static void assert_witness(const struct est_cmc_request *request) {
    static const char TEXT[] = "one-time secret" CF_DEVICE;
    unsigned char key[32], mac[32];
    unsigned n = 0;
    assert_int_equal(EVP_Digest(TEXT, sizeof TEXT - 1, key, &n, EVP_sha256(), NULL), 1);
    assert_non_null(HMAC(EVP_sha256(), key, sizeof key, request->req_sequence.p,
                         request->req_sequence.n, mac, &n));
    assert_bytes_equal(request->witness, BYTES_OF(mac));
    assert_bytes_equal(request->identification, bytes_str(CF_DEVICE));
}

/* ---- requests ---- */

static void test_renewal_is_signed_by_the_slot(void **state) {
    struct cf *cf = *state;
    struct tm_exchange exchange = cf_renewal(cf);
    struct bytes request = cf_request(cf, &exchange);
    struct cf_asked asked = cf_open(request);
    assert_true(verified_by_chain(request, cf->root_der));
    assert_bytes_equal(asked.message.certificates, cf->items[TM_ITEM_CHAIN_2]);
    assert_int_equal(asked.message.digest, PKI_OID_SHA256);
    assert_int_equal(asked.message.signer.key_id.n, 0);
    assert_bytes_equal(asked.request.csr, exchange.body);
    assert_true(asked.request.has_label);
    assert_bytes_equal(asked.request.label, bytes_str(CF_LABEL));
    assert_int_equal(asked.request.sender_nonce.n, TM_CMC_NONCE_SIZE);
    assert_int_equal(asked.request.transaction.n, TM_CMC_TRANSACTION_SIZE);
    assert_true(asked.request.transaction.p[0] >= 0x40 && asked.request.transaction.p[0] < 0x80);
    assert_int_equal(asked.request.recipient_nonce.n, 0);
    assert_int_equal(asked.request.identification.n, 0);
    assert_int_equal(asked.request.witness.n, 0);
    assert_int_equal(asked.request.accept_issuer.n, 0);
}

static void test_another_key_does_not_verify(void **state) {
    struct cf *cf = *state;
    struct tm_exchange exchange = cf_renewal(cf);
    exchange.key_bank = CF_KEY_NEW;
    assert_false(verified_by_chain(cf_request(cf, &exchange), cf->root_der));
}

static void test_first_request_proves_the_secret(void **state) {
    struct cf *cf = *state;
    struct tm_exchange exchange = cf_first(cf);
    struct bytes request = cf_request(cf, &exchange);
    struct cf_asked asked = cf_open(request);
    assert_true(verified_by_key(cf, request, cf->banks[CF_KEY_NEW], CF_KEY_ID));
    assert_false(verified_by_key(cf, request, cf->banks[CF_KEY_CURRENT], CF_KEY_ID));
    assert_bytes_equal(asked.message.signer.key_id, bytes_str(CF_KEY_ID));
    assert_int_equal(asked.message.certificates.n, 0);
    assert_bytes_equal(asked.request.csr, exchange.body);
    assert_witness(&asked.request);
}

static void test_both_credentials_at_once(void **state) {
    struct cf *cf = *state;
    struct tm_exchange exchange = cf_renewal(cf);
    exchange.secret = true;
    struct bytes request = cf_request(cf, &exchange);
    struct cf_asked asked = cf_open(request);
    assert_true(verified_by_chain(request, cf->root_der));
    assert_witness(&asked.request);
}

/* Nothing of the secret stands in memory that the caller gets back. */
static void test_secret_leaves_no_trace(void **state) {
    struct cf *cf = *state;
    struct tm_exchange exchange = cf_first(cf);
    struct bytes request = cf_request(cf, &exchange);
    static const char SECRET[] = "one-time secret";
    assert_null(memmem(cf->work, sizeof cf->work, SECRET, sizeof SECRET - 1));
    assert_null(memmem(&cf->cmc, sizeof cf->cmc, SECRET, sizeof SECRET - 1));
    assert_null(memmem(request.p, request.n, SECRET, sizeof SECRET - 1));
}

static void test_probe_confirms_the_slots_certificate(void **state) {
    struct cf *cf = *state;
    struct tm_exchange exchange = cf_probe();
    struct bytes offer = cf_offer(cf, "a challenge");
    assert_int_equal(tm_cmc_offer(&cf->cmc, offer, NULL), TM_OK);
    struct bytes request = cf_request(cf, &exchange);
    struct cf_asked asked = cf_open(request);
    struct pki_cert leaf;
    assert_int_equal(pki_cert_parse(cf->leaf_der, &leaf), TM_OK);
    assert_true(verified_by_chain(request, cf->root_der));
    assert_bytes_equal(asked.request.accept_issuer, leaf.issuer);
    assert_bytes_equal(asked.request.accept_serial, leaf.serial);
    assert_bytes_equal(asked.request.label, bytes_str(CF_LABEL));
    assert_int_equal(asked.request.csr.n, 0);
    assert_int_equal(asked.request.recipient_nonce.n, 0);
    assert_true(tm_cmc_ready(&cf->cmc)); /* it is kept for a request that needs it */
}

static void test_challenge_is_used_once(void **state) {
    struct cf *cf = *state;
    struct tm_exchange exchange = cf_renewal(cf);
    assert_false(tm_cmc_ready(&cf->cmc));
    assert_int_equal(tm_cmc_offer(&cf->cmc, cf_offer(cf, "a challenge"), NULL), TM_OK);
    assert_true(tm_cmc_ready(&cf->cmc));
    struct cf_asked asked = cf_open(cf_request(cf, &exchange));
    assert_bytes_equal(asked.request.recipient_nonce, bytes_str("a challenge"));
    assert_false(tm_cmc_ready(&cf->cmc));
    asked = cf_open(cf_request(cf, &exchange));
    assert_int_equal(asked.request.recipient_nonce.n, 0);
}

static void take(uint8_t *ret, struct bytes octets, size_t n) {
    assert_int_equal(octets.n, n);
    memcpy(ret, octets.p, n);
}

/* As after a power cut: the tables say the same, all else is new. */
static void test_same_request_same_transaction_other_nonce(void **state) {
    struct cf *cf = *state;
    struct tm_exchange all[] = {cf_renewal(cf), cf_first(cf), cf_probe()};
    uint8_t transactions[3][TM_CMC_TRANSACTION_SIZE], nonce[TM_CMC_NONCE_SIZE];
    for (size_t i = 0; i < 3; i++) {
        struct cf_asked asked = cf_open(cf_request(cf, &all[i]));
        take(transactions[i], asked.request.transaction, TM_CMC_TRANSACTION_SIZE);
        take(nonce, asked.request.sender_nonce, sizeof nonce);
        cf_boot(cf);
        asked = cf_open(cf_request(cf, &all[i]));
        assert_bytes_equal(asked.request.transaction, BYTES_OF(transactions[i]));
        assert_false(bytes_equal(asked.request.sender_nonce, BYTES_OF(nonce)));
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(transactions[i], transactions[j], TM_CMC_TRANSACTION_SIZE);
    }
}

static void test_what_makes_another_transaction(void **state) {
    struct cf *cf = *state;
    struct tm_exchange sound = cf_renewal(cf), other;
    uint8_t transaction[TM_CMC_TRANSACTION_SIZE];
    struct cf_asked asked = cf_open(cf_request(cf, &sound));
    take(transaction, asked.request.transaction, sizeof transaction);
    other = sound;
    other.label = "";
    asked = cf_open(cf_request(cf, &other));
    assert_false(bytes_equal(asked.request.transaction, BYTES_OF(transaction)));
    other = sound;
    other.body = cf_pkcs10(cf, vf_key(5), NULL);
    asked = cf_open(cf_request(cf, &other));
    assert_false(bytes_equal(asked.request.transaction, BYTES_OF(transaction)));
    other = sound;
    cf->items[TM_ITEM_CHAIN_3] =
        vf_leaf(cf->vf, &cf->leaf, &cf->issuing, (struct vf_options){.serial = 99});
    other.chain_bank = 3;
    asked = cf_open(cf_request(cf, &other));
    assert_false(bytes_equal(asked.request.transaction, BYTES_OF(transaction)));
    /* Another signature of the same PKCS#10 is not another request. */
    other = sound;
    other.body = cf_pkcs10(cf, vf_key(4), NULL);
    asked = cf_open(cf_request(cf, &other));
    assert_bytes_equal(asked.request.transaction, BYTES_OF(transaction));
}

/* ---- a key store that takes its time ---- */

static enum tm_err ask(struct cf *cf, const struct tm_exchange *exchange) {
    struct buf out = BUF_ON(cf->out);
    enum tm_err err = tm_cmc_request(&cf->cmc, exchange, &out);
    if (err)
        assert_int_equal(out.n, 0);
    return err;
}

static void test_slow_key_store_is_asked_for_the_same(void **state) {
    struct cf *cf = *state;
    struct tm_exchange exchange = cf_renewal(cf);
    assert_int_equal(tm_cmc_offer(&cf->cmc, cf_offer(cf, "a challenge"), NULL), TM_OK);
    cf->again = 2;
    assert_int_equal(ask(cf, &exchange), TM_EAGAIN);
    assert_int_equal(ask(cf, &exchange), TM_EAGAIN);
    assert_int_equal(ask(cf, &exchange), TM_OK);
    assert_int_equal(cf->asked, 3);
    assert_memory_equal(cf->digests[0], cf->digests[1], TM_SHA256_SIZE);
    assert_memory_equal(cf->digests[0], cf->digests[2], TM_SHA256_SIZE);
    /* The next request is one of its own. */
    assert_int_equal(ask(cf, &exchange), TM_OK);
    assert_memory_not_equal(cf->digests[2], cf->digests[3], TM_SHA256_SIZE);
}

static void test_slow_key_store_and_another_exchange(void **state) {
    struct cf *cf = *state;
    struct tm_exchange exchange = cf_renewal(cf), probe = cf_probe();
    cf->again = 1;
    assert_int_equal(ask(cf, &exchange), TM_EAGAIN);
    uint8_t nonce[TM_CMC_NONCE_SIZE];
    memcpy(nonce, cf->cmc.nonce, sizeof nonce);
    struct cf_asked asked = cf_open(cf_request(cf, &probe));
    assert_false(bytes_equal(asked.request.sender_nonce, BYTES_OF(nonce)));
}

static void test_slow_key_store_and_a_new_challenge(void **state) {
    struct cf *cf = *state;
    struct tm_exchange exchange = cf_renewal(cf);
    assert_int_equal(tm_cmc_offer(&cf->cmc, cf_offer(cf, "a challenge"), NULL), TM_OK);
    cf->again = 1;
    assert_int_equal(ask(cf, &exchange), TM_EAGAIN);
    assert_int_equal(tm_cmc_offer(&cf->cmc, cf_offer(cf, "a newer one"), NULL), TM_OK);
    struct bytes request = cf_request(cf, &exchange);
    assert_true(verified_by_chain(request, cf->root_der));
    assert_bytes_equal(cf_open(request).request.recipient_nonce, bytes_str("a newer one"));
}

/* ---- what cannot be ---- */

static void test_credentials_that_are_not_there(void **state) {
    struct cf *cf = *state;
    struct tm_exchange renewal = cf_renewal(cf), first = cf_first(cf);
    cf->items[TM_ITEM_CHAIN_2] = bytes_str("no certificate");
    assert_int_equal(ask(cf, &renewal), TM_ECORRUPT);
    cf->items[TM_ITEM_CHAIN_2] = (struct bytes){0};
    assert_int_equal(ask(cf, &renewal), TM_ENOTFOUND);
    cf->items[TM_ITEM_BOOTSTRAP] = bytes_str("no NUL in it");
    assert_int_equal(ask(cf, &first), TM_ECORRUPT);
    cf->items[TM_ITEM_BOOTSTRAP] = (struct bytes){(const uint8_t *)CF_DEVICE, sizeof CF_DEVICE};
    assert_int_equal(ask(cf, &first), TM_ECORRUPT); /* an empty secret */
    cf->items[TM_ITEM_BOOTSTRAP] = (struct bytes){0};
    assert_int_equal(ask(cf, &first), TM_ENOTFOUND);
    cf->broken = TM_EIO;
    assert_int_equal(ask(cf, &first), TM_EIO);
    assert_int_equal(ask(cf, &renewal), TM_EIO);
}

static void test_exchanges_that_are_none_of_cmc(void **state) {
    struct cf *cf = *state;
    struct tm_exchange exchange = cf_renewal(cf);
    exchange.operation = TM_OP_CACERTS;
    assert_int_equal(ask(cf, &exchange), TM_EINVAL);
    exchange = cf_renewal(cf);
    exchange.slot = TM_SLOT_NONE;
    assert_int_equal(ask(cf, &exchange), TM_EINVAL);
    exchange = cf_probe();
    exchange.slot = TM_SLOT_NONE;
    assert_int_equal(ask(cf, &exchange), TM_EINVAL);
    exchange = cf_first(cf);
    exchange.body = cf_pkcs10(cf, vf_key(4), NULL); /* no one could find the key that signs */
    assert_int_equal(ask(cf, &exchange), TM_EINVAL);
    exchange.body = bytes_str("no request");
    assert_int_equal(ask(cf, &exchange), TM_EINVAL);
    exchange = cf_renewal(cf);
    exchange.label = "a label that has more than the sixty-four octets that a label may have";
    assert_int_equal(ask(cf, &exchange), TM_ELIMIT);
}

static void test_request_is_appended_where_there_is_room(void **state) {
    struct cf *cf = *state;
    struct tm_exchange exchange = cf_renewal(cf);
    size_t n = cf_request(cf, &exchange).n;
    struct buf out = {cf->out, n / 2, 0, false};
    assert_int_equal(tm_cmc_request(&cf->cmc, &exchange, &out), TM_ELIMIT);
    assert_int_equal(out.n, 0);
    out = BUF_ON(cf->out);
    buf_put(&out, bytes_str("before"));
    assert_int_equal(tm_cmc_request(&cf->cmc, &exchange, &out), TM_OK);
    assert_memory_equal(out.p, "before", 6);
    assert_true(verified_by_chain((struct bytes){out.p + 6, out.n - 6}, cf->root_der));
}

static void test_init_refuses_what_it_does_not_know(void **state) {
    struct cf *cf = *state;
    struct tm_cmc_config config = cf_config(cf);
    assert_int_equal(tm_cmc_init(&cf->cmc, &config, cf->work, TM_CMC_WORK_SIZE - 1), TM_EINVAL);
    config.device_id = "";
    assert_int_equal(tm_cmc_init(&cf->cmc, &config, cf->work, sizeof cf->work), TM_EINVAL);
    config.device_id = "a-device-ID-that-has-more-than-the-sixty-four-octets-that-one-may-have";
    assert_int_equal(tm_cmc_init(&cf->cmc, &config, cf->work, sizeof cf->work), TM_EINVAL);
    config = cf_config(cf);
    cf->keys.version++;
    assert_int_equal(tm_cmc_init(&cf->cmc, &config, cf->work, sizeof cf->work), TM_EINVAL);
}

/* ---- offers ---- */

static void test_offer_brings_the_cas_certificates(void **state) {
    struct cf *cf = *state;
    uint8_t memory[4096];
    struct buf out = BUF_ON(memory);
    struct bytes certificates;
    assert_int_equal(tm_cmc_offer(&cf->cmc, cf_offer(cf, "a challenge"), &out), TM_OK);
    assert_true(tm_cmc_ready(&cf->cmc));
    assert_int_equal(est_certs_only_read(buf_bytes(&out), &certificates), TM_OK);
    assert_bytes_equal(certificates, VF_SET(cf->vf, cf->root_der, cf->issuing_der));
}

static void test_what_is_no_offer_changes_nothing(void **state) {
    struct cf *cf = *state;
    struct bytes offer = cf_offer(cf, "a challenge");
    uint8_t memory[4096], small[16];
    struct buf out = BUF_ON(memory), little = BUF_ON(small);
    for (size_t n = 0; n < offer.n; n++)
        assert_int_equal(tm_cmc_offer(&cf->cmc, (struct bytes){offer.p, n}, &out), TM_EPARSE);
    /* A signed answer is none. */
    struct est_cmc_response reply = {.sender_nonce = bytes_str("forged")};
    struct bytes response = cf_respond(cf, &reply, cf->issuing_der);
    assert_int_equal(tm_cmc_offer(&cf->cmc, response, &out), TM_EPARSE);
    assert_int_equal(tm_cmc_offer(&cf->cmc, offer, &little), TM_ELIMIT);
    assert_int_equal(out.n + little.n, 0);
    assert_false(tm_cmc_ready(&cf->cmc));
}

#define CMC_TEST(name) cmocka_unit_test_setup_teardown(name, cf_setup, cf_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CMC_TEST(test_renewal_is_signed_by_the_slot),
        CMC_TEST(test_another_key_does_not_verify),
        CMC_TEST(test_first_request_proves_the_secret),
        CMC_TEST(test_both_credentials_at_once),
        CMC_TEST(test_secret_leaves_no_trace),
        CMC_TEST(test_probe_confirms_the_slots_certificate),
        CMC_TEST(test_challenge_is_used_once),
        CMC_TEST(test_same_request_same_transaction_other_nonce),
        CMC_TEST(test_what_makes_another_transaction),
        CMC_TEST(test_slow_key_store_is_asked_for_the_same),
        CMC_TEST(test_slow_key_store_and_another_exchange),
        CMC_TEST(test_slow_key_store_and_a_new_challenge),
        CMC_TEST(test_credentials_that_are_not_there),
        CMC_TEST(test_exchanges_that_are_none_of_cmc),
        CMC_TEST(test_request_is_appended_where_there_is_room),
        CMC_TEST(test_init_refuses_what_it_does_not_know),
        CMC_TEST(test_offer_brings_the_cas_certificates),
        CMC_TEST(test_what_is_no_offer_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
