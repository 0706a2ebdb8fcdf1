/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of docs/stations.md, each with its request and answer in C. Outcomes are those of
 * server.h; an answer that lacks something is OUTCOME_REFUSED. One thread. */
#ifndef TOUCHMARK_STATION_API_H
#define TOUCHMARK_STATION_API_H

#include "client/station/history.h"
#include "client/station/server.h"

/* A job as the server tells it. */
struct api_job {
    json_t *object;     /* the whole; borrowed, as are the texts */
    const char *status; /* open, stopped, closed */
    const char *reason; /* of a stop; "" = none */
};

/* All that the server says of jobs; the caller frees *ret (json_decref). */
enum outcome api_jobs(struct station_server *server, json_t **ret, struct why *ret_why);
/* The job in that answer. OUTCOME_REFUSED: it is not this station's. */
enum outcome api_job_in(const json_t *jobs, const char *name, struct api_job *ret,
                        struct why *ret_why);
/* May the station work on the job now? OUTCOME_STOPPED, OUTCOME_DENIED (nobody is logged in where
 * the job wants somebody), OUTCOME_REFUSED (not this station's). */
enum outcome api_job_is_open(struct station_server *server, const char *name, struct why *ret_why);

/* What is done in a manifest's terms: a job, from the server's object. The caller frees it by
 * manifest_close. */
enum outcome api_manifest(const json_t *job, const char *serial, struct manifest *ret,
                          struct why *ret_why);

#define API_CHALLENGE_SIZE 32
enum outcome api_challenge(struct station_server *server, const char *job, const char *device,
                           uint8_t ret[API_CHALLENGE_SIZE], struct why *ret_why);
/* *ret_over: it was refused because of the challenge; with another one the unit may be good. */
enum outcome api_verify(struct station_server *server, const char *job, const char *device,
                        const char *profile, const uint8_t challenge[API_CHALLENGE_SIZE],
                        struct bytes signature, bool *ret_over, struct why *ret_why);

struct api_report {
    const char *device;
    enum unit_result result; /* not UNIT_BEGUN */
    const char *reason;
    bool locked;
    const double *seconds; /* by enum journal_step */
};
enum outcome api_report(struct station_server *server, const char *job,
                        const struct api_report *report, struct why *ret_why);

/* What the server knows of a unit; the caller frees *ret. *ret_known false: nothing. */
enum outcome api_unit(struct station_server *server, const char *job, const char *device,
                      bool *ret_known, json_t **ret, struct why *ret_why);

enum outcome api_stop(struct station_server *server, const char *job, const char *reason,
                      struct why *ret_why);
enum outcome api_close(struct station_server *server, const char *job, const size_t *counts,
                       struct why *ret_why);
/* *ret_until: s since 1970. The secret is the caller's to wipe. */
enum outcome api_login(struct station_server *server, const char *name, const char *secret,
                       int64_t *ret_until, struct why *ret_why);
enum outcome api_logout(struct station_server *server, struct why *ret_why);

#endif
