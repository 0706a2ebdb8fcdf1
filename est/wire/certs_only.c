/* SPDX-License-Identifier: Apache-2.0 */
/* SignedData without signers (RFC 5652, 5.1; "certs-only": RFC 8551, 3.8). */
#include "est/wire/certs_only.h"

#include "est/wire/content_info.h"
#include "pki/der.h"
#include "pki/oid.h"

#define VERSION_WRITTEN 1
#define VERSION_LAST 5 /* RFC 5652, 5.1 */

/* One Certificate after the other, at least one. */
static bool are_certificates(struct bytes certificates) {
    struct der certificate;
    if (certificates.n == 0)
        return false;
    while (certificates.n > 0)
        if (der_expect(&certificates, DER_SEQUENCE, &certificate) != TM_OK)
            return false;
    return true;
}

enum tm_err est_certs_only_write(struct bytes certificates, struct buf *out) {
    if (!are_certificates(certificates))
        return TM_EPARSE;
    struct der_writer w = der_writer_after(out);
    size_t end = der_mark(&w);
    der_put(&w, DER_SET, (struct bytes){0}); /* signerInfos */
    der_put(&w, DER_CONTEXT_CONSTRUCTED(0), certificates);
    size_t content = der_mark(&w);
    der_put(&w, DER_OID, pki_oid_bytes(PKI_OID_DATA));
    der_wrap(&w, DER_SEQUENCE, content);
    der_put(&w, DER_SET, (struct bytes){0}); /* digestAlgorithms */
    der_put_small(&w, VERSION_WRITTEN);
    der_wrap(&w, DER_SEQUENCE, end);
    der_wrap(&w, DER_CONTEXT_CONSTRUCTED(0), end);
    der_put(&w, DER_OID, pki_oid_bytes(PKI_OID_SIGNED_DATA));
    der_wrap(&w, DER_SEQUENCE, end);
    return der_append(&w, out);
}

/* version, digestAlgorithms and an encapContentInfo of id-data without content. */
static enum tm_err skip_head(struct bytes *in) {
    struct der version, digests, encap, type;
    uint32_t number;
    if (der_expect(in, DER_INTEGER, &version) != TM_OK || der_small(&version, &number) != TM_OK ||
        number < 1 || number > VERSION_LAST || der_expect(in, DER_SET, &digests) != TM_OK ||
        der_expect(in, DER_SEQUENCE, &encap) != TM_OK ||
        der_only(encap.value, DER_OID, &type) != TM_OK || pki_oid_find(type.value) != PKI_OID_DATA)
        return TM_EPARSE;
    return TM_OK;
}

enum tm_err est_certs_only_read(struct bytes content_info, struct bytes *ret_certificates) {
    struct bytes in;
    struct der certificates, crls, signers;
    bool there;
    if (est_signed_data_open(content_info, &in) != TM_OK || skip_head(&in) != TM_OK ||
        der_expect(&in, DER_CONTEXT_CONSTRUCTED(0), &certificates) != TM_OK ||
        der_optional(&in, DER_CONTEXT_CONSTRUCTED(1), &crls, &there) != TM_OK ||
        der_only(in, DER_SET, &signers) != TM_OK || signers.value.n != 0 ||
        !are_certificates(certificates.value))
        return TM_EPARSE;
    *ret_certificates = certificates.value;
    return TM_OK;
}
