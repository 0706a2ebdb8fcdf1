/* SPDX-License-Identifier: Apache-2.0 */
/* TBSCertificate and Certificate (RFC 5280, 4.1), written back to front: see ca/build.h. */
#include "ca/build.h"

#include <openssl/rand.h>

#include "ca/build_internal.h"

#define SERIAL_TIME_OCTETS 6
#define SERIAL_RANDOM_OCTETS 10
/* From then on (November 2004) the first octet of the milliseconds is not zero, and until the year
 * 6429 its first bit is, so that the INTEGER is minimal and positive. */
#define SERIAL_TIME_MIN (INT64_C(1) << 40)
#define SERIAL_TIME_MAX (INT64_C(1) << 47)

struct validity {
    int64_t not_before_ms;
    int64_t not_after_ms;
};

static int64_t whole_seconds(int64_t ms) {
    return ms / 1000 * 1000;
}

static enum tm_err decide_validity(const struct ca_build *b, struct validity *ret) {
    const struct ca_profile *profile = b->profile;
    const struct pki_cert *issuer = &b->issuer->view;
    if (b->now_ms < issuer->not_before_ms || b->now_ms > issuer->not_after_ms)
        return TM_EDENIED;
    int64_t from = whole_seconds(b->now_ms - profile->backdate);
    int64_t to =
        profile->not_after ? profile->not_after : whole_seconds(b->now_ms + profile->validity);
    if (from < issuer->not_before_ms)
        from = issuer->not_before_ms;
    if (to > issuer->not_after_ms && profile->kind != CA_KIND_IDEVID)
        to = issuer->not_after_ms;
    if (to <= b->now_ms)
        return TM_EDENIED;
    *ret = (struct validity){from, to};
    return TM_OK;
}

static void put_validity(struct der_writer *w, const struct validity *validity) {
    size_t end = der_mark(w);
    der_put_time(w, validity->not_after_ms);
    der_put_time(w, validity->not_before_ms);
    der_wrap(w, DER_SEQUENCE, end);
}

static void put_version_3(struct der_writer *w) {
    size_t end = der_mark(w);
    der_put_small(w, 2);
    der_wrap(w, DER_CONTEXT_CONSTRUCTED(0), end);
}

enum tm_err ca_build_tbs(const struct ca_build *b, struct buf *out) {
    struct validity validity;
    enum tm_err err = decide_validity(b, &validity);
    if (err)
        return err;
    struct der_writer w = der_writer_after(out);
    size_t end = der_mark(&w);
    err = ca_put_extensions(&w, b);
    if (err)
        return err;
    der_raw(&w, b->spki->whole);
    if (b->renewal && b->keep_subject.n)
        der_raw(&w, b->keep_subject);
    else
        err = ca_put_subject(&w, b->profile, b->device);
    if (err)
        return err;
    put_validity(&w, &validity);
    der_raw(&w, b->issuer->view.subject);
    ca_put_signature_algorithm(&w, b->issuer->signature);
    der_put(&w, DER_INTEGER, (struct bytes){b->serial->octets, b->serial->n});
    put_version_3(&w);
    der_wrap(&w, DER_SEQUENCE, end);
    err = der_append(&w, out);
    if (!err && b->ret_not_after_ms)
        *b->ret_not_after_ms = validity.not_after_ms;
    return err;
}

enum tm_err ca_build_certificate(const struct ca_issuer *issuer, struct bytes tbs,
                                 struct bytes signature, struct buf *out) {
    struct der_writer w = der_writer_after(out);
    size_t end = der_mark(&w);
    der_put_bits(&w, signature);
    ca_put_signature_algorithm(&w, issuer->signature);
    der_raw(&w, tbs);
    der_wrap(&w, DER_SEQUENCE, end);
    return der_append(&w, out);
}

enum tm_err ca_serial_make(int64_t now_ms, struct ca_serial *ret) {
    if (now_ms < SERIAL_TIME_MIN || now_ms >= SERIAL_TIME_MAX)
        return TM_EINVAL;
    struct ca_serial serial = {.n = SERIAL_TIME_OCTETS + SERIAL_RANDOM_OCTETS};
    struct buf time = {serial.octets, SERIAL_TIME_OCTETS, 0, false};
    buf_put_be(&time, (uint64_t)now_ms, SERIAL_TIME_OCTETS);
    if (RAND_bytes(serial.octets + SERIAL_TIME_OCTETS, SERIAL_RANDOM_OCTETS) != 1)
        return TM_ECRYPTO;
    *ret = serial;
    return TM_OK;
}
