/* SPDX-License-Identifier: Apache-2.0 */
/* job report and job close: does the server know what the journal knows? */
#include <stdio.h>
#include <string.h>

#include "client/station/api.h"
#include "client/station/job.h"

/* Prints a difference, and counts it. */
struct comparison {
    const struct history_unit *unit;
    size_t differences;
};

static void differ(struct comparison *c, const char *what, const char *journal,
                   const char *server) {
    (void)printf("%s: %s: journal %s, server %s\n", c->unit->id, what,
                 journal[0] ? journal : "none", server[0] ? server : "none");
    c->differences++;
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* "": the server has no certificate of this profile that is in use. */
static const char *fingerprint_at(const json_t *unit, const char *profile) {
    size_t i;
    json_t *certificate;
    json_array_foreach(json_object_get(unit, "certificates"), i, certificate) {
        if (strcmp(text_of(certificate, "profile"), profile) == 0)
            return text_of(certificate, "fingerprint");
    }
    return "";
}

static bool is_verified_at(const json_t *unit, const char *profile) {
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(unit, "verified"), i, name) {
        const char *text = json_string_value(name);
        if (text && strcmp(text, profile) == 0)
            return true;
    }
    return false;
}

static void compare_slot(struct comparison *c, const struct history_slot *own, const char *profile,
                         const json_t *unit) {
    const char *fingerprint = fingerprint_at(unit, profile);
    if (strcmp(own->fingerprint, fingerprint) != 0)
        differ(c, profile, own->fingerprint, fingerprint);
    bool verified = is_verified_at(unit, profile);
    if (own->verified != verified)
        differ(c, "verified", own->verified ? profile : "", verified ? profile : "");
}

static void compare_unit(struct comparison *c, const struct manifest *job, const json_t *unit) {
    const struct manifest_label *labels = job->labels.items;
    const char *result = text_of(unit, "result");
    const char *own = c->unit->result == UNIT_BEGUN ? "" : unit_result_words[c->unit->result];
    for (size_t i = 0; i < job->labels.count; i++)
        compare_slot(c, &c->unit->slots[i], labels[i].profile, unit);
    if (strcmp(own, result) != 0)
        differ(c, "result", own, result);
}

static enum outcome compare(const struct station_call *call, struct run *run, struct why *why) {
    size_t differences = 0, units = 0;
    (void)call;
    for (const struct history_unit *unit = history_first(run->history); unit; unit = unit->next) {
        AUTO(json_t) known = NULL;
        struct comparison c = {unit, 0};
        bool found = false;
        if (run_is_stopped(run))
            return because(OUTCOME_INTERRUPTED, why, "interrupted");
        enum outcome outcome = api_unit(run->server, run->job->job, unit->id, &found, &known, why);
        if (outcome != OUTCOME_DONE)
            return outcome;
        compare_unit(&c, run->job, known);
        differences += c.differences;
        units++;
    }
    (void)printf("%zu units: %zu passed, %zu failed, %zu scrapped, %zu begun; %zu differences\n",
                 units, history_count(run->history, UNIT_PASSED),
                 history_count(run->history, UNIT_FAILED),
                 history_count(run->history, UNIT_SCRAPPED),
                 history_count(run->history, UNIT_BEGUN), differences);
    return differences ? OUTCOME_DIFFERS : OUTCOME_DONE;
}

enum station_exit station_job_report(const struct station_call *call) {
    return job_with_run(call, false, compare);
}

static enum outcome close_job(const struct station_call *call, struct run *run, struct why *why) {
    size_t counts[UNIT_RESULT_COUNT];
    (void)call;
    for (unsigned i = 0; i < UNIT_RESULT_COUNT; i++)
        counts[i] = history_count(run->history, (enum unit_result)i);
    if (counts[UNIT_BEGUN] > 0)
        return because(OUTCOME_DIFFERS, why,
                       "%zu units were begun and not finished: job resume, or device scrap",
                       counts[UNIT_BEGUN]);
    enum outcome outcome = api_close(run->server, run->job->job, counts, why);
    if (outcome == OUTCOME_DONE)
        (void)printf("%s is closed: %zu passed, %zu failed, %zu scrapped\n", run->job->job,
                     counts[UNIT_PASSED], counts[UNIT_FAILED], counts[UNIT_SCRAPPED]);
    return outcome == OUTCOME_REFUSED ? OUTCOME_DENIED : outcome;
}

enum station_exit station_job_close(const struct station_call *call) {
    return job_with_run(call, false, close_job);
}
