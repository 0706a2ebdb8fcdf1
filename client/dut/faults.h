/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong with a simulated unit or its line, and when: touchmark-dut(1). One thread. */
#ifndef TOUCHMARK_DUT_FAULTS_H
#define TOUCHMARK_DUT_FAULTS_H

#include "client/dut/flash.h"
#include "client/station/wire/wire.h"

/* Counts are of questions since the fault was set, from 1; 0: it is not set. */
struct faults {
    uint64_t drop_line;
    uint64_t power_cut;
    uint32_t power_cut_writes; /* writes that the question still makes; FLASH_UNLIMITED: it is not
                                  even looked at */
    uint64_t swap;
    char swap_to[WIRE_NAME_MAX + 1];
    uint64_t slow_ms; /* every answer comes so much later */
    bool garbage, wrong_key, refuses_lock, fails_test, bad_read;
};

/* Sets one: "drop-line:N", "power-cut:N", "power-cut:N:WRITES", "swap:N:ID", "slow:MS", "garbage",
 * "wrong-key", "refuses-lock", "fails-test" or "bad-read". TM_EPARSE. */
MUST_USE enum tm_err faults_set(struct faults *faults, const char *text);

/* Is this question the one that the fault is for? Counts down; true once. */
bool faults_due(uint64_t *count);

#endif
