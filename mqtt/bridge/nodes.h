/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sparkplug edge nodes and devices that are known, up to a bound: then the one that was quiet for
 * longest makes room, and would have to be born again. Nothing here was proven by anybody.
 */
#ifndef TOUCHMARK_MQTT_BRIDGE_NODES_H
#define TOUCHMARK_MQTT_BRIDGE_NODES_H

#include <sys/queue.h>

#include "base/loop.h"
#include "mqtt/wire/contract.h"

struct mqtt_answer;

/* An edge node, or a device behind one. */
struct mqtt_node {
    struct mqtt_topic name; /* type is not used; device "": an edge node */
    TAILQ_ENTRY(mqtt_node) by_use;
    bool online;
    uint64_t session; /* which birth of the edge node this belongs to */

    /* of an edge node */
    bool has_bdseq;
    uint64_t bdseq;
    uint8_t next_seq;
    uint8_t early; /* bit i: next_seq + 1 + i came already */
    struct loop_timer reorder;
    void *reorder_arg;
    int64_t rebirth_at; /* monotonic: no rebirth is asked for before */
    TAILQ_ENTRY(mqtt_node) rebirths;
    bool rebirth_queued; /* it is to be asked for its births */

    /* of the contract, as the birth said it */
    /* May it be spoken to at all? Commands write only what the birth listed
     * (tck-id-operational-behavior-data-commands-*-metric-name). */
    bool takes_part;
    enum mqtt_state state;
    char device[MQTT_ID_MAX + 1]; /* in the registry */
    char label[MQTT_ID_MAX + 1];
    struct mqtt_aliases aliases;

    /* what is under way: such a node is kept */
    bool requested;
    STAILQ_ENTRY(mqtt_node) births;
    bool birth_queued;
    bool birth_wants;  /* what the core was asked with */
    uint64_t birth_id; /* 0: it was not asked for */
    struct mqtt_answer *answer;
};

struct mqtt_nodes {
    void *tree; /* of search.h: as deep as a logarithm, whatever the names are */
    TAILQ_HEAD(mqtt_nodes_by_use, mqtt_node) by_use; /* quiet for longest first */
    size_t count, max;
    uint64_t sessions;
};

void mqtt_nodes_init(struct mqtt_nodes *nodes, size_t max);
/* All timers and answers have to be gone. */
void mqtt_nodes_deinit(struct mqtt_nodes *nodes);
/* NULL: not known. device "": the edge node. */
struct mqtt_node *mqtt_nodes_find(struct mqtt_nodes *nodes, const struct mqtt_topic *name,
                                  const char *device);
/* Finds or makes it, and notes that it was heard of. NULL: no memory, or all are in use. */
struct mqtt_node *mqtt_nodes_get(struct mqtt_nodes *nodes, const struct mqtt_topic *name,
                                 const char *device);
/* Is it online, and of a device also its edge node, since the same birth? */
bool mqtt_node_online(struct mqtt_nodes *nodes, const struct mqtt_node *node);

#endif
