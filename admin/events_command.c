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
    return printf("%.*s\n", (int)json.n, (const char *)json.p) < 0 ? EX_IOERR : EX_OK;
}

static int end_page(void *arg, const char *cursor, size_t rows, bool *ret_enough) {
    const struct admin_call *call = arg;
    (void)cursor;
    if (fflush(stdout)) {
        fprintf(stderr, "touchmark: writing failed: %s\n", strerror(errno));
        return EX_IOERR;
    }
    *ret_enough = rows == 0 && !call->follow;
    return EX_OK;
}

int admin_events(struct admin_call *call) {
    const struct admin_pages pages = {print_leaf, end_page, call};
    call->request.all = call->follow;
    int code = admin_request_pages(call, &pages);
    if (code != EX_OK || !call->limit || !call->request.officer[0])
        return code;
    /* Nothing more is asked for that would acknowledge the last page. */
    call->request.all = false;
    TEXT_SET(call->request.state, "ack");
    return admin_request_pages(call, &pages);
}
