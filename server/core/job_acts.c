/* SPDX-License-Identifier: Apache-2.0 */
/* See job_acts.h. */
#include "server/core/job_acts.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROPOSAL "proposal"

/* ---- parameters ---- */

static bool is_name(const char *value) {
    return value[0] && strlen(value) <= IPC_NAME_MAX;
}

static bool is_hash(const char *value) {
    return strlen(value) == CA_JOB_HASH_TEXT - 1 &&
           strspn(value, "0123456789abcdef") == CA_JOB_HASH_TEXT - 1;
}

/* It goes into an audit leaf. */
static bool is_line(const char *value) {
    const unsigned char *p = (const unsigned char *)value;
    while (*p && !iscntrl(*p))
        p++;
    return value[0] && !*p;
}

static const struct ca_act_rule terms_rules[] = {
    {"tenant", true, is_name, "a name of 1 to 64 octets"},
    {"job", true, is_name, "a name of 1 to 64 octets"},
    {PROPOSAL, true, is_hash, "the hash of kept terms, 64 hex digits"},
    {NULL, false, NULL, NULL}};

static const struct ca_act_rule resume_rules[] = {
    {"tenant", true, is_name, "a name of 1 to 64 octets"},
    {"job", true, is_name, "a name of 1 to 64 octets"},
    {"words", false, is_line, "one line of text"},
    {NULL, false, NULL, NULL}};

/* ---- looking at proposals ---- */

struct facts {
    struct ca_act_params *params;
    enum tm_err err;
};

static void add_fact(void *arg, const char *name, const char *value) {
    struct facts *facts = arg;
    if (!facts->err)
        facts->err = ca_act_param_add(facts->params, name, value);
}

/* The kept terms are those of this job and kind. */
static bool find_terms(const struct core_job_acts *a, const struct ca_act_params *params,
                       bool opens, struct ca_job *ret) {
    return !ca_jobs_read(a->jobs, ca_act_param(params, "tenant"), ca_act_param(params, PROPOSAL),
                         ret) &&
           ret->status == CA_JOB_PROPOSED && strcmp(ret->of, ca_act_param(params, "job")) == 0 &&
           opens == (ret->terms == 1);
}

static void check_terms(const struct core_job_acts *a, struct ca_act_params *params, bool opens,
                        ca_act_checked_fn *checked, void *arg) {
    struct facts facts = {.params = params};
    struct ca_job job;
    if (!find_terms(a, params, opens, &job)) {
        checked(arg, TM_ENOTFOUND, "there are no terms with this hash that this could be for");
        return;
    }
    ca_job_describe(&job, add_fact, &facts);
    checked(arg, facts.err, facts.err ? "the terms do not fit into the act's text" : "");
}

static void check_open(void *self, struct ca_act_params *params, ca_act_checked_fn *checked,
                       void *arg) {
    check_terms(self, params, true, checked, arg);
}

static void check_change(void *self, struct ca_act_params *params, ca_act_checked_fn *checked,
                         void *arg) {
    check_terms(self, params, false, checked, arg);
}

static void check_resume(void *self, struct ca_act_params *params, ca_act_checked_fn *checked,
                         void *arg) {
    const struct core_job_acts *a = self;
    char terms[16];
    struct ca_job job;
    if (ca_jobs_read(a->jobs, ca_act_param(params, "tenant"), ca_act_param(params, "job"), &job) ||
        job.status != CA_JOB_STOPPED) {
        checked(arg, TM_EDENIED, "there is no such job that is stopped");
        return;
    }
    (void)snprintf(terms, sizeof terms, "%" PRIu32, job.terms);
    enum tm_err err = ca_act_param_add(params, "terms", terms);
    if (!err)
        err = ca_act_param_add(params, "stopped", job.reason);
    checked(arg, err, err ? "there are too many parameters" : "");
}

/* ---- carrying out ---- */

static void ended(void *arg, enum tm_err result, const char *text, const struct ca_job *job) {
    struct ca_act_run *run = arg;
    char words[IPC_TEXT_MAX + 1];
    (void)snprintf(words, sizeof words, "job %s has terms %" PRIu32 " and is %s",
                   job ? job->name : "", job ? job->terms : 0,
                   job ? ca_job_status_name((enum ca_job_status)job->status) : "");
    if (!ca_acts_stopping(run->acts))
        ca_act_run_end(run, result, result ? text : words);
}

/* Was it carried out before a restart? Its row says by which act. */
static bool is_done(const struct core_job_acts *a, struct ca_act_run *run,
                    uint8_t ret_act[CA_ACT_ID_SIZE]) {
    struct ca_job job;
    size_t n = 0;
    return !hex_decode(run->id, ret_act, CA_ACT_ID_SIZE, &n) &&
           !ca_jobs_read(a->jobs, ca_act_param(run->params, "tenant"),
                         ca_act_param(run->params, "job"), &job) &&
           memcmp(job.act, ret_act, CA_ACT_ID_SIZE) == 0;
}

static void run_terms(void *self, struct ca_act_run *run) {
    const struct core_job_acts *a = self;
    uint8_t act[CA_ACT_ID_SIZE];
    if (is_done(a, run, act))
        ca_act_run_end(run, TM_OK, "the terms are in force");
    else if (ca_jobs_agree(a->jobs, ca_act_param(run->params, "tenant"),
                           ca_act_param(run->params, PROPOSAL), act, run->actor, ended, run))
        ca_act_run_end(run, TM_ENOMEM, "the server had no memory");
}

static void run_resume(void *self, struct ca_act_run *run) {
    const struct core_job_acts *a = self;
    const char *words = ca_act_param(run->params, "words");
    const char *terms = ca_act_param(run->params, "terms");
    uint8_t act[CA_ACT_ID_SIZE];
    if (is_done(a, run, act))
        ca_act_run_end(run, TM_OK, "the job was resumed");
    else if (ca_jobs_resume(a->jobs, ca_act_param(run->params, "tenant"),
                            ca_act_param(run->params, "job"),
                            terms ? (uint32_t)strtoul(terms, NULL, 10) : 0, act, words ? words : "",
                            run->actor, ended, run))
        ca_act_run_end(run, TM_ENOMEM, "the server had no memory");
}

/* The terms that were kept for it. */
static void drop_terms(void *self, const struct ca_act_params *params, struct ca_change *ret_change,
                       void **ret_kept) {
    const struct core_job_acts *a = self;
    struct ca_job *job = malloc(sizeof *job);
    if (!job ||
        ca_jobs_read(a->jobs, ca_act_param(params, "tenant"), ca_act_param(params, PROPOSAL),
                     job) ||
        job->status != CA_JOB_PROPOSED) {
        free(job);
        return;
    }
    *ret_change =
        (struct ca_change){.kind = CA_END_ROW, .u.row = {.table = CA_TABLE_JOB, .row = job}};
    *ret_kept = job;
}

enum tm_err core_job_acts_add(struct ca_jobs *jobs, struct ca_acts *acts,
                              struct core_job_acts *ret) {
    *ret = (struct core_job_acts){
        .jobs = jobs,
        .open = {CORE_JOB_OPEN, terms_rules, ret, check_open, run_terms, drop_terms},
        .change = {CORE_JOB_CHANGE, terms_rules, ret, check_change, run_terms, drop_terms},
        .resume = {CORE_JOB_RESUME, resume_rules, ret, check_resume, run_resume, NULL}};
    enum tm_err err = ca_acts_add(acts, &ret->open);
    if (!err)
        err = ca_acts_add(acts, &ret->change);
    return err ? err : ca_acts_add(acts, &ret->resume);
}
