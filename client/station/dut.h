/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unit on the station, as steps use it. Before each question that changes the unit, and after
 * each silence, hello is asked: when another ID answers the outcome is OUTCOME_WRONG_UNIT, when the
 * unit started again OUTCOME_RESTARTED. So what is meant for one unit never goes to another,
 * however the line fails. Other outcomes: OUTCOME_FAILED (what the unit says is not right),
 * OUTCOME_LINE, OUTCOME_INTERRUPTED. All but OUTCOME_DONE come with a reason. One thread.
 */
#ifndef TOUCHMARK_STATION_DUT_H
#define TOUCHMARK_STATION_DUT_H

#include "client/station/manifest.h"
#include "client/station/outcome.h"
#include "client/station/serial.h"

struct dut {
    struct serial serial;
    const struct manifest *manifest;
    char id[WIRE_NAME_MAX + 1];   /* that has to be on the station */
    char last[WIRE_NAME_MAX + 1]; /* the one before, which may still be there; "": none */
    uint64_t boot;
    enum wire_state state;      /* as hello said it */
    uint8_t room[WIRE_DER_MAX]; /* of the last answer */
};

/* *manifest must outlive it. */
void dut_init(struct dut *dut, const struct manifest *manifest, int stop_fd);
void dut_close(struct dut *dut);

/* Whatever unit is there: its hello, within the time for a unit. */
enum outcome dut_hello(struct dut *dut, struct wire_answer *ret, struct why *ret_why);

/* Waits until the unit with this ID is on the station; the last one may still be there for so long.
 * Its product has to be the manifest's. */
enum outcome dut_await(struct dut *dut, const char *id, struct why *ret_why);
/* Is it still, and did it not start again? Sets `state`. */
enum outcome dut_check(struct dut *dut, struct why *ret_why);

/* A question to this unit, whose ID goes into it; the answer borrows from dut->room until the next
 * one. An answer that is not `ok` is OUTCOME_FAILED. */
enum outcome dut_ask(struct dut *dut, struct wire_question *question, struct wire_answer *ret,
                     struct why *ret_why);

#endif
