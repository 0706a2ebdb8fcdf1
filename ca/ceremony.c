/* SPDX-License-Identifier: Apache-2.0 */
/* The ceremony as a whole: what is checked, then made, token by token. */
#include "ca/ceremony.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "ca/ceremony_file.h"
#include "ca/ceremony_run.h"
#include "ca/environment.h"
#include "ca/issuer.h"

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

/* ---- the whole ---- */

static bool is_previous(const struct ca_run *run, const struct ca_ceremony_token *token) {
    return run->previous && strcmp(run->plan->previous_root.token, token->name) == 0;
}

static enum tm_err work_on_open(struct ca_run *run, const struct ca_ceremony_token *token) {
    bool root = strcmp(token->name, run->plan->root.token) == 0;
    enum tm_err err = ca_run_make_keys(run, token->name);
    if (!err && root)
        err = ca_run_certificates(run);
    if (!err && root && is_previous(run, token))
        err = ca_run_new_with_old(run);
    return err;
}

static enum tm_err work_on_token(struct ca_run *run, const struct ca_ceremony_token *token) {
    enum tm_err err = TM_OK;
    if (token->init && !ca_transcript_find(run->transcript, CA_STEP_TOKEN_READY, token->name, NULL))
        err = init_token(run, token);
    if (!err)
        err = open_token(run, token);
    if (!err)
        err = work_on_open(run, token);
    run->keystore->ops->close(run->keystore);
    return err;
}

static enum tm_err work_on_previous(struct ca_run *run, const struct ca_ceremony_token *token) {
    enum tm_err err = open_token(run, token);
    if (!err)
        err = ca_run_new_with_old(run);
    run->keystore->ops->close(run->keystore);
    return err;
}

/* The root's token comes when all the keys that it is to sign are known, and that of the root
 * before last: it signs the new root's key. */
static enum tm_err work_on_tokens(struct ca_run *run) {
    const struct ca_ceremony_token *tokens = run->plan->tokens.items, *root = NULL,
                                   *previous = NULL;
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < run->plan->tokens.count && !err; i++) {
        if (strcmp(tokens[i].name, run->plan->root.token) == 0)
            root = &tokens[i];
        else if (ca_run_makes_keys(run, tokens[i].name))
            err = work_on_token(run, &tokens[i]);
        if (is_previous(run, &tokens[i]))
            previous = &tokens[i];
    }
    if (!err)
        err = root ? work_on_token(run, root) : TM_EINVAL;
    if (!err && previous && previous != root)
        err = work_on_previous(run, previous);
    return err;
}

/* Reads back what was written the way that touchmarkd will. */
static enum tm_err check_result(const struct ca_run *run) {
    for (size_t i = 1; i < run->count; i++) {
        char path[CA_RUN_PATH_MAX], chain[CA_RUN_PATH_MAX], text[IPC_TEXT_MAX + 1];
        struct ca_issuer issuer;
        const char *name = run->held[i].name;
        enum tm_err err = ca_run_path(run, name, "", path);
        if (!err)
            err = ca_run_path(run, name, "-chain", chain);
        if (err)
            return err;
        err = ca_issuer_load(name, path, chain, &issuer, text);
        if (err)
            return ca_run_fault(run, name, err, text);
        bool same = ca_issuer_has_key(&issuer, run->held[i].spki.whole) &&
                    ca_environment_matches(issuer.view.subject, run->plan->environment);
        ca_issuer_free(&issuer);
        if (!same)
            return ca_run_fault(run, name, TM_ECRYPTO, "the file holds another certificate");
    }
    return run->previous ? ca_rollover_verify(run) : TM_OK;
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
    enum tm_err err = ca_run_look(run);
    if (!err)
        err = ca_run_check_tokens(run);
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

/* ---- beginning ---- */

static void hold_rollover(struct ca_run *run, struct ca_held *held) {
    const struct ca_ceremony *plan = run->plan;
    run->previous = &held[0];
    run->previous->name = "previous root";
    run->previous->key_label = plan->previous_root.key_label;
    run->old_with_new = &held[1];
    run->new_with_old = &held[2];
    (void)snprintf(held[1].name_memory, CA_HELD_NAME_MAX, "%s-old-with-new", plan->root.name);
    (void)snprintf(held[2].name_memory, CA_HELD_NAME_MAX, "%s-new-with-old", plan->root.name);
    held[1].name = held[1].name_memory;
    held[2].name = held[2].name_memory;
}

/* Fills run from its plan; `held` and the transcript are the caller's to free. */
static enum tm_err prepare(struct ca_run *run) {
    const struct ca_ceremony_ca *intermediates = run->plan->intermediates.items;
    run->count = 1 + run->plan->intermediates.count;
    run->held = calloc(run->count + 3, sizeof *run->held);
    if (!run->held)
        return ca_run_fail(run, TM_ENOMEM, "out of memory");
    for (size_t i = 0; i < run->count; i++) {
        struct ca_held *held = &run->held[i];
        held->ca = i == 0 ? &run->plan->root : &intermediates[i - 1];
        held->name = held->ca->name;
        held->key_label = held->ca->key_label;
    }
    if (run->plan->previous_root.certificate)
        hold_rollover(run, &run->held[run->count]);
    run->now_ms = clock_wall_ms();
    return ca_transcript_open(run->plan->transcript, &run->transcript, run->error);
}

static void finish(struct ca_run *run) {
    ca_transcript_close(run->transcript);
    free(run->held);
}

enum tm_err ca_ceremony_run(const struct ca_ceremony *plan, struct ca_keystore *keystore,
                            const struct ca_ceremony_host *host, char error[CONF_ERROR_MAX]) {
    struct ca_run run = {.plan = plan, .keystore = keystore, .host = host, .error = error};
    enum tm_err err = prepare(&run);
    if (!err)
        err = run_all(&run);
    finish(&run);
    return err;
}

enum tm_err ca_ceremony_look(const struct ca_ceremony *plan, char error[CONF_ERROR_MAX]) {
    struct ca_run run = {.plan = plan, .error = error};
    enum tm_err err = prepare(&run);
    if (!err)
        err = ca_run_look(&run);
    finish(&run);
    return err;
}
