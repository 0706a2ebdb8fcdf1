/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stops a job by itself (requirement D2). Counts are in memory, because whoever has a
 * station's key cannot restart the server; the stop is durable. From the moment of its decision
 * nothing is issued, whether or not the store has taken it yet.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "ca/jobs_internal.h"

#define COUNTED_MS 600000
#define PACE_MS 60000
#define AGAIN_MS 1000

/* What the store did not take is wanted still, and the tick tries again. */
static void stopped(void *arg, enum tm_err result, const char *text, const struct ca_job *job) {
    (void)arg;
    (void)job;
    if (result)
        log_warn("a job's stop is not recorded yet: %s", text);
}

static void record(struct ca_jobs *jobs, struct live_job *live) {
    live->recorded_ms = jobs->config.now_ms();
    if (ca_jobs_stop(jobs, live->job.tenant, live->job.name, live->stop_reason, "touchmarkd",
                     stopped, NULL))
        log_error("job %s: no memory to record its stop", live->job.name);
}

static void stop(struct ca_jobs *jobs, struct live_job *live, const char *reason) {
    char text[IPC_TEXT_MAX + 1];
    if (live->stop_wanted || live->job.status != CA_JOB_OPEN)
        return;
    live->stop_wanted = true;
    live->job.status = CA_JOB_STOPPED;
    TEXT_SET(live->stop_reason, reason);
    (void)snprintf(text, sizeof text, "job %s of tenant %s stopped: %.100s", live->job.name,
                   live->job.tenant, reason);
    if (jobs->config.alarm)
        jobs->config.alarm(jobs->config.arg, text);
    record(jobs, live);
}

void ca_jobs_tick(struct ca_jobs *jobs) {
    for (struct live_job *live = jobs->first, *next; live; live = next) {
        next = live->next;
        if (live->stop_wanted && jobs->config.now_ms() - live->recorded_ms >= AGAIN_MS)
            record(jobs, live);
        else if (live->job.status == CA_JOB_CLOSING)
            ca_job_settle(jobs, live);
    }
}

static uint64_t limit_of(const struct ca_job *job, enum ca_job_rule rule) {
    return rule == CA_RULE_RATE ? (uint64_t)job->limits[rule] * job->rate : job->limits[rule];
}

static const char *words_of(enum ca_job_rule rule) {
    switch (rule) {
    case CA_RULE_DUPLICATE_ID:
        return "requests within ten minutes for IDs that have their certificate, for another key";
    case CA_RULE_DUPLICATE_KEY:
        return "requests within ten minutes with a key of another device";
    case CA_RULE_UNKNOWN_ID:
        return "requests within ten minutes for IDs that no job of the station has";
    case CA_RULE_RATE:
        return "requests within ten minutes beyond its rate";
    case CA_RULE_ERRORS:
        return "refusals in a row";
    case CA_RULE_COUNT:
        break;
    }
    return "of what stops it";
}

static void start_counting(struct live_job *live, int64_t now_ms) {
    if (now_ms - live->counted_ms < COUNTED_MS && now_ms >= live->counted_ms)
        return;
    uint32_t errors = live->counts[CA_RULE_ERRORS];
    memset(live->counts, 0, sizeof live->counts);
    live->counts[CA_RULE_ERRORS] = errors;
    live->counted_ms = now_ms;
}

static void note(struct ca_jobs *jobs, struct live_job *live, enum ca_job_rule rule) {
    char reason[IPC_TEXT_MAX + 1];
    uint64_t limit = limit_of(&live->job, rule);
    start_counting(live, jobs->config.now_ms());
    live->counts[rule]++;
    if (!limit || live->counts[rule] < limit)
        return;
    (void)snprintf(reason, sizeof reason, "%s: %" PRIu32 " %s", ca_job_rule_name(rule),
                   live->counts[rule], words_of(rule));
    stop(jobs, live, reason);
}

void ca_jobs_note(struct ca_jobs *jobs, const char *tenant, const char *name,
                  enum ca_job_rule rule) {
    struct live_job *live = ca_jobs_live(jobs, tenant, name);
    if (live)
        note(jobs, live, rule);
}

void ca_jobs_note_station(struct ca_jobs *jobs, const char *tenant, const char *station,
                          enum ca_job_rule rule) {
    for (struct live_job *live = jobs->first; live; live = live->next)
        if (strcmp(live->job.tenant, tenant) == 0 && ca_job_names_station(&live->job, station))
            note(jobs, live, rule);
}

void ca_jobs_went_well(struct ca_jobs *jobs, const char *tenant, const char *name) {
    struct live_job *live = ca_jobs_live(jobs, tenant, name);
    if (live)
        live->counts[CA_RULE_ERRORS] = 0;
}

bool ca_jobs_paced(struct ca_jobs *jobs, const char *tenant, const char *name) {
    struct live_job *live = ca_jobs_live(jobs, tenant, name);
    if (!live || !live->job.rate)
        return true;
    int64_t now_ms = jobs->config.now_ms(), passed_ms = now_ms - live->paced_ms;
    double full = live->job.rate;
    live->tokens += passed_ms > 0 && passed_ms < PACE_MS ? full * (double)passed_ms / PACE_MS
                    : passed_ms                          ? full
                                                         : 0;
    if (live->tokens > full)
        live->tokens = full;
    live->paced_ms = now_ms;
    if (live->tokens < 1) {
        note(jobs, live, CA_RULE_RATE);
        return false;
    }
    live->tokens -= 1;
    return true;
}
