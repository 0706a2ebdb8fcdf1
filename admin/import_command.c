/* SPDX-License-Identifier: Apache-2.0 */
/* `touchmark device import`: see import_command.h. */
#include "admin/import_command.h"
#include "admin/import_manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"

#define WINDOW ((size_t)256 * 1024)

AUTO_DEFINE(json_t, json_decref)

struct import {
    struct admin_call *call;
    const char *path;
    enum import_format format;
    struct import_source source;
    struct import_trust trust; /* of a manifest */
    struct import_seen *seen;  /* the first pass only */
    struct import_chunk chunk;
    struct import_progress progress;
    bool loads;    /* the second pass */
    uint32_t *bad; /* lines, in their order */
    size_t bad_count, bad_room;
    size_t bad_at; /* the second pass: the next of them */
    uint64_t rows, added, equal;
};

static int refused(struct import *import, const char *text) {
    import_progress_clear(&import->progress);
    fprintf(stderr, "touchmark: %s: %s\n", import->path, text);
    return ADMIN_EXIT_REFUSED;
}

/* ---- bad rows ---- */

static void say_bad(struct import *import, uint32_t line, const char *text) {
    import_progress_clear(&import->progress);
    fprintf(stderr, "touchmark: %s:%" PRIu32 ": %s\n", import->path, line, text);
}

static int add_bad(struct import *import, uint32_t line, const char *text) {
    say_bad(import, line, text);
    if (import->bad_count == import->bad_room) {
        size_t room = 2 * import->bad_room + 64;
        uint32_t *bad = realloc(import->bad, room * sizeof *bad);
        if (!bad)
            return refused(import, "out of memory");
        import->bad = bad;
        import->bad_room = room;
    }
    import->bad[import->bad_count++] = line;
    return EX_OK;
}

static int by_line(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Was it bad in the first pass? Lines are asked for in their order. */
static bool was_bad(struct import *import, uint32_t line) {
    while (import->bad_at < import->bad_count && import->bad[import->bad_at] < line)
        import->bad_at++;
    return import->bad_at < import->bad_count && import->bad[import->bad_at] == line;
}

/* ---- rows to the server ---- */

static uint64_t number(const json_t *answer, const char *key) {
    return (uint64_t)json_integer_value(json_object_get(answer, key));
}

/* What was good in the first pass and is not any more. */
static int changed_meanwhile(struct import *import, const json_t *bad) {
    size_t i;
    const json_t *row;
    json_array_foreach(bad, i, row) {
        say_bad(import, (uint32_t)number(row, "line"),
                json_string_value(json_object_get(row, "text")));
    }
    return refused(import, "the registry changed meanwhile; what was imported before stays");
}

static int take_bad(struct import *import, const json_t *bad) {
    size_t i;
    const json_t *row;
    int code = EX_OK;
    if (import->loads && json_array_size(bad))
        return changed_meanwhile(import, bad);
    json_array_foreach(bad, i, row) {
        const char *text = json_string_value(json_object_get(row, "text"));
        code = add_bad(import, (uint32_t)number(row, "line"), text ? text : "");
        if (code != EX_OK)
            return code;
    }
    return code;
}

static int take_answer(struct import *import) {
    AUTO(json_t) answer = NULL;
    int code = import_chunk_receive(&import->chunk, &answer);
    if (code != EX_OK)
        return code;
    import->added += number(answer, "added");
    import->equal += number(answer, "equal");
    return take_bad(import, json_object_get(answer, "bad"));
}

/* Sends what there is, and waits until no more than so many answers are open. */
static int flush(struct import *import, size_t open) {
    int code = import->chunk.rows.count ? import_chunk_send(&import->chunk) : EX_OK;
    while (code == EX_OK && import->chunk.open > open)
        code = take_answer(import);
    return code;
}

/* What options say of all rows, where a row says nothing. */
static void fill_defaults(const struct import *import, struct ipc_import_row *row) {
    const struct ipc_admin_request *given = &import->call->request;
    if (!row->sku[0])
        TEXT_SET(row->sku, given->sku);
    if (!row->hardware_revision[0])
        TEXT_SET(row->hardware_revision, given->hardware_revision);
    if (!row->batch[0])
        TEXT_SET(row->batch, given->batch);
    if (!row->site[0])
        TEXT_SET(row->site, given->site);
}

static int take_row(struct import *import, struct ipc_import_row *row) {
    char text[IPC_TEXT_MAX + 1];
    uint32_t line;
    fill_defaults(import, row);
    if (import->loads) {
        if (was_bad(import, row->line))
            return EX_OK;
    } else {
        enum tm_err err = import_seen_add(import->seen, row->device, row->line, &line);
        if (err == TM_EEXISTS) {
            (void)snprintf(text, sizeof text, "device %s is on line %" PRIu32 " already",
                           row->device, line);
            return add_bad(import, row->line, text);
        }
        if (err)
            return refused(import, tm_err_name(err));
    }
    int code =
        import_chunk_full(&import->chunk, row) ? flush(import, IMPORT_CHUNKS_OPEN - 1) : EX_OK;
    if (code == EX_OK)
        import_chunk_add(&import->chunk, row);
    return code;
}

/* ---- a pass ---- */

static int one(struct import *import, bool *ret_end) {
    struct ipc_import_row row;
    char text[IPC_TEXT_MAX + 1];
    enum tm_err err = import_source_next(&import->source, &row, text);
    *ret_end = err == TM_ENOTFOUND;
    import->rows += !err || err == TM_EPARSE;
    if (!err)
        return take_row(import, &row);
    if (err == TM_EPARSE)
        return import->loads ? EX_OK : add_bad(import, row.line, text);
    if (err == TM_ELIMIT)
        say_bad(import, row.line, text);
    else if (err == TM_EIO)
        return refused(import, strerror(errno));
    return err == TM_ENOTFOUND ? EX_OK : ADMIN_EXIT_REFUSED;
}

static int pass(struct import *import, int fd, uint8_t *window) {
    bool end = false;
    int code =
        lseek(fd, 0, SEEK_SET) ? refused(import, "is no file that can be read twice") : EX_OK;
    import_source_begin(&import->source, fd, import->format, window, WINDOW);
    import->source.trust = &import->trust;
    import->rows = import->added = import->equal = 0;
    import_progress_begin(&import->progress, import->loads ? "imported" : "checked");
    while (code == EX_OK && !end) {
        code = one(import, &end);
        import_progress_say(&import->progress, import->source.offset, import->rows);
    }
    if (code == EX_OK)
        code = flush(import, 0);
    import_progress_clear(&import->progress);
    return code;
}

static int check(struct import *import, int fd, uint8_t *window) {
    (void)strcpy(import->chunk.request.state, "check");
    int code = pass(import, fd, window);
    if (code != EX_OK)
        return code;
    if (import->bad_count)
        qsort(import->bad, import->bad_count, sizeof *import->bad, by_line);
    if (import->source.passed_over[0])
        fprintf(stderr, "touchmark: %s: not imported: %s\n", import->path,
                import->source.passed_over);
    if (!import->bad_count || import->call->request.all)
        return EX_OK;
    fprintf(stderr, "touchmark: nothing was imported: %zu of %" PRIu64 " rows are bad\n",
            import->bad_count, import->rows);
    return ADMIN_EXIT_REFUSED;
}

static void print_outcome(const struct import *import) {
    const char *added = import->loads ? "added" : "to_add";
    if (import->call->json)
        printf("{\"%s\":%" PRIu64 ",\"unchanged\":%" PRIu64 ",\"bad\":%zu,\"rows\":%" PRIu64 "}\n",
               added, import->added, import->equal, import->bad_count, import->rows);
    else
        printf("%s: %" PRIu64 "\nunchanged: %" PRIu64 "\nbad: %zu\nrows: %" PRIu64 "\n", added,
               import->added, import->equal, import->bad_count, import->rows);
}

static int run(struct import *import, int fd) {
    AUTO_MEM uint8_t *window = malloc(WINDOW);
    if (!window || import_seen_new(&import->seen))
        return refused(import, "out of memory");
    int code = check(import, fd, window);
    if (code == EX_OK && !import->call->dry_run) {
        import->loads = true;
        (void)strcpy(import->chunk.request.state, "load");
        code = pass(import, fd, window);
    }
    if (code == EX_OK)
        print_outcome(import);
    return code == EX_OK && import->bad_count ? ADMIN_EXIT_REFUSED : code;
}

/* ---- the file ---- */

static bool ends_with(const char *path, const char *suffix) {
    size_t n = strlen(path), m = strlen(suffix);
    return n > m && strcmp(path + n - m, suffix) == 0;
}

static enum import_format format_of(const struct admin_call *call) {
    if (call->format)
        return strcmp(call->format, "csv") == 0     ? IMPORT_CSV
               : strcmp(call->format, "jsonl") == 0 ? IMPORT_JSONL
                                                    : IMPORT_MANIFEST;
    if (call->signer)
        return IMPORT_MANIFEST;
    return ends_with(call->files[0], ".jsonl") ? IMPORT_JSONL : IMPORT_CSV;
}

/* A manifest is as good as who signed it. */
static int load_signers(struct import *import) {
    char text[IPC_TEXT_MAX + 1];
    if (import->format != IMPORT_MANIFEST)
        return EX_OK;
    if (!import->call->signer) {
        fprintf(stderr, "touchmark: a manifest takes --signer: who must have signed it\n");
        return EX_USAGE;
    }
    if (import_trust_load(import->call->signer, &import->trust, text))
        return EX_OK;
    fprintf(stderr, "touchmark: %s\n", text);
    return ADMIN_EXIT_REFUSED;
}

static int open_file(struct import *import, int *ret_fd) {
    struct stat st;
    AUTO_FD int fd = open(import->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st))
        return refused(import, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return refused(import, "is no file that can be read twice");
    import->progress.size = (uint64_t)st.st_size;
    *ret_fd = TAKE_FD(fd);
    return EX_OK;
}

int admin_device_import(struct admin_call *call) {
    AUTO_MEM struct import *import = calloc(1, sizeof *import);
    AUTO_FD int fd = -1, link = -1;
    if (!import)
        return EX_OSERR;
    import->call = call;
    import->path = call->files[0];
    import->format = format_of(call);
    import->progress.shown = call->progress || isatty(STDERR_FILENO);
    int code = load_signers(import);
    if (code == EX_OK)
        code = open_file(import, &fd);
    if (code == EX_OK)
        code = admin_connect(call, &link);
    import->chunk.fd = link;
    import->chunk.request =
        (struct ipc_admin_request){.verb = IPC_ADMIN_DEVICE_IMPORT, .all = call->request.all};
    TEXT_SET(import->chunk.request.tenant, call->request.tenant);
    if (code == EX_OK)
        code = run(import, fd);
    import_trust_free(&import->trust);
    import_seen_free(import->seen);
    free(import->bad);
    return fflush(stdout) && code == EX_OK ? EX_IOERR : code;
}
