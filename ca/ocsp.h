/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCSP responses (RFC 6960) for an issuer's certificates, by a key that the issuer delegated this
 * to (4.2.2.2). Thread-safe.
 */
#ifndef TOUCHMARK_CA_OCSP_H
#define TOUCHMARK_CA_OCSP_H

#include "ca/issuer.h"
#include "pki/ocsp.h"

/* Who answers: the delegated certificate, and what is derived from it once. */
struct ca_ocsp_responder {
    struct bytes der;       /* owned */
    struct pki_cert view;   /* of der */
    enum pki_oid signature; /* algorithm it signs with, by its key */
    uint8_t key_hash[PKI_OCSP_KEY_HASH_SIZE];
    EVP_PKEY *key; /* public */
};
/* Copies the certificate. TM_EPARSE; TM_EDENIED: it is not the issuer's, not for OCSPSigning, or
 * has the issuer's own key; TM_ECRYPTO, TM_ENOMEM. Whether it is in its time is the caller's to
 * see. */
MUST_USE enum tm_err ca_ocsp_responder_load(const struct ca_issuer *issuer, struct bytes der,
                                            struct ca_ocsp_responder *ret,
                                            char text[IPC_TEXT_MAX + 1]);
void ca_ocsp_responder_free(struct ca_ocsp_responder *responder);

/* SHA-1 of a subjectPublicKey's octets: how a responder names itself. TM_ECRYPTO. */
MUST_USE enum tm_err ca_ocsp_key_hash(const struct pki_spki *spki,
                                      uint8_t ret[PKI_OCSP_KEY_HASH_SIZE]);

/* Does a CertID say that this is the certificate's issuer? By SHA-1 or SHA-256. */
bool ca_ocsp_names_issuer(const struct ca_issuer *issuer, const struct pki_ocsp_cert_id *id);
/* Appends the CertID of a certificate of the issuer. hash: PKI_OID_SHA1 or PKI_OID_SHA256, else
 * TM_EINVAL; TM_ELIMIT, TM_ECRYPTO. */
MUST_USE enum tm_err ca_ocsp_cert_id(const struct ca_issuer *issuer, enum pki_oid hash,
                                     const struct ca_serial *serial, struct buf *out);

/* Appends the ResponseData (for a ticket of CA_TICKET_OCSP) by this responder. As
 * pki_ocsp_data_write. */
MUST_USE enum tm_err ca_ocsp_data(const struct ca_ocsp_responder *responder, int64_t produced_ms,
                                  const struct pki_ocsp_single *singles, size_t count,
                                  struct buf *out);
/* Appends the OCSPResponse of a ResponseData and its signature, with the responder's certificate.
 * TM_ECRYPTO: the signature is not its over this data, and nothing is appended; TM_ELIMIT. */
MUST_USE enum tm_err ca_ocsp_response(const struct ca_ocsp_responder *responder, struct bytes data,
                                      struct bytes signature, struct buf *out);

/* Responses that say only why there is none, unsigned (4.2.1, 2.3). The values in DER. */
enum ca_ocsp_error {
    CA_OCSP_MALFORMED_REQUEST = 1,
    CA_OCSP_INTERNAL_ERROR = 2,
    CA_OCSP_TRY_LATER = 3,
    CA_OCSP_UNAUTHORIZED = 6, /* also: no issuer of ours (RFC 5019, 2.2.3) */
};
/* Appends it whole. TM_ELIMIT. */
MUST_USE enum tm_err ca_ocsp_error(enum ca_ocsp_error error, struct buf *out);

#endif
