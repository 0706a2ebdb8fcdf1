/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sparkplugc: Sparkplug payloads for tests. `sparkplugc write WHAT` writes one of the contract's
 * messages, or "datatypes", to its output; `sparkplugc read` prints the payload of its input and
 * what it says as birth, data and command: one line each, "-" for what is not there, octets in hex.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mqtt/wire/contract.h"

#define NOW 1700000000123u

static const struct bytes cmc = {(const uint8_t *)"\x30\x03\x02\x01\x07", 5};

/* ---- writing ---- */

static enum tm_err write_datatypes(struct buf *out) {
    const struct bytes text = {(const uint8_t *)"gr\xc3\xbc\xc3\x9f", 6};
    const struct mqtt_metric metrics[] = {
        {.datatype = MQTT_INT8, .value = MQTT_VALUE_INT, .u64 = 0xffffff80},
        {.datatype = MQTT_INT16, .value = MQTT_VALUE_INT, .u64 = 32767},
        {.datatype = MQTT_INT32, .value = MQTT_VALUE_INT, .u64 = 0xffffffff},
        {.datatype = MQTT_INT64, .value = MQTT_VALUE_LONG, .u64 = UINT64_MAX},
        {.datatype = MQTT_UINT8, .value = MQTT_VALUE_INT, .u64 = 255},
        {.datatype = MQTT_UINT16, .value = MQTT_VALUE_INT, .u64 = 65535},
        {.datatype = MQTT_UINT32, .value = MQTT_VALUE_INT, .u64 = UINT32_MAX},
        {.datatype = MQTT_UINT64, .value = MQTT_VALUE_LONG, .u64 = UINT64_MAX},
        {.datatype = MQTT_FLOAT, .value = MQTT_VALUE_FLOAT, .number = -1.5},
        {.datatype = MQTT_DOUBLE, .value = MQTT_VALUE_DOUBLE, .number = 0.1},
        {.datatype = MQTT_BOOLEAN, .value = MQTT_VALUE_BOOLEAN, .u64 = 1},
        {.datatype = MQTT_STRING, .value = MQTT_VALUE_STRING, .octets = text},
        {.datatype = MQTT_DATETIME, .value = MQTT_VALUE_LONG, .u64 = NOW},
        {.datatype = MQTT_TEXT, .value = MQTT_VALUE_STRING, .octets = text},
        {.datatype = MQTT_UUID, .value = MQTT_VALUE_STRING, .octets = text},
        {.datatype = MQTT_BYTES, .value = MQTT_VALUE_BYTES, .octets = text},
        {.datatype = MQTT_FILE, .value = MQTT_VALUE_BYTES, .octets = text},
    };
    struct mqtt_metric named[sizeof metrics / sizeof *metrics];
    const size_t count = sizeof metrics / sizeof *metrics;
    const struct mqtt_payload payload = {
        .has_timestamp = true, .timestamp_ms = NOW, .has_seq = true, .seq = 255};
    for (size_t i = 0; i < count; i++) {
        named[i] = metrics[i];
        named[i].name = bytes_str("m");
        named[i].has_alias = named[i].has_timestamp = named[i].has_datatype = true;
        named[i].alias = i;
        named[i].timestamp_ms = NOW;
        named[i].is_historical = i % 2;
        named[i].is_transient = i % 3 == 1;
    }
    return mqtt_payload_write(&payload, named, count, out);
}

static enum tm_err write_what(const char *what, struct buf *out) {
    static const struct mqtt_birth node = {.node = true,
                                           .bdseq = 200,
                                           .device = "gw-1",
                                           .label = "plant",
                                           .state = MQTT_STATE_WAITING};
    static const struct mqtt_birth device = {.seq = 129, .state = MQTT_STATE_IDLE};
    if (strcmp(what, "nbirth") == 0)
        return mqtt_birth_write(&node, NOW, out);
    if (strcmp(what, "dbirth") == 0)
        return mqtt_birth_write(&device, NOW, out);
    if (strcmp(what, "ndeath") == 0)
        return mqtt_death_write(200, NOW, out);
    if (strcmp(what, "data") == 0)
        return mqtt_data_write(130, MQTT_STATE_REQUESTED, cmc, NOW, out);
    if (strcmp(what, "rebirth") == 0)
        return mqtt_command_write(MQTT_METRIC_REBIRTH, (struct bytes){NULL, 0}, NOW, out);
    if (strcmp(what, "offer") == 0)
        return mqtt_command_write(MQTT_METRIC_OFFER, cmc, NOW, out);
    if (strcmp(what, "response") == 0)
        return mqtt_command_write(MQTT_METRIC_RESPONSE, cmc, NOW, out);
    if (strcmp(what, "datatypes") == 0)
        return write_datatypes(out);
    return TM_ENOTFOUND;
}

static int write_payload(const char *what) {
    static uint8_t memory[MQTT_PAYLOAD_MAX];
    struct buf out = BUF_ON(memory);
    enum tm_err err = write_what(what, &out);
    if (err != TM_OK) {
        (void)fprintf(stderr, "%s: %s\n", what, tm_err_name(err));
        return 1;
    }
    return fwrite(out.p, 1, out.n, stdout) == out.n && fflush(stdout) == 0 ? 0 : 1;
}

/* ---- reading ---- */

static void print_octets(struct bytes octets) {
    static char text[2 * MQTT_PAYLOAD_MAX + 1];
    if (hex_encode(octets, text, sizeof text) == TM_OK)
        (void)printf(" x%s", text);
}

static void print_number(bool there, uint64_t v) {
    if (there)
        (void)printf(" %" PRIu64, v);
    else
        (void)printf(" -");
}

static void print_value(const struct mqtt_metric *metric) {
    static const char *const kinds[] = {
        [MQTT_VALUE_NONE] = "none",     [MQTT_VALUE_INT] = "int",
        [MQTT_VALUE_LONG] = "long",     [MQTT_VALUE_FLOAT] = "float",
        [MQTT_VALUE_DOUBLE] = "double", [MQTT_VALUE_BOOLEAN] = "boolean",
        [MQTT_VALUE_STRING] = "string", [MQTT_VALUE_BYTES] = "bytes",
        [MQTT_VALUE_OTHER] = "other",
    };
    (void)printf(" %s", kinds[metric->value]);
    switch (metric->value) {
    case MQTT_VALUE_INT:
    case MQTT_VALUE_LONG:
    case MQTT_VALUE_BOOLEAN:
        print_number(true, metric->u64);
        break;
    case MQTT_VALUE_FLOAT:
    case MQTT_VALUE_DOUBLE:
        (void)printf(" %.17g", metric->number);
        break;
    case MQTT_VALUE_STRING:
    case MQTT_VALUE_BYTES:
        print_octets(metric->octets);
        break;
    case MQTT_VALUE_NONE:
    case MQTT_VALUE_OTHER:
        (void)printf(" -");
        break;
    }
}

static void print_metrics(const struct mqtt_payload *payload) {
    struct mqtt_metric metric;
    size_t state = 0;
    while (mqtt_metric_next(payload, &state, &metric) == TM_OK) {
        (void)printf("metric");
        print_octets(metric.name);
        print_number(metric.has_alias, metric.alias);
        print_number(metric.has_timestamp, metric.timestamp_ms);
        print_number(metric.has_datatype, metric.datatype);
        (void)printf(" %c%c%c", metric.is_historical ? 'h' : '-', metric.is_transient ? 't' : '-',
                     metric.is_null ? 'n' : '-');
        print_value(&metric);
        (void)printf("\n");
    }
}

static void print_contract(const char *as, enum tm_err err, const struct mqtt_contract *contract) {
    (void)printf("%s %s", as, tm_err_name(err));
    if (err == TM_OK) {
        print_octets(bytes_str(contract->device));
        print_octets(bytes_str(contract->label));
        (void)printf(" %s", contract->has_state ? mqtt_state_name(contract->state) : "-");
        print_octets(contract->request);
        print_number(contract->has_bdseq, contract->bdseq);
        (void)printf(" %c%c%c%c", contract->rebirth ? 'r' : '-', contract->has_request ? 'q' : '-',
                     contract->has_offer ? 'o' : '-', contract->has_response ? 's' : '-');
    }
    (void)printf("\n");
}

static void print_command(const struct mqtt_payload *payload) {
    struct mqtt_command command;
    enum tm_err err = mqtt_command_read(payload, &command);
    (void)printf("command %s", tm_err_name(err));
    if (err == TM_OK) {
        (void)printf(" %s", command.rebirth ? "rebirth" : "-");
        print_octets(command.offer);
        print_octets(command.response);
    }
    (void)printf("\n");
}

static int read_payload(void) {
    static uint8_t memory[MQTT_PAYLOAD_MAX + 1];
    struct mqtt_payload payload;
    struct mqtt_contract birth, data;
    struct mqtt_aliases aliases;
    struct bytes octets = {memory, fread(memory, 1, sizeof memory, stdin)};
    enum tm_err err = mqtt_payload_read(octets, &payload);
    (void)printf("payload %s", tm_err_name(err));
    if (err == TM_OK) {
        print_number(payload.has_timestamp, payload.timestamp_ms);
        print_number(payload.has_seq, payload.seq);
        (void)printf(" %zu\n", payload.metric_count);
        print_metrics(&payload);
        err = mqtt_contract_read_birth(&payload, &birth, &aliases);
        print_contract("birth", err, &birth);
        err = mqtt_contract_read_data(&payload, NULL, &data);
        print_contract("data", err, &data);
        print_command(&payload);
    } else
        (void)printf("\n");
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "read") == 0)
        return read_payload();
    if (argc == 3 && strcmp(argv[1], "write") == 0)
        return write_payload(argv[2]);
    (void)fprintf(stderr, "usage: sparkplugc read | write WHAT\n");
    return 2;
}
