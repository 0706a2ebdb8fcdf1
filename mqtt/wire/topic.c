/* SPDX-License-Identifier: Apache-2.0 */
/* Sparkplug B topics (section 4.1) and the IDs in them. */
#include "mqtt/wire/topic.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "pki/chars.h"
#include "pki/der.h"

#define LEVELS_MAX 4 /* below the namespace: group, type, edge node, device */

static const struct {
    const char *name;
    bool device; /* tck-id-topic-structure-namespace-device-id-associated-message-types */
} types[] = {
    [MQTT_NBIRTH] = {"NBIRTH", false}, [MQTT_NDEATH] = {"NDEATH", false},
    [MQTT_DBIRTH] = {"DBIRTH", true},  [MQTT_DDEATH] = {"DDEATH", true},
    [MQTT_NDATA] = {"NDATA", false},   [MQTT_DDATA] = {"DDATA", true},
    [MQTT_NCMD] = {"NCMD", false},     [MQTT_DCMD] = {"DCMD", true},
    [MQTT_STATE] = {"STATE", false},
};
#define TYPES (sizeof types / sizeof *types)

static bool is_type(enum mqtt_type type) {
    return type >= MQTT_NBIRTH && type <= MQTT_STATE;
}

const char *mqtt_type_name(enum mqtt_type type) {
    return is_type(type) ? types[type].name : "unknown";
}

static enum tm_err find_type(struct bytes name, enum mqtt_type *ret) {
    for (size_t i = MQTT_NBIRTH; i < TYPES; i++)
        if (bytes_equal(name, bytes_str(types[i].name))) {
            *ret = (enum mqtt_type)i;
            return TM_OK;
        }
    return TM_EPARSE;
}

static bool may_stand_in_id(uint32_t c) {
    return c >= 0x20 && !(c >= 0x7f && c <= 0x9f) && c != '+' && c != '/' && c != '#';
}

enum tm_err mqtt_id_read(struct bytes text, char ret[MQTT_ID_MAX + 1]) {
    struct bytes rest = text;
    uint32_t c;
    enum tm_err err;
    if (text.n == 0)
        return TM_EPARSE;
    if (text.n > MQTT_ID_MAX)
        return TM_ELIMIT;
    while ((err = chars_next(DER_UTF8_STRING, &rest, &c)) == TM_OK)
        if (!may_stand_in_id(c))
            return TM_EPARSE;
    if (err != TM_ENOTFOUND)
        return TM_EPARSE;
    memcpy(ret, text.p, text.n);
    ret[text.n] = '\0';
    return TM_OK;
}

bool mqtt_id_valid(const char *id) {
    char copy[MQTT_ID_MAX + 1];
    return mqtt_id_read(bytes_str(id), copy) == TM_OK;
}

struct levels {
    size_t count;
    struct bytes at[LEVELS_MAX];
};

static enum tm_err split(const char *text, struct levels *ret) {
    ret->count = 0;
    for (;;) {
        size_t n = strcspn(text, "/");
        if (ret->count == LEVELS_MAX)
            return TM_EPARSE;
        ret->at[ret->count++] = (struct bytes){(const uint8_t *)text, n};
        if (text[n] == '\0')
            return TM_OK;
        text += n + 1;
    }
}

/* tck-id-host-topic-phid-birth-topic: spBv1.0/STATE/{host} */
static enum tm_err parse_state(const struct levels *levels, struct mqtt_topic *topic) {
    topic->type = MQTT_STATE;
    return levels->count == 2 ? mqtt_id_read(levels->at[1], topic->edge_node) : TM_EPARSE;
}

static enum tm_err parse_node(const struct levels *levels, struct mqtt_topic *topic) {
    if (levels->count < 3)
        return TM_EPARSE;
    enum tm_err err = find_type(levels->at[1], &topic->type);
    if (err == TM_OK &&
        (topic->type == MQTT_STATE || levels->count != (types[topic->type].device ? 4 : 3)))
        err = TM_EPARSE;
    if (err == TM_OK)
        err = mqtt_id_read(levels->at[0], topic->group);
    if (err == TM_OK)
        err = mqtt_id_read(levels->at[2], topic->edge_node);
    if (err == TM_OK && types[topic->type].device)
        err = mqtt_id_read(levels->at[3], topic->device);
    return err;
}

enum tm_err mqtt_topic_parse(const char *text, struct mqtt_topic *ret) {
    static const char namespace[] = MQTT_SPARKPLUG "/";
    struct mqtt_topic topic = {.type = MQTT_STATE};
    struct levels levels;
    if (strncmp(text, namespace, sizeof namespace - 1) != 0)
        return TM_ENOTFOUND;
    enum tm_err err = split(text + sizeof namespace - 1, &levels);
    if (err == TM_OK && bytes_equal(levels.at[0], bytes_str(types[MQTT_STATE].name)))
        err = parse_state(&levels, &topic);
    else if (err == TM_OK)
        err = parse_node(&levels, &topic);
    if (err == TM_OK)
        *ret = topic;
    return err;
}

static bool ids_fit(const struct mqtt_topic *topic) {
    if (!is_type(topic->type) || !mqtt_id_valid(topic->edge_node))
        return false;
    if (topic->type == MQTT_STATE)
        return !topic->group[0] && !topic->device[0];
    if (!mqtt_id_valid(topic->group) || strcmp(topic->group, types[MQTT_STATE].name) == 0)
        return false;
    return types[topic->type].device ? mqtt_id_valid(topic->device) : !topic->device[0];
}

enum tm_err mqtt_topic_format(const struct mqtt_topic *topic, char ret[MQTT_TOPIC_MAX]) {
    static_assert(sizeof MQTT_SPARKPLUG "/NBIRTH//" + 3 * MQTT_ID_MAX < MQTT_TOPIC_MAX,
                  "no topic is cut");
    if (!ids_fit(topic))
        return TM_EINVAL;
    const char *type = types[topic->type].name;
    if (topic->type == MQTT_STATE)
        (void)snprintf(ret, MQTT_TOPIC_MAX, MQTT_SPARKPLUG "/%s/%s", type, topic->edge_node);
    else
        (void)snprintf(ret, MQTT_TOPIC_MAX, MQTT_SPARKPLUG "/%s/%s/%s%s%s", topic->group, type,
                       topic->edge_node, topic->device[0] ? "/" : "", topic->device);
    return TM_OK;
}
