/* SPDX-License-Identifier: Apache-2.0 */
/* What the core answered, as a command to a Sparkplug node or a message to a response topic. Sizes
 * are looked at first: a broker drops what is too large without a word. */
#include "base/log.h"
#include "mqtt/bridge/bridge_internal.h"

#define ANSWER_EXPIRY_S 300 /* a broker need not keep an answer longer: the device asks again */
#define COMMAND_OVERHEAD 256

static bool is_too_large(struct mqtt_bridge *bridge, const char *device, struct bytes cmc,
                         enum tm_err err) {
    if (cmc.n <= MQTT_MESSAGE_MAX && err != TM_ELIMIT)
        return false;
    bridge->stats.too_large++;
    log_error("the answer to %s of %zu octets is not sent: it is too large for %s", device, cmc.n,
              cmc.n > MQTT_MESSAGE_MAX ? "this profile" : "the broker");
    return true;
}

static enum tm_err send_command(struct mqtt_bridge *bridge, const struct mqtt_node *node,
                                const char *metric, struct bytes cmc) {
    uint8_t payload[MQTT_MESSAGE_MAX + COMMAND_OVERHEAD];
    struct buf out = BUF_ON(payload);
    char topic[MQTT_TOPIC_MAX];
    struct mqtt_topic name = node->name;
    name.type = node->name.device[0] ? MQTT_DCMD : MQTT_NCMD;
    enum tm_err err = mqtt_topic_format(&name, topic);
    if (!err)
        err = mqtt_command_write_aliased(&node->aliases, metric, cmc,
                                         (uint64_t)bridge->settings.config.now_ms(), &out);
    struct mqtt_outgoing message = {.topic = topic, .payload = buf_bytes(&out)};
    return err ? err : mqtt_broker_publish(bridge->broker, &message, NULL);
}

void mqtt_answer_node(struct mqtt_bridge *bridge, struct mqtt_node *node, const char *metric,
                      struct bytes cmc) {
    if (!bridge->ready || !mqtt_node_online(&bridge->nodes, node) || !node->takes_part)
        return;
    if (is_too_large(bridge, node->device, cmc, TM_OK))
        return;
    enum tm_err err = send_command(bridge, node, metric, cmc);
    if (err && !is_too_large(bridge, node->device, cmc, err))
        log_warn("the answer to %s is not sent: %s", node->device, tm_err_name(err));
}

void mqtt_answer_plain(struct mqtt_bridge *bridge, const struct mqtt_where *where,
                       struct bytes cmc) {
    struct mqtt_outgoing message = {
        .topic = where->topic,
        .payload = cmc,
        .qos = 1,
        .correlation = {where->correlation, where->correlation_n},
        .content_type = MQTT_CONTENT_RESPONSE,
        .expiry_s = ANSWER_EXPIRY_S,
    };
    if (!bridge->ready || is_too_large(bridge, where->device, cmc, TM_OK))
        return;
    enum tm_err err = mqtt_broker_publish(bridge->broker, &message, NULL);
    if (err && !is_too_large(bridge, where->device, cmc, err))
        log_warn("the answer to %s is not sent: %s", where->device, tm_err_name(err));
}

void mqtt_answer_unconfirmed(struct mqtt_bridge *bridge, struct mqtt_node *node, struct bytes cmc) {
    if (cmc.n <= MQTT_MESSAGE_MAX && mqtt_node_online(&bridge->nodes, node))
        mqtt_outbox_put(bridge, node, cmc);
    mqtt_answer_node(bridge, node, MQTT_METRIC_RESPONSE, cmc);
}
