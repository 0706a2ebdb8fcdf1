/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The production jobs that are not closed, in memory; the store stays the truth. Each change is one
 * transaction with its audit leaf. One loop's thread, like the store it works on.
 *
 *   jobs.c        which there are
 *   jobs_change.c proposing, opening, stopping, resuming, closing
 *   jobs_stop.c   what stops a job by itself
 *   jobs_list.c   lists of IDs
 *   jobs_settle.c units of a job that is closing leave quarantine
 */
#ifndef TOUCHMARK_CA_JOBS_H
#define TOUCHMARK_CA_JOBS_H

#include "ca/job.h"
#include "ca/registry.h"

#define CA_JOBS_MAX 1000 /* that are not closed */

struct ca_jobs;
struct ca_jobs_config {
    struct ca_store *store;
    const struct ca_registry *registry;
    int64_t (*now_ms)(void);
    void (*alarm)(void *arg, const char *text); /* one stopped by itself; NULL: nobody to tell */
    void *arg;
};

/* What the configuration points to must outlive it. TM_ENOMEM. */
MUST_USE enum tm_err ca_jobs_new(const struct ca_jobs_config *config, struct ca_jobs **ret_jobs);
/* After the store is closed. NULL-safe. */
void ca_jobs_free(struct ca_jobs *jobs);
/* Reads them from the store; before anything is issued. TM_ELIMIT: more than CA_JOBS_MAX. */
MUST_USE enum tm_err ca_jobs_load(struct ca_jobs *jobs);
/* Tries again what the store did not take; call it every 100 ms. */
void ca_jobs_tick(struct ca_jobs *jobs);

/* Open, stopped or closing; NULL: none, or it is closed. Its counts are those of its last change:
 * ca_jobs_read has those of now. Valid until the loop goes on. */
const struct ca_job *ca_jobs_find(const struct ca_jobs *jobs, const char *tenant, const char *name);
/* The one after `job`; NULL: the first. NULL at the end. */
const struct ca_job *ca_jobs_next(const struct ca_jobs *jobs, const struct ca_job *job);
/* Those that are not closed, as they are stored now: the row of each is read. */
struct ca_jobs_tally {
    size_t of[CA_JOB_STATUS_LAST + 1]; /* by enum ca_job_status */
    uint64_t units;                    /* that were begun, and so are in quarantine */
};
MUST_USE enum tm_err ca_jobs_tally(const struct ca_jobs *jobs, struct ca_jobs_tally *ret);
/* As it is stored, closed or not. TM_ENOTFOUND, TM_ECORRUPT, TM_EIO. */
MUST_USE enum tm_err ca_jobs_read(const struct ca_jobs *jobs, const char *tenant, const char *name,
                                  struct ca_job *ret);
/* Is it one of its IDs? */
MUST_USE enum tm_err ca_jobs_holds(const struct ca_jobs *jobs, const struct ca_job *job,
                                   const char *id, bool *ret);

/* ---- changes ---- */

/* Called once: durable (TM_OK, `job` as it is now), or refused with one clear sentence and NULL. */
typedef void ca_jobs_fn(void *arg, enum tm_err result, const char *text, const struct ca_job *job);

/* An error return of these means that `done` is not called (TM_ENOMEM); all else they copy. */

/* Keeps terms (of ca_job_read, with tenant and list) under their hash until they are agreed on;
 * `job` is then that row, whose `name` is the hash. Sets the number of its terms. */
MUST_USE enum tm_err ca_jobs_propose(struct ca_jobs *jobs, const struct ca_job *terms,
                                     ca_jobs_fn *done, void *arg);
/* Puts kept terms in force, of a new job or of one that is there, by an act (NULL: there are no
 * officers). Refused: they are not the ones that follow the terms in force; what is kept stays. */
MUST_USE enum tm_err ca_jobs_agree(struct ca_jobs *jobs, const char *tenant, const char *hash,
                                   const uint8_t act[CA_ACT_ID_SIZE], const char *actor,
                                   ca_jobs_fn *done, void *arg);
/* At once, for all that is asked for from now on. One that is stopped already stays as it is. */
MUST_USE enum tm_err ca_jobs_stop(struct ca_jobs *jobs, const char *tenant, const char *name,
                                  const char *reason, const char *actor, ca_jobs_fn *done,
                                  void *arg);
/* terms: the number of those that it was stopped with, 0: whichever. */
MUST_USE enum tm_err ca_jobs_resume(struct ca_jobs *jobs, const char *tenant, const char *name,
                                    uint32_t terms, const uint8_t act[CA_ACT_ID_SIZE],
                                    const char *reason, const char *actor, ca_jobs_fn *done,
                                    void *arg);
/* What who closes has counted. */
struct ca_job_counts {
    uint32_t passed, failed, scrapped;
};
/* Refused: the counts are not those that are recorded (TM_EDENIED, `text` says how they differ), or
 * a unit has no result. Its devices leave quarantine afterwards, in the background: those that
 * passed are stocked, the certificates of the others are revoked and they are retired. */
MUST_USE enum tm_err ca_jobs_close(struct ca_jobs *jobs, const char *tenant, const char *name,
                                   const struct ca_job_counts *counts, const char *actor,
                                   ca_jobs_fn *done, void *arg);

/* ---- stop rules ---- */

/* One more of these on the job; may stop it, at once. */
void ca_jobs_note(struct ca_jobs *jobs, const char *tenant, const char *name,
                  enum ca_job_rule rule);
/* The same for every open job of a station. */
void ca_jobs_note_station(struct ca_jobs *jobs, const char *tenant, const char *station,
                          enum ca_job_rule rule);
/* Something was issued: no errors in a row any more. */
void ca_jobs_went_well(struct ca_jobs *jobs, const char *tenant, const char *name);
/* May one more be issued now, by the job's rate? Counts it; false is noted by the rule. */
bool ca_jobs_paced(struct ca_jobs *jobs, const char *tenant, const char *name);

/* ---- lists ---- */

/* Stores a part of a list: IDs sorted by their octets, each followed by LF. `done` gets a NULL job.
 * The same part again is taken. */
MUST_USE enum tm_err ca_jobs_put_ids(struct ca_jobs *jobs, const char *tenant,
                                     const uint8_t list[CA_HASH_SIZE], struct bytes ids,
                                     ca_jobs_fn *done, void *arg);
/* Is the list with this hash there as a whole? Then how many IDs it has. TM_ENOTFOUND: it is not;
 * TM_ELIMIT: it has more than CA_JOB_LISTED_MAX. Reads all of it. */
MUST_USE enum tm_err ca_jobs_count_ids(const struct ca_jobs *jobs, const char *tenant,
                                       const uint8_t list[CA_HASH_SIZE], uint32_t *ret_count);

#endif
