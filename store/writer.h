/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer: a thread, and the queue between it and the loop's thread. Batches stand in one ring
 * in the order of submission and pass through it as waiting, being committed, decided; what waits
 * while a group is committed is the next group. The lock around the ring is held for moments
 * only, never during a commit.
 */
#ifndef TOUCHMARK_STORE_WRITER_H
#define TOUCHMARK_STORE_WRITER_H

#include "store/group.h"

struct store_writer;

struct store_counts {
    uint64_t commits;
    uint64_t batches; /* durable ones */
    uint64_t conflicts;
    int64_t full_mono_ms; /* as in store_stats */
};

/* Starts the thread, which takes `committer` over (also on failure). After each group it adds one
 * to the eventfd `wake_fd`, which stays the caller's. */
MUST_USE enum tm_err store_writer_start(struct store_committer *committer, size_t queue_max,
                                        int wake_fd, struct store_writer **ret_writer);

/* All of these on the loop's thread. */

/* TM_EFULL: queue_max batches are not done yet. TM_ECLOSED after store_writer_stop, TM_EIO after a
 * fatal error. */
MUST_USE enum tm_err store_writer_submit(struct store_writer *writer, struct ca_batch *batch);
/* Calls `done` of every batch that was decided before this call. */
void store_writer_deliver(struct store_writer *writer);
/* Did a commit fail? What was not delivered by then never will be. */
bool store_writer_failed(struct store_writer *writer);
/* Ends the thread once it has committed what was submitted. */
void store_writer_stop(struct store_writer *writer);
void store_writer_free(struct store_writer *writer); /* stopped; NULL-safe */
void store_writer_counts(struct store_writer *writer, struct store_counts *ret_counts);

#endif
