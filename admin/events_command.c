/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log for a consumer. A page is acknowledged by asking for the next, once it has been
 * written: who ends in between gets it again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "admin/command.h"

static int print_leaf(void *arg, struct bytes json) {
    (void)arg;
    return admin_put_row(stdout, json);
}

static int end_page(void *arg, size_t rows, bool *ret_enough) {
    const struct admin_call *call = arg;
    if (fflush(stdout)) {
        fprintf(stderr, "touchmark: writing failed: %s\n", strerror(errno));
        return EX_IOERR;
    }
    *ret_enough = rows == 0 && !call->follow;
    return EX_OK;
}

int admin_events(struct admin_call *call) {
    const struct admin_taker taker = {print_leaf, end_page, call};
    call->request.all = call->follow;
    int code = admin_each(call, &taker);
    if (code != EX_OK || !call->limit || !call->request.officer[0])
        return code;
    /* Nothing more is asked for that would acknowledge the last page. */
    call->request.all = false;
    TEXT_SET(call->request.state, "ack");
    return admin_each(call, &taker);
}
