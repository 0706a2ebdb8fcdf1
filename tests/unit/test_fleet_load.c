/* SPDX-License-Identifier: Apache-2.0 */
/* The lines that a load gets its devices from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "client/fleet/load.h"

static enum tm_err read_octets(const char *octets, size_t n, struct fleet_login **ret,
                               size_t *ret_count) {
    FILE *in = fmemopen((void *)(uintptr_t)octets, n, "r");
    assert_non_null(in);
    enum tm_err err = fleet_logins_read(in, ret, ret_count);
    (void)fclose(in);
    return err;
}

static enum tm_err read_text(const char *text, struct fleet_login **ret, size_t *ret_count) {
    return read_octets(text, strlen(text), ret, ret_count);
}

static void refused(const char *text) {
    struct fleet_login *logins = NULL;
    size_t count = 0;
    assert_int_equal(read_text(text, &logins, &count), TM_EPARSE);
    assert_null(logins);
}

static void many_lines_are_read(void **state) {
    char text[200 * 16];
    size_t n = 0;
    (void)state;
    for (int i = 0; i < 200; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "D%d s%d\n", i, i);
    struct fleet_login *logins;
    size_t count;
    assert_int_equal(read_octets(text, n, &logins, &count), TM_OK);
    assert_int_equal(count, 200);
    assert_string_equal(logins[0].id, "D0");
    assert_string_equal(logins[199].id, "D199");
    assert_string_equal(logins[199].secret, "s199");
    fleet_logins_free(logins, count);
}

static void blanks_and_a_missing_last_newline_do_not_matter(void **state) {
    struct fleet_login *logins;
    size_t count;
    (void)state;
    assert_int_equal(read_text(" A\t b \r\nC d", &logins, &count), TM_OK);
    assert_int_equal(count, 2);
    assert_string_equal(logins[0].id, "A");
    assert_string_equal(logins[0].secret, "b");
    assert_string_equal(logins[1].secret, "d");
    fleet_logins_free(logins, count);
}

static void the_longest_are_taken_and_longer_ones_are_not_split(void **state) {
    char text[TM_DEVICE_ID_MAX + FLEET_SECRET_MAX + 8];
    struct fleet_login *logins;
    size_t count;
    (void)state;
    for (int more = 0; more < 4; more++) {
        int id = TM_DEVICE_ID_MAX + (more & 1), secret = FLEET_SECRET_MAX + (more >> 1);
        (void)snprintf(text, sizeof text, "%0*d %0*d\n", id, 1, secret, 2);
        if (more) {
            refused(text);
            continue;
        }
        assert_int_equal(read_text(text, &logins, &count), TM_OK);
        assert_int_equal(strlen(logins[0].id), TM_DEVICE_ID_MAX);
        assert_int_equal(strlen(logins[0].secret), FLEET_SECRET_MAX);
        fleet_logins_free(logins, count);
    }
}

static void what_is_no_such_line_is_refused(void **state) {
    struct fleet_login *logins;
    size_t count;
    (void)state;
    refused("A b\nC\n");
    refused("A b c\n");
    refused("A b\n\n");
    refused("\n");
    assert_int_equal(read_octets("A b\0c\n", 6, &logins, &count), TM_EPARSE);
}

static void nobody_is_no_load(void **state) {
    struct fleet_login *logins;
    size_t count;
    (void)state;
    FILE *in = fopen("/dev/null", "r");
    assert_non_null(in);
    assert_int_equal(fleet_logins_read(in, &logins, &count), TM_EPARSE);
    (void)fclose(in);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_lines_are_read),
        cmocka_unit_test(blanks_and_a_missing_last_newline_do_not_matter),
        cmocka_unit_test(the_longest_are_taken_and_longer_ones_are_not_split),
        cmocka_unit_test(what_is_no_such_line_is_refused),
        cmocka_unit_test(nobody_is_no_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
