/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds to-be-signed certificates straight into DER, and puts the signature on.
 * No OpenSSL objects: 4.2 times cheaper than X509_* (docs/performance.md).
 */
#ifndef TOUCHMARK_CA_BUILD_H
#define TOUCHMARK_CA_BUILD_H

#include "ca/issuer.h"
#include "ca/profile.h"
#include "pki/csr.h"

#define CA_SAN_NAMES_MAX 32
#define CA_SAN_MAX 4096 /* octets of a whole GeneralNames */

struct ca_build {
    const struct ca_profile *profile;
    const struct ca_issuer *issuer;
    const struct ca_device *device; /* for the templates */
    const struct ca_serial *serial;
    const struct pki_spki *spki;
    struct bytes requested_san; /* whole GeneralNames, empty = none; taken if the profile does */
    struct bytes keep_subject;  /* whole Name of the certificate being renewed, empty = template */
    struct bytes keep_san;      /* whole GeneralNames of it, empty = none */
    bool renewal;               /* use keep_subject and keep_san */
    int64_t now_ms;
    int64_t *ret_not_after_ms; /* may be NULL */
};

/* Appends the DER TBSCertificate to out. TM_ELIMIT (out, or too many names); TM_EINVAL (a template
 * gives an empty or over-long value: RFC 5280, appendix A upper bounds); TM_EDENIED (the issuer or
 * the profile's not_after is not in its time at now_ms, or a requested name is of a kind
 * that the profile does not take); TM_ECRYPTO. notAfter never passes the issuer's own, except
 * 99991231235959Z for IDevIDs as IEEE 802.1AR asks. */
MUST_USE enum tm_err ca_build_tbs(const struct ca_build *b, struct buf *out);

/* Appends SEQUENCE { tbs, signatureAlgorithm of the issuer, signature }. */
MUST_USE enum tm_err ca_build_certificate(const struct ca_issuer *issuer, struct bytes tbs,
                                          struct bytes signature, struct buf *out);

/* The subject that a device gets under a profile, as a whole Name. */
MUST_USE enum tm_err ca_build_subject(const struct ca_profile *profile,
                                      const struct ca_device *device, struct buf *out);

/* The subjectAltName that a device gets under a profile without asking, as whole GeneralNames;
 * nothing is appended when it has none. */
MUST_USE enum tm_err ca_build_san(const struct ca_profile *profile, const struct ca_device *device,
                                  struct buf *out);

/* The subjectAltName that a certificate of *b will have, requested names and all, as whole
 * GeneralNames; nothing is appended when it has none. Errors as ca_build_tbs. */
MUST_USE enum tm_err ca_build_names(const struct ca_build *b, struct buf *out);

/* New serial: 6 octets of wall milliseconds (first bit 0), then 10 random octets: 16 octets,
 * positive, time-ordered, 80 random bits. TM_ECRYPTO when there is no randomness;
 * TM_EINVAL when the clock says a time before 2005. */
MUST_USE enum tm_err ca_serial_make(int64_t now_ms, struct ca_serial *ret);

#endif
