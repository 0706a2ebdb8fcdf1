/* SPDX-License-Identifier: Apache-2.0 */
/* PKIResponse (RFC 5272, 4.2.1), read and written. */
#include "est/wire/cmc.h"
#include "est/wire/cmc_parts.h"
#include "pki/chars.h"
#include "pki/time.h"

#define YEAR_LAST 9999 /* of a GeneralizedTime */

/* bodyPartIDs of what our responses hold: a request's part is never one of them. */
enum part {
    PART_STATUS = EST_CMC_PART_CSR + 1,
    PART_TRANSACTION,
    PART_SENDER_NONCE,
    PART_RECIPIENT_NONCE,
    PART_RESPONSE_INFO,
};

static enum tm_err take_status(struct bytes *in, enum est_cmc_status *ret) {
    struct der d;
    uint32_t number;
    if (der_expect(in, DER_INTEGER, &d) != TM_OK || der_small(&d, &number) != TM_OK)
        return TM_EPARSE;
    switch (number) {
    case EST_CMC_SUCCESS:
    case EST_CMC_FAILED:
    case EST_CMC_PENDING:
    case EST_CMC_NO_SUPPORT:
    case EST_CMC_CONFIRM_REQUIRED:
    case EST_CMC_POP_REQUIRED:
    case EST_CMC_PARTIAL:
        *ret = (enum est_cmc_status)number;
        return TM_OK;
    default:
        return TM_EPARSE;
    }
}

/* BodyPartID, or in statusInfoV2 a path of them, whose first is a part of the request itself. */
static enum tm_err take_reference(struct bytes *in, bool v2, uint32_t *ret_part) {
    struct der path, id;
    bool there;
    if (der_optional(in, DER_SEQUENCE, &path, &there) != TM_OK || (there && !v2))
        return TM_EPARSE;
    struct bytes *ids = there ? &path.value : in;
    if (der_expect(ids, DER_INTEGER, &id) != TM_OK || der_small(&id, ret_part) != TM_OK)
        return TM_EPARSE;
    while (there && path.value.n > 0) {
        uint32_t deeper;
        if (der_expect(&path.value, DER_INTEGER, &id) != TM_OK || der_small(&id, &deeper) != TM_OK)
            return TM_EPARSE;
    }
    return TM_OK;
}

/* bodyList: its first is kept. */
static enum tm_err take_body_list(struct bytes *in, bool v2, uint32_t *ret_part) {
    struct der list;
    uint32_t part;
    if (der_expect(in, DER_SEQUENCE, &list) != TM_OK ||
        take_reference(&list.value, v2, ret_part) != TM_OK)
        return TM_EPARSE;
    while (list.value.n > 0)
        if (take_reference(&list.value, v2, &part) != TM_OK)
            return TM_EPARSE;
    return TM_OK;
}

/* The whole characters of UTF-8 at its start that fit. */
static struct bytes cut_text(struct bytes text) {
    struct bytes rest = text;
    size_t n = 0;
    uint32_t c;
    while (chars_next(DER_UTF8_STRING, &rest, &c) == TM_OK && text.n - rest.n <= EST_CMC_TEXT_MAX)
        n = text.n - rest.n;
    return (struct bytes){text.p, n};
}

static bool is_utf8(struct bytes text) {
    uint32_t c;
    while (text.n > 0)
        if (chars_next(DER_UTF8_STRING, &text, &c) != TM_OK)
            return false;
    return true;
}

static enum tm_err take_text(struct bytes *in, struct bytes *ret) {
    struct der d = {0};
    bool there;
    if (der_optional(in, DER_UTF8_STRING, &d, &there) != TM_OK || !is_utf8(d.value))
        return TM_EPARSE;
    *ret = cut_text(d.value);
    return TM_OK;
}

/* RFC 5272, 6.1.4; a reason that is not known is one all the same. */
static enum tm_err read_fail(const struct der *d, enum est_cmc_fail *ret) {
    uint32_t number;
    if (!der_minimal_integer(d->value))
        return TM_EPARSE;
    bool known = der_small(d, &number) == TM_OK && number <= EST_CMC_FAIL_LAST;
    *ret = known ? (enum est_cmc_fail)number : EST_CMC_INTERNAL_CA_ERROR;
    return TM_OK;
}

static enum tm_err read_pending(const struct der *d, struct est_cmc_response *status) {
    struct bytes in = d->value;
    struct der token, time;
    if (der_expect(&in, DER_OCTET_STRING, &token) != TM_OK || token.value.n == 0 ||
        der_only(in, DER_GENERALIZED_TIME, &time) != TM_OK ||
        der_time(&time, &status->pend_time_ms) != TM_OK)
        return TM_EPARSE;
    status->pend_token = token.value;
    return TM_OK;
}

/* extendedFailInfo: RFC 5272, 6.1.1, lets internalCAError stand for one that is not recognised. */
static enum tm_err read_extended(const struct der *d, enum est_cmc_fail *ret) {
    struct bytes in = d->value;
    struct der oid, value;
    if (der_expect(&in, DER_OID, &oid) != TM_OK || !pki_oid_valid(oid.value) ||
        der_next(&in, &value) != TM_OK || in.n != 0)
        return TM_EPARSE;
    *ret = EST_CMC_INTERNAL_CA_ERROR;
    return TM_OK;
}

/* otherInfo is a CHOICE by tag: which one is allowed follows from the status (RFC 5272, 6.1.1). */
static enum tm_err read_other(struct bytes in, bool v2, struct est_cmc_response *status) {
    struct der other;
    if (in.n == 0)
        return TM_OK;
    if (der_next(&in, &other) != TM_OK || in.n != 0)
        return TM_EPARSE;
    if (other.tag == DER_SEQUENCE)
        return status->status == EST_CMC_PENDING || status->status == EST_CMC_PARTIAL
                   ? read_pending(&other, status)
                   : TM_EPARSE;
    status->has_fail = true;
    if (status->status != EST_CMC_FAILED)
        return TM_EPARSE;
    if (other.tag == DER_INTEGER)
        return read_fail(&other, &status->fail);
    if (other.tag == DER_CONTEXT_CONSTRUCTED(1) && v2)
        return read_extended(&other, &status->fail);
    return TM_EPARSE;
}

/* Which of several statuses a response is judged by: refusals before all else. */
static unsigned weight(enum est_cmc_status status) {
    switch (status) {
    case EST_CMC_FAILED:
        return 4;
    case EST_CMC_NO_SUPPORT:
    case EST_CMC_POP_REQUIRED:
        return 3;
    case EST_CMC_PENDING:
    case EST_CMC_PARTIAL:
        return 2;
    case EST_CMC_CONFIRM_REQUIRED:
        return 1;
    case EST_CMC_SUCCESS:
        break;
    }
    return 0;
}

/* What the status controls say, apart from the rest of the response. */
struct statuses {
    struct est_cmc_response v1;
    struct est_cmc_response v2;
};

/* RFC 5272, 6.1: there may be several. */
static enum tm_err take_status_info(const struct cmc_control *control, struct statuses *statuses) {
    bool v2 = control->type == PKI_OID_CMC_STATUS_INFO_V2;
    struct est_cmc_response status = {.has_status = true}, *kept;
    struct der info;
    if (cmc_control_value(control, DER_SEQUENCE, &info) != TM_OK ||
        take_status(&info.value, &status.status) != TM_OK ||
        take_body_list(&info.value, v2, &status.part) != TM_OK ||
        take_text(&info.value, &status.text) != TM_OK ||
        read_other(info.value, v2, &status) != TM_OK)
        return TM_EPARSE;
    kept = v2 ? &statuses->v2 : &statuses->v1;
    if (!kept->has_status || weight(status.status) > weight(kept->status))
        *kept = status;
    return TM_OK;
}

static enum tm_err take_control(const struct cmc_control *control, struct est_cmc_response *ret,
                                struct statuses *statuses) {
    switch (control->type) {
    case PKI_OID_CMC_STATUS_INFO:
    case PKI_OID_CMC_STATUS_INFO_V2:
        return take_status_info(control, statuses);
    case PKI_OID_CMC_TRANSACTION_ID:
        return cmc_control_transaction(control, &ret->transaction);
    case PKI_OID_CMC_SENDER_NONCE:
        return cmc_control_octets(control, DER_OCTET_STRING, EST_CMC_NONCE_MAX, &ret->sender_nonce);
    case PKI_OID_CMC_RECIPIENT_NONCE:
        return cmc_control_octets(control, DER_OCTET_STRING, EST_CMC_NONCE_MAX,
                                  &ret->recipient_nonce);
    case PKI_OID_CMC_RESPONSE_INFO:
        return cmc_control_octets(control, DER_OCTET_STRING, EST_CMC_HASH_SIZE, &ret->request_hash);
    default:
        return TM_OK;
    }
}

/* Adds transactionId, nonces and hash to the status that counts. */
static enum tm_err take_controls(struct bytes in, struct cmc_parts *parts,
                                 struct est_cmc_response *ret) {
    struct est_cmc_response rest = {0};
    struct statuses statuses = {0};
    struct cmc_control control;
    while (in.n > 0) {
        enum tm_err err = cmc_control_take(parts, &in, &control);
        if (err == TM_OK)
            err = take_control(&control, &rest, &statuses);
        if (err)
            return err;
    }
    *ret = statuses.v2.has_status ? statuses.v2 : statuses.v1;
    ret->transaction = rest.transaction;
    ret->sender_nonce = rest.sender_nonce;
    ret->recipient_nonce = rest.recipient_nonce;
    ret->request_hash = rest.request_hash;
    return TM_OK;
}

enum tm_err est_cmc_response_read(struct bytes content, struct est_cmc_response *ret) {
    struct est_cmc_response response;
    struct cmc_parts parts = {0};
    struct der whole, controls;
    if (der_only(content, DER_SEQUENCE, &whole) != TM_OK ||
        der_expect(&whole.value, DER_SEQUENCE, &controls) != TM_OK)
        return TM_EPARSE;
    enum tm_err err = take_controls(controls.value, &parts, &response);
    if (err == TM_OK)
        err = cmc_rest_skip(&parts, whole.value);
    if (err == TM_OK)
        *ret = response;
    return err;
}

/* pendTime is a GeneralizedTime in every year, unlike the times in certificates. */
static void put_generalized_time(struct der_writer *w, int64_t wall_ms) {
    uint8_t text[PKI_TIME_GENERALIZED_SIZE];
    struct pki_time t = pki_time_from_ms(wall_ms);
    if (t.year < 0 || t.year > YEAR_LAST) {
        w->full = true;
        return;
    }
    pki_time_write(&t, false, text);
    der_put(w, DER_GENERALIZED_TIME, BYTES_OF(text));
}

static void put_other(struct der_writer *w, const struct est_cmc_response *response) {
    size_t mark = der_mark(w);
    if (response->pend_token.n > 0) {
        put_generalized_time(w, response->pend_time_ms);
        der_put(w, DER_OCTET_STRING, response->pend_token);
        der_wrap(w, DER_SEQUENCE, mark);
    }
    if (response->has_fail)
        der_put_small(w, (uint32_t)response->fail);
}

/* A refusal is not to fail for a name in its text that was cut within a character. */
static void put_status(struct der_writer *w, const struct est_cmc_response *response) {
    struct bytes text = cut_text(response->text);
    size_t end = der_mark(w);
    if (!response->has_status)
        return;
    put_other(w, response);
    if (text.n > 0)
        der_put(w, DER_UTF8_STRING, text);
    size_t list = der_mark(w);
    der_put_small(w, response->part);
    der_wrap(w, DER_SEQUENCE, list);
    der_put_small(w, (uint32_t)response->status);
    der_wrap(w, DER_SEQUENCE, end);
    cmc_wrap_control(w, PART_STATUS, PKI_OID_CMC_STATUS_INFO_V2, end);
}

static void put_controls(struct der_writer *w, const struct est_cmc_response *response) {
    size_t mark = der_mark(w);
    cmc_put_octets(w, PART_RESPONSE_INFO, PKI_OID_CMC_RESPONSE_INFO, DER_OCTET_STRING,
                   response->request_hash);
    cmc_put_octets(w, PART_RECIPIENT_NONCE, PKI_OID_CMC_RECIPIENT_NONCE, DER_OCTET_STRING,
                   response->recipient_nonce);
    cmc_put_octets(w, PART_SENDER_NONCE, PKI_OID_CMC_SENDER_NONCE, DER_OCTET_STRING,
                   response->sender_nonce);
    cmc_put_transaction(w, PART_TRANSACTION, response->transaction);
    put_status(w, response);
    der_wrap(w, DER_SEQUENCE, mark);
}

static void put_response(struct der_writer *w, const struct est_cmc_response *response) {
    size_t end = der_mark(w);
    der_put(w, DER_SEQUENCE, (struct bytes){0}); /* otherMsgSequence */
    der_put(w, DER_SEQUENCE, (struct bytes){0}); /* cmsSequence */
    put_controls(w, response);
    der_wrap(w, DER_SEQUENCE, end);
}

/* What was written is read again: so each of the reader's rules is also one for who writes. */
enum tm_err est_cmc_response_write(const struct est_cmc_response *response, struct buf *out) {
    struct est_cmc_response again;
    struct der_writer w = der_writer_after(out);
    put_response(&w, response);
    enum tm_err err = w.full ? TM_ELIMIT : est_cmc_response_read(der_written(&w), &again);
    if (err)
        return err == TM_ELIMIT ? TM_ELIMIT : TM_EINVAL;
    return der_append(&w, out);
}
