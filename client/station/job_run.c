/* SPDX-License-Identifier: Apache-2.0 */
/* job run and job resume: what has to be so before the first unit. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "client/station/api.h"
#include "client/station/job.h"

/* The server's labels of the job are the manifest's. */
static enum outcome compare(const struct run *run, const json_t *object, struct why *why) {
    const json_t *labels = json_object_get(object, "labels");
    const struct manifest_label *own = run->job->labels.items;
    bool same = json_array_size(labels) == run->job->labels.count;
    for (size_t i = 0; same && i < run->job->labels.count; i++) {
        const json_t *label = json_array_get(labels, i);
        const char *name = json_string_value(json_object_get(label, "label"));
        const char *profile = json_string_value(json_object_get(label, "profile"));
        same = name && profile && strcmp(name, own[i].label) == 0 &&
               strcmp(profile, own[i].profile) == 0;
    }
    return same ? OUTCOME_DONE
                : because(OUTCOME_DENIED, why,
                          "the manifest's labels are not those of job %s at the server: fetch it "
                          "again",
                          run->job->job);
}

static enum outcome check_job(const struct run *run, struct why *why) {
    AUTO(json_t) jobs = NULL;
    struct api_job job;
    if (run->job->until && clock_wall_ms() >= run->job->until)
        return because(OUTCOME_STOPPED, why, "job %s has ended", run->job->job);
    enum outcome outcome = api_job_is_open(run->server, run->job->job, why);
    if (outcome == OUTCOME_DONE)
        outcome = api_jobs(run->server, &jobs, why);
    if (outcome == OUTCOME_DONE)
        outcome = api_job_in(jobs, run->job->job, &job, why);
    if (outcome == OUTCOME_DONE)
        outcome = compare(run, job.object, why);
    return outcome == OUTCOME_REFUSED ? OUTCOME_DENIED : outcome;
}

static enum outcome learn_anchors(struct run *run, struct why *why) {
    const struct manifest_label *labels = run->job->labels.items;
    enum outcome outcome = OUTCOME_DONE;
    for (size_t i = 0; i < run->job->labels.count && outcome == OUTCOME_DONE; i++) {
        struct buf out = BUF_ON(run->anchors[i].der);
        outcome = station_server_cacerts(run->server, labels[i].label, &out, why);
        run->anchors[i].n = out.n;
    }
    return outcome == OUTCOME_REFUSED ? OUTCOME_DENIED : outcome;
}

static enum outcome work(const struct station_call *call, struct run *run, bool resume,
                         struct why *why) {
    AUTO_FD int file = -1;
    if (call->ids) {
        file = open(call->ids, O_RDONLY | O_CLOEXEC);
        if (file < 0)
            return because(OUTCOME_DENIED, why, "%s: %s", call->ids, strerror(errno));
    }
    enum outcome outcome = check_job(run, why);
    if (outcome == OUTCOME_DONE)
        outcome = learn_anchors(run, why);
    return outcome == OUTCOME_DONE ? run_units(run, call->ids ? file : STDIN_FILENO, resume, why)
                                   : outcome;
}

static enum outcome run_it(const struct station_call *call, struct run *run, struct why *why) {
    return work(call, run, false, why);
}

static enum outcome resume_it(const struct station_call *call, struct run *run, struct why *why) {
    return work(call, run, true, why);
}

enum station_exit station_job_run(const struct station_call *call) {
    return job_with_run(call, true, run_it);
}

enum station_exit station_job_resume(const struct station_call *call) {
    return job_with_run(call, true, resume_it);
}
