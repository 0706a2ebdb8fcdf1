/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a profile comes to, without a server, a token or a store: a certificate for a sample device
 * and a new key, made the way of every certificate (ca/build.h, ca/lint.h) under a throwaway issuer
 * whose key is in memory only, and judged by OpenSSL's strict rules. Not thread-safe per trial.
 */
#ifndef TOUCHMARK_CA_PROFILE_TRIAL_H
#define TOUCHMARK_CA_PROFILE_TRIAL_H

#include "ca/profile.h"

struct ca_trial;

/* Makes the issuer; it is valid around now_ms and its CRL has shards. TM_ENOMEM, TM_ECRYPTO. */
MUST_USE enum tm_err ca_trial_new(int64_t now_ms, struct ca_trial **ret_trial);
void ca_trial_free(struct ca_trial *trial); /* NULL-safe */

/* Appends the DER of a certificate for a new key of this kind (a CA_KEY_* bit); IPC_CERT_MAX octets
 * are enough for what can be issued. On failure one sentence goes to `text`: TM_EDENIED, the
 * certificate cannot be built, breaks a rule of lint or is not taken by OpenSSL; TM_ECRYPTO, no key
 * could be made or it could not sign; TM_ELIMIT. */
MUST_USE enum tm_err ca_trial_issue(const struct ca_trial *trial, const struct ca_profile *profile,
                                    unsigned key, struct buf *out, char text[CONF_ERROR_MAX]);

#endif
