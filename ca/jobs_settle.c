/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The units of a job that is closing leave quarantine (requirement D3), one after the other, and
 * the last one ends the job. Nothing of the walk is stored: what is done is seen on the device, and
 * so it begins again after a restart and goes over what is done in an instant.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crash.h"
#include "base/log.h"
#include "ca/jobs_internal.h"
#include "ca/lifecycle.h"

#define AGAIN_MS 1000
#define LOOKS_MAX 200 /* units that are looked at in one turn */

struct job_settling {
    struct ca_jobs *jobs;
    char tenant[IPC_NAME_MAX + 1];
    char job[IPC_NAME_MAX + 1];
    char actor[IPC_TEXT_MAX + 1];
    bool busy;        /* a change is under way */
    int64_t until_ms; /* nothing is tried before */
    size_t cursor_n;
    uint8_t cursor[CA_ROW_KEY_MAX];
    struct ca_unit unit;
};

void ca_job_settling_free(struct live_job *live) {
    free(live->settling);
    live->settling = NULL;
}

static void go_on(struct job_settling *s);

/* ---- one unit ---- */

/* Whatever came of it, the unit is looked at again. What fails waits for the next tick. */
static void changed(void *arg, enum tm_err result, const char *text, const struct ca_device *device,
                    const char *secret) {
    struct job_settling *s = arg;
    (void)device;
    (void)secret;
    s->busy = false;
    if (result) {
        log_warn("job %s: unit %s cannot leave quarantine yet: %s", s->job, s->unit.device, text);
        s->until_ms = s->jobs->config.now_ms() + AGAIN_MS;
        return;
    }
    crash_point("core.unit_settled");
    go_on(s);
}

static enum tm_err move(struct job_settling *s, enum ca_state to) {
    char reason[IPC_TEXT_MAX + 1];
    (void)snprintf(reason, sizeof reason, "job %s is closed", s->job);
    return ca_registry_transition(s->jobs->config.registry, s->tenant, s->unit.device, to, reason,
                                  s->actor, changed, s);
}

static const struct ca_cert_ref *in_use(const struct ca_device *device) {
    for (size_t i = 0; i < device->cert_count; i++)
        if (device->certs[i].status != CA_CERT_REVOKED && device->certs[i].status != CA_CERT_BURNED)
            return &device->certs[i];
    return NULL;
}

/* 5: cessationOfOperation (RFC 5280, 5.3.1). */
static enum tm_err withdraw(struct job_settling *s, const struct ca_cert_ref *ref) {
    char text[IPC_TEXT_MAX + 1];
    (void)snprintf(text, sizeof text, "the unit did not pass job %s", s->job);
    return ca_registry_revoke(s->jobs->config.registry, &ref->serial, 5, text, s->actor, changed,
                              s);
}

/* TM_ENOTFOUND: there is nothing to do; else a change is under way, or cannot begin. */
static enum tm_err settle_device(struct job_settling *s, const struct ca_device *device) {
    const struct ca_cert_ref *ref = in_use(device);
    if (strcmp(device->job, s->job) != 0)
        return TM_ENOTFOUND;
    if (s->unit.result == CA_UNIT_PASSED)
        return device->state == CA_MANUFACTURED ? move(s, CA_STOCKED) : TM_ENOTFOUND;
    if (ref)
        return withdraw(s, ref);
    return ca_transition_allowed((enum ca_state)device->state, CA_RETIRED) ? move(s, CA_RETIRED)
                                                                           : TM_ENOTFOUND;
}

static enum tm_err settle_unit(struct job_settling *s) {
    struct ca_store *store = s->jobs->config.store;
    struct ca_device device;
    enum tm_err err = store->ops->device(store, s->tenant, s->unit.device, &device);
    if (err)
        return err;
    s->busy = true; /* the change may end before its function returns */
    err = settle_device(s, &device);
    if (err)
        s->busy = false;
    return err;
}

/* ---- all of them ---- */

static enum tm_err decide_closed(struct job_change *change, char text[IPC_TEXT_MAX + 1]) {
    enum tm_err err = ca_jobs_read(change->jobs, change->tenant, change->name, &change->job);
    if (err)
        return ca_job_say(text, err, "the job cannot be read: %s", tm_err_name(err));
    change->unchanged = change->job.status != CA_JOB_CLOSING;
    change->job.status = CA_JOB_CLOSED;
    ca_job_leaf(&change->job, CA_EVENT_JOB_CLOSED, change->jobs->config.now_ms(),
                change->job.closer, "", &change->leaf);
    change->leaf.count = change->job.passed;
    ca_job_change_put(change);
    return TM_OK;
}

static void closed(void *arg, enum tm_err result, const char *text, const struct ca_job *job) {
    (void)arg;
    (void)job;
    if (result)
        log_warn("a job's end is not recorded yet: %s", text);
}

static void end(struct job_settling *s) {
    struct job_change *change =
        ca_job_change_new(s->jobs, s->tenant, s->job, s->actor, closed, NULL);
    struct live_job *live = ca_jobs_live(s->jobs, s->tenant, s->job);
    if (live) /* should the end fail, it is looked for again */
        ca_job_settling_free(live);
    if (change && ca_job_change_start(change, decide_closed))
        log_warn("a job's end cannot be recorded now");
}

/* The unit that the cursor stands before; it does not move. */
static enum tm_err find_unit(struct job_settling *s, struct buf *cursor) {
    struct ca_store *store = s->jobs->config.store;
    cursor->n = 0;
    buf_put(cursor, (struct bytes){s->cursor, s->cursor_n});
    enum tm_err err = store->ops->next_row(store, CA_TABLE_UNIT, cursor, &s->unit, NULL);
    if (!err && (strcmp(s->unit.tenant, s->tenant) != 0 || strcmp(s->unit.job, s->job) != 0))
        err = TM_ENOTFOUND;
    return err;
}

static void go_on(struct job_settling *s) {
    uint8_t key[CA_ROW_KEY_MAX];
    struct buf cursor = BUF_ON(key);
    for (unsigned i = 0; i < LOOKS_MAX; i++) {
        enum tm_err err = find_unit(s, &cursor);
        if (err == TM_ENOTFOUND) {
            end(s);
            return;
        }
        if (!err)
            err = settle_unit(s);
        if (err != TM_ENOTFOUND) { /* under way, or not now */
            if (err)
                log_warn("job %s: unit %s: %s", s->job, s->unit.device, tm_err_name(err));
            return;
        }
        memcpy(s->cursor, cursor.p, cursor.n);
        s->cursor_n = cursor.n;
    }
}

static struct job_settling *begin(struct ca_jobs *jobs, const struct ca_job *job) {
    struct job_settling *s = calloc(1, sizeof *s);
    struct buf cursor;
    if (!s)
        return NULL;
    s->jobs = jobs;
    TEXT_SET(s->tenant, job->tenant);
    TEXT_SET(s->job, job->name);
    TEXT_SET(s->actor, job->closer);
    cursor = (struct buf){s->cursor, sizeof s->cursor, 0, false};
    buf_put(&cursor, bytes_str(s->tenant));
    buf_put_u8(&cursor, 0);
    buf_put(&cursor, bytes_str(s->job));
    buf_put_u8(&cursor, 0);
    s->cursor_n = cursor.n;
    return s;
}

void ca_job_settle(struct ca_jobs *jobs, struct live_job *live) {
    if (!live->settling)
        live->settling = begin(jobs, &live->job);
    if (live->settling && !live->settling->busy &&
        jobs->config.now_ms() >= live->settling->until_ms)
        go_on(live->settling);
}
