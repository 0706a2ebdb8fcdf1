/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several batches that belong together: submitted one after the other, and over when none of them
 * is under way any more. One loop's thread, like the store.
 */
#ifndef TOUCHMARK_SERVER_CORE_WRITES_H
#define TOUCHMARK_SERVER_CORE_WRITES_H

#include "ca/store.h"

/* Part of what the batches are kept in. */
struct core_writes {
    size_t open; /* batches that are not durable yet, and one more until the last is submitted */
    enum tm_err result; /* the first that failed */
    /* Called once; may free what the writes are part of. */
    void (*over)(struct core_writes *writes, enum tm_err result);
};

void core_writes_begin(struct core_writes *writes,
                       void (*over)(struct core_writes *writes, enum tm_err result));
/* batch->done has to call core_writes_settle once. After an error it is not called. */
MUST_USE enum tm_err core_writes_submit(struct core_writes *writes, struct ca_store *store,
                                        struct ca_batch *batch);
/* One of them has ended, or (once, by whoever began) no more will follow. */
void core_writes_settle(struct core_writes *writes, enum tm_err result);

#endif
