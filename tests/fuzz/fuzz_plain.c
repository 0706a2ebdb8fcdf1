/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topics of both profiles in any octets; what is read is formatted the same.
 *
 * Input: the prefix, NUL, the topic.
 */
#include <stdlib.h>
#include <string.h>

#include "mqtt/wire/contract.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX 1024

static void require(bool condition) {
    if (!condition)
        abort();
}

static void read_plain(const char *prefix, const char *topic) {
    char again[MQTT_TOPIC_MAX];
    struct mqtt_plain plain;
    enum tm_err err = mqtt_plain_parse(prefix, topic, &plain);
    require(err == TM_OK || err == TM_ENOTFOUND || err == TM_EPARSE || err == TM_ELIMIT);
    if (err != TM_OK)
        return;
    require(mqtt_id_valid(plain.device) && strncmp(topic, prefix, strlen(prefix)) == 0);
    if (!mqtt_prefix_valid(prefix))
        return;
    require(mqtt_plain_format(prefix, &plain, again) == TM_OK);
    size_t n = strlen(again);
    require(strncmp(topic, again, n) == 0);
    if (topic[n] == '\0')
        return;
    require(plain.kind == MQTT_PLAIN_RESPONSE && topic[n] == '/' && mqtt_id_valid(topic + n + 1));
}

static void read_sparkplug(const char *text) {
    char again[MQTT_TOPIC_MAX];
    struct mqtt_topic topic;
    enum tm_err err = mqtt_topic_parse(text, &topic);
    require(err == TM_OK || err == TM_ENOTFOUND || err == TM_EPARSE || err == TM_ELIMIT);
    require((err == TM_ENOTFOUND) == (strncmp(text, MQTT_SPARKPLUG "/", 8) != 0));
    if (err == TM_OK)
        require(mqtt_topic_format(&topic, again) == TM_OK && strcmp(text, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char text[INPUT_MAX + 1];
    if (size > INPUT_MAX)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    size_t n = strlen(text);
    read_sparkplug(text);
    if (n == size)
        return 0;
    const char *topic = text + n + 1;
    read_plain(text, topic);
    read_plain(MQTT_PREFIX_DEFAULT, topic);
    read_sparkplug(topic);
    return 0;
}
