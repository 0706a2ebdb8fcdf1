/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of ca/jobs.h share. */
#ifndef TOUCHMARK_CA_JOBS_INTERNAL_H
#define TOUCHMARK_CA_JOBS_INTERNAL_H

#include "ca/jobs.h"

struct job_settling;

/* A job that is not closed. */
struct live_job {
    struct ca_job job; /* first: what the outside has of it */
    struct live_job *next;
    int64_t counted_ms;             /* when counting began */
    uint32_t counts[CA_RULE_COUNT]; /* since then; of ERRORS: in a row */
    double tokens;                  /* certificates that the rate allows now */
    int64_t paced_ms;               /* when they were counted */
    bool stop_wanted;               /* it is to stop, and that is not durable yet */
    int64_t recorded_ms;            /* when that was tried last */
    char stop_reason[IPC_TEXT_MAX + 1];
    struct job_settling *settling; /* NULL: not begun */
};

struct ca_jobs {
    struct ca_jobs_config config;
    struct live_job *first;
    size_t count;
};

struct live_job *ca_jobs_live(const struct ca_jobs *jobs, const char *tenant, const char *name);
/* What is stored now takes the place of what was: added, changed, or closed and gone. */
void ca_jobs_refresh(struct ca_jobs *jobs, const struct ca_job *stored);

/* ---- jobs_change.c ---- */

/* One change of a job's row with its leaf. `decide` fills both; it runs again when the row changed
 * before they were durable. */
struct job_change {
    struct ca_jobs *jobs;
    enum tm_err (*decide)(struct job_change *change, char text[IPC_TEXT_MAX + 1]);
    ca_jobs_fn *done;
    void *arg;
    unsigned attempts;
    char tenant[IPC_NAME_MAX + 1];
    char name[IPC_NAME_MAX + 1];
    char actor[IPC_TEXT_MAX + 1];
    char reason[IPC_TEXT_MAX + 1];
    uint32_t terms;
    uint8_t act[CA_ACT_ID_SIZE]; /* zero: none */
    struct ca_job_counts counts;
    struct ca_job wanted; /* terms that are proposed, or were */
    struct ca_job job;
    bool unchanged; /* decide found nothing to do */
    struct ca_leaf leaf;
    uint8_t text[CA_TERMS_MAX]; /* of the leaf */
    struct ca_batch batch;
};
/* NULL: no memory. */
struct job_change *ca_job_change_new(struct ca_jobs *jobs, const char *tenant, const char *name,
                                     const char *actor, ca_jobs_fn *done, void *arg);
enum tm_err ca_job_change_start(struct job_change *change,
                                enum tm_err (*decide)(struct job_change *, char *));
/* Returns err, with a sentence in `text`. */
enum tm_err ca_job_say(char text[IPC_TEXT_MAX + 1], enum tm_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A leaf on a job. */
void ca_job_leaf(const struct ca_job *job, enum ca_event event, int64_t now_ms, const char *actor,
                 const char *reason, struct ca_leaf *ret);
/* Adds job and leaf to the change's batch. */
void ca_job_change_put(struct job_change *change);

/* ---- jobs_settle.c ---- */

/* Of a job that is closing: begins, goes on after a pause, or ends it. */
void ca_job_settle(struct ca_jobs *jobs, struct live_job *live);
void ca_job_settling_free(struct live_job *live);

#endif
