/* SPDX-License-Identifier: Apache-2.0 */
/* The kind of act "revoke-many": see revoke.h. */
#include "server/core/revoke.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/admin_json.h"
#include "server/core/revoke_internal.h"

#define COUNTING_MAX 4 /* each is a walk over the store */

/* ---- tasks ---- */

void revoke_task_begin(struct core_revoke *revoke, struct revoke_task *task,
                       const struct ca_selection *selection, void (*done)(struct core_walk *walk)) {
    task->revoke = revoke;
    task->walk.store = revoke->config.store;
    task->walk.worker = revoke->config.worker;
    task->walk.selection = *selection;
    task->walk.done = done;
    task->walk.arg = task;
    task->next = revoke->tasks;
    if (revoke->tasks)
        revoke->tasks->prev = task;
    revoke->tasks = task;
}

static void forget(struct revoke_task *task) {
    if (task->prev)
        task->prev->next = task->next;
    else
        task->revoke->tasks = task->next;
    if (task->next)
        task->next->prev = task->prev;
    task->free(task);
}

void revoke_task_end(struct revoke_task *task) {
    core_walk_close(&task->walk);
    forget(task);
}

/* ---- counting ---- */

struct count {
    struct revoke_task task;
    core_revoke_counted_fn *counted;
    void *arg;
};

static void count_free(struct revoke_task *task) {
    task->revoke->counting--;
    free(task);
}

static void count_done(struct core_walk *walk) {
    struct count *count = walk->arg;
    core_revoke_counted_fn *counted = count->counted;
    void *arg = count->arg;
    enum tm_err err = walk->err;
    uint64_t good = walk->good, revoked = walk->revoked;
    char text[IPC_TEXT_MAX + 1] = "";
    if (err)
        (void)snprintf(text, sizeof text, "the registry cannot be read: %s", tm_err_name(err));
    revoke_task_end(&count->task);
    counted(arg, err, text, good, revoked);
}

void core_revoke_count(struct core_revoke *revoke, const struct ca_selection *selection,
                       core_revoke_counted_fn *counted, void *arg) {
    char text[IPC_TEXT_MAX + 1];
    enum tm_err err = ca_selection_judge(selection, text);
    if (err) {
        counted(arg, err, text, 0, 0);
        return;
    }
    struct count *count = revoke->counting < COUNTING_MAX ? calloc(1, sizeof *count) : NULL;
    if (!count) {
        counted(arg, TM_EFULL, "the server counts for others now; try again", 0, 0);
        return;
    }
    revoke->counting++;
    count->counted = counted;
    count->arg = arg;
    count->task.free = count_free;
    revoke_task_begin(revoke, &count->task, selection, count_done);
    core_walk_next(&count->task.walk);
}

/* ---- the kind ---- */

struct proposal {
    struct ca_act_params *params;
    ca_act_checked_fn *checked;
    void *arg;
};

static enum tm_err add_number(struct ca_act_params *params, const char *name, uint64_t n) {
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, n);
    return ca_act_param_add(params, name, text);
}

static void proposal_counted(void *arg, enum tm_err result, const char *text, uint64_t good,
                             uint64_t revoked) {
    struct proposal *p = arg;
    char own[IPC_TEXT_MAX + 1];
    if (!result && !good) {
        (void)snprintf(own, sizeof own,
                       revoked ? "all of the %" PRIu64 " certificates selected are revoked already"
                               : "no certificate is selected",
                       revoked);
        text = own;
        result = TM_ENOTFOUND;
    }
    if (!result)
        result = add_number(p->params, "certificates", good);
    if (!result)
        result = add_number(p->params, "revoked-already", revoked);
    p->checked(p->arg, result, result && !text[0] ? "there are too many parameters" : text);
    free(p);
}

static void check(void *self, struct ca_act_params *params, ca_act_checked_fn *checked, void *arg) {
    struct ca_selection selection;
    struct proposal *p = malloc(sizeof *p);
    if (!p) {
        checked(arg, TM_ENOMEM, "the server has no memory for this now");
        return;
    }
    *p = (struct proposal){params, checked, arg};
    ca_selection_of(params, &selection);
    core_revoke_count(self, &selection, proposal_counted, p);
}

static bool is_reason(const char *value) {
    uint8_t reason;
    return !admin_reason_find(value, &reason);
}

/* It goes into audit leaves, which hold no control characters. */
static bool is_line(const char *value) {
    const unsigned char *p = (const unsigned char *)value;
    while (*p && !iscntrl(*p))
        p++;
    return value[0] && !*p;
}

static const struct ca_act_rule own_rules[] = {
    {"reason", true, is_reason,
     "unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation or "
     "privilegeWithdrawn (RFC 5280, 5.3.1)"},
    {"words", false, is_line, "one line of text"},
    {NULL, false, NULL, NULL}};

enum tm_err core_revoke_new(const struct core_revoke_config *config, struct ca_acts *acts,
                            struct core_revoke **ret_revoke) {
    struct core_revoke *revoke = calloc(1, sizeof *revoke);
    if (!revoke)
        return TM_ENOMEM;
    revoke->config = *config;
    memcpy(revoke->rules, ca_selection_rules, sizeof ca_selection_rules);
    memcpy(revoke->rules + CA_SELECTION_RULES, own_rules, sizeof own_rules);
    revoke->kind = (struct ca_act_kind){.name = "revoke-many",
                                        .rules = revoke->rules,
                                        .self = revoke,
                                        .check = check,
                                        .run = revoke_run};
    enum tm_err err = ca_acts_add(acts, &revoke->kind);
    if (err)
        free(revoke);
    else
        *ret_revoke = revoke;
    return err;
}

void core_revoke_stop(struct core_revoke *revoke) {
    if (!revoke)
        return;
    for (struct revoke_task *task = revoke->tasks; task; task = task->next)
        core_walk_close(&task->walk);
}

void core_revoke_free(struct core_revoke *revoke) {
    if (!revoke)
        return;
    while (revoke->tasks)
        forget(revoke->tasks);
    free(revoke);
}
