/* SPDX-License-Identifier: Apache-2.0 */
/* libyaml's events into a bounded tree; see conf/tree.h. */
#include "conf/tree.h"

#include <string.h>
#include <yaml.h>

#include "base/auto.h"

struct builder {
    yaml_parser_t parser;
    struct conf_node *root;
    struct conf_node *open[CONF_DEPTH_MAX]; /* mappings and lists that are not closed */
    size_t depth;
    size_t nodes;
    size_t documents;
    char *key; /* of the open mapping, waiting for its value */
    unsigned key_line;
    unsigned line; /* of the event at hand */
    char *error;
};

static enum tm_err refuse(struct builder *b, enum tm_err err, const char *sentence) {
    (void)snprintf(b->error, CONF_ERROR_MAX, "%s", sentence);
    return err;
}

void conf_tree_free(struct conf_node *root) {
    if (!root)
        return;
    for (struct conf_node *child = root->first; child;) {
        struct conf_node *next = child->next;
        conf_tree_free(child);
        child = next;
    }
    free(root->key);
    free(root->text);
    free(root);
}
AUTO_DEFINE(yaml_event_t, yaml_event_delete)

const struct conf_node *conf_tree_child(const struct conf_node *map, const char *key) {
    if (map->kind != CONF_NODE_MAP)
        return NULL;
    for (const struct conf_node *child = map->first; child; child = child->next)
        if (strcmp(child->key, key) == 0)
            return child;
    return NULL;
}

bool conf_tree_is_null(const struct conf_node *node) {
    return node->kind == CONF_NODE_SCALAR && node->plain &&
           (node->text[0] == '\0' || strcmp(node->text, "~") == 0 ||
            strcmp(node->text, "null") == 0);
}

/* Puts a node where the document stands: as root, list item or value of the waiting key. */
static void attach(struct builder *b, struct conf_node *node) {
    if (b->depth == 0) {
        b->root = node;
        return;
    }
    struct conf_node *parent = b->open[b->depth - 1];
    if (parent->kind == CONF_NODE_MAP) {
        node->key = TAKE(b->key);
        node->line = b->key_line;
    }
    if (parent->last)
        parent->last->next = node;
    else
        parent->first = node;
    parent->last = node;
    parent->count++;
}

static enum tm_err add_node(struct builder *b, enum conf_node_kind kind,
                            struct conf_node **ret_node) {
    if (b->nodes++ >= CONF_NODES_MAX)
        return refuse(b, TM_ELIMIT, "the document has too many values");
    struct conf_node *node = calloc(1, sizeof(*node));
    if (!node)
        return refuse(b, TM_ENOMEM, "out of memory");
    node->kind = kind;
    node->line = b->line;
    attach(b, node);
    *ret_node = node;
    return TM_OK;
}

static bool has_control(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return true;
    return false;
}

static bool expects_key(const struct builder *b) {
    return b->depth > 0 && b->open[b->depth - 1]->kind == CONF_NODE_MAP && !b->key;
}

static enum tm_err take_key(struct builder *b, char *text) {
    AUTO_MEM char *key = text;
    const struct conf_node *map = b->open[b->depth - 1];
    if (map->count >= CONF_KEYS_MAX)
        return refuse(b, TM_ELIMIT, "the mapping has too many keys");
    const struct conf_node *earlier = conf_tree_child(map, key);
    if (earlier) {
        (void)snprintf(b->error, CONF_ERROR_MAX, "%.64s: given twice, first in line %u", key,
                       earlier->line);
        return TM_EPARSE;
    }
    b->key = TAKE(key);
    b->key_line = b->line;
    return TM_OK;
}

static enum tm_err on_scalar(struct builder *b, const yaml_event_t *event) {
    if (event->data.scalar.anchor)
        return refuse(b, TM_EPARSE, "anchors (&) are not taken");
    if (event->data.scalar.tag)
        return refuse(b, TM_EPARSE, "tags (!) are not taken");
    const char *value = (const char *)event->data.scalar.value;
    if (has_control(value, event->data.scalar.length))
        return refuse(b, TM_EPARSE, "control characters and line breaks are not taken");
    char *text = strdup(value);
    if (!text)
        return refuse(b, TM_ENOMEM, "out of memory");
    if (expects_key(b))
        return take_key(b, text);
    struct conf_node *node;
    enum tm_err err = add_node(b, CONF_NODE_SCALAR, &node);
    if (err) {
        free(text);
        return err;
    }
    node->text = text;
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return TM_OK;
}

static enum tm_err on_open(struct builder *b, enum conf_node_kind kind, const yaml_char_t *anchor,
                           const yaml_char_t *tag) {
    if (anchor)
        return refuse(b, TM_EPARSE, "anchors (&) are not taken");
    if (tag)
        return refuse(b, TM_EPARSE, "tags (!) are not taken");
    if (expects_key(b))
        return refuse(b, TM_EPARSE, "a key must be plain text");
    if (b->depth == CONF_DEPTH_MAX)
        return refuse(b, TM_ELIMIT, "nested too deep");
    struct conf_node *node;
    enum tm_err err = add_node(b, kind, &node);
    if (!err)
        b->open[b->depth++] = node;
    return err;
}

static enum tm_err on_event(struct builder *b, const yaml_event_t *event) {
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (b->documents++ > 0)
            return refuse(b, TM_EPARSE, "a second document (---) is not taken");
        return TM_OK;
    case YAML_SCALAR_EVENT:
        return on_scalar(b, event);
    case YAML_MAPPING_START_EVENT:
        return on_open(b, CONF_NODE_MAP, event->data.mapping_start.anchor,
                       event->data.mapping_start.tag);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(b, CONF_NODE_LIST, event->data.sequence_start.anchor,
                       event->data.sequence_start.tag);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        b->depth--;
        return TM_OK;
    case YAML_ALIAS_EVENT:
        return refuse(b, TM_EPARSE, "aliases (*) are not taken");
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        break;
    }
    return TM_OK;
}

static enum tm_err bad_yaml(struct builder *b) {
    if (b->parser.error == YAML_MEMORY_ERROR)
        return refuse(b, TM_ENOMEM, "out of memory");
    b->line = (unsigned)b->parser.problem_mark.line + 1;
    (void)snprintf(b->error, CONF_ERROR_MAX, "not YAML: %s",
                   b->parser.problem ? b->parser.problem : "unreadable");
    return TM_EPARSE;
}

/* One event; sets *ret_end after the last one. */
static enum tm_err step(struct builder *b, bool *ret_end) {
    yaml_event_t event;
    if (!yaml_parser_parse(&b->parser, &event))
        return bad_yaml(b);
    AUTO(yaml_event_t) owned = &event;
    b->line = (unsigned)owned->start_mark.line + 1;
    *ret_end = owned->type == YAML_STREAM_END_EVENT;
    return on_event(b, owned);
}

static enum tm_err build(struct builder *b) {
    enum tm_err err = TM_OK;
    for (bool end = false; !err && !end;)
        err = step(b, &end);
    if (err || (b->root && !conf_tree_is_null(b->root)))
        return err;
    conf_tree_free(TAKE(b->root));
    b->line = 1;
    struct conf_node *empty;
    return add_node(b, CONF_NODE_MAP, &empty);
}

enum tm_err conf_tree_parse(const char *text, size_t n, struct conf_node **ret_root,
                            unsigned *ret_line, char error[CONF_ERROR_MAX]) {
    struct builder b = {.line = 1, .error = error};
    enum tm_err err = TM_OK;
    if (n > CONF_TEXT_MAX)
        err = refuse(&b, TM_ELIMIT, "the document is longer than 1 MiB");
    else if (!yaml_parser_initialize(&b.parser))
        err = refuse(&b, TM_ENOMEM, "out of memory");
    if (!err) {
        /* Stated, so that no byte order mark can turn the text into UTF-16. */
        yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&b.parser, (const unsigned char *)text, n);
        err = build(&b);
        yaml_parser_delete(&b.parser);
    }
    free(b.key);
    if (err) {
        conf_tree_free(b.root);
        *ret_line = b.line;
        return err;
    }
    *ret_root = b.root;
    return TM_OK;
}
