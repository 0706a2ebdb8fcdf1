/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job's journal: what step of which unit had which outcome. A file of lines, each 16 hex digits,
 * a space and a JSON object; the digits are the first 8 octets of SHA-256 over the line before's
 * digits and the object, so that no line can be taken out, put in or changed without it showing.
 * Appended and synced before anything depends on it. Of a line that a power cut tore, which can
 * only be the last one, nothing is left after the next open. One process at a time: the file is
 * locked. One thread.
 */
#ifndef TOUCHMARK_STATION_JOURNAL_H
#define TOUCHMARK_STATION_JOURNAL_H

#include "client/station/wire/wire.h"
#include "client/tables.h"

enum journal_step {
    STEP_OPEN, /* the journal itself: unit is the job, text the station */
    STEP_PROBE,
    STEP_KEYGEN,
    STEP_CSR,
    STEP_ENROLL,
    STEP_INSTALL,
    STEP_READ,
    STEP_VERIFY,
    STEP_TEST,
    STEP_LOCK,
    STEP_REPORT,
    STEP_REWORK, /* keys and certificates of the unit are gone */
    STEP_COUNT
};

enum journal_mark {
    MARK_BEGIN,
    MARK_DONE,
    MARK_FAILED,   /* the unit is not good: text */
    MARK_SCRAPPED, /* it never will be: text */
};

extern const char *const journal_step_words[];

#define JOURNAL_HEX_MAX 65     /* SHA-256 in hex, with its NUL */
#define JOURNAL_LINE_MAX 16384 /* octets of a line, its LF included */

/* What has no meaning for a step is empty. */
struct journal_record {
    int64_t time_ms;
    unsigned step; /* enum journal_step */
    unsigned mark; /* enum journal_mark */
    char unit[WIRE_NAME_MAX + 1];
    char label[WIRE_NAME_MAX + 1];
    char text[WIRE_TEXT_MAX + 1];
    char spki[JOURNAL_HEX_MAX];        /* SHA-256 of the key */
    char request[JOURNAL_HEX_MAX];     /* of the request */
    char fingerprint[JOURNAL_HEX_MAX]; /* of the certificate */
    char serial[2 * 20 + 1];           /* its serial number, hex */
    struct bytes certificate;          /* DER */
    double seconds;                    /* that the step took */
};

struct journal;

/* Called for each record from the first on; `record` is gone afterwards. Anything but TM_OK ends
 * the reading. */
typedef enum tm_err journal_fn(void *arg, const struct journal_record *record);

/* Opens the file, makes it when `job` is not NULL and it is not there, and reads what is in it. A
 * torn last line is cut off (logged). TM_ENOTFOUND; TM_EAGAIN: another process has it; TM_ECORRUPT:
 * a line in it was changed, *ret_line says which; TM_EIO (logged); what the function returned. */
MUST_USE enum tm_err journal_open(const char *path, const char *job, const char *station,
                                  journal_fn *fn, void *arg, struct journal **ret,
                                  unsigned long *ret_line);
void journal_close(struct journal *journal); /* NULL-safe */

/* Appends; durable when it returns TM_OK. After a failure nothing more can be appended. TM_EINVAL,
 * TM_EIO (logged). */
MUST_USE enum tm_err journal_append(struct journal *journal, const struct journal_record *record);

#endif
