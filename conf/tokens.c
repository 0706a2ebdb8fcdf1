/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens by position and name: see conf/conf.h. */
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

size_t conf_token_count(const struct conf *conf) {
    return 1 + conf->tokens.count;
}

const struct conf_signer *conf_token(const struct conf *conf, size_t index) {
    const struct conf_signer *more = conf->tokens.items;
    return index ? &more[index - 1] : &conf->signer;
}

size_t conf_token_named(const struct conf *conf, const char *name) {
    size_t i = 0;
    while (name && i < conf_token_count(conf) && strcmp(conf_token(conf, i)->name, name) != 0)
        i++;
    return i;
}

size_t conf_token_primary(const struct conf *conf, size_t index) {
    const char *name = conf_token(conf, index)->standby_for;
    return name ? conf_token_named(conf, name) : index;
}

size_t conf_token_standby(const struct conf *conf, size_t index) {
    for (size_t i = 0; i < conf_token_count(conf); i++)
        if (i != index && conf_token_primary(conf, i) == index)
            return i;
    return index;
}

int conf_pin_fd(const struct conf_signer *token) {
    static const char prefix[] = "fd:";
    if (strncmp(token->pin_file, prefix, sizeof prefix - 1) != 0)
        return -1;
    return (int)strtoul(token->pin_file + sizeof prefix - 1, NULL, 10);
}

bool conf_pin_prompts(const struct conf_signer *token) {
    return strcmp(token->pin_file, "prompt") == 0;
}

bool conf_token_used(const struct conf *conf, size_t index) {
    const struct conf_issuer *issuers = conf->issuers.items;
    size_t primary = conf_token_primary(conf, index);
    if (conf->audit.origin && conf_token_named(conf, conf->audit.token) == primary)
        return true;
    if (conf->tls.key_label && conf_token_named(conf, conf->tls.token) == primary)
        return true;
    for (size_t i = 0; i < conf->issuers.count; i++)
        if (issuers[i].kind == CONF_ISSUER_TOKEN &&
            conf_token_named(conf, issuers[i].token) == primary)
            return true;
    return false;
}
