/* SPDX-License-Identifier: Apache-2.0 */
/* JSON lines: one object per line, its members named like the columns. See import_source.h. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "admin/import_source.h"
#include "base/auto.h"

AUTO_DEFINE(json_t, json_decref)

static bool set_member(struct import_source *source, const char *key, const json_t *value,
                       struct ipc_import_row *row, char text[IPC_TEXT_MAX + 1]) {
    enum import_column column = import_column(bytes_str(key));
    char number[24];
    if (column == IMPORT_NONE) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "there is no member \"%.40s\"; members are %s", key,
                       import_column_names);
        return false;
    }
    if (column == IMPORT_PASSED_OVER) {
        import_source_passes_over(source, bytes_str(key));
        return true;
    }
    if (json_is_null(value))
        return true;
    if (column == IMPORT_PROVISIONING_VERSION && json_is_integer(value)) {
        int n = snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        return import_set(row, column, (struct bytes){(const uint8_t *)number, (size_t)n}, text);
    }
    if (json_is_string(value) && column != IMPORT_PROVISIONING_VERSION)
        return import_set(
            row, column,
            (struct bytes){(const uint8_t *)json_string_value(value), json_string_length(value)},
            text);
    (void)snprintf(text, IPC_TEXT_MAX + 1, "%s must be a %s", key,
                   column == IMPORT_PROVISIONING_VERSION ? "number" : "text");
    return false;
}

static bool read_object(struct import_source *source, struct bytes line, struct ipc_import_row *row,
                        char text[IPC_TEXT_MAX + 1]) {
    json_error_t error;
    AUTO(json_t)
    object =
        json_loadb((const char *)line.p, line.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    const char *key;
    json_t *value;
    if (!json_is_object(object)) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "is not one JSON object: %.120s",
                       object ? "another value" : error.text);
        return false;
    }
    json_object_foreach(object, key, value) {
        if (!set_member(source, key, value, row, text))
            return false;
    }
    return import_row_fits(row, text);
}

static bool is_blank(struct bytes line) {
    for (size_t i = 0; i < line.n; i++)
        if (!memchr(" \t\r", line.p[i], 3))
            return false;
    return true;
}

enum tm_err import_jsonl_next(struct import_source *source, struct ipc_import_row *row,
                              char text[IPC_TEXT_MAX + 1]) {
    for (;;) {
        struct bytes in;
        row->line = source->line;
        enum tm_err err = import_source_fill(source, IMPORT_RECORD_MAX, &in);
        if (err || !in.n)
            return err ? err : TM_ENOTFOUND;
        size_t n = in.n < IMPORT_RECORD_MAX ? in.n : IMPORT_RECORD_MAX;
        const uint8_t *end = memchr(in.p, '\n', n);
        if (!end && (n < in.n || !source->ended)) {
            text_copy(text, IPC_TEXT_MAX + 1, "the line does not end within 8192 octets");
            return TM_ELIMIT;
        }
        struct bytes line = {in.p, end ? (size_t)(end - in.p) : n};
        bool blank = is_blank(line);
        bool good = blank || read_object(source, line, row, text);
        import_source_skip(source, line.n + (end ? 1 : 0));
        if (!blank)
            return good ? TM_OK : TM_EPARSE;
    }
}
