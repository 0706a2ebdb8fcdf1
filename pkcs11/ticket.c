/* SPDX-License-Identifier: Apache-2.0 */
/* The signer's check of tickets: see pkcs11/ticket.h. */
#include "pkcs11/ticket.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ca/lint.h"
#include "ca/ocsp.h"
#include "est/wire/cmc.h"
#include "est/wire/signed_data.h"

enum tm_err hsm_ticket_refuse(char text[IPC_TEXT_MAX + 1], const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, IPC_TEXT_MAX + 1, format, args);
    va_end(args);
    return TM_EDENIED;
}

bool hsm_rules_find(const struct hsm_rules *rules, const char *issuer, size_t *ret_index) {
    for (size_t i = 0; i < rules->issuer_count; i++) {
        if (strcmp(rules->issuers[i]->name, issuer) == 0) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

static const struct ca_profile *find_profile(const struct hsm_rules *rules, const char *name) {
    for (size_t i = 0; i < rules->profile_count; i++)
        if (strcmp(rules->profiles[i].name, name) == 0)
            return &rules->profiles[i];
    return NULL;
}

/* Whatever a profile says, no ticket makes a CA: only the key ceremony does. This does not
 * lean on lint, so that one mistake there is not enough. */
static enum tm_err check_leaf(struct bytes tbs, const struct ca_issuer *issuer,
                              char text[IPC_TEXT_MAX + 1]) {
    struct pki_cert cert;
    bool ca = false;
    int path_len;
    uint16_t usage = 0;
    if (pki_tbs_parse(tbs, &cert) != TM_OK)
        return hsm_ticket_refuse(text, "not a TBSCertificate (RFC 5280, 4.1)");
    enum tm_err err = pki_cert_basic_constraints(&cert, &ca, &path_len);
    if ((err && err != TM_ENOTFOUND) || ca)
        return hsm_ticket_refuse(text, "basicConstraints make it a CA (RFC 5280, 4.2.1.9)");
    err = pki_cert_key_usage(&cert, &usage);
    if ((err && err != TM_ENOTFOUND) || (usage & (PKI_KU_KEY_CERT_SIGN | PKI_KU_CRL_SIGN)))
        return hsm_ticket_refuse(text,
                                 "keyUsage lets it sign certificates or CRLs (RFC 5280, 4.2.1.3)");
    if (!bytes_equal(cert.issuer, issuer->view.subject))
        return hsm_ticket_refuse(text, "the issuer's name is another (RFC 5280, 4.1.2.4)");
    return TM_OK;
}

/* Who has a certificate for OCSPSigning speaks for the CA about every other (RFC 6960, 4.2.2.2):
 * the token's own OCSP key gets one, and no other key, whatever a core asks for. */
static enum tm_err check_ocsp_key(const struct hsm_rules *rules, size_t issuer,
                                  const struct ca_profile *profile, struct bytes tbs,
                                  char text[IPC_TEXT_MAX + 1]) {
    const struct hsm_ocsp_name *own = rules->ocsp ? &rules->ocsp[issuer] : NULL;
    uint8_t key_hash[PKI_OCSP_KEY_HASH_SIZE];
    struct pki_cert cert;
    if (profile->kind != CA_KIND_OCSP)
        return TM_OK;
    if (!own || !own->there || pki_tbs_parse(tbs, &cert) != TM_OK ||
        ca_ocsp_key_hash(&cert.spki, key_hash) != TM_OK ||
        !bytes_equal(BYTES_OF(key_hash), BYTES_OF(own->key_hash)))
        return hsm_ticket_refuse(text, "an OCSP certificate is for the token's OCSP key alone");
    return TM_OK;
}

enum tm_err hsm_ticket_check(const struct hsm_rules *rules, const struct ipc_ticket *ticket,
                             size_t *ret_issuer, char text[IPC_TEXT_MAX + 1]) {
    size_t index;
    if (!hsm_rules_find(rules, ticket->issuer, &index))
        return hsm_ticket_refuse(text, "no issuer %s here", ticket->issuer);
    const struct ca_profile *profile = find_profile(rules, ticket->profile);
    if (!profile)
        return hsm_ticket_refuse(text, "no profile %s here", ticket->profile);
    if (memcmp(profile->hash, ticket->profile_hash, CA_HASH_SIZE) != 0)
        return hsm_ticket_refuse(text, "profile %s is not the one this signer was started with",
                                 ticket->profile);
    const struct ca_issuer *issuer = rules->issuers[index];
    enum tm_err err = check_leaf(ticket->tbs, issuer, text);
    if (!err)
        err = check_ocsp_key(rules, index, profile, ticket->tbs, text);
    if (err)
        return err;
    struct ca_lint_token token;
    char finding[CA_LINT_TEXT_MAX];
    if (ca_lint(ticket->tbs, profile, issuer, &token, finding) != TM_OK)
        return hsm_ticket_refuse(text, "lint: %.*s", IPC_TEXT_MAX - 8, finding);
    *ret_issuer = index;
    return TM_OK;
}

bool hsm_ticket_is_proof(const struct hsm_rules *rules, const struct ipc_ticket *ticket) {
    const struct ca_profile *profile = find_profile(rules, ticket->profile);
    return profile && profile->kind == CA_KIND_PROOF;
}

bool hsm_is_now(int64_t time_ms, int64_t now_ms) {
    return time_ms > 0 && time_ms >= now_ms - HSM_CMC_SKEW_MS &&
           time_ms <= now_ms + HSM_CMC_SKEW_MS;
}

enum tm_err hsm_cmc_ticket_check(const struct hsm_rules *rules, const struct ipc_cmc_ticket *ticket,
                                 int64_t now_ms, size_t *ret_issuer, struct buf *out,
                                 char text[IPC_TEXT_MAX + 1]) {
    size_t index;
    if (!hsm_rules_find(rules, ticket->issuer, &index))
        return hsm_ticket_refuse(text, "no issuer %s here", ticket->issuer);
    if (!hsm_is_now(ticket->signing_time_ms, now_ms))
        return hsm_ticket_refuse(text, "the signing-time is not now (RFC 5652, 11.3)");
    struct est_cmc_response response;
    if (est_cmc_response_read(ticket->content, &response) != TM_OK)
        return hsm_ticket_refuse(text, "not a PKIResponse (RFC 5272, 4.2.1)");
    uint8_t octets[EST_DIGEST_MAX];
    struct buf digest = BUF_ON(octets);
    if (ca_issuer_digest_make(rules->issuers[index], ticket->content, &digest) != TM_OK ||
        est_signed_attributes_write(PKI_OID_CCT_PKI_RESPONSE, buf_bytes(&digest),
                                    ticket->signing_time_ms, out) != TM_OK)
        return hsm_ticket_refuse(text, "the signed attributes cannot be made");
    *ret_issuer = index;
    return TM_OK;
}
