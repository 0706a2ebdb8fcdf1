/* SPDX-License-Identifier: Apache-2.0 */
/* The commented sample document of an option table; see conf/schema.h. */
#include <string.h>

#include "conf/value.h"

#define COLUMNS 78

struct printer {
    FILE *out;
    int indent; /* of the keys */
    int inner;  /* further indent behind the "#" of an optional list */
    bool off;   /* keys are commented out */
    bool first; /* the next key is a list entry's first: it gets the dash */
};

/* Words wrapped at COLUMNS behind "# ". */
static void print_comment(const struct printer *p, const char *text) {
    while (*text) {
        size_t room = (size_t)(COLUMNS - p->indent - p->inner - 3);
        size_t n = strlen(text);
        if (n > room) {
            for (n = room; n > 0 && text[n] != ' ';)
                n--;
            if (n == 0)
                n = room;
        }
        fprintf(p->out, "%*s%s%*s# %.*s\n", p->indent, "", p->off ? "#" : "", p->inner, "", (int)n,
                text);
        text += n;
        text += strspn(text, " ");
    }
}

static void print_about(const struct printer *p, const struct conf_row *row) {
    char allowed[CONF_ALLOWED_MAX], about[CONF_ALLOWED_MAX + 64];
    print_comment(p, row->help);
    conf_value_allowed(row, allowed);
    (void)snprintf(about, sizeof(about), "(%s%s)", row->preset ? "" : "required: ", allowed);
    print_comment(p, about);
}

/* A key stands as it is, or behind "#" when it is off or everything around it is. */
static void print_key(struct printer *p, const char *key, bool off, const char *value) {
    int outer = p->indent, inner = p->inner;
    if (p->first)
        *(p->off ? &inner : &outer) -= 2;
    bool hidden = p->off || (off && !p->first);
    fprintf(p->out, "%*s%s%*s%s%s:%s%s\n", outer, "", hidden ? "#" : "", inner, "",
            p->first ? "- " : "", key, value[0] ? " " : "", value);
    p->first = false;
}

static void print_rows(struct printer *p, const struct conf_row *rows);

static void print_nested(struct printer *p, const struct conf_row *row) {
    bool list = row->type == CONF_LIST;
    struct printer inner = *p;
    inner.off = p->off || (list && row->preset);
    print_comment(p, row->help);
    print_key(p, row->key, inner.off, "");
    *(inner.off ? &inner.inner : &inner.indent) += list ? 4 : 2;
    inner.first = list;
    print_rows(&inner, row->rows);
}

static void print_rows(struct printer *p, const struct conf_row *rows) {
    for (const struct conf_row *row = rows; row->key; row++) {
        if (p->indent + p->inner == 0)
            fputc('\n', p->out);
        if (row->type == CONF_GROUP || row->type == CONF_LIST) {
            print_nested(p, row);
            continue;
        }
        char value[CONF_ALLOWED_MAX];
        conf_value_example(row, value);
        print_about(p, row);
        print_key(p, row->key, row->preset && !row->example, value);
    }
}

void conf_print_sample(const struct conf_row *rows, FILE *out) {
    struct printer p = {.out = out};
    print_comment(&p, "Lines with #key: show what holds when the key is left out.");
    print_rows(&p, rows);
}
