/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Planning of what is counted on jobs: see store/planner.h. The row is read in the transaction that
 * writes it, after all batches before it in the group: so however many are under way at once, no
 * quota is exceeded.
 */
#include <string.h>

#include "store/planner.h"
#include "store/schema.h"

static struct ca_job_profile *profile_named(struct ca_job *job, const char *name) {
    for (size_t i = 0; i < job->profile_count; i++)
        if (strcmp(job->profiles[i].name, name) == 0)
            return &job->profiles[i];
    return NULL;
}

void store_keep_counts(const struct ca_job *stored, struct ca_job *ret_job) {
    for (size_t i = 0; i < stored->profile_count; i++) {
        struct ca_job_profile *profile = profile_named(ret_job, stored->profiles[i].name);
        if (profile)
            profile->spent = stored->profiles[i].spent;
    }
    ret_job->begun = stored->begun;
    ret_job->passed = stored->passed;
    ret_job->failed = stored->failed;
    ret_job->scrapped = stored->scrapped;
}

static void count(uint32_t *at, int by) {
    if (by < 0 && *at < (uint32_t)-by)
        *at = 0;
    else
        *at += (uint32_t)by;
}

static enum tm_err spend(struct ca_job *job, const struct ca_grant *grant) {
    struct ca_job_profile *profile = grant->profile ? profile_named(job, grant->profile) : NULL;
    if (grant->certificates < 0) {
        if (profile)
            count(&profile->spent, grant->certificates);
        return TM_OK;
    }
    if (job->status != CA_JOB_OPEN || job->terms != grant->terms)
        return TM_ECONFLICT;
    if (!grant->certificates)
        return TM_OK;
    if (!profile || profile->quota <= profile->spent ||
        profile->quota - profile->spent < (uint32_t)grant->certificates)
        return TM_ECONFLICT;
    count(&profile->spent, grant->certificates);
    return TM_OK;
}

static enum tm_err change(struct ca_job *job, const struct ca_grant *grant) {
    bool reports = grant->passed || grant->failed || grant->scrapped;
    enum tm_err err = grant->certificates || grant->begun ? spend(job, grant) : TM_OK;
    if (!err && reports && job->status != CA_JOB_OPEN && job->status != CA_JOB_STOPPED)
        err = TM_ECONFLICT;
    count(&job->begun, grant->begun);
    count(&job->passed, grant->passed);
    count(&job->failed, grant->failed);
    count(&job->scrapped, grant->scrapped);
    return err;
}

enum tm_err store_plan_grant(const struct store_writing *w, const struct ca_grant *grant,
                             struct store_plan *plan) {
    union store_row row = {.job = {.version = 0}};
    if (!store_name_is_key(grant->tenant) || !store_name_is_key(grant->job))
        return TM_ELIMIT;
    TEXT_SET(row.job.tenant, grant->tenant);
    TEXT_SET(row.job.name, grant->job);
    size_t at = plan->arena.n;
    enum tm_err err = store_put_row_key(&plan->arena, CA_TABLE_JOB, &row);
    struct bytes key = store_plan_tail(plan, at);
    if (!err)
        err = store_plan_stored(w, STORE_DB_ROW, key, &store_job_schema, &row);
    if (err == TM_ENOTFOUND)
        return grant->certificates < 0 ? TM_OK : TM_ECONFLICT;
    if (!err)
        err = change(&row.job, grant);
    return err ? err
               : store_plan_put(w, plan, STORE_OP_PUT, STORE_DB_ROW, key, &store_job_schema, &row);
}
