/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sequence numbers of edge nodes (section 5.10 and tck-id-operational-behavior-host-reordering-*),
 * and requests to be born again. Messages are taken as they come: a request for a certificate
 * stands for itself, and so nothing is stored while an earlier message is missing; only that it is
 * missing is watched.
 */
#include "base/clock.h"
#include "base/log.h"
#include "mqtt/bridge/bridge_internal.h"

#define WINDOW 8 /* messages that may come early */
#define REBIRTH_PAUSE_MS 10000

void mqtt_rebirth(struct mqtt_bridge *bridge, struct mqtt_node *edge) {
    if (edge->rebirth_queued || clock_mono_ms() < edge->rebirth_at)
        return;
    edge->rebirth_queued = true;
    TAILQ_INSERT_TAIL(&bridge->rebirths, edge, rebirths);
    mqtt_bridge_pump_soon(bridge);
}

void mqtt_rebirth_done(struct mqtt_bridge *bridge, struct mqtt_node *edge) {
    if (edge->rebirth_queued)
        TAILQ_REMOVE(&bridge->rebirths, edge, rebirths);
    edge->rebirth_queued = false;
}

/* tck-id-operational-behavior-data-commands-ncmd-rebirth-*. */
static void ask(struct mqtt_bridge *bridge, struct mqtt_node *edge) {
    uint8_t payload[128];
    struct buf out = BUF_ON(payload);
    char topic[MQTT_TOPIC_MAX];
    struct mqtt_topic name = edge->name;
    name.type = MQTT_NCMD;
    uint64_t wall = (uint64_t)bridge->settings.config.now_ms();
    if (mqtt_topic_format(&name, topic) ||
        mqtt_command_write_aliased(&edge->aliases, MQTT_METRIC_REBIRTH, (struct bytes){NULL, 0},
                                   wall, &out))
        return;
    struct mqtt_outgoing message = {.topic = topic, .payload = buf_bytes(&out)};
    if (mqtt_broker_publish(bridge->broker, &message, NULL))
        return;
    edge->rebirth_at = clock_mono_ms() + REBIRTH_PAUSE_MS;
    bridge->stats.rebirths++;
}

void mqtt_rebirth_pump(struct mqtt_bridge *bridge, int64_t now, int64_t *at) {
    struct mqtt_node *edge;
    while (bridge->ready && !bridge->draining && (edge = TAILQ_FIRST(&bridge->rebirths))) {
        if (!mqtt_pace_take(&bridge->rebirth_pace, now)) {
            int64_t next = mqtt_pace_next(&bridge->rebirth_pace, now);
            *at = next < *at ? next : *at;
            return;
        }
        mqtt_rebirth_done(bridge, edge);
        ask(bridge, edge);
    }
}

/* The Reorder Timeout is over: what is missing does not come any more. */
static void give_up(void *arg) {
    struct mqtt_node *edge = arg;
    while (edge->early) {
        edge->next_seq++;
        edge->early >>= 1;
    }
    edge->next_seq++;
    mqtt_rebirth(edge->reorder_arg, edge);
}

void mqtt_sequence_stop(struct mqtt_bridge *bridge, struct mqtt_node *edge) {
    loop_timer_stop(bridge->loop, &edge->reorder);
    edge->early = 0;
}

void mqtt_sequence_birth(struct mqtt_bridge *bridge, struct mqtt_node *edge, uint64_t seq) {
    mqtt_sequence_stop(bridge, edge);
    mqtt_rebirth_done(bridge, edge);
    edge->reorder.fn = give_up;
    edge->reorder.arg = edge;
    edge->reorder_arg = bridge;
    edge->next_seq = (uint8_t)(seq + 1);
}

static void start_timer(struct mqtt_bridge *bridge, struct mqtt_node *edge) {
    int64_t at = clock_mono_ms() + bridge->settings.config.reorder_ms;
    if (loop_timer_set(bridge->loop, &edge->reorder, at))
        log_error("no memory for the timer of an edge node");
}

/* The one that was due; with it what came early. */
static void advance(struct mqtt_bridge *bridge, struct mqtt_node *edge) {
    bool came;
    bool waited = edge->early != 0;
    do {
        edge->next_seq++;
        came = edge->early & 1;
        edge->early >>= 1;
    } while (came);
    if (!edge->early)
        loop_timer_stop(bridge->loop, &edge->reorder);
    else if (waited)
        start_timer(bridge, edge); /* for the next one that is missing */
}

bool mqtt_sequence_next(struct mqtt_bridge *bridge, struct mqtt_node *edge, uint64_t seq) {
    if (seq > UINT8_MAX)
        return false;
    uint8_t ahead = (uint8_t)(seq - edge->next_seq);
    if (ahead == 0) {
        advance(bridge, edge);
    } else if (ahead <= WINDOW) {
        edge->early |= (uint8_t)(1U << (ahead - 1));
        if (edge->reorder.slot == 0)
            start_timer(bridge, edge);
    } else if (ahead < (uint8_t)-WINDOW) { /* else it is a late one, which was given up */
        mqtt_sequence_stop(bridge, edge);
        edge->next_seq = (uint8_t)(seq + 1);
        mqtt_rebirth(bridge, edge);
    }
    return true;
}
