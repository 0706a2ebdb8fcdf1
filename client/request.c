/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS#10 requests, written back to front: see client/request.h. */
#include "client/request.h"

#include <string.h>

#include "client/device.h"
#include "est/wire/base64.h"
#include "pki/name.h"

#define PASSWORD_MAX ((TM_BINDING_MAX + 2) / 3 * 4)

static void put_oid(struct der_writer *w, enum pki_oid oid) {
    der_put(w, DER_OID, pki_oid_bytes(oid));
}

/* RFC 5280, 4.2.1.6: subjectAltName is critical when the subject is empty. */
static void put_alt_name(struct der_writer *w, const struct tm_request *request) {
    if (request->san.n == 0)
        return;
    size_t end = der_mark(w);
    der_put(w, DER_OCTET_STRING, request->san);
    if (pki_name_empty(request->subject))
        der_put_boolean(w, true);
    put_oid(w, PKI_OID_SUBJECT_ALT_NAME);
    der_wrap(w, DER_SEQUENCE, end);
}

/* RFC 5272, 3.2: a CMC request that the requested key signs is found by this. */
static void put_key_id(struct der_writer *w, const struct tm_request *request) {
    if (request->key_id.n == 0)
        return;
    size_t end = der_mark(w);
    der_put(w, DER_OCTET_STRING, request->key_id);
    der_wrap(w, DER_OCTET_STRING, end);
    put_oid(w, PKI_OID_SUBJECT_KEY_ID);
    der_wrap(w, DER_SEQUENCE, end);
}

static void put_extension_request(struct der_writer *w, const struct tm_request *request) {
    if (request->san.n == 0 && request->key_id.n == 0)
        return;
    size_t end = der_mark(w);
    put_alt_name(w, request);
    put_key_id(w, request);
    der_wrap(w, DER_SEQUENCE, end); /* Extensions */
    der_wrap(w, DER_SET, end);
    put_oid(w, PKI_OID_EXTENSION_REQUEST);
    der_wrap(w, DER_SEQUENCE, end);
}

/* All of base64 is in PrintableString (X.680, 41.4). */
static void put_challenge_password(struct der_writer *w, struct bytes password) {
    if (password.n == 0)
        return;
    size_t end = der_mark(w);
    der_put(w, DER_PRINTABLE_STRING, password);
    der_wrap(w, DER_SET, end);
    put_oid(w, PKI_OID_CHALLENGE_PASSWORD);
    der_wrap(w, DER_SEQUENCE, end);
}

/* X.690, 11.6: the elements of a SET OF ascend as octet strings. */
static bool ascend(struct bytes a, struct bytes b) {
    int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return order < 0 || (order == 0 && a.n <= b.n);
}

/* Attributes [0] stands there even when it is empty (RFC 2986, 4.1). */
static void put_attributes(struct der_writer *w, const struct tm_request *request,
                           struct bytes password) {
    size_t end = der_mark(w);
    put_extension_request(w, request);
    size_t middle = der_mark(w);
    put_challenge_password(w, password);
    struct bytes first = {w->p + w->at, middle - w->at}, second = {w->p + middle, end - middle};
    if (!ascend(first, second)) {
        w->at = end;
        put_challenge_password(w, password);
        put_extension_request(w, request);
    }
    der_wrap(w, DER_CONTEXT_CONSTRUCTED(0), end);
}

/* Each attribute that can hold the ID: serialNumber has fewer characters than commonName. */
static enum tm_err put_subject(struct der_writer *w, const struct tm_request *request) {
    if (request->subject.n > 0) {
        der_raw(w, request->subject);
        return TM_OK;
    }
    const struct pki_rdn all[] = {{PKI_OID_COMMON_NAME, request->device_id},
                                  {PKI_OID_SERIAL_NUMBER, request->device_id}};
    struct pki_rdn rdns[2];
    size_t count = 0;
    if (strnlen(request->device_id, TM_DEVICE_ID_MAX + 1) > TM_DEVICE_ID_MAX)
        return TM_EINVAL;
    for (size_t i = 0; i < 2; i++)
        if (pki_rdn_fits(&all[i]))
            rdns[count++] = all[i];
    if (count == 0)
        return TM_EINVAL;
    pki_name_write(w, rdns, count);
    return TM_OK;
}

enum tm_err tm_request_info(const struct tm_request *request, struct buf *out) {
    uint8_t octets[PASSWORD_MAX];
    struct buf password = BUF_ON(octets);
    if (request->binding.n > TM_BINDING_MAX)
        return TM_ELIMIT;
    enum tm_err err = est_base64_encode(request->binding, 0, &password);
    if (err)
        return err;
    struct der_writer w = der_writer_after(out);
    size_t end = der_mark(&w);
    put_attributes(&w, request, buf_bytes(&password));
    der_raw(&w, request->spki);
    err = put_subject(&w, request);
    if (err)
        return err;
    der_put_small(&w, 0); /* version v1 */
    der_wrap(&w, DER_SEQUENCE, end);
    return der_append(&w, out);
}

enum tm_err tm_request_finish(struct bytes info, struct bytes signature, struct buf *out) {
    struct der_writer w = der_writer_after(out);
    size_t end = der_mark(&w);
    der_put_bits(&w, signature);
    size_t algorithm = der_mark(&w);
    put_oid(&w, PKI_OID_ECDSA_SHA256); /* without parameters: RFC 5758, 3.2 */
    der_wrap(&w, DER_SEQUENCE, algorithm);
    der_raw(&w, info);
    der_wrap(&w, DER_SEQUENCE, end);
    return der_append(&w, out);
}

enum tm_err tm_ecdsa_signature(struct bytes r, struct bytes s, struct buf *out) {
    struct der_writer w = der_writer_after(out);
    size_t end = der_mark(&w);
    der_put_unsigned(&w, s);
    der_put_unsigned(&w, r);
    der_wrap(&w, DER_SEQUENCE, end);
    return der_append(&w, out);
}
