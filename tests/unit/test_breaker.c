/* SPDX-License-Identifier: Apache-2.0 */
/* The circuit breaker: when it opens, when it may be asked again, and for how long it waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "server/core/breaker.h"

static void test_opens_after_failures_in_a_row(void **state) {
    (void)state;
    struct breaker b = {0};
    assert_false(breaker_fail(&b, 3, 0));
    assert_false(breaker_fail(&b, 3, 0));
    assert_false(breaker_succeed(&b)); /* it was closed */
    assert_false(breaker_fail(&b, 3, 0));
    assert_false(breaker_fail(&b, 3, 0));
    assert_int_equal(b.state, BREAKER_CLOSED);
    assert_true(breaker_fail(&b, 3, 0));
    assert_int_equal(b.state, BREAKER_OPEN);
}

static void test_one_failure_is_enough_when_told_so(void **state) {
    (void)state;
    struct breaker b = {0};
    assert_true(breaker_fail(&b, 1, 0));
    assert_int_equal(b.state, BREAKER_OPEN);
}

static void test_asks_again_after_the_pause(void **state) {
    (void)state;
    struct breaker b = {0};
    assert_false(breaker_may_probe(&b, 0)); /* closed: no probe is needed */
    assert_true(breaker_fail(&b, 1, 5000));
    assert_false(breaker_may_probe(&b, 5000 + BREAKER_PAUSE_MIN_MS - 1));
    assert_true(breaker_may_probe(&b, 5000 + BREAKER_PAUSE_MIN_MS));
    breaker_probe(&b);
    assert_int_equal(b.state, BREAKER_HALF_OPEN);
    assert_false(breaker_may_probe(&b, 1000000)); /* one question at a time */
    assert_true(breaker_succeed(&b));
    assert_int_equal(b.state, BREAKER_CLOSED);
    assert_int_equal(b.in_row, 0);
}

static void test_pause_doubles_up_to_a_limit(void **state) {
    (void)state;
    struct breaker b = {0};
    int64_t now = 0, pause = BREAKER_PAUSE_MIN_MS;
    assert_true(breaker_fail(&b, 1, now));
    for (int i = 0; i < 10; i++) {
        assert_int_equal(b.probe_at - now, pause);
        now = b.probe_at;
        breaker_probe(&b);
        assert_false(breaker_fail(&b, 1, now)); /* it opened before */
        assert_int_equal(b.state, BREAKER_OPEN);
        pause = 2 * pause < BREAKER_PAUSE_MAX_MS ? 2 * pause : BREAKER_PAUSE_MAX_MS;
    }
    assert_int_equal(pause, BREAKER_PAUSE_MAX_MS);
    breaker_probe(&b);
    assert_true(breaker_succeed(&b));
    assert_true(breaker_fail(&b, 1, 0));
    assert_int_equal(b.probe_at, BREAKER_PAUSE_MIN_MS);
}

static void test_failures_while_open_change_nothing(void **state) {
    (void)state;
    struct breaker b = {0};
    assert_true(breaker_fail(&b, 1, 0));
    assert_false(breaker_fail(&b, 1, 900));
    assert_true(breaker_may_probe(&b, BREAKER_PAUSE_MIN_MS));
}

static void test_answer_that_proves_nothing(void **state) {
    (void)state;
    struct breaker b = {0};
    assert_true(breaker_fail(&b, 1, 0));
    breaker_probe(&b);
    breaker_unproven(&b, 7000);
    assert_int_equal(b.state, BREAKER_OPEN);
    assert_true(breaker_may_probe(&b, 7000));
    struct breaker closed = {0};
    breaker_unproven(&closed, 7000);
    assert_int_equal(closed.state, BREAKER_CLOSED);
}

static void test_names(void **state) {
    (void)state;
    assert_string_equal(breaker_name(BREAKER_CLOSED), "closed");
    assert_string_equal(breaker_name(BREAKER_OPEN), "open");
    assert_string_equal(breaker_name(BREAKER_HALF_OPEN), "half-open");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opens_after_failures_in_a_row),
        cmocka_unit_test(test_one_failure_is_enough_when_told_so),
        cmocka_unit_test(test_asks_again_after_the_pause),
        cmocka_unit_test(test_pause_doubles_up_to_a_limit),
        cmocka_unit_test(test_failures_while_open_change_nothing),
        cmocka_unit_test(test_answer_that_proves_nothing),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
