/* SPDX-License-Identifier: Apache-2.0 */
/* See history.h. */
#include "client/station/history.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096

const char *const unit_result_words[] = {"begun", "passed", "failed", "scrapped", NULL};

struct history {
    const struct manifest *manifest;
    struct history_unit *first, **end;
    size_t counts[UNIT_RESULT_COUNT];
    struct history_unit *buckets[BUCKETS];
};

enum tm_err history_new(const struct manifest *manifest, struct history **ret) {
    struct history *history = calloc(1, sizeof *history);
    if (!history)
        return TM_ENOMEM;
    history->manifest = manifest;
    history->end = &history->first;
    *ret = history;
    return TM_OK;
}

static void forget_certificate(struct history_slot *slot) {
    free(slot->certificate);
    slot->certificate = NULL;
    slot->certificate_n = 0;
}

void history_free(struct history *history) {
    struct history_unit *next = history ? history->first : NULL;
    while (next) {
        struct history_unit *unit = next;
        next = unit->next;
        for (size_t i = 0; i < MANIFEST_LABELS_MAX; i++)
            forget_certificate(&unit->slots[i]);
        free(unit);
    }
    free(history);
}

/* ---- units ---- */

static size_t bucket_of(const char *id) {
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (const char *p = id; *p; p++)
        hash = (hash ^ (uint8_t)*p) * 16777619u;
    return hash % BUCKETS;
}

static struct history_unit *find(const struct history *history, const char *id) {
    struct history_unit *unit = history->buckets[bucket_of(id)];
    while (unit && strcmp(unit->id, id) != 0)
        unit = unit->same;
    return unit;
}

static struct history_unit *add(struct history *history, const char *id) {
    struct history_unit *unit = calloc(1, sizeof *unit);
    size_t bucket = bucket_of(id);
    if (!unit)
        return NULL;
    TEXT_SET(unit->id, id);
    unit->same = history->buckets[bucket];
    history->buckets[bucket] = unit;
    *history->end = unit;
    history->end = &unit->next;
    history->counts[UNIT_BEGUN]++;
    return unit;
}

const struct history_unit *history_find(const struct history *history, const char *id) {
    return find(history, id);
}

const struct history_unit *history_first(const struct history *history) {
    return history->first;
}

size_t history_count(const struct history *history, enum unit_result result) {
    return history->counts[result];
}

/* ---- records ---- */

static void set_result(struct history *history, struct history_unit *unit,
                       enum unit_result result) {
    history->counts[unit->result]--;
    unit->result = result;
    history->counts[result]++;
}

/* NULL: the record is of no label, or of one that the manifest does not have any more. */
static struct history_slot *slot_of(const struct history *history, struct history_unit *unit,
                                    const char *label) {
    const struct manifest_label *labels = history->manifest->labels.items;
    for (size_t i = 0; i < history->manifest->labels.count; i++)
        if (strcmp(labels[i].label, label) == 0)
            return &unit->slots[i];
    return NULL;
}

static enum tm_err take_certificate(struct history_slot *slot, const struct journal_record *r) {
    uint8_t *copy = malloc(r->certificate.n);
    if (!copy)
        return TM_ENOMEM;
    memcpy(copy, r->certificate.p, r->certificate.n);
    forget_certificate(slot);
    slot->certificate = copy;
    slot->certificate_n = r->certificate.n;
    TEXT_SET(slot->fingerprint, r->fingerprint);
    TEXT_SET(slot->serial, r->serial);
    return TM_OK;
}

/* A new key makes what was there of the old one nothing. */
static void take_key(struct history_slot *slot, const struct journal_record *r) {
    if (strcmp(slot->spki, r->spki) == 0)
        return;
    forget_certificate(slot);
    *slot = (struct history_slot){.asked = false};
    TEXT_SET(slot->spki, r->spki);
}

static enum tm_err take_slot(struct history_slot *slot, const struct journal_record *r) {
    if (r->step == STEP_ENROLL)
        slot->asked = true;
    if (r->mark != MARK_DONE)
        return TM_OK;
    switch ((enum journal_step)r->step) {
    case STEP_KEYGEN:
        take_key(slot, r);
        return TM_OK;
    case STEP_ENROLL:
        return r->certificate.n > 0 ? take_certificate(slot, r) : TM_ECORRUPT;
    case STEP_READ:
        slot->read_back = true;
        return TM_OK;
    case STEP_VERIFY:
        slot->verified = true;
        return TM_OK;
    default:
        return TM_OK;
    }
}

static void begin_anew(struct history *history, struct history_unit *unit) {
    for (size_t i = 0; i < MANIFEST_LABELS_MAX; i++) {
        forget_certificate(&unit->slots[i]);
        unit->slots[i] = (struct history_slot){.asked = false};
    }
    unit->tested = unit->locked = unit->reported = false;
    memset(unit->seconds, 0, sizeof unit->seconds);
    set_result(history, unit, UNIT_BEGUN);
}

static void take_unit(struct history *history, struct history_unit *unit,
                      const struct journal_record *r) {
    bool done = r->mark == MARK_DONE;
    if (done)
        unit->seconds[r->step] += r->seconds;
    if (r->mark == MARK_FAILED || r->mark == MARK_SCRAPPED) {
        set_result(history, unit, r->mark == MARK_FAILED ? UNIT_FAILED : UNIT_SCRAPPED);
        unit->reported = r->step == STEP_REPORT;
        TEXT_SET(unit->text, r->text);
        return;
    }
    if (r->step == STEP_PROBE && r->mark == MARK_BEGIN && unit->result != UNIT_PASSED) {
        unit->reported = false;
        set_result(history, unit, UNIT_BEGUN);
    }
    unit->tested |= done && r->step == STEP_TEST;
    unit->locked |= done && r->step == STEP_LOCK;
    if (done && r->step == STEP_REWORK)
        begin_anew(history, unit);
    if (done && r->step == STEP_REPORT) {
        unit->reported = true;
        set_result(history, unit, UNIT_PASSED);
    }
}

enum tm_err history_take(void *arg, const struct journal_record *record) {
    struct history *history = arg;
    if (record->step == STEP_OPEN)
        return strcmp(record->unit, history->manifest->job) == 0 ? TM_OK : TM_ECONFLICT;
    struct history_unit *unit = find(history, record->unit);
    if (!unit)
        unit = add(history, record->unit);
    if (!unit)
        return TM_ENOMEM;
    take_unit(history, unit, record);
    struct history_slot *slot = slot_of(history, unit, record->label);
    return slot && record->label[0] ? take_slot(slot, record) : TM_OK;
}
