/* SPDX-License-Identifier: Apache-2.0 */
/* See assignments.h. */
#include "server/core/assignments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/log.h"
#include "ca/assignment.h"
#include "conf/managed.h"
#include "server/core/profiles.h"

struct work {
    struct conf *conf;
    struct core_setup *setup;
    struct ca_store *store;
    int64_t now_ms;
    bool guarded;
    struct ca_assigned *made; /* by issuer of setup; no name: not made yet */
    struct core_assignments *out;
};

/* ---- what the configuration says ---- */

/* TM_ENOTFOUND: there is no such issuer. */
static enum tm_err assigned_of(const struct work *w, const char *name,
                               const struct ca_assigned **ret) {
    const struct ca_issuer *issuer = core_issuer_named(w->setup, name);
    const struct conf_issuer *said = conf_issuer_named(w->conf, name);
    char text[IPC_TEXT_MAX + 1] = "";
    if (!issuer || !said)
        return TM_ENOTFOUND;
    struct ca_assigned *made = &w->made[issuer - w->setup->issuers];
    enum tm_err err = made->name[0] ? TM_OK
                                    : ca_assigned_make(issuer, said->old_with_new,
                                                       said->new_with_old, made, text);
    if (err)
        log_error("issuer %s: %s", name, text);
    else
        *ret = made;
    return err;
}

static enum tm_err add_issuer(const struct work *w, const char *name,
                              struct ca_assignment *assignment) {
    const struct ca_assigned *issuer = NULL;
    enum tm_err err = assigned_of(w, name, &issuer);
    return err ? err : ca_assignment_add(assignment, issuer);
}

static enum tm_err assignment_of(const struct work *w, const struct conf_tenant *tenant,
                                 struct ca_assignment *ret) {
    *ret = (struct ca_assignment){0};
    enum tm_err err = add_issuer(w, tenant->issuer, ret);
    for (size_t i = 0; i < tenant->also.count && !err; i++)
        err = add_issuer(w, tenant->also.items[i], ret);
    return err;
}

/* ---- what was agreed in its place ---- */

/* Is the agreed issuer there, with the certificates that were agreed? */
static bool is_there(const struct work *w, const struct ca_assigned *wanted) {
    const struct ca_assigned *found = NULL;
    return !assigned_of(w, wanted->name, &found) &&
           memcmp(wanted->certificate, found->certificate, CA_HASH_SIZE) == 0 &&
           memcmp(wanted->trust, found->trust, CA_HASH_SIZE) == 0;
}

/* Those of them that are. False: the one that signs is not. */
static bool keep(const struct work *w, struct ca_assignment *agreed) {
    size_t kept = 0;
    if (!is_there(w, &agreed->issuers[0]))
        return false;
    for (size_t i = 0; i < agreed->count; i++)
        if (is_there(w, &agreed->issuers[i]))
            agreed->issuers[kept++] = agreed->issuers[i];
    agreed->count = kept;
    return true;
}

static enum tm_err put_back(const struct work *w, const char *tenant,
                            const struct ca_assignment *agreed) {
    const char *names[CA_ASSIGNED_MAX];
    for (size_t i = 0; i < agreed->count; i++)
        names[i] = agreed->issuers[i].name;
    return conf_assign(w->conf, tenant, names, agreed->count);
}

/* The tenant goes on with what was agreed, or not at all. The name is copied: what it stands in is
 * changed. */
static enum tm_err refuse(const struct work *w, const char *name, struct core_agreed *item) {
    struct ca_assignment agreed;
    char tenant[IPC_NAME_MAX + 1] = "";
    TEXT_SET(tenant, name);
    bool known = item->row.version && !ca_assignment_parse(item->row.value, &agreed);
    if (known && keep(w, &agreed)) {
        (void)snprintf(item->words, sizeof item->words,
                       "tenant %s: its issuers in the configuration are not those that two "
                       "officers agreed on; %s goes on signing",
                       tenant, agreed.issuers[0].name);
        return put_back(w, tenant, &agreed);
    }
    (void)snprintf(item->words, sizeof item->words,
                   known ? "tenant %s is not served: the issuer that two officers agreed on is not "
                           "there with the certificates that it had"
                         : "tenant %s is not served: two officers have not agreed on its issuers",
                   tenant);
    conf_drop_tenant(w->conf, tenant);
    return TM_OK;
}

/* ---- all tenants ---- */

static void name_taken(const char *tenant, const struct ca_assignment *assignment,
                       char ret[IPC_TEXT_MAX + 1]) {
    size_t n = (size_t)snprintf(ret, IPC_TEXT_MAX + 1, "tenant %s: %s signs", tenant,
                                assignment->issuers[0].name);
    for (size_t i = 1; i < assignment->count && n < IPC_TEXT_MAX; i++)
        n += (size_t)snprintf(ret + n, IPC_TEXT_MAX + 1 - n, "%s %s", i > 1 ? "" : ", also",
                              assignment->issuers[i].name);
}

static enum tm_err judge_tenant(const struct work *w, const struct conf_tenant *tenant,
                                struct core_agreed *item) {
    struct ca_assignment assignment;
    uint8_t memory[CA_AGREED_VALUE_MAX];
    struct buf value = BUF_ON(memory);
    enum tm_err err = assignment_of(w, tenant, &assignment);
    if (!err)
        err = ca_assignment_print(&assignment, &value);
    if (!err)
        err = core_agreed_judge(w->store, &core_assignment_kind, tenant->name, buf_bytes(&value),
                                w->guarded, w->now_ms, item);
    if (!err)
        name_taken(tenant->name, &assignment, item->words);
    return err;
}

/* From the last to the first, for tenants may go. */
static enum tm_err refuse_all(const struct work *w, bool *ret_any) {
    const struct conf_tenant *tenants = w->conf->tenants.items;
    enum tm_err err = TM_OK;
    for (size_t i = w->out->count; i-- && !err;)
        if (w->out->items[i].verdict == CORE_AGREED_NOT) {
            *ret_any = true;
            err = refuse(w, tenants[i].name, &w->out->items[i]);
        }
    return err;
}

static enum tm_err judge_all(const struct work *w) {
    const struct conf_tenant *tenants = w->conf->tenants.items;
    bool any = false;
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < w->out->count && !err; i++)
        err = judge_tenant(w, &tenants[i], &w->out->items[i]);
    if (!err)
        err = refuse_all(w, &any);
    if (err || !any)
        return err;
    core_setup_free(w->setup);
    return core_setup_load(w->conf, w->setup);
}

enum tm_err core_assignments_judge(struct conf *conf, struct core_setup *setup,
                                   struct ca_store *store, int64_t now_ms,
                                   struct core_assignments *ret) {
    *ret = (struct core_assignments){.items = calloc(conf->tenants.count + 1, sizeof *ret->items),
                                     .count = conf->tenants.count};
    AUTO_MEM struct ca_assigned *made = calloc(setup->issuer_count + 1, sizeof *made);
    const struct work w = {.conf = conf,
                           .setup = setup,
                           .store = store,
                           .now_ms = now_ms,
                           .guarded = core_profiles_guarded(setup) &&
                                      core_agreed_any(store, &core_assignment_kind),
                           .made = made,
                           .out = ret};
    return ret->items && made ? judge_all(&w) : TM_ENOMEM;
}

void core_assignments_free(struct core_assignments *assignments) {
    free(assignments->items);
    *assignments = (struct core_assignments){0};
}

/* ---- the act ---- */

static bool is_tenant(const char *value) {
    return value[0] && strlen(value) <= IPC_NAME_MAX;
}

#define LINE "an issuer's name and two SHA-256, of its certificate and of all that comes with it"
#define ALSO(number)                                                                               \
    { "also-" number, false, ca_assigned_valid, LINE }
static const struct ca_act_rule rules[] = {{"tenant", true, is_tenant, "a name of 1 to 64 octets"},
                                           {CA_ASSIGNMENT_SIGNS, true, ca_assigned_valid, LINE},
                                           ALSO("01"),
                                           ALSO("02"),
                                           ALSO("03"),
                                           ALSO("04"),
                                           ALSO("05"),
                                           ALSO("06"),
                                           ALSO("07"),
                                           ALSO("08"),
                                           ALSO("09"),
                                           ALSO("10"),
                                           ALSO("11"),
                                           ALSO("12"),
                                           ALSO("13"),
                                           ALSO("14"),
                                           ALSO("15"),
                                           ALSO("16"),
                                           {"words", false, NULL, NULL},
                                           {NULL, false, NULL, NULL}};

/* Every issuer that the text names must count. */
static enum tm_err value_of(const struct ca_act_params *params, struct buf *out,
                            char text[IPC_TEXT_MAX + 1]) {
    struct ca_assignment assignment;
    size_t start = out->n, named = 0;
    for (size_t i = 0; i < params->count; i++)
        named += strncmp(params->items[i].name, "also-", strlen("also-")) == 0 ||
                 strcmp(params->items[i].name, CA_ASSIGNMENT_SIGNS) == 0;
    enum tm_err err = ca_assignment_of(params, out);
    if (!err && (ca_assignment_parse((struct bytes){out->p + start, out->n - start}, &assignment) ||
                 assignment.count != named))
        err = TM_EINVAL;
    if (err)
        (void)snprintf(text, IPC_TEXT_MAX + 1,
                       "issuers are numbered from also-01 on, in the order of their names, each "
                       "once");
    return err;
}

const struct core_agreed_kind core_assignment_kind = {.act = CA_ASSIGNMENT_ACT,
                                                      .prefix = "tenant:",
                                                      .subject = "tenant",
                                                      .rules = rules,
                                                      .value_of = value_of};
