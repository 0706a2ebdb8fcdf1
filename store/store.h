/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The LMDB store behind ca/store.h. One writer thread owns the write transaction and
 * commits in groups: what is submitted while a commit runs forms the next group (at most
 * STORE_GROUP_MAX batches); nothing ever waits to fill one. Completions come back on the
 * loop. A failed commit is fatal for the environment (after an error of fdatasync later
 * commits would succeed over lost data): `fatal` is called and the process must exit, reopen and
 * recover. A full map grows by itself up to max_map_size.
 *
 * A full store, be it the map at its maximum or the disk, answers TM_EFULL to what begins
 * something new; batches that end an intent, change a certificate's status, withdraw a device,
 * record that it has its certificate, publish, carry out an act or count a use may use headroom
 * kept for them (store/batch.h has the whole rule). A batch that must change a record which fails
 * its hash ends with TM_ECORRUPT and changes nothing.
 *
 * A store of an older format is brought to this program's by store_open; older programs then refuse
 * it (store/format.h).
 *
 * Everything is opened by store_open: afterwards no file is opened, mapped executable or
 * created, so the process may confine itself (the writer's thread exists by then; a filter must
 * cover it too). check() looks at one committed state, on the loop's thread: of a large store it
 * takes minutes, in which the loop serves nobody. A scan gives at most STORE_SCAN_PAGE rows a page
 * (store/scan.h), whatever it is asked for.
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
    size_t queue_max;                           /* batches submitted and not done, then TM_EFULL */
    void (*fatal)(void *arg, const char *text); /* on the loop's thread, once; what was not done
                                                   by then never will be: submit answers TM_EIO */
    void *arg;
};

/* Opens an existing store, for this process alone; checks the file's size against the meta page
 * before LMDB maps it (a half-truncated file would raise SIGBUS), format version and environment.
 * The strings of `config` need not outlive the call. The sentence that says what is wrong goes to
 * `text`. TM_ENOTFOUND: there is none; TM_EAGAIN: another process has it open; TM_EDENIED: another
 * environment or a newer format, or a folder that is open to others; TM_ECORRUPT; TM_EINVAL: a size
 * that cannot be; TM_EFULL: no room to bring an older format to this one; TM_EIO. */
MUST_USE enum tm_err store_open(struct loop *loop, const struct store_config *config,
                                struct ca_store **ret_store, char text[IPC_TEXT_MAX + 1]);
/* Commits what was submitted, completes it (a `done` that submits gets TM_ECLOSED), stops the
 * thread, closes. Not from inside a `done`. NULL-safe. */
void store_close(struct ca_store *store);

/* Makes a new empty store: a temporary folder beside it, synced, renamed. TM_EEXISTS: there is
 * something at the path, be it an empty folder. */
MUST_USE enum tm_err store_create(const char *path, const char *environment,
                                  char text[IPC_TEXT_MAX + 1]);

/* Figures for status and metrics. */
struct store_stats {
    uint64_t commits;
    uint64_t batches;
    uint64_t conflicts;
    uint64_t map_size;
    uint64_t used;        /* octets */
    int64_t full_mono_ms; /* when something was last refused for want of room; 0: never */
};
void store_stats(const struct ca_store *store, struct store_stats *ret);

#endif
