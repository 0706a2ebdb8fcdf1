/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/import_source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void import_source_begin(struct import_source *source, int fd, enum import_format format,
                         uint8_t *window, size_t cap) {
    *source = (struct import_source){
        .fd = fd, .format = format, .window = window, .cap = cap, .ended = fd < 0, .line = 1};
}

static enum tm_err read_more(struct import_source *source) {
    ssize_t n = read(source->fd, source->window + source->n, source->cap - source->n);
    if (n < 0)
        return errno == EINTR ? TM_OK : TM_EIO;
    source->ended = n == 0;
    source->n += (size_t)n;
    return TM_OK;
}

enum tm_err import_source_fill(struct import_source *source, size_t need, struct bytes *ret) {
    if (source->n - source->at < need && !source->ended) {
        memmove(source->window, source->window + source->at, source->n - source->at);
        source->n -= source->at;
        source->at = 0;
    }
    while (source->n - source->at < need && !source->ended) {
        enum tm_err err = read_more(source);
        if (err)
            return err;
    }
    *ret = (struct bytes){source->window + source->at, source->n - source->at};
    return TM_OK;
}

void import_source_skip(struct import_source *source, size_t n) {
    for (size_t i = 0; i < n; i++)
        source->line += source->window[source->at + i] == '\n';
    source->at += n;
    source->offset += n;
}

enum tm_err import_source_skip_line(struct import_source *source) {
    struct bytes in;
    enum tm_err err = import_source_fill(source, IMPORT_RECORD_MAX, &in);
    if (err)
        return err;
    size_t n = in.n < IMPORT_RECORD_MAX ? in.n : IMPORT_RECORD_MAX;
    const uint8_t *end = n ? memchr(in.p, '\n', n) : NULL;
    if (!end && n == IMPORT_RECORD_MAX)
        return TM_ELIMIT;
    import_source_skip(source, end ? (size_t)(end - in.p) + 1 : n);
    return TM_OK;
}

void import_source_passes_over(struct import_source *source, struct bytes name) {
    size_t n = strlen(source->passed_over);
    char *end = source->passed_over + n;
    char wanted[IPC_NAME_MAX + 4];
    (void)snprintf(wanted, sizeof wanted, ", %.*s", (int)name.n, (const char *)name.p);
    char seen[sizeof source->passed_over + 2];
    (void)snprintf(seen, sizeof seen, ", %s", source->passed_over);
    const char *found = strstr(seen, wanted);
    size_t length = strlen(wanted);
    if (found && (found[length] == ',' || found[length] == '\0'))
        return;
    (void)snprintf(end, sizeof source->passed_over - n, "%s", n ? wanted : wanted + 2);
}

/* The mark that some programs put before UTF-8. */
static enum tm_err skip_mark(struct import_source *source) {
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
    struct bytes in;
    enum tm_err err = import_source_fill(source, sizeof mark, &in);
    if (!err && in.n >= sizeof mark && memcmp(in.p, mark, sizeof mark) == 0)
        import_source_skip(source, sizeof mark);
    return err;
}

static enum tm_err next(struct import_source *source, struct ipc_import_row *ret_row,
                        char text[IPC_TEXT_MAX + 1]) {
    enum tm_err err = source->offset ? TM_OK : skip_mark(source);
    if (err)
        return err;
    switch (source->format) {
    case IMPORT_CSV:
        return import_csv_next(source, ret_row, text);
    case IMPORT_JSONL:
        return import_jsonl_next(source, ret_row, text);
    case IMPORT_MANIFEST:
        return import_manifest_next(source, ret_row, text);
    case IMPORT_FORMATS:
        break;
    }
    return TM_EINVAL;
}

/* What the file says must not move a terminal's cursor. */
static void make_plain(char *text) {
    for (; *text; text++)
        if (*text < 0x20 || *text > 0x7e)
            *text = '?';
}

enum tm_err import_source_next(struct import_source *source, struct ipc_import_row *ret_row,
                               char text[IPC_TEXT_MAX + 1]) {
    memset(ret_row, 0, sizeof *ret_row);
    text[0] = '\0';
    enum tm_err err = next(source, ret_row, text);
    make_plain(text);
    return err;
}
