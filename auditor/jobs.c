/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leaves of jobs, and what the terms that officers agreed on say of each issuance: see auditor.h.
 *
 * A request is decided before its leaf is written. So what was decided no later than terms or
 * status changed is held against those before, by the leaf's own time.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auditor/auditor.h"
#include "ca/station.h"

/* ---- jobs by name ---- */

static struct auditor_job *job_new(struct auditor_jobs *jobs, struct auditor_entry *entry) {
    struct auditor_job *job = calloc(1, sizeof *job);
    if (jobs->count == jobs->room) {
        jobs->room = 2 * jobs->room + 64;
        struct auditor_job **items =
            realloc(jobs->items, jobs->room * sizeof(struct auditor_job *));
        if (!items)
            abort();
        jobs->items = items;
    }
    if (!job)
        abort();
    job->name = entry->name;
    jobs->items[jobs->count++] = job;
    entry->job = (uint32_t)jobs->count;
    return job;
}

static uint32_t number_of(struct auditor *a, const struct ca_leaf *leaf) {
    char name[2 * IPC_NAME_MAX + 2];
    (void)snprintf(name, sizeof name, "%s/%s", leaf->tenant, leaf->job);
    struct auditor_entry *entry = auditor_entry(&a->jobs.names, name);
    if (!entry)
        abort();
    if (!entry->job)
        (void)job_new(&a->jobs, entry);
    return entry->job;
}

struct auditor_job *auditor_job_known(const struct auditor *a, const char *tenant,
                                      const char *name) {
    char key[2 * IPC_NAME_MAX + 2];
    (void)snprintf(key, sizeof key, "%.64s/%.64s", tenant, name);
    const struct auditor_entry *entry = auditor_known(&a->jobs.names, key);
    return entry ? a->jobs.items[entry->job - 1] : NULL;
}

void auditor_jobs_free(struct auditor_jobs *jobs) {
    for (size_t i = 0; i < jobs->count; i++) {
        free(jobs->items[i]->terms);
        free(jobs->items[i]->before);
        free(jobs->items[i]);
    }
    free(jobs->items);
    auditor_table_free(&jobs->names);
    auditor_table_free(&jobs->units);
    auditor_table_free(&jobs->waiting);
    *jobs = (struct auditor_jobs){0};
}

/* ---- counts ---- */

static void count(const struct auditor *a, uint64_t sequence, struct auditor_count *c, int by) {
    c->now = by < 0 && !c->now ? 0 : c->now + (uint32_t)by;
    bool moving = sequence >= a->registry_from;
    c->low = moving && c->low < c->now ? c->low : c->now;
    c->high = moving && c->high > c->now ? c->high : c->now;
}

static struct auditor_count *issued_of(struct auditor_job *job, const char *profile) {
    for (size_t i = 0; i < job->profile_count; i++)
        if (strcmp(job->profiles[i].name, profile) == 0)
            return &job->profiles[i].issued;
    if (job->profile_count == AUDITOR_JOB_PROFILES_MAX)
        return NULL;
    TEXT_SET(job->profiles[job->profile_count].name, profile);
    return &job->profiles[job->profile_count++].issued;
}

/* ---- terms ---- */

static void find(struct auditor *a, uint64_t sequence, const struct auditor_job *job,
                 const char *what) {
    auditor_find(&a->report, AUDITOR_REGISTRY, "leaf %" PRIu64 ": job %s: %s", sequence, job->name,
                 what);
}

/* The hash by which officers agreed on them stands in the reason. */
static bool has_hash(const struct ca_leaf *leaf) {
    struct audit_hash hash;
    char hex[CA_JOB_HASH_TEXT];
    const char *said = strstr(leaf->reason, "sha256:");
    return said && !audit_sha256(&leaf->terms, 1, &hash) &&
           !hex_encode(BYTES_OF(hash.octets), hex, sizeof hex) && strcmp(said + 7, hex) == 0;
}

/* An older program's leaf has none: then nothing is known. */
static void take_terms(struct auditor *a, uint64_t sequence, struct auditor_job *job,
                       const struct ca_leaf *leaf) {
    free(job->before);
    job->before = job->terms;
    job->terms = NULL;
    job->changed_ms = leaf->time_ms;
    if (!leaf->terms.n)
        return;
    job->terms = malloc(sizeof *job->terms);
    if (!job->terms)
        abort();
    if (ca_job_terms_read(leaf->terms, job->terms) || !has_hash(leaf) ||
        strcmp(job->terms->name, leaf->job) != 0 || strcmp(job->terms->tenant, leaf->tenant) != 0) {
        find(a, sequence, job, "its terms are not those whose hash was agreed on");
        free(job->terms);
        job->terms = NULL;
    } else if (!a->from && job->terms->terms != job->number.now) {
        find(a, sequence, job, "its terms are not the next ones");
    }
}

/* Why the terms do not permit it; NULL: they do. */
static const char *against(const struct ca_job *terms, const struct ca_leaf *leaf) {
    if (!ca_job_names_station(terms, leaf->station))
        return "its terms do not name the station";
    if (leaf->time_ms < terms->from_ms || leaf->time_ms >= terms->until_ms)
        return "it is outside the job's time";
    if (!ca_job_profile(terms, leaf->profile))
        return "its terms do not name the profile";
    if (!terms->listed && !ca_job_in_range(terms, leaf->device))
        return "the ID is not in its range";
    if (!ca_job_in_network(terms, leaf->remote))
        return "its terms do not name the network";
    if (terms->operator_required && !leaf->operator_name[0])
        return "nobody was logged in at the station";
    return NULL;
}

static const char *beyond(const struct ca_job *terms, const struct ca_leaf *leaf,
                          const struct auditor_count *issued) {
    const struct ca_job_profile *profile = ca_job_profile(terms, leaf->profile);
    const char *why = against(terms, leaf);
    return !why && issued && profile && issued->now > profile->quota
               ? "more was issued than its quota"
               : why;
}

static void judge(struct auditor *a, uint64_t sequence, const struct auditor_job *job,
                  const struct ca_leaf *leaf, const struct auditor_count *issued) {
    bool earlier = job->before && leaf->time_ms <= job->changed_ms;
    const char *why = job->terms ? beyond(job->terms, leaf, issued) : NULL;
    if (why && earlier)
        why = beyond(job->before, leaf, issued);
    if (!why && job->status != CA_JOB_OPEN && job->status && leaf->time_ms > job->status_ms)
        why = "it was issued while the job was not open";
    if (why)
        auditor_find(&a->report, AUDITOR_REGISTRY,
                     "leaf %" PRIu64 " issues %s/%s a certificate of profile %s for job %s at "
                     "station %s: %s",
                     sequence, leaf->tenant, leaf->device, leaf->profile, leaf->job, leaf->station,
                     why);
}

/* ---- units ---- */

static struct auditor_entry *unit_of(struct auditor *a, const struct ca_leaf *leaf) {
    char name[AUDITOR_UNIT_NAME_MAX];
    (void)snprintf(name, sizeof name, "%s/%s/%s", leaf->tenant, leaf->job, leaf->device);
    struct auditor_entry *entry = auditor_entry(&a->jobs.units, name);
    if (!entry)
        abort();
    return entry;
}

static void begin_unit(struct auditor *a, uint64_t sequence, struct auditor_job *job,
                       const struct ca_leaf *leaf) {
    struct auditor_entry *unit = unit_of(a, leaf);
    if (unit->state)
        return;
    auditor_set_state(unit, sequence, a->registry_from, 1);
    count(a, sequence, &job->begun, 1);
}

/* "passed", or "passed: words"; 0: the leaf is of no result. */
static uint8_t result_in(const char *reason) {
    char word[16];
    size_t n = strcspn(reason, ":");
    if (n >= sizeof word)
        return 0;
    memcpy(word, reason, n);
    word[n] = '\0';
    return ca_unit_result_find(word);
}

static void count_result(const struct auditor *a, uint64_t sequence, struct auditor_job *job,
                         uint8_t result, int by) {
    if (result == CA_UNIT_PASSED)
        count(a, sequence, &job->passed, by);
    else if (result == CA_UNIT_FAILED)
        count(a, sequence, &job->failed, by);
    else if (result == CA_UNIT_SCRAPPED)
        count(a, sequence, &job->scrapped, by);
}

static void report_unit(struct auditor *a, uint64_t sequence, struct auditor_job *job,
                        const struct ca_leaf *leaf) {
    uint8_t result = result_in(leaf->reason);
    struct auditor_entry *unit = unit_of(a, leaf);
    if (!unit->state && !a->from)
        find(a, sequence, job, "it reports a unit that was never begun");
    if (!unit->state)
        begin_unit(a, sequence, job, leaf);
    if (!result)
        return;
    if (unit->state == CA_UNIT_PASSED + 1 && result != CA_UNIT_PASSED)
        find(a, sequence, job, "it reports a unit that had passed otherwise");
    count_result(a, sequence, job, (uint8_t)(unit->state - 1), -1);
    count_result(a, sequence, job, result, 1);
    auditor_set_state(unit, sequence, a->registry_from, (uint8_t)(result + 1));
}

/* ---- quarantine ---- */

static bool by_authority(const struct ca_leaf *leaf) {
    return strncmp(leaf->actor, "ra:", 3) == 0 || strstr(leaf->actor, " ra:");
}

/* Until its job is closed a device gets what a station asks for by that job, and nothing else. */
static void judge_quarantine(struct auditor *a, uint64_t sequence, const struct ca_leaf *leaf,
                             const struct auditor_entry *device) {
    const struct auditor_job *job = device && device->job ? a->jobs.items[device->job - 1] : NULL;
    if (!job || !job->status || job->status == CA_JOB_CLOSED)
        return;
    if (leaf->job[0] ? auditor_job_known(a, leaf->tenant, leaf->job) == job
                     : leaf->origin == IPC_ORIGIN_LOCAL || by_authority(leaf))
        return;
    auditor_find(&a->report, AUDITOR_REGISTRY,
                 "leaf %" PRIu64 " issues %s/%s a certificate of profile %s in quarantine: job %s "
                 "is not closed",
                 sequence, leaf->tenant, leaf->device, leaf->profile, job->name);
}

/* ---- what happens to a job itself ---- */

static void set_status(struct auditor *a, uint64_t sequence, struct auditor_job *job,
                       const struct ca_leaf *leaf, enum ca_job_status status) {
    struct auditor_entry as = {.state = job->status, .states = job->states};
    auditor_set_state(&as, sequence, a->registry_from, (uint8_t)status);
    job->states = as.states;
    job->leaf = sequence;
    if (job->status != status)
        job->status_ms = leaf->time_ms;
    job->status = (uint8_t)status;
}

static void opened(struct auditor *a, uint64_t sequence, struct auditor_job *job,
                   const struct ca_leaf *leaf) {
    if (job->status == CA_JOB_CLOSING || job->status == CA_JOB_CLOSED)
        find(a, sequence, job, "it is opened again after it was closed");
    count(a, sequence, &job->number, 1);
    take_terms(a, sequence, job, leaf);
    bool stopped = job->status == CA_JOB_STOPPED;
    set_status(a, sequence, job, leaf, stopped ? CA_JOB_STOPPED : CA_JOB_OPEN);
}

static void closed(struct auditor *a, uint64_t sequence, struct auditor_job *job,
                   const struct ca_leaf *leaf) {
    if (!a->from && leaf->count != job->passed.now)
        find(a, sequence, job, "it closes with another count of units that passed than were");
    if (!a->from && job->begun.now != job->passed.now + job->failed.now + job->scrapped.now)
        find(a, sequence, job, "it closes with units that have no result");
    set_status(a, sequence, job, leaf, CA_JOB_CLOSED);
}

static bool change_job(struct auditor *a, uint64_t sequence, struct auditor_job *job,
                       const struct ca_leaf *leaf) {
    switch (leaf->event) {
    case CA_EVENT_JOB_OPENED:
        opened(a, sequence, job, leaf);
        return true;
    case CA_EVENT_JOB_STOPPED:
        set_status(a, sequence, job, leaf, CA_JOB_STOPPED);
        return true;
    case CA_EVENT_JOB_RESUMED:
        count(a, sequence, &job->number, 1);
        set_status(a, sequence, job, leaf, CA_JOB_OPEN);
        return true;
    case CA_EVENT_JOB_CLOSING:
        set_status(a, sequence, job, leaf, CA_JOB_CLOSING);
        return true;
    case CA_EVENT_JOB_CLOSED:
        closed(a, sequence, job, leaf);
        return true;
    default:
        return false;
    }
}

/* ---- the whole ---- */

static void issue(struct auditor *a, uint64_t sequence, struct auditor_job *job,
                  const struct ca_leaf *leaf) {
    struct auditor_count *issued = issued_of(job, leaf->profile);
    begin_unit(a, sequence, job, leaf);
    if (issued)
        count(a, sequence, issued, 1);
    judge(a, sequence, job, leaf, issued);
    if (leaf->operator_name[0])
        auditor_judge_operator(a, sequence, leaf);
}

static bool names_device(const struct ca_leaf *leaf) {
    return leaf->event == CA_EVENT_ISSUED || leaf->event == CA_EVENT_DEVICE_ADDED ||
           leaf->event == CA_EVENT_DEVICE_CHANGED;
}

void auditor_replay_job(struct auditor *a, uint64_t sequence, const struct ca_leaf *leaf,
                        struct auditor_entry *device) {
    if (leaf->event == CA_EVENT_ISSUED)
        judge_quarantine(a, sequence, leaf, device);
    if (!leaf->job[0] || leaf->event == CA_EVENT_REFUSED)
        return;
    uint32_t number = number_of(a, leaf);
    struct auditor_job *job = a->jobs.items[number - 1];
    bool changes = change_job(a, sequence, job, leaf);
    bool works = leaf->event == CA_EVENT_ISSUED || leaf->event == CA_EVENT_UNIT;
    if (works && !job->status && !a->from)
        find(a, sequence, job, "no leaf has opened it");
    if (leaf->event == CA_EVENT_ISSUED)
        issue(a, sequence, job, leaf);
    else if (leaf->event == CA_EVENT_BURNED)
        begin_unit(a, sequence, job, leaf);
    else if (leaf->event == CA_EVENT_UNIT)
        report_unit(a, sequence, job, leaf);
    if (!changes && device && names_device(leaf))
        device->job = number;
}
