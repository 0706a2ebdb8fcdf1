/* SPDX-License-Identifier: Apache-2.0 */
/* The issuers file, written: see conf/managed.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "conf/managed.h"
#include "conf/value.h"

static const char header[] = "# SPDX-License-Identifier: Apache-2.0\n"
                             "# Written by touchmark keys; touchmark.yaml(5): issuers_file.\n";

/* ---- as text ---- */

static void put_strings(FILE *out, const struct conf_strings *strings) {
    (void)fputc('[', out);
    for (size_t i = 0; i < strings->count; i++) {
        fprintf(out, "%s", i ? ", " : "");
        conf_put_quoted(out, strings->items[i]);
    }
    fprintf(out, "]\n");
}

/* What has its default is left out. */
static bool is_said(const struct conf_row *row, const void *field) {
    if (row->type == CONF_UINT)
        return *(const uint64_t *)field != 0;
    if (row->type == CONF_ENUM || row->type == CONF_GROUP)
        return false; /* issuers of the kind est stand in the configuration itself */
    if (row->type == CONF_STRINGS)
        return ((const struct conf_strings *)field)->count > 0;
    return *(char *const *)field != NULL;
}

/* One mapping of a list. Only the types that the issuers file has. */
static void put_item(FILE *out, const struct conf_row *rows, const char *item) {
    const char *lead = "  - ";
    for (const struct conf_row *row = rows; row->key; row++) {
        const void *field = item + row->offset;
        if (!is_said(row, field))
            continue;
        fprintf(out, "%s%s: ", lead, row->key);
        lead = "    ";
        if (row->type == CONF_UINT) {
            fprintf(out, "%llu\n", (unsigned long long)*(const uint64_t *)field);
        } else if (row->type == CONF_STRINGS) {
            put_strings(out, field);
        } else {
            conf_put_quoted(out, *(char *const *)field);
            fprintf(out, "\n");
        }
    }
}

static void put_row(FILE *out, const struct conf_row *row, const void *field) {
    const struct conf_list *list = field;
    if (row->type == CONF_STRINGS) {
        fprintf(out, "%s: ", row->key);
        put_strings(out, field);
        return;
    }
    fprintf(out, "%s:%s\n", row->key, list->count ? "" : " []");
    for (size_t i = 0; i < list->count; i++)
        put_item(out, row->rows, (const char *)list->items + i * row->elem_size);
}

enum tm_err conf_managed_print(const struct conf_managed *managed, char **ret_text, size_t *ret_n) {
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    if (!out)
        return TM_ENOMEM;
    fprintf(out, "%s", header);
    for (const struct conf_row *row = conf_managed_rows; row->key; row++)
        put_row(out, row, (const char *)managed + row->offset);
    if (fclose(out)) {
        free(text);
        return TM_ENOMEM;
    }
    *ret_text = text;
    *ret_n = n;
    return TM_OK;
}

/* ---- on disk ---- */

enum tm_err conf_managed_replace(const char *path, const char *text, size_t n,
                                 char error[CONF_ERROR_MAX]) {
    enum tm_err err = TM_OK;
    if (n > 0)
        err = file_replace(path, (struct bytes){(const uint8_t *)text, n}, 0644);
    else if (unlink(path) && errno != ENOENT)
        err = TM_EIO;
    else
        err = file_sync_folder(path);
    if (err)
        (void)snprintf(error, CONF_ERROR_MAX, "%.300s: %s", path, strerror(errno));
    return err;
}
