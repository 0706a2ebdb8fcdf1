/* SPDX-License-Identifier: Apache-2.0 */
/* Which kinds of acts that take two officers (ca/act.h) this core carries out. */
#ifndef TOUCHMARK_SERVER_CORE_ACTS_H
#define TOUCHMARK_SERVER_CORE_ACTS_H

#include "server/core/agreed.h"
#include "server/core/cloud.h"
#include "server/core/core.h"
#include "server/core/job_acts.h"
#include "server/core/profiles.h"
#include "server/core/revoke.h"

struct core_acts {
    struct ca_acts *acts;
    struct core_revoke *revoke;
    struct core_cloud *cloud;
    struct core_profile_act profile_apply;
    struct core_agreed_act issuer_change;
    struct core_agreed_act ceiling;
    struct core_job_acts jobs;
};
struct core_acts_config {
    struct loop *loop;
    struct ca_store *store;
    struct core_worker *worker;
    const struct ca_registry *registry;
    struct ca_service *service;
    struct ca_jobs *jobs;
    struct ca_withdrawals *withdrawals;
    const struct core_setup *setup; /* the officers */
    const char *environment;
    int64_t (*now_ms)(void);
};

/* *ret stays where it is. After an error, too, what there is wants core_acts_free. */
MUST_USE enum tm_err core_acts_open(const struct core_acts_config *config, struct core_acts *ret);
/* When the worker has ended, before the store is closed. */
void core_acts_stop(struct core_acts *acts);
/* After the store is closed. */
void core_acts_free(struct core_acts *acts);

#endif
