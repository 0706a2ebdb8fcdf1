/* SPDX-License-Identifier: Apache-2.0 */
/* The signers, one per token: see supervisor.h. */
#include "server/supervisor/supervisor.h"

static unsigned token_count(const struct supervisor *s) {
    return (unsigned)conf_token_count(&s->settings.conf);
}

static bool is_wanted(const struct supervisor *s, unsigned token) {
    return conf_token_used(&s->settings.conf, token);
}

static bool is_primary(const struct supervisor *s, unsigned token) {
    return conf_token_primary(&s->settings.conf, token) == token;
}

/* Its pair, which is itself when it has none. */
static unsigned other_of(const struct supervisor *s, unsigned token) {
    const struct conf *conf = &s->settings.conf;
    return (unsigned)(is_primary(s, token) ? conf_token_standby(conf, token)
                                           : conf_token_primary(conf, token));
}

static bool is_up(const struct supervisor *s, unsigned token) {
    const struct child *signer = child_find_signer(s, token);
    return signer && signer->state == CHILD_READY && signer->generation == s->generation;
}

/* Those of the old configuration; the old core goes before them, so that its tickets still find
 * their signers. */
static bool drain_stale(struct supervisor *s) {
    const struct child *core = child_find(s, IPC_ROLE_CORE);
    bool needed = core && core->generation != s->generation, any = false;
    for (struct child *c = s->children; c; c = c->next)
        if (c->kind == IPC_ROLE_SIGNER && c->generation != s->generation) {
            any = true;
            if (!needed)
                child_drain(c);
        }
    return any;
}

/* Two that ask on one terminal would get each other's answers. */
static bool is_asking(const struct supervisor *s) {
    for (const struct child *c = s->children; c; c = c->next)
        if (c->kind == IPC_ROLE_SIGNER && c->state == CHILD_STARTING && c->asks)
            return true;
    return false;
}

/* One process owns a token, since two that open a SoftHSM token at once fail to log in; and a
 * configuration may have moved tokens about. So none of the new ones starts before all of the old
 * are gone. */
void tokens_keep(struct supervisor *s) {
    if (drain_stale(s))
        return;
    for (unsigned i = 0; i < token_count(s); i++)
        if (is_wanted(s, i) && !child_find_signer(s, i) && !(pins_prompt(s, i) && is_asking(s)) &&
            post_may_start(post_of(s, IPC_ROLE_SIGNER, i)))
            post_start(s, IPC_ROLE_SIGNER, i);
}

bool tokens_served(const struct supervisor *s, unsigned token) {
    return is_up(s, token) || is_up(s, other_of(s, token));
}

bool tokens_settled(const struct supervisor *s) {
    if (is_wanted(s, 0) && !tokens_served(s, 0))
        return false;
    for (unsigned i = 0; i < token_count(s); i++)
        if (is_wanted(s, i) && is_primary(s, i) && !is_up(s, i) && !s->signers[i].failures)
            return false;
    return true;
}

static bool has_failed(const struct supervisor *s, unsigned token) {
    const struct post *post = &s->signers[token];
    return post->config || post->failures >= POST_START_TRIES;
}

bool tokens_hopeless(const struct supervisor *s, unsigned token) {
    unsigned other = other_of(s, token);
    return (token == 0 || other == 0) && has_failed(s, token) && has_failed(s, other);
}
