/* SPDX-License-Identifier: Apache-2.0 */
/* STATE of this host application: JSON in the will, at the birth and at the end. */
#include <jansson.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "mqtt/bridge/bridge_internal.h"

#define SAID_AGAIN_MS 1000 /* two who call themselves the same do not answer each other faster */
#define JSON_MAX 1024      /* octets of a STATE payload that is read */

static size_t write_state(bool online, int64_t timestamp_ms, uint8_t *ret, size_t cap) {
    json_t *state =
        json_pack("{s:b, s:I}", "online", (int)online, "timestamp", (json_int_t)timestamp_ms);
    size_t n = state ? json_dumpb(state, (char *)ret, cap, JSON_COMPACT) : 0;
    json_decref(state);
    return n <= cap ? n : 0;
}

static bool read_state(struct bytes payload, bool *ret_online, int64_t *ret_timestamp_ms) {
    if (payload.n == 0 || payload.n > JSON_MAX)
        return false;
    json_t *state = json_loadb((const char *)payload.p, payload.n, JSON_REJECT_DUPLICATES, NULL);
    const json_t *online = json_object_get(state, "online");
    const json_t *timestamp = json_object_get(state, "timestamp");
    bool valid = json_is_boolean(online) && json_is_integer(timestamp);
    if (valid) {
        *ret_online = json_is_true(online);
        *ret_timestamp_ms = json_integer_value(timestamp);
    }
    json_decref(state);
    return valid;
}

static void say_again(void *arg) {
    struct mqtt_bridge *bridge = arg;
    if (bridge->ready)
        mqtt_host_state_publish(bridge, true, bridge->state.timestamp_ms);
}

enum tm_err mqtt_host_state_init(struct mqtt_bridge *bridge) {
    struct mqtt_topic topic = {.type = MQTT_STATE};
    TEXT_SET(topic.edge_node, bridge->settings.config.host_id);
    bridge->state.again = (struct loop_timer){.fn = say_again, .arg = bridge};
    return mqtt_topic_format(&topic, bridge->state.topic);
}

void mqtt_host_state_deinit(struct mqtt_bridge *bridge) {
    loop_timer_stop(bridge->loop, &bridge->state.again);
}

/* tck-id-host-topic-phid-death-*: registered with CONNECT, with the time of CONNECT, which is that
 * of the birth that follows. */
bool mqtt_host_state_will(struct mqtt_bridge *bridge, struct mqtt_outgoing *ret) {
    struct mqtt_state_topic *state = &bridge->state;
    state->timestamp_ms = bridge->settings.config.now_ms();
    size_t n = write_state(false, state->timestamp_ms, state->payload, sizeof state->payload);
    *ret = (struct mqtt_outgoing){
        .topic = state->topic, .payload = {state->payload, n}, .qos = 1, .retain = true};
    return n > 0;
}

void mqtt_host_state_publish(struct mqtt_bridge *bridge, bool online, int64_t timestamp_ms) {
    uint8_t text[64];
    size_t n = write_state(online, timestamp_ms, text, sizeof text);
    struct mqtt_outgoing message = {
        .topic = bridge->state.topic, .payload = {text, n}, .qos = 1, .retain = true};
    enum tm_err err = mqtt_broker_publish(bridge->broker, &message, NULL);
    bridge->state.said_at = clock_mono_ms();
    if (err)
        log_warn("STATE is not published: %s", tm_err_name(err));
}

/* tck-id-message-flow-hid-sparkplug-state-message-delivered: said again with the timestamp of this
 * connection's will. */
void mqtt_host_state_seen(struct mqtt_bridge *bridge, struct bytes payload) {
    struct mqtt_state_topic *state = &bridge->state;
    bool online = false;
    int64_t timestamp_ms = 0;
    bool valid = read_state(payload, &online, &timestamp_ms);
    if (!valid)
        bridge->stats.malformed++;
    if (!bridge->ready || (valid && online && timestamp_ms >= state->timestamp_ms))
        return;
    if (state->again.slot == 0 &&
        loop_timer_set(bridge->loop, &state->again, state->said_at + SAID_AGAIN_MS))
        log_error("no memory for STATE's timer");
}
