/* SPDX-License-Identifier: Apache-2.0 */
/* Whole payloads, read and written. */
#include "mqtt/wire/fields.h"
#include "mqtt/wire/sparkplug.pb.h"
#include "pki/chars.h"
#include "pki/der.h"

enum tm_err mqtt_payload_read(struct bytes data, struct mqtt_payload *ret) {
    mqtt_pb_Payload pb = {.has_timestamp = false};
    if (data.n > MQTT_PAYLOAD_MAX)
        return TM_ELIMIT;
    pb_istream_t in = mqtt_input(data);
    if (!pb_decode(&in, mqtt_pb_Payload_fields, &pb))
        return pb.metrics.too_many ? TM_ELIMIT : TM_EPARSE;
    *ret = (struct mqtt_payload){.has_timestamp = pb.has_timestamp,
                                 .timestamp_ms = pb.timestamp,
                                 .has_seq = pb.has_seq,
                                 .seq = pb.seq,
                                 .metric_count = pb.metrics.count,
                                 .raw = data};
    return TM_OK;
}

static bool metric_decode_delimited(pb_istream_t *in, struct mqtt_metric *ret) {
    pb_istream_t one;
    return pb_make_string_substream(in, &one) && mqtt_metric_decode(&one, ret) &&
           pb_close_string_substream(in, &one);
}

enum tm_err mqtt_metric_next(const struct mqtt_payload *payload, size_t *state,
                             struct mqtt_metric *ret) {
    if (*state >= payload->raw.n)
        return TM_ENOTFOUND;
    pb_istream_t in = mqtt_input((struct bytes){payload->raw.p + *state, payload->raw.n - *state});
    while (in.bytes_left > 0) {
        pb_wire_type_t type;
        uint32_t tag;
        bool eof;
        if (!pb_decode_tag(&in, &type, &tag, &eof))
            return TM_EPARSE;
        if (tag == mqtt_pb_Payload_metrics_tag && type == PB_WT_STRING) {
            if (!metric_decode_delimited(&in, ret))
                return TM_EPARSE;
            *state = payload->raw.n - in.bytes_left;
            return TM_OK;
        }
        if (!pb_skip_field(&in, type))
            return TM_EPARSE;
    }
    return TM_ENOTFOUND;
}

static bool is_utf8(struct bytes text) {
    uint32_t c;
    enum tm_err err;
    while ((err = chars_next(DER_UTF8_STRING, &text, &c)) == TM_OK)
        continue;
    return err == TM_ENOTFOUND;
}

static bool may_be_written(const struct mqtt_metric *metric) {
    if (metric->name.n == 0 && !metric->has_alias) /* tck-id-payloads-name-requirement */
        return false;
    if (!is_utf8(metric->name) || metric->value == MQTT_VALUE_OTHER)
        return false;
    if (metric->is_null != (metric->value == MQTT_VALUE_NONE))
        return false;
    if (metric->value == MQTT_VALUE_STRING && !is_utf8(metric->octets))
        return false;
    if (!metric->has_datatype)
        return true;
    enum mqtt_value value = mqtt_datatype_value(metric->datatype);
    return value != MQTT_VALUE_NONE && (metric->is_null || value == metric->value);
}

enum tm_err mqtt_payload_write(const struct mqtt_payload *payload,
                               const struct mqtt_metric *metrics, size_t count, struct buf *out) {
    if (count > MQTT_METRICS_MAX || out->full)
        return TM_ELIMIT;
    for (size_t i = 0; i < count; i++)
        if (!may_be_written(&metrics[i]))
            return TM_EINVAL;
    mqtt_pb_Payload pb = {.has_timestamp = payload->has_timestamp,
                          .timestamp = payload->timestamp_ms,
                          .metrics = {.write = metrics, .count = count},
                          .has_seq = payload->has_seq,
                          .seq = payload->seq};
    size_t before = out->n;
    pb_ostream_t stream = mqtt_output(out);
    if (pb_encode(&stream, mqtt_pb_Payload_fields, &pb))
        return TM_OK;
    out->n = before;
    return TM_ELIMIT;
}
