/* SPDX-License-Identifier: Apache-2.0 */
/* Who signs for a tenant, as text and as parameters of an act. */
#include "ca/assignment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct ca_assigned assigned(const char *name, uint8_t seed) {
    struct ca_assigned a = {0};
    TEXT_SET(a.name, name);
    memset(a.certificate, seed, sizeof a.certificate);
    memset(a.trust, seed + 1, sizeof a.trust);
    return a;
}

static void add(struct ca_assignment *to, const char *name, uint8_t seed) {
    const struct ca_assigned issuer = assigned(name, seed);
    assert_int_equal(ca_assignment_add(to, &issuer), TM_OK);
}

static void the_order_of_the_others_does_not_matter(void **state) {
    uint8_t first[CA_AGREED_VALUE_MAX], second[CA_AGREED_VALUE_MAX];
    struct buf a = BUF_ON(first), b = BUF_ON(second);
    struct ca_assignment one = {0}, two = {0};
    (void)state;
    add(&one, "next", 1);
    add(&one, "a", 3);
    add(&one, "b", 5);
    add(&two, "next", 1);
    add(&two, "b", 5);
    add(&two, "a", 3);
    add(&two, "b", 5);
    add(&two, "next", 1);
    assert_int_equal(ca_assignment_print(&one, &a), TM_OK);
    assert_int_equal(ca_assignment_print(&two, &b), TM_OK);
    assert_true(bytes_equal(buf_bytes(&a), buf_bytes(&b)));
    assert_memory_equal(first, "next 0101", 9);
    struct ca_assignment back;
    assert_int_equal(ca_assignment_parse(buf_bytes(&a), &back), TM_OK);
    assert_int_equal(back.count, 3);
    assert_memory_equal(&back.issuers[2], &one.issuers[2], sizeof back.issuers[2]);
}

static void all_that_there_may_be_fits(void **state) {
    uint8_t memory[CA_AGREED_VALUE_MAX];
    struct buf out = BUF_ON(memory);
    struct ca_assignment most = {0};
    char name[IPC_NAME_MAX + 1];
    (void)state;
    assert_int_equal(ca_assignment_print(&most, &out), TM_EINVAL);
    for (int i = 0; i < CA_ASSIGNED_MAX; i++) {
        (void)snprintf(name, sizeof name, "%064d", i);
        add(&most, name, 7);
    }
    const struct ca_assigned more = assigned("more", 1);
    assert_int_equal(ca_assignment_add(&most, &more), TM_ELIMIT);
    assert_int_equal(ca_assignment_print(&most, &out), TM_OK);
    struct ca_assignment back;
    assert_int_equal(ca_assignment_parse(buf_bytes(&out), &back), TM_OK);
    assert_int_equal(back.count, CA_ASSIGNED_MAX);
}

#define HASH "0101010101010101010101010101010101010101010101010101010101010101"
#define LINE(name) name " " HASH " " HASH

static void nothing_else_is_read(void **state) {
    static const char *const wrong[] = {
        "x",
        LINE("a"),
        LINE("a") "\n\n",
        LINE("") "\n",
        LINE("a") " \n",
        LINE("a") "\n" LINE("c") "\n" LINE("b") "\n",
        LINE("a") "\n" LINE("b") "\n" LINE("b") "\n",
        LINE("a") "\n" LINE("a") "\n",
        "a " HASH " " HASH "0\n",
        "a " HASH "0 " HASH "\n",
        "a 0" HASH "\n",
        "a AA" HASH " " HASH "\n",
        "00000000000000000000000000000000000000000000000000000000000000000 " HASH " " HASH "\n",
    };
    struct ca_assignment back;
    (void)state;
    assert_int_equal(ca_assignment_parse(bytes_str(""), &back), TM_EPARSE);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(ca_assignment_parse(bytes_str(wrong[i]), &back), TM_EPARSE);
    assert_int_equal(ca_assignment_parse(bytes_str(LINE("z") "\n" LINE("b") "\n"), &back), TM_OK);
    assert_true(ca_assigned_valid(LINE("a")));
    assert_false(ca_assigned_valid(LINE("a") "\n"));
    assert_false(ca_assigned_valid(""));
}

static void parameters_say_the_same(void **state) {
    uint8_t memory[CA_AGREED_VALUE_MAX];
    struct buf out = BUF_ON(memory);
    struct ca_act_params params = {0};
    (void)state;
    assert_int_equal(ca_assignment_of(&params, &out), TM_ENOTFOUND);
    assert_int_equal(ca_act_param_add(&params, "also-02", LINE("c")), TM_OK);
    assert_int_equal(ca_act_param_add(&params, "signs", LINE("z")), TM_OK);
    assert_int_equal(ca_act_param_add(&params, "also-01", LINE("b")), TM_OK);
    assert_int_equal(ca_act_param_add(&params, "also-04", LINE("d")), TM_OK);
    assert_int_equal(ca_assignment_of(&params, &out), TM_OK);
    assert_true(
        bytes_equal(buf_bytes(&out), bytes_str(LINE("z") "\n" LINE("b") "\n" LINE("c") "\n")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_of_the_others_does_not_matter),
        cmocka_unit_test(all_that_there_may_be_fits),
        cmocka_unit_test(nothing_else_is_read),
        cmocka_unit_test(parameters_say_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
