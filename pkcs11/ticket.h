/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May this ticket be signed? The signer's own judgement, on the DER itself: it trusts neither
 * the core that built the certificate nor that the core linted it. Pure: no token, no
 * socket. Thread-safe. Internal to pkcs11/.
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

#endif
