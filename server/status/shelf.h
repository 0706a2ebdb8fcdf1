/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder status.dir: every published file, each whole and with a number that never falls,
 * whatever dies when. A new one is a temporary file, synced, renamed over the old one, and then the
 * folder is synced.
 *
 * While a process takes over from another both write, so each look and rename happens under a lock
 * on the folder, and whoever finds a file that it did not write reads what that is. The lock ends
 * with its process.
 *
 * One thread at a time.
 */
#ifndef TOUCHMARK_SERVER_STATUS_SHELF_H
#define TOUCHMARK_SERVER_STATUS_SHELF_H

#include "server/status/item.h"
#include "server/status/name.h"

struct status_shelf;

/* Makes the folder if it is missing. TM_EIO (logged), TM_ENOMEM. */
MUST_USE enum tm_err status_shelf_open(const char *dir, struct status_shelf **ret_shelf);
void status_shelf_close(struct status_shelf *shelf); /* NULL-safe */

/* Reads everything that is there, and removes a temporary file that a dead process left; a file
 * that is not whole is logged and passed over. Each item is the callee's. TM_EIO (logged),
 * TM_ENOMEM. */
typedef void status_shelf_fn(void *arg, const char *name, struct status_item *item);
MUST_USE enum tm_err status_shelf_load(struct status_shelf *shelf, status_shelf_fn *fn, void *arg);

/* Puts what the core publishes in its place, from a sealed memory file that stays the caller's;
 * what is there already is left. `name` and the item, which is to be served from now on, come back
 * when all is on disk; otherwise `text` says why not. TM_EINVAL: it is not what the message says;
 * TM_EPARSE: not what it has to be; TM_ECONFLICT: a higher number is there, or another file of this
 * number; TM_EIO, TM_EFULL, TM_ENOMEM, TM_ECRYPTO. */
MUST_USE enum tm_err status_shelf_put(struct status_shelf *shelf, const struct ipc_publish *publish,
                                      int fd, char ret_name[STATUS_NAME_MAX + 1],
                                      struct status_item **ret_item, char text[IPC_TEXT_MAX + 1]);

#endif
