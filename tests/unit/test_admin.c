/* SPDX-License-Identifier: Apache-2.0 */
/* `touchmark`: what may stand on its command line, and how answers look on a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin/command.h"
#include "admin/render.h"
#include "base/auto.h"

static bool taken(enum admin_field_id id, const char *text, struct admin_call *call) {
    char allowed[CONF_ERROR_MAX] = "";
    *call = (struct admin_call){0};
    bool good = admin_field_set(id, text, call, allowed) == TM_OK;
    assert_int_equal(good, allowed[0] == '\0'); /* a refusal says what is allowed */
    return good;
}

static void serials_in_all_spellings(void **state) {
    (void)state;
    static const char *const good[] = {"01a1fd10b9f1", "01A1FD10B9F1", "01:A1:FD:10:B9:F1",
                                       "01:a1fd10b9f1"};
    static const char *const bad[] = {
        "",      ":",    "1",
        "01a",   "0x01", "01 a1",
        "01-a1", "zz",   "01a1fd10b9f101a1fd10b9f101a1fd10b9f101a1fd"};
    struct admin_call call;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(taken(ADMIN_SERIAL, good[i], &call));
        assert_string_equal(call.request.serial, "01a1fd10b9f1");
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(taken(ADMIN_SERIAL, bad[i], &call));
    assert_true(taken(ADMIN_SERIAL, "01a1fd10b9f101a1fd10b9f101a1fd10b9f101a1", &call));
    assert_int_equal(strlen(call.request.serial), 40);
}

static void names_as_devices_have_them(void **state) {
    (void)state;
    char name[66];
    struct admin_call call;
    memset(name, 'n', sizeof(name));
    name[65] = '\0';
    assert_false(taken(ADMIN_DEVICE, name, &call));
    name[64] = '\0';
    assert_true(taken(ADMIN_DEVICE, name, &call));
    assert_string_equal(call.request.device, name);
    assert_true(taken(ADMIN_TENANT, "Az09._~-", &call));
    assert_string_equal(call.request.tenant, "Az09._~-");
    assert_false(taken(ADMIN_DEVICE, "", &call));
    assert_false(taken(ADMIN_DEVICE, "a/b", &call));
    assert_false(taken(ADMIN_SKU, "a b", &call));
    assert_false(taken(ADMIN_BATCH, "a\n", &call));
    assert_false(taken(ADMIN_SITE, "\xc3\xa4", &call));
}

static void reasons_in_one_line(void **state) {
    (void)state;
    char text[257];
    struct admin_call call;
    memset(text, 'r', sizeof(text));
    text[256] = '\0';
    assert_false(taken(ADMIN_REASON, text, &call));
    text[255] = '\0';
    assert_true(taken(ADMIN_REASON, text, &call));
    assert_string_equal(call.request.reason, text);
    assert_false(taken(ADMIN_REASON, "", &call));
    assert_false(taken(ADMIN_REASON, "two\nlines", &call));
    assert_false(taken(ADMIN_REASON, "\x1b[2J", &call));
}

static void numbers_and_durations(void **state) {
    (void)state;
    struct admin_call call;
    assert_true(taken(ADMIN_VALID, "8h", &call));
    assert_int_equal(call.request.seconds, 8 * 3600);
    assert_true(taken(ADMIN_VALID, "366d", &call));
    assert_int_equal(call.request.seconds, 366 * 86400);
    assert_false(taken(ADMIN_VALID, "367d", &call));
    assert_false(taken(ADMIN_VALID, "999ms", &call));
    assert_false(taken(ADMIN_VALID, "8", &call));
    assert_true(taken(ADMIN_FROM, "18446744073709551615", &call));
    assert_string_equal(call.request.cursor, "18446744073709551615");
    assert_false(taken(ADMIN_FROM, "-1", &call));
    assert_true(taken(ADMIN_LIMIT, "7", &call));
    assert_int_equal(call.limit, 7);
    assert_false(taken(ADMIN_LIMIT, "0", &call));
    assert_false(taken(ADMIN_LIMIT, "4294967296", &call));
}

/* What a renderer prints for a JSON text. */
static char *shown(void (*render)(const json_t *, FILE *), const char *json) {
    char *text = NULL;
    size_t n;
    json_t *value = json_loads(json, 0, NULL);
    FILE *out = open_memstream(&text, &n);
    assert_non_null(value);
    assert_non_null(out);
    render(value, out);
    assert_int_equal(fclose(out), 0);
    json_decref(value);
    return text;
}

static void objects_are_lines(void **state) {
    (void)state;
    AUTO_MEM char *text =
        shown(admin_render_object,
              "{\"id\":\"a\",\"n\":3,\"on\":true,\"none\":null,\"empty\":\"\","
              "\"audit\":{\"size\":2,\"root\":{\"hex\":\"ff\"}},\"list\":[\"x\",\"y\"],"
              "\"nothing\":[],\"certs\":[{\"serial\":\"01\"}]}");
    assert_string_equal(text,
                        "id: a\nn: 3\non: yes\nnone: -\nempty: -\naudit.size: 2\n"
                        "audit.root.hex: ff\nlist: x, y\nnothing: none\ncerts:\nSERIAL\n01\n");
}

static void rows_are_a_table(void **state) {
    (void)state;
    AUTO_MEM char *text =
        shown(admin_render_table, "[{\"id\":\"long-name\",\"certs\":[1,2]},"
                                  "{\"id\":\"\\u00e4\",\"certs\":[],\"not_after\":\"x\"}]");
    assert_string_equal(text, "ID         CERTS  NOT AFTER\n"
                              "long-name  2      -\n"
                              "\xc3\xa4          0      x\n");
    AUTO_MEM char *none = shown(admin_render_table, "[]");
    assert_string_equal(none, "");
}

/* Text comes from devices and peers: it must not move the cursor or change the colours. */
static void control_characters_are_shown(void **state) {
    (void)state;
    AUTO_MEM char *text =
        shown(admin_render_object, "{\"a\":\"x\\u001b[2J\\r\\n\\t\\u007f\\u009b1m\\u00e4\"}");
    assert_string_equal(text, "a: x\\x1b[2J\\x0d\\x0a\\x09\\x7f\\x9b1m\xc3\xa4\n");
}

/* Help and requests are made from the table; a command that lacks something would be silent. */
static void commands_are_complete(void **state) {
    (void)state;
    uint64_t verbs = UINT64_C(1) << IPC_ADMIN_REVOKE_PREVIEW; /* revoke --preview */
    for (const struct admin_command *command = admin_commands; command->words; command++) {
        assert_non_null(command->run);
        assert_non_null(command->help);
        assert_true(!command->demanded || command->options & UINT64_C(1) << command->demanded);
        verbs |= UINT64_C(1) << command->verb;
    }
    for (unsigned verb = 1; verb <= IPC_ADMIN_VERB_LAST; verb++)
        assert_true(verbs & UINT64_C(1) << verb);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serials_in_all_spellings),
        cmocka_unit_test(names_as_devices_have_them),
        cmocka_unit_test(reasons_in_one_line),
        cmocka_unit_test(numbers_and_durations),
        cmocka_unit_test(objects_are_lines),
        cmocka_unit_test(rows_are_a_table),
        cmocka_unit_test(control_characters_are_shown),
        cmocka_unit_test(commands_are_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
