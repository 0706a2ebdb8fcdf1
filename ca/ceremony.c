/* SPDX-License-Identifier: Apache-2.0 */
/* The ceremony's second phase: making tokens, keys and certificates, step by step. */
#include "ca/ceremony.h"

#include <openssl/evp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "ca/build.h"
#include "ca/ceremony_cert.h"
#include "ca/ceremony_file.h"
#include "ca/ceremony_run.h"
#include "ca/environment.h"
#include "ca/issuer.h"
#include "ca/pem.h"
#include "pki/name.h"

typedef struct ca_transcript ca_transcript;
AUTO_DEFINE(ca_transcript, ca_transcript_close)

static const char *const type_words[] = {"P-256", "P-384", "RSA", "Ed25519"};

/* ---- helpers ---- */

enum tm_err ca_run_fail(const struct ca_run *run, enum tm_err err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(run->error, CONF_ERROR_MAX, format, args);
    va_end(args);
    return err;
}

enum tm_err ca_run_path(const struct ca_run *run, const struct ca_ceremony_ca *ca,
                        const char *suffix, char ret[CA_RUN_PATH_MAX]) {
    int n = snprintf(ret, CA_RUN_PATH_MAX, "%s/%s%s.pem", run->plan->out, ca->name, suffix);
    if (n < 0 || n >= CA_RUN_PATH_MAX)
        return ca_run_fail(run, TM_ELIMIT, "out: the path is too long");
    return TM_OK;
}

enum tm_err ca_run_load(const struct ca_run *run, struct ca_held *held, const char *path) {
    char text[IPC_TEXT_MAX + 1];
    struct bytes der;
    enum tm_err err = ca_pem_load(path, &der, text);
    if (err)
        return ca_run_fail(run, err, "%s", text);
    struct buf copy = BUF_ON(held->der_memory);
    buf_put(&copy, der);
    free((void *)(uintptr_t)der.p);
    held->der = buf_bytes(&copy);
    if (copy.full || pki_cert_parse(held->der, &held->view))
        return ca_run_fail(run, TM_EPARSE, "%s: not one certificate of at most %d octets", path,
                           IPC_CERT_MAX);
    return TM_OK;
}

enum tm_err ca_run_sha256(struct bytes data, char ret[65]) {
    uint8_t hash[32];
    if (EVP_Digest(data.p, data.n, hash, NULL, EVP_sha256(), NULL) != 1)
        return TM_ECRYPTO;
    return hex_encode(BYTES_OF(hash), ret, 65);
}

static enum tm_err record(const struct ca_run *run, const struct ca_transcript_entry *entry) {
    enum tm_err err = ca_transcript_add(run->transcript, entry, run->error);
    if (!err) {
        char line[256];
        ca_transcript_line(entry, line, sizeof line);
        run->host->step(run->host->arg, line);
    }
    return err;
}

static enum tm_err token_fault(const struct ca_run *run, const struct ca_ceremony_token *token,
                               enum tm_err err, const char *text) {
    return ca_run_fail(run, err, "token %s: %s", token->name, text);
}

static enum tm_err ca_fault(const struct ca_run *run, const struct ca_ceremony_ca *ca,
                            enum tm_err err, const char *text) {
    return ca_run_fail(run, err, "CA %s: %s", ca->name, text);
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
        err = record(run, &entry);
        if (err)
            return err;
        err = run->keystore->ops->init(run->keystore, token, text);
        if (err)
            return token_fault(run, token, err, text);
    }
    entry.step = CA_STEP_TOKEN_READY;
    return record(run, &entry);
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
    return record(run, &entry);
}

/* ---- keys ---- */

static enum tm_err generate_key(const struct ca_run *run, const struct ca_ceremony_ca *ca) {
    char text[CA_KEYSTORE_TEXT_MAX];
    bool used;
    enum tm_err err = run->keystore->ops->label_used(run->keystore, ca->key_label, &used, text);
    if (err)
        return ca_fault(run, ca, err, text);
    if (used) /* made before the ceremony was interrupted; the check saw to that */
        return TM_OK;
    const struct ca_transcript_entry entry = {
        .step = CA_STEP_KEY_MAKING, .token = ca->token, .ca = ca->name, .key_label = ca->key_label};
    err = record(run, &entry);
    if (err)
        return err;
    err = run->keystore->ops->generate(run->keystore, (enum ca_ceremony_key)ca->key_type,
                                       ca->key_label, text);
    return err ? ca_fault(run, ca, err, text) : TM_OK;
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
        return ca_fault(run, held->ca, err, text);
    struct buf copy = BUF_ON(held->spki_memory);
    buf_put(&copy, key.spki);
    if (copy.full || pki_spki_parse(buf_bytes(&copy), &held->spki) ||
        ca_run_sha256(key.spki, spki_sha256))
        return ca_fault(run, held->ca, TM_ETOKEN, "the public key cannot be read");
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
    return record(run, &entry);
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

/* ---- certificates ---- */

/* What transcript entries say of a certificate; `store` holds the texts. */
struct description {
    char subject[512], issuer[512], serial[2 * CA_SERIAL_MAX + 1];
    char not_before[CLOCK_TEXT_MAX], not_after[CLOCK_TEXT_MAX];
};

static enum tm_err describe(const struct pki_cert *cert, struct description *store,
                            struct ca_transcript_entry *entry) {
    pki_name_format(cert->subject, store->subject, sizeof store->subject);
    pki_name_format(cert->issuer, store->issuer, sizeof store->issuer);
    clock_format(cert->not_before_ms, store->not_before);
    clock_format(cert->not_after_ms, store->not_after);
    entry->subject = store->subject;
    entry->issuer = store->issuer;
    entry->serial_number = store->serial;
    entry->not_before = store->not_before;
    entry->not_after = store->not_after;
    return hex_encode(cert->serial, store->serial, sizeof store->serial);
}

static enum tm_err build_tbs(const struct ca_run *run, const struct ca_held *held,
                             struct buf *out) {
    uint8_t name_memory[CA_NAME_DER_MAX];
    struct buf name = BUF_ON(name_memory);
    const struct ca_held *root = &run->held[0];
    struct ca_serial serial;
    int64_t now_ms = clock_wall_ms() / 1000 * 1000;
    enum tm_err err = ca_serial_make(clock_wall_ms(), &serial);
    if (!err)
        err = ca_ceremony_name(held->ca, run->plan->environment, &name);
    if (err)
        return err;
    struct ca_ceremony_tbs tbs = {.subject = buf_bytes(&name),
                                  .issuer = buf_bytes(&name),
                                  .spki = held->spki,
                                  .signer = root->spki,
                                  .serial = &serial,
                                  .not_before_ms = now_ms,
                                  .not_after_ms = ca_ceremony_not_after(held->ca, now_ms),
                                  .path_len = held->ca->path_len};
    if (held != root) {
        tbs.issuer = root->view.subject;
        if (tbs.not_after_ms > root->view.not_after_ms)
            tbs.not_after_ms = root->view.not_after_ms;
        err = pki_cert_ski(&root->view, &tbs.signer_key_id);
    }
    return err ? err : ca_ceremony_put_tbs(&tbs, out);
}

/* Signs with the root's key, whose token is open. */
static enum tm_err sign_tbs(const struct ca_run *run, struct ca_held *held, struct bytes tbs) {
    char text[CA_KEYSTORE_TEXT_MAX];
    uint8_t signature_memory[IPC_SIGNATURE_MAX];
    struct buf signature = BUF_ON(signature_memory), out = BUF_ON(held->der_memory);
    const struct ca_held *root = &run->held[0];
    enum tm_err err =
        run->keystore->ops->sign(run->keystore, root->ca->key_label, tbs, &signature, text);
    if (err)
        return ca_fault(run, held->ca, err, text);
    err = ca_ceremony_put_certificate(&root->spki, tbs, buf_bytes(&signature), &out);
    if (err)
        return ca_fault(run, held->ca, err, "the certificate is too long");
    struct bytes der = buf_bytes(&out);
    err = ca_ceremony_verify(der, held == root ? der : root->der, text);
    if (err)
        return ca_fault(run, held->ca, err, text);
    held->der = der;
    if (pki_cert_parse(der, &held->view))
        return ca_fault(run, held->ca, TM_ECRYPTO, "the certificate made does not parse");
    return TM_OK;
}

static enum tm_err write_files(const struct ca_run *run, const struct ca_held *held, bool overwrite,
                               const char *path) {
    char text[CA_KEYSTORE_TEXT_MAX], chain_path[CA_RUN_PATH_MAX];
    enum tm_err err = ca_file_write_pem(path, held->der, overwrite, text);
    if (err)
        return ca_fault(run, held->ca, err, text);
    if (held == &run->held[0])
        return TM_OK;
    err = ca_run_path(run, held->ca, "-chain", chain_path);
    if (err)
        return err;
    err = ca_file_write_pem(chain_path, run->held[0].der, overwrite, text);
    return err ? ca_fault(run, held->ca, err, text) : TM_OK;
}

static enum tm_err record_certificate(const struct ca_run *run, const struct ca_held *held,
                                      const char *path) {
    struct description store;
    char sha256[65], spki_sha256[65];
    struct ca_transcript_entry entry = {.step = CA_STEP_CERTIFICATE,
                                        .ca = held->ca->name,
                                        .scope = held->ca->scope,
                                        .key_label = held->ca->key_label,
                                        .spki_sha256 = spki_sha256,
                                        .file = ca_said(path),
                                        .sha256 = sha256};
    enum tm_err err = describe(&held->view, &store, &entry);
    if (!err)
        err = ca_run_sha256(held->der, sha256);
    if (!err)
        err = ca_run_sha256(held->spki.whole, spki_sha256);
    return err ? ca_fault(run, held->ca, err, "cannot be described") : record(run, &entry);
}

static enum tm_err make_certificate(const struct ca_run *run, struct ca_held *held,
                                    const char *path) {
    uint8_t tbs_memory[IPC_CERT_MAX];
    struct buf tbs = BUF_ON(tbs_memory);
    struct pki_cert view;
    struct description store;
    struct ca_transcript_entry entry = {.step = CA_STEP_SIGNING, .ca = held->ca->name};
    enum tm_err err = build_tbs(run, held, &tbs);
    if (!err)
        err = pki_tbs_parse(buf_bytes(&tbs), &view);
    if (!err)
        err = describe(&view, &store, &entry);
    if (err)
        return ca_fault(run, held->ca, err, "the certificate cannot be built");
    bool overwrite = ca_transcript_find(run->transcript, CA_STEP_SIGNING, NULL, held->ca->name);
    err = record(run, &entry);
    if (!err)
        err = sign_tbs(run, held, buf_bytes(&tbs));
    if (!err)
        err = write_files(run, held, overwrite, path);
    return err ? err : record_certificate(run, held, path);
}

/* From a run that was interrupted later: the file must still be what was written. */
static enum tm_err reload_certificate(const struct ca_run *run, struct ca_held *held,
                                      const struct ca_transcript_entry *before, const char *path) {
    char sha256[65];
    enum tm_err err = ca_run_load(run, held, path);
    if (!err)
        err = ca_run_sha256(held->der, sha256);
    if (err)
        return err;
    if (!before->sha256 || strcmp(before->sha256, sha256) != 0)
        return ca_run_fail(run, TM_EDENIED, "%.300s is not the certificate that was written", path);
    return TM_OK;
}

static enum tm_err make_certificates(const struct ca_run *run) {
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < run->count && !err; i++) {
        struct ca_held *held = &run->held[i];
        char path[CA_RUN_PATH_MAX];
        if (held->ca->certificate)
            continue;
        err = ca_run_path(run, held->ca, "", path);
        if (err)
            return err;
        const struct ca_transcript_entry *before =
            ca_transcript_find(run->transcript, CA_STEP_CERTIFICATE, NULL, held->ca->name);
        err = before ? reload_certificate(run, held, before, path)
                     : make_certificate(run, held, path);
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
        err = make_certificates(run);
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
            return ca_fault(run, run->held[i].ca, err, text);
        bool same = ca_issuer_has_key(&issuer, run->held[i].spki.whole) &&
                    ca_environment_matches(issuer.view.subject, run->plan->environment);
        ca_issuer_free(&issuer);
        if (!same)
            return ca_fault(run, run->held[i].ca, TM_ECRYPTO, "the file holds another certificate");
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
    return record(run, &entry);
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
    return record(run, &entry);
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
