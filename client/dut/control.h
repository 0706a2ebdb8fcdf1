/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who takes units out and puts them in, and makes things go wrong, while the simulator runs: lines
 * on a Unix socket, each answered by "ok" or a sentence. Commands: touchmark-dut(1). One thread.
 */
#ifndef TOUCHMARK_DUT_CONTROL_H
#define TOUCHMARK_DUT_CONTROL_H

#include "client/dut/line.h"

struct dut_control {
    struct dut_line *line;
    int listener, peer; /* one at a time; -1: none */
    struct loop_fd *listening, *reading;
    struct wire_lines lines;
};

/* Listens at the path, which only this user may use. *line must outlive it; *ret must not move.
 * TM_EIO (logged). */
MUST_USE enum tm_err dut_control_open(struct dut_line *line, const char *path,
                                      struct dut_control *ret);
void dut_control_close(struct dut_control *control);

#endif
