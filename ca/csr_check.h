/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks on a parsed request that need cryptography or policy: key accepted by the
 * profile and a valid key, proof of possession (RFC 2986 self-signature), PoP
 * linking (RFC 7030, 3.5; RFC 7894), extensions and attributes that are asked for. Each
 * answers an ipc_outcome and a sentence. Thread-safe, but for the checker.
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

/* Fills *ret and returns false. Control characters and what is not ASCII become '?'. */
bool ca_refuse(struct ca_refusal *ret, enum ipc_outcome outcome, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What verification needs and is the same for every request: one key per curve, of which each
 * request's key is a copy with another point (6 us; made anew it is 20). For one thread. */
struct ca_checker;
MUST_USE enum tm_err ca_checker_new(struct ca_checker **ret_checker);
void ca_checker_free(struct ca_checker *checker); /* NULL-safe */

/* The OpenSSL key of an accepted SubjectPublicKeyInfo, without OSSL_DECODER. NULL when the key is
 * invalid: an EC point off its curve, say. The caller frees. */
EVP_PKEY *ca_spki_key(const struct ca_checker *checker, const struct pki_spki *spki);

/* true = passes. ca_check_key comes first and costs no cryptography: kind, size, form (EC points
 * uncompressed, RSA exponents odd and at least 65537). BAD_KEY. */
MUST_USE bool ca_check_key(const struct pki_csr *csr, const struct ca_profile *profile,
                           struct ca_refusal *ret);
/* The self-signature. An EC point off its curve is found here. BAD_POP, BAD_KEY. */
MUST_USE bool ca_check_pop(const struct ca_checker *checker, const struct pki_csr *csr,
                           struct ca_refusal *ret);

/* exporter and unique: the raw channel-binding values of the session that carried the request;
 * empty if the session has none. exempt: the peer is an RA (id-kp-cmcRA), which has verified this
 * itself (RFC 7030, 3.7): nothing is looked at. For everybody else every value that is
 * present is verified, also where the profile says off or the session has nothing to
 * compare with: then it is another session's, or a password that this service does not
 * know ("If tls-unique information is included by the client, the server MUST verify it";
 * presence of the attribute means that it is). NOT_LINKED, BAD_LINK. */
MUST_USE bool ca_check_link(const struct pki_csr *csr, const struct ca_profile *profile,
                            struct bytes exporter, struct bytes unique, bool exempt,
                            struct ca_refusal *ret);

/*
 * Extensions and attributes that are asked for: nothing else is issued than what was asked,
 * so what the profile neither sets nor takes is refused, critical or not. Accepted are
 *   keyUsage, extKeyUsage   whose every bit and purpose the profile sets
 *   basicConstraints        of an end entity
 *   subjectKeyIdentifier    that derives from the key, by SHA-1 or SHA-256; the certificate has
 *                           the latter
 *   subjectAltName          names that the certificate will have anyway (own_san), and, if the
 *                           profile takes them, dNSName, iPAddress and URI
 * Attributes that ask for nothing in the certificate (unstructuredName, MAC addresses ...) are
 * passed over; revocationChallenge is refused, because nothing would keep its promise.
 *
 * own_san: whole GeneralNames of ca_build_san, or of the certificate being renewed; may be
 * empty. BAD_EXTENSION, BAD_SAN.
 */
MUST_USE bool ca_check_extensions(const struct pki_csr *csr, const struct ca_profile *profile,
                                  struct bytes own_san, struct ca_refusal *ret);

#endif
