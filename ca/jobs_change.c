/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of jobs, each one transaction with its audit leaf: see ca/jobs.h. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crash.h"
#include "ca/jobs_internal.h"

#define ATTEMPTS_MAX 8

enum tm_err ca_job_say(char text[IPC_TEXT_MAX + 1], enum tm_err err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, IPC_TEXT_MAX + 1, format, args);
    va_end(args);
    return err;
}

void ca_job_leaf(const struct ca_job *job, enum ca_event event, int64_t now_ms, const char *actor,
                 const char *reason, struct ca_leaf *ret) {
    *ret = (struct ca_leaf){.event = (uint8_t)event, .time_ms = now_ms};
    TEXT_SET(ret->tenant, job->tenant);
    TEXT_SET(ret->job, job->name);
    TEXT_SET(ret->site, job->site);
    TEXT_SET(ret->actor, actor);
    TEXT_SET(ret->reason, reason);
}

/* ---- a change ---- */

struct job_change *ca_job_change_new(struct ca_jobs *jobs, const char *tenant, const char *name,
                                     const char *actor, ca_jobs_fn *done, void *arg) {
    struct job_change *change = calloc(1, sizeof *change);
    if (!change)
        return NULL;
    change->jobs = jobs;
    change->done = done;
    change->arg = arg;
    TEXT_SET(change->tenant, tenant);
    TEXT_SET(change->name, name);
    TEXT_SET(change->actor, actor);
    return change;
}

static void change_run(struct job_change *change);

/* The row is read again: its counts may have risen meanwhile, or nothing came of the change. */
static void take_up(struct job_change *change) {
    struct ca_job *job = &change->job, stored;
    if (job->status == CA_JOB_PROPOSED || !job->name[0] ||
        ca_jobs_read(change->jobs, job->tenant, job->name, &stored))
        return;
    *job = stored;
    ca_jobs_refresh(change->jobs, job);
}

static void change_end(struct job_change *change, enum tm_err result, const char *text) {
    take_up(change);
    change->done(change->arg, result, text, result || !change->job.name[0] ? NULL : &change->job);
    free(change);
}

static void change_durable(struct ca_batch *batch, enum tm_err result) {
    struct job_change *change = batch->arg;
    if (result == TM_ECONFLICT && ++change->attempts < ATTEMPTS_MAX) {
        change_run(change);
        return;
    }
    if (!result)
        crash_point("core.job_changed");
    change_end(change, result,
               result ? "the registry did not take the change; nothing happened" : "");
}

static void change_run(struct job_change *change) {
    char text[IPC_TEXT_MAX + 1] = "";
    struct ca_store *store = change->jobs->config.store;
    change->batch = (struct ca_batch){.done = change_durable, .arg = change};
    enum tm_err err = change->decide(change, text);
    if (!err && change->unchanged) {
        change_end(change, TM_OK, "");
        return;
    }
    if (!err)
        err = store->ops->submit(store, &change->batch);
    if (err)
        change_end(change, err, text[0] ? text : "the registry is busy; try again");
}

enum tm_err ca_job_change_start(struct job_change *change,
                                enum tm_err (*decide)(struct job_change *, char *)) {
    change->decide = decide;
    change_run(change);
    return TM_OK;
}

void ca_job_change_put(struct job_change *change) {
    change->job.version++;
    change->job.changed_ms = change->leaf.time_ms;
    change->batch.changes[change->batch.count++] = (struct ca_change){
        .kind = CA_PUT_ROW, .u.row = {.table = CA_TABLE_JOB, .row = &change->job}};
    change->batch.changes[change->batch.count++] =
        (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = &change->leaf};
}

static void describe(struct job_change *change, enum ca_event event, const char *reason) {
    ca_job_leaf(&change->job, event, change->jobs->config.now_ms(), change->actor, reason,
                &change->leaf);
}

static enum tm_err load(struct job_change *change, char text[IPC_TEXT_MAX + 1]) {
    enum tm_err err = ca_jobs_read(change->jobs, change->tenant, change->name, &change->job);
    if (err == TM_ENOTFOUND || (!err && change->job.status == CA_JOB_PROPOSED))
        return ca_job_say(text, TM_ENOTFOUND, "tenant %s has no job %s", change->tenant,
                          change->name);
    return err ? ca_job_say(text, err, "the job cannot be read: %s", tm_err_name(err)) : TM_OK;
}

/* ---- proposing ---- */

/* The number of the terms that would follow those in force; 0: the job is over. */
static enum tm_err next_terms(const struct job_change *change, const char *name, uint32_t *ret) {
    struct ca_job stored;
    enum tm_err err = ca_jobs_read(change->jobs, change->tenant, name, &stored);
    if (err && err != TM_ENOTFOUND)
        return err;
    if (err)
        *ret = 1;
    else
        *ret =
            stored.status == CA_JOB_OPEN || stored.status == CA_JOB_STOPPED ? stored.terms + 1 : 0;
    return TM_OK;
}

static enum tm_err decide_propose(struct job_change *change, char text[IPC_TEXT_MAX + 1]) {
    struct ca_job *job = &change->job, stored;
    uint8_t hash[CA_HASH_SIZE];
    uint32_t terms = 0;
    *job = change->wanted;
    enum tm_err err = next_terms(change, job->of, &terms);
    if (err)
        return ca_job_say(text, err, "the job cannot be read: %s", tm_err_name(err));
    if (!terms)
        return ca_job_say(text, TM_EDENIED, "job %s is closed; choose another name", job->of);
    if (terms == 1 && change->jobs->count >= CA_JOBS_MAX)
        return ca_job_say(text, TM_EDENIED, "%d jobs are open already; close some", CA_JOBS_MAX);
    job->terms = terms;
    err = ca_job_hash(job, hash);
    if (!err)
        err = hex_encode(BYTES_OF(hash), job->name, sizeof job->name);
    if (err)
        return ca_job_say(text, err, "the job's terms cannot be hashed");
    change->unchanged = !ca_jobs_read(change->jobs, job->tenant, job->name, &stored);
    job->opened_ms = job->changed_ms = change->jobs->config.now_ms();
    job->version = 1;
    change->batch.changes[change->batch.count++] =
        (struct ca_change){.kind = CA_PUT_ROW, .u.row = {.table = CA_TABLE_JOB, .row = job}};
    return TM_OK;
}

enum tm_err ca_jobs_propose(struct ca_jobs *jobs, const struct ca_job *terms, ca_jobs_fn *done,
                            void *arg) {
    struct job_change *change = ca_job_change_new(jobs, terms->tenant, "", "", done, arg);
    if (!change)
        return TM_ENOMEM;
    change->wanted = *terms;
    return ca_job_change_start(change, decide_propose);
}

/* ---- opening ---- */

static enum tm_err load_terms(struct job_change *change, char text[IPC_TEXT_MAX + 1]) {
    uint8_t hash[CA_HASH_SIZE];
    char hex[CA_JOB_HASH_TEXT];
    enum tm_err err = ca_jobs_read(change->jobs, change->tenant, change->name, &change->wanted);
    if (err || change->wanted.status != CA_JOB_PROPOSED)
        return ca_job_say(text, TM_ENOTFOUND, "there are no terms with this hash");
    err = ca_job_hash(&change->wanted, hash);
    if (!err)
        err = hex_encode(BYTES_OF(hash), hex, sizeof hex);
    if (err || strcmp(hex, change->name) != 0)
        return ca_job_say(text, TM_ECORRUPT, "the terms are not those that their hash says");
    return TM_OK;
}

/* Terms take the place of others; who and what it is, and what was counted, stays. */
static void put_terms(struct job_change *change, const struct ca_job *old, int64_t now_ms) {
    struct ca_job *job = &change->job;
    *job = change->wanted;
    TEXT_SET(job->name, change->wanted.of);
    job->of[0] = '\0';
    job->status = old->version ? old->status : CA_JOB_OPEN;
    job->version = old->version;
    job->opened_ms = old->version ? old->opened_ms : now_ms;
    TEXT_SET(job->reason, old->reason);
    memcpy(job->act, change->act, sizeof job->act);
}

/* The terms themselves are in the leaf: who reads the log alone knows what was agreed on. */
static enum tm_err tell_terms(struct job_change *change) {
    struct buf text = BUF_ON(change->text);
    enum tm_err err = ca_job_terms_put(&change->job, &text);
    change->leaf.terms = buf_bytes(&text);
    return err;
}

static enum tm_err decide_agree(struct job_change *change, char text[IPC_TEXT_MAX + 1]) {
    struct ca_job old;
    char reason[IPC_TEXT_MAX + 1];
    uint32_t terms = 0;
    enum tm_err err = load_terms(change, text);
    if (err)
        return err;
    err = next_terms(change, change->wanted.of, &terms);
    if (err)
        return ca_job_say(text, err, "the job cannot be read: %s", tm_err_name(err));
    if (terms != change->wanted.terms)
        return ca_job_say(text, TM_EDENIED,
                          "job %s has changed since these terms were proposed; propose them again",
                          change->wanted.of);
    memset(&old, 0, sizeof old);
    if (terms > 1 && ca_jobs_read(change->jobs, change->tenant, change->wanted.of, &old))
        return ca_job_say(text, TM_ENOTFOUND, "the job cannot be read");
    put_terms(change, &old, change->jobs->config.now_ms());
    (void)snprintf(reason, sizeof reason, "terms %" PRIu32 " sha256:%s", terms, change->name);
    describe(change, CA_EVENT_JOB_OPENED, reason);
    err = tell_terms(change);
    if (err)
        return ca_job_say(text, err, "the job's terms are too long for the audit log");
    ca_job_change_put(change);
    change->batch.changes[change->batch.count++] = (struct ca_change){
        .kind = CA_END_ROW, .u.row = {.table = CA_TABLE_JOB, .row = &change->wanted}};
    return TM_OK;
}

static void name_act(struct job_change *change, const uint8_t act[CA_ACT_ID_SIZE]) {
    if (act)
        memcpy(change->act, act, sizeof change->act);
}

enum tm_err ca_jobs_agree(struct ca_jobs *jobs, const char *tenant, const char *hash,
                          const uint8_t act[CA_ACT_ID_SIZE], const char *actor, ca_jobs_fn *done,
                          void *arg) {
    struct job_change *change = ca_job_change_new(jobs, tenant, hash, actor, done, arg);
    if (!change)
        return TM_ENOMEM;
    name_act(change, act);
    return ca_job_change_start(change, decide_agree);
}

/* ---- stopping and resuming ---- */

static enum tm_err decide_stop(struct job_change *change, char text[IPC_TEXT_MAX + 1]) {
    enum tm_err err = load(change, text);
    if (err)
        return err;
    change->unchanged = change->job.status == CA_JOB_STOPPED;
    if (change->unchanged)
        return TM_OK;
    if (change->job.status != CA_JOB_OPEN)
        return ca_job_say(text, TM_EDENIED, "job %s is %s", change->name,
                          ca_job_status_name((enum ca_job_status)change->job.status));
    change->job.status = CA_JOB_STOPPED;
    TEXT_SET(change->job.reason, change->reason);
    describe(change, CA_EVENT_JOB_STOPPED, change->reason);
    ca_job_change_put(change);
    return TM_OK;
}

enum tm_err ca_jobs_stop(struct ca_jobs *jobs, const char *tenant, const char *name,
                         const char *reason, const char *actor, ca_jobs_fn *done, void *arg) {
    struct job_change *change = ca_job_change_new(jobs, tenant, name, actor, done, arg);
    struct live_job *live = ca_jobs_live(jobs, tenant, name);
    if (!change)
        return TM_ENOMEM;
    if (live && live->job.status == CA_JOB_OPEN) { /* from now on, and durable in a moment */
        live->job.status = CA_JOB_STOPPED;
        live->stop_wanted = true;
        TEXT_SET(live->stop_reason, reason);
    }
    TEXT_SET(change->reason, reason);
    return ca_job_change_start(change, decide_stop);
}

static enum tm_err decide_resume(struct job_change *change, char text[IPC_TEXT_MAX + 1]) {
    enum tm_err err = load(change, text);
    if (err)
        return err;
    if (change->job.status != CA_JOB_STOPPED)
        return ca_job_say(text, TM_EDENIED, "job %s is %s, not stopped", change->name,
                          ca_job_status_name((enum ca_job_status)change->job.status));
    if (change->terms && change->terms != change->job.terms)
        return ca_job_say(text, TM_EDENIED, "job %s has other terms meanwhile", change->name);
    change->job.status = CA_JOB_OPEN;
    change->job.terms++;
    change->job.reason[0] = '\0';
    memcpy(change->job.act, change->act, sizeof change->job.act);
    describe(change, CA_EVENT_JOB_RESUMED, change->reason);
    ca_job_change_put(change);
    return TM_OK;
}

enum tm_err ca_jobs_resume(struct ca_jobs *jobs, const char *tenant, const char *name,
                           uint32_t terms, const uint8_t act[CA_ACT_ID_SIZE], const char *reason,
                           const char *actor, ca_jobs_fn *done, void *arg) {
    struct job_change *change = ca_job_change_new(jobs, tenant, name, actor, done, arg);
    if (!change)
        return TM_ENOMEM;
    change->terms = terms;
    name_act(change, act);
    TEXT_SET(change->reason, reason);
    return ca_job_change_start(change, decide_resume);
}

/* ---- closing ---- */

static enum tm_err judge_counts(const struct job_change *change, char text[IPC_TEXT_MAX + 1]) {
    const struct ca_job *job = &change->job;
    const struct ca_job_counts *said = &change->counts;
    uint32_t settled = job->passed + job->failed + job->scrapped;
    if (said->passed == job->passed && said->failed == job->failed &&
        said->scrapped == job->scrapped && settled == job->begun)
        return TM_OK;
    return ca_job_say(text, TM_EDENIED,
                      "the counts differ: recorded are %" PRIu32 " passed, %" PRIu32
                      " failed, %" PRIu32 " scrapped and %" PRIu32
                      " without a result; said were %" PRIu32 ", %" PRIu32 " and %" PRIu32,
                      job->passed, job->failed, job->scrapped, job->begun - settled, said->passed,
                      said->failed, said->scrapped);
}

static enum tm_err decide_close(struct job_change *change, char text[IPC_TEXT_MAX + 1]) {
    char reason[IPC_TEXT_MAX + 1];
    enum tm_err err = load(change, text);
    if (err)
        return err;
    err = judge_counts(change, text);
    if (err)
        return err;
    change->unchanged = change->job.status == CA_JOB_CLOSING || change->job.status == CA_JOB_CLOSED;
    if (change->unchanged)
        return TM_OK;
    change->job.status = CA_JOB_CLOSING;
    TEXT_SET(change->job.closer, change->actor);
    (void)snprintf(reason, sizeof reason,
                   "closing, the counts agree: %" PRIu32 " passed, %" PRIu32 " failed, %" PRIu32
                   " scrapped",
                   change->job.passed, change->job.failed, change->job.scrapped);
    describe(change, CA_EVENT_JOB_CLOSING, reason);
    ca_job_change_put(change);
    return TM_OK;
}

enum tm_err ca_jobs_close(struct ca_jobs *jobs, const char *tenant, const char *name,
                          const struct ca_job_counts *counts, const char *actor, ca_jobs_fn *done,
                          void *arg) {
    struct job_change *change = ca_job_change_new(jobs, tenant, name, actor, done, arg);
    if (!change)
        return TM_ENOMEM;
    change->counts = *counts;
    return ca_job_change_start(change, decide_close);
}
