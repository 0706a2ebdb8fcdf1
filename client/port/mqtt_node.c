/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device as a Sparkplug B 3.0 edge node: will, births, deaths, sequence numbers and commands.
 * Its metrics are those of the enrollment contract (mqtt/wire/contract.h) and no others.
 */
#include <inttypes.h>
#include <mqtt_protocol.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/port/folder.h"
#include "client/port/mqtt_internal.h"
#include "client/port/run.h"

#define BDSEQ_FILE "mqtt-bdseq"
#define REBIRTH_MS 1000 /* rebirth requests are answered not more often than so */

/* ---- bdSeq ---- */

/* The number of the last CONNECT, as text. 255 when there was none or it cannot be read: then 0 is
 * next. */
static uint8_t read_bdseq(int folder) {
    char text[8] = "", *end = text;
    struct buf out = {(uint8_t *)text, sizeof text - 1, 0, false};
    if (folder < 0 || tm_folder_read(folder, BDSEQ_FILE, &out) != TM_OK)
        return UINT8_MAX;
    unsigned long value = strtoul(text, &end, 10);
    return end != text && value <= UINT8_MAX ? (uint8_t)value : UINT8_MAX;
}

/* One more than that of the CONNECT before, 255 -> 0; the same again when that one never left
 * (tck-id-message-flow-edge-node-birth-publish-will-message-payload-bdSeq). It is kept before it is
 * used: a number that is skipped harms nobody, one that comes twice may. */
static void next_bdseq(struct tm_mqtt_node *node) {
    char text[8];
    if (!node->bdseq_used)
        return;
    node->bdseq++;
    node->bdseq_used = false;
    (void)snprintf(text, sizeof text, "%" PRIu8 "\n", node->bdseq);
    if (node->folder >= 0 && tm_folder_write(node->folder, BDSEQ_FILE, bytes_str(text)) != TM_OK)
        log_warn(BDSEQ_FILE " cannot be written");
}

/* ---- payloads ---- */

static uint64_t now_ms(void) {
    return (uint64_t)clock_wall_ms();
}

static enum tm_err prepare(struct tm_mqtt *m) {
    struct buf out = BUF_ON(m->payload);
    next_bdseq(&m->node);
    m->node.rebirth = false;
    m->node.host_online = false;
    enum tm_err err = mqtt_death_write(m->node.bdseq, now_ms(), &out);
    if (!err && mosquitto_will_set_v5(m->link.mosq, m->node.ndeath, (int)out.n, out.p, 1, false,
                                      NULL) != MOSQ_ERR_SUCCESS)
        err = TM_EINVAL;
    return err;
}

static enum tm_err subscribe(struct tm_mqtt *m) {
    enum tm_err err = tm_mqtt_subscribe(m, m->node.ncmd, MQTT_SUB_OPT_SEND_RETAIN_NEVER);
    return err || !m->node.host[0] ? err : tm_mqtt_subscribe(m, m->node.host, 0);
}

static enum tm_err give_birth(struct tm_mqtt *m) {
    const struct tm_mqtt_config *c = &m->config;
    struct tm_mqtt_node *node = &m->node;
    struct buf out = BUF_ON(m->payload);
    const struct mqtt_birth birth = {
        .node = true,
        .seq = 0,
        .bdseq = node->bdseq,
        .device = strcmp(c->edge_node, c->device_id) == 0 ? NULL : c->device_id,
        .label = m->label[0] ? m->label : NULL,
        .state = m->state,
    };
    enum tm_err err = mqtt_birth_write(&birth, now_ms(), &out);
    if (!err)
        err = tm_mqtt_publish(m, node->nbirth, buf_bytes(&out), 0, NULL, NULL);
    if (err)
        return err;
    node->seq = 0;
    node->rebirth = false;
    node->born_ms = tm_clock_now().mono_ms;
    m->birth_due = false;
    m->unsaid = m->request.n > 0;
    return TM_OK;
}

static enum tm_err begin(struct tm_mqtt *m) {
    return m->node.host[0] && !m->node.host_online ? TM_EAGAIN : give_birth(m);
}

static int64_t due_ms(const struct tm_mqtt *m) {
    return m->node.rebirth ? m->node.born_ms + REBIRTH_MS : INT64_MAX;
}

static enum tm_err tend(struct tm_mqtt *m) {
    const struct tm_mqtt_node *node = &m->node;
    if (node->host[0] && !node->host_online) {
        log_info("the primary host %s went offline", m->config.host_id);
        return TM_ECLOSED;
    }
    bool due = node->rebirth && tm_clock_now().mono_ms >= due_ms(m);
    return due || m->birth_due ? give_birth(m) : TM_OK;
}

/* No data after a rebirth request before the birth (tck-id-operational-behavior-data-commands-
 * rebirth-action-1), which then says the state as well. */
static enum tm_err say(struct tm_mqtt *m) {
    struct tm_mqtt_node *node = &m->node;
    struct buf out = BUF_ON(m->payload);
    if (node->rebirth || m->birth_due) {
        enum tm_err err = give_birth(m);
        if (err || !m->unsaid)
            return err;
    }
    uint8_t seq = (uint8_t)(node->seq + 1);
    enum tm_err err = mqtt_data_write(seq, m->state, m->request, now_ms(), &out);
    if (!err)
        err = tm_mqtt_publish(m, node->ndata, buf_bytes(&out), 0, NULL, NULL);
    if (!err)
        node->seq = seq;
    return err;
}

static enum tm_err end(struct tm_mqtt *m, int *ret_mid) {
    struct buf out = BUF_ON(m->payload);
    enum tm_err err = mqtt_death_write(m->node.bdseq, now_ms(), &out);
    return err ? err : tm_mqtt_publish(m, m->node.ndeath, buf_bytes(&out), 1, NULL, ret_mid);
}

/* ---- commands ---- */

static void obey(struct tm_mqtt *m, struct bytes data) {
    struct mqtt_payload payload;
    struct mqtt_command command;
    enum tm_err err = mqtt_payload_read(data, &payload);
    if (!err)
        err = mqtt_command_read(&payload, &command);
    if (err) {
        log_debug("a command is passed over: %s", tm_err_name(err));
        return;
    }
    m->node.rebirth = m->node.rebirth || command.rebirth;
    if (command.offer.n)
        tm_mqtt_hear_offer(m, command.offer);
    if (command.response.n)
        tm_mqtt_hear_response(m, command.response);
}

static void receive(struct tm_mqtt *m, const struct tm_mqtt_message *message) {
    if (strcmp(message->topic, m->node.ncmd) == 0)
        obey(m, message->payload);
    else if (m->node.host[0] && strcmp(message->topic, m->node.host) == 0)
        tm_mqtt_host_says(&m->node, message->payload);
}

const struct tm_mqtt_ways tm_mqtt_node_ways = {
    .prepare = prepare,
    .subscribe = subscribe,
    .begin = begin,
    .due_ms = due_ms,
    .tend = tend,
    .say = say,
    .receive = receive,
    .end = end,
    /* tck-id-payloads-ndeath-will-message-publisher-disconnect-mqtt50 */
    .goodbye = MQTT_RC_DISCONNECT_WITH_WILL_MSG,
};

/* ---- configuration ---- */

static enum tm_err format(const struct tm_mqtt_config *c, enum mqtt_type type,
                          char ret[MQTT_TOPIC_MAX]) {
    struct mqtt_topic topic = {.type = type};
    bool state = type == MQTT_STATE;
    const char *node = state ? c->host_id : c->edge_node;
    if (!mqtt_id_valid(node) || (!state && (!c->group || !mqtt_id_valid(c->group))))
        return TM_EINVAL;
    TEXT_SET(topic.edge_node, node);
    if (!state)
        TEXT_SET(topic.group, c->group);
    return mqtt_topic_format(&topic, ret);
}

static enum tm_err format_all(struct tm_mqtt *m) {
    const struct tm_mqtt_config *c = &m->config;
    struct tm_mqtt_node *node = &m->node;
    enum tm_err err = format(c, MQTT_NBIRTH, node->nbirth);
    if (!err)
        err = format(c, MQTT_NDEATH, node->ndeath);
    if (!err)
        err = format(c, MQTT_NDATA, node->ndata);
    if (!err)
        err = format(c, MQTT_NCMD, node->ncmd);
    return err || !c->host_id ? err : format(c, MQTT_STATE, node->host);
}

enum tm_err tm_mqtt_node_open(struct tm_mqtt *m) {
    enum tm_err err = format_all(m);
    if (!err && m->config.folder)
        err = tm_folder_open(m->config.folder, &m->node.folder);
    if (err)
        return err;
    m->node.bdseq = read_bdseq(m->node.folder);
    m->node.bdseq_used = true;
    return TM_OK;
}

void tm_mqtt_node_close(struct tm_mqtt *m) {
    if (m->node.folder >= 0)
        (void)close(m->node.folder);
}
