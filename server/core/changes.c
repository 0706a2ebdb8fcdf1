/* SPDX-License-Identifier: Apache-2.0 */
/* See changes.h. */
#include "server/core/changes.h"

#include <stdlib.h>

#include "base/log.h"
#include "server/core/writes.h"

#define ACTOR "touchmarkd"
#define EACH_MAX 2 /* of the store's changes: row and leaf */
#define BATCH_CHANGES (CA_BATCH_MAX / EACH_MAX)

struct core_changes {
    struct core_writes writes; /* first: what is over is these */
    const char *what;
    void (*done)(void *arg, enum tm_err result);
    void *arg;
    size_t count, room;
    struct core_change *items;
    struct ca_batch *batches;
};

struct core_changes *core_changes_new(const char *what) {
    struct core_changes *changes = calloc(1, sizeof *changes);
    if (changes)
        changes->what = what;
    return changes;
}

struct core_change *core_changes_add(struct core_changes *changes, enum ca_change_kind kind,
                                     enum ca_table table, enum ca_event event, int64_t now_ms) {
    if (changes->count == changes->room) {
        size_t room = 2 * changes->room + BATCH_CHANGES;
        struct core_change *items = reallocarray(changes->items, room, sizeof(struct core_change));
        if (!items)
            return NULL;
        changes->items = items;
        changes->room = room;
    }
    struct core_change *change = &changes->items[changes->count++];
    *change =
        (struct core_change){.kind = kind,
                             .table = table,
                             .leaf = {.event = (uint8_t)event, .time_ms = now_ms, .actor = ACTOR}};
    return change;
}

static void over(struct core_writes *writes, enum tm_err result) {
    struct core_changes *changes = (struct core_changes *)writes;
    changes->done(changes->arg, result);
    free(changes->items);
    free(changes->batches);
    free(changes);
}

static void durable(struct ca_batch *batch, enum tm_err result) {
    struct core_changes *changes = batch->arg;
    if (result)
        log_error("%s: their rows were not written: %s", changes->what, tm_err_name(result));
    core_writes_settle(&changes->writes, result);
}

static void fill_batch(struct core_changes *changes, size_t first, struct ca_batch *batch) {
    batch->done = durable;
    batch->arg = changes;
    for (size_t i = first; i < changes->count && i < first + BATCH_CHANGES; i++) {
        const struct core_change *change = &changes->items[i];
        if (change->kind != CA_ADD_LEAF)
            batch->changes[batch->count++] =
                (struct ca_change){.kind = (uint8_t)change->kind,
                                   .u.row = {.table = change->table, .row = &change->row}};
        batch->changes[batch->count++] =
            (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = &change->leaf};
    }
}

static enum tm_err submit(struct core_changes *changes, struct ca_store *store) {
    enum tm_err err = TM_OK;
    changes->batches = calloc(changes->count / BATCH_CHANGES + 1, sizeof changes->batches[0]);
    if (!changes->batches)
        return TM_ENOMEM;
    for (size_t first = 0; first < changes->count && !err; first += BATCH_CHANGES) {
        struct ca_batch *batch = &changes->batches[first / BATCH_CHANGES];
        fill_batch(changes, first, batch);
        err = core_writes_submit(&changes->writes, store, batch);
    }
    return err;
}

void core_changes_write(struct core_changes *changes, struct ca_store *store, enum tm_err err,
                        void (*done)(void *arg, enum tm_err result), void *arg) {
    changes->done = done;
    changes->arg = arg;
    core_writes_begin(&changes->writes, over);
    core_writes_settle(&changes->writes, err ? err : submit(changes, store));
}
