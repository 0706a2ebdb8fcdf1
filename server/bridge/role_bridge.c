/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bridge role: mqtt/bridge in a process of its own, between a broker and the core. What it
 * needs for the broker is read before privileges go; whether there is a broker is found out
 * afterwards.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "mqtt/bridge/bridge.h"
#include "server/bridge/files.h"
#include "server/role.h"

#define DRAIN_POLL_MS 20
#define EVENTS_MAX 1024 /* acknowledgements that the link keeps */

struct bridge {
    struct role *role;
    struct mqtt_bridge *mqtt;
    struct ipc_link *core; /* NULL: the core is away */
    struct loop_timer drain;
    int64_t drain_until; /* 0 = not draining */
};

/* ---- to the core ---- */

static bool send_to_core(struct bridge *bridge, const struct codec_schema *schema,
                         const void *message) {
    enum tm_err err = bridge->core ? ipc_link_send(bridge->core, schema, message) : TM_ECLOSED;
    if (err && err != TM_ECLOSED)
        log_warn("a message did not reach the core: %s", tm_err_name(err));
    return !err;
}

static bool send_enroll(void *arg, const struct ipc_enroll *request) {
    bool sent = send_to_core(arg, &ipc_enroll_schema, request);
    if (sent)
        crash_point("bridge.request_sent");
    return sent;
}

static bool send_birth(void *arg, const struct ipc_birth *birth) {
    return send_to_core(arg, &ipc_birth_schema, birth);
}

static bool send_event_ack(void *arg, const struct ipc_event_ack *ack) {
    return send_to_core(arg, &ipc_event_ack_schema, ack);
}

static const struct mqtt_bridge_upstream upstream = {send_enroll, send_birth, send_event_ack};

/* ---- from the core ---- */

static bool take_reply(struct bridge *bridge, struct bytes message) {
    struct ipc_reply reply;
    if (codec_decode(&ipc_reply_schema, message, &reply))
        return false;
    crash_point("bridge.reply_received");
    mqtt_bridge_reply(bridge->mqtt, &reply);
    return true;
}

static bool take_offer(struct bridge *bridge, struct bytes message) {
    struct ipc_offer offer;
    if (codec_decode(&ipc_offer_schema, message, &offer))
        return false;
    mqtt_bridge_offer(bridge->mqtt, &offer);
    return true;
}

static bool take_event(struct bridge *bridge, struct bytes message) {
    struct ipc_event event;
    if (codec_decode(&ipc_event_schema, message, &event))
        return false;
    mqtt_bridge_event(bridge->mqtt, &event);
    return true;
}

static bool take(struct bridge *bridge, struct bytes message) {
    switch (codec_peek(message)) {
    case IPC_TYPE_REPLY:
        return take_reply(bridge, message);
    case IPC_TYPE_OFFER:
        return take_offer(bridge, message);
    case IPC_TYPE_EVENT:
        return take_event(bridge, message);
    default:
        return false;
    }
}

static void core_message(void *arg, struct ipc_link *link, struct bytes message, int fd) {
    (void)link;
    if (fd >= 0)
        (void)close(fd); /* the core has no reason to send one */
    if (!take(arg, message))
        log_error("the core sent what cannot be read (type %#x)", codec_peek(message));
}

static void lose_core(struct bridge *bridge) {
    if (!bridge->core)
        return;
    ipc_link_close(bridge->core);
    bridge->core = NULL;
    mqtt_bridge_core(bridge->mqtt, false);
}

static void core_closed(void *arg, struct ipc_link *link) {
    (void)link;
    log_warn("the core is gone; what devices send waits for its successor");
    lose_core(arg);
}

static const struct ipc_link_events core_events = {core_message, core_closed};

/* Room for everything that the bridge may have under way: nothing of it is asked twice on a link.
 */
static size_t link_queue(const struct conf_mqtt *mqtt) {
    return mqtt->queue + mqtt->max_nodes + EVENTS_MAX;
}

static void linked(struct role *role, enum ipc_role peer, unsigned peer_index, int fd) {
    struct bridge *bridge = role->self;
    (void)peer_index;
    if (peer != IPC_ROLE_CORE) {
        log_error("a bridge needs no link to role %d", (int)peer);
        (void)close(fd);
        return;
    }
    lose_core(bridge);
    if (ipc_link_open(role->loop, fd, link_queue(&role->conf->mqtt), &core_events, bridge,
                      &bridge->core))
        log_error("cannot open the link to the core");
    else
        mqtt_bridge_core(bridge->mqtt, true);
}

/* ---- draining ---- */

static void drain_on(void *arg) {
    struct bridge *bridge = arg;
    bool done = mqtt_bridge_drain(bridge->mqtt), late = clock_mono_ms() >= bridge->drain_until;
    if (!done && late)
        log_warn("the time to finish is over; devices that wait ask the next bridge");
    if (done || late ||
        loop_timer_set(bridge->role->loop, &bridge->drain, clock_mono_ms() + DRAIN_POLL_MS))
        role_exit(bridge->role);
}

static void drain(struct role *role) {
    struct bridge *bridge = role->self;
    if (!bridge->drain_until)
        bridge->drain_until = clock_mono_ms() + role->conf->process.drain_timeout;
    drain_on(bridge);
}

/* ---- start ---- */

static enum tm_err open_mqtt(struct bridge *bridge, const struct bridge_files *files) {
    const struct conf_mqtt *mqtt = &bridge->role->conf->mqtt;
    struct conf_broker broker;
    char text[IPC_TEXT_MAX + 1] = "";
    enum tm_err err = conf_broker_parse(mqtt->broker, &broker);
    if (err)
        return err;
    const struct mqtt_bridge_config config = {.host = broker.host,
                                              .port = broker.port,
                                              .client_id = mqtt->client_id,
                                              .username = mqtt->user,
                                              .password = bytes_str(files->password),
                                              .tls_anchors = files->anchors,
                                              .tls_certificate = files->certificate,
                                              .tls_key = files->key,
                                              .tls_name = mqtt->name,
                                              .sparkplug = mqtt->sparkplug,
                                              .host_id = mqtt->host_id,
                                              .groups = (const char *const *)mqtt->groups.items,
                                              .group_count = mqtt->groups.count,
                                              .plain = mqtt->plain,
                                              .prefix = mqtt->prefix,
                                              .events = mqtt->events,
                                              .queue = mqtt->queue,
                                              .nodes_max = mqtt->max_nodes,
                                              .births_per_second =
                                                  (unsigned)mqtt->births_per_second,
                                              .retransmit_ms = mqtt->retransmit,
                                              .retransmit_max_ms = mqtt->retransmit_max,
                                              .keepalive_s = mqtt->keepalive / 1000,
                                              .now_ms = clock_wall_ms};
    err = mqtt_bridge_new(bridge->role->loop, &config, &upstream, bridge, &bridge->mqtt, text);
    if (err)
        log_error("mqtt: %s", text);
    return err == TM_EINVAL ? TM_EPARSE : err; /* so that it counts as the configuration's fault */
}

static enum tm_err open_bridge(struct bridge *bridge) {
    struct bridge_files files;
    enum tm_err err = bridge_files_read(&bridge->role->conf->mqtt, true, &files);
    if (!err)
        err = role_drop(bridge->role);
    if (!err)
        err = open_mqtt(bridge, &files);
    bridge_files_wipe(&files);
    return err;
}

enum tm_err bridge_start(struct role *role) {
    struct bridge *bridge = calloc(1, sizeof *bridge);
    if (!bridge)
        return TM_ENOMEM;
    bridge->role = role;
    bridge->drain = (struct loop_timer){.fn = drain_on, .arg = bridge};
    role->self = bridge;
    role->linked = linked;
    role->drain = drain;
    enum tm_err err = open_bridge(bridge);
    return err ? err : role_ready(role);
}

void bridge_stop(struct role *role) {
    struct bridge *bridge = role->self;
    if (!bridge)
        return;
    loop_timer_stop(role->loop, &bridge->drain);
    mqtt_bridge_free(bridge->mqtt);
    ipc_link_close(bridge->core);
    free(bridge);
    role->self = NULL;
}
