/* SPDX-License-Identifier: Apache-2.0 */
/* What revoke.c and revoke_run.c share. */
#ifndef TOUCHMARK_SERVER_CORE_REVOKE_INTERNAL_H
#define TOUCHMARK_SERVER_CORE_REVOKE_INTERNAL_H

#include "server/core/revoke.h"
#include "server/core/walk.h"

/* Something that walks; first member of what does. */
struct revoke_task {
    struct core_walk walk;
    struct core_revoke *revoke;
    struct revoke_task *prev, *next;
    void (*free)(struct revoke_task *task);
};

struct core_revoke {
    struct core_revoke_config config;
    struct ca_act_rule rules[CA_SELECTION_RULES + 3];
    struct ca_act_kind kind;
    struct revoke_task *tasks;
    size_t counting;
};

void revoke_task_begin(struct core_revoke *revoke, struct revoke_task *task,
                       const struct ca_selection *selection, void (*done)(struct core_walk *walk));
/* Closes its walk and frees it. */
void revoke_task_end(struct revoke_task *task);

/* ca_act_kind.run */
void revoke_run(void *self, struct ca_act_run *run);

#endif
