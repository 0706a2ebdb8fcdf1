/* SPDX-License-Identifier: Apache-2.0 */
/* See run.h. */
#include "client/station/run.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/station/api.h"
#include "client/station/steps.h"

bool run_is_stopped(const struct run *run) {
    struct pollfd fd = {.fd = run->stop_fd, .events = POLLIN};
    return poll(&fd, 1, 0) > 0;
}

/* ---- journal ---- */

enum outcome run_record(struct run *run, const struct journal_record *record, struct why *ret_why) {
    enum tm_err err = journal_append(run->journal, record);
    if (!err)
        err = history_take(run->history, record);
    return err ? because(OUTCOME_JOURNAL, ret_why, "the journal cannot be written: %s",
                         tm_err_name(err))
               : OUTCOME_DONE;
}

enum outcome run_open_journal(struct run *run, bool make, struct why *ret_why) {
    char path[PATH_MAX];
    unsigned long line = 0;
    int n = snprintf(path, sizeof path, "%s/%s.journal", run->conf->jobs, run->job->job);
    if (n < 0 || (size_t)n >= sizeof path || history_new(run->job, &run->history))
        return because(OUTCOME_JOURNAL, ret_why, "the journal's path is too long");
    enum tm_err err = journal_open(path, make ? run->job->job : NULL, run->conf->station,
                                   history_take, run->history, &run->journal, &line);
    switch (err) {
    case TM_OK:
        return OUTCOME_DONE;
    case TM_ENOTFOUND:
        return because(OUTCOME_JOURNAL, ret_why, "%s: there is no journal yet", path);
    case TM_EAGAIN:
        return because(OUTCOME_JOURNAL, ret_why, "%s: another process works on this job", path);
    case TM_ECONFLICT:
        return because(OUTCOME_JOURNAL, ret_why, "%s: this is another job's journal", path);
    case TM_ECORRUPT:
        return because(OUTCOME_JOURNAL, ret_why, "%s:%lu: this line was changed", path, line);
    default:
        return because(OUTCOME_JOURNAL, ret_why, "%s: %s", path, tm_err_name(err));
    }
}

void run_close(struct run *run) {
    dut_close(&run->dut);
    journal_close(run->journal);
    history_free(run->history);
    takt_free(&run->takt);
    station_server_close(run->server);
}

/* ---- units that are not good ---- */

static enum outcome record_bad(struct run *run, const char *id, enum journal_step step,
                               enum journal_mark mark, const char *text, struct why *why) {
    struct journal_record record = {.time_ms = clock_wall_ms(), .step = step, .mark = mark};
    TEXT_SET(record.unit, id);
    TEXT_SET(record.text, text);
    return run_record(run, &record, why);
}

enum outcome run_report_bad(struct run *run, const struct history_unit *unit, struct why *ret_why) {
    const struct api_report report = {.device = unit->id,
                                      .result = unit->result,
                                      .reason = unit->text,
                                      .locked = unit->locked,
                                      .seconds = unit->seconds};
    enum outcome outcome = api_report(run->server, run->job->job, &report, ret_why);
    if (outcome == OUTCOME_REFUSED)
        return OUTCOME_DONE;
    if (outcome != OUTCOME_DONE)
        return outcome;
    return record_bad(run, unit->id, STEP_REPORT,
                      unit->result == UNIT_FAILED ? MARK_FAILED : MARK_SCRAPPED, unit->text,
                      ret_why);
}

static enum outcome fail(struct run *run, const char *id, enum journal_step step,
                         const struct why *reason, struct why *why) {
    enum outcome outcome = record_bad(run, id, step, MARK_FAILED, reason->text, why);
    return outcome == OUTCOME_DONE ? run_report_bad(run, history_find(run->history, id), why)
                                   : outcome;
}

/* ---- one unit ---- */

static void say_passed(const struct run *run, const char *id, double seconds) {
    const struct history_unit *unit = history_find(run->history, id);
    (void)printf("%s passed in %.3f s:", id, seconds);
    for (size_t i = 0; i < STEP_COUNT; i++)
        if (unit->seconds[i] > 0)
            (void)printf(" %s %.3f", journal_step_words[i], unit->seconds[i]);
    (void)puts("");
}

static bool ends_the_run(enum outcome outcome) {
    return outcome >= OUTCOME_UNREACHABLE;
}

/* Failed is worse than wrong, and that worse than missing. */
static void count(struct run *run, enum outcome outcome) {
    static const int weights[] = {
        [OUTCOME_LINE] = 1, [OUTCOME_WRONG_UNIT] = 2, [OUTCOME_REFUSED] = 3, [OUTCOME_FAILED] = 3};
    bool failed = outcome == OUTCOME_FAILED || outcome == OUTCOME_REFUSED;
    run->passed += outcome == OUTCOME_DONE;
    run->failed += failed;
    run->left += outcome != OUTCOME_DONE && !failed;
    if (!ends_the_run(outcome) && weights[outcome] > weights[run->worst])
        run->worst = outcome;
}

static enum outcome work_on(struct run *run, const char *id, struct why *why) {
    enum journal_step step = STEP_PROBE;
    double start = takt_now();
    struct why reason = {""};
    enum outcome outcome = steps_run(run, id, &step, &reason);
    double seconds = takt_now() - start;
    count(run, outcome);
    *why = reason;
    TEXT_SET(run->dut.last, id);
    if (outcome == OUTCOME_DONE) {
        takt_add_unit(&run->takt, seconds);
        say_passed(run, id, seconds);
        return OUTCOME_DONE;
    }
    if (outcome != OUTCOME_FAILED && outcome != OUTCOME_REFUSED) {
        (void)printf("%s left at %s: %s\n", id, journal_step_words[step], reason.text);
        return ends_the_run(outcome) ? outcome : OUTCOME_DONE;
    }
    (void)printf("%s failed at %s: %s\n", id, journal_step_words[step], reason.text);
    return fail(run, id, step, &reason, why);
}

static bool is_id(const char *id) {
    size_t n = strnlen(id, WIRE_NAME_MAX + 1);
    for (size_t i = 0; i < n; i++)
        if (id[i] <= ' ' || id[i] > '~')
            return false;
    return n > 0 && n <= WIRE_NAME_MAX;
}

static enum outcome take_id(struct run *run, const char *id, struct why *why) {
    const struct history_unit *known = history_find(run->history, id);
    enum outcome outcome = OUTCOME_DONE;
    if (!is_id(id))
        (void)printf("\"%s\" is no ID\n", id);
    else if (known && known->result == UNIT_PASSED)
        (void)printf("%s passed already\n", id);
    else if (known && known->result == UNIT_SCRAPPED)
        (void)printf("%s is scrapped\n", id);
    else
        outcome = work_on(run, id, why);
    (void)fflush(stdout);
    return outcome;
}

/* ---- many units ---- */

/* What was begun and has no end; what failed, and the server does not know it. */
static enum outcome take_unfinished(struct run *run, struct why *why) {
    enum outcome outcome = OUTCOME_DONE;
    for (const struct history_unit *unit = history_first(run->history);
         unit && outcome == OUTCOME_DONE; unit = unit->next) {
        if (unit->result == UNIT_BEGUN) {
            (void)printf("%s was begun: put it on the station\n", unit->id);
            (void)fflush(stdout);
            outcome = take_id(run, unit->id, why);
        } else if (unit->result != UNIT_PASSED && !unit->reported) {
            outcome = run_report_bad(run, unit, why);
        }
    }
    return outcome;
}

/* TM_ENOTFOUND: no more; TM_ECLOSED: told to stop. */
static enum tm_err read_ids(const struct run *run, int fd, uint8_t *ret, size_t cap,
                            size_t *ret_n) {
    for (;;) {
        struct pollfd fds[2] = {{.fd = run->stop_fd, .events = POLLIN},
                                {.fd = fd, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return TM_EIO;
        if (fds[0].revents)
            return TM_ECLOSED;
        ssize_t n = fds[1].revents ? read(fd, ret, cap) : -1;
        if (n > 0)
            *ret_n = (size_t)n;
        if (n > 0 || (fds[1].revents && n == 0))
            return n > 0 ? TM_OK : TM_ENOTFOUND;
        if (fds[1].revents && errno != EINTR && errno != EAGAIN)
            return TM_EIO;
    }
}

static enum outcome take_line(struct run *run, struct bytes line, struct why *why) {
    char id[WIRE_NAME_MAX + 2];
    size_t n = line.n < sizeof id - 1 ? line.n : sizeof id - 1;
    memcpy(id, line.p, n);
    id[n] = '\0';
    return n > 0 ? take_id(run, id, why) : OUTCOME_DONE;
}

/* A last line without LF counts as well: an editor may have written the file. */
static enum outcome take_lines(struct run *run, int fd, struct why *why) {
    AUTO_MEM struct wire_lines *lines = calloc(1, sizeof *lines);
    enum outcome outcome = lines ? OUTCOME_DONE : OUTCOME_JOURNAL;
    uint8_t octets[4096];
    size_t n = 0;
    while (outcome == OUTCOME_DONE) {
        enum tm_err err = read_ids(run, fd, octets, sizeof octets, &n);
        if (err == TM_ECLOSED)
            return because(OUTCOME_INTERRUPTED, why, "interrupted");
        struct bytes in = {octets, n}, line;
        if (err) {
            in = bytes_str("\n");
            n = 0;
        }
        while (outcome == OUTCOME_DONE && wire_lines_take(lines, &in, &line))
            outcome = take_line(run, line, why);
        if (err)
            break;
    }
    return outcome;
}

enum outcome run_units(struct run *run, int ids_fd, bool resume, struct why *ret_why) {
    enum outcome outcome = resume ? take_unfinished(run, ret_why) : OUTCOME_DONE;
    if (outcome == OUTCOME_DONE)
        outcome = take_lines(run, ids_fd, ret_why);
    (void)printf("units of this run: %zu passed, %zu failed, %zu left\n", run->passed, run->failed,
                 run->left);
    takt_print(&run->takt, stdout);
    (void)fflush(stdout);
    return outcome == OUTCOME_DONE ? run->worst : outcome;
}
