/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CA certificates by the rules of RFC 5280: building the part to be signed, putting the
 * signature on, and having OpenSSL judge the result. Internal to ca/. Pure; thread-safe.
 */
#ifndef TOUCHMARK_CA_CEREMONY_CERT_H
#define TOUCHMARK_CA_CEREMONY_CERT_H

#include "ca/ceremony.h"
#include "ca/types.h"
#include "pki/cert.h"

#define CA_NAME_DER_MAX 1024

/* The subject of a CA: its attributes, of which there is one at least, and before the last those of
 * environment and scope. TM_ELIMIT. */
MUST_USE enum tm_err ca_ceremony_name(const struct ca_ceremony_ca *ca, unsigned environment,
                                      struct buf *out);

/* notAfter of a CA that is valid from now_ms on. */
int64_t ca_ceremony_not_after(const struct ca_ceremony_ca *ca, int64_t now_ms);

struct ca_ceremony_tbs {
    struct bytes subject;       /* whole Name */
    struct bytes issuer;        /* whole Name */
    struct pki_spki spki;       /* the subject's */
    struct pki_spki signer;     /* the issuer's */
    struct bytes key_id;        /* the subject's subjectKeyIdentifier; empty: made from its key */
    struct bytes signer_key_id; /* the issuer's; likewise */
    const struct ca_serial *serial;
    int64_t not_before_ms;
    int64_t not_after_ms;
    uint16_t key_usage; /* PKI_KU_* */
    uint64_t path_len;
};

/* Appends the TBSCertificate. TM_ELIMIT, TM_ECRYPTO. */
MUST_USE enum tm_err ca_ceremony_put_tbs(const struct ca_ceremony_tbs *tbs, struct buf *out);
/* Appends the Certificate. */
MUST_USE enum tm_err ca_ceremony_put_certificate(const struct pki_spki *signer, struct bytes tbs,
                                                 struct bytes signature, struct buf *out);

/* Does OpenSSL accept the certificate under this root, by all its strict rules? The same bytes
 * for both: a root on itself. `between`: a certificate that the path leads over, or empty.
 * TM_ECRYPTO, and why not in `text`. */
MUST_USE enum tm_err ca_ceremony_verify(struct bytes certificate, struct bytes between,
                                        struct bytes root, char text[CA_KEYSTORE_TEXT_MAX]);

#endif
