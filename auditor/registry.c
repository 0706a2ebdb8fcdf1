/* SPDX-License-Identifier: Apache-2.0 */
/* The registry that the log comes to, against the one in the export: see auditor.h. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "auditor/auditor.h"
#include "base/auto.h"
#include "ca/lifecycle.h"

#define LINE_MAX_OCTETS 65536

AUTO_DEFINE(json_t, json_decref)

static const char *const status_names[] = {"", "active", "superseded", "revoked", "burned"};

const char *auditor_text(const json_t *row, const char *key) {
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

/* The number of a word; 0: it is none. */
static uint8_t state_named(const char *word) {
    for (uint8_t i = 1; i <= CA_STATE_LAST; i++)
        if (strcmp(word, ca_state_name((enum ca_state)i)) == 0)
            return i;
    return 0;
}

static uint8_t status_named(const char *word) {
    for (uint8_t i = 1; i < sizeof status_names / sizeof status_names[0]; i++)
        if (strcmp(word, status_names[i]) == 0)
            return i;
    return 0;
}

void auditor_find_unknown(struct auditor *a, const char *what, const char *name) {
    if (!a->from)
        auditor_find(&a->report, AUDITOR_REGISTRY,
                     "%s %s is in the registry, and the log does not tell of it", what, name);
}

static void compare_device(struct auditor *a, const json_t *row) {
    char name[2 * IPC_NAME_MAX + 2];
    (void)snprintf(name, sizeof name, "%.64s/%.64s", auditor_text(row, "tenant"),
                   auditor_text(row, "id"));
    struct auditor_entry *entry = auditor_known(&a->devices, name);
    if (!entry) {
        auditor_find_unknown(a, "device", name);
        return;
    }
    if (entry->there)
        auditor_find(&a->report, AUDITOR_REGISTRY, "device %s is in the registry twice", name);
    entry->there = true;
    uint8_t state = state_named(auditor_text(row, "state"));
    if (!state || !(entry->states & UINT32_C(1) << state))
        auditor_find(&a->report, AUDITOR_REGISTRY, "device %s is %.32s, and by the log %s", name,
                     auditor_text(row, "state"), ca_state_name((enum ca_state)entry->state));
}

/* A fingerprint is compared where a certificate is. */
static bool same_print(const struct auditor_entry *entry, const json_t *row) {
    char wanted[2 * CA_HASH_SIZE + 1];
    return entry->state == CA_CERT_BURNED ||
           (!hex_encode(BYTES_OF(entry->fingerprint), wanted, sizeof wanted) &&
            strcmp(wanted, auditor_text(row, "fingerprint")) == 0);
}

static void judge_certificate(struct auditor *a, const struct auditor_entry *entry,
                              const json_t *row) {
    char owner[2 * IPC_NAME_MAX + 2];
    uint8_t status = status_named(auditor_text(row, "status"));
    (void)snprintf(owner, sizeof owner, "%.64s/%.64s", auditor_text(row, "tenant"),
                   auditor_text(row, "device"));
    if (!status || !(entry->states & UINT32_C(1) << status))
        auditor_find(&a->report, AUDITOR_REGISTRY, "certificate %s is %.32s, and by the log %s",
                     entry->name, auditor_text(row, "status"), status_names[entry->state]);
    if (!entry->owner) /* only its revocation is in the export */
        return;
    if (!same_print(entry, row))
        auditor_find(&a->report, AUDITOR_REGISTRY,
                     "certificate %s has another fingerprint than the one that was issued",
                     entry->name);
    if (strcmp(owner, entry->owner) != 0)
        auditor_find(&a->report, AUDITOR_REGISTRY, "certificate %s is of %s, and by the log of %s",
                     entry->name, owner, entry->owner);
}

static void compare_certificate(struct auditor *a, const json_t *row) {
    const char *serial = auditor_text(row, "serial");
    struct auditor_entry *entry = auditor_known(&a->certificates, serial);
    if (!entry) {
        auditor_find_unknown(a, "certificate", serial);
        return;
    }
    if (entry->there)
        auditor_find(&a->report, AUDITOR_REGISTRY, "certificate %s is in the registry twice",
                     serial);
    entry->there = true;
    judge_certificate(a, entry, row);
}

/* A serial on its way has no certificate yet, unless that came while the registry was read. */
static void compare_intent(struct auditor *a, const json_t *row) {
    const char *serial = auditor_text(row, "serial");
    const struct auditor_entry *entry = auditor_known(&a->certificates, serial);
    if (entry && entry->leaf < a->registry_from)
        auditor_find(&a->report, AUDITOR_REGISTRY,
                     "serial %s is on its way in the registry, and by the log %s", serial,
                     status_names[entry->state]);
}

void auditor_compare_file(struct auditor *a, const char *name,
                          void (*compare)(struct auditor *a, const json_t *row)) {
    char path[AUDITOR_PATH_MAX], line[LINE_MAX_OCTETS];
    (void)snprintf(path, sizeof path, "%.4000s/registry/%s", a->dir, name);
    FILE *in = fopen(path, "re");
    if (!in) {
        auditor_find(&a->report, AUDITOR_REGISTRY, "registry/%s is missing", name);
        return;
    }
    while (fgets(line, sizeof line, in)) {
        AUTO(json_t) row = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        if (row)
            compare(a, row);
        else
            auditor_find(&a->report, AUDITOR_REGISTRY, "registry/%s has a line that is no JSON",
                         name);
    }
    (void)fclose(in);
}

void auditor_name_missing(struct auditor *a, const char *what, const struct auditor_table *table) {
    for (size_t i = 0; i < table->capacity; i++) {
        const struct auditor_entry *entry = &table->slots[i];
        if (entry->name && !entry->there && !(entry->states & 1))
            auditor_find(&a->report, AUDITOR_REGISTRY,
                         "%s %s is not in the registry; leaf %llu tells of it", what, entry->name,
                         (unsigned long long)entry->leaf);
    }
}

void auditor_compare_registry(struct auditor *a) {
    auditor_compare_file(a, "devices.jsonl", compare_device);
    auditor_compare_file(a, "certificates.jsonl", compare_certificate);
    auditor_compare_file(a, "intents.jsonl", compare_intent);
    auditor_name_missing(a, "device", &a->devices);
    auditor_name_missing(a, "certificate", &a->certificates);
    auditor_compare_rows(a);
}
