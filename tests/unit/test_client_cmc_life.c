/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a device whose only way to its CA is a carrier that nobody trusts: everything that
 * was ever said is delivered again before the right answer comes, and power fails at each write.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/cmc.h"
#include "client/port/openssl.h"
#include "est/wire/certs_only.h"
#include "est/wire/cmc.h"
#include "est/wire/signed_data.h"
#include "pki/csr.h"
#include "tests/unit/device_rig.h"

#define ISSUED_MAX 16
#define HEARD_MAX 64
#define STEPS_MAX 400
#define TRIES_MAX 4
#define CHALLENGE_SIZE 8

struct issued {
    uint8_t transaction[TM_CMC_TRANSACTION_SIZE];
    uint8_t der[FLEET_CERT_MAX];
    size_t n;
    bool idevid, confirmed;
};

struct message {
    uint8_t octets[4096];
    size_t n;
};

struct life {
    struct rig *rig;
    struct tm_cmc cmc;
    uint8_t work[TM_CMC_WORK_SIZE];
    uint8_t request[TM_CMC_REQUEST_MAX], body[4096];
    /* the CA */
    uint8_t challenge[CHALLENGE_SIZE]; /* the one that is good; its first octet counts them */
    struct issued issued[ISSUED_MAX];
    size_t issued_n;
    /* the carrier */
    struct message heard[HEARD_MAX]; /* offers and responses */
    size_t heard_n;
    bool hostile;
    unsigned passed_over, not_fresh;
};

static const struct tm_crypto *crypto(void) {
    return tm_openssl_crypto();
}

/* ---- the CA ---- */

static struct bytes challenge_of(const struct life *life) {
    return BYTES_OF(life->challenge);
}

/* Has the request's signature been made by the key it says: of a certificate of ours, or requested?
 */
static bool is_signed(const struct life *life, const struct est_signed *message,
                      const struct est_cmc_request *request) {
    uint8_t memory[512];
    struct buf covered = BUF_ON(memory);
    struct pki_cert cert = {0};
    struct pki_csr csr;
    struct der leaf;
    struct bytes rest = message->certificates, spki;
    if (message->signer.key_id.n > 0) {
        assert_int_equal(pki_csr_parse(request->csr, &csr), TM_OK);
        assert_int_equal(request->witness.n, TM_SHA256_SIZE);
        spki = csr.spki.whole;
    } else {
        assert_int_equal(der_next(&rest, &leaf), TM_OK);
        assert_int_equal(pki_cert_parse(leaf.whole, &cert), TM_OK);
        assert_int_equal(crypto()->verify(NULL, BYTES_OF(life->rig->issuing.key.spki),
                                          cert.algorithm, cert.tbs, cert.signature),
                         TM_OK);
        spki = cert.spki.whole;
    }
    assert_int_equal(est_signed_attributes_message(message, &covered), TM_OK);
    return crypto()->verify(NULL, spki, message->algorithm, buf_bytes(&covered),
                            message->signature) == TM_OK;
}

static struct issued *find(struct life *life, struct bytes transaction) {
    for (size_t i = 0; i < life->issued_n; i++)
        if (bytes_equal(transaction, BYTES_OF(life->issued[i].transaction)))
            return &life->issued[i];
    return NULL;
}

static struct issued *issue(struct life *life, const struct est_cmc_request *request) {
    struct pki_csr csr;
    assert_in_range(life->issued_n, 0, ISSUED_MAX - 1);
    struct issued *made = &life->issued[life->issued_n++];
    assert_int_equal(pki_csr_parse(request->csr, &csr), TM_OK);
    made->idevid = bytes_equal(request->label, bytes_str("idevid"));
    struct fleet_wish wish = {.issuer = &life->rig->issuing,
                              .serial = {1, (uint8_t)life->issued_n},
                              .device_id = "device-1",
                              .spki = csr.spki.whole,
                              .purpose = FLEET_FOR_CLIENT,
                              .not_before_ms = life->rig->now.wall_ms,
                              .not_after_ms = life->rig->now.wall_ms +
                                              (made->idevid ? 9000 * DAY_MS : 90 * DAY_MS)};
    struct buf out = BUF_ON(made->der);
    assert_int_equal(fleet_x509_write(&wish, &out), TM_OK);
    made->n = out.n;
    memcpy(made->transaction, request->transaction.p, sizeof made->transaction);
    return made;
}

static struct issued *find_accepted(struct life *life, struct bytes serial) {
    for (size_t i = 0; i < life->issued_n; i++) {
        struct pki_cert cert;
        struct bytes der = {life->issued[i].der, life->issued[i].n};
        assert_int_equal(pki_cert_parse(der, &cert), TM_OK);
        if (bytes_equal(cert.serial, serial))
            return &life->issued[i];
    }
    return NULL;
}

/* Decides; *ret_made is the certificate that goes with the response. */
static void decide(struct life *life, const struct est_cmc_request *request,
                   struct est_cmc_response *reply, struct issued **ret_made) {
    *ret_made = NULL;
    reply->has_status = true;
    reply->part = request->part;
    if (request->accept_serial.n > 0) {
        struct issued *accepted = find_accepted(life, request->accept_serial);
        assert_non_null(accepted);
        accepted->confirmed = true;
    } else if (bytes_equal(request->recipient_nonce, challenge_of(life))) {
        struct issued *before = find(life, request->transaction);
        *ret_made = before ? before : issue(life, request);
        reply->status = EST_CMC_CONFIRM_REQUIRED;
    } else {
        reply->status = EST_CMC_FAILED;
        reply->has_fail = true;
        reply->fail = EST_CMC_BAD_TIME;
        life->not_fresh++;
    }
}

static struct message *hear(struct life *life) {
    assert_in_range(life->heard_n, 0, HEARD_MAX - 1);
    return &life->heard[life->heard_n++];
}

static void sign_response(struct life *life, const struct est_cmc_response *reply,
                          struct bytes certificates, struct message *ret) {
    static const uint8_t ecdsa_sha256[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                           0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
    uint8_t content_memory[512], set[EST_SIGNED_ATTRIBUTES_MAX], octets[TM_SIGNATURE_MAX];
    uint8_t digest[TM_SHA256_SIZE];
    struct buf content = BUF_ON(content_memory), attributes = BUF_ON(set);
    struct buf signature = BUF_ON(octets), out = BUF_ON(ret->octets);
    struct pki_cert issuer;
    assert_int_equal(est_cmc_response_write(reply, &content), TM_OK);
    struct bytes part = buf_bytes(&content);
    assert_int_equal(crypto()->sha256(NULL, &part, 1, digest), TM_OK);
    assert_int_equal(est_signed_attributes_write(PKI_OID_CCT_PKI_RESPONSE, BYTES_OF(digest),
                                                 life->rig->now.wall_ms, &attributes),
                     TM_OK);
    part = buf_bytes(&attributes);
    assert_int_equal(crypto()->sha256(NULL, &part, 1, digest), TM_OK);
    assert_int_equal(fleet_key_sign(&life->rig->issuing.key, digest, &signature), TM_OK);
    assert_int_equal(pki_cert_parse(fleet_ca_der(&life->rig->issuing), &issuer), TM_OK);
    struct est_signed message = {.content_type = PKI_OID_CCT_PKI_RESPONSE,
                                 .content = buf_bytes(&content),
                                 .certificates = certificates,
                                 .has_signer = true,
                                 .signer = {.issuer = issuer.issuer, .serial = issuer.serial},
                                 .digest = PKI_OID_SHA256,
                                 .attributes = buf_bytes(&attributes),
                                 .algorithm = BYTES_OF(ecdsa_sha256),
                                 .signature = buf_bytes(&signature)};
    assert_int_equal(est_signed_write(&message, &out), TM_OK);
    ret->n = out.n;
}

/* What the CA answers, as one more message that the carrier has heard. */
static struct message *respond(struct life *life, struct bytes octets) {
    struct est_signed message;
    struct est_cmc_request request;
    struct issued *made;
    uint8_t bag[2 * FLEET_CERT_MAX];
    struct buf certificates = BUF_ON(bag);
    assert_int_equal(est_signed_read(octets, &message), TM_OK);
    assert_int_equal(est_cmc_request_read(message.content, &request), TM_OK);
    assert_true(is_signed(life, &message, &request));
    uint8_t hash[TM_SHA256_SIZE];
    const struct tm_crypto *crypto = tm_openssl_crypto();
    assert_int_equal(crypto->sha256(crypto->self, &octets, 1, hash), TM_OK);
    struct est_cmc_response reply = {.transaction = request.transaction,
                                     .request_hash = BYTES_OF(hash),
                                     .recipient_nonce = request.sender_nonce};
    decide(life, &request, &reply, &made);
    life->challenge[0]++; /* the one before is used up */
    reply.sender_nonce = challenge_of(life);
    if (made)
        buf_put(&certificates, (struct bytes){made->der, made->n});
    buf_put(&certificates, fleet_ca_der(&life->rig->issuing));
    struct message *response = hear(life);
    sign_response(life, &reply, buf_bytes(&certificates), response);
    return response;
}

static struct message *offer(struct life *life) {
    uint8_t memory[2 * FLEET_CERT_MAX];
    struct buf certificates = BUF_ON(memory);
    struct message *message = hear(life);
    struct buf out = BUF_ON(message->octets);
    buf_put(&certificates, fleet_ca_der(&life->rig->root));
    buf_put(&certificates, fleet_ca_der(&life->rig->issuing));
    assert_int_equal(est_cmc_offer_write(challenge_of(life), buf_bytes(&certificates), &out),
                     TM_OK);
    message->n = out.n;
    return message;
}

/* ---- the carrier, as a transport ---- */

static struct bytes octets_of(const struct message *message) {
    return (struct bytes){message->octets, message->n};
}

/* Whatever was heard up to now, in the order it was said. */
static void say_everything_again(struct life *life, const struct tm_exchange *exchange) {
    for (size_t i = 0; life->hostile && i + 1 < life->heard_n; i++) {
        struct buf out = BUF_ON(life->body);
        struct tm_answer answer;
        struct bytes octets = octets_of(&life->heard[i]);
        if (tm_cmc_offer(&life->cmc, octets, NULL))
            assert_int_equal(tm_cmc_response(&life->cmc, exchange, life->rig->now.wall_ms, octets,
                                             &out, &answer),
                             TM_EDENIED);
        life->passed_over++;
    }
}

static enum tm_err ask(struct life *life, const struct tm_exchange *exchange,
                       struct tm_answer *ret) {
    struct buf request = BUF_ON(life->request), out = BUF_ON(life->body);
    enum tm_err err = TM_EAGAIN;
    for (int i = 0; err == TM_EAGAIN && i < TRIES_MAX; i++)
        err = tm_cmc_request(&life->cmc, exchange, &request);
    if (err)
        return err;
    struct message *response = respond(life, buf_bytes(&request));
    say_everything_again(life, exchange);
    return tm_cmc_response(&life->cmc, exchange, life->rig->now.wall_ms, octets_of(response), &out,
                           ret);
}

static enum tm_err exchange_once(struct life *life, const struct tm_exchange *exchange,
                                 struct tm_answer *ret) {
    if (exchange->operation == TM_OP_CACERTS) {
        struct buf out = BUF_ON(life->body);
        struct message *message = offer(life);
        say_everything_again(life, exchange);
        *ret = (struct tm_answer){.result = TM_RESULT_OK};
        enum tm_err err = tm_cmc_offer(&life->cmc, octets_of(message), &out);
        ret->body = buf_bytes(&out);
        say_everything_again(life, exchange);
        return err;
    }
    for (int i = 0; i < TRIES_MAX; i++) {
        enum tm_err err = ask(life, exchange, ret);
        if (err || ret->result != TM_RESULT_LATER)
            return err;
    }
    return TM_OK;
}

/* ---- the device ---- */

static void boot(struct life *life) {
    struct rig *rig = life->rig;
    struct tm_cmc_config config = {"device-1", &rig->keys, &rig->storage, crypto()};
    assert_int_equal(rig_boot(rig), TM_OK);
    assert_int_equal(tm_cmc_init(&life->cmc, &config, life->work, sizeof life->work), TM_OK);
}

static void move_to(struct life *life, int64_t mono_ms) {
    struct tm_now *now = &life->rig->now;
    if (mono_ms > now->mono_ms) {
        now->wall_ms += mono_ms - now->mono_ms;
        now->mono_ms = mono_ms;
    }
}

/* One step and what it asks for. TM_EIO: power is cut. *ret_until: when the next is due. */
static enum tm_err step_once(struct life *life, int64_t *ret_until) {
    struct rig *rig = life->rig;
    struct tm_step step;
    struct tm_answer answer;
    enum tm_err err = tm_device_step(&rig->device, rig->now, &step);
    *ret_until = rig->now.mono_ms;
    if (err)
        return err;
    if (step.kind == TM_STEP_WAIT)
        *ret_until = step.until_mono_ms;
    if (step.kind == TM_STEP_TELL)
        rig->told[step.event.kind]++;
    if (step.kind != TM_STEP_EXCHANGE)
        return TM_OK;
    err = exchange_once(life, &step.exchange, &answer);
    return err ? err : tm_device_answer(&rig->device, rig->now, &answer);
}

static void live(struct life *life, int64_t for_ms) {
    int64_t end = life->rig->now.mono_ms + for_ms, until;
    for (int i = 0; i < STEPS_MAX; i++) {
        enum tm_err err = step_once(life, &until);
        if (life->rig->dead) {
            boot(life);
            continue;
        }
        assert_int_equal(err, TM_OK);
        if (until >= end) {
            move_to(life, end);
            return;
        }
        move_to(life, until);
    }
    fail_msg("it runs in circles");
}

static int setup(void **state) {
    struct life *life = calloc(1, sizeof *life);
    static const char CREDENTIAL[] = "device-1\0secret";
    assert_non_null(life);
    life->rig = rig_new();
    assert_int_equal(life->rig->storage.write(
                         life->rig, TM_ITEM_BOOTSTRAP,
                         (struct bytes){(const uint8_t *)CREDENTIAL, sizeof CREDENTIAL - 1}),
                     TM_OK);
    life->rig->writes = 0;
    memcpy(life->challenge, "\1unguess", CHALLENGE_SIZE);
    boot(life);
    *state = life;
    return 0;
}

static int teardown(void **state) {
    struct life *life = *state;
    rig_free(life->rig);
    free(life);
    return 0;
}

static size_t count(const struct life *life, bool idevid) {
    size_t n = 0;
    for (size_t i = 0; i < life->issued_n; i++)
        n += life->issued[i].idevid == idevid;
    return n;
}

/* The device has the CA's newest of the kind, and the CA knows. */
static void assert_holds_newest(struct life *life, enum tm_slot slot) {
    uint8_t memory[TM_CHAIN_MAX];
    struct buf chain = BUF_ON(memory);
    const struct issued *newest = NULL;
    assert_int_equal(tm_device_chain(&life->rig->device, slot, &chain), TM_OK);
    for (size_t i = 0; i < life->issued_n; i++)
        if (life->issued[i].idevid == (slot == TM_SLOT_IDEVID))
            newest = &life->issued[i];
    assert_non_null(newest);
    assert_true(chain.n >= newest->n);
    assert_memory_equal(chain.p, newest->der, newest->n);
    assert_true(newest->confirmed);
}

/* ---- tests ---- */

static void test_from_the_secret_to_the_second_renewal(void **state) {
    struct life *life = *state;
    live(life, DAY_MS);
    assert_int_equal(count(life, true), 1);
    assert_int_equal(count(life, false), 1);
    assert_holds_newest(life, TM_SLOT_IDEVID);
    assert_holds_newest(life, TM_SLOT_CURRENT);
    assert_false(life->rig->items[TM_ITEM_BOOTSTRAP].there);
    live(life, 150 * DAY_MS);
    assert_int_equal(count(life, true), 1);
    assert_int_equal(count(life, false), 3);
    assert_holds_newest(life, TM_SLOT_CURRENT);
    assert_int_equal(life->rig->told[TM_EVENT_RENEWED], 2);
    assert_int_equal(life->rig->told[TM_EVENT_FAILED] + life->rig->told[TM_EVENT_DISCARDED], 0);
}

static void test_a_slow_key_store(void **state) {
    struct life *life = *state;
    life->rig->again = life->rig->again_left = 2;
    live(life, 70 * DAY_MS);
    assert_int_equal(count(life, false), 2);
    assert_holds_newest(life, TM_SLOT_CURRENT);
}

static void test_everything_is_said_again(void **state) {
    struct life *life = *state;
    life->hostile = true;
    live(life, 150 * DAY_MS);
    assert_int_equal(count(life, true), 1);
    assert_int_equal(count(life, false), 3);
    assert_holds_newest(life, TM_SLOT_CURRENT);
    assert_int_equal(life->rig->told[TM_EVENT_DISCARDED], 0);
    assert_in_range(life->passed_over, 20, 10000);
    assert_in_range(life->not_fresh, 1, 100); /* an old challenge was given out: it only delays */
}

/* Writes until the first renewal is done. */
static unsigned writes_of_a_life(void) {
    void *state;
    assert_int_equal(setup(&state), 0);
    struct life *life = state;
    live(life, 70 * DAY_MS);
    unsigned writes = life->rig->writes;
    assert_int_equal(teardown(&state), 0);
    return writes;
}

/* Since the transaction is the same after the cut, the CA sees one request and issues once. */
static void test_power_fails_at_each_write(void **state) {
    (void)state;
    unsigned writes = writes_of_a_life();
    assert_in_range(writes, 10, 200);
    for (unsigned cut_at = 1; cut_at <= writes; cut_at++)
        for (unsigned kind = 0; kind < RIG_CUT_KINDS; kind++) {
            void *one;
            assert_int_equal(setup(&one), 0);
            struct life *life = one;
            life->rig->cut = (enum rig_cut)kind;
            life->rig->cut_at = cut_at;
            life->hostile = cut_at % 2;
            live(life, 75 * DAY_MS);
            assert_int_equal(count(life, true), 1);
            assert_int_equal(count(life, false), 2);
            assert_holds_newest(life, TM_SLOT_IDEVID);
            assert_holds_newest(life, TM_SLOT_CURRENT);
            assert_int_equal(teardown(&one), 0);
        }
}

#define LIFE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        LIFE_TEST(test_from_the_secret_to_the_second_renewal),
        LIFE_TEST(test_a_slow_key_store),
        LIFE_TEST(test_everything_is_said_again),
        cmocka_unit_test(test_power_fails_at_each_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
