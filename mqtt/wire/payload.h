/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sparkplug B payloads (section 6; our own sparkplug.proto from the field numbers) on nanopb:
 * reading borrows, metric by metric, so that no number of metrics needs memory; writing appends. No
 * allocation, thread-safe. STATE payloads are JSON and belong to who has a JSON library.
 */
#ifndef TOUCHMARK_MQTT_WIRE_PAYLOAD_H
#define TOUCHMARK_MQTT_WIRE_PAYLOAD_H

#include "base/bytes.h"

#define MQTT_PAYLOAD_MAX 65536 /* octets of a payload that is read at all */
#define MQTT_METRICS_MAX 4096  /* metrics of a payload that is read at all */
#define MQTT_NAME_MAX 255      /* octets of a metric's name that is looked at */

enum mqtt_datatype { /* section 6.4.16 */
                     MQTT_UNKNOWN = 0,
                     MQTT_INT8 = 1,
                     MQTT_INT16,
                     MQTT_INT32,
                     MQTT_INT64,
                     MQTT_UINT8,
                     MQTT_UINT16,
                     MQTT_UINT32,
                     MQTT_UINT64,
                     MQTT_FLOAT,
                     MQTT_DOUBLE,
                     MQTT_BOOLEAN,
                     MQTT_STRING,
                     MQTT_DATETIME,
                     MQTT_TEXT,
                     MQTT_UUID,
                     MQTT_DATASET,
                     MQTT_BYTES,
                     MQTT_FILE,
                     MQTT_TEMPLATE,
};

struct mqtt_metric {
    struct bytes name; /* empty: none (an alias speaks for it) */
    bool has_alias;
    uint64_t alias;
    bool has_timestamp;
    uint64_t timestamp_ms; /* UTC since 1970 */
    bool has_datatype;
    uint32_t datatype; /* enum mqtt_datatype, or a number that is not known */
    bool is_historical;
    bool is_transient;
    bool is_null;
    /* The value; which one is said by `value`. */
    enum mqtt_value {
        MQTT_VALUE_NONE, /* there is none */
        MQTT_VALUE_INT,  /* u64 holds the 32 bits */
        MQTT_VALUE_LONG, /* u64 holds the 64 bits */
        MQTT_VALUE_FLOAT,
        MQTT_VALUE_DOUBLE,
        MQTT_VALUE_BOOLEAN, /* u64 is 0 or 1 */
        MQTT_VALUE_STRING,  /* octets */
        MQTT_VALUE_BYTES,   /* octets */
        MQTT_VALUE_OTHER,   /* a dataset, template or extension: passed over */
    } value;
    uint64_t u64;
    double number; /* FLOAT, DOUBLE */
    struct bytes octets;
};

struct mqtt_payload {
    bool has_timestamp;
    uint64_t timestamp_ms;
    bool has_seq;
    uint64_t seq;
    size_t metric_count;
    struct bytes raw; /* for mqtt_metric_next */
};

/* Reads the payload's own fields and checks all of it. TM_EPARSE: not a Sparkplug B payload;
 * TM_ELIMIT: over MQTT_PAYLOAD_MAX or MQTT_METRICS_MAX. */
MUST_USE enum tm_err mqtt_payload_read(struct bytes data, struct mqtt_payload *ret);
/* The next metric. *state starts at 0. TM_ENOTFOUND at the end. */
MUST_USE enum tm_err mqtt_metric_next(const struct mqtt_payload *payload, size_t *state,
                                      struct mqtt_metric *ret);

/* Appends a payload: `metrics` in order. seq is left out when has_seq is false (commands, NDEATH).
 * raw and metric_count are not looked at. TM_EINVAL: a metric without name and alias, with neither
 * value nor is_null or with both, with MQTT_VALUE_OTHER, with a datatype that does not fit the
 * value (no datatype fits every one), or with text that is not UTF-8. TM_ELIMIT: no room in `out`,
 * over MQTT_PAYLOAD_MAX or MQTT_METRICS_MAX. */
MUST_USE enum tm_err mqtt_payload_write(const struct mqtt_payload *payload,
                                        const struct mqtt_metric *metrics, size_t count,
                                        struct buf *out);

/* Metrics made in one call, with a timestamp; datatypes String, Bytes, Boolean, Int64, UInt64. A
 * value {NULL, 0} of String and Bytes is is_null. */
struct mqtt_metric mqtt_metric_string(const char *name, struct bytes value, uint64_t timestamp_ms);
struct mqtt_metric mqtt_metric_bytes(const char *name, struct bytes value, uint64_t timestamp_ms);
struct mqtt_metric mqtt_metric_boolean(const char *name, bool value, uint64_t timestamp_ms);
struct mqtt_metric mqtt_metric_int64(const char *name, int64_t value, uint64_t timestamp_ms);

#endif
