/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An epoll loop for one thread: descriptors with a handler, timers, and a stop.
 * A loop and all it holds belong to the thread that runs it; only loop_wake may
 * be called from another thread or a signal handler.
 */
#ifndef TOUCHMARK_BASE_LOOP_H
#define TOUCHMARK_BASE_LOOP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct loop;
struct loop_fd;

/* events: EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDHUP as epoll gives them. */
typedef void loop_fd_fn(void *arg, uint32_t events);
typedef void loop_fn(void *arg);

MUST_USE enum tm_err loop_new(struct loop **ret_loop);
void loop_free(struct loop *loop); /* NULL-safe; closes none of the descriptors added */

/* Watches fd (which stays the caller's) for `events`. The handler may remove this
 * or any other descriptor: removed ones get no further call in this round. */
MUST_USE enum tm_err loop_add(struct loop *loop, int fd, uint32_t events, loop_fd_fn *fn, void *arg,
                              struct loop_fd **ret_watch);
MUST_USE enum tm_err loop_change(struct loop_fd *watch, uint32_t events);
void loop_remove(struct loop_fd *watch); /* NULL-safe; do this before close(fd) */

/* A one-shot timer embedded in the caller's object; zero-initialised means idle.
 * loop_timer_set arms it or moves it (`at` in clock_mono_ms terms), _stop is
 * idempotent. It must be stopped before its memory goes. */
struct loop_timer {
    loop_fn *fn;
    void *arg;
    int64_t at;
    size_t slot; /* internal: position + 1 in the heap, 0 = idle */
};
MUST_USE enum tm_err loop_timer_set(struct loop *loop, struct loop_timer *timer,
                                    int64_t at_mono_ms);
void loop_timer_stop(struct loop *loop, struct loop_timer *timer);

/* Called once per round after all handlers ran, e.g. to flush what they queued; NULL for none. */
void loop_after_round(struct loop *loop, loop_fn *fn, void *arg);

/* Runs until loop_stop; handlers run on the calling thread. TM_EIO when epoll fails. */
MUST_USE enum tm_err loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Runs `fn` soon on the loop's thread after loop_wake (an eventfd; wake-ups merge). */
void loop_on_wake(struct loop *loop, loop_fn *fn, void *arg);
void loop_wake(struct loop *loop);

#endif
