/* SPDX-License-Identifier: Apache-2.0 */
/* Proposing an act: the rules, what its kind says, then text, row and leaf. */
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ca/act_internal.h"

struct act_proposal {
    struct act_proposal *prev, *next;
    struct ca_acts *acts;
    struct act_change *change; /* its `wanted` is what is looked at */
};

static void forget(struct act_proposal *proposal) {
    if (proposal->prev)
        proposal->prev->next = proposal->next;
    else
        proposal->acts->proposals = proposal->next;
    if (proposal->next)
        proposal->next->prev = proposal->prev;
    free(proposal);
}

void ca_act_proposals_free(struct ca_acts *acts) {
    while (acts->proposals) {
        free(acts->proposals->change);
        forget(acts->proposals);
    }
}

/* ---- the row ---- */

static bool is_open(const struct ca_act *act, int64_t now_ms) {
    return act->status == CA_ACT_OPEN && act->expires_ms > now_ms;
}

static enum tm_err count_open(struct ca_store *store, int64_t now_ms, size_t *ret) {
    uint8_t key[CA_ROW_KEY_MAX], octets[CA_ROW_MEMORY_MAX];
    struct buf cursor = BUF_ON(key), memory = BUF_ON(octets);
    struct ca_act act;
    size_t n = 0;
    enum tm_err err;
    while (!(err = store->ops->next_row(store, CA_TABLE_ACT, &cursor, &act, &memory))) {
        n += is_open(&act, now_ms);
        memory.n = 0;
    }
    if (err != TM_ENOTFOUND)
        return err;
    *ret = n;
    return TM_OK;
}

static enum tm_err describe(struct act_change *change) {
    struct ca_act *act = &change->act;
    uint8_t hash[CA_HASH_SIZE];
    char hex[2 * CA_HASH_SIZE + 1], words[IPC_NAME_MAX + sizeof hex + 16];
    if (EVP_Q_digest(NULL, "SHA256", NULL, act->text.p, act->text.n, hash, NULL) != 1)
        return TM_ECRYPTO;
    enum tm_err err = hex_encode(BYTES_OF(hash), hex, sizeof hex);
    if (err)
        return err;
    (void)snprintf(words, sizeof words, "%s sha256:%s", act->kind, hex);
    ca_act_leaf(act, CA_EVENT_ACT_PROPOSED, act->created_ms, change->actor, words, &change->leaf);
    return TM_OK;
}

static enum tm_err decide_propose(struct act_change *change, char text[IPC_TEXT_MAX + 1]) {
    const struct ca_acts_config *config = &change->acts->config;
    struct ca_act *act = &change->act;
    struct ca_act_text *wanted = &change->wanted;
    int64_t lifetime_ms = wanted->expires_ms - wanted->proposed_ms;
    struct buf out = BUF_ON(change->memory);
    size_t open = 0;
    wanted->proposed_ms = config->now_ms() / 1000 * 1000;
    wanted->expires_ms = wanted->proposed_ms + lifetime_ms;
    enum tm_err err = count_open(config->store, wanted->proposed_ms, &open);
    if (err)
        return ca_act_say(text, err, "the acts cannot be read: %s", tm_err_name(err));
    if (open >= CA_ACTS_OPEN_MAX)
        return ca_act_say(text, TM_EDENIED, "%zu acts are open already; withdraw some", open);
    if (RAND_bytes(wanted->id, sizeof wanted->id) != 1)
        return ca_act_say(text, TM_ECRYPTO, "no randomness for an act");
    if (ca_act_text_print(wanted, &out))
        return ca_act_say(text, TM_ELIMIT, "the act's text would be longer than %d octets",
                          CA_ACT_TEXT_MAX);
    *act = (struct ca_act){.status = CA_ACT_OPEN,
                           .text = buf_bytes(&out),
                           .created_ms = wanted->proposed_ms,
                           .expires_ms = wanted->expires_ms};
    memcpy(act->id, wanted->id, sizeof act->id);
    TEXT_SET(act->kind, wanted->kind);
    TEXT_SET(act->proposer, wanted->proposer);
    err = describe(change);
    return err ? ca_act_say(text, err, "the act's text cannot be hashed") : TM_OK;
}

/* ---- what comes before ---- */

static void checked(void *arg, enum tm_err result, const char *text) {
    struct act_proposal *proposal = arg;
    struct act_change *change = proposal->change;
    forget(proposal);
    if (!result) {
        ca_act_change_start(change, decide_propose);
        return;
    }
    change->done(change->arg, result, text, NULL);
    free(change);
}

static size_t keys_of(const struct ca_acts_config *config) {
    size_t n = 0;
    for (size_t i = 0; i < config->officer_count; i++)
        n += config->officers[i].key != NULL;
    return n;
}

static enum tm_err judge(const struct act_change *change, const struct ca_act_kind *kind,
                         char text[IPC_TEXT_MAX + 1]) {
    const struct ca_acts *acts = change->acts;
    const struct ca_act_text *wanted = &change->wanted;
    char known[160] = "";
    size_t at = 0;
    for (size_t i = 0; !kind && i < acts->kind_count && at < sizeof known; i++)
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : "",
                               acts->kinds[i]->name);
    if (!kind)
        return ca_act_say(text, TM_EINVAL, "there is no such kind of act; there are: %s", known);
    if (keys_of(&acts->config) < CA_ACT_OFFICERS)
        return ca_act_say(text, TM_EDENIED,
                          "an act takes %d officers with keys; the configuration names %zu",
                          CA_ACT_OFFICERS, keys_of(&acts->config));
    if (wanted->expires_ms < 1000 || wanted->expires_ms > CA_ACT_LIFETIME_MAX_MS)
        return ca_act_say(text, TM_EINVAL, "an act waits at most %d days for its signatures",
                          (int)(CA_ACT_LIFETIME_MAX_MS / (24 * 3600 * 1000)));
    return ca_act_params_judge(&wanted->params, kind->rules, text);
}

enum tm_err ca_act_propose(struct ca_acts *acts, const char *kind_name,
                           const struct ca_act_params *params, int64_t lifetime_ms,
                           const char *proposer, ca_act_fn *done, void *arg) {
    const struct ca_act_kind *kind = ca_act_kind_named(acts, kind_name);
    struct act_change *change = ca_act_change_new(acts, proposer, done, arg);
    struct act_proposal *proposal = calloc(1, sizeof *proposal);
    if (!change || !proposal) {
        free(change);
        free(proposal);
        return TM_ENOMEM;
    }
    *proposal = (struct act_proposal){.next = acts->proposals, .acts = acts, .change = change};
    if (acts->proposals)
        acts->proposals->prev = proposal;
    acts->proposals = proposal;
    change->wanted.params = *params;
    change->wanted.expires_ms = lifetime_ms ? lifetime_ms : CA_ACT_LIFETIME_MS;
    TEXT_SET(change->wanted.environment, acts->config.environment);
    TEXT_SET(change->wanted.kind, kind_name);
    TEXT_SET(change->wanted.proposer, proposer);
    char text[IPC_TEXT_MAX + 1] = "";
    enum tm_err err = judge(change, kind, text);
    if (err || !kind->check)
        checked(proposal, err, text);
    else
        kind->check(kind->self, &change->wanted.params, checked, proposal);
    return TM_OK;
}
