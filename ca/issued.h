/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate that a peer shows, to the record of it; and what certificates of authorities are.
 */
#ifndef TOUCHMARK_CA_ISSUED_H
#define TOUCHMARK_CA_ISSUED_H

#include "ca/store.h"
#include "pki/cert.h"

/* The record of a certificate that was issued here, or that another CA signed for this one; its DER
 * goes to `der`. fingerprint: SHA-256 of the leaf's. TM_ENOTFOUND: it is neither; TM_EIO,
 * TM_ECORRUPT. */
MUST_USE enum tm_err ca_issued_find(struct ca_store *store, const struct pki_cert *leaf,
                                    const uint8_t fingerprint[CA_HASH_SIZE],
                                    struct ca_certificate *ret, struct buf *der);

/* Has it the purpose of a registration authority (id-kp-cmcRA, RFC 6402, 2.10)? */
bool ca_is_authority(const struct pki_cert *leaf);

#endif
