/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a station may have issued (requirement D1): the job that its request is for, what the job's
 * terms say of it, and what it costs; and who is in quarantine. See ca/request.h.
 */
#include <inttypes.h>
#include <string.h>

#include "ca/jobs.h"
#include "ca/operator.h"
#include "ca/request.h"

static struct ca_jobs *jobs_of(const struct ca_request *r) {
    return r->service->config->jobs;
}

/* ---- which job ---- */

static bool unreadable(struct ca_refusal *ret) {
    return ca_refuse(ret, IPC_UNAVAILABLE, "the registry cannot be read; try again later");
}

static bool in_window(const struct ca_request *r, const struct ca_job *job) {
    return r->now_ms >= job->from_ms && r->now_ms < job->until_ms;
}

/* One that would do, before one that only has the ID. */
static enum tm_err search(const struct ca_request *r, const char *station, const char *device,
                          const struct ca_job **ret) {
    const char *profile = r->label->profile->name;
    const struct ca_job *job = NULL, *second = NULL;
    while ((job = ca_jobs_next(jobs_of(r), job))) {
        bool holds = false;
        if (strcmp(job->tenant, r->label->tenant->name) != 0 || !ca_job_names_station(job, station))
            continue;
        enum tm_err err = ca_jobs_holds(jobs_of(r), job, device, &holds);
        if (err)
            return err;
        if (!holds)
            continue;
        if (job->status == CA_JOB_OPEN && ca_job_profile(job, profile) && in_window(r, job)) {
            *ret = job;
            return TM_OK;
        }
        second = second ? second : job;
    }
    *ret = second;
    return TM_OK;
}

/* The one that the device's record names, until it is closed, whoever asks; else one of the
 * station's. */
static enum tm_err choose(const struct ca_request *r, const char *station, const char *device,
                          const struct ca_job **ret) {
    struct ca_store *store = r->service->store;
    const char *tenant = r->label->tenant->name;
    struct ca_device record;
    enum tm_err err = store->ops->device(store, tenant, device, &record);
    if (err && err != TM_ENOTFOUND)
        return err;
    *ret = !err && record.job[0] ? ca_jobs_find(jobs_of(r), tenant, record.job) : NULL;
    if (!*ret)
        return search(r, station, device, ret);
    bool holds = false;
    err = ca_jobs_holds(jobs_of(r), *ret, device, &holds);
    if (!holds || !ca_job_names_station(*ret, station))
        *ret = NULL;
    return err;
}

/* ---- what its terms say ---- */

static bool is_open(const struct ca_job *job, struct ca_refusal *ret) {
    if (job->status == CA_JOB_OPEN)
        return true;
    return ca_refuse(ret, IPC_WRONG_STATE, "job %s is %s%s%.120s", job->name,
                     ca_job_status_name((enum ca_job_status)job->status),
                     job->status == CA_JOB_STOPPED ? ": " : "",
                     job->status == CA_JOB_STOPPED ? job->reason : "");
}

static bool somebody_works(struct ca_request *r, const struct ca_job *job, struct ca_refusal *ret) {
    struct ca_granted *g = &r->granted;
    if (ca_shift_current(r->service->store, job->tenant, g->station, r->now_ms, g->operator_name))
        return unreadable(ret);
    if (g->operator_name[0] || !job->operator_required)
        return true;
    return ca_refuse(ret, IPC_NO_CREDENTIAL,
                     "job %s wants an operator, and nobody is logged in at station %s", job->name,
                     g->station);
}

static bool terms_hold(struct ca_request *r, const struct ca_job *job, struct ca_refusal *ret) {
    const char *profile = r->label->profile->name;
    if (!is_open(job, ret))
        return false;
    if (!in_window(r, job))
        return ca_refuse(ret, IPC_DENIED, "job %s is outside its time", job->name);
    if (!ca_job_in_network(job, r->message.remote))
        return ca_refuse(ret, IPC_DENIED, "job %s does not take requests from this network",
                         job->name);
    if (!ca_job_profile(job, profile))
        return ca_refuse(ret, IPC_DENIED, "job %s has no certificates of profile %s", job->name,
                         profile);
    return somebody_works(r, job, ret);
}

bool ca_grant_find(struct ca_request *r, const char *station, struct ca_refusal *ret) {
    struct ca_granted *g = &r->granted;
    const struct ca_job *job = NULL;
    TEXT_SET(g->station, station);
    if (r->who.device[0] && choose(r, station, r->who.device, &job))
        return unreadable(ret);
    if (!job) {
        g->unknown = true;
        return ca_refuse(ret, IPC_UNKNOWN_DEVICE, "no job of station %s has the ID %s", station,
                         r->who.device);
    }
    TEXT_SET(g->job, job->name);
    TEXT_SET(g->site, job->site);
    TEXT_SET(g->batch, job->batch);
    TEXT_SET(g->product, job->product);
    g->terms = job->terms;
    return terms_hold(r, job, ret);
}

/* ---- the device ---- */

bool ca_grant_fits_device(struct ca_request *r, struct ca_refusal *ret) {
    const struct ca_granted *g = &r->granted;
    struct ca_device *d = &r->device;
    if (!g->job[0])
        return true;
    if (g->product[0] && d->sku[0] && strcmp(g->product, d->sku) != 0)
        return ca_refuse(ret, IPC_DENIED, "device %s is a %s, and job %s makes %s", d->id, d->sku,
                         g->job, g->product);
    if (!d->sku[0])
        TEXT_SET(d->sku, g->product);
    TEXT_SET(d->job, g->job);
    TEXT_SET(d->station, g->station);
    TEXT_SET(d->operator_name, g->operator_name);
    if (g->batch[0])
        TEXT_SET(d->batch, g->batch);
    if (g->site[0])
        TEXT_SET(d->site, g->site);
    return true;
}

/* ---- may one more be issued? ---- */

/* Until its job is closed a device lives by what its station asks for (requirement D3). */
static bool not_in_quarantine(const struct ca_request *r, struct ca_refusal *ret) {
    const struct ca_job *job = NULL;
    bool own = !(r->who.credential & CA_CRED_RA) && r->message.origin != IPC_ORIGIN_LOCAL;
    if (own && r->device.job[0] && jobs_of(r))
        job = ca_jobs_find(jobs_of(r), r->label->tenant->name, r->device.job);
    if (!job)
        return true;
    return ca_refuse(ret, IPC_WRONG_STATE, "device %s is in quarantine until job %s is closed",
                     r->device.id, job->name);
}

/* One certificate of each kind, whatever the profile would do of its own. */
static bool has_none(const struct ca_request *r, struct ca_refusal *ret) {
    for (size_t i = 0; i < r->device.cert_count; i++)
        if (ca_cert_in_use(&r->device.certs[i]) &&
            strcmp(r->device.certs[i].profile, r->label->profile->name) == 0)
            return ca_refuse(ret, IPC_ALREADY_ISSUED,
                             "device %s has its certificate of profile %s, for another key; revoke "
                             "that first",
                             r->device.id, r->label->profile->name);
    return true;
}

/* The store has the last word, in the transaction of the intent; here is the sentence for it. */
static bool quota_left(const struct ca_request *r, struct ca_refusal *ret) {
    struct ca_job job;
    if (ca_jobs_read(jobs_of(r), r->label->tenant->name, r->granted.job, &job))
        return unreadable(ret);
    const struct ca_job_profile *profile = ca_job_profile(&job, r->label->profile->name);
    if (profile && profile->spent < profile->quota)
        return true;
    return ca_refuse(ret, IPC_DENIED, "the quota of job %s for profile %s is used up", job.name,
                     r->label->profile->name);
}

static bool in_time(struct ca_request *r, struct ca_refusal *ret) {
    r->paced = r->paced || ca_jobs_paced(jobs_of(r), r->label->tenant->name, r->granted.job);
    if (r->paced)
        return true;
    return ca_refuse(ret, IPC_BUSY, "job %s is faster than its rate; send the same request later",
                     r->granted.job);
}

bool ca_grant_permits(struct ca_request *r, struct ca_refusal *ret) {
    if (!r->granted.job[0])
        return not_in_quarantine(r, ret);
    return has_none(r, ret) && quota_left(r, ret) && in_time(r, ret);
}

/* ---- what it costs ---- */

static bool load_unit(struct ca_request *r) {
    struct ca_store *store = r->service->store;
    struct ca_granted *g = &r->granted;
    memset(&g->unit, 0, sizeof g->unit);
    TEXT_SET(g->unit.tenant, r->label->tenant->name);
    TEXT_SET(g->unit.job, g->job);
    TEXT_SET(g->unit.device, r->device.id);
    enum tm_err err = store->ops->row(store, CA_TABLE_UNIT, &g->unit, NULL);
    if (err != TM_ENOTFOUND)
        return !err;
    g->unit.version = 1;
    g->unit.begun_ms = r->now_ms;
    TEXT_SET(g->unit.station, g->station);
    TEXT_SET(g->unit.operator_name, g->operator_name);
    g->begins = true;
    return true;
}

bool ca_grant_spend(struct ca_request *r, struct ca_refusal *ret) {
    struct ca_granted *g = &r->granted;
    if (!g->job[0])
        return true;
    if (!load_unit(r))
        return unreadable(ret);
    r->batch.changes[r->batch.count++] =
        (struct ca_change){.kind = CA_SPEND_GRANT,
                           .u.grant = {.tenant = r->label->tenant->name,
                                       .job = g->job,
                                       .terms = g->terms,
                                       .profile = r->label->profile->name,
                                       .certificates = 1,
                                       .begun = g->begins}};
    if (g->begins)
        r->batch.changes[r->batch.count++] = (struct ca_change){
            .kind = CA_PUT_ROW, .u.row = {.table = CA_TABLE_UNIT, .row = &g->unit}};
    return true;
}

/* ---- what is noted of it ---- */

static bool is_ours(enum ipc_outcome outcome) {
    return outcome == IPC_BUSY || outcome == IPC_UNAVAILABLE || outcome == IPC_CONFLICT ||
           outcome == IPC_PENDING || outcome == IPC_FAILED;
}

void ca_grant_refused(struct ca_request *r, enum ipc_outcome outcome) {
    const struct ca_granted *g = &r->granted;
    const char *tenant = g->station[0] ? r->label->tenant->name : "";
    if (!g->station[0] || is_ours(outcome))
        return;
    if (g->unknown)
        ca_jobs_note_station(jobs_of(r), tenant, g->station, CA_RULE_UNKNOWN_ID);
    if (!g->job[0])
        return;
    if (outcome == IPC_ALREADY_ISSUED)
        ca_jobs_note(jobs_of(r), tenant, g->job, CA_RULE_DUPLICATE_ID);
    if (outcome == IPC_DUPLICATE_KEY)
        ca_jobs_note(jobs_of(r), tenant, g->job, CA_RULE_DUPLICATE_KEY);
    ca_jobs_note(jobs_of(r), tenant, g->job, CA_RULE_ERRORS);
}

void ca_grant_went_well(struct ca_request *r) {
    if (r->granted.job[0])
        ca_jobs_went_well(jobs_of(r), r->label->tenant->name, r->granted.job);
}
