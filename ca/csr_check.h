/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks on a parsed request that need cryptography or policy: key accepted by the
 * profile and a valid key, proof of possession (RFC 2986 self-signature), PoP
 * linking (RFC 7030, 3.5; RFC 7894). Each answers an ipc_outcome and a sentence.
 */
#ifndef TOUCHMARK_CA_CSR_CHECK_H
#define TOUCHMARK_CA_CSR_CHECK_H

#include <openssl/evp.h>

#include "ca/profile.h"
#include "pki/csr.h"

struct ca_refusal {
    enum ipc_outcome outcome; /* 0 = not refused */
    char text[IPC_TEXT_MAX + 1];
};

/* true = passes. The key is judged before its signature is verified (an unacceptable
 * key costs no crypto). EC points are checked to be on the curve. BAD_KEY, BAD_POP. */
MUST_USE bool ca_check_key(const struct pki_csr *csr, const struct ca_profile *profile,
                           struct ca_refusal *ret);
MUST_USE bool ca_check_pop(const struct pki_csr *csr, struct ca_refusal *ret);
/* exporter and unique: the raw channel-binding values of the session that carried the request;
 * empty if the session has none. exempt: the peer is an RA (id-kp-cmcRA). A value present is always
 * verified, even where the profile says off. NOT_LINKED, BAD_LINK. */
MUST_USE bool ca_check_link(const struct pki_csr *csr, const struct ca_profile *profile,
                            struct bytes exporter, struct bytes unique, bool exempt,
                            struct ca_refusal *ret);
/* Extensions and attributes that are asked for: only those the profile can honour or that
 * agree with what it sets anyway. BAD_EXTENSION, BAD_SAN. */
MUST_USE bool ca_check_extensions(const struct pki_csr *csr, const struct ca_profile *profile,
                                  struct ca_refusal *ret);

/* The OpenSSL key of an accepted SubjectPublicKeyInfo, without OSSL_DECODER (12 us instead of 92).
 * NULL when the key is invalid. The caller frees. */
EVP_PKEY *ca_spki_key(const struct pki_spki *spki);

#endif
