/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A view of a CRL (RFC 5280, 5) or a to-be-signed one: bounded passes over untrusted DER, fields
 * borrowed from it, nothing allocated, no signature checked. It reads CRLs as a conforming CA makes
 * them: v2, with nextUpdate, authorityKeyIdentifier and cRLNumber, no delta, no indirect one, and
 * of issuingDistributionPoint only one URI. Thread-safe.
 */
#ifndef TOUCHMARK_PKI_CRL_H
#define TOUCHMARK_PKI_CRL_H

#include "pki/cert.h"

struct pki_crl {
    struct bytes whole;         /* the CertificateList; empty for a bare TBSCertList */
    struct bytes tbs;           /* whole TBSCertList */
    struct bytes tbs_algorithm; /* whole AlgorithmIdentifier inside the TBS */
    struct bytes issuer;        /* whole Name */
    int64_t this_update_ms;
    int64_t next_update_ms;
    uint64_t number;        /* cRLNumber (5.2.3) */
    struct bytes key_id;    /* keyIdentifier of authorityKeyIdentifier (5.2.1) */
    struct bytes url;       /* of issuingDistributionPoint (5.2.5); empty: it has none */
    struct bytes entries;   /* for pki_crl_next; not looked at yet */
    struct bytes algorithm; /* outer, whole; empty for a bare TBS */
    struct bytes signature; /* octets; empty for a bare TBS */
};

/* Do not look at the entries, so they cost the same for any number of them. TM_EPARSE: not such a
 * CRL, an extension twice or one that is not named above, trailing octets; TM_ELIMIT: a number of
 * more than 64 bits. */
MUST_USE enum tm_err pki_crl_parse(struct bytes der, struct pki_crl *ret);
MUST_USE enum tm_err pki_crl_tbs_parse(struct bytes der, struct pki_crl *ret);

/* An entry of revokedCertificates (5.1.2.6, 5.3). */
struct pki_crl_entry {
    struct bytes serial; /* INTEGER content octets, positive */
    int64_t revoked_ms;
    uint8_t reason; /* 0 when it does not say: unspecified */
};

/* Takes the first entry off *entries, which starts as pki_crl.entries and is empty at the end.
 * TM_EPARSE: malformed, a serial that is not positive or longer than 20 octets, a reason that is
 * none (5.3.1), an extension beside reasonCode. */
MUST_USE enum tm_err pki_crl_next(struct bytes *entries, struct pki_crl_entry *ret);

/* Can an entry bear this reason, and an OCSP answer? 0, unspecified, says it by bearing none. */
bool pki_crl_reason_valid(uint8_t reason);

/* Is one serial below the other? Both positive INTEGER content octets, minimal. */
bool pki_serial_less(struct bytes a, struct bytes b);

/* Reads all entries once, and how many there are. TM_EPARSE: one is malformed, or their serials do
 * not rise, as those of Touchmark's CRLs do, so that none is there twice. */
MUST_USE enum tm_err pki_crl_walk(const struct pki_crl *crl, uint64_t *ret_count);

#endif
