/* SPDX-License-Identifier: Apache-2.0 */
/* See bench/mqtt_births.h. */
#include "bench/mqtt_births.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "mqtt/wire/contract.h"

#define BIRTH_MAX 1024 /* octets */
#define READY_MS 20000

struct device {
    int64_t born_us;    /* 0: not yet */
    int64_t offered_us; /* 0: not yet */
};

struct node;

struct plant {
    const struct bench_births_config *config;
    struct device *devices; /* device i is behind edge node i mod their count */
    struct node *nodes;
    struct bench_link **links; /* of the nodes */
    size_t born, offered, more, rebirths;
    int64_t start_us, last_birth_us, last_offer_us;
};

struct node {
    struct plant *plant;
    size_t number;
    struct mqtt_topic topic; /* its group and ID */
    uint64_t seq;            /* of the last message */
    bool rebirth;            /* was asked for */
};

/* ---- births ---- */

static enum tm_err say(struct node *node, enum mqtt_type type, const char *device,
                       struct bytes payload) {
    char text[MQTT_TOPIC_MAX];
    struct mqtt_topic topic = node->topic;
    topic.type = type;
    TEXT_SET(topic.device, device);
    enum tm_err err = mqtt_topic_format(&topic, text);
    return err ? err : bench_link_publish(node->plant->links[node->number], text, payload, 0);
}

static enum tm_err give_node_birth(struct node *node) {
    uint8_t octets[BIRTH_MAX];
    struct buf out = BUF_ON(octets);
    const struct mqtt_birth birth = {.node = true, .state = MQTT_STATE_IDLE};
    enum tm_err err = mqtt_birth_write(&birth, (uint64_t)clock_wall_ms(), &out);
    node->seq = 0;
    return err ? err : say(node, MQTT_NBIRTH, "", buf_bytes(&out));
}

static enum tm_err give_device_birth(struct node *node, size_t i) {
    uint8_t octets[BIRTH_MAX];
    struct buf out = BUF_ON(octets);
    char id[MQTT_ID_MAX + 1];
    const struct device *device = &node->plant->devices[i];
    node->seq = (node->seq + 1) % 256;
    const struct mqtt_birth birth = {
        .seq = node->seq,
        .label = node->plant->config->label,
        .state = device->offered_us ? MQTT_STATE_IDLE : MQTT_STATE_WAITING,
    };
    (void)snprintf(id, sizeof id, "%.40s%07zu", node->plant->config->prefix, i);
    enum tm_err err = mqtt_birth_write(&birth, (uint64_t)clock_wall_ms(), &out);
    return err ? err : say(node, MQTT_DBIRTH, id, buf_bytes(&out));
}

/* All of those that are born already. */
static enum tm_err give_births_again(struct node *node) {
    struct plant *plant = node->plant;
    enum tm_err err = give_node_birth(node);
    for (size_t i = node->number; !err && i < plant->born; i += plant->config->nodes)
        err = give_device_birth(node, i);
    node->rebirth = false;
    return err;
}

/* Those that are due by now. */
static enum tm_err give_births(struct plant *plant, int64_t now_us) {
    const struct bench_births_config *c = plant->config;
    uint64_t elapsed = (uint64_t)(now_us - plant->start_us);
    uint64_t within = (uint64_t)c->within_ms * 1000;
    size_t due = elapsed >= within ? c->devices : (size_t)(elapsed * c->devices / within);
    enum tm_err err = TM_OK;
    while (!err && plant->born < due) {
        size_t i = plant->born++;
        plant->devices[i].born_us = plant->last_birth_us = bench_now_us();
        err = give_device_birth(&plant->nodes[i % c->nodes], i);
    }
    for (size_t n = 0; !err && n < c->nodes; n++)
        if (plant->nodes[n].rebirth)
            err = give_births_again(&plant->nodes[n]);
    return err;
}

/* ---- offers ---- */

static void note_offer(struct plant *plant, const char *id) {
    const size_t n = strnlen(plant->config->prefix, 50);
    size_t i = strlen(id) > n ? strtoul(id + n, NULL, 10) : SIZE_MAX;
    if (i >= plant->born)
        return;
    struct device *device = &plant->devices[i];
    plant->more += device->offered_us != 0;
    if (device->offered_us)
        return;
    device->offered_us = plant->last_offer_us = bench_now_us();
    plant->offered++;
}

static void on_message(void *arg, const char *text, struct bytes data) {
    struct node *node = arg;
    struct mqtt_topic topic;
    struct mqtt_payload payload;
    struct mqtt_command command;
    if (mqtt_topic_parse(text, &topic) || mqtt_payload_read(data, &payload) ||
        mqtt_command_read(&payload, &command))
        return;
    if (topic.type == MQTT_DCMD && command.offer.n)
        note_offer(node->plant, topic.device);
    if (topic.type == MQTT_NCMD && command.rebirth) {
        node->plant->rebirths++;
        node->rebirth = true;
    }
}

/* ---- edge nodes ---- */

static enum tm_err subscribe(struct node *node, enum mqtt_type type, const char *below) {
    char text[MQTT_TOPIC_MAX];
    (void)snprintf(text, sizeof text, "%s/%s/%s/%s%s", MQTT_SPARKPLUG, node->topic.group,
                   mqtt_type_name(type), node->topic.edge_node, below);
    return bench_link_subscribe(node->plant->links[node->number], text);
}

static enum tm_err open_node(struct plant *plant, size_t number) {
    uint8_t octets[BIRTH_MAX];
    char text[MQTT_TOPIC_MAX], client_id[64];
    struct buf will = BUF_ON(octets);
    struct node *node = &plant->nodes[number];
    *node = (struct node){.plant = plant, .number = number, .topic = {.type = MQTT_NDEATH}};
    TEXT_SET(node->topic.group, plant->config->group);
    (void)snprintf(node->topic.edge_node, sizeof node->topic.edge_node, "node-%zu", number);
    (void)snprintf(client_id, sizeof client_id, "births-%d-%zu", (int)getpid(), number);
    enum tm_err err = mqtt_topic_format(&node->topic, text);
    if (!err)
        err = mqtt_death_write(0, (uint64_t)clock_wall_ms(), &will);
    const struct bench_link_config link = {.broker = plant->config->broker,
                                           .client_id = client_id,
                                           .will_topic = text,
                                           .will = buf_bytes(&will),
                                           .message = on_message,
                                           .arg = node};
    if (!err)
        err = bench_link_open(&link, &plant->links[number]);
    if (!err)
        err = subscribe(node, MQTT_NCMD, "");
    return err ? err : subscribe(node, MQTT_DCMD, "/+");
}

static enum tm_err open_nodes(struct plant *plant) {
    size_t nodes = plant->config->nodes;
    enum tm_err err = TM_OK;
    for (size_t i = 0; !err && i < nodes; i++)
        err = open_node(plant, i);
    if (!err)
        err = bench_links_ready(plant->links, nodes, READY_MS);
    for (size_t i = 0; !err && i < nodes; i++)
        err = give_node_birth(&plant->nodes[i]);
    return err;
}

/* ---- the whole ---- */

static enum tm_err live(struct plant *plant) {
    const struct bench_births_config *c = plant->config;
    enum tm_err err = open_nodes(plant);
    plant->start_us = bench_now_us();
    int64_t now = plant->start_us, end = now + (int64_t)c->seconds * 1000000;
    for (; !err && plant->offered < c->devices && now < end; now = bench_now_us()) {
        err = give_births(plant, now);
        if (!err)
            err = bench_links_serve(plant->links, c->nodes, plant->born < c->devices ? 1 : 50);
    }
    return err;
}

static int by_size(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static enum tm_err sum_up(const struct plant *plant, struct bench_births_result *ret) {
    AUTO_MEM int64_t *waits = calloc(plant->config->devices, sizeof *waits);
    size_t n = 0;
    if (!waits)
        return TM_ENOMEM;
    for (size_t i = 0; i < plant->born; i++)
        if (plant->devices[i].offered_us)
            waits[n++] = plant->devices[i].offered_us - plant->devices[i].born_us;
    qsort(waits, n, sizeof *waits, by_size);
    *ret = (struct bench_births_result){
        .seconds = (double)(plant->last_birth_us - plant->start_us) / 1e6,
        .offered = plant->offered,
        .offered_seconds = n ? (double)(plant->last_offer_us - plant->start_us) / 1e6 : 0,
        .p50_ms = n ? (double)waits[n / 2] / 1e3 : 0,
        .p99_ms = n ? (double)waits[n * 99 / 100] / 1e3 : 0,
        .more = plant->more,
        .rebirths = plant->rebirths,
    };
    return TM_OK;
}

enum tm_err bench_births(const struct bench_births_config *config,
                         struct bench_births_result *ret) {
    AUTO_MEM struct device *devices = calloc(config->devices, sizeof *devices);
    AUTO_MEM struct node *nodes = calloc(config->nodes, sizeof *nodes);
    AUTO_MEM struct bench_link **links = calloc(config->nodes, sizeof(struct bench_link *));
    struct plant plant = {.config = config, .devices = devices, .nodes = nodes, .links = links};
    enum tm_err err = devices && nodes && links ? live(&plant) : TM_ENOMEM;
    for (size_t i = 0; links && i < config->nodes; i++)
        bench_link_close(links[i]);
    return err ? err : sum_up(&plant, ret);
}
