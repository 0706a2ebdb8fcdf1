/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May this ticket be signed? The signer's own judgement, on the DER itself: it trusts neither
 * the core that built the certificate nor that the core linted it. Pure: no token, no
 * socket. Thread-safe. Internal to pkcs11/.
 *
 * A CMC ticket does not say which octets are signed. It brings a PKIResponse, and what is signed is
 * the SET OF signed attributes that are made here of its digest. A SET OF begins with 0x31, a
 * TBSCertificate, CRL or request with 0x30: so no signature for CMC is ever one on a certificate,
 * whatever the content may be.
 */
#ifndef TOUCHMARK_PKCS11_TICKET_H
#define TOUCHMARK_PKCS11_TICKET_H

#include "ca/issuer.h"
#include "ca/profile.h"

/* What the signer was started with. */
struct hsm_rules {
    const struct ca_issuer *const *issuers;
    size_t issuer_count;
    const struct ca_profile *profiles;
    size_t profile_count;
};

/* TM_OK and the issuer's index; TM_EDENIED and in text which rule the ticket breaks. */
MUST_USE enum tm_err hsm_ticket_check(const struct hsm_rules *rules,
                                      const struct ipc_ticket *ticket, size_t *ret_issuer,
                                      char text[IPC_TEXT_MAX + 1]);

#define HSM_CMC_SKEW_MS INT64_C(300000) /* between a signing-time and this process's clock */

/* The same for a PKIResponse; the signed attributes (RFC 5652, 5.4), which are what the key signs,
 * are appended to `out`, for which EST_SIGNED_ATTRIBUTES_MAX octets are enough. now_ms: the wall
 * clock. */
MUST_USE enum tm_err hsm_cmc_ticket_check(const struct hsm_rules *rules,
                                          const struct ipc_cmc_ticket *ticket, int64_t now_ms,
                                          size_t *ret_issuer, struct buf *out,
                                          char text[IPC_TEXT_MAX + 1]);

/* The same for the digest of an AsymmetricKeyPackage (RFC 5958, 2), which stays with the core. */
MUST_USE enum tm_err hsm_keygen_ticket_check(const struct hsm_rules *rules,
                                             const struct ipc_keygen_ticket *ticket, int64_t now_ms,
                                             size_t *ret_issuer, struct buf *out,
                                             char text[IPC_TEXT_MAX + 1]);

#endif
