/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ticket of any kind, from the message to what is to be signed for it: one switch over the kinds
 * for each question that a signer thread has. Belongs to one thread. Internal to pkcs11/.
 */
#ifndef TOUCHMARK_PKCS11_ORDER_H
#define TOUCHMARK_PKCS11_ORDER_H

#include "est/wire/signed_data.h"
#include "pkcs11/ticket.h"

struct hsm_order {
    enum ipc_type type;
    union {
        struct ipc_ticket certificate;
        struct ipc_cmc_ticket cmc;
        struct ipc_keygen_ticket keygen;
        struct ipc_status_ticket status;
        struct ipc_tls_ticket tls;
        struct ipc_checkpoint_ticket checkpoint;
    } u;
    int fd;            /* that came with it, -1: none */
    struct bytes file; /* mapped from fd while it is judged and signed */
    uint8_t attributes[EST_SIGNED_ATTRIBUTES_MAX]; /* signed attributes made for it */
};

/* Takes fd over. TM_EPARSE: no ticket, or a descriptor with one that needs none; nothing is then
 * left to be ended. BYTES members borrow from the message. */
MUST_USE enum tm_err hsm_order_read(struct bytes message, int fd, struct hsm_order *ret);
void hsm_order_end(struct hsm_order *order); /* closes and unmaps */

uint64_t hsm_order_id(const struct hsm_order *order);
const char *hsm_order_issuer(const struct hsm_order *order);
const char *hsm_order_what(const struct hsm_order *order); /* for logs: "a CRL", a profile's name */

/* May it be signed, and which octets, by which key? TM_EDENIED: text says which rule it breaks.
 * ret->message is borrowed from the order. */
MUST_USE enum tm_err hsm_order_judge(struct hsm_order *order, const struct hsm_rules *rules,
                                     int64_t now_ms, struct hsm_permit *ret,
                                     char text[IPC_TEXT_MAX + 1]);

#endif
