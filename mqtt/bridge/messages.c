/* SPDX-License-Identifier: Apache-2.0 */
/* What goes over the broker's connection: subscriptions and messages, with their properties. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mqtt/bridge/broker_internal.h"
#include "mqtt/wire/contract.h"

#define USER_PROPERTIES_MAX 16 /* that are looked at */

/* ---- in ---- */

struct properties { /* the library's copies, which are ours to free */
    char *response_topic, *label;
    void *correlation;
    uint16_t correlation_n;
};

static char *find_label(const mosquitto_property *list) {
    char *name = NULL, *value = NULL;
    const mosquitto_property *at = list;
    for (int i = 0; i < USER_PROPERTIES_MAX; i++) {
        at = mosquitto_property_read_string_pair(at, MQTT_PROP_USER_PROPERTY, &name, &value, i > 0);
        if (!at)
            return NULL;
        bool found = name && strcmp(name, MQTT_PROPERTY_LABEL) == 0;
        free(name);
        if (found)
            return value;
        free(value);
        name = value = NULL;
    }
    return NULL;
}

static struct properties read_properties(const mosquitto_property *list) {
    struct properties p = {0};
    if (!list)
        return p;
    (void)mosquitto_property_read_string(list, MQTT_PROP_RESPONSE_TOPIC, &p.response_topic, false);
    (void)mosquitto_property_read_binary(list, MQTT_PROP_CORRELATION_DATA, &p.correlation,
                                         &p.correlation_n, false);
    p.label = find_label(list);
    return p;
}

static void on_message(struct mosquitto *client, void *arg, const struct mosquitto_message *message,
                       const mosquitto_property *list) {
    struct mqtt_broker *broker = arg;
    (void)client;
    if (!message->topic || message->payloadlen < 0)
        return;
    struct properties p = read_properties(list);
    struct mqtt_incoming incoming = {
        .topic = message->topic,
        .payload = {message->payload, (size_t)message->payloadlen},
        .retained = message->retain,
        .response_topic = p.response_topic,
        .correlation = {p.correlation, p.correlation_n},
        .label = p.label,
    };
    broker->events->message(broker->arg, &incoming);
    free(p.response_topic);
    free(p.correlation);
    free(p.label);
    if (broker->paused) /* the library reads several packets at once, until there are none */
        errno = EAGAIN;
}

static void on_subscribe(struct mosquitto *client, void *arg, int id, int count, const int *granted,
                         const mosquitto_property *list) {
    struct mqtt_broker *broker = arg;
    bool all = count > 0;
    (void)client;
    (void)list;
    for (int i = 0; i < count; i++)
        all = all && granted[i] < 0x80;
    broker->events->subscribed(broker->arg, id, all);
}

/* Also called for messages of QoS 0, when they were written. */
static void on_publish(struct mosquitto *client, void *arg, int id, int reason,
                       const mosquitto_property *list) {
    struct mqtt_broker *broker = arg;
    (void)client;
    (void)list;
    for (size_t i = 0; i < broker->waiting_count; i++)
        if (broker->waiting[i] == id) {
            broker->waiting[i] = broker->waiting[--broker->waiting_count];
            broker->events->published(broker->arg, id, reason < 0x80);
            return;
        }
}

void mqtt_broker_set_callbacks(struct mosquitto *client) {
    mosquitto_message_v5_callback_set(client, on_message);
    mosquitto_subscribe_v5_callback_set(client, on_subscribe);
    mosquitto_publish_v5_callback_set(client, on_publish);
}

/* ---- out ---- */

static enum tm_err result_of(int rc) {
    switch (rc) {
    case MOSQ_ERR_SUCCESS:
        return TM_OK;
    case MOSQ_ERR_NOMEM:
        return TM_ENOMEM;
    case MOSQ_ERR_OVERSIZE_PACKET:
    case MOSQ_ERR_PAYLOAD_SIZE:
        return TM_ELIMIT;
    case MOSQ_ERR_NO_CONN:
    case MOSQ_ERR_CONN_LOST:
    case MOSQ_ERR_ERRNO:
        return TM_ECLOSED;
    default:
        return TM_EINVAL;
    }
}

enum tm_err mqtt_broker_subscribe(struct mqtt_broker *broker, const char *const *filters,
                                  size_t count, int *ret_id) {
    int id = 0;
    if (!broker->connected)
        return TM_ECLOSED;
    int rc = mosquitto_subscribe_multiple(broker->client, &id, (int)count,
                                          (char *const *)(uintptr_t)filters, 1, 0, NULL);
    mqtt_broker_tend(broker);
    broker->last_id = id;
    if (rc == MOSQ_ERR_SUCCESS)
        *ret_id = id;
    return result_of(rc);
}

/* Octets of the packet, or a few more. */
static size_t packet_size(const struct mqtt_outgoing *m) {
    size_t fixed = 1 + 4 + 2 + 2 + 2, properties = 5; /* with the expiry's */
    if (m->correlation.n)
        properties += 3 + m->correlation.n;
    if (m->content_type)
        properties += 3 + strlen(m->content_type);
    return fixed + strlen(m->topic) + properties + m->payload.n;
}

static enum tm_err make_properties(const struct mqtt_outgoing *m, mosquitto_property **ret) {
    int rc = MOSQ_ERR_SUCCESS;
    if (m->expiry_s)
        rc = mosquitto_property_add_int32(ret, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, m->expiry_s);
    if (!rc && m->content_type)
        rc = mosquitto_property_add_string(ret, MQTT_PROP_CONTENT_TYPE, m->content_type);
    if (!rc && m->correlation.n)
        rc = mosquitto_property_add_binary(ret, MQTT_PROP_CORRELATION_DATA, m->correlation.p,
                                           (uint16_t)m->correlation.n);
    return result_of(rc);
}

/* PUBACK and "written" come with the same kind of ID, of which there are 65535: a broker that has
 * not acknowledged one in all that time does not keep to MQTT. */
static bool id_is_free(struct mqtt_broker *broker) {
    int next = broker->last_id == UINT16_MAX ? 1 : broker->last_id + 1;
    for (size_t i = 0; i < broker->waiting_count; i++)
        if (broker->waiting[i] == next)
            broker->stuck = true;
    return !broker->stuck;
}

enum tm_err mqtt_broker_publish(struct mqtt_broker *broker, const struct mqtt_outgoing *m,
                                int *ret_id) {
    mosquitto_property *properties = NULL;
    int id = 0;
    if (!broker->connected || !id_is_free(broker))
        return TM_ECLOSED;
    if (m->correlation.n > MQTT_CORRELATION_MAX || m->payload.n > broker->packet_max ||
        packet_size(m) > broker->packet_max)
        return TM_ELIMIT;
    if (m->qos && broker->waiting_count == MQTT_WAITING_MAX)
        return TM_EFULL;
    enum tm_err err = make_properties(m, &properties);
    if (!err)
        err = result_of(mosquitto_publish_v5(broker->client, &id, m->topic, (int)m->payload.n,
                                             m->payload.p, m->qos, m->retain, properties));
    mosquitto_property_free_all(&properties);
    mqtt_broker_tend(broker);
    if (id)
        broker->last_id = id;
    if (!err && m->qos)
        broker->waiting[broker->waiting_count++] = id;
    if (!err && ret_id)
        *ret_id = id;
    return err;
}
