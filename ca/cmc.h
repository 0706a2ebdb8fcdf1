/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request that came as CMC (RFC 5272): what it has beside struct ca_request, and the steps that
 * are only its. Not for other folders.
 *
 *   cmc_open.c         the message read, its signature verified, the credential found
 *   cmc_transaction.c  the same again, another, or a fresh one; births
 *   cmc_confirm.c      a certificate that the device has taken into use
 *   cmc_answer.c       the Full PKI Response: made, signed through the signer, verified
 *   cmc_status.c       outcomes as CMC status
 *
 * From the signature on, the signer's certificate takes the place that the TLS client certificate
 * has for the other operations, and identityProofV2 that of HTTP Basic: what follows is the same.
 */
#ifndef TOUCHMARK_CA_CMC_H
#define TOUCHMARK_CA_CMC_H

#include "ca/request.h"
#include "est/wire/cmc.h"
#include "est/wire/signed_data.h"

#define CA_CMC_CONTENT_MAX 2048 /* octets of a PKIResponse of ours */

struct ca_cmc {
    enum tm_err read; /* TM_OK: the two below are filled */
    struct est_signed message;
    struct est_cmc_request request;
    uint8_t hash[CA_HASH_SIZE]; /* SHA-256 of the whole message */
    struct bytes tls_leaf;      /* what the TLS session proved, if it came by HTTPS */
    bool opened;

    bool has_stored; /* the device has a transaction: */
    struct ca_transaction stored;
    int64_t challenge_ms;              /* challenges up to then are used up with this request */
    struct ca_transaction transaction; /* as it will be stored */

    /* The answer. */
    enum ipc_outcome outcome;
    bool unsigned_answer; /* it is not worth a signature */
    bool done;            /* the answer stands in `response`, or there is none */
    void (*then)(struct ca_request *r, enum ipc_sign_status status);
    struct ca_ticket ticket;  /* with the signing time */
    struct bytes certificate; /* that the response brings */
    uint8_t nonce[CA_CHALLENGE_SIZE];
    size_t content_n, attributes_n, response_n;
    uint8_t content[CA_CMC_CONTENT_MAX];
    uint8_t attributes[EST_SIGNED_ATTRIBUTES_MAX];
    uint8_t response[CA_RESPONSE_MAX];
    uint8_t stored_response[CA_RESPONSE_MAX];
};

/* ---- cmc_open.c ---- */

/* Reads r->message.csr as a Full PKI Request; then cmc->read says how that went, and the request's
 * own label and PKCS#10 are known. TM_ENOMEM. */
MUST_USE enum tm_err ca_cmc_new(struct ca_request *r);
void ca_cmc_free(struct ca_cmc *cmc); /* NULL-safe */
/* The label that the request is for: the signed one where it has one. NULL: refused, see *ret. */
MUST_USE const struct ca_label *ca_cmc_label(struct ca_request *r, struct ca_refusal *ret);
/* Verifies the signature and puts credential and PKCS#10 where the other operations have theirs. */
MUST_USE bool ca_cmc_open(struct ca_request *r, struct ca_refusal *ret);
/* identityProofV2 against the device's one-time secret (RFC 5272, 6.2.1). */
MUST_USE bool ca_cmc_proof_fits(struct ca_request *r, const struct ca_device *device);

/* ---- cmc_transaction.c ---- */

enum ca_cmc_next {
    CA_CMC_DECIDE,  /* a fresh request: ca_decide */
    CA_CMC_CONFIRM, /* ca_cmc_confirm */
    CA_CMC_STORED,  /* the same message again: the stored response is the answer */
    CA_CMC_REFUSE,
};
/* The device is held. */
MUST_USE enum ca_cmc_next ca_cmc_next(struct ca_request *r, struct ca_refusal *ret);
/* Once r->key is known: a transaction is one request (same key, subject and identity). */
MUST_USE bool ca_cmc_transaction_fits(struct ca_request *r, struct ca_refusal *ret);
/* Fills cmc->transaction for `serial` and the response that was made. */
void ca_cmc_fill_transaction(struct ca_request *r, const struct ca_serial *serial);
/* An earlier certificate is the answer to another message: makes that answer, stores it, ends r. */
void ca_cmc_repeat(struct ca_request *r);

/* ---- cmc_confirm.c ---- */

/* The device has its certificate: active now, and the one before superseded. Ends r. */
void ca_cmc_confirm(struct ca_request *r);

/* ---- cmc_answer.c ---- */

/* Makes and signs the response for an outcome; certificate: DER, or empty. `then` is called once,
 * maybe at once, with OK when cmc->response holds it. */
void ca_cmc_sign(struct ca_request *r, enum ipc_outcome outcome, const char *text,
                 struct bytes certificate, bool confirm_required,
                 void (*then)(struct ca_request *r, enum ipc_sign_status status));
/* The answer of a request that ends without a stored response: true: it is being signed and
 * ca_request_end is called again; false: cmc->response holds what there is. */
MUST_USE bool ca_cmc_answer(struct ca_request *r, enum ipc_outcome outcome, const char *text);
struct bytes ca_cmc_response(const struct ca_request *r);

/* ---- cmc_status.c ---- */

enum est_cmc_status ca_cmc_status(enum ipc_outcome outcome);
enum est_cmc_fail ca_cmc_fail(enum ipc_outcome outcome); /* when the status is FAILED */

#endif
