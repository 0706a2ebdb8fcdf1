/* SPDX-License-Identifier: Apache-2.0 */
/* Sparkplug topics and those of the plain profile. Tests that are named tck_... show that assertion
 * of the Sparkplug specification. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mqtt/wire/contract.h"

#define LONGEST                                                                                    \
    "0123456789012345678901234567890123456789012345678901234567890123" /* MQTT_ID_MAX              \
                                                                        */

static void assert_topic(const char *text, enum mqtt_type type, const char *group,
                         const char *edge_node, const char *device) {
    struct mqtt_topic topic;
    char again[MQTT_TOPIC_MAX];
    assert_int_equal(mqtt_topic_parse(text, &topic), TM_OK);
    assert_int_equal(topic.type, type);
    assert_string_equal(topic.group, group);
    assert_string_equal(topic.edge_node, edge_node);
    assert_string_equal(topic.device, device);
    assert_int_equal(mqtt_topic_format(&topic, again), TM_OK);
    assert_string_equal(again, text);
}

static void assert_no_topic(const char *text, enum tm_err err) {
    struct mqtt_topic topic = {.type = MQTT_NCMD, .group = "before"};
    assert_int_equal(mqtt_topic_parse(text, &topic), err);
    assert_int_equal(topic.type, MQTT_NCMD);
    assert_string_equal(topic.group, "before");
}

static void tck_id_topic_structure(void **state) {
    (void)state;
    assert_topic("spBv1.0/G/NBIRTH/E", MQTT_NBIRTH, "G", "E", "");
    assert_topic("spBv1.0/G/NDEATH/E", MQTT_NDEATH, "G", "E", "");
    assert_topic("spBv1.0/G/NDATA/E", MQTT_NDATA, "G", "E", "");
    assert_topic("spBv1.0/G/NCMD/E", MQTT_NCMD, "G", "E", "");
    assert_topic("spBv1.0/G/DBIRTH/E/D", MQTT_DBIRTH, "G", "E", "D");
    assert_topic("spBv1.0/G/DDEATH/E/D", MQTT_DDEATH, "G", "E", "D");
    assert_topic("spBv1.0/G/DDATA/E/D", MQTT_DDATA, "G", "E", "D");
    assert_topic("spBv1.0/G/DCMD/E/D", MQTT_DCMD, "G", "E", "D");
    assert_topic("spBv1.0/Sparkplug B Devices/DCMD/Raspberry Pi/Pibrella", MQTT_DCMD,
                 "Sparkplug B Devices", "Raspberry Pi", "Pibrella");
    assert_topic("spBv1.0/NBIRTH/NBIRTH/STATE", MQTT_NBIRTH, "NBIRTH", "STATE", "");
    assert_topic("spBv1.0/" LONGEST "/DDATA/" LONGEST "/" LONGEST, MQTT_DDATA, LONGEST, LONGEST,
                 LONGEST);
}

static void tck_id_host_topic_phid_birth_topic(void **state) {
    (void)state;
    assert_topic("spBv1.0/STATE/touchmark", MQTT_STATE, "", "touchmark", "");
    assert_no_topic("spBv1.0/STATE", TM_EPARSE);
    assert_no_topic("spBv1.0/STATE/", TM_EPARSE);
    assert_no_topic("spBv1.0/STATE/host/more", TM_EPARSE);
    assert_no_topic("spBv1.0/STATE/NBIRTH/E", TM_EPARSE);
    assert_no_topic("spBv1.0/G/STATE/host", TM_EPARSE);
    assert_no_topic("STATE/host", TM_ENOTFOUND); /* Sparkplug 2.2 */
}

static void tck_id_topic_structure_namespace_a(void **state) {
    (void)state;
    assert_no_topic("", TM_ENOTFOUND);
    assert_no_topic("spBv1.0", TM_ENOTFOUND);
    assert_no_topic("spAv1.0/G/NBIRTH/E", TM_ENOTFOUND);
    assert_no_topic("spBv1.1/G/NBIRTH/E", TM_ENOTFOUND);
    assert_no_topic("spbv1.0/G/NBIRTH/E", TM_ENOTFOUND);
    assert_no_topic("/spBv1.0/G/NBIRTH/E", TM_ENOTFOUND);
    assert_no_topic("touchmark/v1/D/request", TM_ENOTFOUND);
}

static void tck_id_topic_structure_namespace_device_id_associated_message_types(void **state) {
    (void)state;
    assert_no_topic("spBv1.0/G/DBIRTH/E", TM_EPARSE);
    assert_no_topic("spBv1.0/G/DDEATH/E", TM_EPARSE);
    assert_no_topic("spBv1.0/G/DDATA/E", TM_EPARSE);
    assert_no_topic("spBv1.0/G/DCMD/E", TM_EPARSE);
    assert_no_topic("spBv1.0/G/DDATA/E/", TM_EPARSE);
    assert_no_topic("spBv1.0/G/DDATA/E/D/more", TM_EPARSE);
}

static void tck_id_topic_structure_namespace_device_id_non_associated_message_types(void **state) {
    (void)state;
    assert_no_topic("spBv1.0/G/NBIRTH/E/D", TM_EPARSE);
    assert_no_topic("spBv1.0/G/NDEATH/E/D", TM_EPARSE);
    assert_no_topic("spBv1.0/G/NDATA/E/D", TM_EPARSE);
    assert_no_topic("spBv1.0/G/NCMD/E/D", TM_EPARSE);
    assert_no_topic("spBv1.0/G/NBIRTH/E/", TM_EPARSE);
}

static void types_are_compared_whole(void **state) {
    (void)state;
    assert_no_topic("spBv1.0/G/NBIRT/E", TM_EPARSE);
    assert_no_topic("spBv1.0/G/NBIRTHX/E", TM_EPARSE);
    assert_no_topic("spBv1.0/G/nbirth/E", TM_EPARSE);
    assert_no_topic("spBv1.0/G//E", TM_EPARSE);
    assert_no_topic("spBv1.0/G/NBIRTH", TM_EPARSE);
    assert_no_topic("spBv1.0/", TM_EPARSE);
    assert_string_equal(mqtt_type_name(MQTT_NBIRTH), "NBIRTH");
    assert_string_equal(mqtt_type_name(MQTT_STATE), "STATE");
    assert_string_equal(mqtt_type_name((enum mqtt_type)0), "unknown");
    assert_string_equal(mqtt_type_name((enum mqtt_type)99), "unknown");
}

/* And -valid-edge-node-id, -valid-device-id. */
static void tck_id_topic_structure_namespace_valid_group_id(void **state) {
    (void)state;
    static const char *const good[] = {
        "a", " ", "$x", "A.z_0~9-", "caf\xc3\xa9", "\xf0\x9f\x94\x91", LONGEST};
    static const char *const bad[] = {
        "",         "a+",      "+",        "#",
        "a/b",      "a\x01",   "a\x7f",    "a\xc2\x80",    /* control characters */
        "\xff",     "caf\xc3", "\xc0\xaf", "\xed\xa0\x80", /* not UTF-8 */
        LONGEST "x"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(mqtt_id_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(mqtt_id_valid(bad[i]));
    assert_no_topic("spBv1.0//NBIRTH/E", TM_EPARSE);
    assert_no_topic("spBv1.0/+/NBIRTH/E", TM_EPARSE);
    assert_no_topic("spBv1.0/G/NBIRTH/E#", TM_EPARSE);
    assert_no_topic("spBv1.0/G/DBIRTH/E/D\x1b", TM_EPARSE);
    assert_no_topic("spBv1.0/G/NBIRTH/\xff", TM_EPARSE);
    assert_no_topic("spBv1.0/" LONGEST "x/NBIRTH/E", TM_ELIMIT);
    assert_no_topic("spBv1.0/G/DBIRTH/E/" LONGEST "x", TM_ELIMIT);
}

static void an_id_with_nul_is_none(void **state) {
    (void)state;
    char id[MQTT_ID_MAX + 1] = "before";
    assert_int_equal(mqtt_id_read((struct bytes){(const uint8_t *)"a\0b", 3}, id), TM_EPARSE);
    assert_string_equal(id, "before");
}

static void topics_that_cannot_be_are_not_formatted(void **state) {
    (void)state;
    static const struct mqtt_topic bad[] = {
        {.type = MQTT_NBIRTH, .group = "", .edge_node = "E"},
        {.type = MQTT_NBIRTH, .group = "G", .edge_node = ""},
        {.type = MQTT_NBIRTH, .group = "G", .edge_node = "E", .device = "D"},
        {.type = MQTT_DBIRTH, .group = "G", .edge_node = "E"},
        {.type = MQTT_DBIRTH, .group = "G", .edge_node = "E", .device = "#"},
        {.type = MQTT_DBIRTH, .group = "G/NCMD", .edge_node = "E", .device = "D"},
        {.type = MQTT_NCMD, .group = "STATE", .edge_node = "E"},
        {.type = MQTT_STATE, .group = "G", .edge_node = "host"},
        {.type = MQTT_STATE, .edge_node = "host", .device = "D"},
        {.type = MQTT_STATE, .edge_node = ""},
        {.type = (enum mqtt_type)0, .group = "G", .edge_node = "E"},
        {.type = (enum mqtt_type)10, .group = "G", .edge_node = "E"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[MQTT_TOPIC_MAX] = "before";
        assert_int_equal(mqtt_topic_format(&bad[i], text), TM_EINVAL);
        assert_string_equal(text, "before");
    }
}

/* ---- the plain profile ---- */

static void plain_topics_name_device_and_kind(void **state) {
    (void)state;
    static const struct {
        const char *prefix, *topic;
        enum mqtt_plain_kind kind;
        const char *device;
    } good[] = {
        {"touchmark/v1", "touchmark/v1/gw-1/offer", MQTT_PLAIN_OFFER, "gw-1"},
        {"touchmark/v1", "touchmark/v1/gw-1/request", MQTT_PLAIN_REQUEST, "gw-1"},
        {"touchmark/v1", "touchmark/v1/gw-1/response", MQTT_PLAIN_RESPONSE, "gw-1"},
        {"a", "a/request/request", MQTT_PLAIN_REQUEST, "request"},
        {LONGEST, LONGEST "/" LONGEST "/response", MQTT_PLAIN_RESPONSE, LONGEST},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct mqtt_plain plain;
        char again[MQTT_TOPIC_MAX];
        assert_int_equal(mqtt_plain_parse(good[i].prefix, good[i].topic, &plain), TM_OK);
        assert_int_equal(plain.kind, good[i].kind);
        assert_string_equal(plain.device, good[i].device);
        assert_int_equal(mqtt_plain_format(good[i].prefix, &plain, again), TM_OK);
        assert_string_equal(again, good[i].topic);
    }
}

static void responses_may_go_one_level_below(void **state) {
    (void)state;
    struct mqtt_plain plain;
    assert_int_equal(mqtt_plain_parse("p/q", "p/q/d/response/session 7", &plain), TM_OK);
    assert_int_equal(plain.kind, MQTT_PLAIN_RESPONSE);
    assert_string_equal(plain.device, "d");
}

static void other_plain_topics_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *topic;
        enum tm_err err;
    } bad[] = {
        {"", TM_ENOTFOUND},
        {"p", TM_ENOTFOUND},
        {"p/q", TM_ENOTFOUND},
        {"p/qq/d/offer", TM_ENOTFOUND},
        {"P/q/d/offer", TM_ENOTFOUND},
        {"spBv1.0/G/NBIRTH/E", TM_ENOTFOUND},
        {"p/q/", TM_EPARSE},
        {"p/q/d", TM_EPARSE},
        {"p/q//offer", TM_EPARSE},
        {"p/q/d/", TM_EPARSE},
        {"p/q/d/offers", TM_EPARSE},
        {"p/q/d/Offer", TM_EPARSE},
        {"p/q/d/offer/", TM_EPARSE},
        {"p/q/d/offer/x", TM_EPARSE},
        {"p/q/d/request/x", TM_EPARSE},
        {"p/q/d/response/", TM_EPARSE},
        {"p/q/d/response/x/y", TM_EPARSE},
        {"p/q/d/response/+", TM_EPARSE},
        {"p/q/d/response/#", TM_EPARSE},
        {"p/q/d/response/" LONGEST "x", TM_ELIMIT},
        {"p/q/d+/offer", TM_EPARSE},
        {"p/q/d\x01/offer", TM_EPARSE},
        {"p/q/" LONGEST "x/offer", TM_ELIMIT},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct mqtt_plain plain = {.kind = MQTT_PLAIN_OFFER, .device = "before"};
        assert_int_equal(mqtt_plain_parse("p/q", bad[i].topic, &plain), bad[i].err);
        assert_string_equal(plain.device, "before");
    }
}

static void prefixes_are_levels(void **state) {
    (void)state;
    static const char *const good[] = {MQTT_PREFIX_DEFAULT, "a", "a/b/c/d", LONGEST};
    static const char *const bad[] = {"",    "/",   "/a",       "a/",    "a//b",
                                      "+/a", "a/#", "$share/a", "a\xff", LONGEST "/a"};
    struct mqtt_plain plain = {.kind = MQTT_PLAIN_OFFER, .device = "d"};
    char text[MQTT_TOPIC_MAX];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(mqtt_plain_format(good[i], &plain, text), TM_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(mqtt_prefix_valid(bad[i]));
        assert_int_equal(mqtt_plain_format(bad[i], &plain, text), TM_EINVAL);
    }
    plain.device[0] = '\0';
    assert_int_equal(mqtt_plain_format("a", &plain, text), TM_EINVAL);
    plain = (struct mqtt_plain){.device = "d"};
    assert_int_equal(mqtt_plain_format("a", &plain, text), TM_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tck_id_topic_structure),
        cmocka_unit_test(tck_id_host_topic_phid_birth_topic),
        cmocka_unit_test(tck_id_topic_structure_namespace_a),
        cmocka_unit_test(tck_id_topic_structure_namespace_device_id_associated_message_types),
        cmocka_unit_test(tck_id_topic_structure_namespace_device_id_non_associated_message_types),
        cmocka_unit_test(types_are_compared_whole),
        cmocka_unit_test(tck_id_topic_structure_namespace_valid_group_id),
        cmocka_unit_test(an_id_with_nul_is_none),
        cmocka_unit_test(topics_that_cannot_be_are_not_formatted),
        cmocka_unit_test(plain_topics_name_device_and_kind),
        cmocka_unit_test(responses_may_go_one_level_below),
        cmocka_unit_test(other_plain_topics_are_refused),
        cmocka_unit_test(prefixes_are_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
