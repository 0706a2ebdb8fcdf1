/* SPDX-License-Identifier: Apache-2.0 */
/* Lifecycle events: published with QoS 1, acknowledged to the core in order once the broker has
 * them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "mqtt/bridge/bridge_internal.h"

#define REFUSED_PAUSE_MS 10000 /* before an event that the broker refused is published again */

static struct mqtt_event *row_at(struct mqtt_events *events, size_t i) {
    return &events->rows[(events->first + i) % MQTT_BRIDGE_EVENTS_MAX];
}

static void clear(struct mqtt_event *row) {
    free(row->topic);
    free(row->json);
    *row = (struct mqtt_event){0};
}

void mqtt_events_deinit(struct mqtt_events *events) {
    for (size_t i = 0; i < MQTT_BRIDGE_EVENTS_MAX; i++)
        clear(&events->rows[i]);
    *events = (struct mqtt_events){0};
}

/* A level of a topic: never empty, without what MQTT gives a meaning. */
static void level(const char *text, char ret[IPC_NAME_MAX + 1]) {
    text_copy(ret, IPC_NAME_MAX + 1, text[0] ? text : "-");
    for (char *c = ret; *c; c++)
        if (strchr("/+#", *c) || (unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '-';
}

static char *make_topic(const char *prefix, const struct ipc_event *event) {
    char tenant[IPC_NAME_MAX + 1], device[IPC_NAME_MAX + 1], name[IPC_NAME_MAX + 1];
    char *topic = NULL;
    level(event->tenant, tenant);
    level(event->device, device);
    level(event->name, name);
    return asprintf(&topic, "%s/event/%s/%s/%s", prefix, tenant, device, name) < 0 ? NULL : topic;
}

static bool fill(struct mqtt_event *row, const char *prefix, const struct ipc_event *event) {
    *row = (struct mqtt_event){
        .sequence = event->sequence,
        .topic = make_topic(prefix, event),
        .json = malloc(event->json.n + 1),
        .n = event->json.n,
    };
    if (row->json && event->json.n)
        memcpy(row->json, event->json.p, event->json.n);
    if (row->topic && row->json)
        return true;
    clear(row);
    return false;
}

void mqtt_events_take(struct mqtt_bridge *bridge, const struct ipc_event *event) {
    struct mqtt_events *events = &bridge->events;
    if (!bridge->settings.config.events) { /* nobody wants them */
        events->ack = event->sequence;
        return;
    }
    if (events->missed)
        return;
    events->missed = events->count == MQTT_BRIDGE_EVENTS_MAX ||
                     !fill(row_at(events, events->count), bridge->settings.config.prefix, event);
    if (events->missed)
        log_warn("event %llu and those after it are not taken: too many are not acknowledged",
                 (unsigned long long)event->sequence);
    else
        events->count++;
}

void mqtt_events_lost(struct mqtt_events *events) {
    for (size_t i = 0; i < events->count; i++)
        row_at(events, i)->id = 0;
    events->pause = 0;
}

void mqtt_events_restart(struct mqtt_events *events) {
    mqtt_events_deinit(events);
}

/* What is at the front and done is acknowledged. */
static void retire(struct mqtt_bridge *bridge) {
    struct mqtt_events *events = &bridge->events;
    while (events->count > 0 && row_at(events, 0)->done) {
        events->ack = row_at(events, 0)->sequence;
        clear(row_at(events, 0));
        events->first = (events->first + 1) % MQTT_BRIDGE_EVENTS_MAX;
        events->count--;
        bridge->stats.events++;
    }
}

void mqtt_events_published(struct mqtt_bridge *bridge, int id, bool taken) {
    struct mqtt_events *events = &bridge->events;
    for (size_t i = 0; i < events->count; i++) {
        struct mqtt_event *row = row_at(events, i);
        if (row->id != id || row->done)
            continue;
        row->done = taken;
        row->id = 0;
        if (!taken) {
            log_warn("the broker refuses events on %s: may this client publish there?", row->topic);
            events->pause = clock_mono_ms() + REFUSED_PAUSE_MS;
        }
        mqtt_bridge_pump_soon(bridge);
        return;
    }
}

/* True when the row is on its way or will never be. */
static bool publish(struct mqtt_bridge *bridge, struct mqtt_event *row) {
    struct mqtt_outgoing message = {
        .topic = row->topic,
        .payload = {row->json, row->n},
        .qos = 1,
        .content_type = "application/json",
    };
    enum tm_err err = mqtt_broker_publish(bridge->broker, &message, &row->id);
    if (err == TM_ELIMIT || err == TM_EINVAL) {
        log_error("event %llu is not published: %s", (unsigned long long)row->sequence,
                  err == TM_ELIMIT ? "it is larger than the broker takes" : "no valid message");
        bridge->stats.too_large += err == TM_ELIMIT;
        row->done = true;
        return true;
    }
    return !err;
}

static void publish_all(struct mqtt_bridge *bridge) {
    struct mqtt_events *events = &bridge->events;
    if (!bridge->ready || clock_mono_ms() < events->pause)
        return;
    for (size_t i = 0; i < events->count; i++) {
        struct mqtt_event *row = row_at(events, i);
        if (!row->id && !row->done && !publish(bridge, row))
            return;
    }
}

void mqtt_events_pump(struct mqtt_bridge *bridge) {
    struct ipc_event_ack ack;
    publish_all(bridge);
    retire(bridge);
    ack.sequence = bridge->events.ack;
    if (ack.sequence && bridge->core && bridge->upstream.event_ack(bridge->arg, &ack))
        bridge->events.ack = 0;
}
