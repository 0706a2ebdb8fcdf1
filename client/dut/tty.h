/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated unit's end of a serial line: a pseudo terminal, and a link by which it is found
 * under the same path whenever it comes back. One thread. */
#ifndef TOUCHMARK_DUT_TTY_H
#define TOUCHMARK_DUT_TTY_H

#include <limits.h>

#include "base/bytes.h"

struct tty {
    int master, slave; /* the slave stays open here, so that the station may come and go; -1: the
                          line is dead */
    char path[PATH_MAX];
    const char *link; /* that leads to it, borrowed; NULL: none */
};

/* Makes the terminal, raw and without echo, and lets `link`, unless it is NULL, lead to it.
 * TM_EIO (logged). */
MUST_USE enum tm_err tty_open(const char *link, struct tty *ret);
/* Who has it open sees a hang-up. Idempotent. */
void tty_close(struct tty *tty);

/* What came in since the last call; *ret_n 0: nothing. TM_EIO. */
MUST_USE enum tm_err tty_read(const struct tty *tty, uint8_t *ret, size_t cap, size_t *ret_n);
/* What nobody takes within two seconds is lost, as on a serial line. */
void tty_write(const struct tty *tty, struct bytes data);
/* Drops what is under way in both directions. */
void tty_flush(const struct tty *tty);

#endif
