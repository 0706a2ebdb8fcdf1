/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Full PKI Requests and Responses in any octets: as a whole message, and as a PKIData, a
 * PKIResponse or an offer without one. What reads well is written and read again with the same
 * result.
 */
#include <stdlib.h>

#include "est/wire/cmc.h"
#include "est/wire/signed_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEMORY 65536

static void require(bool condition) {
    if (!condition)
        abort();
}

static void require_equal(struct bytes a, struct bytes b) {
    require(bytes_equal(a, b));
}

static void require_same_request(const struct est_cmc_request *a, const struct est_cmc_request *b) {
    require_equal(a->transaction, b->transaction);
    require_equal(a->sender_nonce, b->sender_nonce);
    require_equal(a->recipient_nonce, b->recipient_nonce);
    require_equal(a->identification, b->identification);
    require_equal(a->witness, b->witness);
    require(a->has_label == b->has_label);
    require_equal(a->label, b->label);
    require_equal(a->accept_issuer, b->accept_issuer);
    require_equal(a->accept_serial, b->accept_serial);
    require_equal(a->csr, b->csr);
}

static void try_request(struct bytes content) {
    static uint8_t memory[MEMORY], sequence_memory[MEMORY];
    struct buf out = BUF_ON(memory), sequence = BUF_ON(sequence_memory);
    struct est_cmc_request request, again;
    if (est_cmc_request_read(content, &request) != TM_OK)
        return;
    require((request.csr.n == 0) != (request.accept_issuer.n == 0));
    require(request.part != 0 && request.req_sequence.n > 0);
    require(request.label.n <= EST_CMC_LABEL_MAX && request.identification.n <= EST_CMC_ID_MAX);
    require(est_cmc_request_write(&request, &out) == TM_OK);
    require(est_cmc_request_read(buf_bytes(&out), &again) == TM_OK);
    require_same_request(&request, &again);
    require(est_cmc_req_sequence_write(&request, &sequence) == TM_OK);
    require_equal(buf_bytes(&sequence), again.req_sequence);
}

static void require_same_response(const struct est_cmc_response *a,
                                  const struct est_cmc_response *b) {
    require_equal(a->transaction, b->transaction);
    require_equal(a->sender_nonce, b->sender_nonce);
    require_equal(a->recipient_nonce, b->recipient_nonce);
    require(a->has_status == b->has_status && a->status == b->status && a->part == b->part);
    require_equal(a->text, b->text);
    require(a->has_fail == b->has_fail && a->fail == b->fail);
    require_equal(a->pend_token, b->pend_token);
    require(a->pend_time_ms == b->pend_time_ms);
}

static void try_response(struct bytes content) {
    static uint8_t memory[MEMORY];
    struct buf out = BUF_ON(memory);
    struct est_cmc_response response, again;
    if (est_cmc_response_read(content, &response) != TM_OK)
        return;
    require(response.text.n <= EST_CMC_TEXT_MAX && response.fail <= EST_CMC_FAIL_LAST);
    require(est_cmc_response_write(&response, &out) == TM_OK);
    require(est_cmc_response_read(buf_bytes(&out), &again) == TM_OK);
    require_same_response(&response, &again);
}

static void try_offer(struct bytes der) {
    static uint8_t memory[MEMORY];
    struct buf out = BUF_ON(memory);
    struct bytes challenge, certificates, again_challenge, again_certificates;
    if (est_cmc_offer_read(der, &challenge, &certificates) != TM_OK)
        return;
    require(challenge.n > 0 && challenge.n <= EST_CMC_NONCE_MAX);
    require(est_cmc_offer_write(challenge, certificates, &out) == TM_OK);
    require(est_cmc_offer_read(buf_bytes(&out), &again_challenge, &again_certificates) == TM_OK);
    require_equal(challenge, again_challenge);
    require_equal(certificates, again_certificates);
}

static void require_same_signer(const struct est_signed *a, const struct est_signed *b) {
    require_equal(a->signer.issuer, b->signer.issuer);
    require_equal(a->signer.serial, b->signer.serial);
    require_equal(a->signer.key_id, b->signer.key_id);
    require(a->digest == b->digest && a->signing_time_ms == b->signing_time_ms);
    require_equal(a->attributes, b->attributes);
    require_equal(a->message_digest, b->message_digest);
    require_equal(a->algorithm, b->algorithm);
    require_equal(a->signature, b->signature);
}

/* What stands for another content or digest is not CMC's, and is not written. */
static bool is_written(const struct est_signed *message) {
    return message->content_type != PKI_OID_UNKNOWN &&
           (!message->has_signer || message->digest != PKI_OID_UNKNOWN);
}

static void write_again(const struct est_signed *message) {
    static uint8_t memory[MEMORY], set_memory[MEMORY];
    struct buf out = BUF_ON(memory), set = BUF_ON(set_memory);
    struct est_signed to_write = *message, again;
    if (message->has_signer) {
        require(est_signed_attributes_message(message, &set) == TM_OK);
        to_write.attributes = buf_bytes(&set);
    }
    enum tm_err err = est_signed_write(&to_write, &out);
    require(err == (is_written(message) ? TM_OK : TM_EINVAL));
    if (err)
        return;
    require(est_signed_read(buf_bytes(&out), &again) == TM_OK);
    require(again.content_type == message->content_type && again.has_signer == message->has_signer);
    require_equal(again.content, message->content);
    require_equal(again.certificates, message->certificates);
    if (message->has_signer)
        require_same_signer(message, &again);
}

static void try_signed(struct bytes der) {
    struct est_signed message;
    if (est_signed_read(der, &message) != TM_OK)
        return;
    require(!message.has_signer || (message.message_digest.n > 0 && message.attributes.n > 0));
    require((message.signer.key_id.n == 0) == (message.signer.issuer.n != 0) ||
            !message.has_signer);
    write_again(&message);
    try_request(message.content);
    try_response(message.content);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes in = {data, size};
    if (size > MEMORY / 2)
        return 0;
    try_signed(in);
    try_offer(in);
    try_request(in);
    try_response(in);
    return 0;
}
