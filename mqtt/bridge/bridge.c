/* SPDX-License-Identifier: Apache-2.0 */
/* The bridge as a whole: the broker's events and the core's answers, each to whom it concerns. */
#include "mqtt/bridge/bridge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "mqtt/bridge/bridge_internal.h"

#define RETRIES_MAX 8 /* of a request that the core could not take now */
#define RETRY_MAX_S 300

/* ---- the broker's side ---- */

static bool will(void *arg, struct mqtt_outgoing *ret) {
    struct mqtt_bridge *bridge = arg;
    return bridge->settings.config.sparkplug && mqtt_host_state_will(bridge, ret);
}

static void subscribe(struct mqtt_bridge *bridge, const char *const *filters, size_t count) {
    int id = 0;
    enum tm_err err = mqtt_broker_subscribe(bridge->broker, filters, count, &id);
    if (err)
        log_error("cannot subscribe to %s: %s", filters[0], tm_err_name(err));
    else
        bridge->subscriptions++;
}

/* What edge nodes say; commands and others' STATE are not for us. */
static void subscribe_group(struct mqtt_bridge *bridge, const char *group) {
    static const char *const kinds[] = {"NBIRTH/+",   "NDEATH/+",   "NDATA/+",
                                        "DBIRTH/+/+", "DDEATH/+/+", "DDATA/+/+"};
    enum { KINDS = sizeof kinds / sizeof kinds[0] };
    char filters[KINDS][MQTT_TOPIC_MAX];
    const char *list[KINDS];
    for (size_t i = 0; i < KINDS; i++) {
        (void)snprintf(filters[i], sizeof filters[i], MQTT_SPARKPLUG "/%s/%s", group, kinds[i]);
        list[i] = filters[i];
    }
    subscribe(bridge, list, KINDS);
}

/* tck-id-host-topic-phid-birth-sub-required: its own STATE, then the namespace. */
static void subscribe_sparkplug(struct mqtt_bridge *bridge) {
    const struct mqtt_bridge_config *config = &bridge->settings.config;
    const char *state = bridge->state.topic;
    subscribe(bridge, &state, 1);
    if (config->group_count == 0)
        subscribe_group(bridge, "+");
    for (size_t i = 0; i < config->group_count; i++)
        subscribe_group(bridge, config->groups[i]);
}

static void subscribe_plain(struct mqtt_bridge *bridge) {
    char offer[MQTT_TOPIC_MAX], request[MQTT_TOPIC_MAX];
    const char *list[] = {offer, request};
    (void)snprintf(offer, sizeof offer, "%s/+/offer", bridge->settings.config.prefix);
    (void)snprintf(request, sizeof request, "%s/+/request", bridge->settings.config.prefix);
    subscribe(bridge, list, 2);
}

/* tck-id-host-topic-phid-birth-message: STATE is the first that is published. */
static void become_ready(struct mqtt_bridge *bridge) {
    if (bridge->settings.config.sparkplug)
        mqtt_host_state_publish(bridge, true, bridge->state.timestamp_ms);
    bridge->ready = true;
    log_info("connected to the broker");
    mqtt_bridge_pump_soon(bridge);
}

static void connected(void *arg) {
    struct mqtt_bridge *bridge = arg;
    bridge->stats.connects++;
    bridge->subscriptions = 0;
    if (bridge->settings.config.sparkplug)
        subscribe_sparkplug(bridge);
    if (bridge->settings.config.plain)
        subscribe_plain(bridge);
    if (bridge->subscriptions == 0)
        become_ready(bridge);
}

static void subscribed(void *arg, int id, bool granted) {
    struct mqtt_bridge *bridge = arg;
    (void)id;
    if (!granted)
        log_error("the broker refuses a subscription: may this client read what devices say?");
    if (bridge->subscriptions > 0 && --bridge->subscriptions == 0)
        become_ready(bridge);
}

static void sparkplug_message(struct mqtt_bridge *bridge, const struct mqtt_topic *topic,
                              const struct mqtt_incoming *message) {
    if (!bridge->settings.config.sparkplug)
        bridge->stats.malformed++;
    else if (topic->type != MQTT_STATE)
        mqtt_host_message(bridge, topic, message);
    else if (strcmp(topic->edge_node, bridge->settings.config.host_id) == 0)
        mqtt_host_state_seen(bridge, message->payload);
}

static void message(void *arg, const struct mqtt_incoming *message) {
    struct mqtt_bridge *bridge = arg;
    struct mqtt_topic topic;
    enum tm_err err = mqtt_topic_parse(message->topic, &topic);
    if (!err)
        sparkplug_message(bridge, &topic, message);
    else if (err == TM_ENOTFOUND)
        mqtt_profile_message(bridge, message);
    else
        bridge->stats.malformed++;
}

static void published(void *arg, int id, bool taken) {
    mqtt_events_published(arg, id, taken);
}

/* Nothing is known of anybody until they are born again: what was said meanwhile is lost. */
static void lost(void *arg) {
    struct mqtt_bridge *bridge = arg;
    struct mqtt_node *node;
    bridge->ready = false;
    TAILQ_FOREACH(node, &bridge->nodes.by_use, by_use) {
        node->online = false;
        mqtt_sequence_stop(bridge, node);
    }
    mqtt_events_lost(&bridge->events);
}

static const struct mqtt_broker_events broker_events = {
    .will = will,
    .connected = connected,
    .subscribed = subscribed,
    .message = message,
    .published = published,
    .lost = lost,
};

/* ---- the core's side ---- */

void mqtt_bridge_core(struct mqtt_bridge *bridge, bool there) {
    if (there && !bridge->core) {
        mqtt_requests_again(&bridge->requests);
        mqtt_births_again(&bridge->births);
        mqtt_events_deinit(&bridge->events); /* they come again */
    }
    bridge->core = there;
    mqtt_bridge_pump_soon(bridge);
}

static bool is_passing(enum ipc_outcome outcome) {
    return outcome == IPC_PENDING || outcome == IPC_BUSY || outcome == IPC_UNAVAILABLE ||
           outcome == IPC_FAILED;
}

/* No answer that could be passed on: asked again later, some times. */
static void postpone(struct mqtt_bridge *bridge, struct mqtt_request *request,
                     const struct ipc_reply *reply) {
    uint32_t pause_s = reply->retry_after_s ? reply->retry_after_s : 1;
    if (!is_passing(reply->outcome) || request->tries++ >= RETRIES_MAX) {
        log_line(LOG_LEVEL_WARN, reply->id, "no answer to a request over MQTT: %s",
                 ipc_outcome_name(reply->outcome));
        mqtt_requests_remove(&bridge->requests, request);
        return;
    }
    pause_s = pause_s > RETRY_MAX_S ? RETRY_MAX_S : pause_s;
    request->due = clock_mono_ms() + 1000 * (int64_t)pause_s + arc4random_uniform(500);
    mqtt_requests_asked(&bridge->requests, request, false);
}

static void deliver(struct mqtt_bridge *bridge, const struct mqtt_where *where,
                    const struct ipc_reply *reply) {
    if (!where->node) {
        mqtt_answer_plain(bridge, where, reply->cmc);
        return;
    }
    if (reply->outcome == IPC_ISSUED || reply->outcome == IPC_REPEATED) {
        mqtt_answer_unconfirmed(bridge, where->node, reply->cmc);
        return;
    }
    if (reply->outcome == IPC_CONFIRMED)
        mqtt_outbox_drop(bridge, where->node);
    mqtt_answer_node(bridge, where->node, MQTT_METRIC_RESPONSE, reply->cmc);
}

void mqtt_bridge_reply(struct mqtt_bridge *bridge, const struct ipc_reply *reply) {
    struct mqtt_request *request = mqtt_requests_find(&bridge->requests, reply->id);
    if (!request || request->kind != MQTT_REQUEST_ENROLL || !request->asked)
        return;
    bridge->stats.replies++;
    if (reply->cmc.n == 0) {
        postpone(bridge, request, reply);
    } else {
        deliver(bridge, &request->where, reply);
        mqtt_requests_remove(&bridge->requests, request);
    }
    mqtt_bridge_pump_soon(bridge);
}

static void offer_to_node(struct mqtt_bridge *bridge, struct mqtt_node *node,
                          const struct ipc_offer *offer) {
    bool wants = node->state == MQTT_STATE_WAITING;
    if (offer->kind == IPC_OFFER_CHALLENGE)
        mqtt_answer_node(bridge, node, MQTT_METRIC_OFFER, offer->cmc);
    else if (offer->kind == IPC_OFFER_RESPONSE)
        mqtt_answer_unconfirmed(bridge, node, offer->cmc);
    if (wants != node->birth_wants) /* it said something else meanwhile */
        mqtt_births_add(&bridge->births, node);
}

static void offer_to_plain(struct mqtt_bridge *bridge, struct mqtt_request *request,
                           const struct ipc_offer *offer) {
    if (offer->kind != IPC_OFFER_NOTHING)
        mqtt_answer_plain(bridge, &request->where, offer->cmc);
    mqtt_requests_remove(&bridge->requests, request);
}

void mqtt_bridge_offer(struct mqtt_bridge *bridge, const struct ipc_offer *offer) {
    struct mqtt_node *node = mqtt_births_answered(&bridge->births, offer->id);
    struct mqtt_request *request = mqtt_requests_find(&bridge->requests, offer->id);
    if (node)
        offer_to_node(bridge, node, offer);
    else if (request && request->kind == MQTT_REQUEST_OFFER && request->asked)
        offer_to_plain(bridge, request, offer);
    else
        return;
    bridge->stats.offers += offer->kind == IPC_OFFER_CHALLENGE;
    mqtt_bridge_pump_soon(bridge);
}

void mqtt_bridge_event(struct mqtt_bridge *bridge, const struct ipc_event *event) {
    mqtt_events_take(bridge, event);
    mqtt_bridge_pump_soon(bridge);
}

/* ---- the object ---- */

bool mqtt_bridge_drain(struct mqtt_bridge *bridge) {
    bridge->draining = true;
    mqtt_broker_last(bridge->broker);
    mqtt_bridge_pump_soon(bridge);
    return bridge->requests.used == 0 || !bridge->core;
}

void mqtt_bridge_stats(const struct mqtt_bridge *bridge, struct mqtt_bridge_stats *ret) {
    *ret = bridge->stats;
    ret->connected = bridge->ready;
    ret->nodes = bridge->nodes.count;
    ret->waiting = bridge->requests.used + bridge->births.queued;
    ret->unconfirmed = bridge->outbox.count;
}

static enum tm_err first_id(uint64_t *ret_id) {
    uint32_t process;
    if (getrandom(&process, sizeof process, 0) != sizeof process)
        return TM_EIO;
    *ret_id = ((uint64_t)process << 32) + 1;
    return TM_OK;
}

static void init(struct mqtt_bridge *bridge) {
    const struct mqtt_bridge_config *config = &bridge->settings.config;
    int64_t now = clock_mono_ms();
    bridge->pump = (struct loop_timer){.fn = mqtt_bridge_pump, .arg = bridge};
    mqtt_nodes_init(&bridge->nodes, config->nodes_max);
    mqtt_births_init(&bridge->births);
    TAILQ_INIT(&bridge->rebirths);
    mqtt_outbox_init(&bridge->outbox);
    mqtt_pace_init(&bridge->birth_pace, config->births_per_second, now);
    mqtt_pace_init(&bridge->rebirth_pace, config->births_per_second, now);
}

static enum tm_err start(struct mqtt_bridge *bridge, char text[IPC_TEXT_MAX + 1]) {
    enum tm_err err = first_id(&bridge->next_id);
    if (!err)
        err = mqtt_requests_init(&bridge->requests, bridge->settings.config.queue);
    if (!err && bridge->settings.config.sparkplug)
        err = mqtt_host_state_init(bridge);
    if (!err)
        err = mqtt_broker_new(bridge->loop, &bridge->settings, &broker_events, bridge,
                              &bridge->broker, text);
    return err;
}

enum tm_err mqtt_bridge_new(struct loop *loop, const struct mqtt_bridge_config *config,
                            const struct mqtt_bridge_upstream *upstream, void *arg,
                            struct mqtt_bridge **ret, char text[IPC_TEXT_MAX + 1]) {
    struct mqtt_bridge *bridge = calloc(1, sizeof *bridge);
    text[0] = '\0';
    if (!bridge)
        return TM_ENOMEM;
    enum tm_err err = mqtt_settings_init(config, &bridge->settings, text);
    if (err) {
        free(bridge);
        return err;
    }
    bridge->loop = loop;
    bridge->upstream = *upstream;
    bridge->arg = arg;
    init(bridge);
    err = start(bridge, text);
    if (err) {
        mqtt_bridge_free(bridge);
        return err;
    }
    *ret = bridge;
    return TM_OK;
}

/* tck-id-operational-behavior-host-application-termination: STATE says so before DISCONNECT, with
 * the time of now. */
void mqtt_bridge_free(struct mqtt_bridge *bridge) {
    if (!bridge)
        return;
    if (bridge->ready && bridge->settings.config.sparkplug)
        mqtt_host_state_publish(bridge, false, bridge->settings.config.now_ms());
    mqtt_broker_free(bridge->broker);
    loop_timer_stop(bridge->loop, &bridge->pump);
    lost(bridge); /* stops the nodes' timers */
    mqtt_outbox_deinit(bridge);
    mqtt_host_state_deinit(bridge);
    mqtt_requests_deinit(&bridge->requests);
    mqtt_nodes_deinit(&bridge->nodes);
    mqtt_events_deinit(&bridge->events);
    mqtt_settings_deinit(&bridge->settings);
    free(bridge);
}
