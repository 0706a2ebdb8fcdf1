/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job's manifest (touchmark-job.yaml(5)): what the server says of the job, and what is so at this
 * station. One option table; job fetch writes it, everything else reads it. Texts that were left
 * out are NULL, durations ms.
 */
#ifndef TOUCHMARK_STATION_MANIFEST_H
#define TOUCHMARK_STATION_MANIFEST_H

#include <stdio.h>

#include "conf/schema.h"

#define MANIFEST_LABELS_MAX 4

struct manifest_label {
    char *label;   /* of EST */
    char *profile; /* also the slot in the unit */
    unsigned key;  /* enum wire_key */
};

struct manifest_timeouts {
    int64_t answer, slow_answer, line, unit;
};

struct manifest {
    char *job, *product, *batch, *site;
    struct conf_list labels; /* of struct manifest_label */
    char *first, *last;      /* both or none */
    uint64_t listed;
    int64_t from, until; /* wall ms; 0: without */
    bool operator_required;
    char *serial;
    uint64_t baud;
    bool test;
    struct manifest_timeouts timeouts;
};

extern const struct conf_row manifest_rows[];

/* Loads and cross-checks. As conf_load_file. */
MUST_USE enum tm_err manifest_open_file(const char *path, struct manifest *ret,
                                        char error[CONF_ERROR_MAX]);
/* The same of a text; `name` is the file's, for messages. */
MUST_USE enum tm_err manifest_open_text(const char *text, size_t n, const char *name,
                                        struct manifest *ret, char error[CONF_ERROR_MAX]);
void manifest_close(struct manifest *manifest);

/* Is the speed one that serial lines have? */
bool manifest_baud_valid(uint64_t baud);

/* What job fetch knows: writes a manifest in which all else has its default. */
void manifest_write(const struct manifest *manifest, FILE *out);

#endif
