/* SPDX-License-Identifier: Apache-2.0 */
/* Values of a loaded struct as text; see conf/value.h. */
#include "conf/value.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

void conf_put_quoted(FILE *out, const char *text) {
    (void)fputc('"', out);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            fprintf(out, "\\x%02x", c);
        else
            (void)fputc(c, out);
    }
    (void)fputc('"', out);
}

/* Plain where it cannot be taken for anything else. */
static void put_text(FILE *out, const char *text) {
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-/:@+ ";
    if (text[0] && strspn(text, plain) == strlen(text))
        fputs(text, out);
    else
        conf_put_quoted(out, text);
}

static void put_words(FILE *out, const struct conf_row *row, unsigned flags) {
    const char *before = "";
    (void)fputc('[', out);
    for (unsigned i = 0; row->words[i]; i++)
        if (flags & 1u << i) {
            fprintf(out, "%s%s", before, row->words[i]);
            before = ", ";
        }
    (void)fputc(']', out);
}

static void put_strings(FILE *out, const struct conf_strings *strings) {
    (void)fputc('[', out);
    for (size_t i = 0; i < strings->count; i++) {
        fputs(i ? ", " : "", out);
        put_text(out, strings->items[i]);
    }
    (void)fputc(']', out);
}

static void put_mapping(FILE *out, const struct conf_row *rows, const void *base) {
    (void)fputc('{', out);
    for (const struct conf_row *row = rows; row->key; row++) {
        fprintf(out, "%s%s: ", row == rows ? "" : ", ", row->key);
        conf_value_show(row, (const char *)base + row->offset, out);
    }
    (void)fputc('}', out);
}

static void put_list(FILE *out, const struct conf_row *row, const struct conf_list *list) {
    (void)fputc('[', out);
    for (size_t i = 0; i < list->count; i++) {
        fputs(i ? ", " : "", out);
        put_mapping(out, row->rows, (const char *)list->items + i * row->elem_size);
    }
    (void)fputc(']', out);
}

static void put_time(FILE *out, int64_t wall_ms) {
    time_t seconds = (time_t)(wall_ms / 1000);
    char text[32] = "";
    struct tm tm;
    if (gmtime_r(&seconds, &tm))
        (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    fputs(text, out);
}

static void put_number(FILE *out, const struct conf_row *row, uint64_t value) {
    char text[CONF_UNIT_MAX];
    conf_value_unit(row, value, text);
    fputs(text, out);
}

/* Left out, where that is allowed: there is no value to show. */
static bool is_absent(const struct conf_row *row, const void *field) {
    if (!row->preset || row->preset[0])
        return false;
    switch (row->type) {
    case CONF_STRING:
    case CONF_PATH:
    case CONF_NAME:
        return !*(char *const *)field;
    case CONF_UINT:
    case CONF_SIZE:
        return *(const uint64_t *)field == 0;
    case CONF_DURATION:
    case CONF_TIME:
        return *(const int64_t *)field == 0;
    default:
        return false;
    }
}

void conf_value_show(const struct conf_row *row, const void *field, FILE *out) {
    const char *text;
    if (is_absent(row, field))
        return;
    switch (row->type) {
    case CONF_STRING:
    case CONF_PATH:
    case CONF_NAME:
        text = *(char *const *)field;
        put_text(out, text ? text : "");
        break;
    case CONF_UINT:
    case CONF_SIZE:
        put_number(out, row, *(const uint64_t *)field);
        break;
    case CONF_DURATION:
        put_number(out, row, (uint64_t) * (const int64_t *)field);
        break;
    case CONF_BOOL:
        fputs(*(const bool *)field ? "true" : "false", out);
        break;
    case CONF_ENUM:
        fputs(row->words[*(const unsigned *)field], out);
        break;
    case CONF_FLAGS:
        put_words(out, row, *(const unsigned *)field);
        break;
    case CONF_TIME:
        put_time(out, *(const int64_t *)field);
        break;
    case CONF_STRINGS:
        put_strings(out, field);
        break;
    case CONF_GROUP:
        put_mapping(out, row->rows, field);
        break;
    case CONF_LIST:
        put_list(out, row, field);
        break;
    }
}
