/* SPDX-License-Identifier: Apache-2.0 */
/* What is counted becomes messages, and these become text that says each metric once. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/metrics/answer.h"
#include "server/metrics/text.h"

/* What was sent, encoded and decoded as on a link. */
struct sent {
    size_t messages, count, reasons;
    bool ended;
    struct ipc_sample samples[METRICS_MESSAGES_MAX * IPC_SAMPLES_MAX];
};

static void keep(void *arg, const struct ipc_metrics_answer *message) {
    static uint8_t room[IPC_MESSAGE_MAX];
    static struct ipc_metrics_answer read;
    struct buf out = BUF_ON(room);
    struct sent *sent = arg;
    assert_false(sent->ended);
    assert_int_equal(codec_encode(&ipc_metrics_answer_schema, message, &out), TM_OK);
    assert_int_equal(codec_decode(&ipc_metrics_answer_schema, buf_bytes(&out), &read), TM_OK);
    assert_int_equal(read.id, 7);
    assert_true(sent->count + read.sample_count <= sizeof sent->samples / sizeof sent->samples[0]);
    memcpy(sent->samples + sent->count, read.samples, read.sample_count * sizeof *read.samples);
    sent->messages++;
    sent->count += read.sample_count;
    sent->reasons += read.reason_count;
    sent->ended = !read.more;
}

static struct metrics_answer *begin(struct sent *sent) {
    static struct metrics_answer answer;
    memset(sent, 0, sizeof *sent);
    memset(&answer, 0, sizeof answer);
    answer.send = keep;
    answer.arg = sent;
    answer.message.id = 7;
    return &answer;
}

static void write_text(const struct metrics_said *said, size_t count, char **ret_text) {
    size_t n = 0;
    FILE *out = open_memstream(ret_text, &n);
    assert_non_null(out);
    metrics_text(said, count, out);
    assert_int_equal(fclose(out), 0);
}

static void test_table(void **state) {
    (void)state;
    assert_null(metric_row(0));
    assert_null(metric_row(METRIC_LAST + 1));
    for (unsigned i = 1; i <= METRIC_LAST; i++) {
        const struct metric_row *row = metric_row(i);
        size_t n = strlen(row->name);
        assert_int_equal(row->metric, i);
        assert_int_equal(strncmp(row->name, "touchmark_", 10), 0);
        assert_int_equal(strspn(row->name, "abcdefghijklmnopqrstuvwxyz_"), n);
        assert_int_equal(row->type == METRIC_COUNTER, strcmp(row->name + n - 6, "_total") == 0);
        assert_null(strpbrk(row->help, "\\\n"));
        for (unsigned j = 1; j < i; j++)
            assert_string_not_equal(metric_row(j)->name, row->name);
    }
}

static void test_text(void **state) {
    (void)state;
    static struct sent core, front;
    static const double bounds[] = {0.005, 1};
    static const uint64_t counts[] = {2, 0, 3};
    struct metrics_answer *a = begin(&core);
    metrics_add(a, METRIC_ENROLLMENTS, 12, "simpleenroll", "a\"b\\c", "issued");
    metrics_add(a, METRIC_ENROLLMENTS, 1e15, "cacerts", NULL, "bad-path");
    metrics_add_histogram(a, METRIC_ISSUANCE, bounds, 2, counts, 4.25);
    metrics_add_summary(a, METRIC_TOKEN_SIGNATURE, 3, 0.5, "signer");
    metrics_add(a, METRIC_STORE_FREE, INFINITY, NULL, NULL, NULL);
    metrics_end(a);
    a = begin(&front);
    metrics_add(a, METRIC_FRONT_CONNECTIONS, 3, NULL, NULL, NULL);
    metrics_add(a, METRIC_AUDIT_LEAVES, 99, NULL, NULL, NULL); /* not its business */
    metrics_add(a, METRIC_UP, 1, NULL, NULL, NULL);            /* nor that */
    metrics_end(a);
    front.samples[front.count++] = (struct ipc_sample){.metric = 60000, .part = IPC_SAMPLE_VALUE};
    front.samples[front.count++] =
        (struct ipc_sample){.metric = METRIC_FRONT_CONNECTIONS, .part = IPC_SAMPLE_BUCKET};
    const struct metrics_said said[] = {
        {IPC_ROLE_CORE, "core", core.samples, core.count},
        {IPC_ROLE_FRONT, "front-0", front.samples, front.count},
        {IPC_ROLE_FRONT, "front-1", front.samples, 1},
    };
    static const char *const parts[] = {
        "# TYPE touchmark_enrollments_total counter\n"
        "touchmark_enrollments_total{operation=\"simpleenroll\",profile=\"a\\\"b\\\\c\","
        "outcome=\"issued\"} 12\n"
        "touchmark_enrollments_total{operation=\"cacerts\",outcome=\"bad-path\"} 1e+15\n",
        "# TYPE touchmark_issuance_seconds histogram\n"
        "touchmark_issuance_seconds_bucket{le=\"0.005\"} 2\n"
        "touchmark_issuance_seconds_bucket{le=\"1\"} 2\n"
        "touchmark_issuance_seconds_bucket{le=\"+Inf\"} 5\n"
        "touchmark_issuance_seconds_sum 4.25\n"
        "touchmark_issuance_seconds_count 5\n",
        "# TYPE touchmark_token_signature_seconds summary\n"
        "touchmark_token_signature_seconds_sum{token=\"signer\"} 0.5\n"
        "touchmark_token_signature_seconds_count{token=\"signer\"} 3\n",
        "touchmark_store_free_bytes +Inf\n",
        "# TYPE touchmark_front_connections gauge\n"
        "touchmark_front_connections{process=\"front-0\"} 3\n"
        "touchmark_front_connections{process=\"front-1\"} 3\n",
        "touchmark_samples_dropped{process=\"front-0\"} 0\n",
    };
    char *text = NULL;
    write_text(said, 3, &text);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        assert_non_null(strstr(text, parts[i]));
    assert_null(strstr(text, "touchmark_audit_leaves"));
    assert_null(strstr(text, "touchmark_up"));
    const char *help = strstr(text, "# HELP touchmark_front_connections ");
    assert_non_null(help);
    assert_null(strstr(help + 1, "# HELP touchmark_front_connections "));
    free(text);
}

static void test_more_than_one_message(void **state) {
    (void)state;
    static struct sent sent;
    struct metrics_answer *a = begin(&sent);
    metrics_reason(a, "the %s is full", "store");
    for (size_t i = 0; i < 2 * IPC_SAMPLES_MAX; i++)
        metrics_add(a, METRIC_REQUESTS, (double)i, NULL, NULL, NULL);
    metrics_end(a);
    assert_true(sent.ended);
    assert_int_equal(sent.messages, 3);
    assert_int_equal(sent.reasons, 1);
    assert_int_equal(sent.count, 2 * IPC_SAMPLES_MAX + 1);
}

/* Whatever there is, what leaves is bounded, and says how much was left out. */
static void test_too_much(void **state) {
    (void)state;
    static struct sent sent;
    struct metrics_answer *a = begin(&sent);
    const size_t most = METRICS_MESSAGES_MAX * IPC_SAMPLES_MAX - 1;
    for (size_t i = 0; i < most + 5; i++)
        metrics_add(a, METRIC_REQUESTS, (double)i, NULL, NULL, NULL);
    for (size_t i = 0; i < 2 * IPC_REASONS_MAX; i++)
        metrics_reason(a, "reason");
    metrics_end(a);
    double dropped;
    assert_true(sent.ended);
    assert_int_equal(sent.messages, METRICS_MESSAGES_MAX);
    assert_int_equal(sent.count, most + 1);
    assert_int_equal(sent.reasons, IPC_REASONS_MAX);
    assert_int_equal(sent.samples[most].metric, METRIC_DROPPED);
    memcpy(&dropped, &sent.samples[most].bits, sizeof dropped);
    assert_true(dropped == 5);
}

/* Names can be as long as all names; what is sent fits a message even so. */
static void test_long_names(void **state) {
    (void)state;
    static struct sent sent;
    char name[2 * IPC_NAME_MAX];
    struct metrics_answer *a = begin(&sent);
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    for (size_t i = 0; i < IPC_SAMPLES_MAX - 1; i++)
        metrics_add(a, METRIC_ENROLLMENTS, 1, name, name, name);
    for (size_t i = 0; i < IPC_REASONS_MAX; i++)
        metrics_reason(a, "%300s", name);
    metrics_end(a);
    assert_int_equal(sent.messages, 1);
    assert_int_equal(sent.count, IPC_SAMPLES_MAX);
    assert_int_equal(strlen(sent.samples[0].second), IPC_NAME_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_more_than_one_message),
        cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_long_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
