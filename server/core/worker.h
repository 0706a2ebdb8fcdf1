/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread beside the core's loop, for work that takes seconds or minutes (walks over the whole
 * store, CRLs of a million entries, filters), so that issuance goes on meanwhile. Jobs run one
 * after the other, at a lower priority than the loop. The thread exists from _new on: make it
 * before the process confines itself.
 */
#ifndef TOUCHMARK_SERVER_CORE_WORKER_H
#define TOUCHMARK_SERVER_CORE_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/loop.h"

struct core_worker;

/* Embedded in the caller's object, which stays where it is from _run to `done`. */
struct core_job {
    /* On the worker's thread; should look at core_job_stops now and then, and give up. */
    void (*work)(struct core_job *job);
    /* On the loop's thread, once, also for a job that gave up; not after core_worker_free. */
    void (*done)(struct core_job *job);
    struct core_job *next; /* the worker's own */
    struct core_worker *worker;
};

MUST_USE enum tm_err core_worker_new(struct loop *loop, struct core_worker **ret_worker);
/* Ends the job under way (which sees core_job_stops) and forgets the others. NULL-safe. */
void core_worker_free(struct core_worker *worker);
/* Takes a job; loop's thread. */
void core_worker_run(struct core_worker *worker, struct core_job *job);
/* Is the worker about to end? Any thread. */
bool core_job_stops(const struct core_job *job);
/* The same for who wants to look itself. */
const atomic_bool *core_job_stop_flag(const struct core_job *job);

#endif
