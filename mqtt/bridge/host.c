/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Sparkplug host application's view of edge nodes and devices: births, data and deaths. All of
 * it is claims of whoever could publish there; they cause a challenge at most.
 */
#include <string.h>

#include "mqtt/bridge/bridge_internal.h"

/* ---- births ---- */

/* Births replace what was known. False: the contract's IDs are none. */
static bool learn(struct mqtt_node *node, const struct mqtt_contract *contract,
                  const struct mqtt_aliases *aliases) {
    const char *own = node->name.device[0] ? node->name.device : node->name.edge_node;
    const char *device = contract->device[0] ? contract->device : own;
    if (!mqtt_id_valid(device) || (contract->label[0] && !mqtt_id_valid(contract->label)))
        return false;
    TEXT_SET(node->device, device);
    TEXT_SET(node->label, contract->label);
    node->takes_part = contract->has_offer && contract->has_response;
    node->state = contract->has_state ? contract->state : MQTT_STATE_IDLE;
    node->aliases = *aliases;
    return true;
}

static void announce(struct mqtt_bridge *bridge, struct mqtt_node *node) {
    if (node->state == MQTT_STATE_IDLE)
        mqtt_outbox_drop(bridge, node);
    if (!node->takes_part || bridge->draining)
        return;
    mqtt_births_add(&bridge->births, node);
    mqtt_bridge_pump_soon(bridge);
}

struct birth {
    struct mqtt_payload payload;
    struct mqtt_contract contract;
    struct mqtt_aliases aliases;
};

static bool read_birth(struct mqtt_bridge *bridge, struct bytes octets, struct birth *ret) {
    struct birth birth = {0};
    if (mqtt_payload_read(octets, &birth.payload) || !birth.payload.has_seq ||
        birth.payload.seq > UINT8_MAX ||
        mqtt_contract_read_birth(&birth.payload, &birth.contract, &birth.aliases)) {
        bridge->stats.malformed++;
        return false;
    }
    *ret = birth;
    return true;
}

static void node_birth(struct mqtt_bridge *bridge, const struct mqtt_topic *topic,
                       struct bytes octets) {
    struct birth birth;
    struct mqtt_node *edge;
    if (!read_birth(bridge, octets, &birth) || !(edge = mqtt_nodes_get(&bridge->nodes, topic, "")))
        return;
    if (!learn(edge, &birth.contract, &birth.aliases)) {
        bridge->stats.malformed++;
        return;
    }
    bridge->stats.births++;
    edge->online = true;
    edge->session = ++bridge->nodes.sessions; /* its devices' births of before are over */
    edge->has_bdseq = birth.contract.has_bdseq;
    edge->bdseq = birth.contract.bdseq;
    mqtt_sequence_birth(bridge, edge, birth.payload.seq);
    announce(bridge, edge);
}

/* The edge node, when it was born; else it is asked for its births. */
static struct mqtt_node *born_edge(struct mqtt_bridge *bridge, const struct mqtt_topic *topic) {
    struct mqtt_node *edge = mqtt_nodes_get(&bridge->nodes, topic, "");
    if (edge && edge->online)
        return edge;
    if (edge)
        mqtt_rebirth(bridge, edge);
    return NULL;
}

static void device_birth(struct mqtt_bridge *bridge, const struct mqtt_topic *topic,
                         struct bytes octets) {
    struct birth birth;
    struct mqtt_node *edge, *device;
    if (!read_birth(bridge, octets, &birth) || !(edge = born_edge(bridge, topic)) ||
        !mqtt_sequence_next(bridge, edge, birth.payload.seq))
        return;
    device = mqtt_nodes_get(&bridge->nodes, topic, topic->device);
    edge = mqtt_nodes_find(&bridge->nodes, topic, ""); /* it may have made room for its device */
    if (!device || !edge)
        return;
    if (!learn(device, &birth.contract, &birth.aliases)) {
        bridge->stats.malformed++;
        return;
    }
    bridge->stats.births++;
    device->online = true;
    device->session = edge->session;
    announce(bridge, device);
}

/* ---- data ---- */

static void take_request(struct mqtt_bridge *bridge, struct mqtt_node *node, struct bytes csr) {
    if (csr.n == 0 || bridge->draining || !node->takes_part)
        return;
    if (csr.n > MQTT_MESSAGE_MAX || csr.n > IPC_CSR_MAX) {
        bridge->stats.malformed++;
        return;
    }
    struct mqtt_request request = {
        .kind = MQTT_REQUEST_ENROLL,
        .where.node = node,
        .csr = (uint8_t *)(uintptr_t)csr.p,
        .csr_n = csr.n,
    };
    mqtt_bridge_request(bridge, &request);
}

static void take_data(struct mqtt_bridge *bridge, struct mqtt_node *node,
                      const struct mqtt_payload *payload) {
    struct mqtt_contract contract;
    if (mqtt_contract_read_data(payload, &node->aliases, &contract)) {
        bridge->stats.malformed++;
        return;
    }
    if (contract.has_state) {
        node->state = contract.state;
        if (contract.state == MQTT_STATE_IDLE)
            mqtt_outbox_drop(bridge, node);
        else if (contract.state == MQTT_STATE_WAITING)
            announce(bridge, node);
    }
    if (contract.has_request)
        take_request(bridge, node, contract.request);
}

/* A message with a sequence number of an edge node that is online; else NULL. */
static struct mqtt_node *in_order(struct mqtt_bridge *bridge, const struct mqtt_topic *topic,
                                  struct bytes octets, struct mqtt_payload *ret_payload) {
    struct mqtt_payload payload;
    if (mqtt_payload_read(octets, &payload) || !payload.has_seq || payload.seq > UINT8_MAX) {
        bridge->stats.malformed++;
        return NULL;
    }
    struct mqtt_node *edge = born_edge(bridge, topic);
    if (!edge || !mqtt_sequence_next(bridge, edge, payload.seq))
        return NULL;
    *ret_payload = payload;
    return edge;
}

static void data(struct mqtt_bridge *bridge, const struct mqtt_topic *topic, struct bytes octets) {
    struct mqtt_payload payload;
    struct mqtt_node *edge = in_order(bridge, topic, octets, &payload);
    if (!edge)
        return;
    struct mqtt_node *node = mqtt_nodes_find(&bridge->nodes, topic, topic->device);
    if (node && mqtt_node_online(&bridge->nodes, node))
        take_data(bridge, mqtt_nodes_get(&bridge->nodes, topic, topic->device), &payload);
    else if (edge->reorder.slot == 0) /* else its birth may be what is missing */
        mqtt_rebirth(bridge, edge);
}

/* ---- deaths ---- */

static void device_death(struct mqtt_bridge *bridge, const struct mqtt_topic *topic,
                         struct bytes octets) {
    struct mqtt_payload payload;
    if (!in_order(bridge, topic, octets, &payload))
        return;
    struct mqtt_node *device = mqtt_nodes_find(&bridge->nodes, topic, topic->device);
    if (!device || !device->online)
        return;
    bridge->stats.deaths++;
    device->online = false;
    mqtt_outbox_drop(bridge, device);
}

/* Only the death that belongs to the last birth (section 5.5): a will of an earlier connection may
 * come after it. */
static void node_death(struct mqtt_bridge *bridge, const struct mqtt_topic *topic,
                       struct bytes octets) {
    struct mqtt_payload payload;
    struct mqtt_contract contract;
    struct mqtt_node *edge = mqtt_nodes_find(&bridge->nodes, topic, "");
    if (mqtt_payload_read(octets, &payload) || mqtt_contract_read_data(&payload, NULL, &contract)) {
        bridge->stats.malformed++;
        return;
    }
    if (!edge || !edge->online || !edge->has_bdseq || !contract.has_bdseq ||
        contract.bdseq != edge->bdseq)
        return;
    bridge->stats.deaths++;
    edge->online = false; /* and so are its devices */
    mqtt_sequence_stop(bridge, edge);
    mqtt_outbox_drop(bridge, edge);
}

/* ---- all of them ---- */

/* A broker may keep births (section 10, "Sparkplug aware"), or somebody had them kept: such a one
 * says that there was a node once, not that it is there now, and its sequence number is long past.
 * The node is asked for its births; then those count. What else is kept says nothing at all. */
static void kept(struct mqtt_bridge *bridge, const struct mqtt_topic *topic) {
    if (topic->type == MQTT_NBIRTH || topic->type == MQTT_DBIRTH)
        (void)born_edge(bridge, topic);
}

void mqtt_host_message(struct mqtt_bridge *bridge, const struct mqtt_topic *topic,
                       const struct mqtt_incoming *message) {
    if (message->retained) {
        kept(bridge, topic);
        return;
    }
    switch (topic->type) {
    case MQTT_NBIRTH:
        node_birth(bridge, topic, message->payload);
        break;
    case MQTT_DBIRTH:
        device_birth(bridge, topic, message->payload);
        break;
    case MQTT_NDATA:
    case MQTT_DDATA:
        data(bridge, topic, message->payload);
        break;
    case MQTT_NDEATH:
        node_death(bridge, topic, message->payload);
        break;
    case MQTT_DDEATH:
        device_death(bridge, topic, message->payload);
        break;
    case MQTT_NCMD:
    case MQTT_DCMD:
    case MQTT_STATE:
        break; /* of other hosts, to others */
    }
}
