/* SPDX-License-Identifier: Apache-2.0 */
/* nanopb's streams and field callbacks over borrowed memory. */
#include "mqtt/wire/fields.h"

#include <string.h>

#include "mqtt/wire/sparkplug.pb.h"

static bool read_borrowed(pb_istream_t *in, pb_byte_t *to, size_t n) {
    if (to)
        memcpy(to, in->state, n);
    in->state = (pb_byte_t *)in->state + n;
    return true;
}

pb_istream_t mqtt_input(struct bytes data) {
    static const uint8_t nothing;
    return (pb_istream_t){.callback = read_borrowed,
                          .state = (void *)(data.n ? data.p : &nothing),
                          .bytes_left = data.n};
}

struct bytes mqtt_input_rest(const pb_istream_t *in) {
    return (struct bytes){in->state, in->bytes_left};
}

static bool write_buf(pb_ostream_t *out, const pb_byte_t *from, size_t n) {
    struct buf *buf = out->state;
    buf_put(buf, (struct bytes){from, n});
    return !buf->full;
}

pb_ostream_t mqtt_output(struct buf *out) {
    size_t room = out->cap - out->n;
    return (pb_ostream_t){.callback = write_buf,
                          .state = out,
                          .max_size = room < MQTT_PAYLOAD_MAX ? room : MQTT_PAYLOAD_MAX};
}

/* A field that is not length-delimited as it has to be comes as a copy of nanopb's own, in a stream
 * of another kind: nothing to borrow, and a wrong wire type. */
static bool borrow(pb_istream_t *in, const pb_field_t *field) {
    if (in->callback != read_borrowed)
        return false;
    *(struct bytes *)field->pData = mqtt_input_rest(in);
    if (PB_HTYPE(field->type) == PB_HTYPE_ONEOF)
        *(pb_size_t *)field->pSize = field->tag;
    in->state = (pb_byte_t *)in->state + in->bytes_left;
    in->bytes_left = 0;
    return true;
}

static bool lend(pb_ostream_t *out, const pb_field_t *field) {
    const struct bytes *octets = field->pData;
    return !octets->p ||
           (pb_encode_tag_for_field(out, field) && pb_encode_string(out, octets->p, octets->n));
}

bool mqtt_metric_field(pb_istream_t *in, pb_ostream_t *out, const pb_field_t *field) {
    return in ? borrow(in, field) : lend(out, field);
}

static bool check_metric(pb_istream_t *in, struct mqtt_metrics *metrics) {
    struct mqtt_metric metric;
    if (in->callback != read_borrowed || !mqtt_metric_decode(in, &metric))
        return false;
    metrics->too_many = metrics->count == MQTT_METRICS_MAX;
    if (metrics->too_many)
        return false;
    metrics->count++;
    return true;
}

static bool write_metrics(pb_ostream_t *out, const pb_field_t *field,
                          const struct mqtt_metrics *metrics) {
    for (size_t i = 0; i < metrics->count; i++)
        if (!pb_encode_tag_for_field(out, field) || !mqtt_metric_encode(out, &metrics->write[i]))
            return false;
    return true;
}

bool mqtt_payload_field(pb_istream_t *in, pb_ostream_t *out, const pb_field_t *field) {
    if (field->tag != mqtt_pb_Payload_metrics_tag)
        return mqtt_metric_field(in, out, field);
    return in ? check_metric(in, field->pData) : write_metrics(out, field, field->pData);
}
