/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `touchmark audit export`: the log as c2sp.org/tlog-tiles lays it out, its checkpoint, and the
 * registry as JSON lines.
 *
 * The registry is read while the server serves. What changes meanwhile is told of by leaves, so
 * export.json says from which leaf on that was, and up to which: a record that such a leaf is about
 * may be as before it or as after.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "admin/audit_command.h"
#include "base/auto.h"

#define TILE 256
#define LEVELS 8
#define WAIT_MS 30000
#define PAUSE_MS 50

AUTO_DEFINE(json_t, json_decref)

struct export {
    struct admin_call *call;
    const char *dir;
    uint64_t from; /* the first leaf, a multiple of TILE */
    uint64_t size; /* of the checkpoint's tree */
    uint64_t registry_from, registry_to;
    FILE *out;     /* of what is walked now */
    uint64_t next; /* leaf */
    uint8_t bundle[TILE * (2 + AUDIT_LEAF_MAX)];
    size_t bundle_n;
};

static bool path_in(const struct export *x, const char *name, char ret[ADMIN_PATH_MAX]) {
    int n = snprintf(ret, ADMIN_PATH_MAX, "%s/%s", x->dir, name);
    return n > 0 && n < ADMIN_PATH_MAX;
}

/* ---- leaves ---- */

static int write_bundle(struct export *x) {
    char path[ADMIN_PATH_MAX];
    uint64_t last = x->next - 1;
    if (!x->bundle_n)
        return EX_OK;
    if (!admin_folder_tile(x->dir, -1, last / TILE, (size_t)(last % TILE) + 1, path))
        return EX_CANTCREAT;
    struct bytes content = {x->bundle, x->bundle_n};
    x->bundle_n = 0;
    return admin_folder_write(path, content);
}

static int take_leaf(void *arg, struct bytes json) {
    AUTO(json_t) row = NULL;
    struct export *x = arg;
    int code = admin_row_read(json, &row);
    if (code != EX_OK)
        return code;
    uint8_t octets[AUDIT_LEAF_MAX + 3];
    struct buf leaf = BUF_ON(octets), out = {x->bundle, sizeof x->bundle, x->bundle_n, false};
    const char *text = json_string_value(json_object_get(row, "leaf"));
    if (x->next >= x->size) /* more than the checkpoint is of */
        return EX_OK;
    if (!text || audit_base64_read(bytes_str(text), &leaf) || leaf.n > AUDIT_LEAF_MAX)
        return admin_audit_fail("leaf %" PRIu64 " cannot be read", x->next);
    buf_put_be(&out, leaf.n, 2);
    buf_put(&out, buf_bytes(&leaf));
    x->bundle_n = out.n;
    return ++x->next % TILE ? EX_OK : write_bundle(x);
}

static int ask_rows(struct export *x, const char *what, uint64_t from, uint32_t limit,
                    int (*take)(void *arg, struct bytes json)) {
    struct ipc_admin_request *request = &x->call->request;
    request->verb = IPC_ADMIN_AUDIT_EXPORT;
    TEXT_SET(request->state, what);
    request->cursor[0] = 0;
    if (from)
        (void)snprintf(request->cursor, sizeof request->cursor, "%" PRIu64, from);
    x->call->limit = limit;
    const struct admin_taker taker = {take, NULL, x};
    return admin_each(x->call, &taker);
}

static int export_leaves(struct export *x) {
    int code = EX_OK;
    x->next = x->from;
    while (code == EX_OK && x->next < x->size) {
        uint64_t before = x->next, left = x->size - x->next;
        code = ask_rows(x, "leaf", x->next, left < UINT32_MAX ? (uint32_t)left : UINT32_MAX,
                        take_leaf);
        if (code == EX_OK && x->next == before)
            code = admin_audit_fail("leaf %" PRIu64 " is missing, or fails its hash", x->next);
    }
    return code == EX_OK ? write_bundle(x) : code;
}

/* ---- tiles ---- */

static int export_tile(struct export *x, unsigned level, uint64_t index, size_t width) {
    uint8_t octets[TILE * AUDIT_HASH_SIZE + 3];
    struct buf hashes = BUF_ON(octets);
    struct ipc_admin_request *request = &x->call->request;
    char path[ADMIN_PATH_MAX];
    AUTO(json_t) answer = NULL;
    request->verb = IPC_ADMIN_AUDIT_EXPORT;
    TEXT_SET(request->state, "tile");
    (void)snprintf(request->cursor, sizeof request->cursor, "%" PRIu64 "/%u/%" PRIu64, x->size,
                   level, index);
    int code = admin_ask(x->call, &answer);
    if (code != EX_OK)
        return code;
    const char *text = json_string_value(json_object_get(answer, "hashes"));
    if (!text || audit_base64_read(bytes_str(text), &hashes) || hashes.n != width * AUDIT_HASH_SIZE)
        return admin_audit_fail("tile %u/%" PRIu64 " cannot be read", level, index);
    if (!admin_folder_tile(x->dir, (int)level, index, width, path))
        return EX_CANTCREAT;
    return admin_folder_write(path, buf_bytes(&hashes));
}

/* Those that hold hashes of what is exported; above level 0 that is the one with the first leaf, in
 * which the roots of what stands before it are, and all behind it. */
static int export_tiles(struct export *x) {
    int code = EX_OK;
    for (unsigned level = 0; level < LEVELS && code == EX_OK; level++) {
        uint64_t hashes = x->size >> (8 * level);
        uint64_t index = (x->from >> (8 * level)) / TILE;
        for (; index * TILE < hashes && code == EX_OK; index++) {
            uint64_t width = hashes - index * TILE;
            code = export_tile(x, level, index, width < TILE ? (size_t)width : TILE);
        }
    }
    return code;
}

/* ---- registry ---- */

static int take_row(void *arg, struct bytes json) {
    const struct export *x = arg;
    if (admin_put_row(x->out, json) != EX_OK)
        return admin_audit_fail("the registry cannot be written: %s", strerror(errno));
    return EX_OK;
}

static int export_rows(struct export *x, const char *what, const char *name) {
    char path[ADMIN_PATH_MAX];
    if (!path_in(x, name, path) || !admin_folder_make_for(path))
        return EX_CANTCREAT;
    x->out = fopen(path, "wxe");
    if (!x->out)
        return admin_audit_fail("%s cannot be written: %s", path, strerror(errno));
    int code = ask_rows(x, what, 0, 0, take_row);
    if (fclose(x->out) && code == EX_OK)
        code = EX_IOERR;
    return code;
}

static int log_size(struct export *x, uint64_t *ret) {
    AUTO(json_t) answer = NULL;
    x->call->request.verb = IPC_ADMIN_AUDIT_HEAD;
    int code = admin_ask(x->call, &answer);
    if (code == EX_OK)
        *ret = (uint64_t)json_integer_value(json_object_get(answer, "size"));
    return code;
}

/* Intents last: what a job has spent and no leaf tells of yet is one of them, or ended since. */
static int export_registry(struct export *x) {
    static const struct {
        const char *what, *file;
    } parts[] = {
        {"device", "registry/devices.jsonl"},     {"certificate", "registry/certificates.jsonl"},
        {"operator", "registry/operators.jsonl"}, {"product", "registry/products.jsonl"},
        {"job", "registry/jobs.jsonl"},           {"unit", "registry/units.jsonl"},
        {"intent", "registry/intents.jsonl"},
    };
    int code = log_size(x, &x->registry_from);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && code == EX_OK; i++)
        code = export_rows(x, parts[i].what, parts[i].file);
    return code == EX_OK ? log_size(x, &x->registry_to) : code;
}

/* ---- the checkpoint ---- */

/* One over all that the registry may tell of; it is asked for until it is there. */
static int wait_for_checkpoint(struct export *x, json_t **ret_answer) {
    const struct timespec pause = {0, PAUSE_MS * 1000000L};
    struct audit_checkpoint checkpoint;
    for (unsigned i = 0; i < WAIT_MS / PAUSE_MS; i++) {
        json_t *answer = NULL;
        int code = admin_audit_ask_checkpoint(x->call, true, &answer);
        if (code != EX_OK)
            return code;
        if (admin_audit_read(admin_audit_newest(answer), &checkpoint) &&
            checkpoint.size >= x->registry_to) {
            x->size = checkpoint.size;
            *ret_answer = answer;
            return EX_OK;
        }
        json_decref(answer);
        (void)nanosleep(&pause, NULL);
    }
    return admin_audit_fail("no checkpoint over the whole log was signed: is the token of the "
                            "audit's key there?");
}

static int write_text(const struct export *x, const char *name, const char *text) {
    char path[ADMIN_PATH_MAX];
    return path_in(x, name, path) ? admin_folder_write(path, bytes_str(text)) : EX_CANTCREAT;
}

static int write_notes(const struct export *x, const json_t *answer) {
    const char *cosigned = json_string_value(json_object_get(answer, "cosigned"));
    int code = write_text(x, "checkpoint", admin_audit_newest(answer));
    if (code == EX_OK && cosigned && cosigned[0])
        code = write_text(x, "cosigned", cosigned);
    return code;
}

static int write_summary(const struct export *x) {
    AUTO(json_t)
    object = json_pack("{s:i, s:I, s:I, s:{s:I, s:I}}", "format", 2, "from", (json_int_t)x->from,
                       "size", (json_int_t)x->size, "registry", "from",
                       (json_int_t)x->registry_from, "to", (json_int_t)x->registry_to);
    AUTO_MEM char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    return text ? write_text(x, "export.json", text) : EX_OSERR;
}

static int run(struct export *x) {
    AUTO(json_t) answer = NULL;
    int code = export_registry(x);
    if (code == EX_OK)
        code = wait_for_checkpoint(x, &answer);
    if (code == EX_OK && x->from > x->size)
        code = admin_audit_fail("the log has %" PRIu64 " leaves only", x->size);
    if (code == EX_OK)
        code = write_notes(x, answer);
    if (code == EX_OK)
        code = export_leaves(x);
    if (code == EX_OK)
        code = export_tiles(x);
    return code == EX_OK ? write_summary(x) : code;
}

int admin_audit_export(struct admin_call *call) {
    uint64_t from = 0;
    if (call->request.cursor[0] && audit_decimal(bytes_str(call->request.cursor), &from))
        return EX_USAGE;
    if (!access(call->out, F_OK))
        return admin_audit_fail("%s is there already", call->out);
    struct export *x = calloc(1, sizeof *x);
    if (!x)
        return EX_OSERR;
    *x = (struct export){.call = call, .dir = call->out, .from = from - from % TILE};
    int code = run(x);
    if (code == EX_OK)
        printf("%" PRIu64 " leaves from %" PRIu64 " on, and the registry, are in %s\n",
               x->size - x->from, x->from, x->dir);
    free(x);
    return code;
}
