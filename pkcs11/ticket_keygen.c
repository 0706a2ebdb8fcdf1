/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signer's check of tickets for generated keys (RFC 7030, 4.4.2): see pkcs11/ticket.h. The
 * private key is nobody's business here, so the ticket brings no more than a digest. That is
 * enough: what is signed are attributes that say that the digest is an AsymmetricKeyPackage's.
 */

#include "est/wire/signed_data.h"
#include "pkcs11/ticket.h"

static size_t digest_size(const struct ca_issuer *issuer) {
    switch (ca_issuer_digest(issuer)) {
    case PKI_OID_SHA256:
        return 32;
    case PKI_OID_SHA384:
        return 48;
    default:
        return 64;
    }
}

enum tm_err hsm_keygen_ticket_check(const struct hsm_rules *rules,
                                    const struct ipc_keygen_ticket *ticket, int64_t now_ms,
                                    size_t *ret_issuer, struct buf *out,
                                    char text[IPC_TEXT_MAX + 1]) {
    size_t i;
    if (!hsm_rules_find(rules, ticket->issuer, &i))
        return hsm_ticket_refuse(text, "no such issuer here");
    if (!hsm_is_now(ticket->signing_time_ms, now_ms))
        return hsm_ticket_refuse(text, "the signing-time is not now (RFC 5652, 11.3)");
    if (ticket->digest.n != digest_size(rules->issuers[i]))
        return hsm_ticket_refuse(text, "not a digest of the issuer's algorithm (RFC 5652, 5.4)");
    if (est_signed_attributes_write(PKI_OID_CT_KP_AKEY_PACKAGE, ticket->digest,
                                    ticket->signing_time_ms, out) != TM_OK)
        return hsm_ticket_refuse(text, "the signed attributes cannot be made");
    *ret_issuer = i;
    return TM_OK;
}
