/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of rows, read through a window so that its size does not matter, and its rows by format.
 * What is wrong with a row is one sentence, and the rows behind it are read all the same.
 * Internal to `touchmark device import`.
 *
 *   import_source.c    the window, and which format
 *   import_csv.c       RFC 4180, a header row that names the columns
 *   import_jsonl.c     one JSON object per line
 *   import_manifest.h  signed manifests of secure elements
 *   import_columns.c   what columns there are, and what may stand in them
 */
#ifndef TOUCHMARK_ADMIN_IMPORT_SOURCE_H
#define TOUCHMARK_ADMIN_IMPORT_SOURCE_H

#include "base/bytes.h"
#include "ipc/admin.h"

#define IMPORT_RECORD_MAX 8192   /* octets of a row of CSV or JSON lines */
#define IMPORT_ELEMENT_MAX 65536 /* octets of an element of a manifest */
#define IMPORT_COLUMNS_MAX 32

/* Columns of a row of devices. */
enum import_column {
    IMPORT_NONE,        /* there is no such column */
    IMPORT_PASSED_OVER, /* an export has it, and the registry's word is not the file's */
    IMPORT_DEVICE,
    IMPORT_SKU,
    IMPORT_HARDWARE_REVISION,
    IMPORT_BATCH,
    IMPORT_SITE,
    IMPORT_JOB,
    IMPORT_FIRMWARE,
    IMPORT_PROVISIONING_VERSION,
};
/* The columns that are imported, for people: "device, sku, ...". */
extern const char import_column_names[];
enum import_column import_column(struct bytes name);
/* Puts a value into its member; an empty one says nothing. False: `text` says what is allowed. */
MUST_USE bool import_set(struct ipc_import_row *row, enum import_column column, struct bytes value,
                         char text[IPC_TEXT_MAX + 1]);
/* What every row must have. */
MUST_USE bool import_row_fits(const struct ipc_import_row *row, char text[IPC_TEXT_MAX + 1]);

enum import_format { IMPORT_CSV, IMPORT_JSONL, IMPORT_MANIFEST, IMPORT_FORMATS };

struct import_source {
    int fd; /* -1: all of it is in the window */
    enum import_format format;
    uint8_t *window; /* borrowed: of `cap` octets, at least twice IMPORT_RECORD_MAX, and
                        for manifests twice IMPORT_ELEMENT_MAX */
    size_t cap;
    size_t at, n;    /* what of it was not read yet */
    bool ended;      /* the window has the end of the file */
    uint64_t offset; /* octets of the file that were read */
    uint32_t line;   /* of what is at `at`, from 1 */
    bool opened;     /* the header was read */
    size_t columns;  /* CSV; of a manifest, whether elements were read */
    enum import_column column[IMPORT_COLUMNS_MAX];
    const struct import_trust *trust;   /* manifests: who signs them; set it after beginning */
    char passed_over[IPC_TEXT_MAX + 1]; /* names of columns that are not imported, as far as seen */
};

/* Reads from the file's beginning (its position there) on. */
void import_source_begin(struct import_source *source, int fd, enum import_format format,
                         uint8_t *window, size_t cap);
/* The next row, zeroed first; ret_row->line is set in any case. TM_ENOTFOUND: the end. TM_EPARSE:
 * `text` says what is wrong with this row; others may follow. TM_ELIMIT: what is wrong with the
 * whole file (a header, a line without end): nothing follows. TM_EIO. */
MUST_USE enum tm_err import_source_next(struct import_source *source,
                                        struct ipc_import_row *ret_row,
                                        char text[IPC_TEXT_MAX + 1]);

/* ---- for the formats ---- */

/* What the window has from `at` on: at least `need` octets, unless the file ends before. TM_EIO. */
MUST_USE enum tm_err import_source_fill(struct import_source *source, size_t need,
                                        struct bytes *ret);
/* Moves behind `n` octets of what it has, counting lines. */
void import_source_skip(struct import_source *source, size_t n);
/* Moves behind the next LF, or to the end. TM_ELIMIT: there is none within IMPORT_RECORD_MAX. */
MUST_USE enum tm_err import_source_skip_line(struct import_source *source);
/* Remembers a column that is not imported. */
void import_source_passes_over(struct import_source *source, struct bytes name);

/* As import_source_next. */
MUST_USE enum tm_err import_csv_next(struct import_source *source, struct ipc_import_row *row,
                                     char text[IPC_TEXT_MAX + 1]);
MUST_USE enum tm_err import_jsonl_next(struct import_source *source, struct ipc_import_row *row,
                                       char text[IPC_TEXT_MAX + 1]);
MUST_USE enum tm_err import_manifest_next(struct import_source *source, struct ipc_import_row *row,
                                          char text[IPC_TEXT_MAX + 1]);

#endif
