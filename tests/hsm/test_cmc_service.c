/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CMC at the issuing service, on a real store and a real token: transactions, challenges, proofs
 * and confirmations, and what a carrier that is not trusted can do with the messages: nothing but
 * delay.
 */
#include "cmc_rig.h"

#include <openssl/sha.h>

static struct bytes cmc_of(const struct rig_answer *a) {
    return (struct bytes){a->cmc, a->cmc_n};
}

/* A device with what it holds. */
struct unit {
    const char *id;
    char secret[CA_SECRET_TEXT];
    EVP_PKEY *key; /* of the certificate */
    struct rig_answer answer;
    uint8_t leaf[IPC_CERT_MAX];
    size_t leaf_n;
    struct cmc_challenge challenge;
    struct cmc_message message;
};

static struct bytes leaf_of(const struct unit *u) {
    return (struct bytes){u->leaf, u->leaf_n};
}

static void keep_leaf(const struct rig *rig, struct unit *u) {
    struct cmc_view view;
    cmc_view(rig, cmc_of(&u->answer), &view);
    assert_true(view.leaf.n > 0 && view.leaf.n <= sizeof u->leaf);
    memcpy(u->leaf, view.leaf.p, view.leaf.n);
    u->leaf_n = view.leaf.n;
}

static struct cmc_wish first_wish(struct rig *rig, struct unit *u) {
    cmc_challenge(rig, "ldevid", u->id, &u->challenge);
    return (struct cmc_wish){.label = "ldevid",
                             .device = u->id,
                             .key = u->key,
                             .secret = u->secret,
                             .challenge = cmc_challenge_bytes(&u->challenge),
                             .transaction = "first",
                             .nonce = "nonce-1"};
}

static void ask(struct rig *rig, struct unit *u, const struct cmc_wish *wish) {
    cmc_make(wish, &u->message);
    cmc_ask(rig, &u->message, &u->answer);
}

static void unit_open(struct rig *rig, const char *id, struct unit *u) {
    memset(u, 0, sizeof *u);
    u->id = id;
    u->key = EVP_EC_gen("P-256");
    rig_device_add(rig, id, u->secret);
}

static void unit_close(struct unit *u) {
    EVP_PKEY_free(u->key);
}

/* Enrolled with its secret, not confirmed. */
static void unit_enroll(struct rig *rig, const char *id, struct unit *u) {
    unit_open(rig, id, u);
    struct cmc_wish wish = first_wish(rig, u);
    ask(rig, u, &wish);
    rig_assert_outcome(&u->answer, IPC_ISSUED);
    keep_leaf(rig, u);
}

static struct cmc_wish confirm_wish(const struct unit *u) {
    return (struct cmc_wish){.label = "ldevid",
                             .device = u->id,
                             .signer = leaf_of(u),
                             .signer_key = u->key,
                             .accept = leaf_of(u),
                             .transaction = "first",
                             .nonce = "nonce-2"};
}

/* By its certificate, with a new challenge. */
static struct cmc_wish renewal_wish(struct rig *rig, struct unit *u, EVP_PKEY *key,
                                    const char *transaction) {
    cmc_challenge(rig, "ldevid", u->id, &u->challenge);
    return (struct cmc_wish){.label = "ldevid",
                             .device = u->id,
                             .key = key,
                             .signer = leaf_of(u),
                             .signer_key = u->key,
                             .challenge = cmc_challenge_bytes(&u->challenge),
                             .transaction = transaction,
                             .nonce = "nonce-3"};
}

static void unit_confirm(struct rig *rig, struct unit *u) {
    struct cmc_wish wish = confirm_wish(u);
    ask(rig, u, &wish);
    rig_assert_outcome(&u->answer, IPC_CONFIRMED);
}

static enum ca_cert_status status_of(struct rig *rig, const struct unit *u, struct bytes leaf) {
    struct ca_device device;
    struct pki_cert cert;
    assert_int_equal(rig->store->ops->device(rig->store, "acme", u->id, &device), TM_OK);
    assert_int_equal(pki_cert_parse(leaf, &cert), TM_OK);
    for (size_t i = 0; i < device.cert_count; i++)
        if (bytes_equal((struct bytes){device.certs[i].serial.octets, device.certs[i].serial.n},
                        cert.serial))
            return (enum ca_cert_status)device.certs[i].status;
    fail_msg("the device does not name the certificate");
    return CA_CERT_BURNED;
}

/* ---- the way through ---- */

static void test_secret_confirm_renew_confirm(void **state) {
    struct rig *rig = *state;
    static struct unit u;
    struct cmc_view view;
    unit_enroll(rig, "M-1", &u);
    cmc_view(rig, cmc_of(&u.answer), &view);
    assert_true(view.message.has_signer);
    assert_int_equal(view.response.status, EST_CMC_CONFIRM_REQUIRED);
    assert_true(bytes_equal(view.response.recipient_nonce, bytes_str("nonce-1")));
    assert_true(bytes_equal(view.response.transaction, bytes_str("first")));
    /* That exact message is answered, and no other with its nonce. */
    uint8_t hash[CA_HASH_SIZE];
    (void)SHA256(u.message.der, u.message.n, hash);
    assert_true(bytes_equal(view.response.request_hash, BYTES_OF(hash)));
    assert_int_equal(status_of(rig, &u, leaf_of(&u)), CA_CERT_UNCONFIRMED);
    unit_confirm(rig, &u);
    cmc_view(rig, cmc_of(&u.answer), &view);
    assert_int_equal(view.response.status, EST_CMC_SUCCESS);
    assert_int_equal(status_of(rig, &u, leaf_of(&u)), CA_CERT_ACTIVE);
    assert_int_equal(rig_leaves(rig, CA_EVENT_CONFIRMED, 0), 1);

    EVP_PKEY *next = EVP_EC_gen("P-256");
    struct cmc_wish renewal = renewal_wish(rig, &u, next, "second");
    ask(rig, &u, &renewal);
    rig_assert_outcome(&u.answer, IPC_ISSUED);
    /* The one in use steps back only when the device says that it has the next. */
    assert_int_equal(status_of(rig, &u, leaf_of(&u)), CA_CERT_ACTIVE);
    static struct unit before;
    before = u;
    keep_leaf(rig, &u);
    u.key = next;
    assert_int_equal(status_of(rig, &u, leaf_of(&u)), CA_CERT_UNCONFIRMED);
    unit_confirm(rig, &u);
    assert_int_equal(status_of(rig, &u, leaf_of(&u)), CA_CERT_ACTIVE);
    assert_int_equal(status_of(rig, &u, leaf_of(&before)), CA_CERT_SUPERSEDED);
    assert_int_equal(rig_count(rig, CA_CERT_ACTIVE), 2);
    unit_confirm(rig, &u); /* once more changes nothing */
    assert_int_equal(rig_leaves(rig, CA_EVENT_CONFIRMED, 0), 2);
    EVP_PKEY_free(before.key);
    unit_close(&u);
}

/* By HTTPS and by CMC it is one device with one history. */
static void test_https_then_cmc_then_https(void **state) {
    struct rig *rig = *state;
    static struct unit u;
    unit_open(rig, "M-1", &u);
    struct rig_request q = {
        .label = "ldevid", .user = u.id, .secret = u.secret, .key = u.key, .cn = u.id};
    rig_enroll(rig, &q, &u.answer);
    rig_assert_outcome(&u.answer, IPC_ISSUED);
    memcpy(u.leaf, u.answer.der, u.leaf_n = u.answer.der_n);
    EVP_PKEY *next = EVP_EC_gen("P-256");
    struct cmc_wish renewal = renewal_wish(rig, &u, next, "x");
    ask(rig, &u, &renewal);
    rig_assert_outcome(&u.answer, IPC_ISSUED);
    keep_leaf(rig, &u);
    EVP_PKEY_free(u.key);
    u.key = next;
    /* It uses the new one before it said so: that says it too. */
    EVP_PKEY *third = EVP_EC_gen("P-256");
    struct rig_request again = {
        .label = "ldevid", .reenroll = true, .certificate = leaf_of(&u), .key = third, .cn = u.id};
    rig_enroll(rig, &again, &u.answer);
    rig_assert_outcome(&u.answer, IPC_ISSUED);
    struct ca_device device;
    assert_int_equal(rig->store->ops->device(rig->store, "acme", u.id, &device), TM_OK);
    assert_int_equal(device.cert_count, 3);
    assert_int_equal(device.certs[0].status, CA_CERT_ACTIVE);
    assert_int_equal(device.certs[1].status, CA_CERT_SUPERSEDED);
    assert_int_equal(device.certs[2].status, CA_CERT_SUPERSEDED);
    EVP_PKEY_free(third);
    unit_close(&u);
}

/* ---- once is enough ---- */

static void test_same_message_gets_the_same_bytes(void **state) {
    struct rig *rig = *state;
    static struct unit u;
    static struct rig_answer again;
    unit_enroll(rig, "M-1", &u);
    for (int i = 0; i < 3; i++) {
        cmc_ask(rig, &u.message, &again);
        rig_assert_outcome(&again, IPC_REPEATED);
        assert_true(bytes_equal(cmc_of(&again), cmc_of(&u.answer)));
    }
    assert_int_equal(rig_count(rig, CA_CERT_ACTIVE), 1);
    unit_close(&u);
}

/* After a power cut the device makes another message for the same key. */
static void test_same_request_in_another_message_gets_the_same_certificate(void **state) {
    struct rig *rig = *state;
    static struct unit u, first;
    unit_enroll(rig, "M-1", &u);
    first = u;
    struct cmc_wish wish = first_wish(rig, &u);
    wish.nonce = "nonce-after-the-cut";
    ask(rig, &u, &wish);
    rig_assert_outcome(&u.answer, IPC_REPEATED);
    keep_leaf(rig, &u);
    assert_true(bytes_equal(leaf_of(&u), leaf_of(&first)));
    static struct rig_answer again;
    cmc_ask(rig, &u.message, &again);
    assert_true(bytes_equal(cmc_of(&again), cmc_of(&u.answer)));
    assert_int_equal(rig_count(rig, CA_CERT_ACTIVE), 1);
    unit_close(&u);
}

static void test_hundred_copies_at_once_make_one(void **state) {
    struct rig *rig = *state;
    static struct unit u;
    static struct rig_answer answers[100];
    unit_open(rig, "M-1", &u);
    struct cmc_wish wish = first_wish(rig, &u);
    cmc_make(&wish, &u.message);
    for (size_t i = 0; i < 100; i++)
        rig_send_cmc(rig, "", (struct bytes){u.message.der, u.message.n}, (struct bytes){0},
                     &answers[i]);
    rig_wait(rig, answers, 100);
    rig_assert_outcome(&answers[0], IPC_ISSUED);
    for (size_t i = 1; i < 100; i++) {
        rig_assert_outcome(&answers[i], IPC_REPEATED);
        assert_true(bytes_equal(cmc_of(&answers[i]), cmc_of(&answers[0])));
    }
    assert_int_equal(rig_count(rig, CA_CERT_ACTIVE), 1);
    unit_close(&u);
}

static void test_another_request_under_one_transaction_is_a_conflict(void **state) {
    struct rig *rig = *state;
    static struct unit u;
    unit_enroll(rig, "M-1", &u);
    unit_confirm(rig, &u);
    EVP_PKEY *other = EVP_EC_gen("P-256");
    struct cmc_wish wish = renewal_wish(rig, &u, other, "first");
    ask(rig, &u, &wish);
    rig_assert_outcome(&u.answer, IPC_CONFLICT);
    wish.transaction = "second";
    ask(rig, &u, &wish); /* a refusal uses no challenge up */
    rig_assert_outcome(&u.answer, IPC_ISSUED);
    EVP_PKEY_free(other);
    unit_close(&u);
}

/* A device that lost its new key begins anew: the unconfirmed certificate is given up, the one in
 * use stays. */
static void test_a_new_transaction_replaces_the_open_one(void **state) {
    struct rig *rig = *state;
    static struct unit u, lost;
    unit_enroll(rig, "M-1", &u);
    unit_confirm(rig, &u);
    EVP_PKEY *keys[2] = {EVP_EC_gen("P-256"), EVP_EC_gen("P-256")};
    for (int i = 0; i < 2; i++) {
        struct cmc_wish wish = renewal_wish(rig, &u, keys[i], i ? "third" : "second");
        ask(rig, &u, &wish);
        rig_assert_outcome(&u.answer, IPC_ISSUED);
        if (i == 0) {
            lost = u;
            keep_leaf(rig, &lost);
        }
    }
    assert_int_equal(status_of(rig, &u, leaf_of(&u)), CA_CERT_ACTIVE);
    assert_int_equal(status_of(rig, &u, leaf_of(&lost)), CA_CERT_SUPERSEDED);
    EVP_PKEY_free(keys[0]);
    EVP_PKEY_free(keys[1]);
    unit_close(&u);
}

/* ---- births: the outbox ---- */

static void test_a_birth_brings_the_response_until_it_is_confirmed(void **state) {
    struct rig *rig = *state;
    static struct unit u;
    static uint8_t room[IPC_CMC_MAX];
    struct ipc_birth birth = {.id = 7, .label = "ldevid", .device = "M-1"};
    struct ipc_offer offer;
    struct buf out = BUF_ON(room);
    unit_enroll(rig, "M-1", &u);
    ca_service_birth(rig->service, &birth, &out, &offer);
    assert_int_equal(offer.kind, IPC_OFFER_RESPONSE);
    assert_true(bytes_equal(offer.cmc, cmc_of(&u.answer)));
    unit_confirm(rig, &u);
    out = BUF_ON(room);
    ca_service_birth(rig->service, &birth, &out, &offer);
    assert_int_equal(offer.kind, IPC_OFFER_NOTHING);
    (void)strcpy(birth.device, "nobody");
    ca_service_birth(rig->service, &birth, &out, &offer);
    assert_int_equal(offer.kind, IPC_OFFER_NOTHING);
    birth.wants = true; /* an offer tells nobody which devices there are */
    ca_service_birth(rig->service, &birth, &out, &offer);
    assert_int_equal(offer.kind, IPC_OFFER_CHALLENGE);
    (void)strcpy(birth.device, "no/id");
    ca_service_birth(rig->service, &birth, &out, &offer);
    assert_int_equal(offer.kind, IPC_OFFER_NOTHING);
    (void)strcpy(birth.device, "M-1");
    (void)strcpy(birth.label, "none");
    ca_service_birth(rig->service, &birth, &out, &offer);
    assert_int_equal(offer.kind, IPC_OFFER_NOTHING);
    unit_close(&u);
}

/* ---- refusals, as CMC ---- */

static void assert_refused(struct rig *rig, struct unit *u, const struct cmc_wish *wish,
                           enum ipc_outcome outcome, enum est_cmc_fail fail) {
    struct cmc_view view;
    ask(rig, u, wish);
    rig_assert_outcome(&u->answer, outcome);
    cmc_view(rig, cmc_of(&u->answer), &view);
    assert_true(view.message.has_signer);
    assert_int_equal(view.response.status, EST_CMC_FAILED);
    assert_true(view.response.has_fail);
    assert_int_equal(view.response.fail, fail);
    assert_true(view.response.text.n > 0);
    assert_true(bytes_equal(view.response.recipient_nonce, bytes_str(wish->nonce)));
    assert_int_equal(view.leaf.n, 0);
    assert_int_equal(rig_count(rig, CA_CERT_ACTIVE), 0);
}

static void test_challenges(void **state) {
    struct rig *rig = *state;
    static struct unit u, other;
    unit_open(rig, "M-1", &u);
    unit_open(rig, "M-2", &other);
    struct cmc_wish wish = first_wish(rig, &u);
    struct cmc_challenge good = u.challenge;
    wish.challenge = (struct bytes){0};
    assert_refused(rig, &u, &wish, IPC_BAD_CHALLENGE, EST_CMC_BAD_TIME);
    cmc_challenge(rig, "ldevid", "M-2", &other.challenge);
    wish.challenge = cmc_challenge_bytes(&other.challenge);
    assert_refused(rig, &u, &wish, IPC_BAD_CHALLENGE, EST_CMC_BAD_TIME);
    for (size_t i = 0; i < good.n; i += 7) {
        struct cmc_challenge forged = good;
        forged.octets[i] ^= 1;
        wish.challenge = cmc_challenge_bytes(&forged);
        assert_refused(rig, &u, &wish, IPC_BAD_CHALLENGE, EST_CMC_BAD_TIME);
    }
    /* The refusal brings one that is good. */
    struct cmc_view view;
    cmc_view(rig, cmc_of(&u.answer), &view);
    memcpy(good.octets, view.response.sender_nonce.p, good.n = view.response.sender_nonce.n);
    wish.challenge = cmc_challenge_bytes(&good);
    ask(rig, &u, &wish);
    rig_assert_outcome(&u.answer, IPC_ISSUED);
    unit_close(&u);
    unit_close(&other);
}

/* A challenge is good for one issuance: a message of an older one comes too late. */
static void test_a_challenge_is_good_once(void **state) {
    struct rig *rig = *state;
    static struct unit u;
    static struct cmc_message old;
    unit_enroll(rig, "M-1", &u);
    unit_confirm(rig, &u);
    EVP_PKEY *keys[2] = {EVP_EC_gen("P-256"), EVP_EC_gen("P-256")};
    struct cmc_wish wish = renewal_wish(rig, &u, keys[0], "held-back");
    cmc_make(&wish, &old); /* the broker keeps it */
    wish.key = keys[1];
    wish.transaction = "second";
    ask(rig, &u, &wish);
    rig_assert_outcome(&u.answer, IPC_ISSUED);
    cmc_ask(rig, &old, &u.answer);
    rig_assert_outcome(&u.answer, IPC_BAD_CHALLENGE);
    assert_int_equal(rig_count(rig, CA_CERT_ACTIVE), 2);
    EVP_PKEY_free(keys[0]);
    EVP_PKEY_free(keys[1]);
    unit_close(&u);
}

static void test_wrong_proofs_and_signatures(void **state) {
    struct rig *rig = *state;
    static struct unit u, other;
    unit_open(rig, "M-1", &u);
    unit_open(rig, "M-2", &other);
    struct cmc_wish good = first_wish(rig, &u), wish = good;
    wish.secret = other.secret;
    assert_refused(rig, &u, &wish, IPC_BAD_SECRET, EST_CMC_BAD_IDENTITY);
    wish.secret = NULL;
    assert_refused(rig, &u, &wish, IPC_NO_CREDENTIAL, EST_CMC_BAD_IDENTITY);
    wish = good;
    wish.other_digest = true;
    assert_refused(rig, &u, &wish, IPC_BAD_SIGNATURE, EST_CMC_BAD_MESSAGE_CHECK);
    wish = good;
    wish.no_key_id = true;
    assert_refused(rig, &u, &wish, IPC_BAD_SIGNATURE, EST_CMC_BAD_MESSAGE_CHECK);
    wish = good;
    wish.label = "elsewhere"; /* another tenant's */
    assert_refused(rig, &u, &wish, IPC_BAD_SECRET, EST_CMC_BAD_IDENTITY);
    unit_close(&u);
    unit_close(&other);
}

/* Without a label nobody knows whose key would sign the answer. */
static void test_unknown_label_and_garbage_are_answered_unsigned(void **state) {
    struct rig *rig = *state;
    static struct unit u;
    struct cmc_view view;
    unit_open(rig, "M-1", &u);
    struct cmc_wish wish = first_wish(rig, &u);
    wish.label = "nowhere";
    ask(rig, &u, &wish);
    rig_assert_outcome(&u.answer, IPC_UNKNOWN_LABEL);
    cmc_view(rig, cmc_of(&u.answer), &view);
    assert_false(view.message.has_signer);
    assert_int_equal(view.response.fail, EST_CMC_BAD_REQUEST);
    u.message.n /= 2;
    cmc_ask(rig, &u.message, &u.answer);
    rig_assert_outcome(&u.answer, IPC_BAD_CMC);
    unit_close(&u);
}

/* Each octet of a message flipped. CMS does not cover all of them (versions, the list of digest
 * algorithms); but whatever is taken for good is the same request, and has the same certificate. */
static void test_flipped_octets_never_make_another_certificate(void **state) {
    struct rig *rig = *state;
    static struct unit u, got;
    static struct cmc_message good;
    unit_open(rig, "M-1", &u);
    struct cmc_wish wish = first_wish(rig, &u);
    cmc_make(&wish, &good);
    rig->config.refusals_per_second = 1; /* the log is not what is tested */
    size_t taken = 0;
    for (size_t i = 0; i <= good.n; i++) {
        got.message = good;
        if (i < good.n)
            got.message.der[i] ^= 0x01;
        cmc_ask(rig, &got.message, &got.answer);
        if (got.answer.outcome != IPC_ISSUED && got.answer.outcome != IPC_REPEATED)
            continue;
        assert_int_equal(got.answer.outcome, taken++ ? IPC_REPEATED : IPC_ISSUED);
        keep_leaf(rig, &got);
        if (taken == 1)
            memcpy(u.leaf, got.leaf, u.leaf_n = got.leaf_n);
        assert_true(bytes_equal(leaf_of(&got), leaf_of(&u)));
    }
    assert_in_range(taken, 1, 16); /* the last one was not flipped */
    assert_int_equal(rig_count(rig, CA_CERT_ACTIVE), 1);
    unit_close(&u);
}

static void test_revoked_is_refused(void **state) {
    struct rig *rig = *state;
    static struct unit u;
    unit_enroll(rig, "M-1", &u);
    static struct cmc_message first;
    first = u.message;
    struct pki_cert cert;
    struct ca_serial serial = {0};
    assert_int_equal(pki_cert_parse(leaf_of(&u), &cert), TM_OK);
    memcpy(serial.octets, cert.serial.p, serial.n = (uint8_t)cert.serial.n);
    rig_revoke(rig, &serial);
    struct cmc_wish wish = confirm_wish(&u);
    ask(rig, &u, &wish);
    rig_assert_outcome(&u.answer, IPC_REVOKED);
    cmc_ask(rig, &first, &u.answer); /* not even the stored answer */
    rig_assert_outcome(&u.answer, IPC_REVOKED);
    unit_close(&u);
}

static void test_only_its_own_certificate_is_accepted(void **state) {
    struct rig *rig = *state;
    static struct unit u, other;
    unit_enroll(rig, "M-1", &u);
    unit_enroll(rig, "M-2", &other);
    struct cmc_wish wish = confirm_wish(&u);
    wish.accept = leaf_of(&other);
    ask(rig, &u, &wish);
    rig_assert_outcome(&u.answer, IPC_UNTRUSTED);
    assert_int_equal(status_of(rig, &other, leaf_of(&other)), CA_CERT_UNCONFIRMED);
    unit_close(&u);
    unit_close(&other);
}

/* ---- EST fullcmc ---- */

static void test_fullcmc_with_its_tls_session_needs_no_challenge(void **state) {
    struct rig *rig = *state;
    static struct unit u, other;
    unit_enroll(rig, "M-1", &u);
    unit_enroll(rig, "M-2", &other);
    EVP_PKEY *next = EVP_EC_gen("P-256");
    struct cmc_wish wish = {.device = u.id,
                            .key = next,
                            .signer = leaf_of(&u),
                            .signer_key = u.key,
                            .transaction = "https",
                            .nonce = "n"};
    cmc_make(&wish, &u.message);
    struct bytes message = {u.message.der, u.message.n};
    rig_send_cmc(rig, "ldevid", message, leaf_of(&other), &u.answer);
    rig_wait(rig, &u.answer, 1);
    rig_assert_outcome(&u.answer, IPC_BAD_CHALLENGE);
    rig_send_cmc(rig, "ldevid", message, leaf_of(&u), &u.answer);
    rig_wait(rig, &u.answer, 1);
    rig_assert_outcome(&u.answer, IPC_ISSUED);
    /* It renewed with the unconfirmed one: that is in use. */
    assert_int_equal(status_of(rig, &u, leaf_of(&u)), CA_CERT_ACTIVE);
    wish.label = "strict";
    cmc_make(&wish, &u.message);
    rig_send_cmc(rig, "ldevid", (struct bytes){u.message.der, u.message.n}, leaf_of(&u), &u.answer);
    rig_wait(rig, &u.answer, 1);
    rig_assert_outcome(&u.answer, IPC_BAD_CMC); /* the path says otherwise than what was signed */
    EVP_PKEY_free(next);
    unit_close(&u);
    unit_close(&other);
}

/* ---- when parts fail ---- */

static void test_signer_gone_and_back(void **state) {
    struct rig *rig = *state;
    static struct unit u;
    unit_open(rig, "M-1", &u);
    struct cmc_wish wish = first_wish(rig, &u);
    cmc_make(&wish, &u.message);
    rig_signer_stop(rig);
    rig_send_cmc(rig, "", (struct bytes){u.message.der, u.message.n}, (struct bytes){0}, &u.answer);
    rig_signer_start(rig);
    rig_wait(rig, &u.answer, 1);
    rig_assert_outcome(&u.answer, IPC_ISSUED);
    assert_int_equal(rig_count(rig, CA_CERT_ACTIVE), 1);
    unit_close(&u);
}

int main(void) {
#define ROW(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        ROW(test_secret_confirm_renew_confirm),
        ROW(test_https_then_cmc_then_https),
        ROW(test_same_message_gets_the_same_bytes),
        ROW(test_same_request_in_another_message_gets_the_same_certificate),
        ROW(test_hundred_copies_at_once_make_one),
        ROW(test_another_request_under_one_transaction_is_a_conflict),
        ROW(test_a_new_transaction_replaces_the_open_one),
        ROW(test_a_birth_brings_the_response_until_it_is_confirmed),
        ROW(test_challenges),
        ROW(test_a_challenge_is_good_once),
        ROW(test_wrong_proofs_and_signatures),
        ROW(test_unknown_label_and_garbage_are_answered_unsigned),
        ROW(test_flipped_octets_never_make_another_certificate),
        ROW(test_revoked_is_refused),
        ROW(test_only_its_own_certificate_is_accepted),
        ROW(test_fullcmc_with_its_tls_session_needs_no_challenge),
        ROW(test_signer_gone_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
