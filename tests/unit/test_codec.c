/* SPDX-License-Identifier: Apache-2.0 */
/* The codec and what stands below it: bounded buffers, hex, clock text; and that every
 * message of ipc/ fits in a packet at its largest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/codec.h"
#include "ipc/admin.h"

struct part {
    uint16_t number;
    char name[9];
};

static const struct codec_field part_fields[] = {
    CODEC_INT(CODEC_U16, struct part, number, 1000),
    CODEC_STRING(struct part, name),
};
static const struct codec_schema part_schema = {"part", 0, 0, sizeof(struct part), part_fields, 2};

struct whole {
    uint8_t kind;
    uint16_t small;
    uint32_t middle;
    uint64_t large;
    int64_t when;
    char text[6];
    struct bytes blob;
    uint8_t hash[4];
    struct part parts[3];
    size_t part_count;
    uint32_t later;
};

#define COMMON_FIELDS                                                                              \
    CODEC_INT(CODEC_U8, struct whole, kind, 3), CODEC_INT(CODEC_U16, struct whole, small, 0),      \
        CODEC_INT(CODEC_U32, struct whole, middle, 0),                                             \
        CODEC_INT(CODEC_U64, struct whole, large, 0), CODEC_INT(CODEC_I64, struct whole, when, 0), \
        CODEC_STRING(struct whole, text), CODEC_BLOB(struct whole, blob, 8),                       \
        CODEC_OCTETS(struct whole, hash), CODEC_LIST(struct whole, parts, part_count, part_schema)

static const struct codec_field old_fields[] = {COMMON_FIELDS};
static const struct codec_field new_fields[] = {
    COMMON_FIELDS,
    {.name = "later",
     .type = CODEC_U32,
     .since = 2,
     .offset = offsetof(struct whole, later),
     .max = 7},
};
static const struct codec_schema old_schema = {"whole",    0x7101, 1, sizeof(struct whole),
                                               old_fields, 9};
static const struct codec_schema new_schema = {"whole",    0x7101, 2, sizeof(struct whole),
                                               new_fields, 10};

static struct whole sample(void) {
    static const uint8_t blob[] = {0xde, 0xad};
    return (struct whole){
        .kind = 2,
        .small = 0x0102,
        .middle = 0x03040506,
        .large = 0x0708090a0b0c0d0e,
        .when = -2,
        .text = "abcde",
        .blob = BYTES_OF(blob),
        .hash = {1, 2, 3, 4},
        .parts = {{1000, "alpha"}, {7, ""}},
        .part_count = 2,
        .later = 5,
    };
}

/* The layout is a promise to stored records, so it is spelled out. */
static const uint8_t sample_octets[] = {
    0x71, 0x01, 0x01,                               /* type, version */
    0x02,                                           /* kind */
    0x01, 0x02,                                     /* small */
    0x03, 0x04, 0x05, 0x06,                         /* middle */
    0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, /* large */
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, /* when */
    0x00, 0x00, 0x00, 0x05, 'a',  'b',  'c',  'd',  'e',  0x00,
    0x00, 0x00, 0x02, 0xde, 0xad, 0x01, 0x02, 0x03, 0x04, /* blob, hash */
    0x00, 0x02,                                           /* two parts */
    0x03, 0xe8, 0x00, 0x00, 0x00, 0x05, 'a',  'l',  'p',  'h',
    'a',  0x00, 0x07, 0x00, 0x00, 0x00, 0x00,
};

static void test_layout(void **state) {
    (void)state;
    uint8_t room[256];
    struct buf out = BUF_ON(room);
    struct whole obj = sample();
    assert_int_equal(codec_encode(&old_schema, &obj, &out), TM_OK);
    assert_int_equal(out.n, sizeof sample_octets);
    assert_memory_equal(room, sample_octets, sizeof sample_octets);
    assert_int_equal(codec_peek(buf_bytes(&out)), 0x7101);
    assert_int_equal(codec_peek((struct bytes){room, 1}), 0);
}

static void test_round_trip(void **state) {
    (void)state;
    uint8_t room[256];
    struct buf out = BUF_ON(room);
    struct whole obj = sample(), back;
    assert_int_equal(codec_encode(&new_schema, &obj, &out), TM_OK);
    assert_int_equal(codec_decode(&new_schema, buf_bytes(&out), &back), TM_OK);
    assert_int_equal(back.kind, 2);
    assert_int_equal(back.small, 0x0102);
    assert_int_equal(back.middle, 0x03040506);
    assert_true(back.large == 0x0708090a0b0c0d0e);
    assert_true(back.when == -2);
    assert_string_equal(back.text, "abcde");
    assert_true(bytes_equal(back.blob, obj.blob));
    assert_true(back.blob.p >= room && back.blob.p < room + sizeof room);
    assert_memory_equal(back.hash, obj.hash, 4);
    assert_int_equal(back.part_count, 2);
    assert_int_equal(back.parts[0].number, 1000);
    assert_string_equal(back.parts[0].name, "alpha");
    assert_string_equal(back.parts[1].name, "");
    assert_int_equal(back.later, 5);
}

static void test_versions(void **state) {
    (void)state;
    struct whole back;
    struct bytes old = BYTES_OF(sample_octets);
    assert_int_equal(codec_decode(&new_schema, old, &back), TM_OK);
    assert_int_equal(back.later, 0);
    assert_string_equal(back.text, "abcde");

    uint8_t room[256];
    struct buf out = BUF_ON(room);
    struct whole obj = sample();
    assert_int_equal(codec_encode(&new_schema, &obj, &out), TM_OK);
    assert_int_equal(codec_decode(&old_schema, buf_bytes(&out), &back), TM_EPARSE);
    room[2] = 0;
    assert_int_equal(codec_decode(&new_schema, buf_bytes(&out), &back), TM_EPARSE);
}

static void assert_refused(struct bytes in) {
    static const struct whole zero;
    struct whole back;
    memset(&back, 0xaa, sizeof back);
    assert_int_equal(codec_decode(&old_schema, in, &back), TM_EPARSE);
    assert_memory_equal(&back, &zero, sizeof zero);
}

static void assert_changed_refused(size_t at, uint8_t value) {
    uint8_t copy[sizeof sample_octets];
    memcpy(copy, sample_octets, sizeof copy);
    copy[at] = value;
    assert_refused(BYTES_OF(copy));
}

static void test_decode_refuses(void **state) {
    (void)state;
    uint8_t longer[sizeof sample_octets + 1] = {0};
    memcpy(longer, sample_octets, sizeof sample_octets);
    assert_refused(BYTES_OF(longer));
    for (size_t n = 0; n < sizeof sample_octets; n++) {
        uint8_t *exact = malloc(n ? n : 1);
        assert_non_null(exact);
        memcpy(exact, sample_octets, n);
        assert_refused((struct bytes){exact, n});
        free(exact);
    }
    assert_changed_refused(0, 0x72);  /* another type */
    assert_changed_refused(3, 4);     /* kind over its maximum */
    assert_changed_refused(29, 6);    /* text longer than its array */
    assert_changed_refused(26, 0x80); /* text of 2 GiB */
    assert_changed_refused(30, '\n'); /* control character */
    assert_changed_refused(30, '\0'); /* NUL inside */
    assert_changed_refused(30, 0x7f); /* DEL */
    assert_changed_refused(38, 9);    /* blob over its maximum */
    assert_changed_refused(46, 4);    /* four parts where three fit */
    assert_changed_refused(48, 0xe9); /* part number 1001 */
}

static void assert_not_encoded(const struct whole *obj, enum tm_err expected) {
    uint8_t room[256];
    struct buf out = BUF_ON(room);
    buf_put_u8(&out, 0x55);
    assert_int_equal(codec_encode(&new_schema, obj, &out), expected);
    assert_int_equal(out.n, 1);
    assert_false(out.full);
}

static void test_encode_refuses(void **state) {
    (void)state;
    static const uint8_t nine[9];
    struct whole obj = sample();
    obj.kind = 4;
    assert_not_encoded(&obj, TM_ELIMIT);
    obj = sample();
    obj.later = 8;
    assert_not_encoded(&obj, TM_ELIMIT);
    obj = sample();
    memcpy(obj.text, "abcdef", 6);
    assert_not_encoded(&obj, TM_EINVAL);
    obj = sample();
    obj.text[1] = '\t';
    assert_not_encoded(&obj, TM_EINVAL);
    obj = sample();
    obj.blob = BYTES_OF(nine);
    assert_not_encoded(&obj, TM_ELIMIT);
    obj = sample();
    obj.part_count = 4;
    assert_not_encoded(&obj, TM_ELIMIT);
    obj = sample();
    obj.parts[1].number = 1001;
    assert_not_encoded(&obj, TM_ELIMIT);
}

static void test_encode_into_too_little(void **state) {
    (void)state;
    struct whole obj = sample();
    for (size_t cap = 0; cap < sizeof sample_octets; cap++) {
        uint8_t *room = malloc(cap ? cap : 1);
        assert_non_null(room);
        struct buf out = {room, cap, 0, false};
        assert_int_equal(codec_encode(&old_schema, &obj, &out), TM_ELIMIT);
        assert_int_equal(out.n, 0);
        free(room);
    }
}

/* What the largest object of a schema takes, from its table. */
static size_t largest(const struct codec_schema *schema) {
    size_t n = 0;
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct codec_field *f = &schema->fields[i];
        switch (f->type) {
        case CODEC_U8:
            n += 1;
            break;
        case CODEC_U16:
            n += 2;
            break;
        case CODEC_U32:
            n += 4;
            break;
        case CODEC_U64:
        case CODEC_I64:
            n += 8;
            break;
        case CODEC_STR:
        case CODEC_BYTES:
            n += 4 + (size_t)f->max;
            break;
        case CODEC_FIXED:
            n += (size_t)f->max;
            break;
        case CODEC_ARRAY:
            n += 2 + (size_t)f->max * largest(f->elem);
            break;
        }
    }
    return n;
}

static void test_messages_fit(void **state) {
    (void)state;
    static const struct codec_schema *const all[] = {
        &ipc_enroll_schema,      &ipc_reply_schema,          &ipc_refused_schema,
        &ipc_catalog_schema,     &ipc_ticket_schema,         &ipc_signed_schema,
        &ipc_key_schema,         &ipc_control_schema,        &ipc_admin_request_schema,
        &ipc_admin_reply_schema, &ipc_station_ask_schema,    &ipc_station_answer_schema,
        &ipc_metrics_ask_schema, &ipc_metrics_answer_schema,
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_in_range(3 + largest(all[i]), 4, IPC_MESSAGE_MAX);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(all[i]->type, all[j]->type);
    }
}

static void test_outcome_names(void **state) {
    (void)state;
    for (int i = 1; i <= IPC_OUTCOME_LAST; i++) {
        assert_string_not_equal(ipc_outcome_name((enum ipc_outcome)i), "unknown");
        for (int j = 1; j < i; j++)
            assert_string_not_equal(ipc_outcome_name((enum ipc_outcome)i),
                                    ipc_outcome_name((enum ipc_outcome)j));
    }
    assert_string_equal(ipc_outcome_name(IPC_BAD_SECRET), "bad-secret");
}

static void test_reader_stays_bad(void **state) {
    (void)state;
    static const uint8_t four[] = {1, 2, 3, 4};
    struct reader r = {.in = BYTES_OF(four)};
    assert_int_equal(reader_be(&r, 3), 0x010203);
    assert_int_equal(reader_be(&r, 2), 0);
    assert_true(r.bad);
    assert_int_equal(reader_take(&r, 1).n, 0);
    assert_int_equal(reader_left(&r), 0);
}

static void test_writer_stays_full(void **state) {
    (void)state;
    uint8_t room[3];
    struct buf out = BUF_ON(room);
    buf_put_be(&out, 0xabcd, 2);
    buf_put_be(&out, 1, 2);
    buf_put_u8(&out, 9);
    assert_true(out.full);
    assert_int_equal(out.n, 2);
    assert_int_equal(room[0], 0xab);
    assert_int_equal(room[1], 0xcd);
}

static void test_hex(void **state) {
    (void)state;
    static const uint8_t octets[] = {0x00, 0x9f, 0xa0, 0xff};
    char text[9];
    uint8_t back[4];
    size_t n = 99;
    assert_int_equal(hex_encode(BYTES_OF(octets), text, 8), TM_ELIMIT);
    assert_int_equal(hex_encode(BYTES_OF(octets), text, 9), TM_OK);
    assert_string_equal(text, "009fa0ff");
    assert_int_equal(hex_decode("009FA0ff", back, 4, &n), TM_OK);
    assert_int_equal(n, 4);
    assert_memory_equal(back, octets, 4);
    assert_int_equal(hex_decode("009FA0ff", back, 3, &n), TM_ELIMIT);
    assert_int_equal(hex_decode("0", back, 4, &n), TM_EPARSE);
    assert_int_equal(hex_decode("0g", back, 4, &n), TM_EPARSE);
    assert_int_equal(hex_decode("", back, 4, &n), TM_OK);
    assert_int_equal(n, 0);
}

static void test_secret_equality(void **state) {
    (void)state;
    assert_true(bytes_equal_secret(bytes_str("same"), bytes_str("same")));
    assert_false(bytes_equal_secret(bytes_str("same"), bytes_str("sama")));
    assert_false(bytes_equal_secret(bytes_str("same"), bytes_str("sam")));
    assert_true(bytes_equal_secret((struct bytes){NULL, 0}, bytes_str("")));
}

static void assert_time(int64_t ms, const char *expected) {
    char text[CLOCK_TEXT_MAX];
    clock_format(ms, text);
    assert_string_equal(text, expected);
}

static void test_clock_format(void **state) {
    (void)state;
    assert_time(0, "1970-01-01T00:00:00.000Z");
    assert_time(-1, "1969-12-31T23:59:59.999Z");
    assert_time(951782400000, "2000-02-29T00:00:00.000Z");
    assert_time(951868799999, "2000-02-29T23:59:59.999Z");
    assert_time(4107542400000, "2100-03-01T00:00:00.000Z");
    assert_time(1767323045678, "2026-01-02T03:04:05.678Z");
    assert_time(-62167219200000, "0000-01-01T00:00:00.000Z");
    assert_time(-62162208000000, "0000-02-28T00:00:00.000Z");
    assert_time(253402300799999, "9999-12-31T23:59:59.999Z");
    assert_time(INT64_MAX, "9999-12-31T23:59:59.999Z");
    assert_time(INT64_MIN, "0000-01-01T00:00:00.000Z");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_decode_refuses),
        cmocka_unit_test(test_encode_refuses),
        cmocka_unit_test(test_encode_into_too_little),
        cmocka_unit_test(test_messages_fit),
        cmocka_unit_test(test_outcome_names),
        cmocka_unit_test(test_reader_stays_bad),
        cmocka_unit_test(test_writer_stays_full),
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_secret_equality),
        cmocka_unit_test(test_clock_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
