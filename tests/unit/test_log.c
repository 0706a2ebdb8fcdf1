/* SPDX-License-Identifier: Apache-2.0 */
/* A log line is one JSON object whatever is logged, and one write. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/log.h"

/* Standard error is this pipe while a line is logged. O_DIRECT: one read gives one write. */
static ssize_t logged_line(enum log_level level, uint64_t request, const char *text,
                           char line[2 * LOG_LINE_MAX]) {
    int ends[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_DIRECT | O_NONBLOCK), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    errno = EXDEV;
    log_line(level, request, "%s", text);
    int errno_after = errno;
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    assert_int_equal(errno_after, EXDEV);
    ssize_t n = read(ends[0], line, 2 * LOG_LINE_MAX);
    (void)close(ends[0]);
    (void)close(ends[1]);
    (void)close(saved);
    if (n < 0)
        return n;
    assert_in_range(n, 1, LOG_LINE_MAX);
    assert_int_equal(line[n - 1], '\n');
    assert_null(memchr(line, '\n', (size_t)n - 1));
    return n;
}

static json_t *logged(enum log_level level, uint64_t request, const char *text) {
    static char line[2 * LOG_LINE_MAX];
    ssize_t n = logged_line(level, request, text, line);
    if (n < 0)
        return NULL;
    json_t *object = json_loadb(line, (size_t)n, 0, NULL);
    assert_non_null(object);
    return object;
}

static const char *member(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static void test_members(void **state) {
    (void)state;
    log_open("front-0", LOG_LEVEL_INFO);
    json_t *object = logged(LOG_LEVEL_WARN, 0xabc, "hello");
    assert_string_equal(member(object, "level"), "warn");
    assert_string_equal(member(object, "role"), "front-0");
    assert_string_equal(member(object, "req"), "0000000000000abc");
    assert_string_equal(member(object, "msg"), "hello");
    assert_int_equal(strlen(member(object, "t")), 24);
    assert_int_equal(json_integer_value(json_object_get(object, "pid")), getpid());
    json_decref(object);

    object = logged(LOG_LEVEL_ERROR, 0, "hello");
    assert_null(json_object_get(object, "req"));
    json_decref(object);
}

static void test_level(void **state) {
    (void)state;
    log_open("core", LOG_LEVEL_WARN);
    assert_null(logged(LOG_LEVEL_INFO, 0, "not written"));
    json_t *object = logged(LOG_LEVEL_WARN, 0, "written");
    assert_non_null(object);
    json_decref(object);
}

static void test_hostile_text(void **state) {
    (void)state;
    json_t *object = logged(LOG_LEVEL_ERROR, 0, "a\"b\\c\nd\x01\x7f\xc3\xa9\xff\xc3|\xed\xa0\x80");
    assert_string_equal(member(object, "msg"), "a\"b\\c\nd\x01\x7f\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd|"
                                               "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    json_decref(object);
}

static void test_long_text_is_cut(void **state) {
    (void)state;
    static char text[4 * LOG_LINE_MAX];
    memset(text, 'x', sizeof text - 1);
    json_t *object = logged(LOG_LEVEL_ERROR, 0, text);
    assert_in_range(strlen(member(object, "msg")), LOG_LINE_MAX - 200, LOG_LINE_MAX);
    json_decref(object);
    for (size_t i = 0; i + 1 < sizeof text; i++)
        text[i] = i % 2 ? '\xa9' : '\xc3';
    json_decref(logged(LOG_LEVEL_ERROR, 0, text));
    memset(text, '\n', sizeof text - 1);
    json_decref(logged(LOG_LEVEL_ERROR, 0, text));
}

/* The line without its time and process. */
static const char *text_line(enum log_level level, uint64_t request, const char *text) {
    static char line[2 * LOG_LINE_MAX], wanted[64];
    ssize_t n = logged_line(level, request, text, line);
    assert_in_range(n, 1, LOG_LINE_MAX);
    line[n - 1] = '\0';
    (void)snprintf(wanted, sizeof wanted, "core[%ld]", (long)getpid());
    char *at = strstr(line, wanted);
    assert_non_null(at);
    return at + strlen(wanted);
}

static void test_text(void **state) {
    (void)state;
    static char line[2 * LOG_LINE_MAX];
    assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
    log_open("core", LOG_LEVEL_INFO);
    log_use(LOG_FORMAT_TEXT);
    assert_string_equal(text_line(LOG_LEVEL_WARN, 0xabc, "hello"), " 0000000000000abc: hello");
    assert_string_equal(text_line(LOG_LEVEL_WARN, 0, "say \"a\\b\"\n<3>forged"),
                        ": say \"a\\\\b\"\\u000a<3>forged");
    assert_true(logged_line(LOG_LEVEL_WARN, 0, "hello", line) > 0);
    assert_memory_equal(line + 24, " warn core[", 11);
    assert_int_equal(setenv("JOURNAL_STREAM", "1:2", 1), 0);
    log_use(LOG_FORMAT_TEXT);
    assert_true(logged_line(LOG_LEVEL_ERROR, 0, "hello", line) > 0);
    assert_memory_equal(line, "<3>2", 4);
    log_use(LOG_FORMAT_JSON);
    json_decref(logged(LOG_LEVEL_ERROR, 0, "hello"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),      cmocka_unit_test(test_level),
        cmocka_unit_test(test_hostile_text), cmocka_unit_test(test_long_text_is_cut),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
