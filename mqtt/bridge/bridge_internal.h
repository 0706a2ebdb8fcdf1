/* SPDX-License-Identifier: Apache-2.0 */
/* The bridge's parts. Each has its own state and functions; struct mqtt_bridge is what ties them to
 * one broker and one core. */
#ifndef TOUCHMARK_MQTT_BRIDGE_BRIDGE_INTERNAL_H
#define TOUCHMARK_MQTT_BRIDGE_BRIDGE_INTERNAL_H

#include <sys/queue.h>

#include "mqtt/bridge/bridge.h"
#include "mqtt/bridge/broker.h"
#include "mqtt/bridge/nodes.h"
#include "mqtt/bridge/settings.h"
#include "mqtt/wire/contract.h"

/* ---- requests.c ---- */

/* Where an answer goes: to a node, or to a topic of the plain profile. */
struct mqtt_where {
    struct mqtt_node *node; /* NULL: plain */
    char device[MQTT_ID_MAX + 1];
    char topic[MQTT_TOPIC_MAX];
    uint8_t correlation[MQTT_CORRELATION_MAX];
    size_t correlation_n;
};

enum mqtt_request_kind { MQTT_REQUEST_ENROLL = 1, MQTT_REQUEST_OFFER };

struct mqtt_request {
    uint64_t id; /* 0: a free row */
    enum mqtt_request_kind kind;
    struct mqtt_where where;
    char label[MQTT_ID_MAX + 1]; /* of an offer */
    uint8_t *csr;                /* owned; NULL of an offer */
    size_t csr_n;
    bool asked; /* it is at the core */
    unsigned tries;
    int64_t due; /* monotonic; not asked before */
};

#define MQTT_REQUESTS_SLACK 64 /* what may come over `queue` before reading stops */

/* At most queue + slack of them; one per device. */
struct mqtt_requests {
    struct mqtt_request *rows;
    size_t cap, used, asked;
};
MUST_USE enum tm_err mqtt_requests_init(struct mqtt_requests *requests, size_t queue);
void mqtt_requests_deinit(struct mqtt_requests *requests);
/* Copies what `request` points to. TM_EEXISTS: one of that device is under way; TM_EFULL. */
MUST_USE enum tm_err mqtt_requests_add(struct mqtt_requests *requests,
                                       const struct mqtt_request *request);
struct mqtt_request *mqtt_requests_find(struct mqtt_requests *requests, uint64_t id);
/* The oldest of that kind that may be asked at `now`; NULL: none. */
struct mqtt_request *mqtt_requests_next(struct mqtt_requests *requests, enum mqtt_request_kind kind,
                                        int64_t now);
/* When the next may be asked of those that have to wait longer than `now`; INT64_MAX: none. */
int64_t mqtt_requests_due(const struct mqtt_requests *requests, int64_t now);
void mqtt_requests_asked(struct mqtt_requests *requests, struct mqtt_request *request, bool asked);
void mqtt_requests_remove(struct mqtt_requests *requests, struct mqtt_request *request);
/* The core forgot: all are to be asked again. */
void mqtt_requests_again(struct mqtt_requests *requests);

/* ---- births.c ---- */

#define MQTT_BIRTHS_ASKED_MAX 256 /* at the core at once */

/* Nodes whose birth the core shall hear of, in order, each once; then those that it was asked for.
 */
struct mqtt_births {
    STAILQ_HEAD(mqtt_births_queue, mqtt_node) queue;
    size_t queued, asked;
    struct mqtt_node *at_core[MQTT_BIRTHS_ASKED_MAX];
};
void mqtt_births_init(struct mqtt_births *births);
void mqtt_births_add(struct mqtt_births *births, struct mqtt_node *node);
/* The next that may be asked; NULL: none, or too many are at the core. */
struct mqtt_node *mqtt_births_next(struct mqtt_births *births);
/* The node that mqtt_births_next gave is not asked for. */
void mqtt_births_skip(struct mqtt_births *births, struct mqtt_node *node);
/* The node that mqtt_births_next gave is at the core, under its birth_id. */
void mqtt_births_asked(struct mqtt_births *births, struct mqtt_node *node);
/* The node that was asked for under this ID, which is forgotten; NULL: none. */
struct mqtt_node *mqtt_births_answered(struct mqtt_births *births, uint64_t id);
/* The core forgot: all come first in the queue again, under their IDs. */
void mqtt_births_again(struct mqtt_births *births);

/* ---- pace.c ---- */

/* So many a second, and a second's worth at once. */
struct mqtt_pace {
    unsigned per_second;
    int64_t thousandths; /* what may be taken now */
    int64_t at;
};
void mqtt_pace_init(struct mqtt_pace *pace, unsigned per_second, int64_t now);
bool mqtt_pace_take(struct mqtt_pace *pace, int64_t now);
/* When the next may be taken. */
int64_t mqtt_pace_next(const struct mqtt_pace *pace, int64_t now);

/* ---- outbox.c ---- */

#define MQTT_OUTBOX_MAX 1024

/* Answers that devices have not confirmed, one per node; the oldest goes when there are too many:
 * the core gives it again at the node's next birth. */
struct mqtt_answer {
    TAILQ_ENTRY(mqtt_answer) list;
    struct mqtt_bridge *bridge;
    struct mqtt_node *node;
    struct loop_timer timer;
    int64_t pause_ms;
    size_t n;
    uint8_t cmc[];
};
struct mqtt_outbox {
    TAILQ_HEAD(mqtt_answers, mqtt_answer) list;
    size_t count;
};
void mqtt_outbox_init(struct mqtt_outbox *outbox);
void mqtt_outbox_deinit(struct mqtt_bridge *bridge);
/* Keeps a copy, in place of an earlier one of this node. */
void mqtt_outbox_put(struct mqtt_bridge *bridge, struct mqtt_node *node, struct bytes cmc);
/* The device has it, or is away. Nothing when there is none. */
void mqtt_outbox_drop(struct mqtt_bridge *bridge, struct mqtt_node *node);

/* ---- events.c ---- */

struct mqtt_event {
    uint64_t sequence;
    char *topic;
    uint8_t *json;
    size_t n;
    int id; /* of its publication; 0: not published */
    bool done;
};
struct mqtt_events {
    struct mqtt_event rows[MQTT_BRIDGE_EVENTS_MAX]; /* a ring */
    size_t first, count;
    bool missed;   /* one was not taken: nor is what follows it */
    uint64_t ack;  /* not sent yet; 0: none */
    int64_t pause; /* monotonic: nothing is published before */
};
void mqtt_events_deinit(struct mqtt_events *events);
void mqtt_events_take(struct mqtt_bridge *bridge, const struct ipc_event *event);
void mqtt_events_published(struct mqtt_bridge *bridge, int id, bool taken);
/* The connection is gone: all are to be published again. */
void mqtt_events_lost(struct mqtt_events *events);
/* The core is there again: it sends again what was not acknowledged. */
void mqtt_events_restart(struct mqtt_events *events);
/* Publishes and acknowledges what can be. */
void mqtt_events_pump(struct mqtt_bridge *bridge);

/* ---- state.c ---- */

struct mqtt_state_topic {
    char topic[MQTT_TOPIC_MAX];
    uint8_t payload[64];     /* of the will; libmosquitto copies it */
    int64_t timestamp_ms;    /* of this connection's will and birth */
    int64_t said_at;         /* monotonic */
    struct loop_timer again; /* STATE is to be said again */
};
MUST_USE enum tm_err mqtt_host_state_init(struct mqtt_bridge *bridge);
void mqtt_host_state_deinit(struct mqtt_bridge *bridge);
bool mqtt_host_state_will(struct mqtt_bridge *bridge, struct mqtt_outgoing *ret);
void mqtt_host_state_publish(struct mqtt_bridge *bridge, bool online, int64_t timestamp_ms);
/* A STATE message of our own topic: somebody said that we are away, or an old one is back. */
void mqtt_host_state_seen(struct mqtt_bridge *bridge, struct bytes payload);

/* ---- the bridge ---- */

struct mqtt_bridge {
    struct loop *loop;
    struct mqtt_settings settings;
    struct mqtt_bridge_upstream upstream;
    void *arg;
    struct mqtt_broker *broker;
    struct mqtt_nodes nodes;
    struct mqtt_requests requests;
    struct mqtt_births births;
    TAILQ_HEAD(mqtt_rebirths, mqtt_node) rebirths; /* edge nodes to be asked for theirs */
    struct mqtt_outbox outbox;
    struct mqtt_events events;
    struct mqtt_state_topic state;
    struct mqtt_pace birth_pace, rebirth_pace;
    struct loop_timer pump;
    uint64_t next_id;
    bool core;      /* there */
    bool core_busy; /* took nothing; tried again soon */
    bool ready;     /* subscribed, and STATE is said: other messages may go out */
    bool draining;
    bool offers_turn;  /* of the two that share birth_pace */
    int subscriptions; /* that are not granted yet */
    int64_t paused_at; /* reading stopped then; 0: it goes on */
    int64_t drop_said; /* monotonic: when the log last told of a dropped request */
    bool shedding;     /* reading goes on although the queue is full */
    struct mqtt_bridge_stats stats;
};

/* pump.c */
void mqtt_bridge_pump(void *bridge);
void mqtt_bridge_pump_soon(struct mqtt_bridge *bridge);
/* A device's request: kept until it is answered, or dropped when there is no room; nothing when one
 * of that device is under way already. */
void mqtt_bridge_request(struct mqtt_bridge *bridge, struct mqtt_request *request);

/* host.c: a Sparkplug message; sequence.c */
void mqtt_host_message(struct mqtt_bridge *bridge, const struct mqtt_topic *topic,
                       const struct mqtt_incoming *message);
void mqtt_sequence_birth(struct mqtt_bridge *bridge, struct mqtt_node *edge, uint64_t seq);
/* A message of an edge node that is online; false: none with a valid number. */
bool mqtt_sequence_next(struct mqtt_bridge *bridge, struct mqtt_node *edge, uint64_t seq);
void mqtt_sequence_stop(struct mqtt_bridge *bridge, struct mqtt_node *edge);
/* Asks an edge node for its births, in its turn, unless it was asked a moment ago. */
void mqtt_rebirth(struct mqtt_bridge *bridge, struct mqtt_node *edge);
/* It was born: it need not be asked any more. */
void mqtt_rebirth_done(struct mqtt_bridge *bridge, struct mqtt_node *edge);
/* Asks those whose turn it is; *at becomes the time of the next, if that is earlier. */
void mqtt_rebirth_pump(struct mqtt_bridge *bridge, int64_t now, int64_t *at);

/* plain.c */
void mqtt_profile_message(struct mqtt_bridge *bridge, const struct mqtt_incoming *message);

/* answers.c: to where they go. metric: MQTT_METRIC_OFFER or _RESPONSE. */
void mqtt_answer_node(struct mqtt_bridge *bridge, struct mqtt_node *node, const char *metric,
                      struct bytes cmc);
void mqtt_answer_plain(struct mqtt_bridge *bridge, const struct mqtt_where *where,
                       struct bytes cmc);
/* A Full PKI Response that has to be confirmed. */
void mqtt_answer_unconfirmed(struct mqtt_bridge *bridge, struct mqtt_node *node, struct bytes cmc);

/* "group/edge[/device]" and the like as ipc_enroll.remote takes it: cut between characters. */
void mqtt_remote_set(char ret[IPC_ADDRESS_MAX + 1], const char *text);

#endif
