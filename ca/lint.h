/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lint: the rules of RFC 5280, RFC 6818 and IEEE 802.1AR over a to-be-signed certificate, and its
 * agreement with profile and issuer, checked on the DER itself and not on what the
 * builder meant. A pass makes a token; only with it can a signature be asked for.
 */
#ifndef TOUCHMARK_CA_LINT_H
#define TOUCHMARK_CA_LINT_H

#include "base/bytes.h"

struct ca_profile;
struct ca_issuer;

#define CA_LINT_TEXT_MAX 256

/* Opaque to all but ca/lint.c and signers: SHA-256 of the TBS that passed. */
struct ca_lint_token {
    uint8_t tbs_hash[32];
};

/* TM_OK and a token; TM_EDENIED and in `text` the first broken rule with its section,
 * e.g. "RFC 5280 4.1.2.5: notAfter is before notBefore". Thread-safe. */
MUST_USE enum tm_err ca_lint(struct bytes tbs, const struct ca_profile *profile,
                             const struct ca_issuer *issuer, struct ca_lint_token *ret_token,
                             char text[CA_LINT_TEXT_MAX]);

/* The rules for a certificate that another CA made, of the profile's and its issuer's names: what
 * RFC 5280 asks of it, and that it gives no more than the profile. No token comes of it, for it is
 * signed already. Names, times and the signature are the caller's to check. */
MUST_USE enum tm_err ca_lint_received(struct bytes tbs, const struct ca_profile *profile,
                                      const struct ca_issuer *issuer, char text[CA_LINT_TEXT_MAX]);

/* Is the token this TBS's? For signers. */
bool ca_lint_covers(const struct ca_lint_token *token, struct bytes tbs);

#endif
