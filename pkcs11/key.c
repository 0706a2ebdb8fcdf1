/* SPDX-License-Identifier: Apache-2.0 */
/* Finding a private key on a token, and its public half. */
#include "pkcs11/key.h"

#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "pki/cert.h"

typedef struct hsm_key hsm_key;
static void key_free(hsm_key *key);
AUTO_DEFINE(hsm_key, key_free)

static const uint8_t p256_order[] = {
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
static const uint8_t p384_order[] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73};
/* DigestInfo of SHA-256 up to the digest (RFC 8017, 9.2, note 1). */
static const uint8_t sha256_info[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                      0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};

static const struct hsm_scheme schemes[] = {
    {.type = HSM_KEY_P256,
     .mechanism = CKM_ECDSA,
     .digest = "SHA256",
     .order = {p256_order, sizeof p256_order}},
    {.type = HSM_KEY_P384,
     .mechanism = CKM_ECDSA,
     .digest = "SHA384",
     .order = {p384_order, sizeof p384_order}},
    {.type = HSM_KEY_RSA3072,
     .mechanism = CKM_RSA_PKCS,
     .digest = "SHA256",
     .prefix = {sha256_info, sizeof sha256_info}},
    {.type = HSM_KEY_ED25519, .mechanism = CKM_EDDSA},
};

static void key_free(hsm_key *key) {
    EVP_MD_free(key->md);
    free(key);
}

void hsm_keys_free(hsm_key *keys) {
    while (keys) {
        hsm_key *next = keys->next;
        key_free(keys);
        keys = next;
    }
}

static enum tm_err no_memory(char text[HSM_TEXT_MAX]) {
    (void)snprintf(text, HSM_TEXT_MAX, "out of memory");
    return TM_ENOMEM;
}

/* Exactly one private key must have the label. */
static enum tm_err find_handle(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, const char *label,
                               CK_OBJECT_HANDLE *ret_handle, char text[HSM_TEXT_MAX]) {
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE template[] = {
        {CKA_CLASS, &class, sizeof class},
        {CKA_LABEL, (void *)label, strlen(label)},
    };
    CK_OBJECT_HANDLE handles[2];
    CK_ULONG count = 0;
    CK_RV rv = hsm_objects_find(f, session, template, 2, handles, 2, &count);
    if (rv != CKR_OK)
        return hsm_module_result(rv, "looking for the key", text);
    if (count == 0) {
        (void)snprintf(text, HSM_TEXT_MAX, "the token has no private key labelled \"%s\"", label);
        return TM_ENOTFOUND;
    }
    if (count > 1) {
        (void)snprintf(text, HSM_TEXT_MAX, "several private keys are labelled \"%s\"", label);
        return TM_EDENIED;
    }
    *ret_handle = handles[0];
    return TM_OK;
}

static enum tm_err check_kept(const hsm_key *key, const char *label, char text[HSM_TEXT_MAX]) {
    if (key->info.sensitive && !key->info.extractable)
        return TM_OK;
    (void)snprintf(text, HSM_TEXT_MAX,
                   "the key \"%s\" is %s: it may have left the token and is refused", label,
                   key->info.extractable ? "extractable" : "not sensitive");
    return TM_EDENIED;
}

static size_t raw_length(const struct hsm_scheme *scheme, const struct pki_spki *spki) {
    if (scheme->order.n)
        return 2 * scheme->order.n;
    return scheme->type == HSM_KEY_ED25519 ? 64 : (spki->bits + 7) / 8;
}

static bool scheme_fits(const struct hsm_scheme *scheme, const struct pki_spki *spki) {
    switch (scheme->type) {
    case HSM_KEY_P256:
        return spki->algorithm == PKI_OID_EC_PUBLIC_KEY && spki->curve == PKI_OID_PRIME256V1;
    case HSM_KEY_P384:
        return spki->algorithm == PKI_OID_EC_PUBLIC_KEY && spki->curve == PKI_OID_SECP384R1;
    case HSM_KEY_RSA3072:
        return spki->algorithm == PKI_OID_RSA_ENCRYPTION && spki->bits >= 2048;
    case HSM_KEY_ED25519:
        return spki->algorithm == PKI_OID_ED25519;
    }
    return false;
}

static enum tm_err choose_scheme(hsm_key *key, const char *label, char text[HSM_TEXT_MAX]) {
    struct pki_spki spki;
    bool parsed = pki_spki_parse(hsm_key_spki(key), &spki) == TM_OK;
    for (size_t i = 0; parsed && i < sizeof schemes / sizeof schemes[0]; i++)
        if (scheme_fits(&schemes[i], &spki))
            key->scheme = &schemes[i];
    if (!key->scheme) {
        (void)snprintf(text, HSM_TEXT_MAX,
                       "the key \"%s\" is of no type that signs here: P-256, P-384, Ed25519, RSA "
                       "of 2048 bits or more",
                       label);
        return TM_EDENIED;
    }
    key->info.type = key->scheme->type;
    key->raw_n = raw_length(key->scheme, &spki);
    if (!key->scheme->digest)
        return TM_OK;
    key->md = EVP_MD_fetch(NULL, key->scheme->digest, NULL);
    return key->md ? TM_OK : no_memory(text);
}

static enum tm_err read_key(hsm_key *key, CK_SESSION_HANDLE session, const char *label,
                            char text[HSM_TEXT_MAX]) {
    CK_FUNCTION_LIST *f = key->token->module.f;
    enum tm_err err = find_handle(f, session, label, &key->handle, text);
    if (!err)
        err = hsm_attributes_read(f, session, key->handle, &key->info, text);
    if (!err)
        err = check_kept(key, label, text);
    if (err)
        return err;
    struct buf spki = BUF_ON(key->spki_memory);
    err = hsm_public_read(f, session, key->handle, &spki, text);
    key->spki_n = spki.n;
    return err ? err : choose_scheme(key, label, text);
}

enum tm_err hsm_key_find(struct hsm_token *token, const char *label, hsm_key **ret_key,
                         char text[HSM_TEXT_MAX]) {
    AUTO(hsm_key) key = calloc(1, sizeof *key);
    if (!key)
        return no_memory(text);
    key->token = token;
    CK_SESSION_HANDLE session;
    CK_RV rv = hsm_sessions_take(&token->sessions, &session);
    if (rv != CKR_OK)
        return hsm_module_result(rv, "C_OpenSession", text);
    enum tm_err err = read_key(key, session, label, text);
    hsm_sessions_put(&token->sessions, session);
    if (err)
        return err;
    key->next = token->keys;
    token->keys = key;
    *ret_key = TAKE(key);
    return TM_OK;
}

struct bytes hsm_key_spki(const hsm_key *key) {
    return (struct bytes){key->spki_memory, key->spki_n};
}

struct hsm_key_info hsm_key_describe(const hsm_key *key) {
    return key->info;
}
