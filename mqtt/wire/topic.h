/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sparkplug B 3.0 topics (section 4): spBv1.0/{group}/{type}/{edge node}[/{device}] and
 * spBv1.0/STATE/{host}. No allocation, thread-safe.
 */
#ifndef TOUCHMARK_MQTT_WIRE_TOPIC_H
#define TOUCHMARK_MQTT_WIRE_TOPIC_H

#include "base/bytes.h"

#define MQTT_SPARKPLUG "spBv1.0"
#define MQTT_ID_MAX 64     /* octets of a group, edge node, device or host ID here */
#define MQTT_TOPIC_MAX 280 /* octets of a topic, with NUL */

enum mqtt_type {
    MQTT_NBIRTH = 1,
    MQTT_NDEATH,
    MQTT_DBIRTH,
    MQTT_DDEATH,
    MQTT_NDATA,
    MQTT_DDATA,
    MQTT_NCMD,
    MQTT_DCMD,
    MQTT_STATE,
};

/* STATE: edge_node is the host ID, group and device are empty. */
struct mqtt_topic {
    enum mqtt_type type;
    char group[MQTT_ID_MAX + 1];
    char edge_node[MQTT_ID_MAX + 1];
    char device[MQTT_ID_MAX + 1]; /* D* types only; else "" */
};

/* An ID: 1 to MQTT_ID_MAX octets of UTF-8 without control characters and without "+", "/" and "#"
 * (tck-id-topic-structure-namespace-valid-group-id and its like). */
bool mqtt_id_valid(const char *id);
/* Copies an ID. TM_EPARSE: it is none; TM_ELIMIT: it is too long. */
MUST_USE enum tm_err mqtt_id_read(struct bytes text, char ret[MQTT_ID_MAX + 1]);

/* TM_ENOTFOUND: not below spBv1.0/; TM_EPARSE: below it but no valid topic (an unknown type, a
 * device part where there must be none or none where there must be one, an ID that is none);
 * TM_ELIMIT: an ID that is too long. */
MUST_USE enum tm_err mqtt_topic_parse(const char *text, struct mqtt_topic *ret);
/* TM_EINVAL: IDs that do not fit the type, or a group "STATE". */
MUST_USE enum tm_err mqtt_topic_format(const struct mqtt_topic *topic, char ret[MQTT_TOPIC_MAX]);
/* "NBIRTH"; never NULL. */
const char *mqtt_type_name(enum mqtt_type type);

#endif
