/* SPDX-License-Identifier: Apache-2.0 */
/* See terminal.h. */
#include "base/terminal.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/auto.h"

enum tm_err terminal_ask(const char *what, struct terminal *ret) {
    AUTO_FD int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
    struct termios normal;
    if (fd < 0 || tcgetattr(fd, &normal) < 0)
        return TM_ENOTFOUND;
    struct termios quiet = normal;
    quiet.c_lflag = (quiet.c_lflag & ~(tcflag_t)ECHO) | ICANON;
    if (tcsetattr(fd, TCSAFLUSH, &quiet) < 0)
        return TM_EIO;
    (void)dprintf(fd, "%s: ", what);
    *ret = (struct terminal){.fd = TAKE_FD(fd), .normal = normal};
    return TM_OK;
}

void terminal_close(struct terminal *terminal) {
    (void)dprintf(terminal->fd, "\n");
    (void)tcsetattr(terminal->fd, TCSAFLUSH, &terminal->normal);
    (void)close(terminal->fd);
}
