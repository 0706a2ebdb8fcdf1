/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking the person at the terminal for what nobody may see: a PIN, a passphrase. It is the
 * process's own terminal, whatever standard input is.
 */
#ifndef TOUCHMARK_BASE_TERMINAL_H
#define TOUCHMARK_BASE_TERMINAL_H

#include <termios.h>

#include "base/err.h"

struct terminal {
    int fd; /* one line may be read from it */
    struct termios normal;
};

/* Shows "what: " once nothing that is typed is echoed any more. TM_ENOTFOUND: there is no terminal;
 * TM_EIO: it cannot be told not to echo. */
MUST_USE enum tm_err terminal_ask(const char *what, struct terminal *ret);
/* Echoes again, and forgets what was typed and not read. */
void terminal_close(struct terminal *terminal);

#endif
