/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's challenges: what makes a CMC request fresh when no live TLS session does. A
 * challenge is for one device, lives for minutes and is not stored: it carries the time it was made
 * and a MAC by a key that dies with the process. Single use follows from the device's transaction,
 * which names the newest challenge that was used: what was made up to then is used up. A maker
 * belongs to one thread.
 */
#ifndef TOUCHMARK_CA_CHALLENGE_H
#define TOUCHMARK_CA_CHALLENGE_H

#include "ca/types.h"

#define CA_CHALLENGE_SIZE 32   /* octets: time 8, random 8, MAC 16 */
#define CA_CHALLENGE_MS 600000 /* how long one is good */

struct ca_challenger;
MUST_USE enum tm_err ca_challenger_new(struct ca_challenger **ret);
void ca_challenger_free(struct ca_challenger *challenger); /* NULL-safe; wipes the key */

/* TM_ECRYPTO. */
MUST_USE enum tm_err ca_challenge_make(struct ca_challenger *challenger, const char *tenant,
                                       const char *device, int64_t now_ms,
                                       uint8_t ret[CA_CHALLENGE_SIZE]);
/* TM_OK and when it was made; TM_EDENIED: not one of this process for this device; TM_ETIMEOUT:
 * made more than CA_CHALLENGE_MS ago, or in the future. */
MUST_USE enum tm_err ca_challenge_check(struct ca_challenger *challenger, const char *tenant,
                                        const char *device, int64_t now_ms, struct bytes challenge,
                                        int64_t *ret_made_ms);

#endif
