/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of the section `audit`: see check.h. */
#include <string.h>

#include "conf/check.h"

/* What a key of signed notes may be called (c2sp.org/signed-note). */
static bool is_origin(const char *text) {
    for (; *text; text++)
        if (*text <= ' ' || *text > '~' || *text == '+')
            return false;
    return true;
}

static bool has_other_keys(const struct conf *conf, size_t token) {
    const struct conf_issuer *issuers = conf->issuers.items;
    if (conf->tls.key_label && conf_token_named(conf, conf->tls.token) == token)
        return true;
    for (size_t i = 0; i < conf->issuers.count; i++)
        if (issuers[i].kind == CONF_ISSUER_TOKEN &&
            conf_token_named(conf, issuers[i].token) == token)
            return true;
    return false;
}

/* Whoever has a CA's token must not be able to say what the CA did, nor the other way round. */
static enum tm_err check_token(const struct conf_check *c) {
    const struct conf *conf = c->conf;
    const char *name = conf->audit.token;
    size_t token = conf_token_named(conf, name);
    if (token == conf_token_count(conf))
        return CONF_REFUSE(c, "audit.token", "\"%s\" is not the name of one of the tokens", name);
    if (conf_token(conf, token)->standby_for || conf_token_standby(conf, token) != token)
        return CONF_REFUSE(c, "audit.token",
                           "\"%s\" is one of a pair; who signs checkpoints must know all that were "
                           "signed before",
                           name);
    if (has_other_keys(conf, token))
        return CONF_REFUSE(c, "audit.token",
                           "\"%s\" holds other keys; the checkpoints' key has a token of its own",
                           name);
    return TM_OK;
}

static enum tm_err check_whole(const struct conf_check *c) {
    const struct conf_audit *audit = &c->conf->audit;
    const struct {
        const char *path;
        const char *value;
    } needed[] = {{"audit.token", audit->token},
                  {"audit.key_label", audit->key_label},
                  {"audit.public_key", audit->public_key}};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (!needed[i].value)
            return CONF_REFUSE(c, needed[i].path, "is missing; audit.origin needs it");
    return check_token(c);
}

enum tm_err conf_check_audit(const struct conf_check *c) {
    const struct conf_audit *audit = &c->conf->audit;
    if (audit->origin && !is_origin(audit->origin))
        return CONF_REFUSE(c, "audit.origin",
                           "\"%s\" is not allowed; must be printable ASCII without blank and plus",
                           audit->origin);
    if (audit->origin)
        return check_whole(c);
    if (audit->token || audit->key_label || audit->public_key || audit->seen ||
        audit->witnesses.count)
        return CONF_REFUSE(c, "audit", "needs origin: without it no checkpoints are signed");
    return TM_OK;
}
