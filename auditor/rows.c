/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs, units, operators and products of the export against the log: see auditor.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auditor/auditor.h"
#include "ca/station.h"

/* ---- jobs ---- */

static uint32_t number_in(const json_t *row, const char *key) {
    json_int_t number = json_integer_value(json_object_get(row, key));
    return number < 0 || number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
}

/* more: what may have come since and is in no leaf yet. */
static void compare_count(struct auditor *a, const struct auditor_job *job, const char *what,
                          uint32_t shown, const struct auditor_count *count, uint32_t more) {
    if (a->from || (shown >= count->low && shown <= (uint64_t)count->high + more))
        return;
    auditor_find(&a->report, AUDITOR_REGISTRY, "job %s: %s is %u, and by the log %u", job->name,
                 what, shown, count->now);
}

static void compare_spent(struct auditor *a, const struct auditor_job *job, const json_t *row) {
    static const struct auditor_count none = {0, 0, 0};
    const json_t *spent = json_object_get(row, "spent");
    for (size_t i = 0; job->terms && i < job->terms->profile_count; i++) {
        const char *profile = job->terms->profiles[i].name;
        const struct auditor_count *issued = &none;
        char what[IPC_NAME_MAX + 32];
        for (size_t j = 0; j < job->profile_count; j++)
            if (strcmp(job->profiles[j].name, profile) == 0)
                issued = &job->profiles[j].issued;
        (void)snprintf(what, sizeof what, "spent of %s", profile);
        compare_count(a, job, what, number_in(spent, profile), issued, job->waiting);
    }
}

/* Resuming raises the number of the terms, and nothing else in them. */
static void compare_terms(struct auditor *a, const struct auditor_job *job, const json_t *row) {
    uint8_t octets[CA_TERMS_MAX];
    struct buf text = BUF_ON(octets);
    struct bytes shown = bytes_str(auditor_text(row, "terms"));
    struct ca_job wanted, is;
    if (ca_job_terms_read(shown, &is)) {
        auditor_find(&a->report, AUDITOR_REGISTRY, "job %s has terms that are none", job->name);
        return;
    }
    compare_count(a, job, "the number of its terms", is.terms, &job->number, 0);
    if (!job->terms || job->leaf >= a->registry_from)
        return;
    wanted = *job->terms;
    wanted.terms = is.terms;
    if (ca_job_terms_put(&wanted, &text) || !bytes_equal(buf_bytes(&text), shown))
        auditor_find(&a->report, AUDITOR_REGISTRY,
                     "job %s has other terms than those that were agreed on", job->name);
}

static uint8_t status_named(const char *word) {
    for (uint8_t i = CA_JOB_OPEN; i <= CA_JOB_STATUS_LAST; i++)
        if (strcmp(word, ca_job_status_name((enum ca_job_status)i)) == 0)
            return i;
    return 0;
}

static void compare_job(struct auditor *a, const json_t *row) {
    char name[2 * IPC_NAME_MAX + 2];
    struct auditor_job *job =
        auditor_job_known(a, auditor_text(row, "tenant"), auditor_text(row, "job"));
    (void)snprintf(name, sizeof name, "%.64s/%.64s", auditor_text(row, "tenant"),
                   auditor_text(row, "job"));
    if (!job || !job->status) {
        auditor_find_unknown(a, "job", name);
        return;
    }
    if (job->there)
        auditor_find(&a->report, AUDITOR_REGISTRY, "job %s is in the registry twice", name);
    job->there = true;
    uint8_t status = status_named(auditor_text(row, "status"));
    if (!status || !(job->states & UINT32_C(1) << status))
        auditor_find(&a->report, AUDITOR_REGISTRY, "job %s is %.32s, and by the log %s", name,
                     auditor_text(row, "status"),
                     ca_job_status_name((enum ca_job_status)job->status));
    compare_terms(a, job, row);
    compare_spent(a, job, row);
    compare_count(a, job, "begun", number_in(row, "begun"), &job->begun, job->waiting);
    compare_count(a, job, "passed", number_in(row, "passed"), &job->passed, 0);
    compare_count(a, job, "failed", number_in(row, "failed"), &job->failed, 0);
    compare_count(a, job, "scrapped", number_in(row, "scrapped"), &job->scrapped, 0);
}

static void name_missing_jobs(struct auditor *a) {
    for (size_t i = 0; i < a->jobs.count; i++) {
        const struct auditor_job *job = a->jobs.items[i];
        if (job->status && !job->there && !(job->states & 1))
            auditor_find(&a->report, AUDITOR_REGISTRY,
                         "job %s is not in the registry; leaf %llu tells of it", job->name,
                         (unsigned long long)job->leaf);
    }
}

/* ---- units ---- */

static void unit_name(const json_t *row, char ret[AUDITOR_UNIT_NAME_MAX]) {
    (void)snprintf(ret, AUDITOR_UNIT_NAME_MAX, "%.64s/%.64s/%.64s", auditor_text(row, "tenant"),
                   auditor_text(row, "job"), auditor_text(row, "device"));
}

/* A serial on its way has begun its unit already. */
static void note_intent(struct auditor *a, const json_t *row) {
    char name[AUDITOR_UNIT_NAME_MAX];
    struct auditor_job *job =
        auditor_job_known(a, auditor_text(row, "tenant"), auditor_text(row, "job"));
    if (!job)
        return;
    unit_name(row, name);
    job->waiting++;
    if (!auditor_entry(&a->jobs.waiting, name))
        abort();
}

static void compare_unit(struct auditor *a, const json_t *row) {
    char name[AUDITOR_UNIT_NAME_MAX];
    unit_name(row, name);
    struct auditor_entry *unit = auditor_known(&a->jobs.units, name);
    const char *result = auditor_text(row, "result");
    uint32_t state = result[0] ? ca_unit_result_find(result) + 1u : 1;
    if (!unit) {
        if (!auditor_known(&a->jobs.waiting, name))
            auditor_find_unknown(a, "unit", name);
        return;
    }
    if (unit->there)
        auditor_find(&a->report, AUDITOR_REGISTRY, "unit %s is in the registry twice", name);
    unit->there = true;
    if (!(unit->states & UINT32_C(1) << state) || (result[0] && state == 1))
        auditor_find(&a->report, AUDITOR_REGISTRY, "unit %s is %.32s, and by the log %s", name,
                     result[0] ? result : "without a result",
                     unit->state > 1 ? ca_unit_result_name((uint8_t)(unit->state - 1))
                                     : "without a result");
    if (state == CA_UNIT_PASSED + 1 && !json_is_true(json_object_get(row, "locked")))
        auditor_find(&a->report, AUDITOR_REGISTRY, "unit %s passed and is not locked", name);
}

/* ---- operators and products ---- */

static struct auditor_entry *compare_named(struct auditor *a, const struct auditor_table *table,
                                           const char *what, const char *name) {
    struct auditor_entry *entry = auditor_known(table, name);
    if (!entry) {
        auditor_find_unknown(a, what, name);
        return NULL;
    }
    if (entry->there)
        auditor_find(&a->report, AUDITOR_REGISTRY, "%s %s is in the registry twice", what, name);
    entry->there = true;
    if (!(entry->states & UINT32_C(1) << 1))
        auditor_find(&a->report, AUDITOR_REGISTRY,
                     "%s %s is in the registry, and by the log it was removed", what, name);
    return entry;
}

static void compare_operator(struct auditor *a, const json_t *row) {
    char name[2 * IPC_NAME_MAX + 2];
    (void)snprintf(name, sizeof name, "%.64s/%.64s", auditor_text(row, "tenant"),
                   auditor_text(row, "operator"));
    (void)compare_named(a, &a->operators, "operator", name);
}

static void compare_product(struct auditor *a, const json_t *row) {
    char hash[2 * CA_HASH_SIZE + 1];
    const struct auditor_entry *entry =
        compare_named(a, &a->products, "product", auditor_text(row, "sku"));
    if (entry && entry->leaf < a->registry_from &&
        (hex_encode(BYTES_OF(entry->fingerprint), hash, sizeof hash) ||
         strcmp(hash, auditor_text(row, "hash")) != 0))
        auditor_find(&a->report, AUDITOR_REGISTRY,
                     "product %s has another hash than the one that was taken into use",
                     entry->name);
}

void auditor_compare_rows(struct auditor *a) {
    auditor_compare_file(a, "intents.jsonl", note_intent);
    auditor_compare_file(a, "jobs.jsonl", compare_job);
    auditor_compare_file(a, "units.jsonl", compare_unit);
    auditor_compare_file(a, "operators.jsonl", compare_operator);
    auditor_compare_file(a, "products.jsonl", compare_product);
    name_missing_jobs(a);
    auditor_name_missing(a, "unit", &a->jobs.units);
    auditor_name_missing(a, "operator", &a->operators);
    auditor_name_missing(a, "product", &a->products);
}
