/* SPDX-License-Identifier: Apache-2.0 */
/* The plain MQTT 5 profile: a request with response topic and correlation data, as
 * mqtt/wire/contract.h has it. */
#include <mqtt_protocol.h>
#include <stdlib.h>
#include <string.h>

#include "client/port/mqtt_internal.h"

static enum tm_err prepare(struct tm_mqtt *m) {
    (void)m;
    return TM_OK;
}

static enum tm_err subscribe(struct tm_mqtt *m) {
    return tm_mqtt_subscribe(m, m->plain.response, MQTT_SUB_OPT_SEND_RETAIN_NEVER);
}

/* Nothing says here that a device is there: what it asks for is said again in each session. */
static enum tm_err begin(struct tm_mqtt *m) {
    m->unsaid = m->exchange != NULL;
    return TM_OK;
}

static int64_t due_ms(const struct tm_mqtt *m) {
    (void)m;
    return INT64_MAX;
}

static enum tm_err tend(struct tm_mqtt *m) {
    (void)m;
    return TM_OK;
}

static enum tm_err add_properties(const struct tm_mqtt *m, mosquitto_property **ret) {
    int rc = mosquitto_property_add_string(ret, MQTT_PROP_RESPONSE_TOPIC, m->plain.response);
    if (rc == MOSQ_ERR_SUCCESS)
        rc = mosquitto_property_add_binary(ret, MQTT_PROP_CORRELATION_DATA, m->correlation,
                                           sizeof m->correlation);
    if (rc == MOSQ_ERR_SUCCESS && m->request.n)
        rc = mosquitto_property_add_string(ret, MQTT_PROP_CONTENT_TYPE, MQTT_CONTENT_REQUEST);
    if (rc == MOSQ_ERR_SUCCESS && m->label[0])
        rc = mosquitto_property_add_string_pair(ret, MQTT_PROP_USER_PROPERTY, MQTT_PROPERTY_LABEL,
                                                m->label);
    return rc == MOSQ_ERR_SUCCESS ? TM_OK : TM_ENOMEM;
}

/* States have no place here: only what asks for something is published. */
static enum tm_err say(struct tm_mqtt *m) {
    mosquitto_property *properties = NULL;
    m->birth_due = false;
    if (!m->exchange)
        return TM_OK;
    enum tm_err err = add_properties(m, &properties);
    if (err) {
        mosquitto_property_free_all(&properties);
        return err;
    }
    return tm_mqtt_publish(m, m->request.n ? m->plain.request : m->plain.offer, m->request, 1,
                           &properties, NULL);
}

static bool is_correlated(const struct tm_mqtt *m, const mosquitto_property *properties) {
    void *data = NULL;
    uint16_t n = 0;
    bool is =
        mosquitto_property_read_binary(properties, MQTT_PROP_CORRELATION_DATA, &data, &n, false) &&
        bytes_equal((struct bytes){data, n}, BYTES_OF(m->correlation));
    free(data);
    return is;
}

static void receive(struct tm_mqtt *m, const struct tm_mqtt_message *message) {
    if (strcmp(message->topic, m->plain.response) != 0 || !is_correlated(m, message->properties))
        return;
    if (m->want == TM_MQTT_WANT_OFFER)
        tm_mqtt_hear_offer(m, message->payload);
    else
        tm_mqtt_hear_response(m, message->payload);
}

static enum tm_err end(struct tm_mqtt *m, int *ret_mid) {
    (void)m;
    *ret_mid = 0;
    return TM_OK;
}

const struct tm_mqtt_ways tm_mqtt_plain_ways = {
    .prepare = prepare,
    .subscribe = subscribe,
    .begin = begin,
    .due_ms = due_ms,
    .tend = tend,
    .say = say,
    .receive = receive,
    .end = end,
    .goodbye = MQTT_RC_NORMAL_DISCONNECTION,
};

enum tm_err tm_mqtt_plain_open(struct tm_mqtt *m) {
    struct mqtt_plain plain = {.kind = MQTT_PLAIN_OFFER};
    TEXT_SET(plain.device, m->config.device_id);
    enum tm_err err = mqtt_plain_format(m->config.prefix, &plain, m->plain.offer);
    plain.kind = MQTT_PLAIN_REQUEST;
    if (!err)
        err = mqtt_plain_format(m->config.prefix, &plain, m->plain.request);
    plain.kind = MQTT_PLAIN_RESPONSE;
    if (!err)
        err = mqtt_plain_format(m->config.prefix, &plain, m->plain.response);
    return err;
}
