/* SPDX-License-Identifier: Apache-2.0 */
/* What a device makes of Full PKI Responses: which one is its answer, and what it says. Whatever a
 * carrier does to one, it is passed over or means the same. */
#include "client_cmc_fixture.h"

#define OUT_MAX 4096

/* What was made of a response. */
struct outcome {
    enum tm_err err;
    struct tm_answer answer;
    uint8_t octets[OUT_MAX];
    struct buf out;
};

static void judge_at(struct cf *cf, const struct tm_exchange *exchange, int64_t wall_ms,
                     struct bytes response, struct outcome *ret) {
    memset(ret, 0x5a, sizeof *ret);
    ret->out = BUF_ON(ret->octets);
    ret->answer.text[0] = '\0';
    ret->err = tm_cmc_response(&cf->cmc, exchange, wall_ms, response, &ret->out, &ret->answer);
}

static void judge(struct cf *cf, const struct tm_exchange *exchange, struct bytes response,
                  struct outcome *ret) {
    judge_at(cf, exchange, VF_NOW, response, ret);
}

static void assert_text(const char *text, const char *expect) {
    if (!strstr(text, expect))
        print_error("text: %s\n", text);
    assert_non_null(strstr(text, expect));
}

static void assert_passed_over(const struct outcome *outcome, const char *why) {
    assert_int_equal(outcome->err, TM_EDENIED);
    assert_int_equal(outcome->out.n, 0);
    assert_text(outcome->answer.text, why);
}

static void assert_issued(const struct outcome *outcome, struct bytes certificate) {
    struct bytes certificates;
    if (outcome->err)
        print_error("passed over: %s\n", outcome->answer.text);
    assert_int_equal(outcome->err, TM_OK);
    assert_int_equal(outcome->answer.result, TM_RESULT_OK);
    assert_bytes_equal(outcome->answer.body, buf_bytes(&outcome->out));
    assert_int_equal(est_certs_only_read(outcome->answer.body, &certificates), TM_OK);
    assert_bytes_equal(certificates, certificate);
}

/* A renewal that waits for its answer. */
static struct tm_exchange renew(struct cf *cf, struct est_cmc_response *ret_reply) {
    struct tm_exchange exchange = cf_renewal(cf);
    struct cf_asked asked = cf_open(cf_request(cf, &exchange));
    *ret_reply = cf_reply(cf, &asked, EST_CMC_CONFIRM_REQUIRED);
    return exchange;
}

/* ---- answers ---- */

static void test_issued(void **state) {
    struct cf *cf = *state;
    const enum est_cmc_status good[] = {EST_CMC_SUCCESS, EST_CMC_CONFIRM_REQUIRED};
    struct tm_exchange all[] = {cf_renewal(cf), cf_first(cf)};
    struct outcome outcome;
    for (size_t i = 0; i < 4; i++) {
        struct cf_asked asked = cf_open(cf_request(cf, &all[i / 2]));
        struct est_cmc_response reply = cf_reply(cf, &asked, good[i % 2]);
        struct bytes bag = VF_SET(cf->vf, cf->root_der, cf->issued, cf->issuing_der);
        judge(cf, &all[i / 2], cf_respond(cf, &reply, bag), &outcome);
        assert_issued(&outcome, cf->issued);
        assert_int_equal(outcome.answer.server_wall_ms, VF_NOW);
        assert_int_equal(outcome.answer.retry_after_s + outcome.answer.binding_n, 0);
        assert_true(tm_cmc_ready(&cf->cmc));
    }
}

static void test_no_status_is_success(void **state) {
    struct cf *cf = *state;
    struct est_cmc_response reply;
    struct outcome outcome;
    struct tm_exchange exchange = renew(cf, &reply);
    reply.has_status = false;
    reply.part = 0;
    judge(cf, &exchange, cf_respond(cf, &reply, cf->issued), &outcome);
    assert_issued(&outcome, cf->issued);
}

static void test_confirmed(void **state) {
    struct cf *cf = *state;
    struct tm_exchange exchange = cf_probe();
    struct outcome outcome;
    struct cf_asked asked = cf_open(cf_request(cf, &exchange));
    struct est_cmc_response reply = cf_reply(cf, &asked, EST_CMC_SUCCESS);
    judge(cf, &exchange, cf_respond(cf, &reply, (struct bytes){0}), &outcome);
    assert_int_equal(outcome.err, TM_OK);
    assert_int_equal(outcome.answer.result, TM_RESULT_OK);
    assert_int_equal(outcome.answer.body.n + outcome.out.n, 0);
}

static void test_there_is_one_answer(void **state) {
    struct cf *cf = *state;
    struct est_cmc_response reply;
    struct outcome outcome;
    struct tm_exchange exchange = renew(cf, &reply);
    struct bytes response = cf_respond(cf, &reply, cf->issued);
    judge(cf, &exchange, response, &outcome);
    assert_issued(&outcome, cf->issued);
    judge(cf, &exchange, response, &outcome);
    assert_passed_over(&outcome, "no request waits");
}

static void test_answer_is_appended_where_there_is_room(void **state) {
    struct cf *cf = *state;
    struct est_cmc_response reply;
    uint8_t octets[OUT_MAX];
    struct buf out = {octets, 100, 0, false};
    struct tm_answer answer;
    struct tm_exchange exchange = renew(cf, &reply);
    struct bytes response = cf_respond(cf, &reply, cf->issued);
    assert_int_equal(tm_cmc_response(&cf->cmc, &exchange, VF_NOW, response, &out, &answer),
                     TM_ELIMIT);
    assert_int_equal(out.n, 0);
    out = BUF_ON(octets);
    buf_put(&out, bytes_str("before"));
    assert_int_equal(tm_cmc_response(&cf->cmc, &exchange, VF_NOW, response, &out, &answer), TM_OK);
    assert_ptr_equal(answer.body.p, octets + 6);
    assert_int_equal(answer.body.n, out.n - 6);
}

/* ---- what the status says ---- */

struct fail_row {
    enum est_cmc_fail fail;
    enum tm_result result;
};
static const struct fail_row fail_rows[] = {
    {EST_CMC_BAD_ALG, TM_RESULT_REFUSED},           {EST_CMC_BAD_MESSAGE_CHECK, TM_RESULT_DENIED},
    {EST_CMC_BAD_REQUEST, TM_RESULT_REFUSED},       {EST_CMC_BAD_TIME, TM_RESULT_LATER},
    {EST_CMC_BAD_CERT_ID, TM_RESULT_DENIED},        {EST_CMC_UNSUPPORTED_EXT, TM_RESULT_REFUSED},
    {EST_CMC_MUST_ARCHIVE_KEYS, TM_RESULT_REFUSED}, {EST_CMC_BAD_IDENTITY, TM_RESULT_DENIED},
    {EST_CMC_FAIL_POP_REQUIRED, TM_RESULT_REFUSED}, {EST_CMC_POP_FAILED, TM_RESULT_REFUSED},
    {EST_CMC_NO_KEY_REUSE, TM_RESULT_REFUSED},      {EST_CMC_INTERNAL_CA_ERROR, TM_RESULT_LATER},
    {EST_CMC_TRY_LATER, TM_RESULT_LATER},           {EST_CMC_AUTH_DATA_FAIL, TM_RESULT_REFUSED},
};

static void test_refusals(void **state) {
    struct cf *cf = *state;
    struct est_cmc_response reply;
    struct outcome outcome;
    for (size_t i = 0; i < sizeof fail_rows / sizeof fail_rows[0]; i++) {
        struct tm_exchange exchange = renew(cf, &reply);
        reply.status = EST_CMC_FAILED;
        reply.has_fail = true;
        reply.fail = fail_rows[i].fail;
        reply.text = bytes_str("B\xc3\xbcro: no\n");
        judge(cf, &exchange, cf_respond(cf, &reply, cf->issued), &outcome);
        assert_int_equal(outcome.err, TM_OK);
        assert_int_equal(outcome.answer.result, fail_rows[i].result);
        assert_string_equal(outcome.answer.text, "B??ro: no?");
        assert_int_equal(outcome.answer.body.n + outcome.out.n, 0);
        assert_int_equal(outcome.answer.retry_after_s, 0);
    }
}

static void test_other_statuses(void **state) {
    struct cf *cf = *state;
    const enum est_cmc_status bad[] = {EST_CMC_FAILED, EST_CMC_NO_SUPPORT, EST_CMC_POP_REQUIRED,
                                       EST_CMC_PARTIAL};
    struct est_cmc_response reply;
    struct outcome outcome;
    for (size_t i = 0; i < 4; i++) {
        struct tm_exchange exchange = renew(cf, &reply);
        reply.status = bad[i];
        judge(cf, &exchange, cf_respond(cf, &reply, cf->issued), &outcome);
        assert_int_equal(outcome.err, TM_OK);
        assert_int_equal(outcome.answer.result, TM_RESULT_REFUSED);
        assert_text(outcome.answer.text, "statusInfo");
    }
    struct tm_exchange probe = cf_probe();
    struct cf_asked asked = cf_open(cf_request(cf, &probe));
    reply = cf_reply(cf, &asked, EST_CMC_CONFIRM_REQUIRED);
    judge(cf, &probe, cf_respond(cf, &reply, (struct bytes){0}), &outcome);
    assert_int_equal(outcome.err, TM_OK);
    assert_int_equal(outcome.answer.result, TM_RESULT_REFUSED);
}

static void test_pending(void **state) {
    struct cf *cf = *state;
    struct est_cmc_response reply;
    struct outcome outcome;
    const int64_t after_ms[] = {90000, -1000, 100 * 365 * VF_DAY};
    const uint32_t expect_s[] = {91, 0, INT32_MAX};
    for (size_t i = 0; i < 3; i++) {
        struct tm_exchange exchange = renew(cf, &reply);
        reply.status = EST_CMC_PENDING;
        reply.pend_token = bytes_str("token");
        reply.pend_time_ms = VF_NOW + after_ms[i];
        /* The device's own clock does not count: it is a day behind. */
        judge_at(cf, &exchange, VF_NOW - VF_DAY, cf_respond(cf, &reply, cf->issued), &outcome);
        assert_int_equal(outcome.err, TM_OK);
        assert_int_equal(outcome.answer.result, TM_RESULT_LATER);
        assert_int_equal(outcome.answer.retry_after_s, expect_s[i]);
    }
}

static void test_refusal_brings_the_challenge_for_another_try(void **state) {
    struct cf *cf = *state;
    struct est_cmc_response reply;
    struct outcome outcome;
    struct tm_exchange exchange = renew(cf, &reply);
    reply.status = EST_CMC_FAILED;
    reply.has_fail = true;
    reply.fail = EST_CMC_BAD_TIME;
    judge(cf, &exchange, cf_respond(cf, &reply, (struct bytes){0}), &outcome);
    assert_int_equal(outcome.err, TM_OK);
    assert_int_equal(outcome.answer.result, TM_RESULT_LATER);
    struct cf_asked asked = cf_open(cf_request(cf, &exchange));
    assert_bytes_equal(asked.request.recipient_nonce, bytes_str(CF_NEXT_CHALLENGE));
    reply = cf_reply(cf, &asked, EST_CMC_SUCCESS);
    judge(cf, &exchange, cf_respond(cf, &reply, cf->issued), &outcome);
    assert_issued(&outcome, cf->issued);
}

/* ---- who may sign ---- */

static struct bytes respond_as(struct cf *cf, const struct est_cmc_response *reply,
                               struct cf_signer signer, struct bytes bag) {
    return cf_sign(cf, &signer, CF_PKI_RESPONSE, cf_content(cf, reply), bag);
}

/* Whatever of the issuing CA's purpose is not said by the options. */
static struct cf_signer responder(struct cf *cf, struct vf_options options) {
    struct vf_party party = {"Responder", NULL, vf_key(6)};
    options.serial = 77;
    return (struct cf_signer){.certificate = vf_leaf(cf->vf, &party, &cf->issuing, options),
                              .key = party.key};
}

static void assert_taken_from(struct cf *cf, struct cf_signer signer, bool in_bag) {
    struct est_cmc_response reply;
    struct outcome outcome;
    struct tm_exchange exchange = renew(cf, &reply);
    struct bytes bag = in_bag ? VF_SET(cf->vf, cf->issued, signer.certificate) : cf->issued;
    judge(cf, &exchange, respond_as(cf, &reply, signer, bag), &outcome);
    assert_issued(&outcome, cf->issued);
}

static void assert_not_taken_from(struct cf *cf, struct cf_signer signer, const char *why) {
    struct est_cmc_response reply;
    struct outcome outcome;
    struct tm_exchange exchange = renew(cf, &reply);
    struct bytes bag = VF_SET(cf->vf, cf->issued, signer.certificate, cf->issuing_der);
    judge(cf, &exchange, respond_as(cf, &reply, signer, bag), &outcome);
    assert_passed_over(&outcome, why);
    assert_false(tm_cmc_ready(&cf->cmc)); /* nor is its challenge */
}

static void test_signers_that_may(void **state) {
    struct cf *cf = *state;
    struct cf_signer ca = cf_ca(cf), root = {.certificate = cf->root_der, .key = cf->root.key};
    assert_taken_from(cf, ca, false);
    assert_taken_from(cf, root, false);
    ca.by_key_id = true;
    assert_taken_from(cf, ca, false);
    assert_taken_from(cf, responder(cf, (struct vf_options){.purposes = "cmcRA"}), true);
    struct cf_signer both = responder(cf, (struct vf_options){.purposes = "clientAuth,cmcCA"});
    both.by_key_id = true;
    assert_taken_from(cf, both, true);
    /* Held by the device, with the bag empty of it. */
    struct cf_signer ra = responder(cf, (struct vf_options){.purposes = "cmcRA"});
    cf->items[TM_ITEM_ANCHORS_1] = VF_SET(cf->vf, cf->root_der, cf->issuing_der, ra.certificate);
    assert_taken_from(cf, ra, false);
}

/* A responder's own CA comes along and leads to the anchor that is held. */
static void test_path_of_the_signer_may_come_along(void **state) {
    struct cf *cf = *state;
    struct vf_party other = {"Responders", NULL, vf_key(7)}, party = {"Responder", NULL, vf_key(6)};
    struct bytes other_der = vf_issue(cf->vf, &other, &cf->root, (struct vf_options){.serial = 55});
    struct cf_signer ra = {
        .certificate = vf_leaf(cf->vf, &party, &other, (struct vf_options){.purposes = "cmcRA"}),
        .key = party.key};
    struct est_cmc_response reply;
    struct outcome outcome;
    struct tm_exchange exchange = renew(cf, &reply);
    struct bytes alone = VF_SET(cf->vf, cf->issued, ra.certificate);
    judge(cf, &exchange, respond_as(cf, &reply, ra, alone), &outcome);
    assert_passed_over(&outcome, "no CA certificate of this name");
    struct bytes bag = VF_SET(cf->vf, cf->issued, ra.certificate, other_der);
    judge(cf, &exchange, respond_as(cf, &reply, ra, bag), &outcome);
    assert_issued(&outcome, cf->issued);
}

static void test_signers_that_may_not(void **state) {
    struct cf *cf = *state;
    struct cf_signer device = {.certificate = cf->leaf_der, .key = cf->leaf.key};
    assert_not_taken_from(cf, device, "neither a CA nor");
    struct cf_signer ra = responder(
        cf, (struct vf_options){.purposes = "cmcRA", .key_usage = "critical,keyAgreement"});
    assert_not_taken_from(cf, ra, "keyUsage lacks digitalSignature");
    ra = responder(cf, (struct vf_options){.purposes = "cmcRA", .to_ms = -VF_DAY});
    assert_not_taken_from(cf, ra, "expired");
    ra = responder(cf, (struct vf_options){.purposes = "cmcRA", .from_ms = VF_DAY});
    assert_not_taken_from(cf, ra, "not valid yet");
    ra = responder(cf, (struct vf_options){.purposes = "cmcRA", .unknown = "critical,x"});
    assert_not_taken_from(cf, ra, "critical extension");
}

/* By another key than the one in the certificate that it names; which of the two of that name is
 * judged last is the order in the bag, so both sentences are right. */
static void test_forged_signature(void **state) {
    struct cf *cf = *state;
    struct vf_party forger = {"Forger", NULL, vf_key(9)};
    struct cf_signer twin = {.certificate =
                                 vf_issue(cf->vf, &forger, &cf->root,
                                          (struct vf_options){.serial = 2, .signer = forger.key}),
                             .key = forger.key};
    assert_not_taken_from(cf, twin, "signature does not verify");
}

/* A CA as sound as ours, but for the anchor: its root may come along as often as it likes. */
static void test_foreign_ca(void **state) {
    struct cf *cf = *state;
    struct vf_party root = {"Root", NULL, vf_key(9)}, issuing = {"Issuing", NULL, vf_key(10)};
    struct vf_party device = {CF_DEVICE, NULL, vf_key(4)};
    struct bytes root_der = vf_issue(cf->vf, &root, &root, VF_PLAIN);
    struct bytes issuing_der = vf_issue(cf->vf, &issuing, &root, (struct vf_options){.serial = 2});
    struct bytes issued = vf_leaf(cf->vf, &device, &issuing, (struct vf_options){.serial = 4});
    struct cf_signer signer = {.certificate = issuing_der, .key = issuing.key};
    struct est_cmc_response reply;
    struct outcome outcome;
    struct tm_exchange exchange = renew(cf, &reply);
    struct bytes bag = VF_SET(cf->vf, issued, issuing_der, root_der);
    judge(cf, &exchange, respond_as(cf, &reply, signer, bag), &outcome);
    assert_int_equal(outcome.err, TM_EDENIED);
    signer = (struct cf_signer){.certificate = root_der, .key = root.key};
    judge(cf, &exchange, respond_as(cf, &reply, signer, bag), &outcome);
    assert_int_equal(outcome.err, TM_EDENIED);
    /* Our CA's signature does not make its certificate ours. */
    judge(cf, &exchange, cf_respond(cf, &reply, bag), &outcome);
    assert_passed_over(&outcome, "without a certificate");
    judge(cf, &exchange, cf_respond(cf, &reply, cf->issued), &outcome);
    assert_issued(&outcome, cf->issued);
}

static void test_time_that_is_not_known(void **state) {
    struct cf *cf = *state;
    struct cf_signer ra = responder(cf, (struct vf_options){.purposes = "cmcRA", .to_ms = -VF_DAY});
    struct est_cmc_response reply;
    struct outcome outcome;
    struct tm_exchange exchange = renew(cf, &reply);
    struct bytes bag = VF_SET(cf->vf, cf->issued, ra.certificate);
    judge_at(cf, &exchange, 0, respond_as(cf, &reply, ra, bag), &outcome);
    assert_issued(&outcome, cf->issued);
}

static void test_other_digests_and_contents(void **state) {
    struct cf *cf = *state;
    struct cf_signer ca = cf_ca(cf);
    struct est_cmc_response reply;
    struct outcome outcome;
    struct tm_exchange exchange = renew(cf, &reply);
    struct bytes content = cf_content(cf, &reply);
    judge(cf, &exchange, cf_sign(cf, &ca, "1.3.6.1.5.5.7.12.2", content, cf->issued), &outcome);
    assert_passed_over(&outcome, "not a Full PKI Response");
    judge(cf, &exchange, cf_sign(cf, &ca, CF_PKI_RESPONSE, bytes_str("no"), cf->issued), &outcome);
    assert_passed_over(&outcome, "not a PKIResponse");
    ca.digest = EVP_sha384();
    judge(cf, &exchange, cf_sign(cf, &ca, CF_PKI_RESPONSE, content, cf->issued), &outcome);
    assert_passed_over(&outcome, "not SHA-256");
}

/* ---- somebody else's, or another time's ---- */

static void test_not_the_answer(void **state) {
    struct cf *cf = *state;
    struct est_cmc_response reply, other;
    struct outcome outcome;
    struct tm_exchange exchange = renew(cf, &reply);
    other = reply;
    other.recipient_nonce = bytes_str("sixteen octets!!");
    judge(cf, &exchange, cf_respond(cf, &other, cf->issued), &outcome);
    assert_passed_over(&outcome, "recipientNonce");
    other.recipient_nonce = (struct bytes){0};
    judge(cf, &exchange, cf_respond(cf, &other, cf->issued), &outcome);
    assert_passed_over(&outcome, "recipientNonce");
    other = reply;
    other.transaction = bytes_str("sixteen octets!!");
    judge(cf, &exchange, cf_respond(cf, &other, cf->issued), &outcome);
    assert_passed_over(&outcome, "another transaction");
    other.transaction = (struct bytes){0};
    judge(cf, &exchange, cf_respond(cf, &other, cf->issued), &outcome);
    assert_passed_over(&outcome, "another transaction");
    /* To a request with the same nonce and transactionId, as a broker can make one. */
    other = reply;
    other.request_hash = bytes_str("thirty-two octets of another one");
    judge(cf, &exchange, cf_respond(cf, &other, cf->issued), &outcome);
    assert_passed_over(&outcome, "responseInfo");
    other.request_hash = (struct bytes){0};
    judge(cf, &exchange, cf_respond(cf, &other, cf->issued), &outcome);
    assert_passed_over(&outcome, "responseInfo");
    judge(cf, &exchange, cf_respond(cf, &reply, cf->issued), &outcome);
    assert_issued(&outcome, cf->issued);
}

static void test_unsigned(void **state) {
    struct cf *cf = *state;
    struct est_cmc_response reply;
    struct outcome outcome;
    uint8_t octets[OUT_MAX];
    struct buf out = BUF_ON(octets);
    struct tm_exchange exchange = renew(cf, &reply);
    struct est_signed message = {.content_type = PKI_OID_CCT_PKI_RESPONSE,
                                 .content = cf_content(cf, &reply),
                                 .certificates = cf->issued};
    assert_int_equal(est_signed_write(&message, &out), TM_OK);
    judge(cf, &exchange, buf_bytes(&out), &outcome);
    assert_passed_over(&outcome, "nobody signed");
}

/* Two devices whose answers a carrier swaps. */
static void test_swapped_responses(void **state) {
    struct cf *cf = *state;
    void *second;
    assert_int_equal(cf_setup(&second), 0);
    struct cf *other = second;
    struct est_cmc_response reply, others;
    struct outcome outcome;
    struct tm_exchange exchange = renew(cf, &reply);
    struct tm_exchange same = renew(other, &others); /* nothing but the nonce is another */
    judge(cf, &exchange, cf_respond(cf, &others, cf->issued), &outcome);
    assert_int_equal(outcome.err, TM_EDENIED);
    judge(other, &same, cf_respond(cf, &reply, cf->issued), &outcome);
    assert_int_equal(outcome.err, TM_EDENIED);
    assert_int_equal(cf_teardown(&second), 0);
}

static void test_replayed_response_of_the_request_before(void **state) {
    struct cf *cf = *state;
    struct est_cmc_response reply;
    struct outcome outcome;
    struct tm_exchange exchange = renew(cf, &reply);
    struct bytes old = cf_respond(cf, &reply, cf->issued);
    exchange = renew(cf, &reply);
    judge(cf, &exchange, old, &outcome);
    assert_passed_over(&outcome, "recipientNonce");
    cf_boot(cf);
    judge(cf, &exchange, old, &outcome);
    assert_passed_over(&outcome, "no request waits");
}

/* ---- certificates are not signed with the message ---- */

static struct bytes leaf_for(struct cf *cf, unsigned key, struct vf_options options) {
    struct vf_party device = {CF_DEVICE, NULL, vf_key(key)};
    return vf_leaf(cf->vf, &device, &cf->issuing, options);
}

static void test_certificate_that_was_taken_out_or_exchanged(void **state) {
    struct cf *cf = *state;
    struct est_cmc_response reply;
    struct outcome outcome;
    struct tm_exchange exchange = renew(cf, &reply);
    const struct bytes bags[] = {
        {0},
        cf->issuing_der,
        cf->leaf_der,              /* the device's, but for its old key */
        leaf_for(cf, 5, VF_PLAIN), /* for somebody's key */
        leaf_for(cf, 4, (struct vf_options){.signer = vf_key(9)}), /* a CA's name and no more */
    };
    for (size_t i = 0; i < sizeof bags / sizeof bags[0]; i++) {
        judge(cf, &exchange, cf_respond(cf, &reply, bags[i]), &outcome);
        assert_passed_over(&outcome, "without a certificate");
    }
    /* Beside the right one they do no harm. */
    struct bytes bag = VF_SET(cf->vf, bags[4], bags[3], cf->leaf_der, cf->issued);
    judge(cf, &exchange, cf_respond(cf, &reply, bag), &outcome);
    assert_issued(&outcome, cf->issued);
}

/* A renewal that keeps its key: older certificates for it are known to whoever listens. */
static void test_kept_key(void **state) {
    struct cf *cf = *state;
    struct est_cmc_response reply;
    struct outcome outcome;
    struct tm_exchange exchange = cf_renewal(cf);
    exchange.body = cf_pkcs10(cf, cf->leaf.key, NULL);
    exchange.request_bank = CF_KEY_CURRENT;
    struct cf_asked asked = cf_open(cf_request(cf, &exchange));
    reply = cf_reply(cf, &asked, EST_CMC_CONFIRM_REQUIRED);
    struct bytes older = leaf_for(cf, 3, (struct vf_options){.serial = 9, .from_ms = -2 * VF_YEAR});
    struct bytes newer = leaf_for(cf, 3, (struct vf_options){.serial = 10, .from_ms = -VF_DAY});
    judge(cf, &exchange, cf_respond(cf, &reply, VF_SET(cf->vf, older, cf->leaf_der)), &outcome);
    assert_passed_over(&outcome, "without a certificate");
    judge(cf, &exchange, cf_respond(cf, &reply, VF_SET(cf->vf, older, newer)), &outcome);
    assert_issued(&outcome, newer);
}

/* ---- damaged on the way ---- */

/* A response as our CA makes it, for one object that is then put back after each try. */
struct damage {
    struct cf *cf;
    struct tm_exchange exchange;
    struct tm_cmc before;
    struct bytes response;
    uint8_t octets[OUT_MAX];
};

static struct damage damage_of(struct cf *cf) {
    struct damage damage = {.cf = cf};
    struct est_cmc_response reply;
    damage.exchange = renew(cf, &reply);
    reply.text = bytes_str("here it is");
    damage.before = cf->cmc;
    damage.response = cf_respond(cf, &reply, VF_SET(cf->vf, cf->issued, cf->issuing_der));
    assert_in_range(damage.response.n, 500, OUT_MAX);
    memcpy(damage.octets, damage.response.p, damage.response.n);
    return damage;
}

/* Passed over, or it means the same. Returns true for the latter. */
static bool try_damaged(struct damage *damage, size_t n) {
    struct outcome outcome;
    damage->cf->cmc = damage->before;
    judge(damage->cf, &damage->exchange, (struct bytes){damage->octets, n}, &outcome);
    if (outcome.err) {
        assert_passed_over(&outcome, "");
        assert_string_not_equal(outcome.answer.text, "");
        return false;
    }
    assert_issued(&outcome, damage->cf->issued);
    assert_string_equal(outcome.answer.text, "here it is");
    assert_int_equal(outcome.answer.server_wall_ms, VF_NOW);
    assert_bytes_equal((struct bytes){damage->cf->cmc.challenge, damage->cf->cmc.challenge_n},
                       bytes_str(CF_NEXT_CHALLENGE));
    return true;
}

static void test_cut_at_each_octet(void **state) {
    struct damage damage = damage_of(*state);
    for (size_t n = 0; n < damage.response.n; n++)
        assert_false(try_damaged(&damage, n));
    assert_true(try_damaged(&damage, damage.response.n));
    damage.octets[damage.response.n] = 0;
    assert_false(try_damaged(&damage, damage.response.n + 1));
}

static void test_each_octet_flipped(void **state) {
    struct damage damage = damage_of(*state);
    static const uint8_t flips[] = {0x01, 0x20, 0x80, 0xff};
    size_t same = 0, tried = 0;
    for (size_t i = 0; i < damage.response.n; i++)
        for (size_t j = 0; j < sizeof flips; j++, tried++) {
            damage.octets[i] ^= flips[j];
            same += try_damaged(&damage, damage.response.n);
            damage.octets[i] ^= flips[j];
        }
    /* The copy of the issuing CA in the bag is not needed; little else may be changed. */
    assert_in_range(same, 1, 4 * damage.cf->issuing_der.n + 64);
    assert_in_range(tried, 4 * 500, 4 * OUT_MAX);
}

static void test_too_large(void **state) {
    struct cf *cf = *state;
    static uint8_t octets[TM_CMC_RESPONSE_MAX + 1];
    struct est_cmc_response reply;
    struct outcome outcome;
    struct tm_exchange exchange = renew(cf, &reply);
    judge(cf, &exchange, BYTES_OF(octets), &outcome);
    assert_passed_over(&outcome, "larger");
}

/* A bag full of certificates that could all be the signer's: the device does not work for ever. */
static void test_work_is_bounded(void **state) {
    struct cf *cf = *state;
    struct est_cmc_response reply;
    struct outcome outcome;
    struct tm_exchange exchange = renew(cf, &reply);
    struct vf_party party = {"Issuing", NULL, vf_key(9)};
    struct vf_options same_id = {.key_id = "the same"};
    struct cf_signer forger = {.certificate = vf_issue(cf->vf, &party, &party, same_id),
                               .key = party.key,
                               .by_key_id = true};
    struct bytes parts[30];
    for (unsigned i = 0; i < 30; i++) {
        same_id.serial = 100 + i;
        parts[i] = vf_issue(cf->vf, &cf->issuing, &cf->root, same_id);
    }
    struct bytes response =
        respond_as(cf, &reply, forger, VF_SET(cf->vf, cf->issued, vf_join(cf->vf, parts, 30)));
    assert_in_range(response.n, 1000, TM_CMC_RESPONSE_MAX);
    cf->vf->verified = 0;
    judge(cf, &exchange, response, &outcome);
    assert_passed_over(&outcome, "too many signatures");
    assert_in_range(cf->vf->verified, 1, 24);
}

/* ---- when the device's own parts fail ---- */

static void test_failing_tables_decide_nothing(void **state) {
    struct cf *cf = *state;
    struct est_cmc_response reply;
    struct outcome outcome;
    struct tm_exchange exchange = renew(cf, &reply);
    struct bytes response = cf_respond(cf, &reply, cf->issued);
    cf->broken = TM_EIO;
    judge(cf, &exchange, response, &outcome);
    assert_int_equal(outcome.err, TM_EIO);
    cf->broken = TM_OK;
    cf->vf->broken = TM_ENOMEM;
    judge(cf, &exchange, response, &outcome);
    assert_int_equal(outcome.err, TM_ENOMEM);
    cf->vf->broken = TM_OK;
    struct bytes chain = cf->items[TM_ITEM_CHAIN_2];
    cf->items[TM_ITEM_CHAIN_2] = (struct bytes){0};
    judge(cf, &exchange, response, &outcome);
    assert_int_equal(outcome.err, TM_ENOTFOUND);
    cf->items[TM_ITEM_CHAIN_2] = chain;
    judge(cf, &exchange, response, &outcome);
    assert_issued(&outcome, cf->issued);
}

#define CMC_TEST(name) cmocka_unit_test_setup_teardown(name, cf_setup, cf_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CMC_TEST(test_issued),
        CMC_TEST(test_no_status_is_success),
        CMC_TEST(test_confirmed),
        CMC_TEST(test_there_is_one_answer),
        CMC_TEST(test_answer_is_appended_where_there_is_room),
        CMC_TEST(test_refusals),
        CMC_TEST(test_other_statuses),
        CMC_TEST(test_pending),
        CMC_TEST(test_refusal_brings_the_challenge_for_another_try),
        CMC_TEST(test_signers_that_may),
        CMC_TEST(test_path_of_the_signer_may_come_along),
        CMC_TEST(test_signers_that_may_not),
        CMC_TEST(test_forged_signature),
        CMC_TEST(test_foreign_ca),
        CMC_TEST(test_time_that_is_not_known),
        CMC_TEST(test_other_digests_and_contents),
        CMC_TEST(test_not_the_answer),
        CMC_TEST(test_unsigned),
        CMC_TEST(test_swapped_responses),
        CMC_TEST(test_replayed_response_of_the_request_before),
        CMC_TEST(test_certificate_that_was_taken_out_or_exchanged),
        CMC_TEST(test_kept_key),
        CMC_TEST(test_cut_at_each_octet),
        CMC_TEST(test_each_octet_flipped),
        CMC_TEST(test_too_large),
        CMC_TEST(test_work_is_bounded),
        CMC_TEST(test_failing_tables_decide_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
