/* SPDX-License-Identifier: Apache-2.0 */
/* What the sources of client/cmc.h share. Only for the library. */
#ifndef TOUCHMARK_CLIENT_CMC_INTERNAL_H
#define TOUCHMARK_CLIENT_CMC_INTERNAL_H

#include "client/cmc.h"
#include "client/verify_facts.h"
#include "est/wire/signed_data.h"

/* The key that a PKCS#10 is about (whole SubjectPublicKeyInfo), and the subjectKeyIdentifier that
 * it asks for (empty: none). Borrowed. TM_EPARSE, TM_ELIMIT. */
MUST_USE enum tm_err tm_cmc_requested(struct bytes pkcs10, struct bytes *ret_spki,
                                      struct bytes *ret_key_id);

/* Appends the exchange's chain to out; the first certificate's facts are borrowed from there.
 * TM_ECORRUPT: it begins with none; errors of the storage. */
MUST_USE enum tm_err tm_cmc_chain(const struct tm_cmc *cmc, const struct tm_exchange *exchange,
                                  struct buf *out, struct tm_facts *ret_leaf);

/* The witness of identityProofV2 (RFC 5272, 6.2.1): HMAC-SHA256 over the reqSequence, by the key
 * SHA-256(secret || device ID), the secret being the password in TM_ITEM_BOOTSTRAP. TM_ECORRUPT:
 * that item is no credential; errors of the tables. */
MUST_USE enum tm_err tm_cmc_witness(const struct tm_cmc *cmc, struct bytes req_sequence,
                                    uint8_t ret[TM_SHA256_SIZE]);

/* Did someone sign who may answer for the CA, seen from `anchors` (a set of trust anchors and CA
 * certificates) and the certificates in the message? `covered` is what the signature is over. The
 * content's digest is the caller's business. TM_EDENIED: no, ret_text says why; and whatever
 * crypto->verify returned beside TM_ECRYPTO. */
MUST_USE enum tm_err tm_cmc_signer(const struct tm_crypto *crypto, int64_t wall_ms,
                                   const struct est_signed *message, struct bytes covered,
                                   struct bytes anchors, char ret_text[TM_TEXT_MAX]);

#endif
