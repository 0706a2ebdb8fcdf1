/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader: a tree of YAML values into C structs by rows; see conf/schema.h.
 *
 * It stands on libyaml rather than on libcyaml: every refusal has to name the line, the
 * offending key and what the row allows (range, words, units), and sample file and manual
 * page are printed from the same rows. libcyaml's schema knows neither help texts nor
 * durations, sizes and times, and its errors go to a log callback without the allowed values.
 */
#include "conf/schema.h"

#include <stdarg.h>
#include <string.h>

#include "base/auto.h"
#include "conf/refuse.h"
#include "conf/tree.h"
#include "conf/value.h"

#define SHOWN_MAX 60 /* octets of a bad value that are repeated in the message */

struct loader {
    const char *name;
    const char *folder;
    char *error;
};

/* Where in the document: a chain of keys up to the root. */
struct place {
    const struct place *up;
    const char *key;
};

static size_t place_text(const struct place *at, char ret[CONF_KEY_PATH_MAX]) {
    size_t n = 0;
    if (at->up && at->up->key) {
        n = place_text(at->up, ret);
        n += (size_t)snprintf(ret + n, CONF_KEY_PATH_MAX - n, ".");
    }
    n += (size_t)snprintf(ret + n, CONF_KEY_PATH_MAX - n, "%.64s", at->key ? at->key : "");
    return n < CONF_KEY_PATH_MAX ? n : CONF_KEY_PATH_MAX - 1;
}

__attribute__((format(printf, 4, 5))) static enum tm_err
refuse(const struct loader *l, unsigned line, const struct place *at, const char *format, ...) {
    char where[CONF_KEY_PATH_MAX];
    (void)place_text(at, where);
    va_list args;
    va_start(args, format);
    conf_error(l->error, l->name, line, where, format, args);
    va_end(args);
    return TM_EPARSE;
}

static enum tm_err no_memory(const struct loader *l) {
    (void)snprintf(l->error, CONF_ERROR_MAX, "%s: out of memory", l->name);
    return TM_ENOMEM;
}

static void *field_of(const struct conf_row *row, void *base) {
    return (char *)base + row->offset;
}

static const struct conf_row *row_of(const struct conf_row *rows, const char *key) {
    for (const struct conf_row *row = rows; row->key; row++)
        if (strcmp(row->key, key) == 0)
            return row;
    return NULL;
}

static enum tm_err check_keys(const struct loader *l, const struct place *at,
                              const struct conf_row *rows, const struct conf_node *map) {
    for (const struct conf_node *child = map->first; child; child = child->next) {
        if (row_of(rows, child->key))
            continue;
        struct place here = {at, child->key};
        char known[CONF_ALLOWED_MAX];
        conf_known_keys(rows, known);
        const char *near = conf_nearest_key(rows, child->key);
        if (near)
            return refuse(l, child->line, &here, "unknown key; did you mean %s? Known are: %s",
                          near, known);
        return refuse(l, child->line, &here, "unknown key; known are: %s", known);
    }
    return TM_OK;
}

static enum tm_err must_be(const struct loader *l, const struct place *at,
                           const struct conf_row *row, const struct conf_node *node) {
    char allowed[CONF_ALLOWED_MAX];
    conf_value_allowed(row, allowed);
    if (conf_tree_is_null(node))
        return refuse(l, node->line, at, "has no value; must be %s", allowed);
    if (node->kind == CONF_NODE_SCALAR)
        return refuse(l, node->line, at, "\"%.*s\" is not allowed; must be %s", SHOWN_MAX,
                      node->text, allowed);
    return refuse(l, node->line, at, "%s is not allowed; must be %s",
                  node->kind == CONF_NODE_LIST ? "a list" : "a mapping", allowed);
}

static enum tm_err load_scalar(const struct loader *l, const struct place *at,
                               const struct conf_row *row, const struct conf_node *node,
                               void *field) {
    if (node->kind != CONF_NODE_SCALAR || conf_tree_is_null(node))
        return must_be(l, at, row, node);
    enum tm_err err = conf_value_parse(row, node->text, l->folder, field);
    if (err == TM_ENOMEM)
        return no_memory(l);
    return err ? must_be(l, at, row, node) : TM_OK;
}

static enum tm_err load_flags(const struct loader *l, const struct place *at,
                              const struct conf_row *row, const struct conf_node *node,
                              unsigned *field) {
    if (node->kind != CONF_NODE_LIST)
        return must_be(l, at, row, node);
    unsigned flags = 0;
    for (const struct conf_node *item = node->first; item; item = item->next) {
        unsigned index;
        if (item->kind != CONF_NODE_SCALAR || conf_value_word(row, item->text, &index))
            return must_be(l, at, row, item);
        if (flags & 1u << index)
            return refuse(l, item->line, at, "%s is given twice", item->text);
        flags |= 1u << index;
    }
    *field = flags;
    return TM_OK;
}

static enum tm_err check_count(const struct loader *l, const struct place *at,
                               const struct conf_row *row, const struct conf_node *node) {
    uint64_t min, max;
    conf_value_limits(row, &min, &max);
    if (node->kind != CONF_NODE_LIST)
        return must_be(l, at, row, node);
    if (node->count >= min && node->count <= max)
        return TM_OK;
    char allowed[CONF_ALLOWED_MAX];
    conf_value_allowed(row, allowed);
    return refuse(l, node->line, at, "has %zu entries; must be %s", node->count, allowed);
}

static enum tm_err load_strings(const struct loader *l, const struct place *at,
                                const struct conf_row *row, const struct conf_node *node,
                                struct conf_strings *field) {
    static const struct conf_row item_row = {.key = "", .type = CONF_STRING, .min = 1};
    enum tm_err err = check_count(l, at, row, node);
    if (err || node->count == 0)
        return err;
    field->items = calloc(node->count, sizeof(*field->items));
    if (!field->items)
        return no_memory(l);
    field->count = node->count;
    size_t i = 0;
    for (const struct conf_node *item = node->first; item && !err; item = item->next)
        err = load_scalar(l, at, &item_row, item, &field->items[i++]);
    return err;
}

static enum tm_err load_rows(const struct loader *l, const struct place *at,
                             const struct conf_row *rows, const struct conf_node *map, void *base);

static enum tm_err load_group(const struct loader *l, const struct place *at,
                              const struct conf_row *row, const struct conf_node *node,
                              void *field) {
    const struct conf_node empty = {.kind = CONF_NODE_MAP, .line = node->line};
    if (conf_tree_is_null(node))
        node = &empty;
    if (node->kind != CONF_NODE_MAP)
        return must_be(l, at, row, node);
    return load_rows(l, at, row->rows, node, field);
}

static enum tm_err load_list(const struct loader *l, const struct place *at,
                             const struct conf_row *row, const struct conf_node *node,
                             struct conf_list *field) {
    enum tm_err err = check_count(l, at, row, node);
    if (err || node->count == 0)
        return err;
    field->items = calloc(node->count, row->elem_size);
    if (!field->items)
        return no_memory(l);
    field->count = node->count;
    char *element = field->items;
    for (const struct conf_node *item = node->first; item && !err; item = item->next) {
        if (item->kind != CONF_NODE_MAP)
            return refuse(l, item->line, at, "each entry must be a mapping of keys");
        err = load_rows(l, at, row->rows, item, element);
        element += row->elem_size;
    }
    return err;
}

static enum tm_err load_value(const struct loader *l, const struct place *at,
                              const struct conf_row *row, const struct conf_node *node,
                              void *field) {
    switch (row->type) {
    case CONF_FLAGS:
        return load_flags(l, at, row, node, field);
    case CONF_STRINGS:
        return load_strings(l, at, row, node, field);
    case CONF_GROUP:
        return load_group(l, at, row, node, field);
    case CONF_LIST:
        return load_list(l, at, row, node, field);
    case CONF_STRING:
    case CONF_PATH:
    case CONF_NAME:
    case CONF_UINT:
    case CONF_BOOL:
    case CONF_ENUM:
    case CONF_DURATION:
    case CONF_SIZE:
    case CONF_TIME:
        break;
    }
    return load_scalar(l, at, row, node, field);
}

/* A preset is YAML like any value, so that it obeys the same rules. */
static enum tm_err load_preset(const struct loader *l, const struct place *at,
                               const struct conf_row *row, void *field) {
    AUTO(conf_node) node = NULL;
    unsigned line;
    enum tm_err err = conf_tree_parse(row->preset, strlen(row->preset), &node, &line, l->error);
    if (err)
        return refuse(l, 0, at, "built-in default \"%s\" is not YAML", row->preset);
    return load_value(l, at, row, node, field);
}

static enum tm_err load_absent(const struct loader *l, const struct place *at,
                               const struct conf_row *row, unsigned line, void *field) {
    const struct conf_node empty = {.kind = CONF_NODE_MAP, .line = line};
    if (row->type == CONF_GROUP)
        return load_rows(l, at, row->rows, &empty, field);
    if (row->preset)
        return row->preset[0] == '\0' ? TM_OK : load_preset(l, at, row, field);
    char allowed[CONF_ALLOWED_MAX];
    conf_value_allowed(row, allowed);
    return refuse(l, line, at, "is missing; must be %s", allowed);
}

static enum tm_err load_rows(const struct loader *l, const struct place *at,
                             const struct conf_row *rows, const struct conf_node *map, void *base) {
    enum tm_err err = check_keys(l, at, rows, map);
    for (const struct conf_row *row = rows; row->key && !err; row++) {
        struct place here = {at, row->key};
        const struct conf_node *node = conf_tree_child(map, row->key);
        void *field = field_of(row, base);
        err = node ? load_value(l, &here, row, node, field)
                   : load_absent(l, &here, row, map->line, field);
    }
    return err;
}

/* The absolute folder of a file, for relative paths. */
static char *folder_of(const char *name) {
    const char *slash = strrchr(name, '/');
    if (slash == name)
        return strdup("/");
    char *folder = slash ? strndup(name, (size_t)(slash - name)) : strdup(".");
    if (!folder || folder[0] == '/')
        return folder;
    AUTO_MEM char *relative = folder;
    AUTO_MEM char *here = getcwd(NULL, 0);
    if (!here || strcmp(relative, ".") == 0)
        return TAKE(here);
    char *path;
    return asprintf(&path, "%s/%s", here, relative) < 0 ? NULL : path;
}

enum tm_err conf_load_text(const char *text, size_t n, const char *name,
                           const struct conf_row *rows, void *ret_struct, size_t size,
                           char error[CONF_ERROR_MAX]) {
    memset(ret_struct, 0, size);
    AUTO_MEM char *folder = folder_of(name);
    struct loader l = {name, folder, error};
    if (!folder)
        return no_memory(&l);
    struct place root = {NULL, NULL};
    AUTO(conf_node) tree = NULL;
    char sentence[CONF_ERROR_MAX];
    unsigned line;
    enum tm_err err = conf_tree_parse(text, n, &tree, &line, sentence);
    if (err) {
        (void)refuse(&l, line, &root, "%s", sentence);
        return err;
    }
    if (tree->kind != CONF_NODE_MAP)
        return refuse(&l, tree->line, &root, "the document must be a mapping of keys");
    err = load_rows(&l, &root, rows, tree, ret_struct);
    if (err)
        conf_free(rows, ret_struct, size);
    return err;
}

static void free_value(const struct conf_row *row, void *field) {
    if (row->type == CONF_STRING || row->type == CONF_PATH || row->type == CONF_NAME) {
        free(*(char **)field);
    } else if (row->type == CONF_STRINGS) {
        struct conf_strings *strings = field;
        for (size_t i = 0; i < strings->count; i++)
            free(strings->items[i]);
        free(strings->items);
    } else if (row->type == CONF_LIST) {
        struct conf_list *list = field;
        for (size_t i = 0; i < list->count; i++)
            conf_free(row->rows, (char *)list->items + i * row->elem_size, row->elem_size);
        free(list->items);
    } else if (row->type == CONF_GROUP) {
        for (const struct conf_row *inner = row->rows; inner->key; inner++)
            free_value(inner, field_of(inner, field));
    }
}

void conf_free(const struct conf_row *rows, void *s, size_t size) {
    for (const struct conf_row *row = rows; row->key; row++)
        free_value(row, field_of(row, s));
    memset(s, 0, size);
}
