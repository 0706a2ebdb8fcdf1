/* SPDX-License-Identifier: Apache-2.0 */
/* One metric between nanopb's struct and ours, and metrics made in one call. */
#include "mqtt/wire/fields.h"
#include "mqtt/wire/sparkplug.pb.h"

/* Section 6.4.16: Google Protocol Buffer type of each datatype. */
static const uint8_t datatype_values[] = {
    [MQTT_INT8] = MQTT_VALUE_INT,        [MQTT_INT16] = MQTT_VALUE_INT,
    [MQTT_INT32] = MQTT_VALUE_INT,       [MQTT_INT64] = MQTT_VALUE_LONG,
    [MQTT_UINT8] = MQTT_VALUE_INT,       [MQTT_UINT16] = MQTT_VALUE_INT,
    [MQTT_UINT32] = MQTT_VALUE_INT,      [MQTT_UINT64] = MQTT_VALUE_LONG,
    [MQTT_FLOAT] = MQTT_VALUE_FLOAT,     [MQTT_DOUBLE] = MQTT_VALUE_DOUBLE,
    [MQTT_BOOLEAN] = MQTT_VALUE_BOOLEAN, [MQTT_STRING] = MQTT_VALUE_STRING,
    [MQTT_DATETIME] = MQTT_VALUE_LONG,   [MQTT_TEXT] = MQTT_VALUE_STRING,
    [MQTT_UUID] = MQTT_VALUE_STRING,     [MQTT_BYTES] = MQTT_VALUE_BYTES,
    [MQTT_FILE] = MQTT_VALUE_BYTES,
};

enum mqtt_value mqtt_datatype_value(uint32_t datatype) {
    return datatype < sizeof datatype_values ? (enum mqtt_value)datatype_values[datatype]
                                             : MQTT_VALUE_NONE;
}

static void take_value(const mqtt_pb_Metric *pb, struct mqtt_metric *ret) {
    switch (pb->which_value) {
    case 0:
        ret->value = MQTT_VALUE_NONE;
        break;
    case mqtt_pb_Metric_int_value_tag:
        ret->value = MQTT_VALUE_INT;
        ret->u64 = pb->value.int_value;
        break;
    case mqtt_pb_Metric_long_value_tag:
        ret->value = MQTT_VALUE_LONG;
        ret->u64 = pb->value.long_value;
        break;
    case mqtt_pb_Metric_float_value_tag:
        ret->value = MQTT_VALUE_FLOAT;
        ret->number = (double)pb->value.float_value;
        break;
    case mqtt_pb_Metric_double_value_tag:
        ret->value = MQTT_VALUE_DOUBLE;
        ret->number = pb->value.double_value;
        break;
    case mqtt_pb_Metric_boolean_value_tag:
        ret->value = MQTT_VALUE_BOOLEAN;
        ret->u64 = pb->value.boolean_value;
        break;
    case mqtt_pb_Metric_string_value_tag:
        ret->value = MQTT_VALUE_STRING;
        ret->octets = pb->value.string_value;
        break;
    case mqtt_pb_Metric_bytes_value_tag:
        ret->value = MQTT_VALUE_BYTES;
        ret->octets = pb->value.bytes_value;
        break;
    default:
        ret->value = MQTT_VALUE_OTHER;
        break;
    }
}

bool mqtt_metric_decode(pb_istream_t *in, struct mqtt_metric *ret) {
    mqtt_pb_Metric pb = {.has_alias = false};
    if (!pb_decode(in, mqtt_pb_Metric_fields, &pb))
        return false;
    *ret = (struct mqtt_metric){.name = pb.name,
                                .has_alias = pb.has_alias,
                                .alias = pb.alias,
                                .has_timestamp = pb.has_timestamp,
                                .timestamp_ms = pb.timestamp,
                                .has_datatype = pb.has_datatype,
                                .datatype = pb.datatype,
                                .is_historical = pb.has_is_historical && pb.is_historical,
                                .is_transient = pb.has_is_transient && pb.is_transient,
                                .is_null = pb.has_is_null && pb.is_null};
    take_value(&pb, ret);
    return true;
}

/* An empty value is there all the same. */
static struct bytes there(struct bytes octets) {
    static const uint8_t nothing;
    return octets.p ? octets : (struct bytes){&nothing, 0};
}

static void give_value(const struct mqtt_metric *metric, mqtt_pb_Metric *pb) {
    switch (metric->value) {
    case MQTT_VALUE_INT:
        pb->which_value = mqtt_pb_Metric_int_value_tag;
        pb->value.int_value = (uint32_t)metric->u64;
        break;
    case MQTT_VALUE_LONG:
        pb->which_value = mqtt_pb_Metric_long_value_tag;
        pb->value.long_value = metric->u64;
        break;
    case MQTT_VALUE_FLOAT:
        pb->which_value = mqtt_pb_Metric_float_value_tag;
        pb->value.float_value = (float)metric->number;
        break;
    case MQTT_VALUE_DOUBLE:
        pb->which_value = mqtt_pb_Metric_double_value_tag;
        pb->value.double_value = metric->number;
        break;
    case MQTT_VALUE_BOOLEAN:
        pb->which_value = mqtt_pb_Metric_boolean_value_tag;
        pb->value.boolean_value = metric->u64 != 0;
        break;
    case MQTT_VALUE_STRING:
        pb->which_value = mqtt_pb_Metric_string_value_tag;
        pb->value.string_value = there(metric->octets);
        break;
    case MQTT_VALUE_BYTES:
        pb->which_value = mqtt_pb_Metric_bytes_value_tag;
        pb->value.bytes_value = there(metric->octets);
        break;
    case MQTT_VALUE_NONE:
    case MQTT_VALUE_OTHER:
        break;
    }
}

bool mqtt_metric_encode(pb_ostream_t *out, const struct mqtt_metric *metric) {
    mqtt_pb_Metric pb = {.name = metric->name.n ? metric->name : (struct bytes){NULL, 0},
                         .has_alias = metric->has_alias,
                         .alias = metric->alias,
                         .has_timestamp = metric->has_timestamp,
                         .timestamp = metric->timestamp_ms,
                         .has_datatype = metric->has_datatype,
                         .datatype = metric->datatype,
                         .has_is_historical = metric->is_historical,
                         .is_historical = metric->is_historical,
                         .has_is_transient = metric->is_transient,
                         .is_transient = metric->is_transient,
                         .has_is_null = metric->is_null,
                         .is_null = metric->is_null};
    give_value(metric, &pb);
    return pb_encode_submessage(out, mqtt_pb_Metric_fields, &pb);
}

static struct mqtt_metric metric_of(const char *name, enum mqtt_datatype datatype, bool is_null,
                                    uint64_t timestamp_ms) {
    return (struct mqtt_metric){.name = bytes_str(name),
                                .has_timestamp = true,
                                .timestamp_ms = timestamp_ms,
                                .has_datatype = true,
                                .datatype = datatype,
                                .is_null = is_null,
                                .value = is_null ? MQTT_VALUE_NONE : mqtt_datatype_value(datatype)};
}

struct mqtt_metric mqtt_metric_string(const char *name, struct bytes value, uint64_t timestamp_ms) {
    struct mqtt_metric metric = metric_of(name, MQTT_STRING, !value.p, timestamp_ms);
    metric.octets = value;
    return metric;
}

struct mqtt_metric mqtt_metric_bytes(const char *name, struct bytes value, uint64_t timestamp_ms) {
    struct mqtt_metric metric = metric_of(name, MQTT_BYTES, !value.p, timestamp_ms);
    metric.octets = value;
    return metric;
}

struct mqtt_metric mqtt_metric_boolean(const char *name, bool value, uint64_t timestamp_ms) {
    struct mqtt_metric metric = metric_of(name, MQTT_BOOLEAN, false, timestamp_ms);
    metric.u64 = value;
    return metric;
}

struct mqtt_metric mqtt_metric_int64(const char *name, int64_t value, uint64_t timestamp_ms) {
    struct mqtt_metric metric = metric_of(name, MQTT_INT64, false, timestamp_ms);
    metric.u64 = (uint64_t)value;
    return metric;
}
