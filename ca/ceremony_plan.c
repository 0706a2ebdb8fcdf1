/* SPDX-License-Identifier: Apache-2.0 */
/* The ceremony's YAML file: its keys, and what must hold across them. */
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "ca/attribute.h"
#include "ca/ceremony.h"
#include "ca/environment.h"

#define TOKEN_LABEL_MAX 32 /* CK_TOKEN_INFO.label */
#define PLACE_MAX 48
#define SUBJECT_MAX 8
#define TOKENS_MAX 16
#define INTERMEDIATES_MAX 32

static const char *const key_words[] = {"p256", "p384", "rsa3072", "ed25519", NULL};
static const char *const pin_words[] = {"credential:", "fd:", "prompt", NULL};

static const struct conf_row token_rows[] = {
    {.key = "name",
     .type = CONF_NAME,
     .offset = offsetof(struct ca_ceremony_token, name),
     .help = "What this file calls the token."},
    {.key = "module",
     .type = CONF_PATH,
     .offset = offsetof(struct ca_ceremony_token, module),
     .help = "PKCS#11 module.",
     .example = "/usr/lib/softhsm/libsofthsm2.so"},
    {.key = "softhsm_conf",
     .type = CONF_PATH,
     .offset = offsetof(struct ca_ceremony_token, softhsm_conf),
     .preset = "",
     .help = "SOFTHSM2_CONF for a SoftHSM module; absent: as in the environment."},
    {.key = "label",
     .type = CONF_STRING,
     .offset = offsetof(struct ca_ceremony_token, label),
     .min = 1,
     .max = TOKEN_LABEL_MAX,
     .help = "The token's label."},
    {.key = "init",
     .type = CONF_BOOL,
     .offset = offsetof(struct ca_ceremony_token, init),
     .preset = "false",
     .help = "Make the token from an uninitialised slot; it must not exist."},
    {.key = "pin",
     .type = CONF_PATH,
     .offset = offsetof(struct ca_ceremony_token, pin),
     .words = pin_words,
     .help = "User PIN: a file that only its owner reads, credential:NAME, fd:N or prompt.",
     .example = "prompt"},
    {.key = "so_pin",
     .type = CONF_PATH,
     .offset = offsetof(struct ca_ceremony_token, so_pin),
     .preset = "",
     .words = pin_words,
     .help = "Security officer's PIN, with init; likewise."},
    {.key = NULL},
};

static const struct conf_row attribute_rows[] = {
    {.key = "type",
     .type = CONF_NAME,
     .offset = offsetof(struct ca_ceremony_attribute, type),
     .help = "Attribute type: CN, O, OU, C, L, ST, serialNumber or UID.",
     .example = "CN"},
    {.key = "value",
     .type = CONF_STRING,
     .offset = offsetof(struct ca_ceremony_attribute, value),
     .min = 1,
     .max = 256,
     .help = "Its value."},
    {.key = NULL},
};

#define AT(member) offsetof(struct ca_ceremony_ca, member)
#define CA_ROWS_COMMON                                                                             \
    {.key = "name",                                                                                \
     .type = CONF_NAME,                                                                            \
     .offset = AT(name),                                                                           \
     .help = "Name of the CA's files: NAME.pem."},                                                 \
        {.key = "token",                                                                           \
         .type = CONF_NAME,                                                                        \
         .offset = AT(token),                                                                      \
         .help = "Name of the token that holds its key."},                                         \
        {.key = "key_label",                                                                       \
         .type = CONF_STRING,                                                                      \
         .offset = AT(key_label),                                                                  \
         .min = 1,                                                                                 \
         .max = 64,                                                                                \
         .help = "Label of its key on the token; must be free there."},                            \
        {.key = "years",                                                                           \
         .type = CONF_UINT,                                                                        \
         .offset = AT(years),                                                                      \
         .preset = "0",                                                                            \
         .max = 100,                                                                               \
         .help = "Validity in calendar years from now; or not_after."},                            \
        {.key = "not_after",                                                                       \
         .type = CONF_TIME,                                                                        \
         .offset = AT(not_after),                                                                  \
         .preset = "",                                                                             \
         .help = "End of validity; 99991231235959Z under CAs of IDevIDs that never expire."},      \
    {                                                                                              \
        .key = "scope", .type = CONF_STRING, .offset = AT(scope), .preset = "", .max = 256,        \
        .help = "What the CA is for: product, factory, year; for the transcript."                  \
    }

static const struct conf_row root_rows[] = {
    CA_ROWS_COMMON,
    {.key = "certificate",
     .type = CONF_PATH,
     .offset = AT(certificate),
     .preset = "",
     .help = "PEM of a root that exists: it only signs new intermediates, and its subject, "
             "validity and key type are not given here."},
    {.key = "key_type",
     .type = CONF_ENUM,
     .offset = AT(key_type),
     .preset = "p384",
     .words = key_words,
     .help = "Its key."},
    {.key = "subject",
     .type = CONF_LIST,
     .offset = AT(subject),
     .preset = "",
     .min = 1,
     .max = SUBJECT_MAX,
     .rows = attribute_rows,
     .elem_size = sizeof(struct ca_ceremony_attribute),
     .help = "Its name; the environment is added as an organizational unit."},
    {.key = "path_len",
     .type = CONF_UINT,
     .offset = AT(path_len),
     .preset = "1",
     .min = 1,
     .max = 8,
     .help = "CAs that may follow below it (pathLenConstraint)."},
    {.key = NULL},
};

static const struct conf_row intermediate_rows[] = {
    CA_ROWS_COMMON,
    {.key = "key_type",
     .type = CONF_ENUM,
     .offset = AT(key_type),
     .preset = "p256",
     .words = key_words,
     .help = "Its key."},
    {.key = "subject",
     .type = CONF_LIST,
     .offset = AT(subject),
     .min = 1,
     .max = SUBJECT_MAX,
     .rows = attribute_rows,
     .elem_size = sizeof(struct ca_ceremony_attribute),
     .help = "Its name; the environment is added as an organizational unit."},
    {.key = "path_len",
     .type = CONF_UINT,
     .offset = AT(path_len),
     .preset = "0",
     .max = 7,
     .help = "CAs that may follow below it (pathLenConstraint)."},
    {.key = NULL},
};

const struct conf_row ca_ceremony_rows[] = {
    {.key = "environment",
     .type = CONF_ENUM,
     .offset = offsetof(struct ca_ceremony, environment),
     .words = ca_environment_words,
     .help = "Stands in every CA certificate, so that none passes for another's."},
    {.key = "softhsm_in_prod",
     .type = CONF_BOOL,
     .offset = offsetof(struct ca_ceremony, softhsm_in_prod),
     .preset = "false",
     .help = "Consent to production keys in SoftHSM, that is in files."},
    {.key = "transcript",
     .type = CONF_PATH,
     .offset = offsetof(struct ca_ceremony, transcript),
     .help = "File that records the ceremony; must not exist, or be of this ceremony, unfinished."},
    {.key = "out",
     .type = CONF_PATH,
     .offset = offsetof(struct ca_ceremony, out),
     .help = "Folder of the certificates; made if it is missing."},
    {.key = "tokens",
     .type = CONF_LIST,
     .offset = offsetof(struct ca_ceremony, tokens),
     .min = 1,
     .max = TOKENS_MAX,
     .rows = token_rows,
     .elem_size = sizeof(struct ca_ceremony_token),
     .help = "The tokens; one at a time is open."},
    {.key = "root",
     .type = CONF_GROUP,
     .offset = offsetof(struct ca_ceremony, root),
     .rows = root_rows,
     .help = "The root CA. After the ceremony its token goes into the safe."},
    {.key = "intermediates",
     .type = CONF_LIST,
     .offset = offsetof(struct ca_ceremony, intermediates),
     .preset = "",
     .max = INTERMEDIATES_MAX,
     .rows = intermediate_rows,
     .elem_size = sizeof(struct ca_ceremony_ca),
     .help = "The CAs that the root signs."},
    {.key = NULL},
};

/* ---- checks across keys ---- */

struct check {
    const struct ca_ceremony *plan;
    const char *text;
    size_t text_n;
    const char *path;
    char *error;
};

/* where: "root" or "intermediates[0]", and a key below it or "". */
__attribute__((format(printf, 4, 5))) static enum tm_err
refuse(const struct check *c, const char *where, const char *key, const char *format, ...) {
    char place[2 * PLACE_MAX], sentence[CONF_ERROR_MAX];
    (void)snprintf(place, sizeof place, "%s%s%s", where, where[0] && key[0] ? "." : "", key);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    return conf_refuse(c->text, c->text_n, c->path, place, c->error, "%s", sentence);
}

static const struct ca_ceremony_token *token_at(const struct ca_ceremony *plan, size_t i) {
    return (const struct ca_ceremony_token *)plan->tokens.items + i;
}

/* 0 is the root, the rest are the intermediates. */
static const struct ca_ceremony_ca *ca_at(const struct ca_ceremony *plan, size_t i) {
    return i == 0 ? &plan->root
                  : (const struct ca_ceremony_ca *)plan->intermediates.items + (i - 1);
}

static void ca_place(size_t i, char ret[PLACE_MAX]) {
    if (i == 0)
        (void)snprintf(ret, PLACE_MAX, "root");
    else
        (void)snprintf(ret, PLACE_MAX, "intermediates[%zu]", i - 1);
}

static enum tm_err check_tokens(const struct check *c) {
    for (size_t i = 0; i < c->plan->tokens.count; i++) {
        const struct ca_ceremony_token *token = token_at(c->plan, i);
        char where[PLACE_MAX];
        (void)snprintf(where, sizeof where, "tokens[%zu]", i);
        for (size_t j = 0; j < i; j++)
            if (strcmp(token_at(c->plan, j)->name, token->name) == 0)
                return refuse(c, where, "name", "another token is called %s", token->name);
        if (token->init && !token->so_pin)
            return refuse(c, where, "init", "needs so_pin, the security officer's PIN");
        if (!token->init && token->so_pin)
            return refuse(c, where, "so_pin", "is only for a token with init: true");
    }
    return TM_OK;
}

static enum tm_err check_subject(const struct check *c, const char *where,
                                 const struct ca_ceremony_ca *ca) {
    const struct ca_ceremony_attribute *attributes = ca->subject.items;
    for (size_t i = 0; i < ca->subject.count; i++) {
        char place[2 * PLACE_MAX];
        const struct ca_attribute *known = ca_attribute_named(attributes[i].type);
        (void)snprintf(place, sizeof place, "%s.subject[%zu]", where, i);
        if (!known)
            return refuse(c, place, "type",
                          "%s is not allowed; must be CN, O, OU, C, L, ST, serialNumber or UID",
                          attributes[i].type);
        const char *fault = ca_attribute_fault(known, known->tag, bytes_str(attributes[i].value));
        if (fault)
            return refuse(c, place, "value", "%s (RFC 5280, appendix A)", fault);
        if (known->type == PKI_OID_ORGANIZATIONAL_UNIT &&
            ca_environment_is_unit(attributes[i].value))
            return refuse(c, place, "value", "the environment is added by itself");
    }
    return TM_OK;
}

static bool has_token(const struct ca_ceremony *plan, const char *name) {
    for (size_t i = 0; i < plan->tokens.count; i++)
        if (strcmp(token_at(plan, i)->name, name) == 0)
            return true;
    return false;
}

static enum tm_err check_name(const struct check *c, const char *where, const char *name) {
    static const char suffix[] = "-chain";
    size_t n = strlen(name);
    if (name[0] == '.' ||
        (n >= sizeof suffix - 1 && strcmp(name + n - (sizeof suffix - 1), suffix) == 0))
        return refuse(c, where, "name", "%s cannot name the CA's files", name);
    return TM_OK;
}

/* Against the CAs before it: files and keys must not meet. */
static enum tm_err check_apart(const struct check *c, const char *where, size_t index) {
    const struct ca_ceremony_ca *ca = ca_at(c->plan, index);
    for (size_t i = 0; i < index; i++) {
        const struct ca_ceremony_ca *other = ca_at(c->plan, i);
        if (strcmp(other->name, ca->name) == 0)
            return refuse(c, where, "name", "another CA is called %s", ca->name);
        if (strcmp(other->token, ca->token) == 0 && strcmp(other->key_label, ca->key_label) == 0)
            return refuse(c, where, "key_label", "another key of token %s is labelled %s",
                          ca->token, ca->key_label);
    }
    return TM_OK;
}

static enum tm_err check_validity(const struct check *c, const char *where,
                                  const struct ca_ceremony_ca *ca) {
    if (!ca->years && !ca->not_after)
        return refuse(c, where, "", "years or not_after is missing");
    if (ca->years && ca->not_after)
        return refuse(c, where, "not_after", "years is given too; only one of them can be");
    return TM_OK;
}

static enum tm_err check_root(const struct check *c) {
    const struct ca_ceremony_ca *root = &c->plan->root;
    if (!root->certificate) {
        if (root->subject.count == 0)
            return refuse(c, "root", "", "subject is missing");
        return check_validity(c, "root", root);
    }
    if (root->subject.count > 0 || root->years || root->not_after)
        return refuse(c, "root", "certificate",
                      "of a root that exists: subject, years and not_after are in it already");
    if (c->plan->intermediates.count == 0)
        return refuse(c, "root", "certificate",
                      "of a root that exists, and no intermediates: there is nothing to do");
    return TM_OK;
}

static enum tm_err check_ca(const struct check *c, size_t index) {
    const struct ca_ceremony_ca *ca = ca_at(c->plan, index);
    char where[PLACE_MAX];
    ca_place(index, where);
    if (!has_token(c->plan, ca->token))
        return refuse(c, where, "token", "no token is called %s", ca->token);
    enum tm_err err = check_name(c, where, ca->name);
    if (!err)
        err = check_subject(c, where, ca);
    if (!err)
        err = check_apart(c, where, index);
    if (!err)
        err = index == 0 ? check_root(c) : check_validity(c, where, ca);
    if (!err && index > 0 && !c->plan->root.certificate && ca->path_len >= c->plan->root.path_len)
        return refuse(c, where, "path_len", "must be less than the root's");
    return err;
}

/* A token that no CA uses is a mistake, and its PIN would be asked for nothing. */
static enum tm_err check_used(const struct check *c) {
    for (size_t t = 0; t < c->plan->tokens.count; t++) {
        bool used = false;
        for (size_t i = 0; i <= c->plan->intermediates.count; i++)
            used = used || strcmp(ca_at(c->plan, i)->token, token_at(c->plan, t)->name) == 0;
        char where[PLACE_MAX];
        (void)snprintf(where, sizeof where, "tokens[%zu]", t);
        if (!used)
            return refuse(c, where, "", "no CA has its key there");
    }
    return TM_OK;
}

static enum tm_err check_plan(const struct check *c) {
    enum tm_err err = check_tokens(c);
    for (size_t i = 0; i <= c->plan->intermediates.count && !err; i++)
        err = check_ca(c, i);
    return err ? err : check_used(c);
}

enum tm_err ca_ceremony_load(const char *path, struct ca_ceremony *ret_plan,
                             char error[CONF_ERROR_MAX]) {
    AUTO_MEM char *text = NULL;
    size_t n;
    struct ca_ceremony plan;
    enum tm_err err = conf_read_file(path, &text, &n, error);
    if (!err)
        err = conf_load_text(text, n, path, ca_ceremony_rows, &plan, sizeof plan, error);
    if (err)
        return err;
    const struct check check = {&plan, text, n, path, error};
    err = check_plan(&check);
    uint8_t hash[32];
    if (!err && EVP_Digest(text, n, hash, NULL, EVP_sha256(), NULL) != 1)
        err = TM_ECRYPTO;
    if (!err)
        err = hex_encode(BYTES_OF(hash), plan.input_sha256, sizeof plan.input_sha256);
    if (err)
        ca_ceremony_free(&plan);
    else
        *ret_plan = plan;
    return err;
}

void ca_ceremony_free(struct ca_ceremony *plan) {
    conf_free(ca_ceremony_rows, plan, sizeof *plan);
}
