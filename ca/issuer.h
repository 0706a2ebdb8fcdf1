/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An issuing CA: its pinned certificate, what is derived from it once, and the check of
 * every signature against it. Constant after loading; thread-safe for reading.
 */
#ifndef TOUCHMARK_CA_ISSUER_H
#define TOUCHMARK_CA_ISSUER_H

#include <openssl/evp.h>

#include "ca/types.h"
#include "pki/cert.h"

struct ca_issuer {
    char name[IPC_NAME_MAX + 1];
    struct bytes der;       /* owned */
    struct bytes chain;     /* owned: DER of the certificates above it, the root last */
    struct pki_cert view;   /* of der */
    struct bytes key_id;    /* its subjectKeyIdentifier: AKI of what it signs */
    enum pki_oid signature; /* algorithm it signs with, by its key */
    EVP_PKEY *key;          /* public */
    unsigned crl_shards;    /* of its CRL, 0: none; set by who loads it (ca/crl.h: ca_crl_shard) */
    /* Set by who loads it: its key is not here, another CA signs (ca/upstream.h); and its subjects
     * and names may be those of the request (conf_upstream.names). */
    bool remote, names_of_request;
};

/* Reads PEM files; refuses a certificate that is no CA (RFC 5280, 4.2.1.9), lacks
 * keyCertSign or a SKI, or a chain that does not verify up to a self-signed root. The
 * sentence goes to `text`. TM_EIO, TM_EPARSE, TM_EDENIED. */
MUST_USE enum tm_err ca_issuer_load(const char *name, const char *cert_path, const char *chain_path,
                                    struct ca_issuer *ret_issuer, char text[IPC_TEXT_MAX + 1]);
void ca_issuer_free(struct ca_issuer *issuer);

/* Verifies a signature over tbs with the pinned key. TM_ECRYPTO when it is not good. */
MUST_USE enum tm_err ca_issuer_verify(const struct ca_issuer *issuer, struct bytes tbs,
                                      struct bytes signature);
/* The same for another key on the token, and the algorithm that keys of a kind sign with here;
 * UNKNOWN: none. */
MUST_USE enum tm_err ca_key_verify(EVP_PKEY *key, enum pki_oid algorithm, struct bytes tbs,
                                   struct bytes signature);
enum pki_oid ca_signature_for(const struct pki_spki *spki);
/* The digest that goes with an issuer's signatures in CMS (RFC 5754; RFC 8419): PKI_OID_SHA256,
 * SHA384 or SHA512; and its value over `data`. EST_DIGEST_MAX octets are always enough. TM_ECRYPTO.
 */
enum pki_oid ca_issuer_digest(const struct ca_issuer *issuer);
MUST_USE enum tm_err ca_issuer_digest_make(const struct ca_issuer *issuer, struct bytes data,
                                           struct buf *out);
/* The AlgorithmIdentifier of a signature algorithm, whole: parameters NULL for RSA (RFC 4055, 5),
 * absent else (RFC 5758, 3.2; RFC 8410, 3). */
void ca_put_signature_algorithm(struct der_writer *w, enum pki_oid signature);

/* Does the token's key (whole SubjectPublicKeyInfo) belong to this certificate? */
bool ca_issuer_has_key(const struct ca_issuer *issuer, struct bytes spki);

#endif
