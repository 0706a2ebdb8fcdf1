/* SPDX-License-Identifier: Apache-2.0 */
/* The signer's keys: found by their labels, held against certificates and against each other. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "ca/ocsp.h"
#include "pkcs11/serve.h"

static enum tm_err find_labelled(const struct hsm_signer_issuer *wanted, const char *label,
                                 struct hsm_signer *signer, struct hsm_key **ret_key,
                                 char text[HSM_TEXT_MAX]) {
    char reason[HSM_TEXT_MAX];
    enum tm_err err = hsm_key_find(signer->token, label, ret_key, reason);
    if (err)
        (void)snprintf(text, HSM_TEXT_MAX, "issuer %s: %.150s", wanted->issuer->name, reason);
    return err;
}

static enum tm_err find_key(const struct hsm_signer_issuer *wanted, struct hsm_signer *signer,
                            size_t index, char text[HSM_TEXT_MAX]) {
    struct hsm_key *key = NULL;
    enum tm_err err = find_labelled(wanted, wanted->key_label, signer, &key, text);
    if (err)
        return err;
    if (!ca_issuer_has_key(wanted->issuer, hsm_key_spki(key))) {
        (void)snprintf(text, HSM_TEXT_MAX,
                       "issuer %s: the token's key \"%.64s\" is not the one in its certificate",
                       wanted->issuer->name, wanted->key_label);
        return TM_EDENIED;
    }
    signer->keys[index] = key;
    return TM_OK;
}

/* A token that fails is another matter than a key that is not there. */
static enum tm_err forgive(const struct hsm_signer_issuer *wanted, enum tm_err err,
                           const char *text) {
    if (!wanted->optional || (err != TM_ENOTFOUND && err != TM_EDENIED))
        return err;
    log_warn("%s; it signs nothing", text);
    return TM_OK;
}

/* Who may say what is revoked must not be able to issue: RFC 6960, 4.2.2.2. */
static bool is_issuers(const struct hsm_signer *signer, const struct hsm_key *key) {
    for (size_t i = 0; i < signer->config.issuer_count; i++)
        if (ca_issuer_has_key(signer->issuers[i], hsm_key_spki(key)))
            return true;
    return false;
}

/* After all issuers' keys were found. */
static enum tm_err find_ocsp_key(const struct hsm_signer_issuer *wanted, struct hsm_signer *signer,
                                 size_t index, char text[HSM_TEXT_MAX]) {
    struct hsm_key *key = NULL;
    struct pki_spki spki;
    if (!wanted->ocsp_key_label || wanted->elsewhere)
        return TM_OK;
    enum tm_err err = find_labelled(wanted, wanted->ocsp_key_label, signer, &key, text);
    if (err)
        return err;
    if (is_issuers(signer, key)) {
        (void)snprintf(text, HSM_TEXT_MAX,
                       "issuer %s: the OCSP key \"%.64s\" is a CA's own key (RFC 6960, 4.2.2.2)",
                       wanted->issuer->name, wanted->ocsp_key_label);
        return TM_EDENIED;
    }
    if (pki_spki_parse(hsm_key_spki(key), &spki) ||
        ca_ocsp_key_hash(&spki, signer->ocsp_names[index].key_hash)) {
        (void)snprintf(text, HSM_TEXT_MAX, "issuer %s: the OCSP key cannot be hashed",
                       wanted->issuer->name);
        return TM_ECRYPTO;
    }
    signer->ocsp_keys[index] = key;
    signer->ocsp_names[index].there = true;
    return TM_OK;
}

static bool is_taken(const struct hsm_signer *signer, const struct hsm_key *key) {
    struct bytes spki = hsm_key_spki(key);
    for (size_t i = 0; i < signer->config.issuer_count; i++)
        if (signer->ocsp_keys[i] && bytes_equal(hsm_key_spki(signer->ocsp_keys[i]), spki))
            return true;
    return is_issuers(signer, key);
}

/* After all others. RSA would have to sign by PSS, which no other key here does. */
static enum tm_err find_tls_key(struct hsm_signer *signer, char text[HSM_TEXT_MAX]) {
    struct hsm_key *key = NULL;
    char reason[HSM_TEXT_MAX];
    const char *label = signer->config.tls_key_label;
    enum tm_err err = label ? hsm_key_find(signer->token, label, &key, reason) : TM_OK;
    if (err)
        (void)snprintf(text, HSM_TEXT_MAX, "the TLS server's key: %.150s", reason);
    if (err || !label)
        return err;
    enum hsm_key_type type = hsm_key_describe(key).type;
    const char *fault = is_taken(signer, key) ? "is an issuer's, too"
                        : type != HSM_KEY_P256 && type != HSM_KEY_P384
                            ? "is neither P-256 nor P-384"
                            : NULL;
    if (fault) {
        (void)snprintf(text, HSM_TEXT_MAX, "the TLS server's key \"%.64s\" %s", label, fault);
        return TM_EDENIED;
    }
    signer->tls_key = key;
    signer->rules.tls_spki = hsm_key_spki(key);
    return TM_OK;
}

/* The last 32 octets of its SubjectPublicKeyInfo (RFC 8410, 4). */
static bool is_pinned(const struct hsm_signer *signer, const struct hsm_key *key) {
    struct bytes spki = hsm_key_spki(key);
    return hsm_key_describe(key).type == HSM_KEY_ED25519 && spki.n > 32 &&
           memcmp(spki.p + spki.n - 32, signer->config.checkpoint_public, 32) == 0;
}

static enum tm_err find_checkpoint_key(struct hsm_signer *signer, char text[HSM_TEXT_MAX]) {
    struct hsm_key *key = NULL;
    char reason[HSM_TEXT_MAX];
    const char *label = signer->config.checkpoint_key_label;
    enum tm_err err = label ? hsm_key_find(signer->token, label, &key, reason) : TM_OK;
    if (err)
        (void)snprintf(text, HSM_TEXT_MAX, "the audit log's key: %.150s", reason);
    if (err || !label)
        return err;
    if (!is_pinned(signer, key)) {
        (void)snprintf(text, HSM_TEXT_MAX,
                       "the audit log's key \"%.64s\" is not the Ed25519 key of audit.public_key",
                       label);
        return TM_EDENIED;
    }
    signer->checkpoint_key = key;
    signer->rules.origin = signer->config.checkpoint_origin;
    return TM_OK;
}

enum tm_err hsm_signer_find_keys(struct hsm_signer *signer, char text[HSM_TEXT_MAX]) {
    const struct hsm_signer_config *config = &signer->config;
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < config->issuer_count && !err; i++) {
        signer->issuers[i] = config->issuers[i].issuer;
        if (config->issuers[i].elsewhere)
            continue;
        err = find_key(&config->issuers[i], signer, i, text);
        if (err)
            err = forgive(&config->issuers[i], err, text);
    }
    for (size_t i = 0; i < config->issuer_count && !err; i++) {
        err = find_ocsp_key(&config->issuers[i], signer, i, text);
        if (err)
            err = forgive(&config->issuers[i], err, text);
    }
    if (!err)
        err = find_tls_key(signer, text);
    return err ? err : find_checkpoint_key(signer, text);
}
