/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sparkplug B payloads and topics in any octets, and the enrollment contract in them. What reads
 * well and may be written is written and read the same.
 */
#include <stdlib.h>
#include <string.h>

#include "mqtt/wire/contract.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEPT_MAX 64 /* metrics that are written again */

static void require(bool condition) {
    if (!condition)
        abort();
}

static bool inside(struct bytes part, struct bytes whole) {
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static bool same_number(double a, double b) {
    return memcmp(&a, &b, sizeof a) == 0;
}

static bool same(const struct mqtt_metric *a, const struct mqtt_metric *b) {
    return bytes_equal(a->name, b->name) && a->has_alias == b->has_alias && a->alias == b->alias &&
           a->has_timestamp == b->has_timestamp && a->timestamp_ms == b->timestamp_ms &&
           a->has_datatype == b->has_datatype && a->datatype == b->datatype &&
           a->is_historical == b->is_historical && a->is_transient == b->is_transient &&
           a->is_null == b->is_null && a->value == b->value && a->u64 == b->u64 &&
           same_number(a->number, b->number) && bytes_equal(a->octets, b->octets);
}

static enum tm_err write_one(const struct mqtt_metric *metric) {
    static uint8_t memory[MQTT_PAYLOAD_MAX];
    const struct mqtt_payload bare = {.has_seq = false};
    struct buf out = BUF_ON(memory);
    enum tm_err err = mqtt_payload_write(&bare, metric, 1, &out);
    require(err == TM_OK || out.n == 0);
    return err;
}

/* The metrics that may be written, as many as are kept. */
static size_t walk(const struct mqtt_payload *payload, struct mqtt_metric kept[KEPT_MAX]) {
    struct mqtt_metric metric;
    size_t state = 0, count = 0, n = 0;
    enum tm_err err;
    while ((err = mqtt_metric_next(payload, &state, &metric)) == TM_OK) {
        require(++count <= payload->metric_count);
        require(inside(metric.name, payload->raw) && inside(metric.octets, payload->raw));
        require(metric.value <= MQTT_VALUE_OTHER);
        if (n < KEPT_MAX && write_one(&metric) == TM_OK)
            kept[n++] = metric;
    }
    require(err == TM_ENOTFOUND && count == payload->metric_count);
    return n;
}

static void write_again(const struct mqtt_payload *payload, const struct mqtt_metric *metrics,
                        size_t count) {
    static uint8_t memory[MQTT_PAYLOAD_MAX];
    struct buf out = BUF_ON(memory);
    struct mqtt_payload again;
    struct mqtt_metric metric;
    size_t state = 0;
    require(mqtt_payload_write(payload, metrics, count, &out) == TM_OK);
    require(out.n <= payload->raw.n && mqtt_payload_read(buf_bytes(&out), &again) == TM_OK);
    require(again.metric_count == count && again.has_seq == payload->has_seq &&
            again.seq == payload->seq && again.has_timestamp == payload->has_timestamp &&
            again.timestamp_ms == payload->timestamp_ms);
    for (size_t i = 0; i < count; i++)
        require(mqtt_metric_next(&again, &state, &metric) == TM_OK && same(&metric, &metrics[i]));
}

static void look_at(const struct mqtt_contract *contract, struct bytes whole) {
    enum mqtt_state found;
    require(!contract->device[0] || mqtt_id_valid(contract->device));
    require(!contract->label[0] || mqtt_id_valid(contract->label));
    require(!contract->has_state ||
            (mqtt_state_find(bytes_str(mqtt_state_name(contract->state)), &found) == TM_OK &&
             found == contract->state));
    require(inside(contract->request, whole) && contract->request.n <= MQTT_MESSAGE_MAX);
}

/* A birth whose aliased metrics lose their names says the same as data. */
static void by_alias(const struct mqtt_contract *birth, const struct mqtt_aliases *aliases,
                     struct mqtt_metric *metrics, size_t count) {
    static uint8_t memory[MQTT_PAYLOAD_MAX];
    const struct mqtt_payload bare = {.has_seq = false};
    struct buf out = BUF_ON(memory);
    struct mqtt_payload payload;
    struct mqtt_contract data;
    for (size_t i = 0; i < count; i++) {
        uint64_t alias;
        char name[MQTT_NAME_MAX + 1] = "";
        if (metrics[i].name.n > 0 && metrics[i].name.n <= MQTT_NAME_MAX)
            memcpy(name, metrics[i].name.p, metrics[i].name.n);
        if (strlen(name) == metrics[i].name.n && mqtt_alias_find(aliases, name, &alias) &&
            metrics[i].has_alias && metrics[i].alias == alias)
            metrics[i].name = (struct bytes){NULL, 0};
        else if (metrics[i].name.n == 0) /* was nobody's, and must not become one of them */
            return;
    }
    require(mqtt_payload_write(&bare, metrics, count, &out) == TM_OK);
    require(mqtt_payload_read(buf_bytes(&out), &payload) == TM_OK);
    if (mqtt_contract_read_data(&payload, aliases, &data) != TM_OK)
        return; /* the request that a birth does not look at */
    require(data.has_state == birth->has_state && data.state == birth->state);
    require(strcmp(data.device, birth->device) == 0 && strcmp(data.label, birth->label) == 0);
    require(data.has_request == birth->has_request && data.rebirth == birth->rebirth);
    require(data.has_bdseq == birth->has_bdseq && data.bdseq == birth->bdseq);
}

static void read_contract(const struct mqtt_payload *payload, struct mqtt_metric *metrics,
                          size_t count) {
    struct mqtt_contract contract;
    struct mqtt_aliases aliases;
    struct mqtt_command command;
    if (mqtt_contract_read_data(payload, NULL, &contract) == TM_OK)
        look_at(&contract, payload->raw);
    if (mqtt_command_read(payload, &command) == TM_OK)
        require(inside(command.offer, payload->raw) && inside(command.response, payload->raw) &&
                command.offer.n <= MQTT_MESSAGE_MAX && command.response.n <= MQTT_MESSAGE_MAX);
    if (mqtt_contract_read_birth(payload, &contract, &aliases) != TM_OK)
        return;
    look_at(&contract, payload->raw);
    require(contract.request.n == 0 && aliases.count <= MQTT_ALIASES_MAX);
    if (count == payload->metric_count)
        by_alias(&contract, &aliases, metrics, count);
}

static void read_topic(const uint8_t *data, size_t size) {
    char text[2 * MQTT_TOPIC_MAX], again[MQTT_TOPIC_MAX];
    struct mqtt_topic topic;
    if (size >= sizeof text)
        return;
    memcpy(text, data, size);
    text[size] = '\0';
    if (mqtt_topic_parse(text, &topic) == TM_OK)
        require(mqtt_topic_format(&topic, again) == TM_OK && strcmp(text, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct mqtt_metric kept[KEPT_MAX];
    struct mqtt_payload payload;
    if (size == 0)
        return 0;
    read_topic(data, size);
    if (mqtt_payload_read((struct bytes){data, size}, &payload) != TM_OK)
        return 0;
    size_t count = walk(&payload, kept);
    write_again(&payload, kept, count);
    read_contract(&payload, kept, count);
    return 0;
}
