/* SPDX-License-Identifier: Apache-2.0 */
/* See job.h. Also: job verify, job fetch and job stop, which need no run. */
#include "client/station/job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "client/port/folder.h"
#include "client/station/api.h"

bool job_path(const struct station_conf *conf, const char *job, char ret[JOB_PATH_MAX]) {
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-";
    int n = snprintf(ret, JOB_PATH_MAX, "%s/%s.yaml", conf->jobs, job);
    return job[0] != '\0' && job[0] != '.' && job[strspn(job, allowed)] == '\0' && n > 0 &&
           n < JOB_PATH_MAX;
}

static enum station_exit open_manifest(const struct station_call *call, struct manifest *ret) {
    char path[JOB_PATH_MAX], error[CONF_ERROR_MAX];
    if (!job_path(call->conf, call->job, path)) {
        (void)fprintf(stderr, "touchmark-station: \"%s\" is no job's name\n", call->job);
        return STATION_CONFIG;
    }
    if (manifest_open_file(path, ret, error)) {
        (void)fprintf(stderr, "%s\n", error);
        return STATION_CONFIG;
    }
    if (strcmp(ret->job, call->job) == 0)
        return STATION_DONE;
    (void)fprintf(stderr, "%s: this is the manifest of job %s\n", path, ret->job);
    manifest_close(ret);
    return STATION_CONFIG;
}

/* ---- runs ---- */

static enum outcome open_parts(struct run *run, bool make, struct why *why) {
    enum outcome outcome = station_server_open(run->conf, run->stop_fd, &run->server, why);
    return outcome == OUTCOME_DONE ? run_open_journal(run, make, why) : outcome;
}

enum station_exit job_with_run(const struct station_call *call, bool make,
                               enum outcome (*work)(const struct station_call *, struct run *,
                                                    struct why *)) {
    struct manifest manifest;
    struct why why = {""};
    enum station_exit code = open_manifest(call, &manifest);
    if (code != STATION_DONE)
        return code;
    struct run *run = calloc(1, sizeof *run);
    enum outcome outcome = OUTCOME_UNREACHABLE;
    if (run) {
        run->conf = call->conf;
        run->job = &manifest;
        run->stop_fd = call->stop_fd;
        dut_init(&run->dut, &manifest, call->stop_fd);
        outcome = open_parts(run, make, &why);
        if (outcome == OUTCOME_DONE)
            outcome = work(call, run, &why);
        run_close(run);
    }
    free(run);
    manifest_close(&manifest);
    return station_say(outcome, &why);
}

/* ---- verify ---- */

enum station_exit station_job_verify(const struct station_call *call) {
    struct manifest manifest;
    enum station_exit code = open_manifest(call, &manifest);
    if (code != STATION_DONE)
        return code;
    (void)printf("%s: good\n", call->job);
    manifest_close(&manifest);
    return STATION_DONE;
}

/* ---- fetch ---- */

/* What was changed at the station stays. */
static void keep_local(const char *path, struct manifest *m) {
    struct manifest before;
    char error[CONF_ERROR_MAX];
    if (manifest_open_file(path, &before, error))
        return;
    struct manifest_label *labels = m->labels.items;
    const struct manifest_label *old = before.labels.items;
    for (size_t i = 0; i < m->labels.count; i++)
        for (size_t j = 0; j < before.labels.count; j++)
            if (strcmp(labels[i].label, old[j].label) == 0)
                labels[i].key = old[j].key;
    char *serial = strdup(before.serial);
    if (serial) {
        free(m->serial);
        m->serial = serial;
    }
    m->baud = before.baud;
    m->test = before.test;
    m->timeouts = before.timeouts;
    manifest_close(&before);
}

static enum outcome write_manifest(const char *path, const struct manifest *manifest,
                                   struct why *why) {
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    if (out)
        manifest_write(manifest, out);
    enum tm_err err = !out || fclose(out) ? TM_ENOMEM : TM_OK;
    if (!err)
        err = file_replace(path, (struct bytes){(uint8_t *)text, n}, 0600);
    free(text);
    return err ? because(OUTCOME_UNREACHABLE, why, "%s cannot be written: %s", path,
                         strerror(errno))
               : OUTCOME_DONE;
}

static enum outcome fetch_one(const struct station_conf *conf, const json_t *object,
                              struct why *why) {
    char path[JOB_PATH_MAX];
    struct manifest manifest;
    enum outcome outcome = api_manifest(object, conf->serial, &manifest, why);
    if (outcome != OUTCOME_DONE)
        return outcome;
    if (!job_path(conf, manifest.job, path)) {
        manifest_close(&manifest);
        return because(OUTCOME_REFUSED, why, "a job has a name that is none");
    }
    keep_local(path, &manifest);
    outcome = write_manifest(path, &manifest, why);
    if (outcome == OUTCOME_DONE)
        (void)printf("%s\n", path);
    manifest_close(&manifest);
    return outcome;
}

static enum outcome make_folder(const struct station_conf *conf, struct why *why) {
    AUTO_FD int folder = -1;
    return tm_folder_open(conf->jobs, &folder)
               ? because(OUTCOME_UNREACHABLE, why, "the folder %s cannot be used", conf->jobs)
               : OUTCOME_DONE;
}

static enum outcome fetch_all(const struct station_call *call, const json_t *jobs,
                              struct why *why) {
    enum outcome outcome = make_folder(call->conf, why);
    size_t i;
    json_t *job;
    json_array_foreach(json_object_get(jobs, "jobs"), i, job) {
        const char *status = json_string_value(json_object_get(job, "status"));
        if (outcome == OUTCOME_DONE && status && strcmp(status, "open") == 0)
            outcome = fetch_one(call->conf, job, why);
    }
    return outcome;
}

static enum outcome fetch(const struct station_call *call, struct station_server *server,
                          struct why *why) {
    AUTO(json_t) jobs = NULL;
    struct api_job job;
    enum outcome outcome = api_jobs(server, &jobs, why);
    if (outcome != OUTCOME_DONE || !call->job)
        return outcome == OUTCOME_DONE ? fetch_all(call, jobs, why) : outcome;
    outcome = api_job_in(jobs, call->job, &job, why);
    if (outcome == OUTCOME_DONE)
        outcome = make_folder(call->conf, why);
    return outcome == OUTCOME_DONE ? fetch_one(call->conf, job.object, why) : outcome;
}

enum station_exit station_job_fetch(const struct station_call *call) {
    return station_with_server(call, fetch);
}

/* ---- stop ---- */

static enum outcome stop(const struct station_call *call, struct station_server *server,
                         struct why *why) {
    enum outcome outcome = api_stop(server, call->job, call->reason, why);
    if (outcome == OUTCOME_DONE)
        (void)printf("%s is stopped\n", call->job);
    return outcome;
}

/* Nothing of the job has to be here: whoever sees that something is wrong must not need a manifest.
 */
enum station_exit station_job_stop(const struct station_call *call) {
    return station_with_server(call, stop);
}
