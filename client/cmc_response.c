/* SPDX-License-Identifier: Apache-2.0 */
/* Full PKI Responses: is it the answer to our request, and what does it say? */
#include "client/cmc_internal.h"

#include <string.h>

#include "client/verify_path.h"
#include "est/wire/certs_only.h"
#include "est/wire/cmc.h"

struct verdict {
    const struct tm_cmc *cmc;
    const struct tm_exchange *exchange;
    int64_t wall_ms;
    struct est_signed message;
    struct est_cmc_response response;
    struct bytes anchors; /* at the start of the work memory */
    char *text;           /* why it is none: TM_TEXT_MAX octets */
};

static enum tm_err deny(const struct verdict *verdict, const char *sentence) {
    text_copy(verdict->text, TM_TEXT_MAX, sentence);
    return TM_EDENIED;
}

/* The work memory behind the anchors. */
static struct buf spare_room(const struct verdict *verdict) {
    const struct tm_cmc *cmc = verdict->cmc;
    return (struct buf){cmc->work + TM_ANCHORS_MAX, cmc->work_size - TM_ANCHORS_MAX, 0, false};
}

/* ---- is it the answer to our request? ---- */

static enum tm_err read_message(struct verdict *verdict, struct bytes octets) {
    struct est_signed *message = &verdict->message;
    if (octets.n > TM_CMC_RESPONSE_MAX)
        return deny(verdict, "the response is larger than any of a CA");
    if (est_signed_read(octets, message) || message->content_type != PKI_OID_CCT_PKI_RESPONSE)
        return deny(verdict, "not a Full PKI Response (RFC 5272, 4.2)");
    if (!message->has_signer)
        return deny(verdict, "nobody signed the response (RFC 5272, 4.2)");
    if (est_cmc_response_read(message->content, &verdict->response))
        return deny(verdict, "not a PKIResponse (RFC 5272, 4.2)");
    return TM_OK;
}

static enum tm_err is_ours(const struct verdict *verdict) {
    const struct tm_cmc *cmc = verdict->cmc;
    if (!cmc->asked)
        return deny(verdict, "no request waits for a response");
    if (!bytes_equal(verdict->response.transaction, BYTES_OF(cmc->transaction)))
        return deny(verdict, "the response is of another transaction (RFC 5272, 6.6)");
    if (!bytes_equal(verdict->response.recipient_nonce, BYTES_OF(cmc->nonce)))
        return deny(verdict, "the response is to another request: recipientNonce (RFC 5272, 6.6)");
    if (!bytes_equal(verdict->response.request_hash, BYTES_OF(cmc->hash)))
        return deny(verdict, "the response is to another request: responseInfo (RFC 5272, 6.8)");
    return TM_OK;
}

static enum tm_err check_digest(const struct verdict *verdict) {
    const struct tm_crypto *crypto = verdict->cmc->config.crypto;
    const struct est_signed *message = &verdict->message;
    uint8_t digest[TM_SHA256_SIZE];
    if (message->digest != PKI_OID_SHA256)
        return deny(verdict, "the response's message digest is not SHA-256");
    enum tm_err err = crypto->sha256(crypto->self, &message->content, 1, digest);
    if (!err && !bytes_equal(message->message_digest, BYTES_OF(digest)))
        return deny(verdict, "the message digest is another (RFC 5652, 5.6)");
    return err;
}

static enum tm_err read_anchors(struct verdict *verdict) {
    const struct tm_storage *storage = verdict->cmc->config.storage;
    struct buf room = {verdict->cmc->work, TM_ANCHORS_MAX, 0, false};
    enum tm_err err = storage->read(
        storage->self, (enum tm_item)(TM_ITEM_ANCHORS_0 + verdict->exchange->anchors_bank), &room);
    if (!err)
        verdict->anchors = buf_bytes(&room);
    return err;
}

static enum tm_err check_signature(struct verdict *verdict) {
    struct buf covered = spare_room(verdict);
    enum tm_err err = check_digest(verdict);
    if (!err)
        err = read_anchors(verdict);
    if (err)
        return err;
    if (est_signed_attributes_message(&verdict->message, &covered))
        return deny(verdict, "the signed attributes are larger than any of a CA");
    return tm_cmc_signer(verdict->cmc->config.crypto, verdict->wall_ms, &verdict->message,
                         buf_bytes(&covered), verdict->anchors, verdict->text);
}

/* ---- its certificate ---- */

struct wanted {
    struct bytes spki;
    bool same_key; /* as the slot's certificate, which is this old */
    int64_t not_before_ms;
    struct bytes old;
};

/* A renewal may keep its key: an earlier certificate for it is not the answer. */
static enum tm_err want(const struct verdict *verdict, struct buf *room, struct wanted *ret) {
    struct bytes key_id;
    struct tm_facts leaf;
    if (tm_cmc_requested(verdict->exchange->body, &ret->spki, &key_id))
        return TM_EINVAL;
    if (verdict->exchange->slot == TM_SLOT_NONE)
        return TM_OK;
    enum tm_err err = tm_cmc_chain(verdict->cmc, verdict->exchange, room, &leaf);
    if (err)
        return err;
    ret->same_key = bytes_equal(leaf.spki, ret->spki);
    ret->not_before_ms = leaf.not_before_ms;
    ret->old = leaf.whole;
    return TM_OK;
}

static bool is_wanted(const struct wanted *wanted, const struct tm_facts *facts) {
    if (!bytes_equal(wanted->spki, facts->spki))
        return false;
    return !wanted->same_key || (facts->not_before_ms >= wanted->not_before_ms &&
                                 !bytes_equal(facts->whole, wanted->old));
}

/* The one that the CA made: whether it is good, time and all, is for tm_device to judge. */
static enum tm_err find_certificate(const struct verdict *verdict, const struct wanted *wanted,
                                    struct bytes *ret) {
    struct tm_search search = {.crypto = verdict->cmc->config.crypto,
                               .anchors = verdict->anchors,
                               .signatures_left = TM_PATH_SIGNATURES};
    struct bytes rest = verdict->message.certificates;
    struct tm_facts facts;
    enum tm_err err;
    while ((err = tm_facts_next(&rest, &facts)) != TM_ENOTFOUND) {
        if (err || !is_wanted(wanted, &facts))
            continue;
        err = tm_search_path(&search, &facts);
        if (!err)
            *ret = facts.whole;
        if (err != TM_ENOTFOUND)
            return err;
    }
    return TM_ENOTFOUND;
}

static enum tm_err take_certificate(const struct verdict *verdict, struct buf *out,
                                    struct tm_answer *answer) {
    struct buf room = spare_room(verdict);
    struct wanted wanted = {0};
    struct bytes certificate;
    size_t start = out->n;
    enum tm_err err = want(verdict, &room, &wanted);
    if (err)
        return err;
    err = find_certificate(verdict, &wanted, &certificate);
    if (err == TM_ENOTFOUND || err == TM_ELIMIT)
        return deny(verdict, "a success without a certificate for the requested key that leads to "
                             "a trust anchor");
    if (!err)
        err = est_certs_only_write(certificate, out);
    if (!err)
        answer->body = (struct bytes){out->p + start, out->n - start};
    return err;
}

/* ---- what it says ---- */

static enum tm_result result_of_fail(enum est_cmc_fail fail) {
    switch (fail) {
    case EST_CMC_BAD_TIME:
    case EST_CMC_INTERNAL_CA_ERROR:
    case EST_CMC_TRY_LATER:
        return TM_RESULT_LATER;
    case EST_CMC_BAD_IDENTITY:
    case EST_CMC_BAD_MESSAGE_CHECK:
    case EST_CMC_BAD_CERT_ID:
        return TM_RESULT_DENIED;
    case EST_CMC_BAD_ALG:
    case EST_CMC_BAD_REQUEST:
    case EST_CMC_UNSUPPORTED_EXT:
    case EST_CMC_MUST_ARCHIVE_KEYS:
    case EST_CMC_FAIL_POP_REQUIRED:
    case EST_CMC_POP_FAILED:
    case EST_CMC_NO_KEY_REUSE:
    case EST_CMC_AUTH_DATA_FAIL:
        break;
    }
    return TM_RESULT_REFUSED;
}

static enum tm_result result_of(const struct verdict *verdict) {
    const struct est_cmc_response *response = &verdict->response;
    switch (response->has_status ? response->status : EST_CMC_SUCCESS) {
    case EST_CMC_SUCCESS:
        return TM_RESULT_OK;
    case EST_CMC_CONFIRM_REQUIRED:
        return verdict->exchange->operation == TM_OP_PROBE ? TM_RESULT_REFUSED : TM_RESULT_OK;
    case EST_CMC_PENDING:
        return TM_RESULT_LATER;
    case EST_CMC_FAILED:
        return response->has_fail ? result_of_fail(response->fail) : TM_RESULT_REFUSED;
    case EST_CMC_NO_SUPPORT:
    case EST_CMC_POP_REQUIRED:
    case EST_CMC_PARTIAL:
        break;
    }
    return TM_RESULT_REFUSED;
}

/* Until pendTime, by the server's clock where it says the time. */
static uint32_t retry_after(const struct verdict *verdict) {
    int64_t now_ms =
        verdict->message.signing_time_ms ? verdict->message.signing_time_ms : verdict->wall_ms;
    int64_t then_ms = verdict->response.pend_time_ms;
    if (verdict->response.status != EST_CMC_PENDING || now_ms == 0 || then_ms <= now_ms)
        return 0;
    int64_t seconds = (then_ms - now_ms) / 1000 + 1;
    return seconds > INT32_MAX ? INT32_MAX : (uint32_t)seconds;
}

/* Logs and consoles get nothing but printable ASCII. */
static void copy_text(struct bytes sentence, char ret[TM_TEXT_MAX]) {
    size_t n = 0;
    for (; n < sentence.n && n < TM_TEXT_MAX - 1; n++) {
        uint8_t c = sentence.p[n];
        ret[n] = c >= ' ' && c <= '~' ? (char)c : '?';
    }
    ret[n] = '\0';
}

static enum tm_err fill(const struct verdict *verdict, struct buf *out, struct tm_answer *answer) {
    answer->result = result_of(verdict);
    answer->retry_after_s = retry_after(verdict);
    answer->server_wall_ms = verdict->message.signing_time_ms;
    copy_text(verdict->response.text, answer->text);
    if (answer->result != TM_RESULT_OK && !answer->text[0])
        TEXT_SET(answer->text, "the server's statusInfo says no (RFC 5272, 6.1)");
    if (answer->result != TM_RESULT_OK || verdict->exchange->operation == TM_OP_PROBE)
        return TM_OK;
    return take_certificate(verdict, out, answer);
}

static void keep_challenge(struct tm_cmc *cmc, struct bytes nonce) {
    if (nonce.n == 0 || nonce.n > sizeof cmc->challenge)
        return;
    memcpy(cmc->challenge, nonce.p, nonce.n);
    cmc->challenge_n = nonce.n;
}

enum tm_err tm_cmc_response(struct tm_cmc *cmc, const struct tm_exchange *exchange, int64_t wall_ms,
                            struct bytes response, struct buf *out, struct tm_answer *ret) {
    char text[TM_TEXT_MAX] = "";
    struct tm_answer answer = {0};
    struct verdict verdict = {.cmc = cmc, .exchange = exchange, .wall_ms = wall_ms, .text = text};
    enum tm_err err = read_message(&verdict, response);
    if (!err)
        err = is_ours(&verdict);
    if (!err)
        err = check_signature(&verdict);
    if (!err) {
        keep_challenge(cmc, verdict.response.sender_nonce);
        err = fill(&verdict, out, &answer);
    }
    if (err == TM_EDENIED)
        TEXT_SET(ret->text, text);
    if (err)
        return err;
    cmc->asked = false;
    *ret = answer;
    return TM_OK;
}
