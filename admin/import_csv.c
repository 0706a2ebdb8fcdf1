/* SPDX-License-Identifier: Apache-2.0 */
/* CSV (RFC 4180) with a header row: see import_source.h. */
#include <stdio.h>
#include <string.h>

#include "admin/import_source.h"

/* A record taken apart. Quoted fields are unescaped into `room`; the others borrow. */
struct record {
    uint32_t line; /* its first */
    size_t count;
    struct bytes fields[IMPORT_COLUMNS_MAX];
    uint8_t room[IMPORT_RECORD_MAX];
    size_t used;
};

enum outcome { FIELD, LAST_FIELD, UNFINISHED, FAULT };

/* Where in a record's octets one is. */
struct scan {
    struct bytes in;
    size_t at;
    const char *fault;
};

static enum outcome fault(struct scan *scan, const char *text) {
    scan->fault = text;
    return FAULT;
}

/* What follows a field: a comma, or the end of the record (CRLF, LF, or that of the file). */
static enum outcome field_ends(struct scan *scan, bool ended) {
    const uint8_t *p = scan->in.p + scan->at;
    size_t left = scan->in.n - scan->at;
    if (!left)
        return ended ? LAST_FIELD : UNFINISHED;
    if (p[0] == ',') {
        scan->at++;
        return FIELD;
    }
    if (p[0] == '\n') {
        scan->at++;
        return LAST_FIELD;
    }
    if (p[0] == '\r' && left > 1 && p[1] == '\n') {
        scan->at += 2;
        return LAST_FIELD;
    }
    return left == 1 && !ended ? UNFINISHED
                               : fault(scan, "a quote or a carriage return stands inside a field "
                                             "that is not quoted (RFC 4180, 2)");
}

static enum outcome plain_field(struct scan *scan, bool ended, struct record *record) {
    size_t first = scan->at;
    while (scan->at < scan->in.n && !memchr(",\"\r\n", scan->in.p[scan->at], 4))
        scan->at++;
    record->fields[record->count] = (struct bytes){scan->in.p + first, scan->at - first};
    return field_ends(scan, ended);
}

static enum outcome quoted_field(struct scan *scan, bool ended, struct record *record) {
    size_t first = record->used;
    for (scan->at++; scan->at < scan->in.n; scan->at++) {
        uint8_t c = scan->in.p[scan->at];
        bool doubled = c == '"' && scan->at + 1 < scan->in.n && scan->in.p[scan->at + 1] == '"';
        if (c == '"' && !doubled) {
            scan->at++;
            record->fields[record->count] =
                (struct bytes){record->room + first, record->used - first};
            return field_ends(scan, ended);
        }
        scan->at += doubled;
        record->room[record->used++] = c;
    }
    return ended ? fault(scan, "a quoted field does not end (RFC 4180, 2)") : UNFINISHED;
}

static enum outcome parse(struct scan *scan, bool ended, struct record *record) {
    enum outcome outcome = FIELD;
    record->count = record->used = 0;
    while (outcome == FIELD) {
        if (record->count == IMPORT_COLUMNS_MAX)
            return fault(scan, "has too many fields");
        bool quoted = scan->at < scan->in.n && scan->in.p[scan->at] == '"';
        outcome = quoted ? quoted_field(scan, ended, record) : plain_field(scan, ended, record);
        record->count++;
    }
    return outcome;
}

/* The next record that is not an empty line. TM_EPARSE: the source is behind its first line. */
static enum tm_err next_record(struct import_source *source, struct record *record,
                               char text[IPC_TEXT_MAX + 1]) {
    for (;;) {
        struct bytes in;
        enum tm_err err = import_source_fill(source, IMPORT_RECORD_MAX, &in);
        if (err || !in.n)
            return err ? err : TM_ENOTFOUND;
        bool whole = source->ended && in.n <= IMPORT_RECORD_MAX;
        if (in.n > IMPORT_RECORD_MAX)
            in.n = IMPORT_RECORD_MAX;
        struct scan scan = {.in = in};
        record->line = source->line;
        enum outcome outcome = parse(&scan, whole, record);
        if (outcome == LAST_FIELD) {
            bool empty = record->count == 1 && !record->fields[0].n;
            import_source_skip(source, scan.at);
            if (empty)
                continue;
            return TM_OK;
        }
        (void)snprintf(text, IPC_TEXT_MAX + 1, "%s",
                       outcome == FAULT ? scan.fault
                                        : "the row, or a quoted field in it, does not end within "
                                          "8192 octets");
        err = import_source_skip_line(source);
        return err ? err : TM_EPARSE;
    }
}

static bool name_column(struct import_source *source, size_t i, struct bytes name,
                        char text[IPC_TEXT_MAX + 1]) {
    enum import_column column = import_column(name);
    int shown = (int)(name.n < 40 ? name.n : 40);
    for (size_t j = 0; j < i && column > IMPORT_PASSED_OVER; j++)
        if (source->column[j] == column) {
            (void)snprintf(text, IPC_TEXT_MAX + 1, "the header names %.*s twice", shown,
                           (const char *)name.p);
            return false;
        }
    if (column == IMPORT_NONE) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "there is no column \"%.*s\"; columns are %s", shown,
                       (const char *)name.p, import_column_names);
        return false;
    }
    if (column == IMPORT_PASSED_OVER)
        import_source_passes_over(source, name);
    source->column[i] = column;
    return true;
}

static bool read_header(struct import_source *source, const struct record *record,
                        char text[IPC_TEXT_MAX + 1]) {
    bool device = false;
    for (size_t i = 0; i < record->count; i++) {
        if (!name_column(source, i, record->fields[i], text))
            return false;
        device |= source->column[i] == IMPORT_DEVICE;
    }
    source->columns = record->count;
    source->opened = true;
    if (!device)
        text_copy(text, IPC_TEXT_MAX + 1, "the header names no column device");
    return device;
}

static enum tm_err open_header(struct import_source *source, struct record *record,
                               char text[IPC_TEXT_MAX + 1]) {
    enum tm_err err = next_record(source, record, text);
    if (err == TM_ENOTFOUND)
        text_copy(text, IPC_TEXT_MAX + 1, "the file has no header row");
    if (err)
        return err == TM_EIO ? err : TM_ELIMIT;
    return read_header(source, record, text) ? TM_OK : TM_ELIMIT;
}

enum tm_err import_csv_next(struct import_source *source, struct ipc_import_row *row,
                            char text[IPC_TEXT_MAX + 1]) {
    struct record record;
    record.line = source->line;
    enum tm_err err = source->opened ? TM_OK : open_header(source, &record, text);
    if (!err)
        err = next_record(source, &record, text);
    row->line = record.line;
    if (err)
        return err;
    if (record.count != source->columns) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "has %zu fields, and the header %zu", record.count,
                       source->columns);
        return TM_EPARSE;
    }
    for (size_t i = 0; i < record.count; i++)
        if (source->column[i] != IMPORT_PASSED_OVER &&
            !import_set(row, source->column[i], record.fields[i], text))
            return TM_EPARSE;
    return import_row_fits(row, text) ? TM_OK : TM_EPARSE;
}
