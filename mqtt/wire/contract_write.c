/* SPDX-License-Identifier: Apache-2.0 */
/* The contract's payloads as device and host write them. */
#include <string.h>

#include "mqtt/wire/contract.h"

#define SEQ_LAST 255 /* of seq and bdSeq: tck-id-payloads-sequence-num-incrementing */

static const struct bytes null_value = {NULL, 0};

static struct bytes value_of(const char *text) {
    return text ? bytes_str(text) : null_value;
}

static bool may_be_born(const struct mqtt_birth *birth) {
    if (birth->seq > SEQ_LAST || birth->bdseq > SEQ_LAST)
        return false;
    if (birth->node && birth->seq != 0) /* tck-id-topics-nbirth-seq-num */
        return false;
    if (birth->state < MQTT_STATE_IDLE || birth->state > MQTT_STATE_UNCONFIRMED)
        return false;
    return (!birth->device || mqtt_id_valid(birth->device)) &&
           (!birth->label || !birth->label[0] || mqtt_id_valid(birth->label));
}

enum tm_err mqtt_birth_write(const struct mqtt_birth *birth, uint64_t timestamp_ms,
                             struct buf *out) {
    struct mqtt_metric metrics[8];
    size_t n = 0;
    if (!may_be_born(birth))
        return TM_EINVAL;
    if (birth->node) { /* tck-id-topics-nbirth-bdseq-included, -rebirth-metric */
        metrics[n++] = mqtt_metric_int64(MQTT_METRIC_BDSEQ, (int64_t)birth->bdseq, timestamp_ms);
        metrics[n++] = mqtt_metric_boolean(MQTT_METRIC_REBIRTH, false, timestamp_ms);
    }
    metrics[n++] = mqtt_metric_string(MQTT_METRIC_DEVICE, value_of(birth->device), timestamp_ms);
    metrics[n++] = mqtt_metric_string(MQTT_METRIC_LABEL, value_of(birth->label), timestamp_ms);
    metrics[n++] = mqtt_metric_string(MQTT_METRIC_STATE, bytes_str(mqtt_state_name(birth->state)),
                                      timestamp_ms);
    metrics[n++] = mqtt_metric_bytes(MQTT_METRIC_REQUEST, null_value, timestamp_ms);
    metrics[n++] = mqtt_metric_bytes(MQTT_METRIC_OFFER, null_value, timestamp_ms);
    metrics[n++] = mqtt_metric_bytes(MQTT_METRIC_RESPONSE, null_value, timestamp_ms);
    struct mqtt_payload payload = {
        .has_timestamp = true, .timestamp_ms = timestamp_ms, .has_seq = true, .seq = birth->seq};
    return mqtt_payload_write(&payload, metrics, n, out);
}

enum tm_err mqtt_death_write(uint64_t bdseq, uint64_t timestamp_ms, struct buf *out) {
    if (bdseq > SEQ_LAST)
        return TM_EINVAL;
    struct mqtt_metric metric = mqtt_metric_int64(MQTT_METRIC_BDSEQ, (int64_t)bdseq, timestamp_ms);
    struct mqtt_payload payload = {.has_timestamp = true, .timestamp_ms = timestamp_ms};
    return mqtt_payload_write(&payload, &metric, 1, out);
}

/* tck-id-payloads-metric-datatype-not-req: the birth has named it. */
static struct mqtt_metric born(struct mqtt_metric metric) {
    metric.has_datatype = false;
    return metric;
}

enum tm_err mqtt_data_write(uint64_t seq, enum mqtt_state state, struct bytes request,
                            uint64_t timestamp_ms, struct buf *out) {
    if (seq > SEQ_LAST || state < MQTT_STATE_IDLE || state > MQTT_STATE_UNCONFIRMED)
        return TM_EINVAL;
    if (request.n > MQTT_MESSAGE_MAX)
        return TM_ELIMIT;
    struct mqtt_metric metrics[2] = {
        born(
            mqtt_metric_string(MQTT_METRIC_STATE, bytes_str(mqtt_state_name(state)), timestamp_ms)),
        born(mqtt_metric_bytes(MQTT_METRIC_REQUEST, request, timestamp_ms))};
    struct mqtt_payload payload = {
        .has_timestamp = true, .timestamp_ms = timestamp_ms, .has_seq = true, .seq = seq};
    return mqtt_payload_write(&payload, metrics, request.n > 0 ? 2 : 1, out);
}

/* TM_EINVAL: no metric that a host writes, or no value for it. */
static enum tm_err command_metric(const char *name, struct bytes value, uint64_t timestamp_ms,
                                  struct mqtt_metric *ret) {
    if (strcmp(name, MQTT_METRIC_REBIRTH) == 0) {
        *ret = mqtt_metric_boolean(name, true, timestamp_ms);
        return TM_OK;
    }
    if (value.n == 0 ||
        (strcmp(name, MQTT_METRIC_OFFER) != 0 && strcmp(name, MQTT_METRIC_RESPONSE) != 0))
        return TM_EINVAL;
    if (value.n > MQTT_MESSAGE_MAX)
        return TM_ELIMIT;
    *ret = mqtt_metric_bytes(name, value, timestamp_ms);
    return TM_OK;
}

enum tm_err mqtt_command_write_aliased(const struct mqtt_aliases *aliases, const char *name,
                                       struct bytes value, uint64_t timestamp_ms, struct buf *out) {
    struct mqtt_metric metric;
    enum tm_err err = command_metric(name, value, timestamp_ms, &metric);
    if (err != TM_OK)
        return err;
    metric.has_alias = mqtt_alias_find(aliases, name, &metric.alias);
    if (metric.has_alias) /* tck-id-payloads-alias-data-cmd-requirement */
        metric.name = null_value;
    /* tck-id-payloads-ncmd-seq, -dcmd-seq: no sequence number */
    struct mqtt_payload payload = {.has_timestamp = true, .timestamp_ms = timestamp_ms};
    return mqtt_payload_write(&payload, &metric, 1, out);
}

enum tm_err mqtt_command_write(const char *name, struct bytes value, uint64_t timestamp_ms,
                               struct buf *out) {
    return mqtt_command_write_aliased(NULL, name, value, timestamp_ms, out);
}
