/* SPDX-License-Identifier: Apache-2.0 */
/* What the audit log's key on a token signs, and all that it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkcs11/ticket.h"

#define ORIGIN "log.example/1"
#define ROOT "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"

static const struct hsm_rules rules = {.origin = ORIGIN}, none = {0};

static bool passes(const struct hsm_rules *by, const char *content, struct hsm_permit *ret) {
    char text[IPC_TEXT_MAX + 1] = "";
    const struct ipc_checkpoint_ticket ticket = {.id = 1, .content = bytes_str(content)};
    *ret = (struct hsm_permit){0};
    enum tm_err err = hsm_checkpoint_ticket_check(by, &ticket, ret, text);
    if (err) {
        assert_int_equal(err, TM_EDENIED);
        assert_true(text[0]);
        assert_false(ret->checkpoint);
        return false;
    }
    assert_true(ret->checkpoint);
    assert_false(ret->tls || ret->ocsp || ret->numbered);
    assert_true(bytes_equal(ret->message, ticket.content));
    return true;
}

static void checkpoints_of_its_own_log_pass(void **state) {
    struct hsm_permit permit;
    (void)state;
    assert_true(passes(&rules, ORIGIN "\n7\n" ROOT, &permit));
    assert_int_equal(permit.tree.size, 7);
    assert_int_equal(permit.tree.root[0], 0x0a);
    assert_false(passes(&none, ORIGIN "\n7\n" ROOT, &permit));
}

static void all_else_is_refused(void **state) {
    static const char *const refused[] = {
        "",
        "log.example/2\n7\n" ROOT,
        "log.example/1x\n7\n" ROOT,
        ORIGIN "\n0\n" ROOT,
        ORIGIN "\n07\n" ROOT,
        ORIGIN "\n4611686018427387905\n" ROOT,
        ORIGIN "\n7\n" ROOT "more\n",
        ORIGIN "\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J=\n",
        ORIGIN "\n7\n",
        "cosignature/v1\ntime 7\n" ORIGIN "\n7\n" ROOT,
        "0\x82\x01\x01",
    };
    struct hsm_permit permit;
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (passes(&rules, refused[i], &permit))
            fail_msg("signed: %s", refused[i]);
}

static void a_tree_never_shrinks_nor_has_two_roots(void **state) {
    struct hsm_checkpoint last = {0}, tree = {.size = 5, .root = {1}};
    (void)state;
    assert_true(hsm_checkpoint_take(&last, &tree));
    assert_true(hsm_checkpoint_take(&last, &tree));
    tree.root[0] = 2;
    assert_false(hsm_checkpoint_take(&last, &tree));
    tree.size = 4;
    assert_false(hsm_checkpoint_take(&last, &tree));
    assert_int_equal(last.size, 5);
    assert_int_equal(last.root[0], 1);
    tree.size = 6;
    assert_true(hsm_checkpoint_take(&last, &tree));
    tree.size = 5;
    assert_false(hsm_checkpoint_take(&last, &tree));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checkpoints_of_its_own_log_pass),
        cmocka_unit_test(all_else_is_refused),
        cmocka_unit_test(a_tree_never_shrinks_nor_has_two_roots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
