/* SPDX-License-Identifier: Apache-2.0 */
/* The core's JSON for people; see admin/render.h. */
#include "admin/render.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"

#define COLUMNS_MAX 40
#define GAP 2

/* One cell as UTF-8 without C0 and C1 control characters; lists and objects by their size. The
 * caller frees; NULL when there is no memory. */
static char *cell(const json_t *value) {
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    if (!out)
        return NULL;
    const char *string = json_string_value(value);
    for (const unsigned char *p = (const unsigned char *)string; p && *p; p++) {
        bool c1 = p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f;
        if (*p < 0x20 || *p == 0x7f || c1)
            fprintf(out, "\\x%02x", c1 ? *++p : *p);
        else
            fputc(*p, out);
    }
    if (json_is_integer(value))
        fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        fprintf(out, "%g", json_real_value(value));
    else if (json_is_boolean(value))
        fputs(json_is_true(value) ? "yes" : "no", out);
    else if (json_is_array(value))
        fprintf(out, "%zu", json_array_size(value));
    else if (json_is_object(value))
        fprintf(out, "%zu", json_object_size(value));
    else if (!string || !*string)
        fputc('-', out);
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}

/* Characters, not octets: good enough for columns. */
static size_t width(const char *text) {
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void print_padded(const char *text, size_t columns, FILE *out) {
    fputs(text, out);
    for (size_t n = width(text); n < columns; n++)
        fputc(' ', out);
}

static void print_heading(const char *key, size_t columns, FILE *out) {
    size_t n = strlen(key);
    for (size_t i = 0; i < n; i++)
        fputc(key[i] == '_' ? ' ' : key[i] >= 'a' && key[i] <= 'z' ? key[i] - 32 : key[i], out);
    for (; n < columns; n++)
        fputc(' ', out);
}

struct table {
    const char *keys[COLUMNS_MAX];
    size_t widths[COLUMNS_MAX];
    size_t count;
};

static size_t column_of(struct table *table, const char *key) {
    size_t i = 0;
    while (i < table->count && strcmp(table->keys[i], key) != 0)
        i++;
    if (i == table->count && i < COLUMNS_MAX) {
        table->keys[table->count++] = key;
        table->widths[i] = strlen(key);
    }
    return i;
}

static void measure(struct table *table, const json_t *row) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)row, key, value) {
        AUTO_MEM char *text = cell(value);
        size_t i = column_of(table, key);
        if (text && i < COLUMNS_MAX && width(text) > table->widths[i])
            table->widths[i] = width(text);
    }
}

static void print_row(const struct table *table, const json_t *row, FILE *out) {
    for (size_t i = 0; i < table->count; i++) {
        AUTO_MEM char *text = cell(json_object_get(row, table->keys[i]));
        bool last = i + 1 == table->count;
        print_padded(text ? text : "?", last ? 0 : table->widths[i] + GAP, out);
    }
    fputc('\n', out);
}

void admin_render_table(const json_t *rows, FILE *out) {
    struct table table = {.count = 0};
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) measure(&table, row);
    for (size_t c = 0; c < table.count; c++)
        print_heading(table.keys[c], c + 1 == table.count ? 0 : table.widths[c] + GAP, out);
    if (table.count)
        fputc('\n', out);
    json_array_foreach(rows, i, row) print_row(&table, row, out);
}

static bool is_table(const json_t *value) {
    return json_is_array(value) && json_is_object(json_array_get(value, 0));
}

/* A list of plain values in one line. */
static void print_list(const json_t *list, FILE *out) {
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) {
        AUTO_MEM char *text = cell(item);
        fprintf(out, "%s%s", i ? ", " : "", text ? text : "?");
    }
    fputs(json_array_size(list) ? "\n" : "none\n", out);
}

/* path: the keys above, each followed by a dot. */
static void print_member(const char *path, const char *key, const json_t *value, FILE *out) {
    if (json_is_object(value)) {
        char below[256];
        const char *inner;
        json_t *member;
        (void)snprintf(below, sizeof(below), "%s%s.", path, key);
        json_object_foreach((json_t *)value, inner, member) print_member(below, inner, member, out);
        return;
    }
    fprintf(out, "%s%s: ", path, key);
    if (json_is_array(value)) {
        print_list(value, out);
        return;
    }
    AUTO_MEM char *text = cell(value);
    fprintf(out, "%s\n", text ? text : "?");
}

void admin_render_object(const json_t *object, FILE *out) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        if (is_table(value)) {
            fprintf(out, "%s:\n", key);
            admin_render_table(value, out);
        } else {
            print_member("", key, value, out);
        }
    }
}
