/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Full PKI Responses (RFC 5272, 4.2): made here, signed by the issuing CA's key through the signer,
 * which makes the signed attributes itself, and verified with the pinned key like certificates.
 */
#include <string.h>

#include "base/log.h"
#include "ca/cmc.h"

static const struct ca_issuer *issuer_of(const struct ca_request *r) {
    return r->label->tenant->issuer;
}

/* ---- PKIResponse ---- */

static void fill_status(const struct ca_request *r, enum ipc_outcome outcome, const char *text,
                        bool confirm_required, struct est_cmc_response *ret) {
    const struct est_cmc_request *request = &r->cmc->request;
    ret->has_status = true;
    ret->status = confirm_required ? EST_CMC_CONFIRM_REQUIRED : ca_cmc_status(outcome);
    ret->part = r->cmc->read ? 0 : request->part;
    ret->text = bytes_str(text);
    if (ret->status == EST_CMC_FAILED) {
        ret->has_fail = true;
        ret->fail = ca_cmc_fail(outcome);
    } else if (ret->status == EST_CMC_PENDING) {
        ret->pend_token = request->transaction;
        ret->pend_time_ms =
            r->now_ms +
            (int64_t)ca_retry_after_s(outcome, r->message.id, r->waited_ms) * INT64_C(1000);
    }
}

/* A message that could not be read has no nonce to answer, and gets a challenge of nobody's use. */
static bool write_content(struct ca_request *r, enum ipc_outcome outcome, const char *text,
                          bool confirm_required) {
    struct ca_cmc *cmc = r->cmc;
    struct buf out = BUF_ON(cmc->content);
    struct est_cmc_response response = {.transaction = cmc->request.transaction,
                                        .recipient_nonce = cmc->request.sender_nonce};
    if (!cmc->read)
        response.request_hash = BYTES_OF(cmc->hash);
    if (r->label && r->who.device[0]) {
        if (ca_challenge_make(r->service->challenger, r->label->tenant->name, r->who.device,
                              r->now_ms, cmc->nonce))
            return false;
        response.sender_nonce = BYTES_OF(cmc->nonce);
    }
    fill_status(r, outcome, text, confirm_required, &response);
    cmc->content_n = 0;
    if (est_cmc_response_write(&response, &out))
        return false;
    cmc->content_n = out.n;
    return true;
}

static struct bytes content_of(const struct ca_cmc *cmc) {
    return (struct bytes){cmc->content, cmc->content_n};
}

/* ---- SignedData ---- */

static bool wrap(struct ca_request *r, struct est_signed *message) {
    struct buf out = BUF_ON(r->cmc->response);
    message->content_type = PKI_OID_CCT_PKI_RESPONSE;
    message->content = content_of(r->cmc);
    r->cmc->response_n = 0;
    if (est_signed_write(message, &out))
        return false;
    r->cmc->response_n = out.n;
    return true;
}

static bool wrap_signed(struct ca_request *r, struct bytes signature) {
    const struct ca_issuer *issuer = issuer_of(r);
    uint8_t all[IPC_CHAIN_MAX], algorithm[64];
    struct buf certificates = BUF_ON(all);
    struct der_writer w = der_writer_on(algorithm, sizeof algorithm);
    ca_put_signature_algorithm(&w, issuer->signature);
    buf_put(&certificates, r->cmc->certificate);
    buf_put(&certificates, issuer->der);
    buf_put(&certificates, r->label->tenant->rollover);
    struct est_signed message = {
        .certificates = buf_bytes(&certificates),
        .has_signer = true,
        .signer = {.issuer = issuer->view.issuer, .serial = issuer->view.serial},
        .digest = ca_issuer_digest(issuer),
        .attributes = {r->cmc->attributes, r->cmc->attributes_n},
        .algorithm = der_written(&w),
        .signature = signature};
    return !certificates.full && wrap(r, &message);
}

static bool write_attributes(struct ca_request *r) {
    uint8_t octets[EST_DIGEST_MAX];
    struct buf digest = BUF_ON(octets), out = BUF_ON(r->cmc->attributes);
    if (ca_issuer_digest_make(issuer_of(r), content_of(r->cmc), &digest) ||
        est_signed_attributes_write(PKI_OID_CCT_PKI_RESPONSE, buf_bytes(&digest),
                                    r->cmc->ticket.signing_time_ms, &out))
        return false;
    r->cmc->attributes_n = out.n;
    return true;
}

/* ---- signing ---- */

static void signed_done(struct ca_ticket *ticket, enum ipc_sign_status status,
                        struct bytes signature) {
    struct ca_request *r = ticket->arg;
    struct bytes attributes = {r->cmc->attributes, r->cmc->attributes_n};
    if (status == IPC_SIGN_OK && ca_issuer_verify(issuer_of(r), attributes, signature)) {
        log_line(LOG_LEVEL_ERROR, r->message.id,
                 "the signer's signature of a response does not verify with issuer %s; the signer "
                 "is restarted",
                 issuer_of(r)->name);
        r->service->signer->ops->distrust(r->service->signer, ticket);
        status = IPC_SIGN_FAILED;
    }
    if (status == IPC_SIGN_OK && !wrap_signed(r, signature))
        status = IPC_SIGN_REFUSED;
    r->cmc->then(r, status);
}

void ca_cmc_sign(struct ca_request *r, enum ipc_outcome outcome, const char *text,
                 struct bytes certificate, bool confirm_required,
                 void (*then)(struct ca_request *r, enum ipc_sign_status status)) {
    struct ca_cmc *cmc = r->cmc;
    cmc->then = then;
    cmc->certificate = certificate;
    /* Not the request's time: a signer that was gone for long would take the ticket for a stale
     * one. */
    cmc->ticket = (struct ca_ticket){.kind = CA_TICKET_CMC,
                                     .issuer = issuer_of(r)->name,
                                     .signing_time_ms = r->service->config->now_ms(),
                                     .done = signed_done,
                                     .arg = r};
    if (!write_content(r, outcome, text, confirm_required) || !write_attributes(r)) {
        then(r, IPC_SIGN_REFUSED);
        return;
    }
    cmc->ticket.content = content_of(cmc);
    if (r->service->signer->ops->sign(r->service->signer, &cmc->ticket))
        then(r, IPC_SIGN_CEILING);
}

/* ---- answers that are not stored ---- */

struct bytes ca_cmc_response(const struct ca_request *r) {
    return (struct bytes){r->cmc->response, r->cmc->response_n};
}

static void answer_signed(struct ca_request *r, enum ipc_sign_status status) {
    struct est_signed bare = {.has_signer = false};
    if (status != IPC_SIGN_OK && !wrap(r, &bare))
        r->cmc->response_n = 0;
    r->cmc->done = true;
    ca_request_end(r, r->cmc->outcome, r->end.text, (struct bytes){0});
}

/* Who cannot be told apart from a flood, and what fails because there is no signer, is answered
 * without a signature: a device takes that for no answer. */
bool ca_cmc_answer(struct ca_request *r, enum ipc_outcome outcome, const char *text) {
    struct ca_cmc *cmc = r->cmc;
    if (cmc->done)
        return false;
    cmc->outcome = outcome;
    if (text != r->end.text)
        TEXT_SET(r->end.text, text);
    bool waits = outcome == IPC_BUSY || outcome == IPC_UNAVAILABLE;
    if (r->label && !cmc->unsigned_answer && !waits) {
        ca_cmc_sign(r, outcome, r->end.text, (struct bytes){0}, false, answer_signed);
        return true;
    }
    struct est_signed bare = {.has_signer = false};
    if (!write_content(r, outcome, r->end.text, false) || !wrap(r, &bare))
        cmc->response_n = 0;
    cmc->done = true;
    return false;
}
