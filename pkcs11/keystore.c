/* SPDX-License-Identifier: Apache-2.0 */
/* See pkcs11/keystore.h. */
#include "pkcs11/keystore.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/auto.h"
#include "pkcs11/token.h"

static_assert(CA_KEYSTORE_TEXT_MAX == HSM_TEXT_MAX, "texts are handed through");
static_assert((int)CA_CEREMONY_P256 == (int)HSM_KEY_P256 &&
                  (int)CA_CEREMONY_P384 == (int)HSM_KEY_P384 &&
                  (int)CA_CEREMONY_RSA3072 == (int)HSM_KEY_RSA3072 &&
                  (int)CA_CEREMONY_ED25519 == (int)HSM_KEY_ED25519,
              "key types are handed through");

struct pins {
    struct pins *next;
    const struct ca_ceremony_token *token;
    char user[HSM_PIN_MAX];
    char officer[HSM_PIN_MAX];
};

struct hsm_keystore {
    struct ca_keystore base;
    struct pins *pins;
    struct hsm_token *token; /* the open one */
    char *softhsm_conf;      /* of the environment, NULL: none */
};

static struct hsm_keystore *self_of(struct ca_keystore *keystore) {
    return (struct hsm_keystore *)keystore;
}

static enum tm_err no_memory(char text[CA_KEYSTORE_TEXT_MAX]) {
    (void)snprintf(text, CA_KEYSTORE_TEXT_MAX, "out of memory");
    return TM_ENOMEM;
}

/* SoftHSM reads its configuration when the module is initialised, which each use does. */
static struct hsm_token_config use(const struct hsm_keystore *self,
                                   const struct ca_ceremony_token *token) {
    const char *conf = token->softhsm_conf ? token->softhsm_conf : self->softhsm_conf;
    if (conf)
        (void)setenv("SOFTHSM2_CONF", conf, 1);
    else
        (void)unsetenv("SOFTHSM2_CONF");
    return (struct hsm_token_config){token->module, token->label};
}

static const struct pins *pins_of(const struct hsm_keystore *self,
                                  const struct ca_ceremony_token *token) {
    const struct pins *pins = self->pins;
    while (pins && pins->token != token)
        pins = pins->next;
    return pins;
}

static void free_pins(struct pins *pins) {
    bytes_wipe(pins, sizeof *pins);
    (void)munlock(pins, sizeof *pins);
    free(pins);
}

static enum tm_err read_pins(const struct ca_ceremony_token *token, struct pins *pins,
                             char text[CA_KEYSTORE_TEXT_MAX]) {
    char what[128];
    enum tm_err err = TM_OK;
    if (token->init) {
        (void)snprintf(what, sizeof what, "Security officer's PIN for the new token %s",
                       token->name);
        err = hsm_pin_read_as(what, token->so_pin, pins->officer, text);
    }
    (void)snprintf(what, sizeof what, "User PIN of token %s", token->name);
    return err ? err : hsm_pin_read_as(what, token->pin, pins->user, text);
}

static enum tm_err prepare(struct ca_keystore *keystore, const struct ca_ceremony_token *token,
                           char text[CA_KEYSTORE_TEXT_MAX]) {
    struct hsm_keystore *self = self_of(keystore);
    struct pins *pins = calloc(1, sizeof *pins);
    if (!pins)
        return no_memory(text);
    /* Best effort: an ordinary user may lock little memory. */
    (void)mlock(pins, sizeof *pins);
    pins->token = token;
    enum tm_err err = read_pins(token, pins, text);
    if (err) {
        free_pins(pins);
        return err;
    }
    pins->next = self->pins;
    self->pins = pins;
    return TM_OK;
}

static enum tm_err look(struct ca_keystore *keystore, const struct ca_ceremony_token *token,
                        bool *ret_exists, bool *ret_softhsm, char text[CA_KEYSTORE_TEXT_MAX]) {
    const struct hsm_token_config config = use(self_of(keystore), token);
    return hsm_token_look(&config, ret_exists, ret_softhsm, text);
}

static enum tm_err init(struct ca_keystore *keystore, const struct ca_ceremony_token *token,
                        char text[CA_KEYSTORE_TEXT_MAX]) {
    const struct hsm_token_config config = use(self_of(keystore), token);
    const struct pins *pins = pins_of(self_of(keystore), token);
    if (!pins)
        return TM_EINVAL;
    return hsm_token_init(&config, pins->officer, pins->user, text);
}

static void close_token(struct ca_keystore *keystore) {
    hsm_token_close(TAKE(self_of(keystore)->token));
}

static enum tm_err open_token(struct ca_keystore *keystore, const struct ca_ceremony_token *token,
                              struct ca_keystore_info *ret_info, char text[CA_KEYSTORE_TEXT_MAX]) {
    struct hsm_keystore *self = self_of(keystore);
    const struct hsm_token_config config = use(self, token);
    const struct pins *pins = pins_of(self, token);
    struct hsm_token_info info;
    if (!pins || self->token)
        return TM_EINVAL;
    enum tm_err err = hsm_token_open(&config, pins->user, &self->token, text);
    if (err)
        return err;
    err = hsm_token_describe(self->token, &info, text);
    if (err) {
        close_token(keystore);
        return err;
    }
    memcpy(ret_info->library, info.library, sizeof info.library);
    memcpy(ret_info->manufacturer, info.manufacturer, sizeof info.manufacturer);
    memcpy(ret_info->model, info.model, sizeof info.model);
    memcpy(ret_info->serial, info.serial, sizeof info.serial);
    return TM_OK;
}

static enum tm_err label_used(struct ca_keystore *keystore, const char *label, bool *ret_used,
                              char text[CA_KEYSTORE_TEXT_MAX]) {
    return hsm_label_used(self_of(keystore)->token, label, ret_used, text);
}

static enum tm_err generate(struct ca_keystore *keystore, enum ca_ceremony_key type,
                            const char *label, char text[CA_KEYSTORE_TEXT_MAX]) {
    return hsm_key_generate(self_of(keystore)->token, (enum hsm_key_type)type, label, text);
}

static enum tm_err torn(struct ca_keystore *keystore, const char *label, bool *ret_torn,
                        char text[CA_KEYSTORE_TEXT_MAX]) {
    return hsm_key_torn(self_of(keystore)->token, label, ret_torn, text);
}

static enum tm_err remove_torn(struct ca_keystore *keystore, const char *label,
                               char text[CA_KEYSTORE_TEXT_MAX]) {
    return hsm_key_remove_torn(self_of(keystore)->token, label, text);
}

static enum tm_err find(struct ca_keystore *keystore, const char *label,
                        struct ca_keystore_key *ret_key, char text[CA_KEYSTORE_TEXT_MAX]) {
    struct hsm_key *key;
    enum tm_err err = hsm_key_find(self_of(keystore)->token, label, &key, text);
    if (err)
        return err;
    struct hsm_key_info info = hsm_key_describe(key);
    *ret_key = (struct ca_keystore_key){.type = (enum ca_ceremony_key)info.type,
                                        .spki = hsm_key_spki(key),
                                        .sensitive = info.sensitive,
                                        .always_sensitive = info.always_sensitive,
                                        .extractable = info.extractable,
                                        .never_extractable = info.never_extractable,
                                        .local = info.local};
    return TM_OK;
}

static enum tm_err sign(struct ca_keystore *keystore, const char *label, struct bytes tbs,
                        struct buf *out, char text[CA_KEYSTORE_TEXT_MAX]) {
    struct hsm_key *key;
    enum tm_err err = hsm_key_find(self_of(keystore)->token, label, &key, text);
    if (err)
        return err;
    err = hsm_key_sign(key, tbs, out);
    if (err)
        (void)snprintf(text, CA_KEYSTORE_TEXT_MAX, "the token failed to sign");
    return err;
}

static const struct ca_keystore_ops ops = {.prepare = prepare,
                                           .look = look,
                                           .init = init,
                                           .open = open_token,
                                           .close = close_token,
                                           .label_used = label_used,
                                           .generate = generate,
                                           .torn = torn,
                                           .remove_torn = remove_torn,
                                           .find = find,
                                           .sign = sign};

enum tm_err hsm_keystore_new(struct ca_keystore **ret_keystore) {
    AUTO_MEM struct hsm_keystore *self = calloc(1, sizeof *self);
    const char *conf = getenv("SOFTHSM2_CONF");
    if (!self)
        return TM_ENOMEM;
    self->base.ops = &ops;
    if (conf) {
        self->softhsm_conf = strdup(conf);
        if (!self->softhsm_conf)
            return TM_ENOMEM;
    }
    *ret_keystore = &TAKE(self)->base;
    return TM_OK;
}

void hsm_keystore_free(struct ca_keystore *keystore) {
    if (!keystore)
        return;
    struct hsm_keystore *self = self_of(keystore);
    close_token(keystore);
    while (self->pins) {
        struct pins *pins = self->pins;
        self->pins = pins->next;
        free_pins(pins);
    }
    free(self->softhsm_conf);
    free(self);
}
