/* SPDX-License-Identifier: Apache-2.0 */
/* Writing and reading back a ceremony's transcript; one table of keys serves both. */
#include "ca/ceremony_transcript.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/file.h"

#define ENTRY_MAX 8192
#define ENTRIES_MAX 4096

static const char header[] =
    "# Transcript of a Touchmark key ceremony. Each entry was on disk before the next step.\n"
    "transcript:\n\n";

static const char *const step_words[] = {
    [CA_STEP_BEGAN] = "ceremony began",
    [CA_STEP_RESUMED] = "ceremony resumed",
    [CA_STEP_TOKEN_INIT] = "initialising token",
    [CA_STEP_TOKEN_READY] = "token initialised",
    [CA_STEP_TOKEN_OPEN] = "token opened",
    [CA_STEP_KEY_MAKING] = "generating key",
    [CA_STEP_KEY_REMOVING] = "removing unfinished key",
    [CA_STEP_KEY] = "key generated",
    [CA_STEP_SIGNING] = "signing certificate",
    [CA_STEP_CERTIFICATE] = "certificate written",
    [CA_STEP_FINISHED] = "ceremony finished",
    NULL,
};

#define TEXT(member)                                                                               \
    {                                                                                              \
        .key = #member, .type = CONF_STRING,                                                       \
        .offset = offsetof(struct ca_transcript_entry, member), .preset = "", .max = 4096          \
    }

static const struct conf_row entry_rows[] = {
    {.key = "step",
     .type = CONF_ENUM,
     .offset = offsetof(struct ca_transcript_entry, step),
     .words = step_words},
    TEXT(time),
    TEXT(host),
    TEXT(user),
    TEXT(program),
    TEXT(input),
    TEXT(input_sha256),
    TEXT(environment),
    TEXT(token),
    TEXT(token_label),
    TEXT(module),
    TEXT(library),
    TEXT(manufacturer),
    TEXT(model),
    TEXT(serial),
    TEXT(ca),
    TEXT(scope),
    TEXT(purpose),
    TEXT(key_label),
    TEXT(key_type),
    TEXT(attributes),
    TEXT(spki_sha256),
    TEXT(subject),
    TEXT(issuer),
    TEXT(serial_number),
    TEXT(not_before),
    TEXT(not_after),
    TEXT(file),
    TEXT(sha256),
    TEXT(note),
    {.key = NULL},
};

struct document {
    struct conf_list entries;
};
static const struct conf_row document_rows[] = {
    {.key = "transcript",
     .type = CONF_LIST,
     .offset = offsetof(struct document, entries),
     .max = ENTRIES_MAX,
     .rows = entry_rows,
     .elem_size = sizeof(struct ca_transcript_entry)},
    {.key = NULL},
};

struct ca_transcript {
    char *path;
    int fd; /* -1: there is no file yet */
    struct document read;
};
typedef struct ca_transcript ca_transcript;
AUTO_DEFINE(ca_transcript, ca_transcript_close)

__attribute__((format(printf, 4, 5))) static enum tm_err fault(const ca_transcript *t,
                                                               enum tm_err err,
                                                               char error[CONF_ERROR_MAX],
                                                               const char *format, ...) {
    char sentence[CONF_ERROR_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    (void)snprintf(error, CONF_ERROR_MAX, "transcript %.150s: %.300s", t->path, sentence);
    return err;
}

/* ---- reading ---- */

/* Entries end with an empty line: what stands behind the last one is torn. */
static size_t whole_entries(const char *text, size_t n) {
    while (n >= 2 && !(text[n - 1] == '\n' && text[n - 2] == '\n'))
        n--;
    return n < 2 ? 0 : n;
}

/* What is whole of it: *ret_whole octets of *ret_n. */
static enum tm_err load_entries(ca_transcript *t, size_t *ret_whole, size_t *ret_n,
                                char error[CONF_ERROR_MAX]) {
    AUTO_MEM char *text = NULL;
    size_t n;
    enum tm_err err = conf_read_file(t->path, &text, &n, error);
    if (err)
        return err;
    size_t whole = whole_entries(text, n);
    if (n >= sizeof header - 1 ? memcmp(text, header, sizeof header - 1) != 0
                               : memcmp(text, header, n) != 0)
        return fault(t, TM_EPARSE, error, "the file exists and is no transcript");
    if (whole > sizeof header - 1)
        err = conf_load_text(text, whole, t->path, document_rows, &t->read, sizeof t->read, error);
    else
        whole = 0; /* not even the first entry got there: begin anew */
    *ret_whole = whole;
    *ret_n = n;
    return err;
}

static enum tm_err read_entries(ca_transcript *t, char error[CONF_ERROR_MAX]) {
    size_t whole, n;
    enum tm_err err = load_entries(t, &whole, &n, error);
    if (!err && whole < n && (ftruncate(t->fd, (off_t)whole) < 0 || fsync(t->fd) < 0))
        err = fault(t, TM_EIO, error, "%s", strerror(errno));
    return err;
}

enum tm_err ca_transcript_read(const char *path, struct conf_list *ret_entries,
                               char error[CONF_ERROR_MAX]) {
    ca_transcript t = {.path = (char *)(uintptr_t)path, .fd = -1};
    size_t whole, n;
    enum tm_err err = load_entries(&t, &whole, &n, error);
    if (!err)
        *ret_entries = t.read.entries;
    return err;
}

void ca_transcript_free_entries(struct conf_list *entries) {
    struct document document = {*entries};
    conf_free(document_rows, &document, sizeof document);
    *entries = (struct conf_list){0};
}

const char *ca_transcript_step_name(enum ca_step step) {
    return step_words[step];
}

enum tm_err ca_transcript_open(const char *path, ca_transcript **ret_transcript,
                               char error[CONF_ERROR_MAX]) {
    AUTO(ca_transcript) t = calloc(1, sizeof *t);
    if (t) {
        t->fd = -1;
        t->path = strdup(path);
    }
    if (!t || !t->path) {
        (void)snprintf(error, CONF_ERROR_MAX, "out of memory");
        return TM_ENOMEM;
    }
    enum tm_err err = TM_OK;
    t->fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (t->fd < 0 && errno != ENOENT)
        return fault(t, TM_EIO, error, "%s", strerror(errno));
    if (t->fd >= 0 && flock(t->fd, LOCK_EX | LOCK_NB) < 0)
        return fault(t, TM_EEXISTS, error, "another ceremony writes it now");
    if (t->fd >= 0)
        err = read_entries(t, error);
    if (!err)
        *ret_transcript = TAKE(t);
    return err;
}

void ca_transcript_close(ca_transcript *t) {
    if (!t)
        return;
    if (t->fd >= 0)
        (void)close(t->fd);
    conf_free(document_rows, &t->read, sizeof t->read);
    free(t->path);
    free(t);
}

static bool agrees(const char *wanted, const char *found) {
    return !wanted || (found && strcmp(wanted, found) == 0);
}

const struct ca_transcript_entry *ca_transcript_find(const ca_transcript *t, enum ca_step step,
                                                     const char *token, const char *ca) {
    const struct ca_transcript_entry *entries = t->read.entries.items;
    for (size_t i = t->read.entries.count; i > 0; i--) {
        const struct ca_transcript_entry *e = &entries[i - 1];
        if (e->step == (unsigned)step && agrees(token, e->token) && agrees(ca, e->ca))
            return e;
    }
    return NULL;
}

const struct ca_transcript_entry *ca_transcript_find_key(const ca_transcript *t, enum ca_step step,
                                                         const char *ca, const char *key_label) {
    const struct ca_transcript_entry *entries = t->read.entries.items;
    for (size_t i = t->read.entries.count; i > 0; i--) {
        const struct ca_transcript_entry *e = &entries[i - 1];
        if (e->step == (unsigned)step && agrees(ca, e->ca) && agrees(key_label, e->key_label))
            return e;
    }
    return NULL;
}

/* ---- writing ---- */

static void put_text(struct buf *out, const char *text) {
    buf_put(out, bytes_str(text));
}

/* As a double-quoted YAML scalar (YAML 1.2, 7.3.1). */
static void put_quoted(struct buf *out, const char *text) {
    put_text(out, "\"");
    for (const char *c = text; *c; c++) {
        char escaped[8];
        if (*c == '"' || *c == '\\')
            (void)snprintf(escaped, sizeof escaped, "\\%c", *c);
        else if ((unsigned char)*c < 0x20 || *c == 0x7f)
            (void)snprintf(escaped, sizeof escaped, "\\x%02x", (unsigned char)*c);
        else
            (void)snprintf(escaped, sizeof escaped, "%c", *c);
        put_text(out, escaped);
    }
    put_text(out, "\"");
}

static void put_entry(struct buf *out, const struct ca_transcript_entry *entry, const char *time) {
    put_text(out, "  - step: ");
    put_text(out, step_words[entry->step]);
    for (const struct conf_row *row = entry_rows; row->key; row++) {
        if (row->type != CONF_STRING)
            continue;
        const char *value = *(char *const *)((const char *)entry + row->offset);
        if (row->offset == offsetof(struct ca_transcript_entry, time))
            value = time;
        if (!value || !value[0])
            continue;
        put_text(out, "\n    ");
        put_text(out, row->key);
        put_text(out, ": ");
        put_quoted(out, value);
    }
    put_text(out, "\n\n");
}

static enum tm_err create(ca_transcript *t, char error[CONF_ERROR_MAX]) {
    t->fd = open(t->path, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (t->fd < 0)
        return fault(t, errno == EEXIST ? TM_EEXISTS : TM_EIO, error, "%s", strerror(errno));
    if (flock(t->fd, LOCK_EX | LOCK_NB) < 0)
        return fault(t, TM_EEXISTS, error, "another ceremony writes it now");
    return file_sync_folder(t->path) ? fault(t, TM_EIO, error, "%s", strerror(errno)) : TM_OK;
}

enum tm_err ca_transcript_add(ca_transcript *t, const struct ca_transcript_entry *entry,
                              char error[CONF_ERROR_MAX]) {
    uint8_t memory[ENTRY_MAX];
    struct buf out = BUF_ON(memory);
    char time[CLOCK_TEXT_MAX];
    struct stat st;
    enum tm_err err = t->fd < 0 ? create(t, error) : TM_OK;
    if (err)
        return err;
    if (fstat(t->fd, &st) < 0)
        return fault(t, TM_EIO, error, "%s", strerror(errno));
    if (st.st_size == 0)
        put_text(&out, header);
    clock_format(clock_wall_ms(), time);
    put_entry(&out, entry, time);
    if (out.full)
        return fault(t, TM_ELIMIT, error, "an entry is longer than %d octets", ENTRY_MAX);
    if (file_write(t->fd, buf_bytes(&out)) || fsync(t->fd))
        return fault(t, TM_EIO, error, "%s", strerror(errno));
    return TM_OK;
}

void ca_transcript_line(const struct ca_transcript_entry *entry, char *ret, size_t cap) {
    const char *what = entry->ca ? entry->ca : entry->token;
    (void)snprintf(ret, cap, "%s%s%s%s%s%s", step_words[entry->step], what ? ": " : "",
                   what ? what : "", entry->purpose ? " (" : "",
                   entry->purpose ? entry->purpose : "", entry->purpose ? ")" : "");
}
