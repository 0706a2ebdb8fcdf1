/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A simulated unit: what it answers, from what is in its flash. Whatever is not there is lost when
 * its power is. One thread.
 */
#ifndef TOUCHMARK_DUT_UNIT_H
#define TOUCHMARK_DUT_UNIT_H

#include "client/dut/faults.h"
#include "client/dut/flash.h"

/* What all units on this line are. */
struct unit_model {
    const char *flash; /* folder with one folder per unit */
    const char *product, *hardware, *firmware;
};

struct unit {
    const struct unit_model *model;
    struct flash flash;
    char id[WIRE_NAME_MAX + 1];
    uint64_t boot;
    size_t question_n, answer_n; /* the last ones, for a question that is repeated */
    uint8_t question[WIRE_LINE_MAX], answer[WIRE_LINE_MAX];
};

/* Counts the start in its flash. *model must outlive it. TM_EINVAL: an ID that is no folder's name;
 * others as flash_open. */
MUST_USE enum tm_err unit_power_on(const struct unit_model *model, const char *id,
                                   struct unit *ret);
/* Forgets all but the flash. */
void unit_power_off(struct unit *unit);

/* Appends the answer to a line that came in, with its LF; nothing when it is none that wants one.
 * TM_ECLOSED: its power was cut in between. */
MUST_USE enum tm_err unit_answer(struct unit *unit, const struct faults *faults, struct bytes line,
                                 struct buf *out);

#endif
