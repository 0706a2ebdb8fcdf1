/* SPDX-License-Identifier: Apache-2.0 */
/* The options of a table as man(7) source; see conf/schema.h. */
#include <string.h>

#include "conf/page.h"
#include "conf/refuse.h"

static void print_text(FILE *out, const char *text) {
    conf_print_troff(text, strlen(text), out);
}

static void print_bold(FILE *out, const char *text) {
    fputs("\\fB", out);
    print_text(out, text);
    fputs("\\fR", out);
}

static void print_default(const struct conf_row *row, FILE *out) {
    if (!row->preset) {
        fputs("Required.\n", out);
    } else if (row->preset[0] != '\0') {
        fputs("The default is ", out);
        print_bold(out, row->preset);
        fputs(".\n", out);
    }
}

static void print_option(const struct conf_row *row, FILE *out) {
    char allowed[CONF_ALLOWED_MAX];
    conf_value_allowed(row, allowed);
    fputs(".TP\n", out);
    print_bold(out, row->key);
    fputs("\n", out);
    print_text(out, row->help);
    fputs("\nMust be ", out);
    print_text(out, allowed);
    fputs(".\n", out);
    print_default(row, out);
}

static bool is_nested(const struct conf_row *row) {
    return row->type == CONF_GROUP || row->type == CONF_LIST;
}

static void print_rows(const struct conf_row *rows, const char *path, FILE *out);

static void print_section(const struct conf_row *row, const char *path, FILE *out) {
    char inner[CONF_KEY_PATH_MAX];
    (void)snprintf(inner, sizeof(inner), "%s%s%.64s", path, path[0] ? "." : "", row->key);
    fputs(".SS ", out);
    print_text(out, inner);
    fputs("\n", out);
    print_text(out, row->help);
    fputs(row->type == CONF_LIST ? "\nA list; each entry has:\n" : "\n", out);
    print_rows(row->rows, inner, out);
}

/* Plain options first, so that each stands under its own heading. */
static void print_rows(const struct conf_row *rows, const char *path, FILE *out) {
    for (const struct conf_row *row = rows; row->key; row++)
        if (!is_nested(row))
            print_option(row, out);
    for (const struct conf_row *row = rows; row->key; row++)
        if (is_nested(row))
            print_section(row, path, out);
}

void conf_print_manual(const struct conf_row *rows, FILE *out) {
    print_rows(rows, "", out);
}
