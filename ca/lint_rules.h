/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside lint: what a rule is, and the tables of rules by the document that they come from. A rule
 * sees the parsed TBS, the profile and the issuer, and nothing of what the builder was told.
 */
#ifndef TOUCHMARK_CA_LINT_RULES_H
#define TOUCHMARK_CA_LINT_RULES_H

#include "ca/issuer.h"
#include "ca/profile.h"

struct lint_case {
    struct pki_cert cert;
    const struct ca_profile *profile;
    const struct ca_issuer *issuer;
};

struct lint_rule {
    const char *section; /* NULL: what `check` returns names it itself */
    /* What is wrong, as a constant sentence; NULL: nothing. */
    const char *(*check)(const struct lint_case *c);
};

/* Each ends with a rule whose check is NULL. Later tables rely on earlier ones having passed, in
 * this order. */
extern const struct lint_rule lint_der_rules[];       /* X.690 */
extern const struct lint_rule lint_field_rules[];     /* RFC 5280, 4.1 */
extern const struct lint_rule lint_extension_rules[]; /* RFC 5280, 4.2 */
extern const struct lint_rule lint_devid_rules[];     /* IEEE 802.1AR, 8 */
extern const struct lint_rule lint_profile_rules[];   /* the profile that was asked for */

/* Instead of all but the first, for what another CA made. */
extern const struct lint_rule lint_received_rules[];

#endif
