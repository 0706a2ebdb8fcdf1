/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates that authenticate no more although they are not revoked one by one, or not yet:
 * those that were issued before their device was reworked, and those that an act under way revokes.
 * An act takes minutes over many; were it not for this, a device could renew before its turn comes,
 * and the new certificate would not be among those that were meant. One loop's thread.
 */
#ifndef TOUCHMARK_CA_WITHDRAWAL_H
#define TOUCHMARK_CA_WITHDRAWAL_H

#include "ca/act_selection.h"

/* What an act revokes; whoever carries it out keeps this until it is over. */
struct ca_withdrawal {
    struct ca_selection selection;
    struct ca_withdrawal *next;
};
struct ca_withdrawals {
    struct ca_withdrawal *first;
};
void ca_withdrawal_begin(struct ca_withdrawals *all, struct ca_withdrawal *withdrawal);
/* Does nothing when it has not begun. */
void ca_withdrawal_end(struct ca_withdrawals *all, const struct ca_withdrawal *withdrawal);

/* Whoever lets a certificate authenticate asks this, beside its status, with its device's record.
 * all: those under way; NULL: there are none. */
bool ca_withdrawn(const struct ca_withdrawals *all, const struct ca_certificate *certificate,
                  const struct ca_device *device);
#define CA_WITHDRAWN_TEXT "the certificate was withdrawn, with others of its device or its kind"

#endif
