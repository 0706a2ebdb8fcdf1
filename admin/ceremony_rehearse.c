/* SPDX-License-Identifier: Apache-2.0 */
/* A ceremony on throwaway tokens, so that its file can be tried before the day. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "admin/ceremony_internal.h"
#include "admin/command.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "ca/attribute.h"
#include "ca/ceremony_transcript.h"
#include "ca/environment.h"
#include "ca/pem.h"
#include "conf/conf.h"
#include "pki/cert.h"

#define SOFTHSM "/usr/lib/softhsm/libsofthsm2.so"
#define PATH_SIZE 512

struct rehearsal {
    struct ca_ceremony *plan;
    char folder[PATH_SIZE];
    char *out; /* of the real one */
    char *error;
};

__attribute__((format(printf, 3, 4))) static enum tm_err
fault(const struct rehearsal *r, enum tm_err err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(r->error, CONF_ERROR_MAX, format, args);
    va_end(args);
    return err;
}

/* Puts a text in the place of another. */
static enum tm_err replace(const struct rehearsal *r, char **place, const char *text) {
    char *copy = strdup(text);
    if (!copy)
        return fault(r, TM_ENOMEM, "out of memory");
    free(*place);
    *place = copy;
    return TM_OK;
}

/* ---- the folder ---- */

static enum tm_err write_file(const struct rehearsal *r, const char *path, const char *text) {
    AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool good = fd >= 0 && !file_write(fd, bytes_str(text));
    return good ? TM_OK : fault(r, TM_EIO, "%s: %s", path, strerror(errno));
}

static enum tm_err make_folder(struct rehearsal *r) {
    const char *place = getenv("TMPDIR");
    (void)snprintf(r->folder, sizeof r->folder, "%.300s/touchmark-rehearsal-XXXXXX",
                   place && place[0] ? place : "/tmp");
    if (mkdtemp(r->folder))
        return TM_OK;
    r->folder[0] = '\0';
    return fault(r, TM_EIO, "no temporary folder: %s", strerror(errno));
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

/* ---- tokens ---- */

/* One SoftHSM is as good as another; that of the plan is there for sure. */
static const char *find_softhsm(const struct ca_ceremony *plan) {
    const struct ca_ceremony_token *tokens = plan->tokens.items;
    for (size_t i = 0; i < plan->tokens.count; i++)
        if (strstr(tokens[i].module, "softhsm"))
            return tokens[i].module;
    return SOFTHSM;
}

/* A SoftHSM of its own for each token, since tokens of several HSMs may have one label. */
static enum tm_err write_softhsm(const struct rehearsal *r, size_t i, const char *conf,
                                 const char *pin) {
    char text[2 * PATH_SIZE], tokens[PATH_SIZE + 32], word[33];
    uint8_t random[16];
    (void)snprintf(tokens, sizeof tokens, "%s/tokens-%zu", r->folder, i);
    (void)snprintf(text, sizeof text, "directories.tokendir = %s\nobjectstore.backend = file\n",
                   tokens);
    if (mkdir(tokens, 0700))
        return fault(r, TM_EIO, "%s: %s", tokens, strerror(errno));
    if (RAND_bytes(random, sizeof random) != 1 || hex_encode(BYTES_OF(random), word, sizeof word))
        return fault(r, TM_ECRYPTO, "no random numbers");
    enum tm_err err = write_file(r, conf, text);
    return err ? err : write_file(r, pin, word);
}

static enum tm_err replace_token(const struct rehearsal *r, size_t i, const char *module) {
    struct ca_ceremony_token *token = (struct ca_ceremony_token *)r->plan->tokens.items + i;
    char conf[PATH_SIZE + 64], pin[PATH_SIZE + 64];
    (void)snprintf(conf, sizeof conf, "%s/softhsm-%zu.conf", r->folder, i);
    (void)snprintf(pin, sizeof pin, "%s/pin-%zu", r->folder, i);
    enum tm_err err = write_softhsm(r, i, conf, pin);
    if (!err)
        err = replace(r, &token->module, module);
    if (!err)
        err = replace(r, &token->softhsm_conf, conf);
    if (!err)
        err = replace(r, &token->pin, pin);
    if (!err)
        err = replace(r, &token->so_pin, pin);
    token->init = true;
    return err;
}

static enum tm_err replace_tokens(const struct rehearsal *r) {
    AUTO_MEM char *module = strdup(find_softhsm(r->plan));
    enum tm_err err = module ? TM_OK : fault(r, TM_ENOMEM, "out of memory");
    if (!err && access(module, R_OK))
        err = fault(r, TM_ENOTFOUND, "%s: %s; a rehearsal needs SoftHSM (softhsm2)", module,
                    strerror(errno));
    for (size_t i = 0; i < r->plan->tokens.count && !err; i++)
        err = replace_token(r, i, module);
    return err;
}

/* ---- roots that exist ---- */

static enum tm_err key_type_of(const struct rehearsal *r, const struct pki_spki *spki,
                               unsigned *ret) {
    switch (spki->algorithm) {
    case PKI_OID_ED25519:
        *ret = CA_CEREMONY_ED25519;
        return TM_OK;
    case PKI_OID_RSA_ENCRYPTION:
        *ret = CA_CEREMONY_RSA3072;
        return TM_OK;
    default:
        *ret = spki->curve == PKI_OID_SECP384R1 ? CA_CEREMONY_P384 : CA_CEREMONY_P256;
        return spki->curve == PKI_OID_SECP384R1 || spki->curve == PKI_OID_PRIME256V1
                   ? TM_OK
                   : fault(r, TM_EDENIED,
                           "a root whose key is neither P-256, P-384, RSA nor "
                           "Ed25519 cannot be stood in for");
    }
}

#define ATTRIBUTES_MAX 16

/* The certificate's subject as a plan has it: the environment's unit is added by itself. Values go
 * to `memory`. */
static enum tm_err subject_of(const struct rehearsal *r, struct bytes name, char *memory,
                              size_t memory_n,
                              struct ca_ceremony_attribute attributes[ATTRIBUTES_MAX],
                              size_t *ret_count) {
    struct pki_attribute a;
    size_t state = 0, count = 0, at = 0;
    while (!pki_name_next(name, &state, &a)) {
        const struct ca_attribute *known = ca_attribute_of(a.type);
        if (!known || count == ATTRIBUTES_MAX || at + a.value.n + 1 > memory_n)
            return fault(r, TM_EDENIED, "a root with such a subject cannot be stood in for");
        memcpy(memory + at, a.value.p, a.value.n);
        memory[at + a.value.n] = '\0';
        if (a.type != PKI_OID_ORGANIZATIONAL_UNIT || !ca_environment_is_unit(memory + at))
            attributes[count++] = (struct ca_ceremony_attribute){
                .type = (char *)(uintptr_t)known->name, .value = memory + at};
        at += a.value.n + 1;
    }
    *ret_count = count;
    return TM_OK;
}

static struct ca_ceremony_token *token_named(const struct rehearsal *r, const char *name) {
    struct ca_ceremony_token *tokens = r->plan->tokens.items;
    for (size_t i = 0; i < r->plan->tokens.count; i++)
        if (strcmp(tokens[i].name, name) == 0)
            return &tokens[i];
    return NULL;
}

/* Makes a root that looks as the one in `der` and writes its path to `path`. */
static enum tm_err make_stand_in(const struct rehearsal *r, struct bytes der, const char *file,
                                 char *token, char *key_label, char path[PATH_SIZE + 64]) {
    char memory[1024], out[PATH_SIZE + 32], transcript[PATH_SIZE + 32];
    struct ca_ceremony_attribute attributes[ATTRIBUTES_MAX];
    struct ca_ceremony_token *holder = token_named(r, token);
    struct pki_cert view;
    struct ca_ceremony plan = {.environment = CONF_ENV_TEST, .out = out, .transcript = transcript};
    struct ca_ceremony_ca *root = &plan.root;
    size_t count = 0;
    bool is_ca;
    int path_len = -1;
    if (!holder || pki_cert_parse(der, &view) ||
        pki_cert_basic_constraints(&view, &is_ca, &path_len))
        return fault(r, TM_EPARSE, "the root's certificate cannot be read");
    enum tm_err err = key_type_of(r, &view.spki, &root->key_type);
    if (!err)
        err = subject_of(r, view.subject, memory, sizeof memory, attributes, &count);
    if (err)
        return err;
    (void)snprintf(out, sizeof out, "%s/stand-in", r->folder);
    (void)snprintf(transcript, sizeof transcript, "%s/stand-in.yaml", r->folder);
    (void)snprintf(path, PATH_SIZE + 64, "%s/root.pem", out);
    root->name = (char[]){"root"};
    root->token = token;
    root->key_label = key_label;
    root->subject = (struct conf_list){attributes, count};
    root->not_after = view.not_after_ms;
    root->path_len = path_len < 0 ? 8 : (uint64_t)path_len;
    plan.tokens = (struct conf_list){holder, 1};
    memset(plan.input_sha256, '0', sizeof plan.input_sha256 - 1);
    printf("a root that stands in for %s:\n", file);
    err = ceremony_hold(&plan, file, r->error);
    holder->init = false;
    return err;
}

/* At most one of a plan's roots exists already. */
static enum tm_err stand_in(const struct rehearsal *r) {
    struct ca_ceremony_ca *root = &r->plan->root;
    struct ca_ceremony_previous *previous = &r->plan->previous_root;
    char **certificate = root->certificate ? &root->certificate : &previous->certificate;
    char path[PATH_SIZE + 64], text[IPC_TEXT_MAX + 1];
    struct bytes der;
    if (!*certificate)
        return TM_OK;
    if (ca_pem_load(*certificate, &der, text))
        return fault(r, TM_EIO, "%s", text);
    enum tm_err err =
        make_stand_in(r, der, *certificate, root->certificate ? root->token : previous->token,
                      root->certificate ? root->key_label : previous->key_label, path);
    free((void *)(uintptr_t)der.p);
    return err ? err : replace(r, certificate, path);
}

/* ---- the rehearsal ---- */

static enum tm_err replace_places(struct rehearsal *r) {
    char out[PATH_SIZE + 32], transcript[PATH_SIZE + 32];
    (void)snprintf(out, sizeof out, "%s/ca", r->folder);
    (void)snprintf(transcript, sizeof transcript, "%s/transcript.yaml", r->folder);
    r->out = strdup(r->plan->out);
    r->plan->environment = CONF_ENV_TEST;
    enum tm_err err = r->out ? TM_OK : fault(r, TM_ENOMEM, "out of memory");
    if (!err)
        err = replace(r, &r->plan->out, out);
    return err ? err : replace(r, &r->plan->transcript, transcript);
}

static void print_made(const struct rehearsal *r, const struct ca_transcript_entry *e) {
    if (e->step == CA_STEP_KEY)
        printf("  key \"%s\" on token %s: %s for CA %s%s%s\n", e->key_label, e->token, e->key_type,
               e->ca, e->purpose ? ", " : "", e->purpose ? e->purpose : "");
    else if (e->step == CA_STEP_CERTIFICATE)
        printf("  %s/%s.pem: %s, until %s\n", r->out, e->ca, e->subject, e->not_after);
}

static enum tm_err print_all_made(const struct rehearsal *r) {
    struct conf_list list = {0};
    enum tm_err err = ca_transcript_read(r->plan->transcript, &list, r->error);
    if (err)
        return err;
    const struct ca_transcript_entry *entries = list.items;
    printf("would be made, with the real environment instead of \"%s\":\n",
           ca_environment_unit(CONF_ENV_TEST));
    for (size_t i = 0; i < list.count; i++)
        print_made(r, &entries[i]);
    ca_transcript_free_entries(&list);
    return TM_OK;
}

static enum tm_err rehearse(struct rehearsal *r, const char *file) {
    enum tm_err err = ca_ceremony_look(r->plan, r->error);
    if (!err)
        err = make_folder(r);
    if (!err)
        err = replace_places(r);
    if (!err)
        err = replace_tokens(r);
    if (!err)
        err = stand_in(r);
    if (!err)
        err = ceremony_hold(r->plan, file, r->error);
    return err ? err : print_all_made(r);
}

/* Signals wait until nothing is left behind. */
int ceremony_rehearse(struct ca_ceremony *plan, const char *file) {
    char error[CONF_ERROR_MAX] = "";
    struct rehearsal r = {.plan = plan, .error = error};
    sigset_t set, before;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &set, &before);
    enum tm_err err = rehearse(&r, file);
    if (r.folder[0] && nftw(r.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS)) {
        (void)fault(&r, TM_EIO, "%s could not be removed: %s", r.folder, strerror(errno));
        err = TM_EIO;
    }
    free(r.out);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (err) {
        fprintf(stderr, "touchmark ceremony: rehearsal: %s\n", error);
        return ADMIN_EXIT_REFUSED;
    }
    printf("the rehearsal went well; all of it was removed\n");
    return EX_OK;
}
