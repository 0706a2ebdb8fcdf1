/* SPDX-License-Identifier: Apache-2.0 */
/* Births on their way to the core. A node is in the queue once, however often it is born, and goes
 * to the end of it: so none keeps others from their turn, and no message is stored. */
#include "mqtt/bridge/bridge_internal.h"

void mqtt_births_init(struct mqtt_births *births) {
    *births = (struct mqtt_births){0};
    STAILQ_INIT(&births->queue);
}

void mqtt_births_add(struct mqtt_births *births, struct mqtt_node *node) {
    if (node->birth_queued || node->birth_id)
        return;
    node->birth_queued = true;
    births->queued++;
    STAILQ_INSERT_TAIL(&births->queue, node, births);
}

struct mqtt_node *mqtt_births_next(struct mqtt_births *births) {
    return births->asked < MQTT_BIRTHS_ASKED_MAX ? STAILQ_FIRST(&births->queue) : NULL;
}

void mqtt_births_skip(struct mqtt_births *births, struct mqtt_node *node) {
    STAILQ_REMOVE_HEAD(&births->queue, births);
    node->birth_queued = false;
    node->birth_id = 0;
    births->queued--;
}

void mqtt_births_asked(struct mqtt_births *births, struct mqtt_node *node) {
    STAILQ_REMOVE_HEAD(&births->queue, births);
    node->birth_queued = false;
    births->queued--;
    births->at_core[births->asked++] = node;
}

struct mqtt_node *mqtt_births_answered(struct mqtt_births *births, uint64_t id) {
    for (size_t i = 0; i < births->asked; i++) {
        struct mqtt_node *node = births->at_core[i];
        if (node->birth_id != id)
            continue;
        births->at_core[i] = births->at_core[--births->asked];
        node->birth_id = 0;
        return node;
    }
    return NULL;
}

void mqtt_births_again(struct mqtt_births *births) {
    while (births->asked > 0) {
        struct mqtt_node *node = births->at_core[--births->asked];
        node->birth_queued = true;
        births->queued++;
        STAILQ_INSERT_HEAD(&births->queue, node, births);
    }
}
