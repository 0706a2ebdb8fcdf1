/* SPDX-License-Identifier: Apache-2.0 */
/* Officers' keys: see ca/officer.h. */
#include "ca/officer.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "ca/key.h"
#include "ca/pem.h"
#include "ca/profile.h"

AUTO_DEFINE(BIO, BIO_free_all)
AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)

struct ca_officer_key {
    EVP_PKEY *key;
    const char *digest; /* NULL: the signature has its own */
};

static const struct {
    unsigned kind;
    const char *digest;
} rules[] = {{CA_KEY_P256, "SHA256"},
             {CA_KEY_P384, "SHA384"},
             {CA_KEY_ED25519, NULL},
             {CA_KEY_RSA2048, "SHA256"}};

/* The digest that goes with the key, and the hash that names it. */
static enum tm_err judge(EVP_PKEY *key, const char **ret_digest, uint8_t ret_hash[CA_HASH_SIZE]) {
    AUTO_MEM unsigned char *der = NULL;
    struct pki_spki spki;
    int n = i2d_PUBKEY(key, &der);
    if (n <= 0 || pki_spki_parse((struct bytes){der, (size_t)n}, &spki) || ca_key_fault(&spki))
        return TM_EINVAL;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (rules[i].kind == ca_key_kind(&spki)) {
            *ret_digest = rules[i].digest;
            return EVP_Q_digest(NULL, "SHA256", NULL, der, (size_t)n, ret_hash, NULL) == 1
                       ? TM_OK
                       : TM_ECRYPTO;
        }
    return TM_EINVAL;
}

static enum tm_err read_key(const char *path, EVP_PKEY **ret, char text[IPC_TEXT_MAX + 1]) {
    AUTO(BIO) bio = BIO_new_file(path, "r");
    if (!bio) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "%.180s: %s", path, strerror(errno));
        ERR_clear_error();
        return TM_EIO;
    }
    *ret = PEM_read_bio_PUBKEY(bio, NULL, ca_pem_no_password, NULL);
    if (*ret)
        return TM_OK;
    ERR_clear_error();
    (void)snprintf(text, IPC_TEXT_MAX + 1, "%.180s: there is no public key in PEM", path);
    return TM_EPARSE;
}

enum tm_err ca_officer_load_key(struct ca_officer *officer, const char *path,
                                char text[IPC_TEXT_MAX + 1]) {
    AUTO(EVP_PKEY) key = NULL;
    uint8_t hash[CA_HASH_SIZE];
    const char *digest;
    enum tm_err err = read_key(path, &key, text);
    if (err)
        return err;
    err = judge(key, &digest, hash);
    if (err) {
        (void)snprintf(text, IPC_TEXT_MAX + 1,
                       "%.160s: acts are signed with keys of P-256, P-384, Ed25519 or RSA of 2048 "
                       "to 4096 bits",
                       path);
        return err;
    }
    struct ca_officer_key *owned = malloc(sizeof *owned);
    if (!owned)
        return TM_ENOMEM;
    *owned = (struct ca_officer_key){.key = TAKE(key), .digest = digest};
    officer->key = owned;
    memcpy(officer->spki_sha256, hash, sizeof hash);
    return TM_OK;
}

void ca_officer_free_key(struct ca_officer *officer) {
    if (!officer->key)
        return;
    EVP_PKEY_free(officer->key->key);
    free(officer->key);
    officer->key = NULL;
}

enum tm_err ca_officer_verify(const struct ca_officer *officer, struct bytes message,
                              struct bytes signature) {
    if (!officer->key)
        return TM_EDENIED;
    AUTO(EVP_MD_CTX) ctx = EVP_MD_CTX_new();
    bool good = ctx &&
                EVP_DigestVerifyInit_ex(ctx, NULL, officer->key->digest, NULL, NULL,
                                        officer->key->key, NULL) == 1 &&
                EVP_DigestVerify(ctx, signature.p, signature.n, message.p, message.n) == 1;
    if (!good)
        ERR_clear_error();
    return good ? TM_OK : TM_ECRYPTO;
}

void ca_officer_actor(const struct ca_officer *officer, char ret[IPC_TEXT_MAX + 1]) {
    (void)snprintf(ret, IPC_TEXT_MAX + 1, "%s uid:%lu", officer->name, (unsigned long)officer->uid);
}
