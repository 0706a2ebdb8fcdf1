/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated line: which unit is plugged in, and what happens to it. One thread, on a loop.
 */
#ifndef TOUCHMARK_DUT_LINE_H
#define TOUCHMARK_DUT_LINE_H

#include "base/loop.h"
#include "client/dut/faults.h"
#include "client/dut/tty.h"
#include "client/dut/unit.h"

struct dut_line {
    struct loop *loop;
    const struct unit_model *model;
    const char *link;                /* NULL: none */
    struct tty tty;                  /* closed while the line is dead */
    struct loop_fd *watch;           /* of the terminal; NULL likewise */
    struct loop_timer repair, power; /* when the line, or the unit's power, comes back */
    char plugged[WIRE_NAME_MAX + 1]; /* ID; "": none is */
    bool powered;                    /* is `unit` one? */
    struct unit unit;
    struct faults faults;
    struct wire_lines lines; /* from the station */
};

/* Opens the terminal and says its path on standard output. *loop and *model must outlive it; *ret
 * must not move. TM_EIO (logged). */
MUST_USE enum tm_err dut_line_open(struct loop *loop, const struct unit_model *model,
                                   const char *link, struct dut_line *ret);
void dut_line_close(struct dut_line *line);

/* Takes out the unit that is in, and puts in this one; "": none. As unit_power_on. */
MUST_USE enum tm_err dut_line_plug(struct dut_line *line, const char *id);

#endif
