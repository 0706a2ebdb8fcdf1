/* SPDX-License-Identifier: Apache-2.0 */
/* Which jobs there are: see ca/jobs.h. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ca/jobs_internal.h"

enum tm_err ca_jobs_new(const struct ca_jobs_config *config, struct ca_jobs **ret_jobs) {
    struct ca_jobs *jobs = calloc(1, sizeof *jobs);
    if (!jobs)
        return TM_ENOMEM;
    jobs->config = *config;
    *ret_jobs = jobs;
    return TM_OK;
}

static void live_free(struct live_job *live) {
    ca_job_settling_free(live);
    free(live);
}

void ca_jobs_free(struct ca_jobs *jobs) {
    if (!jobs)
        return;
    for (struct live_job *live = jobs->first, *next; live; live = next) {
        next = live->next;
        live_free(live);
    }
    free(jobs);
}

struct live_job *ca_jobs_live(const struct ca_jobs *jobs, const char *tenant, const char *name) {
    for (struct live_job *live = jobs->first; live; live = live->next)
        if (strcmp(live->job.name, name) == 0 && strcmp(live->job.tenant, tenant) == 0)
            return live;
    return NULL;
}

const struct ca_job *ca_jobs_find(const struct ca_jobs *jobs, const char *tenant,
                                  const char *name) {
    const struct live_job *live = ca_jobs_live(jobs, tenant, name);
    return live ? &live->job : NULL;
}

const struct ca_job *ca_jobs_next(const struct ca_jobs *jobs, const struct ca_job *job) {
    const struct live_job *live = job ? ((const struct live_job *)job)->next : jobs->first;
    return live ? &live->job : NULL;
}

enum tm_err ca_jobs_read(const struct ca_jobs *jobs, const char *tenant, const char *name,
                         struct ca_job *ret) {
    struct ca_store *store = jobs->config.store;
    struct ca_job job;
    memset(&job, 0, sizeof job);
    TEXT_SET(job.tenant, tenant);
    TEXT_SET(job.name, name);
    enum tm_err err = store->ops->row(store, CA_TABLE_JOB, &job, NULL);
    if (!err)
        *ret = job;
    return err;
}

enum tm_err ca_jobs_tally(const struct ca_jobs *jobs, struct ca_jobs_tally *ret) {
    struct ca_jobs_tally tally = {.units = 0};
    struct ca_job job;
    for (const struct live_job *live = jobs->first; live; live = live->next) {
        enum tm_err err = ca_jobs_read(jobs, live->job.tenant, live->job.name, &job);
        if (err)
            return err;
        tally.of[live->job.status]++;
        tally.units += job.begun;
    }
    *ret = tally;
    return TM_OK;
}

/* ---- what is in memory ---- */

static void forget(struct ca_jobs *jobs, const struct live_job *live) {
    struct live_job **at = &jobs->first;
    while (*at != live)
        at = &(*at)->next;
    struct live_job *gone = *at;
    *at = gone->next;
    jobs->count--;
    live_free(gone);
}

/* Those that began to be listed first stand first: the order in which they are tried. */
static struct live_job *add(struct ca_jobs *jobs) {
    struct live_job *live = calloc(1, sizeof *live), **at = &jobs->first;
    if (!live)
        return NULL;
    while (*at)
        at = &(*at)->next;
    *at = live;
    jobs->count++;
    return live;
}

static bool is_live(const struct ca_job *job) {
    return job->status == CA_JOB_OPEN || job->status == CA_JOB_STOPPED ||
           job->status == CA_JOB_CLOSING;
}

void ca_jobs_refresh(struct ca_jobs *jobs, const struct ca_job *stored) {
    struct live_job *live = ca_jobs_live(jobs, stored->tenant, stored->name);
    if (!is_live(stored)) {
        if (live)
            forget(jobs, live);
        return;
    }
    if (!live)
        live = add(jobs);
    if (!live) {
        log_error("job %s: no memory; nothing is issued for it until a restart", stored->name);
        return;
    }
    if (stored->status == CA_JOB_OPEN && live->job.status != CA_JOB_OPEN)
        memset(live->counts, 0, sizeof live->counts); /* they stopped it once, and only once */
    live->job = *stored;
    live->stop_wanted &= stored->status == CA_JOB_OPEN;
    if (live->stop_wanted) /* what was agreed on meanwhile does not undo a stop */
        live->job.status = CA_JOB_STOPPED;
}

enum tm_err ca_jobs_load(struct ca_jobs *jobs) {
    struct ca_store *store = jobs->config.store;
    uint8_t key[CA_ROW_KEY_MAX];
    struct buf cursor = BUF_ON(key);
    struct ca_job job;
    enum tm_err err;
    while (!(err = store->ops->next_row(store, CA_TABLE_JOB, &cursor, &job, NULL)))
        if (is_live(&job)) {
            if (jobs->count == CA_JOBS_MAX)
                return TM_ELIMIT;
            ca_jobs_refresh(jobs, &job);
        }
    return err == TM_ENOTFOUND ? TM_OK : err;
}
