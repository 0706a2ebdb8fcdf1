/* SPDX-License-Identifier: Apache-2.0 */
/* The ceremony's second phase: making tokens, keys and certificates, step by step. */
#include "ca/ceremony.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "ca/ceremony_file.h"
#include "ca/ceremony_run.h"
#include "ca/environment.h"
#include "ca/issuer.h"

typedef struct ca_transcript ca_transcript;
AUTO_DEFINE(ca_transcript, ca_transcript_close)

static const char *const type_words[] = {"P-256", "P-384", "RSA", "Ed25519"};

static enum tm_err token_fault(const struct ca_run *run, const struct ca_ceremony_token *token,
                               enum tm_err err, const char *text) {
    return ca_run_fail(run, err, "token %s: %s", token->name, text);
}

/* ---- tokens ---- */

static enum tm_err init_token(const struct ca_run *run, const struct ca_ceremony_token *token) {
    char text[CA_KEYSTORE_TEXT_MAX];
    bool exists, softhsm;
    enum tm_err err = run->keystore->ops->look(run->keystore, token, &exists, &softhsm, text);
    if (err)
        return token_fault(run, token, err, text);
    struct ca_transcript_entry entry = {.step = CA_STEP_TOKEN_INIT,
                                        .token = token->name,
                                        .token_label = token->label,
                                        .module = token->module};
    if (!exists) {
        err = ca_run_record(run, &entry);
        if (err)
            return err;
        err = run->keystore->ops->init(run->keystore, token, text);
        if (err)
            return token_fault(run, token, err, text);
    }
    entry.step = CA_STEP_TOKEN_READY;
    return ca_run_record(run, &entry);
}

static enum tm_err open_token(const struct ca_run *run, const struct ca_ceremony_token *token) {
    char text[CA_KEYSTORE_TEXT_MAX];
    struct ca_keystore_info info;
    enum tm_err err = run->keystore->ops->open(run->keystore, token, &info, text);
    if (err)
        return token_fault(run, token, err, text);
    const struct ca_transcript_entry entry = {.step = CA_STEP_TOKEN_OPEN,
                                              .token = token->name,
                                              .token_label = token->label,
                                              .module = token->module,
                                              .library = info.library,
                                              .manufacturer = info.manufacturer,
                                              .model = info.model,
                                              .serial = info.serial};
    return ca_run_record(run, &entry);
}

/* ---- keys ---- */

static enum tm_err remove_torn_key(const struct ca_run *run, const struct ca_ceremony_ca *ca) {
    char text[CA_KEYSTORE_TEXT_MAX];
    const struct ca_transcript_entry entry = {
        .step = CA_STEP_KEY_REMOVING,
        .token = ca->token,
        .ca = ca->name,
        .key_label = ca->key_label,
        .note = ca_said("interrupted while it was generated; nothing was signed with it")};
    enum tm_err err = ca_run_record(run, &entry);
    if (err)
        return err;
    err = run->keystore->ops->remove_torn(run->keystore, ca->key_label, text);
    return err ? ca_run_fault(run, ca, err, text) : TM_OK;
}

/* Only what an earlier run announced is this ceremony's; and a key that was recorded, which may
 * have signed, is never removed. */
static enum tm_err take_up_key(const struct ca_run *run, const struct ca_ceremony_ca *ca,
                               bool *ret_ready) {
    char text[CA_KEYSTORE_TEXT_MAX];
    bool torn = false;
    if (!ca_transcript_find(run->transcript, CA_STEP_KEY_MAKING, NULL, ca->name))
        return ca_run_fault(run, ca, TM_EEXISTS, "the key's label has become occupied");
    if (!ca_transcript_find(run->transcript, CA_STEP_KEY, NULL, ca->name)) {
        enum tm_err err = run->keystore->ops->torn(run->keystore, ca->key_label, &torn, text);
        if (err)
            return ca_run_fault(run, ca, err, text);
    }
    *ret_ready = !torn;
    return torn ? remove_torn_key(run, ca) : TM_OK;
}

static enum tm_err generate_key(const struct ca_run *run, const struct ca_ceremony_ca *ca) {
    char text[CA_KEYSTORE_TEXT_MAX];
    bool used, ready = false;
    enum tm_err err = run->keystore->ops->label_used(run->keystore, ca->key_label, &used, text);
    if (err)
        return ca_run_fault(run, ca, err, text);
    if (used)
        err = take_up_key(run, ca, &ready);
    if (err || ready)
        return err;
    const struct ca_transcript_entry entry = {
        .step = CA_STEP_KEY_MAKING, .token = ca->token, .ca = ca->name, .key_label = ca->key_label};
    err = ca_run_record(run, &entry);
    if (err)
        return err;
    err = run->keystore->ops->generate(run->keystore, (enum ca_ceremony_key)ca->key_type,
                                       ca->key_label, text);
    return err ? ca_run_fault(run, ca, err, text) : TM_OK;
}

static enum tm_err judge_key(const struct ca_run *run, const struct ca_held *held,
                             const struct ca_keystore_key *key, const char *spki_sha256) {
    if (key->type != held->ca->key_type)
        return ca_run_fail(run, TM_EDENIED, "CA %s: the key is %s instead of what was planned",
                           held->ca->name, type_words[key->type]);
    if (!key->sensitive || !key->always_sensitive || key->extractable || !key->never_extractable ||
        !key->local)
        return ca_run_fail(run, TM_EDENIED, "CA %s: the key may have been outside of the token",
                           held->ca->name);
    const struct ca_transcript_entry *before =
        ca_transcript_find(run->transcript, CA_STEP_KEY, NULL, held->ca->name);
    if (before && (!before->spki_sha256 || strcmp(before->spki_sha256, spki_sha256) != 0))
        return ca_run_fail(run, TM_EDENIED,
                           "CA %s: the key is not the one that this ceremony generated",
                           held->ca->name);
    return TM_OK;
}

static enum tm_err take_key(const struct ca_run *run, struct ca_held *held) {
    char text[CA_KEYSTORE_TEXT_MAX], spki_sha256[65];
    struct ca_keystore_key key;
    enum tm_err err = run->keystore->ops->find(run->keystore, held->ca->key_label, &key, text);
    if (err)
        return ca_run_fault(run, held->ca, err, text);
    struct buf copy = BUF_ON(held->spki_memory);
    buf_put(&copy, key.spki);
    if (copy.full || pki_spki_parse(buf_bytes(&copy), &held->spki) ||
        ca_run_sha256(key.spki, spki_sha256))
        return ca_run_fault(run, held->ca, TM_ETOKEN, "the public key cannot be read");
    err = judge_key(run, held, &key, spki_sha256);
    if (err || ca_transcript_find(run->transcript, CA_STEP_KEY, NULL, held->ca->name))
        return err;
    const struct ca_transcript_entry entry = {
        .step = CA_STEP_KEY,
        .token = held->ca->token,
        .ca = held->ca->name,
        .key_label = held->ca->key_label,
        .key_type = ca_said(type_words[key.type]),
        .attributes = ca_said("sensitive, always sensitive, never extractable, local"),
        .spki_sha256 = spki_sha256};
    return ca_run_record(run, &entry);
}

static enum tm_err make_keys(struct ca_run *run, const struct ca_ceremony_token *token) {
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < run->count && !err; i++) {
        const struct ca_ceremony_ca *ca = run->held[i].ca;
        if (strcmp(ca->token, token->name) != 0 || ca->certificate)
            continue;
        err = generate_key(run, ca);
        if (!err)
            err = take_key(run, &run->held[i]);
    }
    return err;
}

/* ---- the whole ---- */

static enum tm_err work_on_token(struct ca_run *run, const struct ca_ceremony_token *token) {
    enum tm_err err = TM_OK;
    if (token->init && !ca_transcript_find(run->transcript, CA_STEP_TOKEN_READY, token->name, NULL))
        err = init_token(run, token);
    if (err)
        return err;
    err = open_token(run, token);
    if (!err)
        err = make_keys(run, token);
    if (!err && strcmp(token->name, run->plan->root.token) == 0)
        err = ca_run_certificates(run);
    run->keystore->ops->close(run->keystore);
    return err;
}

/* The root's token comes last, when all the keys that it is to sign are known. */
static enum tm_err work_on_tokens(struct ca_run *run) {
    const struct ca_ceremony_token *tokens = run->plan->tokens.items, *root = NULL;
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < run->plan->tokens.count && !err; i++) {
        if (strcmp(tokens[i].name, run->plan->root.token) == 0)
            root = &tokens[i];
        else
            err = work_on_token(run, &tokens[i]);
    }
    return err ? err : root ? work_on_token(run, root) : TM_EINVAL;
}

/* Reads back what was written the way that touchmarkd will. */
static enum tm_err check_result(const struct ca_run *run) {
    for (size_t i = 1; i < run->count; i++) {
        char path[CA_RUN_PATH_MAX], chain[CA_RUN_PATH_MAX], text[IPC_TEXT_MAX + 1];
        struct ca_issuer issuer;
        enum tm_err err = ca_run_path(run, run->held[i].ca, "", path);
        if (!err)
            err = ca_run_path(run, run->held[i].ca, "-chain", chain);
        if (err)
            return err;
        err = ca_issuer_load(run->held[i].ca->name, path, chain, &issuer, text);
        if (err)
            return ca_run_fault(run, run->held[i].ca, err, text);
        bool same = ca_issuer_has_key(&issuer, run->held[i].spki.whole) &&
                    ca_environment_matches(issuer.view.subject, run->plan->environment);
        ca_issuer_free(&issuer);
        if (!same)
            return ca_run_fault(run, run->held[i].ca, TM_ECRYPTO,
                                "the file holds another certificate");
    }
    return TM_OK;
}

static enum tm_err begin(const struct ca_run *run) {
    const struct ca_ceremony_host *host = run->host;
    bool before = ca_transcript_find(run->transcript, CA_STEP_BEGAN, NULL, NULL);
    struct ca_transcript_entry entry = {.step = before ? CA_STEP_RESUMED : CA_STEP_BEGAN,
                                        .host = ca_said(host->host),
                                        .user = ca_said(host->user),
                                        .program = ca_said(host->program),
                                        .input = ca_said(host->input),
                                        .input_sha256 = ca_said(run->plan->input_sha256),
                                        .environment =
                                            ca_said(ca_environment_words[run->plan->environment])};
    if (run->plan->softhsm_in_prod)
        entry.note = ca_said("softhsm_in_prod: production keys may be files");
    return ca_run_record(run, &entry);
}

static enum tm_err run_all(struct ca_run *run) {
    char text[CA_KEYSTORE_TEXT_MAX];
    enum tm_err err = ca_run_check(run);
    if (!err)
        err = begin(run);
    if (err)
        return err;
    err = ca_file_make_folder(run->plan->out, text);
    if (err)
        return ca_run_fail(run, err, "%s", text);
    err = work_on_tokens(run);
    if (!err)
        err = check_result(run);
    if (err)
        return err;
    const struct ca_transcript_entry entry = {.step = CA_STEP_FINISHED};
    return ca_run_record(run, &entry);
}

enum tm_err ca_ceremony_run(const struct ca_ceremony *plan, struct ca_keystore *keystore,
                            const struct ca_ceremony_host *host, char error[CONF_ERROR_MAX]) {
    AUTO(ca_transcript) transcript = NULL;
    enum tm_err err = ca_transcript_open(plan->transcript, &transcript, error);
    if (err)
        return err;
    size_t count = 1 + plan->intermediates.count;
    AUTO_MEM struct ca_held *held = calloc(count, sizeof *held);
    if (!held) {
        (void)snprintf(error, CONF_ERROR_MAX, "out of memory");
        return TM_ENOMEM;
    }
    const struct ca_ceremony_ca *intermediates = plan->intermediates.items;
    for (size_t i = 0; i < count; i++)
        held[i].ca = i == 0 ? &plan->root : &intermediates[i - 1];
    struct ca_run run = {plan, keystore, host, transcript, clock_wall_ms(), count, held, error};
    return run_all(&run);
}
