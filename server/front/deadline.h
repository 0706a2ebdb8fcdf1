/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deadlines of equal length in a queue: the oldest is always the next to pass, so
 * starting and stopping one is O(1) and a queue needs one timer. A queue and its
 * deadlines belong to the loop's thread.
 */
#ifndef TOUCHMARK_SERVER_FRONT_DEADLINE_H
#define TOUCHMARK_SERVER_FRONT_DEADLINE_H

#include <sys/queue.h>

#include "base/loop.h"

struct front_deadline_queue;

/* Embedded in what it limits; zero-initialised means not running. */
struct front_deadline {
    TAILQ_ENTRY(front_deadline) entry;
    struct front_deadline_queue *queue; /* NULL = not running */
    void *owner;
    int64_t at;
};

TAILQ_HEAD(front_deadline_list, front_deadline);

struct front_deadline_queue {
    struct loop *loop;
    int64_t duration_ms;
    struct loop_timer timer;
    struct front_deadline_list list; /* oldest first */
    /* `owner` ran out of time; its deadline has been stopped. */
    void (*passed)(void *arg, void *owner);
    void *arg;
};

/* `queue` stays where it is until _deinit. TM_ENOMEM. */
MUST_USE enum tm_err front_deadline_queue_init(struct front_deadline_queue *queue,
                                               struct loop *loop, int64_t duration_ms,
                                               void (*passed)(void *arg, void *owner), void *arg);
/* Safe on a zeroed queue; all of its deadlines have to be stopped before. */
void front_deadline_queue_deinit(struct front_deadline_queue *queue);

/* Starts `deadline` for `owner` in this queue from now, leaving any queue it was in. */
void front_deadline_start(struct front_deadline_queue *queue, struct front_deadline *deadline,
                          void *owner);
void front_deadline_stop(struct front_deadline *deadline); /* idempotent */

#endif
