/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For this folder's own files: what nanopb's generated structs hold where a message has no bound of
 * its own (sparkplug.options), and the streams that go with it. Octets are borrowed from the input
 * and lent to the output; metrics are counted and checked one by one, or written from an array.
 */
#ifndef TOUCHMARK_MQTT_WIRE_FIELDS_H
#define TOUCHMARK_MQTT_WIRE_FIELDS_H

#include <pb_decode.h>
#include <pb_encode.h>

#include "mqtt/wire/payload.h"

/* The metrics of a payload. Reading: how many there were, and whether one was too many. Writing:
 * `count` of them at `write`. */
struct mqtt_metrics {
    const struct mqtt_metric *write;
    size_t count;
    bool too_many;
};

/* An input whose octets can be borrowed; only from such a one do the fields read. */
pb_istream_t mqtt_input(struct bytes data);
/* What is left of it. */
struct bytes mqtt_input_rest(const pb_istream_t *in);
/* An output that appends to `out`, as far as a payload goes. */
pb_ostream_t mqtt_output(struct buf *out);

/* A metric as a message of its own: a whole stream, or one field of a payload. */
bool mqtt_metric_decode(pb_istream_t *in, struct mqtt_metric *ret);
bool mqtt_metric_encode(pb_ostream_t *out, const struct mqtt_metric *metric);

/* What values of a datatype stand in; MQTT_VALUE_NONE: not a datatype, or one that is not written
 * here. */
enum mqtt_value mqtt_datatype_value(uint32_t datatype);

#endif
