/* SPDX-License-Identifier: Apache-2.0 */
/* Before anything is made: is everything there that must be, and nothing in the way? */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "ca/ceremony_cert.h"
#include "ca/ceremony_run.h"
#include "ca/environment.h"
#include "conf/conf.h"

/* ---- an earlier run of the same ceremony ---- */

static enum tm_err check_transcript(const struct ca_run *run) {
    const struct ca_transcript_entry *began =
        ca_transcript_find(run->transcript, CA_STEP_BEGAN, NULL, NULL);
    if (!began)
        return TM_OK;
    if (ca_transcript_find(run->transcript, CA_STEP_FINISHED, NULL, NULL))
        return ca_run_fail(run, TM_EEXISTS,
                           "this ceremony is finished: its transcript %s exists and is complete",
                           run->plan->transcript);
    if (!began->input_sha256 || strcmp(began->input_sha256, run->plan->input_sha256) != 0)
        return ca_run_fail(run, TM_EEXISTS,
                           "the transcript %s is of another ceremony (input SHA-256 %.64s) that "
                           "was not finished",
                           run->plan->transcript, began->input_sha256 ? began->input_sha256 : "?");
    return TM_OK;
}

/* ---- roots that exist ---- */

static enum tm_err check_certificate(const struct ca_run *run, struct ca_held *root,
                                     const char *path, int *ret_path_len) {
    char text[CA_KEYSTORE_TEXT_MAX];
    bool ca;
    enum tm_err err = ca_run_load(run, root, path);
    if (err)
        return err;
    if (ca_ceremony_verify(root->der, (struct bytes){0}, root->der, text))
        return ca_run_fail(run, TM_EDENIED, "root certificate %s: %s", path, text);
    if (!ca_environment_matches(root->view.subject, run->plan->environment))
        return ca_run_fail(run, TM_EDENIED,
                           "root certificate %s is not of the environment %s (its subject lacks OU "
                           "\"%s\")",
                           path, ca_environment_words[run->plan->environment],
                           ca_environment_unit(run->plan->environment));
    if (pki_cert_basic_constraints(&root->view, &ca, ret_path_len))
        return ca_run_fail(run, TM_EPARSE, "root certificate %s: no basicConstraints", path);
    root->spki = root->view.spki;
    return TM_OK;
}

/* The CAs of the plan have to be less deep than what a root allows below it. */
static enum tm_err check_depth(const struct ca_run *run, int path_len) {
    for (size_t i = 1; i < run->count; i++)
        if (path_len >= 0 && (int64_t)run->held[i].ca->path_len >= path_len)
            return ca_run_fail(run, TM_EDENIED,
                               "CA %s: path_len %u is not less than the root's %d (RFC 5280, "
                               "4.2.1.9)",
                               run->held[i].name, (unsigned)run->held[i].ca->path_len, path_len);
    return TM_OK;
}

static enum tm_err check_old_roots(struct ca_run *run) {
    int path_len;
    enum tm_err err = TM_OK;
    if (run->plan->root.certificate) {
        err = check_certificate(run, &run->held[0], run->plan->root.certificate, &path_len);
        return err ? err : check_depth(run, path_len);
    }
    if (!run->previous)
        return TM_OK;
    err = check_certificate(run, run->previous, run->plan->previous_root.certificate, &path_len);
    if (!err)
        err = check_depth(run, path_len);
    return err ? err : ca_rollover_check(run);
}

/* ---- validity ---- */

static enum tm_err check_times(const struct ca_run *run) {
    const struct ca_held *root = &run->held[0];
    int64_t root_ends = run->plan->root.certificate
                            ? root->view.not_after_ms
                            : ca_ceremony_not_after(&run->plan->root, run->now_ms);
    for (size_t i = 0; i < run->count; i++) {
        const struct ca_ceremony_ca *ca = run->held[i].ca;
        int64_t ends = i == 0 ? root_ends : ca_ceremony_not_after(ca, run->now_ms);
        if (ends <= run->now_ms)
            return ca_run_fail(run, TM_EDENIED, "CA %s would be expired already", ca->name);
        if (ends > root_ends)
            return ca_run_fail(run, TM_EDENIED, "CA %s would outlive its root", ca->name);
    }
    return TM_OK;
}

/* ---- tokens ---- */

static enum tm_err token_fault(const struct ca_run *run, const struct ca_ceremony_token *token,
                               enum tm_err err, const char *text) {
    return ca_run_fail(run, err, "token %s: %s", token->name, text);
}

static enum tm_err check_old_key(const struct ca_run *run, const struct ca_ceremony_token *token,
                                 const struct ca_held *root, const char *certificate) {
    char text[CA_KEYSTORE_TEXT_MAX];
    struct ca_keystore_key key;
    enum tm_err err = run->keystore->ops->find(run->keystore, root->key_label, &key, text);
    if (err)
        return token_fault(run, token, err, text);
    if (!bytes_equal(key.spki, root->view.spki.whole))
        return ca_run_fail(run, TM_EDENIED,
                           "token %s: the key \"%s\" is not the one in the root certificate %s",
                           token->name, root->key_label, certificate);
    return TM_OK;
}

static enum tm_err check_label(const struct ca_run *run, const struct ca_ceremony_token *token,
                               const struct ca_ceremony_ca *ca, const char *label) {
    char text[CA_KEYSTORE_TEXT_MAX];
    bool used;
    enum tm_err err = run->keystore->ops->label_used(run->keystore, label, &used, text);
    if (err)
        return token_fault(run, token, err, text);
    if (used && !ca_transcript_find_key(run->transcript, CA_STEP_KEY_MAKING, ca->name, label))
        return ca_run_fail(run, TM_EEXISTS,
                           "token %s: the label \"%s\" for CA %s is occupied; nothing was made",
                           token->name, label, ca->name);
    if (!used && ca_transcript_find_key(run->transcript, CA_STEP_KEY, ca->name, label))
        return ca_run_fail(run, TM_ENOTFOUND,
                           "token %s: the key \"%s\" that this ceremony made for CA %s is gone",
                           token->name, label, ca->name);
    return TM_OK;
}

static enum tm_err check_labels(const struct ca_run *run, const struct ca_ceremony_token *token) {
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < run->count && !err; i++) {
        const struct ca_ceremony_ca *ca = run->held[i].ca;
        if (strcmp(ca->token, token->name) != 0)
            continue;
        err = ca->certificate ? check_old_key(run, token, &run->held[i], ca->certificate)
                              : check_label(run, token, ca, ca->key_label);
        if (!err && ca->ocsp_key_label)
            err = check_label(run, token, ca, ca->ocsp_key_label);
        if (!err && ca->tls_key_label)
            err = check_label(run, token, ca, ca->tls_key_label);
    }
    return err;
}

static enum tm_err check_keys(const struct ca_run *run, const struct ca_ceremony_token *token) {
    char text[CA_KEYSTORE_TEXT_MAX];
    struct ca_keystore_info info;
    enum tm_err err = run->keystore->ops->open(run->keystore, token, &info, text);
    if (err)
        return token_fault(run, token, err, text);
    err = check_labels(run, token);
    const struct ca_ceremony_previous *previous = &run->plan->previous_root;
    if (!err && run->previous && strcmp(previous->token, token->name) == 0)
        err = check_old_key(run, token, run->previous, previous->certificate);
    run->keystore->ops->close(run->keystore);
    return err;
}

static enum tm_err check_token(const struct ca_run *run, const struct ca_ceremony_token *token) {
    char text[CA_KEYSTORE_TEXT_MAX];
    bool exists, softhsm;
    enum tm_err err = run->keystore->ops->look(run->keystore, token, &exists, &softhsm, text);
    if (err)
        return token_fault(run, token, err, text);
    if (softhsm && run->plan->environment == CONF_ENV_PROD && !run->plan->softhsm_in_prod)
        return ca_run_fail(run, TM_EDENIED,
                           "token %s: SoftHSM keeps keys in files; for production that needs "
                           "softhsm_in_prod: true",
                           token->name);
    bool ours = ca_transcript_find(run->transcript, CA_STEP_TOKEN_INIT, token->name, NULL);
    bool ready = ca_transcript_find(run->transcript, CA_STEP_TOKEN_READY, token->name, NULL);
    if (token->init && exists && !ours)
        return ca_run_fail(run, TM_EEXISTS,
                           "token %s: there is a token labelled \"%s\" already; nothing was made",
                           token->name, token->label);
    if (!exists && (!token->init || ready))
        return ca_run_fail(run, TM_ENOTFOUND, "token %s: there is none labelled \"%s\"",
                           token->name, token->label);
    return exists ? check_keys(run, token) : TM_OK;
}

/* ---- files ---- */

static enum tm_err check_absent(const struct ca_run *run, const char *name, const char *suffix) {
    char path[CA_RUN_PATH_MAX];
    struct stat st;
    enum tm_err err = ca_run_path(run, name, suffix, path);
    if (err)
        return err;
    if (lstat(path, &st) == 0)
        return ca_run_fail(run, TM_EEXISTS, "%.300s exists already; nothing was made", path);
    if (errno != ENOENT && errno != ENOTDIR)
        return ca_run_fail(run, TM_EIO, "%.300s: %s", path, strerror(errno));
    return TM_OK;
}

/* Files of an earlier run of this ceremony are not in the way. */
static enum tm_err check_files_of(const struct ca_run *run, const char *name, bool chain) {
    if (ca_transcript_find(run->transcript, CA_STEP_SIGNING, NULL, name))
        return TM_OK;
    enum tm_err err = check_absent(run, name, "");
    return err || !chain ? err : check_absent(run, name, "-chain");
}

static enum tm_err check_files(const struct ca_run *run) {
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < run->count && !err; i++)
        if (!run->held[i].ca->certificate)
            err = check_files_of(run, run->held[i].name, i > 0);
    if (!err && run->previous)
        err = check_files_of(run, run->old_with_new->name, false);
    if (!err && run->previous)
        err = check_files_of(run, run->new_with_old->name, false);
    return err;
}

enum tm_err ca_run_look(struct ca_run *run) {
    enum tm_err err = check_transcript(run);
    if (!err)
        err = check_old_roots(run);
    if (!err)
        err = check_times(run);
    return err ? err : check_files(run);
}

enum tm_err ca_run_check_tokens(const struct ca_run *run) {
    const struct ca_ceremony_token *tokens = run->plan->tokens.items;
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < run->plan->tokens.count && !err; i++) {
        char text[CA_KEYSTORE_TEXT_MAX];
        err = run->keystore->ops->prepare(run->keystore, &tokens[i], text);
        if (err)
            err = token_fault(run, &tokens[i], err, text);
    }
    for (size_t i = 0; i < run->plan->tokens.count && !err; i++)
        err = check_token(run, &tokens[i]);
    return err;
}
