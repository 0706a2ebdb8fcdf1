/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints, cosignatures and receipts: see auditor.h. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "auditor/auditor.h"
#include "base/auto.h"

AUTO_DEFINE(json_t, json_decref)

static const char *why(enum tm_err err) {
    return err == TM_EPARSE      ? "it is no signed checkpoint"
           : err == TM_EDENIED   ? "it is of another log"
           : err == TM_ENOTFOUND ? "the log's key has not signed it"
                                 : "its signature does not verify with the log's key";
}

/* A checkpoint by the log's key, or a finding. */
static bool open_checkpoint(struct auditor *a, const char *file, struct bytes octets,
                            struct audit_note *ret_note, struct audit_checkpoint *ret) {
    enum tm_err err = audit_checkpoint_open(octets, &a->key, ret_note, ret);
    if (err)
        auditor_find(&a->report, AUDITOR_SIGNATURE, "%s: %s", file, why(err));
    return !err;
}

/* Two trees of one size by one key are two histories, whatever the log is. */
static void compare(struct auditor *a, const struct auditor_evidence *new) {
    for (size_t i = 0; i < a->evidence_count; i++) {
        const struct auditor_evidence *old = &a->evidence[i];
        if (old->size == new->size && !audit_hash_equal(&old->root, &new->root))
            auditor_find(&a->report, AUDITOR_HISTORY,
                         "%s and %s show two logs of %" PRIu64 " leaves, both signed", old->file,
                         new->file, new->size);
    }
}

static void add(struct auditor *a, const char *file, const struct audit_checkpoint *checkpoint) {
    const struct auditor_evidence new = {
        .file = file, .size = checkpoint->size, .root = checkpoint->root};
    if (a->evidence_count == AUDITOR_EVIDENCE_MAX) {
        fprintf(stderr, "touchmark-audit: of checkpoints and receipts, %d are enough\n",
                AUDITOR_EVIDENCE_MAX);
        return;
    }
    compare(a, &new);
    a->evidence[a->evidence_count++] = new;
}

/* How many of the witnesses have cosigned it; a cosignature that does not verify is a finding. */
static size_t count_cosigned(struct auditor *a, const char *file, const struct audit_note *note) {
    size_t count = 0;
    for (size_t i = 0; i < a->witness_count; i++) {
        uint64_t time;
        enum tm_err err = audit_note_verify(note, &a->witnesses[i], &time);
        count += !err;
        if (err && err != TM_ENOTFOUND)
            auditor_find(&a->report, AUDITOR_COSIGNATURES, "%s: that of %s does not verify", file,
                         a->witnesses[i].name);
    }
    return count;
}

/* ---- from elsewhere ---- */

void auditor_take_checkpoint(struct auditor *a, const char *path) {
    char inside[AUDITOR_PATH_MAX];
    struct stat st;
    struct bytes octets;
    struct audit_note note;
    struct audit_checkpoint checkpoint;
    (void)snprintf(inside, sizeof inside, "%.4000s/checkpoint", path);
    const char *file = !stat(path, &st) && S_ISDIR(st.st_mode) ? inside : path;
    if (!auditor_read(file, AUDIT_NOTE_MAX, "the checkpoint", &octets)) {
        auditor_find(&a->report, AUDITOR_HISTORY, "%s cannot be read", path);
        return;
    }
    if (open_checkpoint(a, path, octets, &note, &checkpoint))
        add(a, path, &checkpoint);
    free((void *)(uintptr_t)octets.p);
}

static void judge_receipt(struct auditor *a, const char *path, struct bytes text) {
    uint8_t memory[AUDIT_LEAF_MAX + 3];
    struct buf leaf = BUF_ON(memory);
    struct audit_receipt receipt;
    struct audit_note note;
    struct audit_checkpoint checkpoint;
    if (audit_receipt_parse(text, &leaf, &receipt))
        auditor_find(&a->report, AUDITOR_HISTORY, "%s is no receipt (c2sp.org/tlog-proof)", path);
    else if (!open_checkpoint(a, path, receipt.checkpoint, &note, &checkpoint))
        return;
    else if (audit_receipt_verify(&receipt))
        auditor_find(&a->report, AUDITOR_HISTORY,
                     "%s: its leaf %" PRIu64 " is not in the tree of its checkpoint", path,
                     receipt.index);
    else
        add(a, path, &checkpoint);
}

void auditor_take_receipt(struct auditor *a, const char *path) {
    struct bytes text;
    if (!auditor_read(path, AUDIT_PROOF_TEXT_MAX, "the receipt", &text)) {
        auditor_find(&a->report, AUDITOR_HISTORY, "%s cannot be read", path);
        return;
    }
    judge_receipt(a, path, text);
    free((void *)(uintptr_t)text.p);
}

/* ---- of the export ---- */

static bool read_summary(struct auditor *a) {
    char path[AUDITOR_PATH_MAX];
    (void)snprintf(path, sizeof path, "%.4000s/export.json", a->dir);
    AUTO(json_t) object = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    const json_t *registry = json_object_get(object, "registry");
    a->from = (uint64_t)json_integer_value(json_object_get(object, "from"));
    a->size = (uint64_t)json_integer_value(json_object_get(object, "size"));
    a->registry_from = (uint64_t)json_integer_value(json_object_get(registry, "from"));
    a->registry_to = (uint64_t)json_integer_value(json_object_get(registry, "to"));
    bool good = json_integer_value(json_object_get(object, "format")) == 2 && a->from % 256 == 0 &&
                a->from <= a->size && a->size <= AUDIT_SIZE_MAX &&
                a->registry_from <= a->registry_to && a->registry_to <= a->size;
    if (!good)
        auditor_find(&a->report, AUDITOR_LOG, "export.json is missing, or makes no sense");
    return good;
}

/* A note of the export: its octets, which the caller frees, and how many have cosigned it. False:
 * there is none, or it is no checkpoint of the log. */
static bool take_note(struct auditor *a, const char *name, const char *what, bool required,
                      struct bytes *octets, size_t *ret_cosigned, struct audit_checkpoint *ret) {
    char path[AUDITOR_PATH_MAX];
    struct audit_note note;
    (void)snprintf(path, sizeof path, "%.4000s/%s", a->dir, name);
    if (!auditor_read(path, AUDIT_NOTE_MAX, required ? what : NULL, octets)) {
        if (required)
            auditor_find(&a->report, AUDITOR_SIGNATURE, "the export has no checkpoint");
        return false;
    }
    if (open_checkpoint(a, what, *octets, &note, ret)) {
        *ret_cosigned = count_cosigned(a, what, &note);
        return true;
    }
    free((void *)(uintptr_t)octets->p);
    return false;
}

/* The newest that a witness cosigned, which may be older than the export's own. */
static void take_cosigned(struct auditor *a) {
    static const char what[] = "the export's cosigned checkpoint";
    struct bytes octets;
    struct audit_checkpoint checkpoint;
    size_t count;
    if (!take_note(a, "cosigned", what, false, &octets, &count, &checkpoint))
        return;
    /* Of one that the export does not reach back to, nothing follows. */
    if (checkpoint.size >= a->from) {
        a->cosigned = count > a->cosigned ? count : a->cosigned;
        add(a, what, &checkpoint);
    }
    free((void *)(uintptr_t)octets.p);
}

static bool take_own(struct auditor *a) {
    struct bytes octets;
    struct audit_checkpoint checkpoint;
    if (!take_note(a, "checkpoint", "the export's checkpoint", true, &octets, &a->cosigned,
                   &checkpoint))
        return false;
    a->root = checkpoint.root;
    bool good = checkpoint.size == a->size;
    if (!good)
        auditor_find(&a->report, AUDITOR_LOG,
                     "export.json says %" PRIu64 " leaves, and the checkpoint %" PRIu64, a->size,
                     checkpoint.size);
    free((void *)(uintptr_t)octets.p);
    return good;
}

bool auditor_open(struct auditor *a) {
    if (!read_summary(a) || !take_own(a))
        return false;
    take_cosigned(a);
    if (a->cosigned < a->threshold)
        auditor_find(&a->report, AUDITOR_COSIGNATURES,
                     "%zu of the witnesses have cosigned it, and %zu must have", a->cosigned,
                     a->threshold);
    return true;
}
