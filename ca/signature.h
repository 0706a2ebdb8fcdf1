/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures by peers' keys, over requests (RFC 2986) and CMS messages (RFC 5652): one table of the
 * algorithms that are taken. Thread-safe, but for the checker.
 */
#ifndef TOUCHMARK_CA_SIGNATURE_H
#define TOUCHMARK_CA_SIGNATURE_H

#include "ca/csr_check.h"

/* Is this one of the algorithms that are taken? */
bool ca_signature_taken(enum pki_oid algorithm);

/* Does `signature` over `message` verify with the key? TM_EINVAL: the algorithm is not taken, or
 * not one of the key's; TM_EPARSE: the key is not a valid one; TM_ECRYPTO: it does not verify. */
MUST_USE enum tm_err ca_signature_verify(const struct ca_checker *checker,
                                         const struct pki_spki *spki, enum pki_oid algorithm,
                                         struct bytes message, struct bytes signature);

/* The same with a key that there is; kind: of its SubjectPublicKeyInfo. */
MUST_USE enum tm_err ca_signature_verify_by(EVP_PKEY *key, enum pki_oid kind,
                                            enum pki_oid algorithm, struct bytes message,
                                            struct bytes signature);

/* The algorithm in a SignerInfo: some sign with rsaEncryption and leave the digest to the
 * digestAlgorithm (RFC 3370, 3.2). UNKNOWN: none that is taken. */
enum pki_oid ca_signature_of_signer(struct bytes algorithm, enum pki_oid digest);

/* The digest of data by its object identifier: SHA256, SHA384, SHA512. Appends. TM_EINVAL: another;
 * TM_ECRYPTO, TM_ELIMIT. */
MUST_USE enum tm_err ca_digest(enum pki_oid digest, struct bytes data, struct buf *out);

#endif
