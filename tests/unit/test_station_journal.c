/* SPDX-License-Identifier: Apache-2.0 */
/* A job's journal through power cuts and hands that change it, and what is known of units by it. */
#include "pki_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "client/station/history.h"
#include "client/station/journal_line.h"

#define FILE_MAX 8192
#define RECORDS 5

struct folder {
    char path[64], journal[80];
};

static int make_folder(void **state) {
    struct folder *f = calloc(1, sizeof *f);
    TEXT_SET(f->path, "/tmp/touchmark-journal-XXXXXX");
    if (!mkdtemp(f->path))
        return -1;
    (void)snprintf(f->journal, sizeof f->journal, "%s/J.journal", f->path);
    log_open("test", LOG_LEVEL_ERROR);
    *state = f;
    return 0;
}

static int remove_folder(void **state) {
    struct folder *f = *state;
    (void)unlink(f->journal);
    (void)rmdir(f->path);
    free(f);
    return 0;
}

static enum tm_err count(void *arg, const struct journal_record *record) {
    assert_in_range(record->step, 0, STEP_COUNT - 1);
    (*(size_t *)arg)++;
    return TM_OK;
}

static enum tm_err open_counted(const struct folder *f, const char *job, size_t *ret_n,
                                struct journal **ret, unsigned long *ret_line) {
    *ret_n = 0;
    return journal_open(f->journal, job, "STATION-1", count, ret_n, ret, ret_line);
}

static struct journal_record record_of(unsigned n) {
    static const uint8_t certificate[] = {0x30, 3, 2, 1, 5};
    struct journal_record record = {.time_ms = 1000 + n,
                                    .step = STEP_ENROLL,
                                    .mark = MARK_DONE,
                                    .certificate = BYTES_OF(certificate),
                                    .seconds = 0.25};
    (void)snprintf(record.unit, sizeof record.unit, "SN-%u", n);
    TEXT_SET(record.label, "one");
    TEXT_SET(record.text, "\"quoted\" \xc3\xa9");
    return record;
}

/* The opening record and four more. */
static void write_some(const struct folder *f) {
    struct journal *journal;
    unsigned long line;
    size_t n;
    assert_int_equal(open_counted(f, "J", &n, &journal, &line), TM_OK);
    for (unsigned i = 1; i < RECORDS; i++) {
        struct journal_record record = record_of(i);
        assert_int_equal(journal_append(journal, &record), TM_OK);
    }
    journal_close(journal);
}

static size_t load(const struct folder *f, char text[FILE_MAX]) {
    FILE *in = fopen(f->journal, "r");
    assert_non_null(in);
    size_t n = fread(text, 1, FILE_MAX, in);
    (void)fclose(in);
    assert_in_range(n, 1, FILE_MAX - 1);
    return n;
}

static void store(const struct folder *f, const char *text, size_t n) {
    FILE *out = fopen(f->journal, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, n, out), n);
    (void)fclose(out);
}

static void what_was_recorded_is_there(void **state) {
    struct journal *journal;
    unsigned long line;
    size_t n;
    write_some(*state);
    assert_int_equal(open_counted(*state, NULL, &n, &journal, &line), TM_OK);
    assert_int_equal(n, RECORDS);
    struct journal *second;
    size_t m;
    assert_int_equal(open_counted(*state, NULL, &m, &second, &line), TM_EAGAIN);
    journal_close(journal);
}

static void one_that_is_not_there_is_not_made(void **state) {
    struct journal *journal;
    unsigned long line;
    size_t n;
    assert_int_equal(open_counted(*state, NULL, &n, &journal, &line), TM_ENOTFOUND);
    assert_int_equal(access(((struct folder *)*state)->journal, F_OK), -1);
}

static size_t lines_in(const char *text, size_t n) {
    size_t lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    return lines;
}

/* Cut after every octet: what was whole is there, nothing else, and it goes on. */
static void cut_after_every_octet(void **state) {
    const struct folder *f = *state;
    static char text[FILE_MAX];
    write_some(f);
    size_t size = load(f, text);
    for (size_t cut = 0; cut <= size; cut++) {
        struct journal *journal;
        unsigned long line;
        size_t n, whole = lines_in(text, cut);
        store(f, text, cut);
        assert_int_equal(open_counted(f, "J", &n, &journal, &line), TM_OK);
        assert_int_equal(n, whole ? whole : 1);
        struct journal_record record = record_of(9);
        assert_int_equal(journal_append(journal, &record), TM_OK);
        journal_close(journal);
        assert_int_equal(open_counted(f, NULL, &n, &journal, &line), TM_OK);
        assert_int_equal(n, (whole ? whole : 1) + 1);
        journal_close(journal);
    }
}

/* A file system may have given the room before the octets. */
static void a_tail_of_zeros_is_a_torn_one(void **state) {
    const struct folder *f = *state;
    static char text[FILE_MAX];
    struct journal *journal;
    unsigned long line;
    size_t n;
    write_some(f);
    size_t size = load(f, text);
    memset(text + size, 0, 100);
    store(f, text, size + 100);
    assert_int_equal(open_counted(f, NULL, &n, &journal, &line), TM_OK);
    assert_int_equal(n, RECORDS);
    journal_close(journal);
}

/* In all lines but the last one and the LF before it: there a power cut may have done it as well.
 */
static void any_octet_that_was_changed_is_found(void **state) {
    const struct folder *f = *state;
    static char text[FILE_MAX];
    write_some(f);
    size_t size = load(f, text), last = size - 1;
    while (text[last - 1] != '\n')
        last--;
    for (size_t i = 0; i < last - 1; i++) {
        struct journal *journal;
        unsigned long line = 0;
        size_t n;
        text[i] ^= 4;
        store(f, text, size);
        assert_int_equal(open_counted(f, NULL, &n, &journal, &line), TM_ECORRUPT);
        assert_in_range(line, 1, RECORDS);
        text[i] ^= 4;
    }
}

static const char *line_at(const char *text, size_t number) {
    while (number-- > 0)
        text = strchr(text, '\n') + 1;
    return text;
}

static void lines_that_were_taken_out_or_moved_are_found(void **state) {
    const struct folder *f = *state;
    static char text[FILE_MAX], changed[FILE_MAX];
    struct journal *journal;
    unsigned long line;
    size_t n;
    write_some(f);
    size_t size = load(f, text);
    text[size] = '\0';
    const char *second = line_at(text, 2), *third = line_at(text, 3), *fourth = line_at(text, 4);
    (void)snprintf(changed, sizeof changed, "%.*s%s", (int)(second - text), text, third);
    store(f, changed, strlen(changed));
    assert_int_equal(open_counted(f, NULL, &n, &journal, &line), TM_ECORRUPT);
    (void)snprintf(changed, sizeof changed, "%.*s%.*s%.*s%s", (int)(second - text), text,
                   (int)(fourth - third), third, (int)(third - second), second, fourth);
    store(f, changed, strlen(changed));
    assert_int_equal(open_counted(f, NULL, &n, &journal, &line), TM_ECORRUPT);
}

/* ---- what is known of units ---- */

static struct manifest_label labels[] = {{"one", "idevid", WIRE_P256},
                                         {"two", "ldevid", WIRE_P384}};
static const struct manifest manifest = {.job = (char *)"J", .labels = {labels, 2}};

static void take(struct history *history, enum journal_step step, enum journal_mark mark,
                 const char *label, const char *spki) {
    struct journal_record record = record_of(1);
    record.step = step;
    record.mark = mark;
    TEXT_SET(record.label, label);
    TEXT_SET(record.spki, spki);
    assert_int_equal(history_take(history, &record), TM_OK);
}

static void a_unit_is_what_its_records_say(void **state) {
    (void)state;
    struct history *history;
    assert_int_equal(history_new(&manifest, &history), TM_OK);
    take(history, STEP_PROBE, MARK_BEGIN, "", "");
    take(history, STEP_KEYGEN, MARK_DONE, "one", "aa");
    const struct history_unit *unit = history_find(history, "SN-1");
    assert_non_null(unit);
    assert_false(unit->slots[0].asked);
    take(history, STEP_ENROLL, MARK_BEGIN, "one", "aa");
    assert_true(unit->slots[0].asked);
    assert_null(unit->slots[0].certificate);
    take(history, STEP_ENROLL, MARK_DONE, "one", "aa");
    assert_int_equal(unit->slots[0].certificate_n, 5);
    assert_null(unit->slots[1].certificate);
    take(history, STEP_READ, MARK_DONE, "one", "");
    take(history, STEP_VERIFY, MARK_DONE, "one", "");
    assert_true(unit->slots[0].read_back && unit->slots[0].verified && !unit->slots[1].verified);
    take(history, STEP_REPORT, MARK_DONE, "", "");
    assert_int_equal(history_count(history, UNIT_PASSED), 1);
    assert_int_equal(history_count(history, UNIT_BEGUN), 0);
    assert_true(unit->reported);
    history_free(history);
}

static void rework_forgets_keys_and_a_failure_does_not(void **state) {
    (void)state;
    struct history *history;
    assert_int_equal(history_new(&manifest, &history), TM_OK);
    take(history, STEP_KEYGEN, MARK_DONE, "two", "aa");
    take(history, STEP_ENROLL, MARK_DONE, "two", "aa");
    take(history, STEP_TEST, MARK_FAILED, "", "");
    const struct history_unit *unit = history_first(history);
    assert_int_equal(unit->result, UNIT_FAILED);
    assert_false(unit->reported);
    take(history, STEP_REPORT, MARK_FAILED, "", "");
    assert_true(unit->reported);
    assert_non_null(unit->slots[1].certificate);
    take(history, STEP_REWORK, MARK_BEGIN, "", "");
    assert_non_null(unit->slots[1].certificate);
    take(history, STEP_REWORK, MARK_DONE, "", "");
    assert_null(unit->slots[1].certificate);
    assert_false(unit->slots[1].asked);
    assert_int_equal(unit->result, UNIT_BEGUN);
    history_free(history);
}

static void another_jobs_journal_is_refused(void **state) {
    (void)state;
    struct history *history;
    struct journal_record record = {.step = STEP_OPEN, .mark = MARK_DONE, .unit = "K"};
    assert_int_equal(history_new(&manifest, &history), TM_OK);
    assert_int_equal(history_take(history, &record), TM_ECONFLICT);
    history_free(history);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_recorded_is_there, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(one_that_is_not_there_is_not_made, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(cut_after_every_octet, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_tail_of_zeros_is_a_torn_one, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(any_octet_that_was_changed_is_found, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(lines_that_were_taken_out_or_moved_are_found, make_folder,
                                        remove_folder),
        cmocka_unit_test(a_unit_is_what_its_records_say),
        cmocka_unit_test(rework_forgets_keys_and_a_failure_does_not),
        cmocka_unit_test(another_jobs_journal_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
