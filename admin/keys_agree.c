/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `touchmark keys` is about to put in force, as officers agree on it: one act per tenant whose
 * issuers change. touchmarkd says what is agreed, and judges again when it loads the files; what is
 * done here keeps nobody from anything.
 */
#include <stdlib.h>
#include <string.h>

#include "admin/command.h"
#include "admin/keys_internal.h"
#include "base/auto.h"
#include "ca/assignment.h"

AUTO_DEFINE(json_t, json_decref)

/* ---- a tenant's issuers, as text ---- */

static enum tm_err add_issuer(const struct conf *conf, const char *name,
                              struct ca_assignment *assignment, char error[CONF_ERROR_MAX]) {
    const struct conf_issuer *said = conf_issuer_named(conf, name);
    struct ca_assigned assigned = {0};
    struct ca_issuer issuer;
    char text[IPC_TEXT_MAX + 1] = "there is no such issuer";
    enum tm_err err =
        said ? ca_issuer_load(name, said->certificate, said->chain, &issuer, text) : TM_ENOTFOUND;
    if (!err) {
        err = ca_assigned_make(&issuer, said->old_with_new, said->new_with_old, &assigned, text);
        ca_issuer_free(&issuer);
    }
    if (!err)
        err = ca_assignment_add(assignment, &assigned);
    if (err)
        (void)snprintf(error, CONF_ERROR_MAX, "issuer %s: %s", name, text);
    return err;
}

static enum tm_err read_assignment(const struct conf *conf, const struct conf_tenant *tenant,
                                   struct buf *out, char error[CONF_ERROR_MAX]) {
    struct ca_assignment assignment = {0};
    enum tm_err err = add_issuer(conf, tenant->issuer, &assignment, error);
    for (size_t i = 0; i < tenant->also.count && !err; i++)
        err = add_issuer(conf, tenant->also.items[i], &assignment, error);
    return err ? err : ca_assignment_print(&assignment, out);
}

/* Would it be as before? What cannot be read was something else. */
static bool is_unchanged(const struct conf *before, const char *tenant, struct bytes now) {
    const struct conf_tenant *was = conf_tenant_named(before, tenant);
    uint8_t memory[CA_AGREED_VALUE_MAX];
    struct buf out = BUF_ON(memory);
    char error[CONF_ERROR_MAX];
    return was && !read_assignment(before, was, &out, error) && bytes_equal(buf_bytes(&out), now);
}

/* ---- asking and proposing ---- */

struct work {
    const struct keys_order *order;
    const char *socket;
    enum keys_agreement *agreement;
    char *error;
};

static json_t *parameters_of(const char *tenant, struct bytes value, const char *words) {
    json_t *object = json_pack("{s:s}", "tenant", tenant);
    for (size_t i = 0; value.n; i++) {
        char name[16];
        const uint8_t *end = memchr(value.p, '\n', value.n);
        size_t n = end ? (size_t)(end - value.p) : value.n;
        (void)snprintf(name, sizeof name, i ? CA_ASSIGNMENT_ALSO : CA_ASSIGNMENT_SIGNS, i);
        (void)json_object_set_new(object, name, json_stringn((const char *)value.p, n));
        value = (struct bytes){value.p + n + 1, value.n - n - 1};
    }
    if (words)
        (void)json_object_set_new(object, "words", json_string(words));
    return object;
}

static enum tm_err propose(const struct work *w, const char *kind, const json_t *parameters) {
    struct admin_call call = {.conf = w->order->conf, .socket = w->socket};
    (void)snprintf(w->error, CONF_ERROR_MAX, "nothing was changed");
    if (admin_propose(&call, kind, parameters) != EX_OK)
        return TM_EDENIED;
    *w->agreement = KEYS_PROPOSED;
    return TM_OK;
}

/* May this be in force under the name of a row (ca/rows.h)? Proposes it, if nobody has. */
static enum tm_err settle(const struct work *w, const char *name, struct bytes value,
                          const char *kind, const json_t *parameters) {
    struct ipc_admin_request request = {.verb = IPC_ADMIN_KEYS, .data = value};
    AUTO(json_t) answer = NULL;
    TEXT_SET(request.reason, name);
    enum tm_err err = keys_ask(w->socket, &request, &answer, w->error);
    if (err)
        return err;
    const char *state = json_string_value(json_object_get(answer, "state"));
    const char *act = json_string_value(json_object_get(answer, "act"));
    if (state && strcmp(state, "unknown") == 0)
        return propose(w, kind, parameters);
    if (state && strcmp(state, "open") == 0) {
        (void)snprintf(w->error, CONF_ERROR_MAX,
                       "act %s, on %s, waits for the signatures of two officers", act ? act : "",
                       name);
        return TM_EDENIED;
    }
    if (state && strcmp(state, "approved") == 0 && *w->agreement != KEYS_PROPOSED)
        *w->agreement = KEYS_AGREED;
    else if (state && strcmp(state, "free") == 0)
        *w->agreement = KEYS_FREE;
    return TM_OK;
}

static enum tm_err settle_tenant(const struct work *w, const char *tenant, struct bytes value) {
    char name[CA_AGREED_NAME_MAX + 1];
    AUTO(json_t) parameters = parameters_of(tenant, value, w->order->reason);
    (void)snprintf(w->error, CONF_ERROR_MAX, "out of memory");
    (void)snprintf(name, sizeof name, "tenant:%s", tenant);
    return parameters ? settle(w, name, value, CA_ASSIGNMENT_ACT, parameters) : TM_ENOMEM;
}

enum tm_err keys_agree(const struct keys_order *order, const struct conf *before,
                       const struct conf *after, const char *socket,
                       enum keys_agreement *ret_agreement, char error[CONF_ERROR_MAX]) {
    enum keys_agreement agreement = KEYS_SAME;
    const struct work w = {order, socket, &agreement, error};
    const struct conf_tenant *tenants = after->tenants.items;
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < after->tenants.count && !err; i++) {
        uint8_t memory[CA_AGREED_VALUE_MAX];
        struct buf value = BUF_ON(memory);
        err = read_assignment(after, &tenants[i], &value, error);
        if (!err && !(before && is_unchanged(before, tenants[i].name, buf_bytes(&value))))
            err = settle_tenant(&w, tenants[i].name, buf_bytes(&value));
    }
    if (!err)
        *ret_agreement = agreement;
    return err;
}

/* ---- ceilings ---- */

#define CEILING "ceiling:" /* how such rows' names begin */

static enum tm_err settle_ceiling(const struct work *w, const struct conf_signer *token,
                                  const char *option, uint64_t number) {
    char name[CA_AGREED_NAME_MAX + 1], value[24];
    (void)snprintf(name, sizeof name, CEILING "%s.%s", token->name, option);
    (void)snprintf(value, sizeof value, "%llu", (unsigned long long)number);
    AUTO(json_t)
    parameters = json_pack("{s:s, s:s}", "name", name + strlen(CEILING), "value", value);
    if (w->order->reason)
        (void)json_object_set_new(parameters, "words", json_string(w->order->reason));
    (void)snprintf(w->error, CONF_ERROR_MAX, "out of memory");
    return parameters ? settle(w, name, bytes_str(value), "ceiling", parameters) : TM_ENOMEM;
}

enum tm_err keys_agree_ceilings(const struct keys_order *order, const struct conf *conf,
                                const char *socket, enum keys_agreement *agreement,
                                char error[CONF_ERROR_MAX]) {
    const struct work w = {order, socket, agreement, error};
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < conf_token_count(conf) && !err; i++) {
        const struct conf_signer *token = conf_token(conf, i);
        err = settle_ceiling(&w, token, "max_rate", token->max_rate);
        if (!err)
            err = settle_ceiling(&w, token, "max_total", token->max_total);
    }
    return err;
}
