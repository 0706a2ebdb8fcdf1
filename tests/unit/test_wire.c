/* SPDX-License-Identifier: Apache-2.0 */
/* The serial protocol of docs/stations.md: what is said comes over, and nothing else does. */
#include "pki_fixture.h"

#include <stdio.h>

#include "client/station/wire/wire.h"

static const uint8_t octets[] = {0, 1, 2, 0xfe, 0xff};

static struct bytes line_of(const struct buf *out) {
    assert_true(out->n > 1 && out->p[out->n - 1] == '\n');
    return (struct bytes){out->p, out->n - 1};
}

static void questions_come_over(void **state) {
    (void)state;
    for (unsigned op = 0; op < WIRE_OP_COUNT; op++) {
        const struct wire_question asked = {.id = WIRE_INTEGER_MAX,
                                            .op = op,
                                            .slot = "idevid",
                                            .key = WIRE_ED25519,
                                            .subject = "SN \"1\"",
                                            .certificate = BYTES_OF(octets),
                                            .chain_n = 2,
                                            .chain = {BYTES_OF(octets), {octets, 1}},
                                            .data = {octets, 2},
                                            .device = "SN-1"};
        uint8_t text[WIRE_LINE_MAX], der[WIRE_DER_MAX];
        struct buf out = BUF_ON(text), room = BUF_ON(der);
        struct wire_question heard;
        struct wire_fault fault;
        assert_int_equal(wire_question_write(&asked, &out), TM_OK);
        assert_int_equal(wire_question_read(line_of(&out), &room, &heard, &fault), TM_OK);
        assert_int_equal(heard.op, op);
        assert_int_equal(heard.id, WIRE_INTEGER_MAX);
        if (op == WIRE_KEYGEN)
            assert_int_equal(heard.key, WIRE_ED25519);
        if (op == WIRE_CSR)
            assert_string_equal(heard.subject, asked.subject);
        if (op == WIRE_ERASE || op == WIRE_LOCK || op == WIRE_INSTALL || op == WIRE_KEYGEN)
            assert_string_equal(heard.device, asked.device);
        if (op == WIRE_SIGN)
            assert_bytes_equal(heard.data, asked.data);
        if (op == WIRE_INSTALL) {
            assert_bytes_equal(heard.certificate, asked.certificate);
            assert_int_equal(heard.chain_n, 2);
            assert_bytes_equal(heard.chain[1], asked.chain[1]);
        }
    }
}

static void answers_come_over(void **state) {
    (void)state;
    const struct wire_answer said = {.id = 4,
                                     .ok = true,
                                     .protocol = 1,
                                     .device = "SN-1",
                                     .product = "gateway",
                                     .hardware = "B",
                                     .firmware = "1.0 \xc3\xa9",
                                     .state = WIRE_INSTALLED,
                                     .boot = 12,
                                     .passed = true,
                                     .tests_n = 1,
                                     .tests = {{"radio", true}}};
    uint8_t text[WIRE_LINE_MAX], der[WIRE_DER_MAX];
    char why[WIRE_TEXT_MAX + 1];
    struct wire_answer heard;
    struct buf out = BUF_ON(text), room = BUF_ON(der), test = BUF_ON(text);
    assert_int_equal(wire_answer_write(&said, WIRE_HELLO, &out), TM_OK);
    assert_int_equal(wire_answer_read(line_of(&out), 4, WIRE_HELLO, &room, &heard, why), TM_OK);
    assert_string_equal(heard.firmware, said.firmware);
    assert_int_equal(heard.state, WIRE_INSTALLED);
    assert_int_equal(heard.boot, 12);
    assert_int_equal(wire_answer_write(&said, WIRE_TEST, &test), TM_OK);
    assert_int_equal(wire_answer_read(line_of(&test), 4, WIRE_TEST, &room, &heard, why), TM_OK);
    assert_string_equal(heard.tests[0].name, "radio");
}

static enum tm_err answer(const char *line, enum wire_op op, char why[WIRE_TEXT_MAX + 1]) {
    uint8_t der[WIRE_DER_MAX];
    struct buf room = BUF_ON(der);
    struct wire_answer heard;
    enum tm_err err = wire_answer_read(bytes_str(line), 4, op, &room, &heard, why);
    if (err)
        assert_int_equal(room.n, 0);
    return err;
}

/* A unit may log in between, and an older answer may come late. */
static void what_is_no_answer_is_passed_over(void **state) {
    (void)state;
    char why[WIRE_TEXT_MAX + 1];
    static const char *const lines[] = {"",
                                        "U-Boot",
                                        "[4]",
                                        "{\"id\":4",
                                        "{\"id\":3,\"ok\":true}",
                                        "4",
                                        "{\"ok\":true}",
                                        "{\"id\":\"4\",\"ok\":true}"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_int_equal(answer(lines[i], WIRE_LOCK, why), TM_ENOTFOUND);
}

static void answers_are_what_the_table_says(void **state) {
    (void)state;
    char why[WIRE_TEXT_MAX + 1];
    assert_int_equal(answer("{\"id\":4,\"ok\":true}", WIRE_LOCK, why), TM_OK);
    assert_int_equal(answer("{\"id\":4,\"ok\":true,\"spki\":\"AAEC\"}", WIRE_KEYGEN, why), TM_OK);
    assert_int_equal(
        answer("{\"id\":4,\"ok\":false,\"error\":\"busy\",\"text\":\"\"}", WIRE_KEYGEN, why),
        TM_OK);
    static const struct {
        const char *line, *why;
    } wrong[] = {
        {"{\"id\":4,\"ok\":1}", "\"ok\""},
        {"{\"id\":4,\"ok\":true}", "\"spki\" is missing"},
        {"{\"id\":4,\"ok\":true,\"spki\":\"AAE\"}", "\"spki\" is not"},
        {"{\"id\":4,\"ok\":true,\"spki\":\"\"}", "\"spki\" is not"},
        {"{\"id\":4,\"ok\":true,\"spki\":\"AA EC\"}", "\"spki\" is not"},
        {"{\"id\":4,\"ok\":true,\"spki\":\"AAEC\",\"x\":1}", "does not have"},
        {"{\"id\":4,\"ok\":false,\"error\":\"tired\",\"text\":\"\"}", "\"error\" is not"},
        {"{\"id\":4,\"ok\":false,\"error\":\"busy\",\"text\":\"a\\u0007\"}", "\"text\" is not"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(answer(wrong[i].line, WIRE_KEYGEN, why), TM_EPARSE);
        assert_non_null(strstr(why, wrong[i].why));
    }
}

static void a_unit_says_what_it_does_not_understand(void **state) {
    (void)state;
    static const struct {
        const char *line;
        bool has_id;
        enum wire_error error;
    } wrong[] = {
        {"hello", false, WIRE_BAD_REQUEST},
        {"{\"op\":\"hello\"}", false, WIRE_BAD_REQUEST},
        {"{\"id\":4,\"op\":\"dance\"}", true, WIRE_UNKNOWN_OP},
        {"{\"id\":4,\"op\":\"hello\",\"more\":1}", true, WIRE_BAD_REQUEST},
        {"{\"id\":4,\"op\":\"read\",\"slot\":\"../key\"}", true, WIRE_BAD_REQUEST},
        {"{\"id\":4,\"op\":\"read\",\"slot\":\".key\"}", true, WIRE_BAD_REQUEST},
        {"{\"id\":4,\"op\":\"keygen\",\"device\":\"b\",\"slot\":\"a\",\"key\":\"p512\"}", true,
         WIRE_BAD_REQUEST},
        {"{\"id\":4,\"op\":\"install\",\"device\":\"b\",\"slot\":\"a\",\"certificate\":\"AAEC\","
         "\"chain\":[\"AAEC\",\"AAEC\",\"AAEC\",\"AAEC\",\"AAEC\"]}",
         true, WIRE_BAD_REQUEST},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        uint8_t der[WIRE_DER_MAX];
        struct buf room = BUF_ON(der);
        struct wire_question question;
        struct wire_fault fault;
        assert_int_equal(wire_question_read(bytes_str(wrong[i].line), &room, &question, &fault),
                         TM_EPARSE);
        assert_int_equal(fault.has_id, wrong[i].has_id);
        assert_int_equal(fault.error, wrong[i].error);
        assert_true(fault.text[0] != '\0');
    }
}

/* However they are cut: one line too long, and the ones before and behind it. */
static void lines_come_in_any_pieces(void **state) {
    (void)state;
    static uint8_t text[3 * WIRE_LINE_MAX];
    size_t n = 0;
    n += (size_t)sprintf((char *)text, "one\r\n\n");
    memset(text + n, 'x', WIRE_LINE_MAX);
    n += WIRE_LINE_MAX;
    text[n++] = '\n';
    memset(text + n, 'y', WIRE_LINE_MAX - 1);
    n += WIRE_LINE_MAX - 1;
    text[n++] = '\n';
    for (size_t piece = 1; piece < 400; piece += 3) {
        static struct wire_lines lines;
        struct bytes line;
        size_t count = 0;
        memset(&lines, 0, sizeof lines);
        for (size_t at = 0; at < n; at += piece) {
            struct bytes in = {text + at, n - at < piece ? n - at : piece};
            while (wire_lines_take(&lines, &in, &line)) {
                static const size_t sizes[] = {3, 0, WIRE_LINE_MAX - 1};
                assert_true(count < 3);
                assert_int_equal(line.n, sizes[count]);
                count++;
            }
        }
        assert_int_equal(count, 3);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_come_over),
        cmocka_unit_test(answers_come_over),
        cmocka_unit_test(what_is_no_answer_is_passed_over),
        cmocka_unit_test(answers_are_what_the_table_says),
        cmocka_unit_test(a_unit_says_what_it_does_not_understand),
        cmocka_unit_test(lines_come_in_any_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
