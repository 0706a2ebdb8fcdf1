/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of devices (ca/index.h): an LMDB environment of its own in the store's folder, which
 * nobody's answer waits for. One thread keeps it, by store_index_step: it walks over all devices
 * once, and from then on follows the audit log; what a step puts in and how far it has come are one
 * transaction. Questions are asked on the thread of the store's loop.
 *
 * It is never synced while it is open, so it outlives a killed process but not the machine: when it
 * was not closed and the machine was started since, or when it does not fit the store's audit log,
 * or cannot be read, it is emptied and built anew.
 *
 *   index.c        opening and closing, how fresh it is
 *   index_file.c   its folder: may what lies there be used?
 *   index_env.c    databases and keys
 *   index_row.c    what is known of one device, and its entries
 *   index_step.c   walking and following
 *   index_count.c  what is counted by day
 *   index_find.c   questions
 *   index_report.c the health of certificates
 */
#ifndef TOUCHMARK_STORE_INDEX_H
#define TOUCHMARK_STORE_INDEX_H

#include "ca/index.h"
#include "ca/store.h"

struct ca_index;

/* Opens the index of the store whose folder is `path`, or makes it. Opens files: call it before the
 * process confines itself. TM_EIO, TM_EDENIED, TM_ENOMEM, logged: there is none then, and the store
 * serves without. */
MUST_USE enum tm_err store_index_open(struct ca_store *store, const char *path, uint64_t map_size,
                                      struct ca_index **ret_index);
/* Before the store is closed, when no step is under way. NULL-safe. */
void store_index_close(struct ca_index *index);

/* One bounded step; any one thread at a time. *ret_more: there is more to do at once. TM_EFULL: no
 * room, try again later. Other errors empty the index, or end its use. */
MUST_USE enum tm_err store_index_step(struct ca_index *index, bool *ret_more);

/* The next answers, at most `max`, each handed to `take`. May end before without any, since what is
 * looked at is bounded: *ret_end says whether there is more. For the loop's thread.
 * TM_EAGAIN: it is being built; TM_EINVAL: what cannot be asked; TM_ELIMIT: of more than 512
 * profiles at once; TM_EIO. */
MUST_USE enum tm_err store_index_find(struct ca_index *index, const struct ca_find *find,
                                      struct ca_find_cursor *cursor, size_t max,
                                      void (*take)(void *arg, const struct ca_found *found),
                                      void *arg, bool *ret_end);

/* The two are for the loop's thread. Is there something to do for a step? */
bool store_index_is_behind(struct ca_index *index);
void store_index_fresh(struct ca_index *index, int64_t now_ms, struct ca_fresh *ret);

/* Every tenant and profile there is anything of; `days` are counted back from today. Looks at what
 * expires within 90 days, so it takes time in proportion to that: for the thread of the steps.
 * TM_EAGAIN, TM_EIO. */
MUST_USE enum tm_err store_index_report(struct ca_index *index, int64_t now_ms, unsigned days,
                                        void (*take)(void *arg, const struct ca_health *health),
                                        void *arg);

/* Octets of its file that are in use. Any thread. */
uint64_t store_index_size(const struct ca_index *index);

#endif
