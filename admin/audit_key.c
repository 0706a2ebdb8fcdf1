/* SPDX-License-Identifier: Apache-2.0 */
/* `touchmark audit key`: the key of the checkpoints, made on its token. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "admin/audit_command.h"
#include "base/auto.h"
#include "base/file.h"
#include "conf/conf.h"
#include "pkcs11/token.h"

typedef struct conf conf_t;
typedef struct hsm_token hsm_token;
AUTO_DEFINE(conf_t, conf_close)
AUTO_DEFINE(hsm_token, hsm_token_close)
AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(BIO, BIO_free_all)

/* Its public half as PEM, and as verifier key. */
static int write_public(const struct conf_audit *audit, struct bytes spki) {
    const uint8_t *at = spki.p;
    char *pem, vkey[AUDIT_VKEY_MAX];
    struct audit_key key;
    uint8_t raw[AUDIT_ED25519_PUBLIC_SIZE];
    size_t n = sizeof raw;
    AUTO(EVP_PKEY) public_key = d2i_PUBKEY(NULL, &at, (long)spki.n);
    AUTO(BIO) bio = BIO_new(BIO_s_mem());
    if (!public_key || !bio || EVP_PKEY_get_raw_public_key(public_key, raw, &n) != 1 ||
        PEM_write_bio_PUBKEY(bio, public_key) != 1 ||
        audit_key_make(AUDIT_KEY_LOG, bytes_str(audit->origin), raw, &key))
        return admin_audit_fail("the token's public key cannot be read");
    long length = BIO_get_mem_data(bio, &pem);
    if (file_replace(audit->public_key, (struct bytes){(uint8_t *)pem, (size_t)length}, 0644))
        return admin_audit_fail("%s cannot be written", audit->public_key);
    audit_vkey_write(&key, vkey);
    printf("%s\n", vkey);
    return EX_OK;
}

static int make(const struct conf *conf, struct hsm_token *token) {
    const struct conf_audit *audit = &conf->audit;
    struct hsm_key *key;
    char text[HSM_TEXT_MAX];
    enum tm_err err = hsm_key_generate(token, HSM_KEY_ED25519, audit->key_label, text);
    if (!err)
        err = hsm_key_find(token, audit->key_label, &key, text);
    return err ? admin_audit_fail("%s", text) : write_public(audit, hsm_key_spki(key));
}

static int open_and_make(const struct conf *conf) {
    const struct conf_signer *from = conf_token(conf, conf_token_named(conf, conf->audit.token));
    const struct hsm_token_config config = {.module = from->module, .label = from->token};
    char what[128], pin[HSM_PIN_MAX], text[HSM_TEXT_MAX];
    AUTO(hsm_token) token = NULL;
    (void)snprintf(what, sizeof what, "User PIN of token %s", from->name);
    if (from->softhsm_conf && setenv("SOFTHSM2_CONF", from->softhsm_conf, 1))
        return EX_OSERR;
    if (hsm_pin_read_as(what, from->pin_file, pin, text))
        return admin_audit_fail("%s", text);
    enum tm_err err = hsm_token_open(&config, pin, &token, text);
    bytes_wipe(pin, sizeof pin);
    return err ? admin_audit_fail("%s", text) : make(conf, token);
}

int admin_audit_key(struct admin_call *call) {
    struct conf conf = {0};
    AUTO(conf_t) owned = &conf;
    char error[CONF_ERROR_MAX];
    if (conf_open_file(call->conf, owned, error)) {
        fprintf(stderr, "touchmark: %s\n", error);
        return EX_CONFIG;
    }
    if (!owned->audit.origin)
        return admin_audit_fail("the configuration has no audit.origin");
    return open_and_make(owned);
}
