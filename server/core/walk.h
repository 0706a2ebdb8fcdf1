/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A walk over the certificates that a selection takes, on the worker's thread, part by part: each
 * part brings serials to act upon, or only counts. A selection of one device reads just what
 * is stored of that device. One loop's thread.
 */
#ifndef TOUCHMARK_SERVER_CORE_WALK_H
#define TOUCHMARK_SERVER_CORE_WALK_H

#include "ca/act_selection.h"
#include "server/core/worker.h"

#define CORE_WALK_FOUND_MAX 256

struct core_walk {
    /* Set these first. */
    struct ca_store *store;
    struct core_worker *worker;
    struct ca_selection selection;
    bool collect;            /* serials, a part of at most CORE_WALK_FOUND_MAX; else count all */
    struct ca_serial cursor; /* the last that was looked at; a part begins after it */
    void (*done)(struct core_walk *walk); /* after each part, on the loop's thread */
    void *arg;
    /* What the part brought. */
    enum tm_err err;
    bool end;         /* there is no more */
    uint64_t good;    /* counted */
    uint64_t revoked; /* counted */
    size_t found_count;
    struct ca_serial found[CORE_WALK_FOUND_MAX]; /* good ones and revoked ones */
    /* The walk's own. */
    struct core_job job;
    struct ca_scan *scan;
};

/* Asks for the next part; `done` may be called at once. Errors come by way of `done`. */
void core_walk_next(struct core_walk *walk);
/* No part may be under way, or the worker has ended. Before the store is closed. */
void core_walk_close(struct core_walk *walk);

#endif
