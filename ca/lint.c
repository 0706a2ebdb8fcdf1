/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the rules over a TBSCertificate and makes the token: see ca/lint.h. */
#include "ca/lint.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "ca/lint_rules.h"

static const struct lint_rule *const tables[] = {
    lint_der_rules, lint_field_rules, lint_extension_rules, lint_devid_rules, lint_profile_rules,
};

static bool hash_tbs(struct bytes tbs, uint8_t ret[32]) {
    return EVP_Digest(tbs.p, tbs.n, ret, NULL, EVP_sha256(), NULL) == 1;
}

static bool passes(const struct lint_rule *rules, const struct lint_case *c,
                   char text[CA_LINT_TEXT_MAX]) {
    for (const struct lint_rule *rule = rules; rule->check; rule++) {
        const char *fault = rule->check(c);
        if (!fault)
            continue;
        (void)snprintf(text, CA_LINT_TEXT_MAX, "%s%s%s", rule->section ? rule->section : "",
                       rule->section ? ": " : "", fault);
        return false;
    }
    return true;
}

enum tm_err ca_lint(struct bytes tbs, const struct ca_profile *profile,
                    const struct ca_issuer *issuer, struct ca_lint_token *ret_token,
                    char text[CA_LINT_TEXT_MAX]) {
    struct lint_case c = {.profile = profile, .issuer = issuer};
    struct ca_lint_token token;
    if (pki_tbs_parse(tbs, &c.cert)) {
        (void)snprintf(
            text, CA_LINT_TEXT_MAX,
            "RFC 5280 4.1, 4.2: not a TBSCertificate in DER whose every extension occurs "
            "once");
        return TM_EDENIED;
    }
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        if (!passes(tables[i], &c, text))
            return TM_EDENIED;
    if (!hash_tbs(tbs, token.tbs_hash)) {
        (void)snprintf(text, CA_LINT_TEXT_MAX, "SHA-256 failed");
        return TM_EDENIED;
    }
    *ret_token = token;
    return TM_OK;
}

enum tm_err ca_lint_received(struct bytes tbs, const struct ca_profile *profile,
                             const struct ca_issuer *issuer, char text[CA_LINT_TEXT_MAX]) {
    struct lint_case c = {.profile = profile, .issuer = issuer};
    if (pki_tbs_parse(tbs, &c.cert)) {
        (void)snprintf(text, CA_LINT_TEXT_MAX, "RFC 5280 4.1: not a TBSCertificate");
        return TM_EDENIED;
    }
    return passes(lint_der_rules, &c, text) && passes(lint_received_rules, &c, text) ? TM_OK
                                                                                     : TM_EDENIED;
}

bool ca_lint_covers(const struct ca_lint_token *token, struct bytes tbs) {
    uint8_t hash[sizeof token->tbs_hash];
    return hash_tbs(tbs, hash) && bytes_equal(BYTES_OF(hash), BYTES_OF(token->tbs_hash));
}
