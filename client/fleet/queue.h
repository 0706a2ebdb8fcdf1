/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is next: one moment for each of `count` members, the earliest first (an indexed binary
 * heap). Of equal moments the lower member comes first, so that a seed repeats a run.
 */
#ifndef TOUCHMARK_CLIENT_FLEET_QUEUE_H
#define TOUCHMARK_CLIENT_FLEET_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct fleet_queue {
    size_t count;
    int64_t *at;   /* by member */
    size_t *heap;  /* members */
    size_t *place; /* by member: where in heap */
};

/* All members at INT64_MAX. TM_ENOMEM. */
MUST_USE enum tm_err fleet_queue_init(struct fleet_queue *queue, size_t count);
void fleet_queue_deinit(struct fleet_queue *queue);
void fleet_queue_set(struct fleet_queue *queue, size_t member, int64_t at);
/* The member with the earliest moment. */
size_t fleet_queue_first(const struct fleet_queue *queue, int64_t *ret_at);

#endif
