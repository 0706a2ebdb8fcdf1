/* SPDX-License-Identifier: Apache-2.0 */
/* Full PKI Requests: who asks, for what, and what makes it this request and no other. */
#include "client/cmc_internal.h"

#include <string.h>

#include "est/wire/cmc.h"

#define ALGORITHM_MAX 16 /* octets of the AlgorithmIdentifier of ecdsa-with-SHA256 */

struct draft {
    struct est_cmc_request request;
    struct est_signed message;
    struct bytes identity; /* what the transactionId follows from: the slot's leaf, or device ID */
    struct bytes spki;     /* of the requested key; empty with a PROBE */
    unsigned key_bank;     /* of the key that signs */
    uint8_t witness[TM_SHA256_SIZE];
};

/* The work memory: the chain at its end, before it whatever is being written. */
static struct buf chain_room(const struct tm_cmc *cmc) {
    return (struct buf){cmc->work + cmc->work_size - TM_CHAIN_MAX, TM_CHAIN_MAX, 0, false};
}

static struct buf main_room(const struct tm_cmc *cmc) {
    return (struct buf){cmc->work, cmc->work_size - TM_CHAIN_MAX, 0, false};
}

/* ---- who asks ---- */

/* The slot's certificate, with its whole chain for whoever knows only its root. */
static enum tm_err sign_by_slot(const struct tm_cmc *cmc, const struct tm_exchange *exchange,
                                struct draft *draft) {
    struct buf chain = chain_room(cmc);
    struct tm_facts leaf;
    enum tm_err err = tm_cmc_chain(cmc, exchange, &chain, &leaf);
    if (err)
        return err;
    draft->message.signer.issuer = leaf.issuer;
    draft->message.signer.serial = leaf.serial;
    draft->message.certificates = buf_bytes(&chain);
    draft->identity = leaf.whole;
    draft->key_bank = exchange->key_bank;
    return TM_OK;
}

/* Without a certificate the requested key signs; it is found by the subjectKeyIdentifier that the
 * PKCS#10 asks for (RFC 5272, 3.2). */
static enum tm_err sign_by_request(const struct tm_cmc *cmc, const struct tm_exchange *exchange,
                                   struct bytes key_id, struct draft *draft) {
    if (key_id.n == 0)
        return TM_EINVAL;
    draft->message.signer.key_id = key_id;
    draft->identity = bytes_str(cmc->config.device_id);
    draft->key_bank = exchange->request_bank;
    return TM_OK;
}

/* ---- for what ---- */

static enum tm_err fill_confirmation(const struct tm_cmc *cmc, const struct tm_exchange *exchange,
                                     struct draft *draft) {
    if (exchange->slot == TM_SLOT_NONE)
        return TM_EINVAL;
    enum tm_err err = sign_by_slot(cmc, exchange, draft);
    if (err)
        return err;
    draft->request.accept_issuer = draft->message.signer.issuer;
    draft->request.accept_serial = draft->message.signer.serial;
    return TM_OK;
}

static enum tm_err prove_secret(const struct tm_cmc *cmc, struct draft *draft) {
    struct buf req_sequence = main_room(cmc);
    enum tm_err err = est_cmc_req_sequence_write(&draft->request, &req_sequence);
    if (!err)
        err = tm_cmc_witness(cmc, buf_bytes(&req_sequence), draft->witness);
    if (err)
        return err;
    draft->request.identification = bytes_str(cmc->config.device_id);
    draft->request.witness = BYTES_OF(draft->witness);
    return TM_OK;
}

static enum tm_err fill_enrollment(const struct tm_cmc *cmc, const struct tm_exchange *exchange,
                                   struct draft *draft) {
    struct bytes key_id;
    if (exchange->slot == TM_SLOT_NONE && !exchange->secret)
        return TM_EINVAL;
    enum tm_err err = tm_cmc_requested(exchange->body, &draft->spki, &key_id);
    if (err)
        return TM_EINVAL;
    draft->request.csr = exchange->body;
    draft->request.recipient_nonce = (struct bytes){cmc->challenge, cmc->challenge_n};
    err = exchange->slot == TM_SLOT_NONE ? sign_by_request(cmc, exchange, key_id, draft)
                                         : sign_by_slot(cmc, exchange, draft);
    if (!err && exchange->secret)
        err = prove_secret(cmc, draft);
    return err;
}

static enum tm_err fill(const struct tm_cmc *cmc, const struct tm_exchange *exchange,
                        struct draft *draft) {
    draft->request.label = bytes_str(exchange->label);
    draft->request.has_label = true;
    switch (exchange->operation) {
    case TM_OP_ENROLL:
    case TM_OP_REENROLL:
        return fill_enrollment(cmc, exchange, draft);
    case TM_OP_PROBE:
        return fill_confirmation(cmc, exchange, draft);
    case TM_OP_CACERTS:
        break;
    }
    return TM_EINVAL;
}

/* ---- this request and no other ---- */

/* The same whenever the same is asked for. Its first octet makes it a positive INTEGER of just so
 * many octets. */
static enum tm_err make_transaction(const struct tm_cmc *cmc, const struct draft *draft,
                                    uint8_t ret[TM_CMC_TRANSACTION_SIZE]) {
    static const char PREFIX[] = "Touchmark CMC transaction"; /* its NUL ends it */
    static const uint8_t END[] = {0};
    const struct tm_crypto *crypto = cmc->config.crypto;
    const struct bytes parts[] = {BYTES_OF(PREFIX), draft->request.label, BYTES_OF(END),
                                  draft->identity, draft->spki};
    uint8_t hash[TM_SHA256_SIZE];
    enum tm_err err = crypto->sha256(crypto->self, parts, sizeof parts / sizeof parts[0], hash);
    if (err)
        return err;
    memcpy(ret, hash, TM_CMC_TRANSACTION_SIZE);
    ret[0] = (uint8_t)((ret[0] & 0x7f) | 0x40);
    return TM_OK;
}

/* A nonce of its own; but the key store that is at work is asked for the same signature again. */
static enum tm_err name(struct tm_cmc *cmc, struct draft *draft) {
    const struct tm_crypto *crypto = cmc->config.crypto;
    uint8_t transaction[TM_CMC_TRANSACTION_SIZE];
    enum tm_err err = make_transaction(cmc, draft, transaction);
    if (err)
        return err;
    if (!cmc->signing || memcmp(transaction, cmc->transaction, sizeof transaction) != 0) {
        err = crypto->random(crypto->self, cmc->nonce, sizeof cmc->nonce);
        if (err)
            return err;
    }
    memcpy(cmc->transaction, transaction, sizeof transaction);
    draft->request.transaction = BYTES_OF(cmc->transaction);
    draft->request.sender_nonce = BYTES_OF(cmc->nonce);
    return TM_OK;
}

/* ---- signed and written ---- */

static enum tm_err write_attributes(const struct tm_crypto *crypto, struct bytes content,
                                    struct buf *out) {
    uint8_t digest[TM_SHA256_SIZE];
    enum tm_err err = crypto->sha256(crypto->self, &content, 1, digest);
    if (!err)
        err = est_signed_attributes_write(PKI_OID_CCT_PKI_DATA, BYTES_OF(digest), 0, out);
    return err;
}

static enum tm_err sign(const struct tm_cmc *cmc, const struct draft *draft, struct bytes covered,
                        struct buf *out) {
    const struct tm_crypto *crypto = cmc->config.crypto;
    const struct tm_keys *keys = cmc->config.keys;
    uint8_t digest[TM_SHA256_SIZE];
    enum tm_err err = crypto->sha256(crypto->self, &covered, 1, digest);
    if (!err)
        err = keys->sign(keys->self, draft->key_bank, digest, out);
    return err;
}

/* RFC 5758, 3.2: without parameters. */
static struct bytes write_algorithm(uint8_t memory[ALGORITHM_MAX]) {
    struct der_writer w = der_writer_on(memory, ALGORITHM_MAX);
    der_put(&w, DER_OID, pki_oid_bytes(PKI_OID_ECDSA_SHA256));
    der_wrap(&w, DER_SEQUENCE, ALGORITHM_MAX);
    return der_written(&w);
}

static enum tm_err write_message(const struct tm_cmc *cmc, struct draft *draft, struct buf *out) {
    struct est_signed *message = &draft->message;
    uint8_t set[EST_SIGNED_ATTRIBUTES_MAX], octets[TM_SIGNATURE_MAX], algorithm[ALGORITHM_MAX];
    struct buf content = main_room(cmc), attributes = BUF_ON(set), signature = BUF_ON(octets);
    enum tm_err err = est_cmc_request_write(&draft->request, &content);
    if (!err)
        err = write_attributes(cmc->config.crypto, buf_bytes(&content), &attributes);
    if (!err)
        err = sign(cmc, draft, buf_bytes(&attributes), &signature);
    if (err)
        return err;
    message->content_type = PKI_OID_CCT_PKI_DATA;
    message->content = buf_bytes(&content);
    message->has_signer = true;
    message->digest = PKI_OID_SHA256;
    message->attributes = buf_bytes(&attributes);
    message->algorithm = write_algorithm(algorithm);
    message->signature = buf_bytes(&signature);
    struct buf room = *out;
    if (room.cap - room.n > TM_CMC_REQUEST_MAX)
        room.cap = room.n + TM_CMC_REQUEST_MAX;
    err = est_signed_write(message, &room);
    if (!err)
        out->n = room.n;
    return err;
}

static enum tm_err keep_hash(struct tm_cmc *cmc, struct bytes request) {
    const struct tm_crypto *crypto = cmc->config.crypto;
    return crypto->sha256(crypto->self, &request, 1, cmc->hash);
}

enum tm_err tm_cmc_request(struct tm_cmc *cmc, const struct tm_exchange *exchange,
                           struct buf *out) {
    struct draft draft = {0};
    cmc->asked = false;
    enum tm_err err = fill(cmc, exchange, &draft);
    if (!err)
        err = name(cmc, &draft);
    size_t start = out->n;
    if (!err)
        err = write_message(cmc, &draft, out);
    cmc->signing = err == TM_EAGAIN;
    if (!err)
        err = keep_hash(cmc, (struct bytes){out->p + start, out->n - start});
    if (err) {
        out->n = start;
        return err;
    }
    cmc->asked = true;
    if (draft.request.recipient_nonce.n > 0)
        cmc->challenge_n = 0;
    return TM_OK;
}
