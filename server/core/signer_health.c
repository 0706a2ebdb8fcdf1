/* SPDX-License-Identifier: Apache-2.0 */
/* How the tokens are: for signers.c, commands, and those who need to know whether a key is there.
 */
#include <string.h>

#include "base/clock.h"
#include "server/core/signers_internal.h"

const struct core_token *signers_token(const struct signer_link *l) {
    return &l->setup->tokens[l->index];
}

struct signer_link *signers_other(const struct core_signer *s, const struct signer_link *l) {
    const struct core_token *token = signers_token(l);
    size_t other = token->primary != l->index ? token->primary : token->standby;
    return other == l->index ? NULL : &s->links[other];
}

bool signers_in_order(const struct signer_link *l) {
    return l && l->breaker.state == BREAKER_CLOSED && signer_link_ready(l);
}

size_t signers_issuer(const struct core_signer *s, const char *name) {
    const struct core_setup *setup = s->config.setup;
    size_t i = 0;
    while (i < setup->issuer_count && strcmp(setup->issuers[i].name, name) != 0)
        i++;
    return i;
}

bool signers_used(const struct core_signer *s, size_t token) {
    const struct core_setup *setup = s->config.setup;
    if (setup->has_tls_key && setup->tls_token == setup->tokens[token].primary)
        return true;
    if (setup->audit.on && setup->audit.token == token)
        return true;
    for (size_t i = 0; i < setup->issuer_count; i++)
        if (!setup->issuers[i].remote && setup->uses[i].token == setup->tokens[token].primary)
            return true;
    return false;
}

/* ---- who asks ---- */

/* The one of the pair that signs now. */
static const struct signer_link *in_place_of(const struct core_signer *s, size_t token) {
    const struct signer_link *home = &s->links[token];
    const struct signer_link *standby = signers_other(s, home);
    return !signers_in_order(home) && signers_in_order(standby) ? standby : home;
}

/* The token that signs for the issuer now. */
static const struct signer_link *link_for(const struct core_signer *s, size_t issuer) {
    return in_place_of(s, s->config.setup->uses[issuer].token);
}

bool core_signer_shows(const struct core_signer *s, size_t issuer) {
    return link_for(s, issuer)->keys[issuer].own;
}

bool core_signer_knows(const struct core_signer *s, const char *issuer) {
    size_t i = signers_issuer(s, issuer);
    return i < s->config.setup->issuer_count && signer_link_ready(link_for(s, i));
}

enum tm_err core_signer_ocsp_key(const struct core_signer *s, const char *issuer,
                                 struct bytes *ret_spki) {
    size_t i = signers_issuer(s, issuer);
    if (i == s->config.setup->issuer_count || !link_for(s, i)->keys[i].spki)
        return TM_ENOTFOUND;
    const struct signer_keys *keys = &link_for(s, i)->keys[i];
    *ret_spki = (struct bytes){keys->spki, keys->n};
    return TM_OK;
}

enum tm_err core_signer_tls_key(const struct core_signer *s, struct bytes *ret_spki) {
    const struct core_setup *setup = s->config.setup;
    const struct signer_keys *keys =
        setup->has_tls_key ? &in_place_of(s, setup->tls_token)->tls : NULL;
    if (!keys || !keys->spki)
        return TM_ENOTFOUND;
    *ret_spki = (struct bytes){keys->spki, keys->n};
    return TM_OK;
}

enum core_signer_state core_signer_state(const struct core_signer *s) {
    size_t served = 0;
    for (size_t i = 0; i < s->config.setup->token_count; i++)
        if (signers_used(s, i) && s->config.setup->tokens[i].primary == i)
            served +=
                signer_link_ready(&s->links[i]) || signers_in_order(signers_other(s, &s->links[i]));
    return served == s->in_use ? CORE_SIGNER_READY : served ? CORE_SIGNER_PARTLY : CORE_SIGNER_DOWN;
}

const char *core_signer_state_name(enum core_signer_state state) {
    switch (state) {
    case CORE_SIGNER_READY:
        return "ready";
    case CORE_SIGNER_PARTLY:
        return "partly";
    case CORE_SIGNER_DOWN:
        break;
    }
    return "down";
}

bool core_signer_health(const struct core_signer *s, size_t token, struct core_token_health *ret) {
    const struct signer_link *l = &s->links[token];
    const struct signer_link *other = signers_other(s, l);
    bool standby = signers_token(l)->primary != token;
    if (!signers_used(s, token))
        return false;
    *ret = (struct core_token_health){.name = l->name,
                                      .standby_for = standby ? other->name : NULL,
                                      .ready = signer_link_ready(l),
                                      .breaker = l->breaker.state,
                                      .waiting = l->waiting,
                                      .failures = l->failures,
                                      .mean_ms = signer_link_mean_ms(l, clock_mono_ms())};
    ret->in_use = standby ? other->breaker.state != BREAKER_CLOSED && signers_in_order(l)
                          : l->breaker.state == BREAKER_CLOSED && ret->ready;
    return true;
}
