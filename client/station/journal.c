/* SPDX-License-Identifier: Apache-2.0 */
/* See journal.h. */
#include "client/station/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/file.h"
#include "base/log.h"
#include "client/station/journal_line.h"

struct journal {
    int fd;
    bool failed;
    char sum[JOURNAL_SUM_MAX];
};

AUTO_DEFINE(FILE, fclose)

static enum tm_err failed(const char *path) {
    log_error("%s: %s", path, strerror(errno));
    return TM_EIO;
}

/* ---- reading ---- */

struct reading {
    FILE *in;
    const char *path;
    journal_fn *fn;
    void *arg;
    char *sum;          /* of the last good line */
    off_t good;         /* octets of all good lines */
    unsigned long line; /* from 1 */
};

/* TM_ENOTFOUND at the end. *ret_whole: it has its LF. */
static enum tm_err next_line(struct reading *r, char text[JOURNAL_LINE_MAX], size_t *ret_n,
                             bool *ret_whole) {
    size_t n = 0;
    int c = EOF;
    while (n < JOURNAL_LINE_MAX && (c = getc(r->in)) != EOF && c != '\n')
        text[n++] = (char)c;
    if (ferror(r->in))
        return failed(r->path);
    if (n == 0 && c == EOF)
        return TM_ENOTFOUND;
    *ret_n = n;
    *ret_whole = c == '\n';
    r->line++;
    return TM_OK;
}

static enum tm_err take_line(struct reading *r, struct bytes line) {
    uint8_t octets[JOURNAL_LINE_MAX];
    struct buf room = BUF_ON(octets);
    struct journal_record record;
    enum tm_err err = journal_line_read(line, r->sum, &room, &record);
    if (!err && (record.step == STEP_OPEN) != (r->line == 1))
        err = TM_ECORRUPT;
    return err ? err : r->fn(r->arg, &record);
}

/* One line at a time is written and not yet synced: a bad one that others follow was changed. */
static enum tm_err read_all(struct reading *r) {
    AUTO_MEM char *text = malloc(JOURNAL_LINE_MAX);
    size_t n = 0;
    bool whole = false, torn = false;
    if (!text)
        return TM_ENOMEM;
    for (;;) {
        enum tm_err err = next_line(r, text, &n, &whole);
        if (err)
            return err == TM_ENOTFOUND ? TM_OK : err;
        if (torn) {
            r->line--;
            return TM_ECORRUPT;
        }
        err = whole ? take_line(r, (struct bytes){(uint8_t *)text, n}) : TM_ECORRUPT;
        if (err == TM_ECORRUPT)
            torn = true;
        else if (err)
            return err;
        else
            r->good += (off_t)n + 1;
    }
}

static enum tm_err cut_tail(const struct reading *r, int fd) {
    struct stat st;
    if (fstat(fd, &st))
        return failed(r->path);
    if (st.st_size == r->good)
        return TM_OK;
    log_warn("%s: line %lu was not finished and is cut off", r->path, r->line);
    return ftruncate(fd, r->good) || fsync(fd) ? failed(r->path) : TM_OK;
}

static enum tm_err read_journal(struct journal *journal, const char *path, journal_fn *fn,
                                void *arg, off_t *ret_good, unsigned long *ret_line) {
    int copy = fcntl(journal->fd, F_DUPFD_CLOEXEC, 0);
    AUTO(FILE) in = copy < 0 ? NULL : fdopen(copy, "r");
    struct reading r = {in, path, fn, arg, journal->sum, 0, 0};
    if (!in) {
        enum tm_err err = failed(path);
        if (copy >= 0)
            (void)close(copy);
        return err;
    }
    enum tm_err err = read_all(&r);
    if (!err)
        err = cut_tail(&r, journal->fd);
    if (err)
        *ret_line = r.line;
    else
        *ret_good = r.good;
    return err;
}

/* ---- open and close ---- */

static enum tm_err open_file(const char *path, bool make, int *ret_fd) {
    AUTO_FD int fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC | (make ? O_CREAT : 0), 0600);
    if (fd < 0)
        return errno == ENOENT ? TM_ENOTFOUND : failed(path);
    if (flock(fd, LOCK_EX | LOCK_NB))
        return errno == EWOULDBLOCK ? TM_EAGAIN : failed(path);
    *ret_fd = TAKE_FD(fd);
    return make ? file_sync_folder(path) : TM_OK;
}

/* The first record says whose journal it is. */
static enum tm_err begin(struct journal *journal, const char *job, const char *station,
                         journal_fn *fn, void *arg) {
    struct journal_record record = {.step = STEP_OPEN, .mark = MARK_DONE};
    TEXT_SET(record.unit, job);
    TEXT_SET(record.text, station);
    record.time_ms = clock_wall_ms();
    enum tm_err err = journal_append(journal, &record);
    return err ? err : fn(arg, &record);
}

enum tm_err journal_open(const char *path, const char *job, const char *station, journal_fn *fn,
                         void *arg, struct journal **ret, unsigned long *ret_line) {
    struct journal *journal = calloc(1, sizeof *journal);
    off_t good = 0;
    if (!journal)
        return TM_ENOMEM;
    journal->fd = -1;
    enum tm_err err = open_file(path, job != NULL, &journal->fd);
    if (!err)
        err = read_journal(journal, path, fn, arg, &good, ret_line);
    if (!err && good == 0)
        err = job ? begin(journal, job, station, fn, arg) : TM_ENOTFOUND;
    if (err)
        journal_close(journal);
    else
        *ret = journal;
    return err;
}

void journal_close(struct journal *journal) {
    if (!journal)
        return;
    if (journal->fd >= 0)
        (void)close(journal->fd);
    free(journal);
}

/* ---- writing ---- */

/* Whether a record is there whose sync failed, nobody knows: so nothing goes behind it. */
enum tm_err journal_append(struct journal *journal, const struct journal_record *record) {
    static const char name[] = "journal";
    uint8_t octets[JOURNAL_LINE_MAX];
    struct buf line = BUF_ON(octets);
    char sum[JOURNAL_SUM_MAX];
    if (journal->failed)
        return TM_EIO;
    memcpy(sum, journal->sum, sizeof sum);
    enum tm_err err = journal_line_write(record, sum, &line);
    if (err)
        return err;
    crash_point("station.before");
    if (file_write(journal->fd, buf_bytes(&line)) || fdatasync(journal->fd)) {
        journal->failed = true;
        return failed(name);
    }
    crash_point("station.after");
    memcpy(journal->sum, sum, sizeof sum);
    return TM_OK;
}
