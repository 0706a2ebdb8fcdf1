/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One MQTT 5 connection to a broker, on the loop: made again for ever, with the will that its owner
 * names for each. No type of libmosquitto leaves broker.c and tls.c. Nothing survives a connection:
 * clean start, and each has a client object of its own.
 *
 * Events come on the loop's thread, never from inside mqtt_broker_new.
 */
#ifndef TOUCHMARK_MQTT_BRIDGE_BROKER_H
#define TOUCHMARK_MQTT_BRIDGE_BROKER_H

#include <openssl/types.h>

#include "mqtt/bridge/settings.h"

struct mqtt_broker;

#define MQTT_CORRELATION_MAX 64 /* octets of correlation data that are echoed */
#define MQTT_PACKET_MAX 131072  /* octets of a packet that we take: the broker is told */

struct mqtt_incoming {
    const char *topic;
    struct bytes payload;
    bool retained;
    /* MQTT 5 properties; NULL and empty where there is none */
    const char *response_topic;
    struct bytes correlation;
    const char *label;
};

struct mqtt_outgoing {
    const char *topic;
    struct bytes payload;
    uint8_t qos; /* 0 or 1 */
    bool retain;
    struct bytes correlation;
    const char *content_type; /* NULL: none */
    uint32_t expiry_s;        /* 0: none */
};

struct mqtt_broker_events {
    /* A connection will be asked for. False: it has no will. What ret points to is copied. */
    bool (*will)(void *arg, struct mqtt_outgoing *ret);
    void (*connected)(void *arg);
    void (*subscribed)(void *arg, int id, bool granted);
    void (*message)(void *arg, const struct mqtt_incoming *message);
    /* PUBACK of a message of QoS 1; not taken: the broker refused it. */
    void (*published)(void *arg, int id, bool taken);
    void (*lost)(void *arg);
};

/* `settings` and `events` must outlive it. TM_EINVAL with a sentence in text; TM_ENOMEM. */
MUST_USE enum tm_err mqtt_broker_new(struct loop *loop, const struct mqtt_settings *settings,
                                     const struct mqtt_broker_events *events, void *arg,
                                     struct mqtt_broker **ret, char text[IPC_TEXT_MAX + 1]);
/* Disconnects; half a second for the broker to hear of it. No event comes any more. NULL-safe. */
void mqtt_broker_free(struct mqtt_broker *broker);

/* TM_ECLOSED: not connected. *ret_id comes back with `subscribed`. */
MUST_USE enum tm_err mqtt_broker_subscribe(struct mqtt_broker *broker, const char *const *filters,
                                           size_t count, int *ret_id);
/* TM_ECLOSED; TM_ELIMIT: larger than the broker takes, and so not sent; TM_EFULL: too many are
 * without PUBACK. ret_id may be NULL. */
MUST_USE enum tm_err mqtt_broker_publish(struct mqtt_broker *broker,
                                         const struct mqtt_outgoing *message, int *ret_id);
/* Stops and goes on reading from the connection: then the broker keeps what comes. */
void mqtt_broker_pause(struct mqtt_broker *broker, bool paused);
/* Makes no new connection when this one is lost: a successor may have the client ID. */
void mqtt_broker_last(struct mqtt_broker *broker);

/* tls.c: a context that verifies the broker's chain and name and reads no file later. */
MUST_USE enum tm_err mqtt_tls_new(const struct mqtt_bridge_config *config, SSL_CTX **ret,
                                  char text[IPC_TEXT_MAX + 1]);
/* The broker is told this name (server_name, RFC 6066, 3), unless it is an address; borrowed. */
void mqtt_tls_host(SSL_CTX *context, const char *host);

#endif
