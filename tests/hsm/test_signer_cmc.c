/* SPDX-License-Identifier: Apache-2.0 */
/* The signer and CMC responses: what of them is signed, and that nothing else can be had by them.
 */
#include "signer_rig.h"

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include "base/auto.h"
#include "pkcs11/ticket.h"

#define MESSAGE_MAX 8192

static int setup(void **state) {
    *state = rig_open();
    return 0;
}

static int teardown(void **state) {
    rig_close(*state);
    return 0;
}

static struct ipc_signed ask(struct signer_rig *rig, int core,
                             const struct ipc_cmc_ticket *ticket) {
    rig_send_cmc(core, ticket);
    struct ipc_signed answer = rig_receive(rig, core);
    assert_int_equal(answer.id, ticket->id);
    return answer;
}

static void assert_refuses(struct signer_rig *rig, int core, const struct ipc_cmc_ticket *ticket,
                           const char *says) {
    struct ipc_signed answer = ask(rig, core, ticket);
    if (answer.status != IPC_SIGN_REFUSED || !strstr(answer.text, says))
        fail_msg("ticket %llu: status %u: \"%s\" is not in: %s", (unsigned long long)ticket->id,
                 answer.status, says, answer.text);
    assert_int_equal(answer.signature.n, 0);
}

/* The octets that a signature for this ticket has to be over. */
static void put_attributes(const struct signer_rig *rig, const struct ipc_cmc_ticket *ticket,
                           struct buf *out) {
    uint8_t octets[EST_DIGEST_MAX];
    struct buf digest = BUF_ON(octets);
    assert_int_equal(ca_issuer_digest_make(&rig->issuer, ticket->content, &digest), TM_OK);
    assert_int_equal(est_signed_attributes_write(PKI_OID_CCT_PKI_RESPONSE, buf_bytes(&digest),
                                                 ticket->signing_time_ms, out),
                     TM_OK);
}

static void assert_signs(struct signer_rig *rig, int core, uint64_t id) {
    uint8_t memory[RIG_TBS_MAX], attributes_memory[EST_SIGNED_ATTRIBUTES_MAX];
    struct buf content = BUF_ON(memory), attributes = BUF_ON(attributes_memory);
    rig_response(&content);
    struct ipc_cmc_ticket ticket = rig_cmc_ticket(id, buf_bytes(&content));
    struct ipc_signed answer = ask(rig, core, &ticket);
    if (answer.status != IPC_SIGN_OK)
        fail_msg("%s", answer.text);
    put_attributes(rig, &ticket, &attributes);
    assert_int_equal(ca_issuer_verify(&rig->issuer, buf_bytes(&attributes), answer.signature),
                     TM_OK);
}

/* ---- the whole message, in OpenSSL's eyes ---- */

static void put_message(const struct signer_rig *rig, const struct ipc_cmc_ticket *ticket,
                        struct bytes signature, struct buf *out) {
    uint8_t algorithm_memory[64], attributes_memory[EST_SIGNED_ATTRIBUTES_MAX];
    struct buf attributes = BUF_ON(attributes_memory);
    struct der_writer w = der_writer_on(algorithm_memory, sizeof algorithm_memory);
    ca_put_signature_algorithm(&w, rig->issuer.signature);
    put_attributes(rig, ticket, &attributes);
    const struct est_signed message = {
        .content_type = PKI_OID_CCT_PKI_RESPONSE,
        .content = ticket->content,
        .certificates = rig->issuer.der,
        .has_signer = true,
        .signer = {.issuer = rig->issuer.view.issuer, .serial = rig->issuer.view.serial},
        .digest = ca_issuer_digest(&rig->issuer),
        .attributes = buf_bytes(&attributes),
        .algorithm = der_written(&w),
        .signature = signature};
    assert_int_equal(est_signed_write(&message, out), TM_OK);
}

/* The issuer's chain is trusted, whatever its keyUsage says about messages. */
static X509_STORE *trust(const struct signer_rig *rig) {
    X509_STORE *store = X509_STORE_new();
    const unsigned char *at = rig->issuer.chain.p, *end = at + rig->issuer.chain.n;
    assert_non_null(store);
    while (at < end) {
        X509 *certificate = d2i_X509(NULL, &at, end - at);
        assert_non_null(certificate);
        assert_int_equal(X509_STORE_add_cert(store, certificate), 1);
        X509_free(certificate);
    }
    assert_int_equal(X509_STORE_set_purpose(store, X509_PURPOSE_ANY), 1);
    return store;
}

static bool openssl_verifies(const struct signer_rig *rig, struct bytes der, struct bytes content) {
    const unsigned char *at = der.p;
    char *got;
    CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &at, (long)der.n);
    X509_STORE *store = trust(rig);
    BIO *out = BIO_new(BIO_s_mem());
    assert_non_null(cms);
    assert_true(at == der.p + der.n);
    assert_non_null(out);
    bool good = CMS_verify(cms, NULL, store, NULL, out, CMS_BINARY) == 1;
    if (good) {
        long n = BIO_get_mem_data(out, &got);
        assert_true(bytes_equal(content, (struct bytes){(uint8_t *)got, (size_t)n}));
    }
    ERR_clear_error();
    BIO_free(out);
    X509_STORE_free(store);
    CMS_ContentInfo_free(cms);
    return good;
}

static enum pki_oid digest_in(struct bytes der) {
    struct est_signed message;
    assert_int_equal(est_signed_read(der, &message), TM_OK);
    assert_int_equal(message.content_type, PKI_OID_CCT_PKI_RESPONSE);
    return message.digest;
}

static void check_kind(const char *key_type, enum pki_oid digest) {
    struct signer_rig *rig = rig_open_for(key_type);
    struct hsm_signer *signer = rig_signer(rig);
    AUTO_FD int core = rig_link(rig, signer);
    uint8_t memory[RIG_TBS_MAX], message_memory[MESSAGE_MAX];
    struct buf content = BUF_ON(memory), message = BUF_ON(message_memory);
    rig_response(&content);
    struct ipc_cmc_ticket ticket = rig_cmc_ticket(1, buf_bytes(&content));
    struct ipc_signed answer = ask(rig, core, &ticket);
    if (answer.status != IPC_SIGN_OK)
        fail_msg("%s: %s", key_type, answer.text);
    put_message(rig, &ticket, answer.signature, &message);
    assert_int_equal(digest_in(buf_bytes(&message)), digest);
    assert_signs(rig, core, 2);
    /* Not every OpenSSL knows EdDSA in CMS; the signature itself was verified above. */
    if (rig->issuer.signature != PKI_OID_ED25519) {
        assert_true(openssl_verifies(rig, buf_bytes(&message), ticket.content));
        uint8_t *at = memmem(message.p, message.n, "not today", 9);
        assert_non_null(at);
        at[0] = 'N';
        assert_false(openssl_verifies(rig, buf_bytes(&message), ticket.content));
    }
    hsm_signer_close(signer);
    rig_close(rig);
}

static void openssl_verifies_what_every_kind_of_key_signed(void **state) {
    (void)state;
    check_kind("p256", PKI_OID_SHA256);
    check_kind("p384", PKI_OID_SHA384);
    check_kind("rsa3072", PKI_OID_SHA256);
}

static void ed25519_part(void *arg) {
    (void)arg;
    check_kind("ed25519", PKI_OID_SHA512); /* RFC 8419, 3.1 */
}

static void ed25519_goes_with_sha512(void **state) {
    in_child(ed25519_part, *state);
}

/* ---- what is refused ---- */

/* Whatever comes as content, it is a PKIResponse or there is no signature. */
static void it_signs_no_other_content(void **state) {
    struct signer_rig *rig = *state;
    struct hsm_signer *signer = rig_signer(rig);
    AUTO_FD int core = rig_link(rig, signer);
    uint8_t memory[6][MESSAGE_MAX];
    struct buf tbs = BUF_ON(memory[0]), ca_tbs = BUF_ON(memory[1]), attributes = BUF_ON(memory[2]),
               longer = BUF_ON(memory[3]), request = BUF_ON(memory[4]), offer = BUF_ON(memory[5]);
    rig_build(rig, &tbs);
    rig_put_ca_tbs(rig, &ca_tbs);
    rig_response(&longer);
    struct ipc_cmc_ticket ticket = rig_cmc_ticket(1, buf_bytes(&longer));
    put_attributes(rig, &ticket, &attributes);
    buf_put_u8(&longer, 0);
    const struct est_cmc_request accept = {.accept_issuer = rig->issuer.view.issuer,
                                           .accept_serial = rig->issuer.view.serial};
    assert_int_equal(est_cmc_request_write(&accept, &request), TM_OK);
    assert_int_equal(est_cmc_offer_write(bytes_str("challenge"), rig->issuer.der, &offer), TM_OK);
    const struct bytes contents[] = {
        buf_bytes(&tbs),
        buf_bytes(&ca_tbs),
        buf_bytes(&attributes),
        buf_bytes(&longer),
        buf_bytes(&offer),
        buf_bytes(&request),
        rig->issuer.der,
        rig->issuer.view.subject,
        {0},
        bytes_str("sign this, please"),
    };
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        ticket = rig_cmc_ticket(1 + i, contents[i]);
        assert_refuses(rig, core, &ticket, "not a PKIResponse");
    }
    assert_signs(rig, core, 100);
    hsm_signer_close(signer);
}

static void it_signs_no_random_octets(void **state) {
    struct signer_rig *rig = *state;
    struct hsm_signer *signer = rig_signer(rig);
    AUTO_FD int core = rig_link(rig, signer);
    uint64_t x = 20260720;
    for (uint64_t id = 1; id <= 300; id++) {
        uint8_t octets[64];
        size_t n = 1 + id % sizeof octets;
        for (size_t i = 0; i < n; i++) {
            x = x * 6364136223846793005 + 1442695040888963407;
            octets[i] = (uint8_t)(x >> 56);
        }
        octets[0] = id % 2 ? 0x30 : octets[0]; /* a SEQUENCE of the right length, every second */
        if (id % 2 && n > 1)
            octets[1] = (uint8_t)(n - 2);
        struct ipc_cmc_ticket ticket = rig_cmc_ticket(id, (struct bytes){octets, n});
        assert_refuses(rig, core, &ticket, "not a PKIResponse");
    }
    hsm_signer_close(signer);
}

/* The other way round: what is signed for CMC is a SET OF, and so never what another ticket's
 * signature is over; nor is the content itself signed. */
static void a_signature_for_cmc_is_good_for_nothing_else(void **state) {
    struct signer_rig *rig = *state;
    struct hsm_signer *signer = rig_signer(rig);
    AUTO_FD int core = rig_link(rig, signer);
    uint8_t memory[RIG_TBS_MAX], attributes_memory[EST_SIGNED_ATTRIBUTES_MAX];
    struct buf content = BUF_ON(memory), attributes = BUF_ON(attributes_memory);
    rig_response(&content);
    struct ipc_cmc_ticket ticket = rig_cmc_ticket(1, buf_bytes(&content));
    put_attributes(rig, &ticket, &attributes);
    struct ipc_signed answer = ask(rig, core, &ticket);
    assert_int_equal(answer.status, IPC_SIGN_OK);
    assert_int_equal(ca_issuer_verify(&rig->issuer, ticket.content, answer.signature), TM_ECRYPTO);
    assert_int_equal(attributes.p[0], 0x31);
    struct pki_cert cert;
    assert_int_equal(pki_tbs_parse(buf_bytes(&attributes), &cert), TM_EPARSE);
    struct ipc_ticket other = rig_ticket(rig, 2, buf_bytes(&attributes));
    rig_send(core, &other);
    answer = rig_receive(rig, core);
    assert_int_equal(answer.status, IPC_SIGN_REFUSED);
    assert_non_null(strstr(answer.text, "not a TBSCertificate"));
    hsm_signer_close(signer);
}

static void it_signs_for_its_issuers_and_now_only(void **state) {
    struct signer_rig *rig = *state;
    struct hsm_signer *signer = rig_signer(rig);
    AUTO_FD int core = rig_link(rig, signer);
    uint8_t memory[RIG_TBS_MAX];
    struct buf content = BUF_ON(memory);
    rig_response(&content);
    struct ipc_cmc_ticket ticket = rig_cmc_ticket(1, buf_bytes(&content));
    (void)strcpy(ticket.issuer, "root");
    assert_refuses(rig, core, &ticket, "no issuer root here");
    const int64_t slack = 60000, now = clock_wall_ms();
    const int64_t wrong[] = {now - HSM_CMC_SKEW_MS - 1, now + HSM_CMC_SKEW_MS + slack, 0, INT64_MIN,
                             INT64_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ticket = rig_cmc_ticket(2 + i, buf_bytes(&content));
        ticket.signing_time_ms = wrong[i];
        assert_refuses(rig, core, &ticket, "the signing-time is not now");
    }
    const int64_t right[] = {now - HSM_CMC_SKEW_MS + slack, now + HSM_CMC_SKEW_MS};
    for (size_t i = 0; i < 2; i++) {
        ticket = rig_cmc_ticket(100 + i, buf_bytes(&content));
        ticket.signing_time_ms = right[i];
        assert_int_equal(ask(rig, core, &ticket).status, IPC_SIGN_OK);
    }
    hsm_signer_close(signer);
}

/* ---- one series with certificates ---- */

static struct ipc_signed ask_for_certificate(struct signer_rig *rig, int core, uint64_t id) {
    uint8_t memory[RIG_TBS_MAX];
    struct buf tbs = BUF_ON(memory);
    rig_build(rig, &tbs);
    struct ipc_ticket ticket = rig_ticket(rig, id, buf_bytes(&tbs));
    rig_send(core, &ticket);
    return rig_receive(rig, core);
}

static void ids_are_used_once_whatever_for(void **state) {
    struct signer_rig *rig = *state;
    struct hsm_signer *signer = rig_signer(rig);
    AUTO_FD int core = rig_link(rig, signer);
    uint8_t memory[RIG_TBS_MAX];
    struct buf content = BUF_ON(memory);
    rig_response(&content);
    assert_int_equal(ask_for_certificate(rig, core, 5).status, IPC_SIGN_OK);
    struct ipc_cmc_ticket ticket = rig_cmc_ticket(5, buf_bytes(&content));
    assert_refuses(rig, core, &ticket, "redeemed before");
    assert_signs(rig, core, 6);
    ticket.id = 6;
    assert_refuses(rig, core, &ticket, "redeemed before");
    struct ipc_signed answer = ask_for_certificate(rig, core, 6);
    assert_int_equal(answer.status, IPC_SIGN_REFUSED);
    assert_non_null(strstr(answer.text, "redeemed before"));
    hsm_signer_close(signer);
}

static void ceilings_count_both(void **state) {
    struct signer_rig *rig = *state;
    rig->config.max_total = 3;
    struct hsm_signer *signer = rig_signer(rig);
    AUTO_FD int core = rig_link(rig, signer);
    uint8_t memory[RIG_TBS_MAX];
    struct buf content = BUF_ON(memory);
    rig_response(&content);
    struct ipc_cmc_ticket ticket = rig_cmc_ticket(1, bytes_str("wrong"));
    assert_refuses(rig, core, &ticket, "not a PKIResponse"); /* costs nothing */
    assert_signs(rig, core, 2);
    assert_int_equal(ask_for_certificate(rig, core, 3).status, IPC_SIGN_OK);
    assert_signs(rig, core, 4);
    ticket = rig_cmc_ticket(5, buf_bytes(&content));
    struct ipc_signed answer = ask(rig, core, &ticket);
    assert_int_equal(answer.status, IPC_SIGN_CEILING);
    assert_int_equal(answer.signature.n, 0);
    assert_int_equal(ask_for_certificate(rig, core, 6).status, IPC_SIGN_CEILING);
    hsm_signer_close(signer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    (void)alarm(840);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_verifies_what_every_kind_of_key_signed),
        cmocka_unit_test(ed25519_goes_with_sha512),
        TEST(it_signs_no_other_content),
        TEST(it_signs_no_random_octets),
        TEST(a_signature_for_cmc_is_good_for_nothing_else),
        TEST(it_signs_for_its_issuers_and_now_only),
        TEST(ids_are_used_once_whatever_for),
        TEST(ceilings_count_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
