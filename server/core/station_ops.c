/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of stations, one after the other: see docs/stations.md. */
#include <stdio.h>
#include <string.h>

#include "est/wire/base64.h"
#include "server/core/station_internal.h"

#define STEPS_MAX 32

/* ---- requests ---- */

static bool is_line(const char *text) {
    const unsigned char *p = (const unsigned char *)text;
    while (*p >= 0x20 && *p != 0x7f)
        p++;
    return !*p;
}

static bool take_name(const char *text, char ret[IPC_NAME_MAX + 1]) {
    if (!text[0] || strlen(text) > IPC_NAME_MAX || !is_line(text))
        return false;
    text_copy(ret, IPC_NAME_MAX + 1, text);
    return true;
}

/* job and device, if any, to the asking. False: it was refused. */
static bool names_fit(struct station_asking *a, int unpacked, const char *job, const char *device) {
    if (!unpacked && (!job || take_name(job, a->job)) && (!device || take_name(device, a->device)))
        return true;
    station_refuse_text(a, IPC_BAD_BODY,
                        "the members are not those of this operation, or not of their type");
    return false;
}

static bool job_fits(struct station_asking *a, enum ca_station_need need, struct ca_job *ret_job) {
    struct ca_refusal refusal = {0};
    if (ca_station_job(a->core->stations, &a->station, a->job, need, ret_job, &refusal))
        return true;
    station_refuse(a, &refusal, 0);
    return false;
}

/* ---- jobs ---- */

static void jobs(struct station_asking *a, json_t *request) {
    const struct ca_jobs *all = a->core->config.jobs;
    const struct ca_job *live = NULL;
    if (!names_fit(a, json_object_size(request) != 0, NULL, NULL))
        return;
    json_t *list = json_array();
    while ((live = ca_jobs_next(all, live))) {
        struct ca_job job;
        if (strcmp(live->tenant, a->station.tenant) != 0 ||
            !ca_job_names_station(live, a->station.name) ||
            ca_jobs_read(all, live->tenant, live->name, &job))
            continue;
        job.status = live->status;
        (void)json_array_append_new(list, station_job_json(a->core, &job));
    }
    json_t *object = json_pack("{s:o, s:s, s:o}", "jobs", list, "station", a->station.name, "time",
                               station_seconds(a->core->config.now_ms()));
    if (a->station.operator_name[0])
        (void)json_object_set_new(object, "operator", json_string(a->station.operator_name));
    station_answer(a, object);
}

/* ---- units ---- */

static bool unit_fits(struct station_asking *a, enum ca_station_need need, struct ca_unit *ret_unit,
                      struct ca_device *ret_device) {
    struct ca_refusal refusal = {0};
    struct ca_job job;
    if (!job_fits(a, need, &job))
        return false;
    if (ca_unit_find(a->core->stations, &job, a->device, ret_unit, ret_device, &refusal))
        return true;
    station_refuse(a, &refusal, 0);
    return false;
}

static void unit(struct station_asking *a, json_t *request) {
    const char *job = NULL, *device = NULL;
    struct ca_unit row;
    struct ca_device record;
    int unpacked = json_unpack(request, "{s:s, s:s !}", "job", &job, "device", &device);
    if (names_fit(a, unpacked, job, device) && unit_fits(a, CA_STATION_LOOKS, &row, &record))
        station_answer(a, station_unit_json(a->core, &row, &record));
}

static void challenge(struct station_asking *a, json_t *request) {
    const char *job = NULL, *device = NULL;
    struct ca_unit row;
    struct ca_device record;
    struct ca_refusal refusal = {0};
    uint8_t made[CA_UNIT_CHALLENGE_SIZE], text[64];
    struct buf out = BUF_ON(text);
    int64_t until_ms = 0;
    int unpacked = json_unpack(request, "{s:s, s:s !}", "job", &job, "device", &device);
    if (!names_fit(a, unpacked, job, device) || !unit_fits(a, CA_STATION_WORKS, &row, &record))
        return;
    if (!ca_unit_challenge(a->core->stations, &row, made, &until_ms, &refusal)) {
        station_refuse(a, &refusal, 0);
        return;
    }
    if (est_base64_encode(BYTES_OF(made), 0, &out)) {
        station_refuse_text(a, IPC_FAILED, "the challenge cannot be written");
        return;
    }
    station_answer(a, json_pack("{s:s%, s:o}", "challenge", (const char *)out.p, out.n, "until",
                                station_seconds(until_ms)));
}

static void verified(void *arg, const struct ca_refusal *refusal, const struct ca_unit *row,
                     const struct ca_device *device) {
    struct station_asking *a = arg;
    if (refusal->outcome)
        station_refuse(a, refusal, 0);
    else
        station_answer(a, json_pack("{s:o}", "verified", station_verified_json(row, device)));
}

static bool take_octets(struct station_asking *a, const char *text, struct buf *out) {
    if (text && !est_base64_decode(bytes_str(text), out))
        return true;
    station_refuse_text(a, IPC_BAD_BODY, "challenge and signature are base64");
    return false;
}

static void no_memory(struct station_asking *a) {
    station_refuse_text(a, IPC_UNAVAILABLE, "the server has no memory for this now");
}

static void verify(struct station_asking *a, json_t *request) {
    const char *job = NULL, *device = NULL, *profile = NULL, *nonce = NULL, *signature = NULL;
    uint8_t nonce_octets[CA_UNIT_CHALLENGE_SIZE], signature_octets[1024];
    struct buf nonce_out = BUF_ON(nonce_octets), signature_out = BUF_ON(signature_octets);
    char name[IPC_NAME_MAX + 1];
    struct ca_job terms;
    int unpacked =
        json_unpack(request, "{s:s, s:s, s:s, s:s, s:s !}", "job", &job, "device", &device,
                    "profile", &profile, "challenge", &nonce, "signature", &signature);
    if (!names_fit(a, unpacked || !take_name(profile, name), job, device) ||
        !take_octets(a, nonce, &nonce_out) || !take_octets(a, signature, &signature_out) ||
        !job_fits(a, CA_STATION_WORKS, &terms))
        return;
    if (ca_unit_verify(a->core->stations, &a->station, &terms, a->device, name,
                       buf_bytes(&nonce_out), buf_bytes(&signature_out), verified, a))
        no_memory(a);
}

/* ---- reports ---- */

static void reported(void *arg, const struct ca_refusal *refusal, const struct ca_unit *row,
                     const struct ca_device *device) {
    struct station_asking *a = arg;
    (void)device;
    if (refusal->outcome)
        station_refuse(a, refusal, 0);
    else
        station_answer(a, json_pack("{s:s}", "result", ca_unit_result_name(row->result)));
}

/* How long it took in all goes to the audit, behind the station's words. */
static bool take_words(const json_t *seconds, const char *reason, char ret[IPC_TEXT_MAX + 1]) {
    const char *step;
    const json_t *value;
    double all = 0;
    if (!is_line(reason) || (seconds && json_object_size(seconds) > STEPS_MAX))
        return false;
    json_object_foreach((json_t *)(uintptr_t)seconds, step, value) {
        if (!json_is_number(value) || json_number_value(value) < 0)
            return false;
        all += json_number_value(value);
    }
    (void)snprintf(ret, IPC_TEXT_MAX + 1, "%.180s%s%.1f s", reason, reason[0] ? "; " : "", all);
    return true;
}

static void report(struct station_asking *a, json_t *request) {
    const char *job = NULL, *device = NULL, *result = NULL, *reason = "";
    int locked = 0;
    json_t *seconds = NULL;
    struct ca_unit_report said = {.result = 0};
    struct ca_job terms;
    int unpacked =
        json_unpack(request, "{s:s, s:s, s:s, s?s, s?b, s?o !}", "job", &job, "device", &device,
                    "result", &result, "reason", &reason, "locked", &locked, "seconds", &seconds);
    bool good = !unpacked && (!seconds || json_is_object(seconds)) &&
                take_words(seconds, reason, said.words);
    said.result = good ? ca_unit_result_find(result) : 0;
    said.locked = locked;
    if (!names_fit(a, !said.result, job, device) || !job_fits(a, CA_STATION_WORKS, &terms))
        return;
    if (ca_unit_report(a->core->stations, &a->station, &terms, a->device, &said, reported, a))
        no_memory(a);
}

/* ---- the job as a whole ---- */

static void changed(void *arg, enum tm_err result, const char *text, const struct ca_job *job) {
    struct station_asking *a = arg;
    if (result) {
        station_refuse_text(a, station_outcome(result), text);
        return;
    }
    enum ca_job_status status = (enum ca_job_status)job->status;
    station_answer(
        a, json_pack("{s:s}", "status",
                     ca_job_status_name(status == CA_JOB_CLOSING ? CA_JOB_CLOSED : status)));
}

static void stop(struct station_asking *a, json_t *request) {
    const char *job = NULL, *reason = NULL;
    struct ca_job terms;
    int unpacked = json_unpack(request, "{s:s, s:s !}", "job", &job, "reason", &reason);
    bool good = !unpacked && reason[0] && strlen(reason) <= IPC_TEXT_MAX && is_line(reason);
    if (!names_fit(a, !good, job, NULL) || !job_fits(a, CA_STATION_STOPS, &terms))
        return;
    if (ca_jobs_stop(a->core->config.jobs, a->station.tenant, a->job, reason, a->station.actor,
                     changed, a))
        no_memory(a);
}

static bool take_count(json_int_t value, uint32_t *ret) {
    *ret = (uint32_t)value;
    return value >= 0 && value <= UINT32_MAX;
}

static void close_job(struct station_asking *a, json_t *request) {
    const char *job = NULL;
    json_int_t passed = 0, failed = 0, scrapped = 0;
    struct ca_job_counts counts;
    struct ca_job terms;
    int unpacked = json_unpack(request, "{s:s, s:I, s:I, s:I !}", "job", &job, "passed", &passed,
                               "failed", &failed, "scrapped", &scrapped);
    bool good = !unpacked && take_count(passed, &counts.passed) &&
                take_count(failed, &counts.failed) && take_count(scrapped, &counts.scrapped);
    if (!names_fit(a, !good, job, NULL) || !job_fits(a, CA_STATION_CLOSES, &terms))
        return;
    if (ca_jobs_close(a->core->config.jobs, a->station.tenant, a->job, &counts, a->station.actor,
                      changed, a))
        no_memory(a);
}

station_op_fn *station_op(uint8_t operation) {
    switch ((enum ipc_station_operation)operation) {
    case IPC_STATION_JOBS:
        return jobs;
    case IPC_STATION_LOGIN:
        return station_login;
    case IPC_STATION_LOGOUT:
        return station_logout;
    case IPC_STATION_UNIT:
        return unit;
    case IPC_STATION_CHALLENGE:
        return challenge;
    case IPC_STATION_VERIFY:
        return verify;
    case IPC_STATION_REPORT:
        return report;
    case IPC_STATION_STOP:
        return stop;
    case IPC_STATION_CLOSE:
        return close_job;
    }
    return NULL;
}
