/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold across the keys of a ceremony's file. */
#include <stdarg.h>
#include <string.h>

#include "ca/attribute.h"
#include "ca/ceremony_plan.h"
#include "ca/environment.h"

#define PLACE_MAX 48

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

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), end_n = strlen(end);
    return n >= end_n && strcmp(text + n - end_n, end) == 0;
}

/* The names of files that are made beside NAME.pem belong to nobody. */
static enum tm_err check_name(const struct check *c, const char *where, const char *name) {
    if (name[0] == '.' || ends_with(name, "-chain") || ends_with(name, "-old-with-new") ||
        ends_with(name, "-new-with-old"))
        return refuse(c, where, "name", "%s cannot name the CA's files", name);
    return TM_OK;
}

/* A CA's keys in order; NULL: it has none of that kind. */
#define LABELS 3
static const char *label_of(const struct ca_ceremony_ca *ca, size_t which) {
    const char *const labels[LABELS] = {ca->key_label, ca->ocsp_key_label, ca->tls_key_label};
    return labels[which];
}

/* Is one of the first `count` of its keys labelled so? */
static bool has_label(const struct ca_ceremony_ca *ca, size_t count, const char *label) {
    for (size_t i = 0; i < count; i++)
        if (label_of(ca, i) && strcmp(label_of(ca, i), label) == 0)
            return true;
    return false;
}

/* Is there a key of this label and token in the previous root, in the CAs before `index`, or before
 * it in that one? */
static bool label_taken(const struct ca_ceremony *plan, size_t index, size_t which) {
    const char *token = ca_at(plan, index)->token, *label = label_of(ca_at(plan, index), which);
    const struct ca_ceremony_previous *previous = &plan->previous_root;
    if (previous->certificate && strcmp(previous->token, token) == 0 &&
        strcmp(previous->key_label, label) == 0)
        return true;
    for (size_t i = 0; i < index; i++)
        if (strcmp(ca_at(plan, i)->token, token) == 0 && has_label(ca_at(plan, i), LABELS, label))
            return true;
    return has_label(ca_at(plan, index), which, label);
}

/* Against the CAs before it: files and keys must not meet. */
static enum tm_err check_apart(const struct check *c, const char *where, size_t index) {
    const struct ca_ceremony_ca *ca = ca_at(c->plan, index);
    for (size_t i = 0; i < index; i++)
        if (strcmp(ca_at(c->plan, i)->name, ca->name) == 0)
            return refuse(c, where, "name", "another CA is called %s", ca->name);
    static const char *const keys[LABELS] = {"key_label", "ocsp_key_label", "tls_key_label"};
    for (size_t i = 0; i < LABELS; i++)
        if (label_of(ca, i) && label_taken(c->plan, index, i))
            return refuse(c, where, keys[i], "another key of token %s is labelled %s", ca->token,
                          label_of(ca, i));
    if (ca->tls_key_label && ca->key_type != CA_CEREMONY_P256 && ca->key_type != CA_CEREMONY_P384)
        return refuse(c, where, "tls_key_label",
                      "the TLS server's key is of the CA's type, which must be P-256 or P-384");
    return TM_OK;
}

static enum tm_err check_scope(const struct check *c, const char *where,
                               const struct ca_ceremony_ca *ca) {
    const struct {
        const char *key, *value;
    } texts[] = {{"scope.product", ca->scope.product}, {"scope.factory", ca->scope.factory}};
    for (size_t i = 0; i < 2; i++) {
        const char *fault = texts[i].value
                                ? ca_attribute_fault(ca_attribute_named("OU"), DER_UTF8_STRING,
                                                     bytes_str(texts[i].value))
                                : NULL;
        if (fault)
            return refuse(c, where, texts[i].key, "%s (RFC 5280, appendix A)", fault);
    }
    if (ca->scope.year && ca->scope.year < 1000)
        return refuse(c, where, "scope.year", "has four digits");
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
        if (root->subject.count == 0 && !c->plan->previous_root.certificate)
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
        err = check_scope(c, where, ca);
    if (!err)
        err = check_apart(c, where, index);
    if (!err)
        err = index == 0 ? check_root(c) : check_validity(c, where, ca);
    if (!err && index > 0 && !c->plan->root.certificate && ca->path_len >= c->plan->root.path_len)
        return refuse(c, where, "path_len", "must be less than the root's");
    return err;
}

static enum tm_err check_previous(const struct check *c) {
    const struct ca_ceremony_previous *previous = &c->plan->previous_root;
    if (!previous->certificate && !previous->token && !previous->key_label)
        return TM_OK;
    if (!previous->certificate || !previous->token || !previous->key_label)
        return refuse(c, "previous_root", "", "token, key_label and certificate go together");
    if (c->plan->root.certificate)
        return refuse(
            c, "previous_root", "",
            "is followed by a root that is made here, and root.certificate names one that "
            "exists");
    if (!has_token(c->plan, previous->token))
        return refuse(c, "previous_root", "token", "no token is called %s", previous->token);
    return TM_OK;
}

/* What holds a key that exists is not made here. */
static enum tm_err check_not_made(const struct check *c, const char *holder, const char *token) {
    for (size_t t = 0; t < c->plan->tokens.count; t++)
        if (strcmp(token_at(c->plan, t)->name, token) == 0 && token_at(c->plan, t)->init)
            return refuse(c, holder, "token",
                          "its key exists, and init: true would make the token %s", token);
    return TM_OK;
}

static enum tm_err check_existing(const struct check *c) {
    enum tm_err err = TM_OK;
    if (c->plan->root.certificate)
        err = check_not_made(c, "root", c->plan->root.token);
    if (!err && c->plan->previous_root.certificate)
        err = check_not_made(c, "previous_root", c->plan->previous_root.token);
    return err;
}

/* A token that no CA uses is a mistake, and its PIN would be asked for nothing. */
static enum tm_err check_used(const struct check *c) {
    const struct ca_ceremony_previous *previous = &c->plan->previous_root;
    for (size_t t = 0; t < c->plan->tokens.count; t++) {
        bool used =
            previous->certificate && strcmp(previous->token, token_at(c->plan, t)->name) == 0;
        for (size_t i = 0; i <= c->plan->intermediates.count; i++)
            used = used || strcmp(ca_at(c->plan, i)->token, token_at(c->plan, t)->name) == 0;
        char where[PLACE_MAX];
        (void)snprintf(where, sizeof where, "tokens[%zu]", t);
        if (!used)
            return refuse(c, where, "", "no CA has its key there");
    }
    return TM_OK;
}

enum tm_err ca_ceremony_check(const struct ca_ceremony *plan, const char *text, size_t n,
                              const char *path, char error[CONF_ERROR_MAX]) {
    const struct check c = {plan, text, n, path, error};
    enum tm_err err = check_tokens(&c);
    if (!err)
        err = check_previous(&c);
    for (size_t i = 0; i <= plan->intermediates.count && !err; i++)
        err = check_ca(&c, i);
    if (!err)
        err = check_existing(&c);
    return err ? err : check_used(&c);
}
