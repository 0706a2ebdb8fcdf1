/* SPDX-License-Identifier: Apache-2.0 */
/* The plain MQTT 5 profile: requests for an offer and Full PKI Requests, each with its response
 * topic. */
#include <string.h>

#include "mqtt/bridge/bridge_internal.h"

/* The response topic has to be the same device's: else anybody could have answers sent to anybody.
 */
static bool find_where(struct mqtt_bridge *bridge, const struct mqtt_plain *plain,
                       const struct mqtt_incoming *message, struct mqtt_where *ret) {
    struct mqtt_where where = {.correlation_n = message->correlation.n};
    struct mqtt_plain response;
    if (!message->response_topic || strlen(message->response_topic) >= sizeof where.topic ||
        message->correlation.n > sizeof where.correlation ||
        mqtt_plain_parse(bridge->settings.config.prefix, message->response_topic, &response) ||
        response.kind != MQTT_PLAIN_RESPONSE || strcmp(response.device, plain->device) != 0)
        return false;
    TEXT_SET(where.device, plain->device);
    TEXT_SET(where.topic, message->response_topic);
    if (where.correlation_n)
        memcpy(where.correlation, message->correlation.p, where.correlation_n);
    *ret = where;
    return true;
}

static bool payload_fits(const struct mqtt_plain *plain, struct bytes payload) {
    if (plain->kind == MQTT_PLAIN_OFFER)
        return payload.n == 0;
    return plain->kind == MQTT_PLAIN_REQUEST && payload.n > 0 && payload.n <= MQTT_MESSAGE_MAX &&
           payload.n <= IPC_CSR_MAX;
}

static bool label_fits(const char *label) {
    return !label || !label[0] || mqtt_id_valid(label);
}

static bool read_request(struct mqtt_bridge *bridge, const struct mqtt_incoming *message,
                         struct mqtt_request *ret) {
    struct mqtt_request request = {.csr = (uint8_t *)(uintptr_t)message->payload.p,
                                   .csr_n = message->payload.n};
    struct mqtt_plain plain;
    if (mqtt_plain_parse(bridge->settings.config.prefix, message->topic, &plain) ||
        !payload_fits(&plain, message->payload) || !label_fits(message->label) ||
        !find_where(bridge, &plain, message, &request.where))
        return false;
    request.kind = plain.kind == MQTT_PLAIN_OFFER ? MQTT_REQUEST_OFFER : MQTT_REQUEST_ENROLL;
    if (message->label)
        TEXT_SET(request.label, message->label);
    *ret = request;
    return true;
}

void mqtt_profile_message(struct mqtt_bridge *bridge, const struct mqtt_incoming *message) {
    struct mqtt_request request;
    if (message->retained || bridge->draining) /* kept ones are old; new ones are the successor's */
        return;
    if (!bridge->settings.config.plain || !read_request(bridge, message, &request)) {
        bridge->stats.malformed++;
        return;
    }
    mqtt_bridge_request(bridge, &request);
}
