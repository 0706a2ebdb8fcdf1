/* SPDX-License-Identifier: Apache-2.0 */
/* SubjectPublicKeyInfo of a P-256 key from its coordinates. */
#include "client/port/p256.h"

#include <string.h>

#include "pki/der.h"
#include "pki/oid.h"

#define UNCOMPRESSED 0x04 /* SEC 1, 2.3.3 */

enum tm_err tm_p256_spki(struct bytes x, struct bytes y, struct buf *out) {
    uint8_t point[1 + 2 * TM_P256_SIZE] = {UNCOMPRESSED};
    if (x.n > TM_P256_SIZE || y.n > TM_P256_SIZE)
        return TM_EPARSE;
    if (x.n)
        memcpy(point + 1 + TM_P256_SIZE - x.n, x.p, x.n);
    if (y.n)
        memcpy(point + 1 + 2 * TM_P256_SIZE - y.n, y.p, y.n);
    struct der_writer w = der_writer_after(out);
    size_t end = der_mark(&w);
    der_put_bits(&w, BYTES_OF(point));
    size_t algorithm_end = der_mark(&w);
    der_put(&w, DER_OID, pki_oid_bytes(PKI_OID_PRIME256V1));
    der_put(&w, DER_OID, pki_oid_bytes(PKI_OID_EC_PUBLIC_KEY));
    der_wrap(&w, DER_SEQUENCE, algorithm_end);
    der_wrap(&w, DER_SEQUENCE, end);
    return der_append(&w, out);
}
