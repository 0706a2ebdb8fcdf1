/* SPDX-License-Identifier: Apache-2.0 */
/* What the journal says of each unit. One thread. */
#ifndef TOUCHMARK_STATION_HISTORY_H
#define TOUCHMARK_STATION_HISTORY_H

#include "client/station/journal.h"
#include "client/station/manifest.h"

enum unit_result { UNIT_BEGUN, UNIT_PASSED, UNIT_FAILED, UNIT_SCRAPPED, UNIT_RESULT_COUNT };

extern const char *const unit_result_words[];

/* Of one certificate. */
struct history_slot {
    char spki[JOURNAL_HEX_MAX]; /* "": no key is known */
    bool asked;                 /* a certificate may have been issued for this key */
    char fingerprint[JOURNAL_HEX_MAX];
    char serial[2 * 20 + 1];
    uint8_t *certificate; /* DER; NULL: none is known */
    size_t certificate_n;
    bool read_back; /* the unit has it, octet for octet */
    bool verified;  /* and has proven the key to the server */
};

struct history_unit {
    char id[WIRE_NAME_MAX + 1];
    struct history_slot slots[MANIFEST_LABELS_MAX]; /* as the manifest's labels */
    bool tested, locked;
    enum unit_result result;
    bool reported; /* and the server knows it */
    char text[WIRE_TEXT_MAX + 1];
    double seconds[STEP_COUNT];
    struct history_unit *next; /* in the order in which they were begun */
    struct history_unit *same; /* of the same hash */
};

struct history;

MUST_USE enum tm_err history_new(const struct manifest *manifest, struct history **ret);
void history_free(struct history *history); /* NULL-safe */

/* A journal_fn with a history as its argument. TM_ECONFLICT: the journal is another job's. */
MUST_USE enum tm_err history_take(void *history, const struct journal_record *record);

/* NULL: nothing was begun. Borrowed. */
const struct history_unit *history_find(const struct history *history, const char *id);
/* In the order in which they were begun; NULL: none. */
const struct history_unit *history_first(const struct history *history);
size_t history_count(const struct history *history, enum unit_result result);

#endif
