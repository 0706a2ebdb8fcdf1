/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The LMDB store behind ca/store.h. One writer thread owns the write transaction and
 * commits in groups: what is submitted while a commit runs forms the next group (at most
 * STORE_GROUP_MAX batches); nothing ever waits to fill one. Completions come back on the
 * loop. A failed commit is fatal for the environment (after an error of fdatasync later
 * commits would succeed over lost data): `fatal` is called and the process must exit, reopen and
 * recover. A full map grows by itself up to max_map_size.
 */
#ifndef TOUCHMARK_STORE_STORE_H
#define TOUCHMARK_STORE_STORE_H

#include "base/loop.h"
#include "ca/store.h"

#define STORE_GROUP_MAX 64

struct store_config {
    const char *path;        /* folder, mode 0700 */
    const char *environment; /* "dev", "test", "prod": must be the one it was created with */
    uint64_t map_size;       /* octets, at first */
    uint64_t max_map_size;
    size_t queue_max;                           /* batches waiting, then TM_EFULL */
    void (*fatal)(void *arg, const char *text); /* on the loop's thread */
    void *arg;
};

/* Opens an existing store; checks the file's size against the meta page before LMDB
 * maps it (a half-truncated file would raise SIGBUS), format version and environment.
 * The sentence that says what is wrong goes to `text`. TM_ENOTFOUND: there is none. */
MUST_USE enum tm_err store_open(struct loop *loop, const struct store_config *config,
                                struct ca_store **ret_store, char text[IPC_TEXT_MAX + 1]);
/* Commits what was submitted, completes it, stops the thread, closes. NULL-safe. */
void store_close(struct ca_store *store);

/* Makes a new empty store: a temporary folder, synced, renamed. TM_EEXISTS. */
MUST_USE enum tm_err store_create(const char *path, const char *environment,
                                  char text[IPC_TEXT_MAX + 1]);

/* Figures for status and metrics. */
struct store_stats {
    uint64_t commits;
    uint64_t batches;
    uint64_t conflicts;
    uint64_t map_size;
    uint64_t used; /* octets */
};
void store_stats(const struct ca_store *store, struct store_stats *ret);

#endif
