/* SPDX-License-Identifier: Apache-2.0 */
/* See api.h. */
#include "client/station/api.h"

#include <stdlib.h>
#include <string.h>

#include "client/port/openssl.h"
#include "est/wire/base64.h"

#define BASE64_MAX 1024
#define CHALLENGE_OVER 410 /* HTTP status: docs/stations.md */

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static enum outcome incomplete(const char *operation, struct why *why) {
    return because(OUTCOME_REFUSED, why, "%s: the answer lacks what it has to have", operation);
}

/* For answers in which nothing is looked at. */
static enum outcome call(struct station_server *server, const char *operation, json_t *request,
                         struct why *why) {
    json_t *answer = NULL;
    long status;
    enum outcome outcome = station_server_call(server, operation, request, &answer, &status, why);
    json_decref(answer);
    return outcome;
}

static json_t *base64_json(struct bytes octets) {
    uint8_t text[BASE64_MAX];
    struct buf out = BUF_ON(text);
    return est_base64_encode(octets, 0, &out) ? NULL : json_stringn((char *)out.p, out.n);
}

/* ---- jobs ---- */

enum outcome api_jobs(struct station_server *server, json_t **ret, struct why *ret_why) {
    AUTO(json_t) answer = NULL;
    long status;
    enum outcome outcome =
        station_server_call(server, "jobs", json_object(), &answer, &status, ret_why);
    if (outcome != OUTCOME_DONE)
        return outcome;
    if (!json_is_array(json_object_get(answer, "jobs")))
        return incomplete("jobs", ret_why);
    *ret = TAKE(answer);
    return OUTCOME_DONE;
}

enum outcome api_job_in(const json_t *jobs, const char *name, struct api_job *ret,
                        struct why *ret_why) {
    size_t i;
    json_t *job;
    json_array_foreach(json_object_get(jobs, "jobs"), i, job) {
        if (strcmp(text_of(job, "job"), name) != 0)
            continue;
        *ret = (struct api_job){job, text_of(job, "status"), text_of(job, "reason")};
        return OUTCOME_DONE;
    }
    return because(OUTCOME_REFUSED, ret_why, "%s is not a job of this station", name);
}

enum outcome api_job_is_open(struct station_server *server, const char *name, struct why *ret_why) {
    AUTO(json_t) jobs = NULL;
    struct api_job job;
    enum outcome outcome = api_jobs(server, &jobs, ret_why);
    if (outcome == OUTCOME_DONE)
        outcome = api_job_in(jobs, name, &job, ret_why);
    if (outcome != OUTCOME_DONE)
        return outcome;
    if (strcmp(job.status, "open") != 0)
        return because(OUTCOME_STOPPED, ret_why, "job %s is %s%s%s", name, job.status,
                       job.reason[0] ? ": " : "", job.reason);
    if (json_is_true(json_object_get(job.object, "operator_required")) &&
        !text_of(jobs, "operator")[0])
        return because(OUTCOME_DENIED, ret_why,
                       "job %s wants somebody to be logged in: touchmark-station login", name);
    return OUTCOME_DONE;
}

static char *copy_of(const json_t *job, const char *key) {
    const char *text = text_of(job, key);
    return text[0] ? strdup(text) : NULL;
}

#define WALL_S_MAX INT64_C(253402300799) /* the end of the year 9999 */

/* Milliseconds; what no clock will say is left out. */
static int64_t time_of(const json_t *job, const char *key) {
    json_int_t seconds = json_integer_value(json_object_get(job, key));
    return seconds > 0 && seconds <= WALL_S_MAX ? 1000 * (int64_t)seconds : 0;
}

static uint64_t count_of(const json_t *job, const char *key) {
    json_int_t count = json_integer_value(json_object_get(job, key));
    return count > 0 ? (uint64_t)count : 0;
}

static bool take_labels(const json_t *job, struct manifest *ret) {
    const json_t *labels = json_object_get(job, "labels");
    size_t n = json_array_size(labels);
    struct manifest_label *items = calloc(n ? n : 1, sizeof *items);
    ret->labels = (struct conf_list){items, items ? n : 0};
    for (size_t i = 0; items && i < n; i++) {
        const json_t *label = json_array_get(labels, i);
        items[i].label = copy_of(label, "label");
        items[i].profile = copy_of(label, "profile");
        if (!items[i].label || !items[i].profile)
            return false;
    }
    return items && n > 0;
}

enum outcome api_manifest(const json_t *job, const char *serial, struct manifest *ret,
                          struct why *ret_why) {
    struct manifest m = {.baud = 115200, .test = true};
    m.job = copy_of(job, "job");
    m.product = copy_of(job, "product");
    m.batch = copy_of(job, "batch");
    m.site = copy_of(job, "site");
    m.first = copy_of(job, "first");
    m.last = copy_of(job, "last");
    m.listed = count_of(job, "listed");
    m.from = time_of(job, "from");
    m.until = time_of(job, "until");
    m.operator_required = json_is_true(json_object_get(job, "operator_required"));
    m.serial = strdup(serial);
    if (!take_labels(job, &m) || !m.job || !m.serial) {
        manifest_close(&m);
        return incomplete("jobs", ret_why);
    }
    *ret = m;
    return OUTCOME_DONE;
}

/* ---- units ---- */

enum outcome api_challenge(struct station_server *server, const char *job, const char *device,
                           uint8_t ret[API_CHALLENGE_SIZE], struct why *ret_why) {
    AUTO(json_t) answer = NULL;
    uint8_t octets[API_CHALLENGE_SIZE];
    struct buf out = BUF_ON(octets);
    long status;
    enum outcome outcome =
        station_server_call(server, "challenge", json_pack("{ssss}", "job", job, "device", device),
                            &answer, &status, ret_why);
    if (outcome != OUTCOME_DONE)
        return outcome;
    if (est_base64_decode(bytes_str(text_of(answer, "challenge")), &out) ||
        out.n != API_CHALLENGE_SIZE)
        return incomplete("challenge", ret_why);
    memcpy(ret, octets, API_CHALLENGE_SIZE);
    return OUTCOME_DONE;
}

enum outcome api_verify(struct station_server *server, const char *job, const char *device,
                        const char *profile, const uint8_t challenge[API_CHALLENGE_SIZE],
                        struct bytes signature, bool *ret_over, struct why *ret_why) {
    AUTO(json_t) answer = NULL;
    long status;
    enum outcome outcome = station_server_call(
        server, "verify",
        json_pack("{ssssssso so}", "job", job, "device", device, "profile", profile, "challenge",
                  base64_json((struct bytes){challenge, API_CHALLENGE_SIZE}), "signature",
                  base64_json(signature)),
        &answer, &status, ret_why);
    *ret_over = outcome == OUTCOME_REFUSED && status == CHALLENGE_OVER;
    return outcome;
}

/* Steps that took no time were not made. */
static json_t *seconds_json(const double *seconds) {
    AUTO(json_t) object = json_object();
    for (size_t i = 0; i < STEP_COUNT; i++)
        if (!object || (seconds[i] > 0 &&
                        json_object_set_new(object, journal_step_words[i], json_real(seconds[i]))))
            return NULL;
    return TAKE(object);
}

enum outcome api_report(struct station_server *server, const char *job,
                        const struct api_report *report, struct why *ret_why) {
    return call(server, "report",
                json_pack("{ssssssss sb so}", "job", job, "device", report->device, "result",
                          unit_result_words[report->result], "reason", report->reason, "locked",
                          report->locked, "seconds", seconds_json(report->seconds)),
                ret_why);
}

enum outcome api_unit(struct station_server *server, const char *job, const char *device,
                      bool *ret_known, json_t **ret, struct why *ret_why) {
    json_t *answer = NULL;
    long status;
    enum outcome outcome =
        station_server_call(server, "unit", json_pack("{ssss}", "job", job, "device", device),
                            &answer, &status, ret_why);
    *ret_known = outcome == OUTCOME_DONE;
    if (outcome == OUTCOME_REFUSED && status == 404)
        return OUTCOME_DONE;
    if (outcome == OUTCOME_DONE)
        *ret = answer;
    return outcome;
}

enum outcome api_stop(struct station_server *server, const char *job, const char *reason,
                      struct why *ret_why) {
    return call(server, "stop", json_pack("{ssss}", "job", job, "reason", reason), ret_why);
}

enum outcome api_close(struct station_server *server, const char *job, const size_t *counts,
                       struct why *ret_why) {
    return call(server, "close",
                json_pack("{sssIsIsI}", "job", job, "passed", (json_int_t)counts[UNIT_PASSED],
                          "failed", (json_int_t)counts[UNIT_FAILED], "scrapped",
                          (json_int_t)counts[UNIT_SCRAPPED]),
                ret_why);
}

/* ---- who works here ---- */

/* jansson forgets nothing by itself; the string is ours alone. */
static void wipe(const json_t *secret) {
    if (secret)
        bytes_wipe((char *)json_string_value(secret), json_string_length(secret));
}

enum outcome api_login(struct station_server *server, const char *name, const char *secret,
                       int64_t *ret_until, struct why *ret_why) {
    AUTO(json_t) answer = NULL;
    AUTO(json_t) request = json_pack("{ssss}", "operator", name, "secret", secret);
    long status;
    enum outcome outcome =
        station_server_call(server, "login", json_incref(request), &answer, &status, ret_why);
    wipe(json_object_get(request, "secret"));
    if (outcome == OUTCOME_DONE)
        *ret_until = json_integer_value(json_object_get(answer, "until"));
    return outcome;
}

enum outcome api_logout(struct station_server *server, struct why *ret_why) {
    return call(server, "logout", json_object(), ret_why);
}
