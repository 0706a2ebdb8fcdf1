/* SPDX-License-Identifier: Apache-2.0 */
/* PKIData (RFC 5272, 3.2.1) as Touchmark's devices write it and its server takes it. */
#include <string.h>

#include "est/wire/cmc.h"
#include "est/wire/cmc_parts.h"
#include "est/wire/http.h"
#include "pki/chars.h"
#include "pki/name.h"

#define WITNESS_SIZE 32 /* HMAC-SHA256 */

static const char label_key[] = "label=";
#define LABEL_KEY_SIZE (sizeof label_key - 1)

/* bodyPartIDs of what our requests hold beside EST_CMC_PART_CSR. */
enum part {
    PART_TRANSACTION = EST_CMC_PART_CSR + 1,
    PART_SENDER_NONCE,
    PART_RECIPIENT_NONCE,
    PART_IDENTIFICATION,
    PART_IDENTITY_PROOF,
    PART_REG_INFO,
    PART_ACCEPTANCE,
};

/* Text for records and logs: no NUL, no other control characters (C0, DEL, C1). */
static bool is_plain_text(struct bytes text) {
    uint32_t c;
    while (text.n > 0)
        if (chars_next(DER_UTF8_STRING, &text, &c) != TM_OK || c < 0x20 || (c >= 0x7f && c < 0xa0))
            return false;
    return true;
}

static enum tm_err take_identification(const struct cmc_control *control, struct bytes *ret) {
    enum tm_err err = cmc_control_octets(control, DER_UTF8_STRING, EST_CMC_ID_MAX, ret);
    if (err == TM_OK && !is_plain_text(*ret))
        return TM_EPARSE;
    return err;
}

/* An AlgorithmIdentifier of this algorithm, with parameters absent or NULL. */
static enum tm_err take_algorithm(struct bytes *in, enum pki_oid expected) {
    static const uint8_t null[] = {DER_NULL, 0x00};
    struct der algorithm, oid;
    if (der_expect(in, DER_SEQUENCE, &algorithm) != TM_OK ||
        der_expect(&algorithm.value, DER_OID, &oid) != TM_OK ||
        pki_oid_find(oid.value) != expected ||
        (algorithm.value.n != 0 && !bytes_equal(algorithm.value, BYTES_OF(null))))
        return TM_EPARSE;
    return TM_OK;
}

/* RFC 5272, 6.2.1. */
static enum tm_err take_identity_proof(const struct cmc_control *control, struct bytes *ret) {
    struct der proof, witness;
    if (ret->n != 0 || cmc_control_value(control, DER_SEQUENCE, &proof) != TM_OK ||
        take_algorithm(&proof.value, PKI_OID_SHA256) != TM_OK ||
        take_algorithm(&proof.value, PKI_OID_HMAC_SHA256) != TM_OK ||
        der_only(proof.value, DER_OCTET_STRING, &witness) != TM_OK ||
        witness.value.n != WITNESS_SIZE)
        return TM_EPARSE;
    *ret = witness.value;
    return TM_OK;
}

/* "" is the default label. */
static bool is_label(struct bytes octets) {
    char label[EST_CMC_LABEL_MAX + 1] = "";
    if (octets.n == 0)
        return true;
    if (memchr(octets.p, '\0', octets.n))
        return false;
    memcpy(label, octets.p, octets.n);
    return est_label_valid(label);
}

/* RFC 5272, 6.12, leaves regInfo's content to those who agree on it. */
static enum tm_err take_reg_info(const struct cmc_control *control,
                                 struct est_cmc_request *request) {
    struct bytes info = {0};
    if (request->has_label)
        return TM_EPARSE;
    enum tm_err err =
        cmc_control_octets(control, DER_OCTET_STRING, LABEL_KEY_SIZE + EST_CMC_LABEL_MAX, &info);
    if (err)
        return err;
    if (info.n < LABEL_KEY_SIZE || memcmp(info.p, label_key, LABEL_KEY_SIZE) != 0)
        return TM_EPARSE;
    struct bytes label = {info.p + LABEL_KEY_SIZE, info.n - LABEL_KEY_SIZE};
    if (!is_label(label))
        return TM_EPARSE;
    request->has_label = true;
    request->label = label;
    return TM_OK;
}

/* RFC 5272, 6.11: CMCCertId ::= IssuerAndSerialNumber. */
static enum tm_err take_acceptance(const struct cmc_control *control,
                                   struct est_cmc_request *request) {
    struct der id, issuer, serial;
    if (request->accept_issuer.n != 0 || cmc_control_value(control, DER_SEQUENCE, &id) != TM_OK ||
        der_expect(&id.value, DER_SEQUENCE, &issuer) != TM_OK || !pki_name_valid(issuer.whole) ||
        der_only(id.value, DER_INTEGER, &serial) != TM_OK || !der_minimal_integer(serial.value))
        return TM_EPARSE;
    request->accept_issuer = issuer.whole;
    request->accept_serial = serial.value;
    request->part = control->part;
    return TM_OK;
}

/* RFC 5272, 3.2.1.1: the final server must fail a request with a control that it does not know. */
static enum tm_err take_control(const struct cmc_control *control,
                                struct est_cmc_request *request) {
    switch (control->type) {
    case PKI_OID_CMC_TRANSACTION_ID:
        return cmc_control_transaction(control, &request->transaction);
    case PKI_OID_CMC_SENDER_NONCE:
        return cmc_control_octets(control, DER_OCTET_STRING, EST_CMC_NONCE_MAX,
                                  &request->sender_nonce);
    case PKI_OID_CMC_RECIPIENT_NONCE:
        return cmc_control_octets(control, DER_OCTET_STRING, EST_CMC_NONCE_MAX,
                                  &request->recipient_nonce);
    case PKI_OID_CMC_IDENTIFICATION:
        return take_identification(control, &request->identification);
    case PKI_OID_CMC_IDENTITY_PROOF_V2:
        return take_identity_proof(control, &request->witness);
    case PKI_OID_CMC_REG_INFO:
        return take_reg_info(control, request);
    case PKI_OID_CMC_CONFIRM_CERT_ACCEPTANCE:
        return take_acceptance(control, request);
    default:
        return TM_EPARSE;
    }
}

static enum tm_err take_controls(struct bytes in, struct cmc_parts *parts,
                                 struct est_cmc_request *request) {
    struct cmc_control control;
    while (in.n > 0) {
        enum tm_err err = cmc_control_take(parts, &in, &control);
        if (err == TM_OK)
            err = take_control(&control, request);
        if (err)
            return err;
    }
    return TM_OK;
}

/* The one tcr [0] TaggedCertificationRequest, if any. */
static enum tm_err take_requests(struct bytes in, struct cmc_parts *parts,
                                 struct est_cmc_request *request) {
    struct der tagged, csr;
    if (in.n == 0)
        return TM_OK;
    if (der_only(in, DER_CONTEXT_CONSTRUCTED(0), &tagged) != TM_OK)
        return TM_EPARSE;
    enum tm_err err = cmc_part_take(parts, &tagged.value, &request->part);
    if (err)
        return err;
    if (der_only(tagged.value, DER_SEQUENCE, &csr) != TM_OK)
        return TM_EPARSE;
    request->csr = csr.whole;
    return TM_OK;
}

enum tm_err est_cmc_request_read(struct bytes content, struct est_cmc_request *ret) {
    struct est_cmc_request request = {0};
    struct cmc_parts parts = {0};
    struct der data, controls, requests;
    if (der_only(content, DER_SEQUENCE, &data) != TM_OK ||
        der_expect(&data.value, DER_SEQUENCE, &controls) != TM_OK ||
        der_expect(&data.value, DER_SEQUENCE, &requests) != TM_OK)
        return TM_EPARSE;
    request.req_sequence = requests.whole;
    enum tm_err err = take_controls(controls.value, &parts, &request);
    if (err == TM_OK)
        err = take_requests(requests.value, &parts, &request);
    if (err == TM_OK)
        err = cmc_rest_skip(&parts, data.value);
    if (err)
        return err;
    if ((request.csr.n == 0) == (request.accept_issuer.n == 0))
        return TM_EPARSE;
    *ret = request;
    return TM_OK;
}

static void put_requests(struct der_writer *w, const struct est_cmc_request *request) {
    size_t mark = der_mark(w);
    if (request->csr.n > 0) {
        der_raw(w, request->csr);
        der_put_small(w, EST_CMC_PART_CSR);
        der_wrap(w, DER_CONTEXT_CONSTRUCTED(0), mark);
    }
    der_wrap(w, DER_SEQUENCE, mark);
}

enum tm_err est_cmc_req_sequence_write(const struct est_cmc_request *request, struct buf *out) {
    struct der_writer w = der_writer_after(out);
    put_requests(&w, request);
    return der_append(&w, out);
}

static void put_algorithm(struct der_writer *w, enum pki_oid algorithm) {
    size_t mark = der_mark(w);
    der_put(w, DER_OID, pki_oid_bytes(algorithm));
    der_wrap(w, DER_SEQUENCE, mark);
}

static void put_identity_proof(struct der_writer *w, struct bytes witness) {
    size_t mark = der_mark(w);
    if (witness.n == 0)
        return;
    der_put(w, DER_OCTET_STRING, witness);
    put_algorithm(w, PKI_OID_HMAC_SHA256);
    put_algorithm(w, PKI_OID_SHA256);
    der_wrap(w, DER_SEQUENCE, mark);
    cmc_wrap_control(w, PART_IDENTITY_PROOF, PKI_OID_CMC_IDENTITY_PROOF_V2, mark);
}

static void put_reg_info(struct der_writer *w, const struct est_cmc_request *request) {
    size_t mark = der_mark(w);
    if (!request->has_label)
        return;
    der_raw(w, request->label);
    der_raw(w, bytes_str(label_key));
    der_wrap(w, DER_OCTET_STRING, mark);
    cmc_wrap_control(w, PART_REG_INFO, PKI_OID_CMC_REG_INFO, mark);
}

static void put_acceptance(struct der_writer *w, const struct est_cmc_request *request) {
    size_t mark = der_mark(w);
    if (request->accept_issuer.n == 0)
        return;
    der_put(w, DER_INTEGER, request->accept_serial);
    der_raw(w, request->accept_issuer);
    der_wrap(w, DER_SEQUENCE, mark);
    cmc_wrap_control(w, PART_ACCEPTANCE, PKI_OID_CMC_CONFIRM_CERT_ACCEPTANCE, mark);
}

static void put_controls(struct der_writer *w, const struct est_cmc_request *request) {
    size_t mark = der_mark(w);
    put_acceptance(w, request);
    put_reg_info(w, request);
    put_identity_proof(w, request->witness);
    cmc_put_octets(w, PART_IDENTIFICATION, PKI_OID_CMC_IDENTIFICATION, DER_UTF8_STRING,
                   request->identification);
    cmc_put_octets(w, PART_RECIPIENT_NONCE, PKI_OID_CMC_RECIPIENT_NONCE, DER_OCTET_STRING,
                   request->recipient_nonce);
    cmc_put_octets(w, PART_SENDER_NONCE, PKI_OID_CMC_SENDER_NONCE, DER_OCTET_STRING,
                   request->sender_nonce);
    cmc_put_transaction(w, PART_TRANSACTION, request->transaction);
    der_wrap(w, DER_SEQUENCE, mark);
}

/* What was written is read again: so each of the reader's rules is also one for who writes. */
enum tm_err est_cmc_request_write(const struct est_cmc_request *request, struct buf *out) {
    struct est_cmc_request again;
    struct der_writer w = der_writer_after(out);
    size_t end = der_mark(&w);
    der_put(&w, DER_SEQUENCE, (struct bytes){0}); /* otherMsgSequence */
    der_put(&w, DER_SEQUENCE, (struct bytes){0}); /* cmsSequence */
    put_requests(&w, request);
    put_controls(&w, request);
    der_wrap(&w, DER_SEQUENCE, end);
    enum tm_err err = w.full ? TM_ELIMIT : est_cmc_request_read(der_written(&w), &again);
    if (err)
        return err == TM_ELIMIT ? TM_ELIMIT : TM_EINVAL;
    return der_append(&w, out);
}
