/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices for a store that is to be measured: put in with three certificates each, in transactions
 * as issuance makes them, and then renewed.
 */
#ifndef TOUCHMARK_BENCH_STORE_FILL_H
#define TOUCHMARK_BENCH_STORE_FILL_H

#include "base/loop.h"
#include "ca/store.h"

#define FILL_CERTS 3
#define FILL_IN_FLIGHT 128 /* batches */

struct filling {
    const char *tenant;
    const char *prefix; /* of the devices' IDs */
    unsigned long devices;
    struct loop *loop;
    struct ca_store *store;
    int64_t now_ms;  /* of the records; moves on */
    uint64_t random; /* state of fill_random */
    /* Its own. */
    uint64_t serial;
    unsigned long wanted, begun, done;
    bool renews;
    enum tm_err err;
};

/* The next of a row of numbers (SplitMix64). */
uint64_t fill_random(uint64_t *state);
/* Puts all devices in. What submit and the loop return; TM_ENOMEM. */
MUST_USE enum tm_err fill_devices(struct filling *filling);
/* Renews one certificate of each of so many of them, chosen at random. */
MUST_USE enum tm_err fill_renew(struct filling *filling, unsigned long count);

#endif
