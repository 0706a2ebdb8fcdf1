/* SPDX-License-Identifier: Apache-2.0 */
/* The text that officers sign: its octets, that no value forges a line of it, and which texts are
 * read. Selections, which are read from its parameters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the above before it. */
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "ca/act_selection.h"

#define SAMPLE_HEAD                                                                                \
    "touchmark act 1\n"                                                                            \
    "environment: test\n"                                                                          \
    "kind: revoke-many\n"                                                                          \
    "id: 000102030405060708090a0b0c0d0e0f\n"                                                       \
    "proposed: 2026-01-02T03:04:05Z\n"                                                             \
    "expires: 2026-01-05T03:04:05Z\n"                                                              \
    "proposer: alice uid:1000\n"

static void sample(struct ca_act_text *ret) {
    memset(ret, 0, sizeof *ret);
    TEXT_SET(ret->environment, "test");
    TEXT_SET(ret->kind, "revoke-many");
    TEXT_SET(ret->proposer, "alice uid:1000");
    for (size_t i = 0; i < sizeof ret->id; i++)
        ret->id[i] = (uint8_t)i;
    ret->proposed_ms = INT64_C(1767323045000);
    ret->expires_ms = ret->proposed_ms + CA_ACT_LIFETIME_MS;
}

static void check_text(const struct ca_act_text *text, const char *expected) {
    uint8_t octets[CA_ACT_TEXT_MAX];
    struct buf out = BUF_ON(octets);
    static struct ca_act_text back;
    assert_int_equal(ca_act_text_print(text, &out), TM_OK);
    assert_int_equal(out.n, strlen(expected));
    assert_memory_equal(octets, expected, out.n);
    assert_int_equal(ca_act_text_parse(buf_bytes(&out), &back), TM_OK);
    assert_memory_equal(back.id, text->id, sizeof back.id);
    assert_true(back.proposed_ms == text->proposed_ms && back.expires_ms == text->expires_ms);
    assert_string_equal(back.proposer, text->proposer);
    assert_int_equal(back.params.count, text->params.count);
    for (size_t i = 0; i < back.params.count; i++)
        assert_string_equal(back.params.items[i].value,
                            ca_act_param(&text->params, back.params.items[i].name));
}

static void the_octets_are_fixed(void **state) {
    (void)state;
    static struct ca_act_text text;
    sample(&text);
    check_text(&text, SAMPLE_HEAD);
    /* sorted, however they were given */
    assert_int_equal(ca_act_param_add(&text.params, "reason", "keyCompromise"), TM_OK);
    assert_int_equal(ca_act_param_add(&text.params, "certificates", "17"), TM_OK);
    assert_int_equal(ca_act_param_add(&text.params, "batch", "2026-03"), TM_OK);
    check_text(&text, SAMPLE_HEAD "parameter batch: 2026-03\n"
                                  "parameter certificates: 17\n"
                                  "parameter reason: keyCompromise\n");
}

static void no_value_forges_a_line(void **state) {
    (void)state;
    static const struct {
        const char *value, *line;
    } cases[] = {
        {"a\nparameter site: b", "parameter words: a\\x0aparameter site: b\n"},
        {"a\r\nkind: none", "parameter words: a\\x0d\\x0akind: none\n"},
        {"\\x0a", "parameter words: \\\\x0a\n"},
        {"\\", "parameter words: \\\\\n"},
        {"", "parameter words: \n"},
        {" ", "parameter words: \\x20\n"},
        {" a b ", "parameter words: \\x20a b\\x20\n"},
        {"\x1b[2Kx", "parameter words: \\x1b[2Kx\n"},
        {"Z\xc3\xbcrich", "parameter words: Z\\xc3\\xbcrich\n"},
        {"\x7f", "parameter words: \\x7f\n"},
        {"a: b", "parameter words: a: b\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static struct ca_act_text text;
        char expected[1024] = SAMPLE_HEAD;
        sample(&text);
        assert_int_equal(ca_act_param_add(&text.params, "words", cases[i].value), TM_OK);
        (void)strcat(expected, cases[i].line);
        check_text(&text, expected);
    }
    static struct ca_act_text text;
    sample(&text);
    TEXT_SET(text.proposer, "eve uid:1\nproposer: alice uid:1000");
    uint8_t octets[CA_ACT_TEXT_MAX];
    struct buf out = BUF_ON(octets);
    assert_int_equal(ca_act_text_print(&text, &out), TM_OK);
    octets[out.n] = 0;
    assert_non_null(strstr((char *)octets, "proposer: eve uid:1\\x0aproposer: alice uid:1000\n"));
}

static void only_that_text_is_read(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "touchmark act 1\n",
        "touchmark act 2\n",
        SAMPLE_HEAD "parameter a: b",                   /* no end of the line */
        SAMPLE_HEAD "\n",                               /* an empty line */
        SAMPLE_HEAD "parameter a:b\n",                  /* no space */
        SAMPLE_HEAD "parameter b: 1\nparameter a: 1\n", /* not sorted */
        SAMPLE_HEAD "parameter a: 1\nparameter a: 1\n", /* twice */
        SAMPLE_HEAD "parameter A: 1\n",                 /* no such name */
        SAMPLE_HEAD "parameter a: \\x41\n",             /* an escape without need */
        SAMPLE_HEAD "parameter a: \\x0A\n",             /* upper case */
        SAMPLE_HEAD "parameter a: \\x00\n",             /* a NUL */
        SAMPLE_HEAD "parameter a: \\n\n",               /* an escape that is none */
        SAMPLE_HEAD "parameter a: \\x4\n",              /* a cut one */
        SAMPLE_HEAD "parameter a: 1 \n",                /* a space that nobody sees */
        SAMPLE_HEAD "parameter a: 1\r\n",
        SAMPLE_HEAD "parameter a: \xc3\xbc\n",
        SAMPLE_HEAD "kind: revoke-many\n",
        "touchmark act 1\nkind: k\nenvironment: e\n",
    };
    static struct ca_act_text text, zero;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (ca_act_text_parse(bytes_str(bad[i]), &text) != TM_EPARSE)
            fail_msg("%s is read", bad[i]);
        assert_memory_equal(&text, &zero, sizeof zero);
    }
    /* another form of the same time */
    char octets[sizeof SAMPLE_HEAD + 8] = SAMPLE_HEAD;
    char *at = strstr(octets, "2026-01-02T03:04:05Z");
    memmove(at + 15, at + 20, strlen(at + 20) + 1);
    memcpy(at, "20260102030405Z", 15);
    assert_int_equal(ca_act_text_parse(bytes_str(octets), &text), TM_EPARSE);
}

static void parameters_are_bounded(void **state) {
    (void)state;
    static struct ca_act_params params;
    char value[IPC_TEXT_MAX + 2] = "";
    memset(value, 'v', IPC_TEXT_MAX + 1);
    assert_int_equal(ca_act_param_add(&params, "long", value), TM_ELIMIT);
    assert_int_equal(ca_act_param_add(&params, "a b", "1"), TM_EINVAL);
    assert_int_equal(ca_act_param_add(&params, "a\nb", "1"), TM_EINVAL);
    assert_int_equal(ca_act_param_add(&params, "a:", "1"), TM_EINVAL);
    assert_int_equal(ca_act_param_add(&params, "", "1"), TM_EINVAL);
    for (unsigned i = 0; i < CA_ACT_PARAMETERS_MAX; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "p%u", i);
        assert_int_equal(ca_act_param_add(&params, name, "1"), TM_OK);
    }
    assert_int_equal(ca_act_param_add(&params, "p1", "2"), TM_EEXISTS);
    assert_string_equal(ca_act_param(&params, "p1"), "1");
    assert_null(ca_act_param(&params, "q"));
    assert_int_equal(ca_act_param_add(&params, "q", "1"), TM_ELIMIT);

    /* a text that would be too long is not begun */
    static struct ca_act_text text;
    sample(&text);
    value[IPC_TEXT_MAX] = '\0';
    memset(value, '\n', IPC_TEXT_MAX); /* four octets each */
    for (unsigned i = 0; i < 9; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "p%u", i);
        assert_int_equal(ca_act_param_add(&text.params, name, value), TM_OK);
    }
    uint8_t octets[2 * CA_ACT_TEXT_MAX];
    struct buf out = BUF_ON(octets);
    assert_int_equal(ca_act_text_print(&text, &out), TM_ELIMIT);
    assert_int_equal(out.n, 0);
}

/* ---- selections ---- */

static struct ca_selection selection_of(const char *name, const char *value) {
    static struct ca_act_params params;
    struct ca_selection selection;
    memset(&params, 0, sizeof params);
    assert_int_equal(ca_act_param_add(&params, "tenant", "acme"), TM_OK);
    assert_int_equal(ca_act_param_add(&params, name, value), TM_OK);
    ca_selection_of(&params, &selection);
    return selection;
}

static void a_selection_is_what_all_parameters_say(void **state) {
    (void)state;
    const struct ca_summary certificate = {.status = CA_CERT_ACTIVE,
                                           .tenant = "acme",
                                           .device = "d1",
                                           .profile = "ldevid",
                                           .issuer = "factory",
                                           .issued_ms = INT64_C(1767323045000)};
    const struct ca_device device = {.batch = "b", .job = "j", .station = "s", .site = "works"};
    static const struct {
        const char *name, *value;
        bool certificate, device;
    } cases[] = {
        {"device", "d1", true, true},
        {"device", "d", false, true},
        {"profile", "ldevid", true, true},
        {"profile", "idevid", false, true},
        {"issuer", "factory", true, true},
        {"issuer", "other", false, true},
        {"batch", "b", true, true},
        {"batch", "c", true, false},
        {"job", "j", true, true},
        {"job", "c", true, false},
        {"station", "s", true, true},
        {"station", "c", true, false},
        {"site", "works", true, true},
        {"site", "c", true, false},
        {"since", "2026-01-02T03:04:05Z", true, true},
        {"since", "2026-01-02T03:04:06Z", false, true},
        {"until", "2026-01-02T03:04:06Z", true, true},
        {"until", "2026-01-02T03:04:05Z", false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ca_selection selection = selection_of(cases[i].name, cases[i].value);
        char text[IPC_TEXT_MAX + 1];
        assert_int_equal(ca_selection_judge(&selection, text), TM_OK);
        if (ca_selection_takes(&selection, &certificate) != cases[i].certificate ||
            ca_selection_takes_device(&selection, &device) != cases[i].device)
            fail_msg("%s %s", cases[i].name, cases[i].value);
        struct ca_summary foreign = certificate;
        TEXT_SET(foreign.tenant, "globex");
        assert_false(ca_selection_takes(&selection, &foreign));
        foreign = certificate;
        foreign.status = CA_CERT_BURNED;
        assert_false(ca_selection_takes(&selection, &foreign));
    }
}

static void nothing_selects_all(void **state) {
    (void)state;
    struct ca_selection selection = {.tenant = "acme"};
    char text[IPC_TEXT_MAX + 1];
    assert_int_equal(ca_selection_judge(&selection, text), TM_EINVAL);
    assert_non_null(strstr(text, "nothing is selected"));
    selection.since_ms = selection.until_ms = 5;
    assert_int_equal(ca_selection_judge(&selection, text), TM_EINVAL);
    assert_non_null(strstr(text, "no time between"));
    selection.until_ms = 6;
    assert_int_equal(ca_selection_judge(&selection, text), TM_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_octets_are_fixed),
        cmocka_unit_test(no_value_forges_a_line),
        cmocka_unit_test(only_that_text_is_read),
        cmocka_unit_test(parameters_are_bounded),
        cmocka_unit_test(a_selection_is_what_all_parameters_say),
        cmocka_unit_test(nothing_selects_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
