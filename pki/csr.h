/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A view of a PKCS#10 certification request (RFC 2986): one bounded pass over
 * untrusted DER, borrowed fields, nothing allocated, the signature not checked.
 */
#ifndef TOUCHMARK_PKI_CSR_H
#define TOUCHMARK_PKI_CSR_H

#include "pki/cert.h"

#define PKI_ATTRIBUTES_MAX 16

struct pki_csr_attribute {
    enum pki_oid type; /* or UNKNOWN */
    struct bytes oid;
    struct bytes values; /* content of the SET */
};

struct pki_csr {
    struct bytes whole;
    struct bytes info;    /* whole CertificationRequestInfo: what is signed */
    struct bytes subject; /* whole Name */
    struct pki_spki spki;
    size_t attribute_count;
    struct pki_csr_attribute attributes[PKI_ATTRIBUTES_MAX];
    size_t extension_count; /* of extensionRequest, at most one such attribute */
    struct pki_extension extensions[PKI_EXTENSIONS_MAX];
    struct bytes challenge_password; /* string octets, empty = absent */
    struct bytes otp_challenge;      /* RFC 7894 */
    struct bytes revocation_challenge;
    struct bytes est_identity_linking;
    struct bytes change_subject_name; /* whole value, empty = absent */
    enum pki_oid signature_algorithm;
    struct bytes algorithm; /* whole AlgorithmIdentifier */
    struct bytes signature;
};

/* TM_EPARSE: not a request, trailing octets, version other than 0, an attribute
 * or extension that occurs twice; TM_ELIMIT: more of them than the bounds. */
MUST_USE enum tm_err pki_csr_parse(struct bytes der, struct pki_csr *ret);
const struct pki_extension *pki_csr_extension(const struct pki_csr *csr, enum pki_oid type);

#endif
