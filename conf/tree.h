/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A YAML document as a small, bounded tree in which every node knows its line.
 * Private to conf/. Only what a configuration needs is taken: no anchors, aliases,
 * tags, control characters, duplicate keys or second documents.
 */
#ifndef TOUCHMARK_CONF_TREE_H
#define TOUCHMARK_CONF_TREE_H

#include "base/auto.h"
#include "conf/schema.h"

#define CONF_TEXT_MAX (1024 * 1024) /* octets of a document */
#define CONF_DEPTH_MAX 8            /* nested mappings and lists */
#define CONF_NODES_MAX 65536
#define CONF_KEYS_MAX 256 /* keys of one mapping */

enum conf_node_kind { CONF_NODE_SCALAR, CONF_NODE_LIST, CONF_NODE_MAP };

struct conf_node {
    enum conf_node_kind kind;
    unsigned line; /* from 1; of the key if there is one */
    bool plain;    /* SCALAR: not quoted */
    char *key;     /* of a MAP's child */
    char *text;    /* of a SCALAR */
    size_t count;  /* children */
    struct conf_node *first, *last, *next;
};

/* Parses one document. An empty one gives a mapping without keys. *ret_line and the
 * sentence in `error` say what is wrong: TM_EPARSE, TM_ELIMIT, TM_ENOMEM. */
MUST_USE enum tm_err conf_tree_parse(const char *text, size_t n, struct conf_node **ret_root,
                                     unsigned *ret_line, char error[CONF_ERROR_MAX]);
void conf_tree_free(struct conf_node *root); /* NULL-safe */
typedef struct conf_node conf_node;
AUTO_DEFINE(conf_node, conf_tree_free)

/* The child of a MAP by key, or NULL. */
const struct conf_node *conf_tree_child(const struct conf_node *map, const char *key);
/* A plain scalar that YAML reads as null. */
bool conf_tree_is_null(const struct conf_node *node);

#endif
