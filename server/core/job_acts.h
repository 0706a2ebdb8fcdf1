/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds "job-open", "job-change" and "job-resume". The text that officers sign has all of the
 * job's terms, as this server keeps them under the hash that the proposal names.
 */
#ifndef TOUCHMARK_SERVER_CORE_JOB_ACTS_H
#define TOUCHMARK_SERVER_CORE_JOB_ACTS_H

#include "ca/act.h"
#include "ca/jobs.h"

#define CORE_JOB_OPEN "job-open"
#define CORE_JOB_CHANGE "job-change"
#define CORE_JOB_RESUME "job-resume"

struct core_job_acts {
    struct ca_jobs *jobs;
    struct ca_act_kind open, change, resume;
};
/* `ret` must outlive the acts. */
MUST_USE enum tm_err core_job_acts_add(struct ca_jobs *jobs, struct ca_acts *acts,
                                       struct core_job_acts *ret);

#endif
