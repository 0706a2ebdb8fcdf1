/* SPDX-License-Identifier: Apache-2.0 */
/* What goes to the core and how fast; and when the broker has to keep what devices send. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "mqtt/bridge/bridge_internal.h"

#define BUSY_PAUSE_MS 1000 /* after the core's link took nothing */
#define DROP_SAID_MS 10000 /* between two lines of the log on dropped requests */

void mqtt_bridge_pump_soon(struct mqtt_bridge *bridge) {
    if (loop_timer_set(bridge->loop, &bridge->pump, clock_mono_ms()))
        log_error("no memory for the bridge's timer");
}

/* Reading stops while the queue is full, and so the broker keeps what comes (libmosquitto
 * acknowledges what it reads: not reading is the only way to leave it there). Not for ever: answers
 * to our keep-alive come the same way. Then what does not fit is dropped; devices ask again. */
static void hold_back(struct mqtt_bridge *bridge, int64_t now) {
    const struct mqtt_bridge_config *config = &bridge->settings.config;
    bool full = bridge->requests.used >= config->queue && !bridge->draining;
    if (!full) {
        bridge->paused_at = 0;
        bridge->shedding = false;
    } else if (!bridge->paused_at) {
        bridge->paused_at = now;
    } else if (now - bridge->paused_at >= config->keepalive_s * 1000 / 2) {
        bridge->shedding = true;
    }
    mqtt_broker_pause(bridge->broker, full && !bridge->shedding);
}

void mqtt_bridge_request(struct mqtt_bridge *bridge, struct mqtt_request *request) {
    int64_t now = clock_mono_ms();
    request->id = bridge->next_id++;
    enum tm_err err = mqtt_requests_add(&bridge->requests, request);
    hold_back(bridge, now);
    mqtt_bridge_pump_soon(bridge);
    if (!err || err == TM_EEXISTS)
        return;
    bridge->stats.dropped++;
    if (bridge->drop_said && now - bridge->drop_said < DROP_SAID_MS)
        return;
    bridge->drop_said = now;
    log_warn("requests over MQTT are dropped (%llu by now): %s",
             (unsigned long long)bridge->stats.dropped, tm_err_name(err));
}

void mqtt_remote_set(char ret[IPC_ADDRESS_MAX + 1], const char *text) {
    size_t n = strlen(text);
    if (n > IPC_ADDRESS_MAX)
        for (n = IPC_ADDRESS_MAX; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;)
            n--;
    memcpy(ret, text, n);
    ret[n] = '\0';
}

static void set_remote(const struct mqtt_bridge *bridge, const struct mqtt_where *where,
                       char ret[IPC_ADDRESS_MAX + 1]) {
    const struct mqtt_topic *name = where->node ? &where->node->name : NULL;
    char text[MQTT_TOPIC_MAX];
    struct buf out = {(uint8_t *)text, sizeof text - 1, 0, false};
    buf_put(&out, bytes_str(name ? name->group : bridge->settings.config.prefix));
    buf_put(&out, bytes_str("/"));
    buf_put(&out, bytes_str(name ? name->edge_node : where->device));
    if (name && name->device[0]) {
        buf_put(&out, bytes_str("/"));
        buf_put(&out, bytes_str(name->device));
    }
    text[out.n] = '\0';
    mqtt_remote_set(ret, text);
}

static bool ask_enroll(struct mqtt_bridge *bridge, struct mqtt_request *request) {
    struct ipc_enroll enroll = {
        .id = request->id,
        .operation = IPC_OP_FULLCMC,
        .origin = IPC_ORIGIN_MQTT,
        .csr = {request->csr, request->csr_n},
    };
    set_remote(bridge, &request->where, enroll.remote);
    return bridge->upstream.enroll(bridge->arg, &enroll);
}

static bool ask_offer(struct mqtt_bridge *bridge, struct mqtt_request *request) {
    struct ipc_birth birth = {.id = request->id, .wants = true};
    TEXT_SET(birth.device, request->where.device);
    TEXT_SET(birth.label, request->label);
    return bridge->upstream.birth(bridge->arg, &birth);
}

static bool ask_request(struct mqtt_bridge *bridge, struct mqtt_request *request) {
    bool enroll = request->kind == MQTT_REQUEST_ENROLL;
    if (!(enroll ? ask_enroll(bridge, request) : ask_offer(bridge, request))) {
        bridge->core_busy = true;
        return false;
    }
    mqtt_requests_asked(&bridge->requests, request, true);
    bridge->stats.requests++;
    return true;
}

static bool ask_birth(struct mqtt_bridge *bridge, struct mqtt_node *node) {
    struct ipc_birth birth = {.id = node->birth_id ? node->birth_id : bridge->next_id,
                              .wants = node->state == MQTT_STATE_WAITING};
    TEXT_SET(birth.device, node->device);
    TEXT_SET(birth.label, node->label);
    if (!bridge->upstream.birth(bridge->arg, &birth)) {
        bridge->core_busy = true;
        return false;
    }
    if (birth.id == bridge->next_id)
        bridge->next_id++;
    node->birth_id = birth.id;
    node->birth_wants = birth.wants;
    mqtt_births_asked(&bridge->births, node);
    return true;
}

static struct mqtt_request *next_request(struct mqtt_bridge *bridge, enum mqtt_request_kind kind) {
    if (bridge->requests.asked >= bridge->settings.config.queue)
        return NULL;
    return mqtt_requests_next(&bridge->requests, kind, clock_mono_ms());
}

/* Who is away by now will be born again. */
static struct mqtt_node *next_birth(struct mqtt_bridge *bridge) {
    struct mqtt_node *node;
    while ((node = mqtt_births_next(&bridge->births)) && !mqtt_node_online(&bridge->nodes, node))
        mqtt_births_skip(&bridge->births, node);
    return node;
}

/* One birth or request for an offer, in turn: neither profile keeps the other waiting. */
static bool ask_paced(struct mqtt_bridge *bridge) {
    struct mqtt_node *node = next_birth(bridge);
    struct mqtt_request *offer = next_request(bridge, MQTT_REQUEST_OFFER);
    if ((!node && !offer) || !mqtt_pace_take(&bridge->birth_pace, clock_mono_ms()))
        return false;
    bool is_offer = offer && (!node || bridge->offers_turn);
    bridge->offers_turn = !is_offer;
    return is_offer ? ask_request(bridge, offer) : ask_birth(bridge, node);
}

static void ask_core(struct mqtt_bridge *bridge) {
    struct mqtt_request *request;
    while (bridge->core && !bridge->core_busy &&
           (request = next_request(bridge, MQTT_REQUEST_ENROLL)))
        if (!ask_request(bridge, request))
            return;
    while (bridge->core && !bridge->core_busy && ask_paced(bridge))
        ;
}

/* When something may be due that no event tells of; INT64_MAX: never. */
static int64_t next_time(struct mqtt_bridge *bridge, int64_t now) {
    const struct mqtt_bridge_config *config = &bridge->settings.config;
    int64_t at = INT64_MAX, due;
    if (bridge->core_busy || bridge->events.ack)
        at = now + BUSY_PAUSE_MS;
    if (bridge->events.pause > now && bridge->events.pause < at)
        at = bridge->events.pause;
    if (bridge->paused_at && !bridge->shedding)
        at = now + config->keepalive_s * 500 < at ? now + config->keepalive_s * 500 : at;
    if (!bridge->core || bridge->core_busy)
        return at;
    due = mqtt_requests_due(&bridge->requests, now);
    at = due < at ? due : at;
    if (!next_birth(bridge) && !next_request(bridge, MQTT_REQUEST_OFFER))
        return at;
    due = mqtt_pace_next(&bridge->birth_pace, now);
    return due < at ? due : at;
}

void mqtt_bridge_pump(void *arg) {
    struct mqtt_bridge *bridge = arg;
    bridge->core_busy = false;
    ask_core(bridge);
    mqtt_events_pump(bridge);
    int64_t now = clock_mono_ms();
    hold_back(bridge, now);
    int64_t at = next_time(bridge, now);
    mqtt_rebirth_pump(bridge, now, &at);
    if (at != INT64_MAX && loop_timer_set(bridge->loop, &bridge->pump, at))
        log_error("no memory for the bridge's timer");
}
