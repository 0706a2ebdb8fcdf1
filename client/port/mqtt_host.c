/* SPDX-License-Identifier: Apache-2.0 */
/* The primary host application's STATE (Sparkplug B 3.0, sections 4 and 5), as an edge node takes
 * it. */
#include <jansson.h>

#include "base/auto.h"
#include "base/log.h"
#include "client/port/mqtt_internal.h"

#define STATE_MAX 1024 /* octets of a STATE payload that is looked at */

AUTO_DEFINE(json_t, json_decref)

/* What is older than the newest message says nothing any more: the death of an earlier session, or
 * a broker's late delivery (tck-id-operational-behavior-edge-node-termination-host-offline-
 * timestamp, tck-id-message-flow-edge-node-birth-publish-phid-wait-timestamp). */
void tm_mqtt_host_says(struct tm_mqtt_node *node, struct bytes payload) {
    AUTO(json_t) state = NULL;
    if (payload.n <= STATE_MAX)
        state = json_loadb((const char *)payload.p, payload.n, JSON_REJECT_DUPLICATES, NULL);
    const json_t *online = json_object_get(state, "online");
    const json_t *timestamp = json_object_get(state, "timestamp");
    if (!json_is_boolean(online) || !json_is_integer(timestamp)) {
        log_debug("a STATE message is passed over: it is none of Sparkplug 3.0");
        return;
    }
    int64_t at_ms = (int64_t)json_integer_value(timestamp);
    if (node->host_seen && at_ms < node->host_ms)
        return;
    node->host_seen = true;
    node->host_ms = at_ms;
    node->host_online = json_is_true(online);
}
