/* SPDX-License-Identifier: Apache-2.0 */
/* Which edge nodes and devices are known. See nodes.h. */
#include "mqtt/bridge/nodes.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"

#define EVICT_TRIES 64 /* of the quietest ones, those that are not in use */

void mqtt_nodes_init(struct mqtt_nodes *nodes, size_t max) {
    *nodes = (struct mqtt_nodes){.max = max};
    TAILQ_INIT(&nodes->by_use);
}

static int compare(const void *a, const void *b) {
    const struct mqtt_topic *left = &((const struct mqtt_node *)a)->name;
    const struct mqtt_topic *right = &((const struct mqtt_node *)b)->name;
    int order = strcmp(left->group, right->group);
    if (order == 0)
        order = strcmp(left->edge_node, right->edge_node);
    return order ? order : strcmp(left->device, right->device);
}

static void forget(struct mqtt_nodes *nodes, struct mqtt_node *node) {
    (void)tdelete(node, &nodes->tree, compare);
    TAILQ_REMOVE(&nodes->by_use, node, by_use);
    nodes->count--;
    free(node);
}

void mqtt_nodes_deinit(struct mqtt_nodes *nodes) {
    while (!TAILQ_EMPTY(&nodes->by_use))
        forget(nodes, TAILQ_FIRST(&nodes->by_use));
}

static void set_name(struct mqtt_topic *ret, const struct mqtt_topic *name, const char *device) {
    TEXT_SET(ret->group, name->group);
    TEXT_SET(ret->edge_node, name->edge_node);
    TEXT_SET(ret->device, device);
}

struct mqtt_node *mqtt_nodes_find(struct mqtt_nodes *nodes, const struct mqtt_topic *name,
                                  const char *device) {
    struct mqtt_node key;
    set_name(&key.name, name, device);
    struct mqtt_node **found = tfind(&key, &nodes->tree, compare);
    return found ? *found : NULL;
}

static bool in_use(const struct mqtt_node *node) {
    return node->requested || node->rebirth_queued || node->birth_queued || node->birth_id ||
           node->answer || node->reorder.slot;
}

/* True when there is room for one more. */
static bool make_room(struct mqtt_nodes *nodes) {
    struct mqtt_node *node = TAILQ_FIRST(&nodes->by_use);
    for (int i = 0; nodes->count >= nodes->max && node && i < EVICT_TRIES; i++) {
        struct mqtt_node *next = TAILQ_NEXT(node, by_use);
        if (!in_use(node))
            forget(nodes, node);
        node = next;
    }
    return nodes->count < nodes->max;
}

static struct mqtt_node *make(struct mqtt_nodes *nodes, const struct mqtt_topic *name,
                              const char *device) {
    AUTO_MEM struct mqtt_node *node = make_room(nodes) ? calloc(1, sizeof *node) : NULL;
    if (!node)
        return NULL;
    set_name(&node->name, name, device);
    if (!tsearch(node, &nodes->tree, compare))
        return NULL;
    TAILQ_INSERT_TAIL(&nodes->by_use, node, by_use);
    nodes->count++;
    return TAKE(node);
}

struct mqtt_node *mqtt_nodes_get(struct mqtt_nodes *nodes, const struct mqtt_topic *name,
                                 const char *device) {
    struct mqtt_node *node = mqtt_nodes_find(nodes, name, device);
    if (!node)
        return make(nodes, name, device);
    TAILQ_REMOVE(&nodes->by_use, node, by_use);
    TAILQ_INSERT_TAIL(&nodes->by_use, node, by_use);
    return node;
}

bool mqtt_node_online(struct mqtt_nodes *nodes, const struct mqtt_node *node) {
    if (!node->online || !node->name.device[0])
        return node->online;
    const struct mqtt_node *edge = mqtt_nodes_find(nodes, &node->name, "");
    return edge && edge->online && edge->session == node->session;
}
