/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that a device has to confirm: sent again, with growing pauses, while it is online. The
 * durable copy is the core's; this one may be lost at any time. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "mqtt/bridge/bridge_internal.h"

void mqtt_outbox_init(struct mqtt_outbox *outbox) {
    *outbox = (struct mqtt_outbox){0};
    TAILQ_INIT(&outbox->list);
}

void mqtt_outbox_deinit(struct mqtt_bridge *bridge) {
    while (!TAILQ_EMPTY(&bridge->outbox.list))
        mqtt_outbox_drop(bridge, TAILQ_FIRST(&bridge->outbox.list)->node);
}

void mqtt_outbox_drop(struct mqtt_bridge *bridge, struct mqtt_node *node) {
    struct mqtt_answer *answer = node->answer;
    if (!answer)
        return;
    loop_timer_stop(bridge->loop, &answer->timer);
    TAILQ_REMOVE(&bridge->outbox.list, answer, list);
    bridge->outbox.count--;
    node->answer = NULL;
    free(answer);
}

/* Half of the pause again is left to chance: devices that got theirs at once do not all get it
 * again at once. */
static void wait(struct mqtt_answer *answer) {
    int64_t chance = arc4random_uniform(
        (uint32_t)(answer->pause_ms > UINT32_MAX / 2 ? UINT32_MAX / 2 : answer->pause_ms / 2 + 1));
    if (loop_timer_set(answer->bridge->loop, &answer->timer,
                       clock_mono_ms() + answer->pause_ms + chance))
        log_error("no memory for an answer's timer");
}

static void again(void *arg) {
    struct mqtt_answer *answer = arg;
    struct mqtt_bridge *bridge = answer->bridge;
    int64_t most = bridge->settings.config.retransmit_max_ms;
    if (!mqtt_node_online(&bridge->nodes, answer->node)) {
        mqtt_outbox_drop(bridge, answer->node);
        return;
    }
    answer->pause_ms = answer->pause_ms > most / 2 ? most : 2 * answer->pause_ms;
    wait(answer);
    bridge->stats.retransmissions++;
    mqtt_answer_node(bridge, answer->node, MQTT_METRIC_RESPONSE,
                     (struct bytes){answer->cmc, answer->n});
}

void mqtt_outbox_put(struct mqtt_bridge *bridge, struct mqtt_node *node, struct bytes cmc) {
    mqtt_outbox_drop(bridge, node);
    if (bridge->outbox.count == MQTT_OUTBOX_MAX)
        mqtt_outbox_drop(bridge, TAILQ_FIRST(&bridge->outbox.list)->node);
    struct mqtt_answer *answer = malloc(sizeof *answer + cmc.n);
    if (!answer) {
        log_error("no memory for an answer that is to be sent again");
        return;
    }
    *answer = (struct mqtt_answer){
        .bridge = bridge,
        .node = node,
        .timer = {.fn = again, .arg = answer},
        .pause_ms = bridge->settings.config.retransmit_ms,
        .n = cmc.n,
    };
    memcpy(answer->cmc, cmc.p, cmc.n);
    TAILQ_INSERT_TAIL(&bridge->outbox.list, answer, list);
    bridge->outbox.count++;
    node->answer = answer;
    wait(answer);
}
