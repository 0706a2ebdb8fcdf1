/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of the sections `signer` and `tokens`: see check.h. */
#include <string.h>

#include "conf/check.h"

#define PLACE_MAX 64

/* The path of a token's key, "signer.module" or "tokens[1].module". */
static const char *token_path(char ret[PLACE_MAX], size_t index, const char *key) {
    if (index)
        (void)snprintf(ret, PLACE_MAX, "tokens[%zu].%s", index - 1, key);
    else
        (void)snprintf(ret, PLACE_MAX, "signer.%s", key);
    return ret;
}

static bool is_softhsm(const struct conf_signer *token) {
    const char *slash = strrchr(token->module, '/');
    return strstr(slash ? slash + 1 : token->module, "softhsm") != NULL;
}

static bool same_text(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* One process owns a token. SoftHSM's tokens in one folder are one, for that: two processes that
 * open them at once fail to log in. */
static bool clash(const struct conf_signer *a, const struct conf_signer *b) {
    if (!same_text(a->module, b->module) || !same_text(a->softhsm_conf, b->softhsm_conf))
        return false;
    return is_softhsm(a) || a->softhsm_conf || strcmp(a->token, b->token) == 0;
}

static enum tm_err check_apart(const struct conf_check *c, size_t index) {
    const struct conf_signer *token = conf_token(c->conf, index);
    char path[PLACE_MAX];
    for (size_t i = 0; i < index; i++) {
        const struct conf_signer *earlier = conf_token(c->conf, i);
        if (strcmp(token->name, earlier->name) == 0)
            return CONF_REFUSE(c, token_path(path, index, "name"),
                               "\"%s\" is the name of an earlier token", token->name);
        if (clash(token, earlier))
            return CONF_REFUSE(c, token_path(path, index, "module"),
                               "and softhsm_conf are those of token %s; each token has one signer "
                               "process, and SoftHSM a folder for each",
                               earlier->name);
    }
    return TM_OK;
}

/* 0 to 2 are the process's own. */
static enum tm_err check_pin(const struct conf_check *c, size_t index) {
    const char *source = conf_token(c->conf, index)->pin_file;
    char path[PLACE_MAX];
    if (strncmp(source, "fd:", 3) != 0)
        return TM_OK;
    size_t digits = strspn(source + 3, "0123456789");
    int fd = conf_pin_fd(conf_token(c->conf, index));
    if (digits < 1 || digits > 4 || source[3 + digits] || fd < 3)
        return CONF_REFUSE(c, token_path(path, index, "pin_file"),
                           "\"%.40s\" is not allowed; must be fd: and a number from 3 to 9999",
                           source);
    return TM_OK;
}

static enum tm_err check_standby(const struct conf_check *c, size_t index) {
    const struct conf *conf = c->conf;
    const char *name = conf_token(conf, index)->standby_for;
    char path[PLACE_MAX];
    if (!name)
        return TM_OK;
    (void)token_path(path, index, "standby_for");
    size_t primary = conf_token_named(conf, name);
    if (index == 0)
        return CONF_REFUSE(c, path, "must be left out: only one of tokens can stand by");
    if (primary == conf_token_count(conf) || primary == index)
        return CONF_REFUSE(c, path, "\"%s\" is not the name of another token", name);
    if (conf_token(conf, primary)->standby_for)
        return CONF_REFUSE(c, path, "\"%s\" is a standby itself", name);
    if (conf_token_standby(conf, primary) != index)
        return CONF_REFUSE(c, path, "\"%s\" has a standby already", name);
    return TM_OK;
}

/* An early word; what the token says of itself counts (pkcs11/signer.h). */
static enum tm_err check_environment(const struct conf_check *c, size_t index) {
    char path[PLACE_MAX];
    if (c->conf->environment == CONF_ENV_PROD && !c->conf->softhsm_in_prod &&
        conf_token_used(c->conf, index) && is_softhsm(conf_token(c->conf, index)))
        return CONF_REFUSE(c, token_path(path, index, "module"),
                           "SoftHSM keeps keys in files; in prod it needs softhsm_in_prod: true");
    return TM_OK;
}

static enum tm_err check_place(const struct conf *conf, const char *name, const char **ret_fault) {
    size_t token = conf_token_named(conf, name);
    if (token == conf_token_count(conf))
        *ret_fault = "is not the name of one of the tokens";
    else if (conf_token(conf, token)->standby_for)
        *ret_fault = "is a standby; the name of the token that it stands by for belongs here";
    else
        return TM_OK;
    return TM_EPARSE;
}

enum tm_err conf_check_issuer_token(const struct conf *conf, const struct conf_issuer *issuer,
                                    const char **ret_fault) {
    return check_place(conf, issuer->token, ret_fault);
}

static enum tm_err check_tls_key(const struct conf_check *c) {
    const struct conf_tls *tls = &c->conf->tls;
    const char *fault;
    if (!tls->key_label)
        return tls->token ? CONF_REFUSE(c, "tls.token", "has a meaning with tls.key_label only")
                          : TM_OK;
    if (!tls->self_issue)
        return CONF_REFUSE(c, "tls.key_label",
                           "needs tls.self_issue: only so the key's certificate can be had");
    if (check_place(c->conf, tls->token, &fault))
        return CONF_REFUSE(c, "tls.token", "\"%s\" %s", tls->token, fault);
    return TM_OK;
}

static enum tm_err check_issuers(const struct conf_check *c) {
    const struct conf_issuer *issuers = c->conf->issuers.items;
    char path[PLACE_MAX];
    const char *fault;
    for (size_t i = 0; i < c->conf->issuers.count; i++)
        if (conf_check_issuer_token(c->conf, &issuers[i], &fault)) {
            (void)snprintf(path, sizeof path, "issuers[%zu].token", i);
            return CONF_REFUSE(c, path, "\"%s\" %s", issuers[i].token, fault);
        }
    return TM_OK;
}

enum tm_err conf_check_tokens(const struct conf_check *c) {
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < conf_token_count(c->conf) && !err; i++) {
        err = check_apart(c, i);
        if (!err)
            err = check_standby(c, i);
        if (!err)
            err = check_pin(c, i);
        if (!err)
            err = check_environment(c, i);
    }
    if (!err)
        err = check_tls_key(c);
    return err ? err : check_issuers(c);
}
