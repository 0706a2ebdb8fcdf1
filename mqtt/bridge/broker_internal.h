/* SPDX-License-Identifier: Apache-2.0 */
/* What broker.c (the connection) and messages.c (what goes over it) share. */
#ifndef TOUCHMARK_MQTT_BRIDGE_BROKER_INTERNAL_H
#define TOUCHMARK_MQTT_BRIDGE_BROKER_INTERNAL_H

#include <mosquitto.h>
#include <mqtt_protocol.h>

#include "mqtt/bridge/broker.h"

#define MQTT_WAITING_MAX 1024 /* messages of QoS 1 without PUBACK */

struct mqtt_broker {
    struct loop *loop;
    const struct mqtt_settings *settings;
    const struct mqtt_broker_events *events;
    void *arg;
    struct mosquitto *client; /* NULL between connections */
    struct loop_fd *watch;
    struct loop_timer timer; /* the next connection; while there is one, its housekeeping */
    bool inside;             /* libmosquitto is at work: it must not be freed */
    bool open;               /* TCP is connected, as far as can be told */
    bool connected;          /* CONNACK came */
    bool stuck;              /* the broker broke MQTT's bounds: give this connection up */
    bool paused, read_due, last;
    unsigned attempts; /* since a connection that lasted */
    unsigned address;  /* which of the broker's addresses is tried: counts those that failed */
    int64_t since;     /* of this connection, or of this attempt */
    int reason;        /* why the last one ended */
    int system_error;  /* errno of then */
    uint32_t packet_max;
    int last_id;
    int waiting[MQTT_WAITING_MAX];
    size_t waiting_count;
};

/* Between calls into the library: starts the housekeeping soon. */
void mqtt_broker_tend(struct mqtt_broker *broker);
/* libmosquitto's callbacks on messages. */
void mqtt_broker_set_callbacks(struct mosquitto *client);

#endif
