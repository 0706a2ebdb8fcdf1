/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of acts, each one transaction with its audit leaf: signing and withdrawing. */
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crash.h"
#include "base/log.h"
#include "ca/act_internal.h"
#include "est/wire/base64.h"

#define ATTEMPTS_MAX 8

enum tm_err ca_act_say(char text[IPC_TEXT_MAX + 1], enum tm_err err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, IPC_TEXT_MAX + 1, format, args);
    va_end(args);
    return err;
}

void ca_act_id_text(const uint8_t id[CA_ACT_ID_SIZE], char ret[CA_ACT_ID_TEXT]) {
    if (hex_encode((struct bytes){id, CA_ACT_ID_SIZE}, ret, CA_ACT_ID_TEXT))
        ret[0] = '\0';
}

void ca_act_leaf(const struct ca_act *act, enum ca_event event, int64_t now_ms, const char *actor,
                 const char *words, struct ca_leaf *ret) {
    char id[CA_ACT_ID_TEXT];
    ca_act_id_text(act->id, id);
    *ret = (struct ca_leaf){.event = (uint8_t)event, .time_ms = now_ms};
    TEXT_SET(ret->actor, actor);
    (void)snprintf(ret->reason, sizeof ret->reason, "%s %s", id, words);
}

const struct ca_act_kind *ca_act_kind_named(const struct ca_acts *acts, const char *name) {
    for (size_t i = 0; i < acts->kind_count; i++)
        if (strcmp(acts->kinds[i]->name, name) == 0)
            return acts->kinds[i];
    return NULL;
}

/* ---- life ---- */

enum tm_err ca_acts_new(const struct ca_acts_config *config, struct ca_acts **ret_acts) {
    struct ca_acts *acts = calloc(1, sizeof *acts);
    if (!acts)
        return TM_ENOMEM;
    acts->config = *config;
    *ret_acts = acts;
    return TM_OK;
}

void ca_acts_stop(struct ca_acts *acts) {
    if (acts)
        acts->stopping = true;
}

bool ca_acts_stopping(const struct ca_acts *acts) {
    return acts->stopping;
}

void ca_acts_free(struct ca_acts *acts) {
    if (!acts)
        return;
    ca_act_proposals_free(acts);
    ca_act_running_free(acts);
    free(acts);
}

enum tm_err ca_acts_add(struct ca_acts *acts, const struct ca_act_kind *kind) {
    if (ca_act_kind_named(acts, kind->name))
        return TM_EEXISTS;
    if (acts->kind_count == CA_ACT_KINDS_MAX)
        return TM_ELIMIT;
    acts->kinds[acts->kind_count++] = kind;
    return TM_OK;
}

/* ---- a change ---- */

struct act_change *ca_act_change_new(struct ca_acts *acts, const char *actor, ca_act_fn *done,
                                     void *arg) {
    struct act_change *change = calloc(1, sizeof *change);
    if (!change)
        return NULL;
    change->acts = acts;
    change->done = done;
    change->arg = arg;
    TEXT_SET(change->actor, actor);
    return change;
}

static void change_run(struct act_change *change);

static void change_end(struct act_change *change, enum tm_err result, const char *text) {
    change->done(change->arg, result, text, result ? NULL : &change->act);
    if (!result && change->act.status == CA_ACT_RUNNING)
        ca_act_begin(change->acts, &change->act);
    if (!result && change->act.status == CA_ACT_OPEN)
        ca_act_note_expiry(change->acts, &change->act);
    free(change->dropped);
    free(change);
}

static void change_durable(struct ca_batch *batch, enum tm_err result) {
    struct act_change *change = batch->arg;
    if (result == TM_ECONFLICT && ++change->attempts < ATTEMPTS_MAX) {
        change_run(change);
        return;
    }
    if (!result)
        crash_point("core.act_changed");
    change_end(change, result,
               result ? "the registry did not take the change; nothing happened" : "");
}

static bool is_going_on(const struct ca_act *act) {
    return act->status == CA_ACT_OPEN || act->status == CA_ACT_RUNNING;
}

static void change_run(struct act_change *change) {
    char text[IPC_TEXT_MAX + 1] = "";
    struct ca_store *store = change->acts->config.store;
    enum tm_err err = change->decide(change, text);
    change->act.version++;
    change->batch =
        (struct ca_batch){.count = 2,
                          .changes = {{.kind = CA_PUT_ROW, .u.row = {CA_TABLE_ACT, &change->act}},
                                      {.kind = CA_ADD_LEAF, .u.leaf = &change->leaf}},
                          .done = change_durable,
                          .arg = change};
    free(change->dropped);
    change->dropped = err || is_going_on(&change->act)
                          ? NULL
                          : ca_act_drop(change->acts, &change->act, &change->batch);
    if (!err)
        err = store->ops->submit(store, &change->batch);
    if (err)
        change_end(change, err, text[0] ? text : "the registry is busy; try again");
}

void ca_act_change_start(struct act_change *change,
                         enum tm_err (*decide)(struct act_change *, char *)) {
    change->decide = decide;
    change_run(change);
}

static const char *status_words(const struct ca_act *act) {
    switch ((enum ca_act_status)act->status) {
    case CA_ACT_OPEN:
        return "is open";
    case CA_ACT_RUNNING:
        return "is signed and being carried out";
    case CA_ACT_DONE:
        return "is done";
    case CA_ACT_FAILED:
        return "was carried out and failed";
    case CA_ACT_WITHDRAWN:
        return "was withdrawn";
    case CA_ACT_EXPIRED:
        return "has expired; propose it again";
    }
    return "is in no known state";
}

/* Reads the act that the change is about, which must be open. */
static enum tm_err load_open(struct act_change *change, char text[IPC_TEXT_MAX + 1]) {
    struct ca_store *store = change->acts->config.store;
    struct buf memory = BUF_ON(change->memory);
    enum tm_err err = store->ops->row(store, CA_TABLE_ACT, &change->act, &memory);
    if (err == TM_ENOTFOUND)
        return ca_act_say(text, err, "there is no act with this ID");
    if (err)
        return ca_act_say(text, err, "the act cannot be read: %s", tm_err_name(err));
    if (change->act.status != CA_ACT_OPEN)
        return ca_act_say(text, TM_EDENIED, "the act %s", status_words(&change->act));
    return TM_OK;
}

/* ---- sign ---- */

static const struct ca_officer *officer_named(const struct ca_acts *acts, const char *name) {
    for (size_t i = 0; i < acts->config.officer_count; i++)
        if (strcmp(acts->config.officers[i].name, name) == 0)
            return &acts->config.officers[i];
    return NULL;
}

/* Is it still that of an officer with that key, over this text? */
static bool counts(const struct ca_acts *acts, const struct ca_act *act,
                   const struct ca_act_signature *signature) {
    const struct ca_officer *officer = officer_named(acts, signature->officer);
    return officer && officer->key &&
           memcmp(officer->spki_sha256, signature->key, CA_HASH_SIZE) == 0 &&
           !ca_officer_verify(officer, act->text, (struct bytes){signature->octets, signature->n});
}

/* Whoever was taken out of the configuration meanwhile, or got another key, has not signed. */
static void drop_stale(const struct ca_acts *acts, struct ca_act *act) {
    size_t kept = 0;
    for (size_t i = 0; i < act->signature_count; i++)
        if (counts(acts, act, &act->signatures[i]))
            act->signatures[kept++] = act->signatures[i];
    act->signature_count = kept;
}

static enum tm_err judge_signature(const struct act_change *change, char text[IPC_TEXT_MAX + 1]) {
    const struct ca_officer *officer = change->officer;
    const struct ca_act *act = &change->act;
    if (act->expires_ms <= change->leaf.time_ms)
        return ca_act_say(text, TM_EDENIED, "the act has expired; propose it again");
    if (!officer->key)
        return ca_act_say(text, TM_EDENIED, "officer %s has no key in the configuration",
                          officer->name);
    for (size_t i = 0; i < act->signature_count; i++) {
        if (strcmp(act->signatures[i].officer, officer->name) == 0)
            return ca_act_say(text, TM_EDENIED, "officer %s has signed it already; another must",
                              officer->name);
        if (memcmp(act->signatures[i].key, officer->spki_sha256, CA_HASH_SIZE) == 0)
            return ca_act_say(text, TM_EDENIED, "officer %s signed it with the same key",
                              act->signatures[i].officer);
    }
    if (ca_officer_verify(officer, act->text,
                          (struct bytes){change->signature.octets, change->signature.n}))
        return ca_act_say(text, TM_EDENIED,
                          "the signature over the act's text does not verify with the key of "
                          "officer %s",
                          officer->name);
    return TM_OK;
}

/* The signature in base64, or, where a leaf has no room for it, its hash. */
static void signature_words(const struct ca_act_signature *signature,
                            char ret[IPC_TEXT_MAX + 1 - CA_ACT_ID_TEXT]) {
    struct bytes octets = {signature->octets, signature->n};
    uint8_t hash[CA_HASH_SIZE];
    char hex[2 * CA_HASH_SIZE + 1] = "";
    struct buf out = {(uint8_t *)ret, IPC_TEXT_MAX - CA_ACT_ID_TEXT, 0, false};
    if (!est_base64_encode(octets, 0, &out)) {
        ret[out.n] = '\0';
        return;
    }
    if (EVP_Q_digest(NULL, "SHA256", NULL, octets.p, octets.n, hash, NULL) != 1 ||
        hex_encode(BYTES_OF(hash), hex, sizeof hex))
        hex[0] = '\0';
    (void)snprintf(ret, IPC_TEXT_MAX + 1 - CA_ACT_ID_TEXT, "sha256:%s", hex);
}

static enum tm_err decide_sign(struct act_change *change, char text[IPC_TEXT_MAX + 1]) {
    struct ca_act *act = &change->act;
    char words[IPC_TEXT_MAX + 1 - CA_ACT_ID_TEXT];
    enum tm_err err = load_open(change, text);
    if (err)
        return err;
    change->leaf.time_ms = change->acts->config.now_ms();
    drop_stale(change->acts, act);
    err = judge_signature(change, text);
    if (err)
        return err;
    change->signature.time_ms = change->leaf.time_ms;
    act->signatures[act->signature_count++] = change->signature;
    if (act->signature_count == CA_ACT_OFFICERS)
        act->status = CA_ACT_RUNNING;
    signature_words(&change->signature, words);
    ca_act_leaf(act, CA_EVENT_ACT_SIGNED, change->leaf.time_ms, change->actor, words,
                &change->leaf);
    return TM_OK;
}

enum tm_err ca_act_sign(struct ca_acts *acts, const uint8_t id[CA_ACT_ID_SIZE],
                        const struct ca_officer *officer, struct bytes signature, ca_act_fn *done,
                        void *arg) {
    char actor[IPC_TEXT_MAX + 1];
    ca_officer_actor(officer, actor);
    struct act_change *change = ca_act_change_new(acts, actor, done, arg);
    if (!change)
        return TM_ENOMEM;
    memcpy(change->act.id, id, CA_ACT_ID_SIZE);
    change->officer = officer;
    TEXT_SET(change->signature.officer, officer->name);
    memcpy(change->signature.key, officer->spki_sha256, CA_HASH_SIZE);
    if (signature.n <= CA_ACT_SIGNATURE_MAX) { /* a longer one is none: it does not verify */
        memcpy(change->signature.octets, signature.p, signature.n);
        change->signature.n = (uint16_t)signature.n;
    }
    ca_act_change_start(change, decide_sign);
    return TM_OK;
}

/* ---- withdraw ---- */

static enum tm_err decide_withdraw(struct act_change *change, char text[IPC_TEXT_MAX + 1]) {
    struct ca_act *act = &change->act;
    char words[2 * IPC_TEXT_MAX];
    enum tm_err err = load_open(change, text);
    if (err)
        return err;
    act->status = CA_ACT_WITHDRAWN;
    act->ended_ms = change->acts->config.now_ms();
    TEXT_SET(act->result, change->reason);
    (void)snprintf(words, sizeof words, "withdrawn: %s", change->reason);
    ca_act_leaf(act, CA_EVENT_ACT_ENDED, act->ended_ms, change->actor, words, &change->leaf);
    return TM_OK;
}

enum tm_err ca_act_withdraw(struct ca_acts *acts, const uint8_t id[CA_ACT_ID_SIZE],
                            const char *reason, const char *actor, ca_act_fn *done, void *arg) {
    struct act_change *change = ca_act_change_new(acts, actor, done, arg);
    if (!change)
        return TM_ENOMEM;
    memcpy(change->act.id, id, CA_ACT_ID_SIZE);
    TEXT_SET(change->reason, reason);
    ca_act_change_start(change, decide_withdraw);
    return TM_OK;
}
