/* SPDX-License-Identifier: Apache-2.0 */
/* How a configuration is refused; see conf/refuse.h and conf_refuse in conf/schema.h. */
#include "conf/refuse.h"

#include <string.h>

#include "conf/tree.h"

void conf_error(char ret[CONF_ERROR_MAX], const char *name, unsigned line, const char *path,
                const char *format, va_list args) {
    int n = snprintf(ret, CONF_ERROR_MAX, "%s:%u: %s%s", name, line, path, path[0] ? ": " : "");
    size_t at = n < 0 ? 0 : (size_t)n;
    if (at < CONF_ERROR_MAX)
        (void)vsnprintf(ret + at, CONF_ERROR_MAX - at, format, args);
}

/* Levenshtein's distance; texts over KEY_MAX octets count as far away. */
static size_t distance(const char *a, const char *b) {
    enum { KEY_MAX = 64 };
    size_t na = strlen(a), nb = strlen(b), row[KEY_MAX + 1];
    if (na > KEY_MAX || nb > KEY_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]);
            size_t step = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = change < step ? change : step;
        }
    }
    return row[nb];
}

const char *conf_nearest_key(const struct conf_row *rows, const char *key) {
    const char *best = NULL;
    size_t least = strlen(key) / 3 + 1;
    for (const struct conf_row *row = rows; row->key; row++) {
        size_t d = distance(row->key, key);
        if (d <= least) {
            best = row->key;
            least = d;
        }
    }
    return best;
}

void conf_known_keys(const struct conf_row *rows, char ret[CONF_ALLOWED_MAX]) {
    size_t at = 0;
    for (const struct conf_row *row = rows; row->key && at < CONF_ALLOWED_MAX; row++)
        at += (size_t)snprintf(ret + at, CONF_ALLOWED_MAX - at, "%s%s", at ? ", " : "", row->key);
}

/* One step of a path, "key" or "key[position]": the node, the list without such a position, or
 * NULL without such a key. */
static const struct conf_node *descend(const struct conf_node *node, const char *step) {
    char key[CONF_KEY_PATH_MAX];
    size_t n = strcspn(step, "[.");
    (void)snprintf(key, sizeof(key), "%.*s", (int)n, step);
    const struct conf_node *child = conf_tree_child(node, key);
    if (!child || step[n] != '[')
        return child;
    unsigned long position = strtoul(step + n + 1, NULL, 10);
    const struct conf_node *item = child->first;
    while (item && position-- > 0)
        item = item->next;
    return item ? item : child;
}

static unsigned line_of(const struct conf_node *root, const char *path) {
    unsigned line = root->line;
    for (const struct conf_node *node = root; node && *path;) {
        node = descend(node, path);
        if (node)
            line = node->line;
        path += strcspn(path, ".");
        path += *path == '.';
    }
    return line;
}

/* The path without its positions: the line says which entry it is. */
static void shown_path(const char *path, char ret[CONF_KEY_PATH_MAX]) {
    size_t n = 0;
    for (bool inside = false; *path && n < CONF_KEY_PATH_MAX - 1; path++) {
        inside = inside || *path == '[';
        if (!inside)
            ret[n++] = *path;
        inside = inside && *path != ']';
    }
    ret[n] = '\0';
}

unsigned conf_line(const char *text, size_t n, const char *path) {
    AUTO(conf_node) tree = NULL;
    unsigned line = 1;
    char unused[CONF_ERROR_MAX];
    return conf_tree_parse(text, n, &tree, &line, unused) ? line : line_of(tree, path);
}

enum tm_err conf_refuse(const char *text, size_t n, const char *name, const char *path,
                        char error[CONF_ERROR_MAX], const char *format, ...) {
    unsigned line = conf_line(text, n, path);
    char shown[CONF_KEY_PATH_MAX];
    shown_path(path, shown);
    va_list args;
    va_start(args, format);
    conf_error(error, name, line, shown, format, args);
    va_end(args);
    return TM_EPARSE;
}
