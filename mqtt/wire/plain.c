/* SPDX-License-Identifier: Apache-2.0 */
/* Topics of the plain MQTT 5 profile. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "mqtt/wire/contract.h"

static const char *const kinds[] = {
    [MQTT_PLAIN_OFFER] = "offer",
    [MQTT_PLAIN_REQUEST] = "request",
    [MQTT_PLAIN_RESPONSE] = "response",
};
#define KINDS (sizeof kinds / sizeof *kinds)

/* The level at *text, which then stands behind it and its slash, or is NULL at the end. */
static struct bytes level(const char **text) {
    const char *start = *text;
    size_t n = strcspn(start, "/");
    *text = start[n] ? start + n + 1 : NULL;
    return (struct bytes){(const uint8_t *)start, n};
}

bool mqtt_prefix_valid(const char *prefix) {
    char id[MQTT_ID_MAX + 1];
    if (prefix[0] == '$' || strlen(prefix) > MQTT_PREFIX_MAX)
        return false;
    for (const char *rest = prefix; rest;)
        if (mqtt_id_read(level(&rest), id) != TM_OK)
            return false;
    return true;
}

static enum tm_err parse_kind(const char *rest, enum mqtt_plain_kind *ret) {
    char below[MQTT_ID_MAX + 1];
    if (!rest)
        return TM_EPARSE;
    struct bytes name = level(&rest);
    for (size_t i = MQTT_PLAIN_OFFER; i < KINDS; i++)
        if (bytes_equal(name, bytes_str(kinds[i]))) {
            *ret = (enum mqtt_plain_kind)i;
            if (!rest)
                return TM_OK;
            if (i != MQTT_PLAIN_RESPONSE)
                return TM_EPARSE;
            return mqtt_id_read(bytes_str(rest), below);
        }
    return TM_EPARSE;
}

enum tm_err mqtt_plain_parse(const char *prefix, const char *topic, struct mqtt_plain *ret) {
    struct mqtt_plain plain = {.kind = MQTT_PLAIN_OFFER};
    size_t n = strlen(prefix);
    if (strncmp(topic, prefix, n) != 0 || topic[n] != '/')
        return TM_ENOTFOUND;
    const char *rest = topic + n + 1;
    enum tm_err err = mqtt_id_read(level(&rest), plain.device);
    if (err == TM_OK)
        err = parse_kind(rest, &plain.kind);
    if (err == TM_OK)
        *ret = plain;
    return err;
}

enum tm_err mqtt_plain_format(const char *prefix, const struct mqtt_plain *plain,
                              char ret[MQTT_TOPIC_MAX]) {
    static_assert(MQTT_PREFIX_MAX + MQTT_ID_MAX + sizeof "//response" < MQTT_TOPIC_MAX,
                  "no topic is cut");
    if (!mqtt_prefix_valid(prefix) || !mqtt_id_valid(plain->device) ||
        plain->kind < MQTT_PLAIN_OFFER || plain->kind > MQTT_PLAIN_RESPONSE)
        return TM_EINVAL;
    (void)snprintf(ret, MQTT_TOPIC_MAX, "%s/%s/%s", prefix, plain->device, kinds[plain->kind]);
    return TM_OK;
}
