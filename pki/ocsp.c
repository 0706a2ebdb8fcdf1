/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing OCSP's ASN.1 (RFC 6960, 4). */
#include "pki/ocsp.h"

#include "pki/crl.h"
#include "pki/time.h"

/* ---- CertID ---- */

static enum tm_err parse_hash(struct bytes *in, enum pki_oid *ret_hash) {
    struct der algorithm, oid;
    if (der_expect(in, DER_SEQUENCE, &algorithm) || der_expect(&algorithm.value, DER_OID, &oid) ||
        !pki_oid_valid(oid.value))
        return TM_EPARSE;
    enum pki_oid hash = pki_oid_find(oid.value);
    *ret_hash = hash == PKI_OID_SHA1 || hash == PKI_OID_SHA256 ? hash : PKI_OID_UNKNOWN;
    return TM_OK;
}

enum tm_err pki_ocsp_cert_id_parse(struct bytes der, struct pki_ocsp_cert_id *ret) {
    struct der sequence, name, key, serial;
    struct pki_ocsp_cert_id id = {.whole = der};
    if (der_only(der, DER_SEQUENCE, &sequence) || parse_hash(&sequence.value, &id.hash) ||
        der_expect(&sequence.value, DER_OCTET_STRING, &name) ||
        der_expect(&sequence.value, DER_OCTET_STRING, &key) ||
        der_only(sequence.value, DER_INTEGER, &serial) || !der_minimal_integer(serial.value))
        return TM_EPARSE;
    id.name_hash = name.value;
    id.key_hash = key.value;
    id.serial = serial.value;
    *ret = id;
    return TM_OK;
}

/* parameters NULL, as every requester sends them (RFC 8017, A.2.1 wants both forms to be read). */
enum tm_err pki_ocsp_cert_id_write(const struct pki_ocsp_cert_id *id, struct buf *out) {
    if (id->hash == PKI_OID_UNKNOWN)
        return TM_EINVAL;
    struct der_writer w = der_writer_after(out);
    size_t end = der_mark(&w);
    der_put(&w, DER_INTEGER, id->serial);
    der_put(&w, DER_OCTET_STRING, id->key_hash);
    der_put(&w, DER_OCTET_STRING, id->name_hash);
    size_t algorithm = der_mark(&w);
    der_put(&w, DER_NULL, (struct bytes){0});
    der_put(&w, DER_OID, pki_oid_bytes(id->hash));
    der_wrap(&w, DER_SEQUENCE, algorithm);
    der_wrap(&w, DER_SEQUENCE, end);
    return der_append(&w, out);
}

/* ---- requests ---- */

/* Something that is not heeded: one element in an explicit tag. */
static enum tm_err skip_explicit(struct bytes *in, unsigned number, uint8_t tag) {
    struct der explicit_tag, inner;
    bool there;
    if (der_optional(in, DER_CONTEXT_CONSTRUCTED(number), &explicit_tag, &there) ||
        (there && der_only(explicit_tag.value, tag, &inner)))
        return TM_EPARSE;
    return TM_OK;
}

/* RFC 6960, 4.1.1: version [0] EXPLICIT DEFAULT v1; some write the default. */
static enum tm_err parse_version(struct bytes *in) {
    struct der explicit_tag, number;
    bool there;
    uint32_t version = 0;
    if (der_optional(in, DER_CONTEXT_CONSTRUCTED(0), &explicit_tag, &there) ||
        (there && (der_only(explicit_tag.value, DER_INTEGER, &number) ||
                   der_small(&number, &version) || version != 0)))
        return TM_EPARSE;
    return TM_OK;
}

/* requestorName [1] EXPLICIT GeneralName: any element. */
static enum tm_err skip_requestor(struct bytes *in) {
    struct der explicit_tag, name;
    bool there;
    if (der_optional(in, DER_CONTEXT_CONSTRUCTED(1), &explicit_tag, &there) ||
        (there && (der_next(&explicit_tag.value, &name) || explicit_tag.value.n != 0)))
        return TM_EPARSE;
    return TM_OK;
}

static enum tm_err parse_single_request(struct bytes *in, struct pki_ocsp_cert_id *ret) {
    struct der request, id;
    if (der_expect(in, DER_SEQUENCE, &request) || der_expect(&request.value, DER_SEQUENCE, &id) ||
        pki_ocsp_cert_id_parse(id.whole, ret) || skip_explicit(&request.value, 0, DER_SEQUENCE) ||
        request.value.n != 0)
        return TM_EPARSE;
    return TM_OK;
}

enum tm_err pki_ocsp_request_parse(struct bytes der, struct pki_ocsp_request *ret) {
    struct der outer, tbs, list;
    struct pki_ocsp_request request = {0};
    if (der_only(der, DER_SEQUENCE, &outer) || der_expect(&outer.value, DER_SEQUENCE, &tbs) ||
        skip_explicit(&outer.value, 0, DER_SEQUENCE) || outer.value.n != 0 ||
        parse_version(&tbs.value) || skip_requestor(&tbs.value) ||
        der_expect(&tbs.value, DER_SEQUENCE, &list) || skip_explicit(&tbs.value, 2, DER_SEQUENCE) ||
        tbs.value.n != 0 || list.value.n == 0)
        return TM_EPARSE;
    while (list.value.n > 0) {
        if (request.count == PKI_OCSP_SINGLES_MAX)
            return TM_ELIMIT;
        if (parse_single_request(&list.value, &request.ids[request.count++]))
            return TM_EPARSE;
    }
    *ret = request;
    return TM_OK;
}

/* ---- reading ResponseData ---- */

/* GeneralizedTime, whatever the year (RFC 6960, 4.2.2.1). */
static enum tm_err parse_time(struct bytes *in, int64_t *ret_ms) {
    struct der time;
    return der_expect(in, DER_GENERALIZED_TIME, &time) || der_time(&time, ret_ms) ? TM_EPARSE
                                                                                  : TM_OK;
}

static enum tm_err parse_revoked(struct bytes in, struct pki_ocsp_single *single) {
    struct der explicit_tag, reason;
    bool there;
    if (parse_time(&in, &single->revoked_ms) ||
        der_optional(&in, DER_CONTEXT_CONSTRUCTED(0), &explicit_tag, &there) || in.n != 0)
        return TM_EPARSE;
    if (!there)
        return TM_OK;
    if (der_only(explicit_tag.value, DER_ENUMERATED, &reason) || reason.value.n != 1)
        return TM_EPARSE;
    single->reason = reason.value.p[0];
    return single->reason && pki_crl_reason_valid(single->reason) ? TM_OK : TM_EPARSE;
}

static enum tm_err parse_status(struct bytes *in, struct pki_ocsp_single *single) {
    struct der status;
    if (der_next(in, &status))
        return TM_EPARSE;
    switch (status.tag) {
    case DER_CONTEXT(PKI_OCSP_GOOD):
    case DER_CONTEXT(PKI_OCSP_UNKNOWN):
        single->status = (enum pki_ocsp_status)(status.tag & 0x1f);
        return status.value.n ? TM_EPARSE : TM_OK;
    case DER_CONTEXT_CONSTRUCTED(PKI_OCSP_REVOKED):
        single->status = PKI_OCSP_REVOKED;
        return parse_revoked(status.value, single);
    default:
        return TM_EPARSE;
    }
}

static enum tm_err parse_single(struct bytes *in, struct pki_ocsp_single *single) {
    struct der sequence, id, next;
    bool there;
    if (der_expect(in, DER_SEQUENCE, &sequence) || der_expect(&sequence.value, DER_SEQUENCE, &id) ||
        pki_ocsp_cert_id_parse(id.whole, &single->id) || parse_status(&sequence.value, single) ||
        parse_time(&sequence.value, &single->this_update_ms) ||
        der_optional(&sequence.value, DER_CONTEXT_CONSTRUCTED(0), &next, &there) ||
        sequence.value.n != 0)
        return TM_EPARSE;
    if (!there)
        return TM_OK;
    if (parse_time(&next.value, &single->next_update_ms) || next.value.n)
        return TM_EPARSE;
    return single->next_update_ms ? TM_OK : TM_EPARSE; /* 1970 is how none is said here */
}

static enum tm_err parse_head(struct bytes *in, struct pki_ocsp_data *data) {
    struct der explicit_tag, hash;
    if (der_expect(in, DER_CONTEXT_CONSTRUCTED(2), &explicit_tag) ||
        der_only(explicit_tag.value, DER_OCTET_STRING, &hash) ||
        hash.value.n != PKI_OCSP_KEY_HASH_SIZE)
        return TM_EPARSE;
    data->key_hash = hash.value;
    return parse_time(in, &data->produced_ms);
}

enum tm_err pki_ocsp_data_parse(struct bytes der, struct pki_ocsp_data *ret) {
    struct der sequence, list;
    struct pki_ocsp_data data = {0};
    if (der_only(der, DER_SEQUENCE, &sequence) || parse_head(&sequence.value, &data) ||
        der_only(sequence.value, DER_SEQUENCE, &list) || list.value.n == 0)
        return TM_EPARSE;
    while (list.value.n > 0) {
        if (data.count == PKI_OCSP_SINGLES_MAX)
            return TM_ELIMIT;
        if (parse_single(&list.value, &data.singles[data.count++]))
            return TM_EPARSE;
    }
    *ret = data;
    return TM_OK;
}

/* ---- writing ResponseData ---- */

static void put_time(struct der_writer *w, int64_t wall_ms) {
    uint8_t text[PKI_TIME_GENERALIZED_SIZE];
    struct pki_time t = pki_time_from_ms(wall_ms);
    pki_time_write(&t, false, text);
    der_put(w, DER_GENERALIZED_TIME, BYTES_OF(text));
}

static void put_status(struct der_writer *w, const struct pki_ocsp_single *single) {
    if (single->status != PKI_OCSP_REVOKED) {
        der_put(w, DER_CONTEXT(single->status), (struct bytes){0});
        return;
    }
    size_t end = der_mark(w);
    if (single->reason) {
        der_put(w, DER_ENUMERATED, (struct bytes){&single->reason, 1});
        der_wrap(w, DER_CONTEXT_CONSTRUCTED(0), end);
    }
    put_time(w, single->revoked_ms);
    der_wrap(w, DER_CONTEXT_CONSTRUCTED(PKI_OCSP_REVOKED), end);
}

static void put_single(struct der_writer *w, const struct pki_ocsp_single *single) {
    size_t end = der_mark(w);
    if (single->next_update_ms) {
        put_time(w, single->next_update_ms);
        der_wrap(w, DER_CONTEXT_CONSTRUCTED(0), end);
    }
    put_time(w, single->this_update_ms);
    put_status(w, single);
    der_raw(w, single->id.whole);
    der_wrap(w, DER_SEQUENCE, end);
}

static bool can_say(int64_t wall_ms) {
    struct pki_time t = pki_time_from_ms(wall_ms);
    return t.year >= 0 && t.year <= 9999;
}

static bool is_single(const struct pki_ocsp_single *single) {
    bool revoked = single->status == PKI_OCSP_REVOKED;
    return can_say(single->this_update_ms) && can_say(single->next_update_ms) &&
           (!revoked || (can_say(single->revoked_ms) && pki_crl_reason_valid(single->reason)));
}

static bool is_writable(const struct pki_ocsp_data *data) {
    bool good = data->count >= 1 && data->count <= PKI_OCSP_SINGLES_MAX &&
                data->key_hash.n == PKI_OCSP_KEY_HASH_SIZE && can_say(data->produced_ms);
    for (size_t i = 0; good && i < data->count; i++)
        good = is_single(&data->singles[i]);
    return good;
}

enum tm_err pki_ocsp_data_write(const struct pki_ocsp_data *data, struct buf *out) {
    if (!is_writable(data))
        return TM_EINVAL;
    struct der_writer w = der_writer_after(out);
    size_t end = der_mark(&w);
    for (size_t i = data->count; i > 0; i--)
        put_single(&w, &data->singles[i - 1]);
    der_wrap(&w, DER_SEQUENCE, end);
    put_time(&w, data->produced_ms);
    size_t responder = der_mark(&w);
    der_put(&w, DER_OCTET_STRING, data->key_hash);
    der_wrap(&w, DER_CONTEXT_CONSTRUCTED(2), responder);
    der_wrap(&w, DER_SEQUENCE, end);
    return der_append(&w, out);
}
