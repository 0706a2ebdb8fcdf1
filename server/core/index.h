/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of devices (store/index.h) in the core: kept on a thread of its own, at a lower
 * priority than the loop, a bounded step at a time; steps follow each other as long as there is
 * something to do, and begin again at most 100 ms after something happened. One loop's thread.
 */
#ifndef TOUCHMARK_SERVER_CORE_INDEX_H
#define TOUCHMARK_SERVER_CORE_INDEX_H

#include "base/loop.h"
#include "ca/index.h"
#include "ca/store.h"

struct core_index;

/* A store whose index cannot be opened is served without one; the log says why. Opens files. */
MUST_USE enum tm_err core_index_new(struct loop *loop, struct ca_store *store, const char *path,
                                    uint64_t map_size, struct core_index **ret_index);
/* Before the store is closed; waits for the step under way. Who waits for a
 * report gets TM_ECLOSED. NULL-safe. */
void core_index_free(struct core_index *index);
/* Call it every 100 ms. */
void core_index_tick(struct core_index *index);

/* NULL: there is none. */
struct ca_index *core_index_of(const struct core_index *index);
/* Octets of its file that are in use. */
uint64_t core_index_size(const struct core_index *index);

/* The health of certificates, counted on the index's thread. */
struct core_report {
    enum tm_err err; /* TM_ENOTFOUND: there is no index; else as store_index_report */
    int64_t made_ms;
    size_t count;
    const struct ca_health *rows;
};
/* Of the last `days` days. `done` gets it once, on the loop's thread, maybe at once; borrowed for
 * the call. One that is at most `age_ms` old may be had again. TM_ENOMEM: it will not. */
MUST_USE enum tm_err core_index_report(struct core_index *index, unsigned days, int64_t age_ms,
                                       void (*done)(void *arg, const struct core_report *report),
                                       void *arg);

#endif
