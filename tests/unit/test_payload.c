/* SPDX-License-Identifier: Apache-2.0 */
/* Sparkplug B payloads, octet by octet. Tests that are named tck_... show that assertion of the
 * Sparkplug specification. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mqtt/wire/payload.h"

/* ---- octets ---- */

/* Octets in memory of their own and of their exact size, so that a sanitizer sees any read beyond
 * them. */
static struct bytes copy_of(struct bytes octets) {
    uint8_t *p = malloc(octets.n ? octets.n : 1);
    assert_non_null(p);
    if (octets.n)
        memcpy(p, octets.p, octets.n);
    return (struct bytes){p, octets.n};
}

static void drop(struct bytes octets) {
    free((void *)octets.p);
}

/* Hex with spaces, appended. */
static void put_hex(struct buf *out, const char *hex) {
    for (; *hex; hex++) {
        char pair[3] = {hex[0], hex[1], '\0'};
        uint8_t octet;
        size_t n;
        if (*hex == ' ')
            continue;
        assert_int_equal(hex_decode(pair, &octet, 1, &n), TM_OK);
        buf_put_u8(out, octet);
        hex++;
    }
    assert_false(out->full);
}

static void put_varint(struct buf *out, size_t v) {
    for (; v > 0x7f; v >>= 7)
        buf_put_u8(out, (uint8_t)(v | 0x80));
    buf_put_u8(out, (uint8_t)v);
}

static struct bytes payload_of(const char *hex) {
    uint8_t memory[512];
    struct buf out = BUF_ON(memory);
    put_hex(&out, hex);
    return copy_of(buf_bytes(&out));
}

/* A payload of one metric. */
static struct bytes payload_of_metric(const char *hex) {
    uint8_t memory[256], whole_memory[512];
    struct buf metric = BUF_ON(memory), whole = BUF_ON(whole_memory);
    put_hex(&metric, hex);
    buf_put_u8(&whole, 0x12);
    put_varint(&whole, metric.n);
    buf_put(&whole, buf_bytes(&metric));
    return copy_of(buf_bytes(&whole));
}

static enum tm_err read_and_drop(struct bytes data) {
    struct mqtt_payload payload = {.seq = 77};
    enum tm_err err = mqtt_payload_read(data, &payload);
    if (err != TM_OK)
        assert_int_equal(payload.seq, 77);
    drop(data);
    return err;
}

static struct mqtt_metric only_metric(struct bytes data) {
    struct mqtt_payload payload;
    struct mqtt_metric metric, none;
    size_t at = 0;
    assert_int_equal(mqtt_payload_read(data, &payload), TM_OK);
    assert_int_equal(payload.metric_count, 1);
    assert_int_equal(mqtt_metric_next(&payload, &at, &metric), TM_OK);
    assert_int_equal(mqtt_metric_next(&payload, &at, &none), TM_ENOTFOUND);
    return metric;
}

static void assert_text(struct bytes octets, const char *text) {
    assert_true(bytes_equal(octets, bytes_str(text)));
}

/* ---- reading ---- */

static void payload_and_metrics_are_read(void **state) {
    (void)state;
    struct bytes data = payload_of("08 05"           /* timestamp 5 */
                                   "12 19"           /* metric */
                                   "  0a 01 61"      /*   name "a" */
                                   "  10 07"         /*   alias 7 */
                                   "  18 ff01"       /*   timestamp 255 */
                                   "  20 05"         /*   datatype UInt8 */
                                   "  28 01 30 01"   /*   is_historical, is_transient */
                                   "  42 02 1001"    /*   metadata */
                                   "  4a 02 0102"    /*   properties */
                                   "  50 ff01"       /*   int_value 255 */
                                   "12 05"           /* metric */
                                   "  0a 01 62 3801" /*   name "b", is_null */
                                   "18 fe01"         /* seq 254 */
                                   "22 03 616263"    /* uuid */
                                   "2a 02 0102");    /* body */
    struct mqtt_payload payload;
    struct mqtt_metric metric;
    size_t at = 0;
    assert_int_equal(mqtt_payload_read(data, &payload), TM_OK);
    assert_true(payload.has_timestamp && payload.has_seq);
    assert_int_equal(payload.timestamp_ms, 5);
    assert_int_equal(payload.seq, 254);
    assert_int_equal(payload.metric_count, 2);
    assert_int_equal(mqtt_metric_next(&payload, &at, &metric), TM_OK);
    assert_text(metric.name, "a");
    assert_ptr_equal(metric.name.p, data.p + 6); /* borrowed */
    assert_true(metric.has_alias && metric.has_timestamp && metric.has_datatype);
    assert_true(metric.is_historical && metric.is_transient && !metric.is_null);
    assert_int_equal(metric.alias, 7);
    assert_int_equal(metric.timestamp_ms, 255);
    assert_int_equal(metric.datatype, MQTT_UINT8);
    assert_int_equal(metric.value, MQTT_VALUE_INT);
    assert_int_equal(metric.u64, 255);
    assert_int_equal(mqtt_metric_next(&payload, &at, &metric), TM_OK);
    assert_text(metric.name, "b");
    assert_true(metric.is_null && !metric.has_alias && !metric.has_timestamp);
    assert_false(metric.has_datatype || metric.is_historical || metric.is_transient);
    assert_int_equal(metric.value, MQTT_VALUE_NONE);
    assert_int_equal(mqtt_metric_next(&payload, &at, &metric), TM_ENOTFOUND);
    assert_int_equal(mqtt_metric_next(&payload, &at, &metric), TM_ENOTFOUND);
    drop(data);
}

static void nothing_is_a_payload_without_metrics(void **state) {
    (void)state;
    struct mqtt_payload payload;
    struct mqtt_metric metric;
    size_t at = 0;
    assert_int_equal(mqtt_payload_read((struct bytes){NULL, 0}, &payload), TM_OK);
    assert_false(payload.has_timestamp || payload.has_seq);
    assert_int_equal(payload.metric_count, 0);
    assert_int_equal(mqtt_metric_next(&payload, &at, &metric), TM_ENOTFOUND);
}

static void each_value_is_read(void **state) {
    (void)state;
    static const struct {
        const char *hex;
        enum mqtt_value value;
        uint64_t u64;
        double number;
        const char *octets;
    } values[] = {
        {"", MQTT_VALUE_NONE, 0, 0, ""},
        {"50 ffffffff0f", MQTT_VALUE_INT, UINT32_MAX, 0, ""},
        {"58 ffffffffffffffffff01", MQTT_VALUE_LONG, UINT64_MAX, 0, ""},
        {"65 0000c03f", MQTT_VALUE_FLOAT, 0, 1.5, ""},
        {"69 000000000000e0bf", MQTT_VALUE_DOUBLE, 0, -0.5, ""},
        {"70 01", MQTT_VALUE_BOOLEAN, 1, 0, ""},
        {"70 00", MQTT_VALUE_BOOLEAN, 0, 0, ""},
        {"7a 02 6869", MQTT_VALUE_STRING, 0, 0, "hi"},
        {"7a 00", MQTT_VALUE_STRING, 0, 0, ""},
        {"8201 02 6869", MQTT_VALUE_BYTES, 0, 0, "hi"},
        {"8201 00", MQTT_VALUE_BYTES, 0, 0, ""},
        {"8a01 02 0801", MQTT_VALUE_OTHER, 0, 0, ""},
        {"9201 02 2801", MQTT_VALUE_OTHER, 0, 0, ""},
        {"9a01 00", MQTT_VALUE_OTHER, 0, 0, ""},
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct bytes data = payload_of_metric(values[i].hex);
        struct mqtt_metric metric = only_metric(data);
        assert_int_equal(metric.value, values[i].value);
        assert_int_equal(metric.u64, values[i].u64);
        assert_memory_equal(&metric.number, &values[i].number, sizeof metric.number);
        assert_text(metric.octets, values[i].octets);
        drop(data);
    }
}

/* Protocol Buffers: the last one wins, of a field and of a oneof. */
static void the_last_one_wins(void **state) {
    (void)state;
    struct bytes data = payload_of_metric("0a0161 7a026869 5007 0a0162 8201 00");
    struct mqtt_metric metric = only_metric(data);
    assert_text(metric.name, "b");
    assert_int_equal(metric.value, MQTT_VALUE_BYTES);
    assert_int_equal(metric.octets.n, 0);
    assert_int_equal(metric.u64, 0);
    drop(data);
    data = payload_of_metric("8201 02 6869 7a016a 5007");
    metric = only_metric(data);
    assert_int_equal(metric.value, MQTT_VALUE_INT);
    assert_int_equal(metric.u64, 7);
    assert_int_equal(metric.octets.n, 0);
    drop(data);
}

static void unknown_fields_are_skipped(void **state) {
    (void)state;
    struct bytes data = payload_of("30 ff01"             /* 6: varint */
                                   "39 0102030405060708" /* 7: 64 bits */
                                   "12 16"
                                   "  a001 01"            /*   20: varint */
                                   "  0a0161"             /*   name */
                                   "  f2ffffff0f 02 aaaa" /* a field number of 29 bits: octets */
                                   "  a501 01020304"      /*   20: 32 bits */
                                   "  5001"               /*   int_value */
                                   "4a 03 616263");       /* 9: octets */
    struct mqtt_metric metric = only_metric(data);
    assert_text(metric.name, "a");
    assert_int_equal(metric.u64, 1);
    drop(data);
}

static void other_octets_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "08",                         /* no value */
        "08 ff",                      /* unfinished varint */
        "08 ffffffffffffffffff7f",    /* more than 64 bits */
        "00 01",                      /* field 0 */
        "0b 0c",                      /* a group */
        "0e 01",                      /* wire type 6 */
        "12 02 0a",                   /* metric cut short */
        "12 ffffffff0f",              /* longer than the payload */
        "12 ffffffffffffffffff01 00", /* longer than memory */
        "22 05 61",                   /* uuid cut short */
        "30",                         /* unknown field cut short */
        "39 01",                      /* the same of 64 bits */
        "3a 04 61",                   /* the same of octets */
        "7b68656c6c6f7d",             /* JSON */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(read_and_drop(payload_of(bad[i])), TM_EPARSE);
}

static void other_wire_types_are_refused(void **state) {
    (void)state;
    static const char *const payloads[] = {
        "0a 01 05",               /* timestamp as octets */
        "09 0102030405060708",    /* as 64 bits */
        "10 05",                  /* metrics as varint */
        "15 01020304",            /* as 32 bits */
        "11 5007 5007 5007 5007", /* as 64 bits that would be a metric */
        "1a 01 05",               /* seq as octets */
        "20 05",                  /* uuid as varint */
        "29 0102030405060708",    /* body as 64 bits */
    };
    static const char *const metrics[] = {
        "08 61",                 /* name as varint */
        "0d 61616161",           /* as 32 bits */
        "12 01 07",              /* alias as octets */
        "1d 01020304",           /* timestamp as 32 bits */
        "22 01 05",              /* datatype as octets */
        "3a 01 01",              /* is_null as octets */
        "40 01",                 /* metadata as varint */
        "48 01",                 /* properties as varint */
        "52 01 07",              /* int_value as octets */
        "50 8080808010",         /* as a number over 32 bits */
        "59 0102030405060708",   /* long_value as 64 bits */
        "60 01",                 /* float_value as varint */
        "6d 01020304",           /* double_value as 32 bits */
        "72 01 01",              /* boolean_value as octets */
        "78 61",                 /* string_value as varint */
        "7d 61616161",           /* as 32 bits */
        "8001 61",               /* bytes_value as varint */
        "8101 6161616161616161", /* as 64 bits */
        "8801 61",               /* dataset_value as varint */
        "9001 61",               /* template_value as varint */
        "9801 61",               /* extension_value as varint */
    };
    for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++)
        assert_int_equal(read_and_drop(payload_of(payloads[i])), TM_EPARSE);
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        assert_int_equal(read_and_drop(payload_of_metric(metrics[i])), TM_EPARSE);
}

/* Templates in templates, as deep as a payload has room for: what is inside is not looked into. */
static void depth_costs_nothing(void **state) {
    (void)state;
    static uint8_t memory[MQTT_PAYLOAD_MAX];
    size_t at = sizeof memory;
    while (at > 16) {
        uint8_t octets[16];
        struct buf value = BUF_ON(octets), metric = BUF_ON(octets);
        put_hex(&value, "9201"); /* template_value */
        put_varint(&value, sizeof memory - at);
        at -= value.n;
        memcpy(memory + at, octets, value.n);
        put_hex(&metric, "12"); /* metrics, of a payload and of a template */
        put_varint(&metric, sizeof memory - at);
        at -= metric.n;
        memcpy(memory + at, octets, metric.n);
    }
    struct bytes data = {memory + at, sizeof memory - at};
    assert_int_equal(only_metric(data).value, MQTT_VALUE_OTHER);
}

static void payloads_have_bounds(void **state) {
    (void)state;
    static uint8_t memory[MQTT_PAYLOAD_MAX + 1];
    struct buf out = BUF_ON(memory);
    struct mqtt_payload payload;
    for (size_t i = 0; i < MQTT_METRICS_MAX; i++)
        put_hex(&out, "1200");
    assert_int_equal(mqtt_payload_read(buf_bytes(&out), &payload), TM_OK);
    assert_int_equal(payload.metric_count, MQTT_METRICS_MAX);
    put_hex(&out, "1200");
    assert_int_equal(mqtt_payload_read(buf_bytes(&out), &payload), TM_ELIMIT);
    out.n = 0;
    put_hex(&out, "2a fcff03"); /* body, up to the bound */
    out.n = MQTT_PAYLOAD_MAX;
    assert_int_equal(mqtt_payload_read(buf_bytes(&out), &payload), TM_OK);
    out.n++;
    assert_int_equal(mqtt_payload_read(buf_bytes(&out), &payload), TM_ELIMIT);
}

/* ---- writing ---- */

static void assert_written(const struct mqtt_payload *payload, const struct mqtt_metric *metrics,
                           size_t count, const char *hex) {
    uint8_t memory[256];
    struct buf out = BUF_ON(memory);
    struct bytes wanted = payload_of(hex);
    assert_int_equal(mqtt_payload_write(payload, metrics, count, &out), TM_OK);
    assert_true(bytes_equal(buf_bytes(&out), wanted));
    drop(wanted);
}

static void payloads_are_written_octet_by_octet(void **state) {
    (void)state;
    const struct mqtt_payload bare = {.seq = 9, .timestamp_ms = 9};
    const struct mqtt_payload payload = {
        .has_timestamp = true, .timestamp_ms = 300, .has_seq = true, .seq = 0};
    const struct mqtt_metric metrics[] = {
        mqtt_metric_string("a", bytes_str("hi"), 1),
        mqtt_metric_string("a", bytes_str(""), 1),
        mqtt_metric_string("a", (struct bytes){NULL, 0}, 1),
        mqtt_metric_bytes("b", bytes_str("\x01\x02"), 1),
        mqtt_metric_bytes("b", (struct bytes){NULL, 0}, 1),
        mqtt_metric_boolean("c", true, 1),
        mqtt_metric_boolean("c", false, 1),
        mqtt_metric_int64("d", -1, 1),
        {.has_alias = true,
         .alias = 0,
         .value = MQTT_VALUE_INT,
         .u64 = 5,
         .is_historical = true,
         .is_transient = true},
    };
    assert_written(&bare, NULL, 0, "");
    assert_written(&payload, NULL, 0, "08ac02 1800");
    assert_written(&payload, metrics, sizeof metrics / sizeof *metrics,
                   "08ac02"
                   "120b 0a0161 1801 200c 7a026869"
                   "1209 0a0161 1801 200c 7a00"
                   "1209 0a0161 1801 200c 3801"
                   "120c 0a0162 1801 2011 8201020102"
                   "1209 0a0162 1801 2011 3801"
                   "1209 0a0163 1801 200b 7001"
                   "1209 0a0163 1801 200b 7000"
                   "1212 0a0164 1801 2004 58ffffffffffffffffff01"
                   "1208 1000 2801 3001 5005"
                   "1800");
}

/* And tck-id-payloads-metric-datatype-value-type: section 6.4.16 as written and read again. */
static void tck_id_payloads_metric_datatype_value(void **state) {
    (void)state;
    static const struct {
        enum mqtt_datatype datatype;
        enum mqtt_value value;
    } pairs[] = {
        {MQTT_INT8, MQTT_VALUE_INT},        {MQTT_INT16, MQTT_VALUE_INT},
        {MQTT_INT32, MQTT_VALUE_INT},       {MQTT_INT64, MQTT_VALUE_LONG},
        {MQTT_UINT8, MQTT_VALUE_INT},       {MQTT_UINT16, MQTT_VALUE_INT},
        {MQTT_UINT32, MQTT_VALUE_INT},      {MQTT_UINT64, MQTT_VALUE_LONG},
        {MQTT_FLOAT, MQTT_VALUE_FLOAT},     {MQTT_DOUBLE, MQTT_VALUE_DOUBLE},
        {MQTT_BOOLEAN, MQTT_VALUE_BOOLEAN}, {MQTT_STRING, MQTT_VALUE_STRING},
        {MQTT_DATETIME, MQTT_VALUE_LONG},   {MQTT_TEXT, MQTT_VALUE_STRING},
        {MQTT_UUID, MQTT_VALUE_STRING},     {MQTT_BYTES, MQTT_VALUE_BYTES},
        {MQTT_FILE, MQTT_VALUE_BYTES},
    };
    const struct mqtt_payload payload = {.has_timestamp = false};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        for (int value = MQTT_VALUE_INT; value <= MQTT_VALUE_BYTES; value++) {
            uint8_t memory[64];
            struct buf out = BUF_ON(memory);
            struct mqtt_metric metric = {.name = bytes_str("m"),
                                         .has_datatype = true,
                                         .datatype = pairs[i].datatype,
                                         .value = (enum mqtt_value)value,
                                         .u64 = 1,
                                         .number = 0.25,
                                         .octets = bytes_str("x")};
            bool fits = metric.value == pairs[i].value;
            assert_int_equal(mqtt_payload_write(&payload, &metric, 1, &out),
                             fits ? TM_OK : TM_EINVAL);
            if (!fits)
                continue;
            struct mqtt_metric again = only_metric(buf_bytes(&out));
            assert_int_equal(again.datatype, pairs[i].datatype);
            assert_int_equal(again.value, pairs[i].value);
        }
}

static void what_is_no_metric_is_not_written(void **state) {
    (void)state;
    const struct mqtt_payload payload = {.has_timestamp = false};
    const struct bytes name = bytes_str("m");
    const struct mqtt_metric bad[] = {
        {.value = MQTT_VALUE_INT}, /* tck-id-payloads-name-requirement */
        {.name = name},            /* neither value nor null */
        {.name = name, .is_null = true, .value = MQTT_VALUE_INT},
        {.name = name, .value = MQTT_VALUE_OTHER},
        {.name = bytes_str("\xff"), .value = MQTT_VALUE_INT},
        {.name = name, .value = MQTT_VALUE_STRING, .octets = bytes_str("\xc3")},
        {.name = name, .is_null = true, .has_datatype = true, .datatype = MQTT_UNKNOWN},
        {.name = name, .is_null = true, .has_datatype = true, .datatype = MQTT_DATASET},
        {.name = name, .is_null = true, .has_datatype = true, .datatype = MQTT_TEMPLATE},
        {.name = name, .is_null = true, .has_datatype = true, .datatype = 20},
        {.name = name, .is_null = true, .has_datatype = true, .datatype = UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct mqtt_metric metrics[] = {mqtt_metric_int64("good", 1, 1), bad[i]};
        uint8_t memory[64];
        struct buf out = BUF_ON(memory);
        buf_put_u8(&out, 0xaa);
        assert_int_equal(mqtt_payload_write(&payload, metrics, 2, &out), TM_EINVAL);
        assert_int_equal(out.n, 1);
    }
}

static void without_room_nothing_is_written(void **state) {
    (void)state;
    const struct mqtt_payload payload = {.has_timestamp = true, .has_seq = true, .seq = 1};
    const struct mqtt_metric metrics[] = {mqtt_metric_int64("one", 1, 1),
                                          mqtt_metric_string("two", bytes_str("2"), 1)};
    uint8_t memory[128];
    struct buf whole = BUF_ON(memory);
    assert_int_equal(mqtt_payload_write(&payload, metrics, 2, &whole), TM_OK);
    for (size_t cap = 0; cap < whole.n; cap++) {
        uint8_t *p = malloc(cap + 1);
        assert_non_null(p);
        struct buf out = {.p = p, .cap = cap + 1};
        buf_put_u8(&out, 0xaa);
        assert_int_equal(mqtt_payload_write(&payload, metrics, 2, &out), TM_ELIMIT);
        assert_int_equal(out.n, 1);
        assert_int_equal(p[0], 0xaa);
        free(p);
    }
}

static void written_payloads_have_bounds(void **state) {
    (void)state;
    static uint8_t memory[2 * MQTT_PAYLOAD_MAX], value[MQTT_PAYLOAD_MAX];
    static struct mqtt_metric metrics[MQTT_METRICS_MAX + 1];
    const struct mqtt_payload payload = {.has_timestamp = false};
    struct buf out = BUF_ON(memory);
    metrics[0] = (struct mqtt_metric){
        .has_alias = true, .value = MQTT_VALUE_BYTES, .octets = {value, MQTT_PAYLOAD_MAX - 11}};
    assert_int_equal(mqtt_payload_write(&payload, metrics, 1, &out), TM_OK);
    assert_int_equal(out.n, MQTT_PAYLOAD_MAX);
    metrics[0].octets.n++;
    assert_int_equal(mqtt_payload_write(&payload, metrics, 1, &out), TM_ELIMIT);
    assert_int_equal(out.n, MQTT_PAYLOAD_MAX);
    for (size_t i = 0; i <= MQTT_METRICS_MAX; i++)
        metrics[i] = (struct mqtt_metric){.has_alias = true, .alias = i, .is_null = true};
    out.n = 0;
    assert_int_equal(mqtt_payload_write(&payload, metrics, MQTT_METRICS_MAX, &out), TM_OK);
    out.n = 0;
    assert_int_equal(mqtt_payload_write(&payload, metrics, MQTT_METRICS_MAX + 1, &out), TM_ELIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payload_and_metrics_are_read),
        cmocka_unit_test(nothing_is_a_payload_without_metrics),
        cmocka_unit_test(each_value_is_read),
        cmocka_unit_test(the_last_one_wins),
        cmocka_unit_test(unknown_fields_are_skipped),
        cmocka_unit_test(other_octets_are_refused),
        cmocka_unit_test(other_wire_types_are_refused),
        cmocka_unit_test(depth_costs_nothing),
        cmocka_unit_test(payloads_have_bounds),
        cmocka_unit_test(payloads_are_written_octet_by_octet),
        cmocka_unit_test(tck_id_payloads_metric_datatype_value),
        cmocka_unit_test(what_is_no_metric_is_not_written),
        cmocka_unit_test(without_room_nothing_is_written),
        cmocka_unit_test(written_payloads_have_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
