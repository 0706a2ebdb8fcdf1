/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes what the core publishes, beside the loop: hashing, parsing and writing 40 MB must not keep
 * those who ask waiting. In the order in which it came.
 */
#ifndef TOUCHMARK_SERVER_STATUS_PUBLISHER_H
#define TOUCHMARK_SERVER_STATUS_PUBLISHER_H

#include "base/loop.h"
#include "server/status/shelf.h"

struct status_publisher;

/* What became of one. */
struct status_publication {
    struct ipc_publish publish;
    unsigned link; /* as it was submitted */
    enum tm_err err;
    char text[IPC_TEXT_MAX + 1]; /* why not; may be "" */
    char name[STATUS_NAME_MAX + 1];
    struct status_item *item; /* NULL when err; the callee may take it */
};
typedef void status_publication_fn(void *arg, struct status_publication *publication);

/* Its thread has the shelf from now on until _free, and is under the sandbox of who makes it.
 * TM_ENOMEM, TM_EIO (logged). */
MUST_USE enum tm_err status_publisher_new(struct loop *loop, struct status_shelf *shelf,
                                          status_publication_fn *done, void *arg,
                                          struct status_publisher **ret_publisher);
/* Finishes what is in hand and drops the rest. NULL-safe. */
void status_publisher_free(struct status_publisher *publisher);

/* Takes fd over, also on failure. The caller bounds how many there are. TM_ENOMEM. */
MUST_USE enum tm_err status_publisher_submit(struct status_publisher *publisher,
                                             const struct ipc_publish *publish, unsigned link,
                                             int fd);
/* Submitted, and not yet reported. */
size_t status_publisher_pending(const struct status_publisher *publisher);

#endif
