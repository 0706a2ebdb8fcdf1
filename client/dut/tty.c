/* SPDX-License-Identifier: Apache-2.0 */
/* See tty.h. */
#include "client/dut/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/log.h"

#define WRITE_MS 2000

static enum tm_err failed(const char *what) {
    log_error("%s: %s", what, strerror(errno));
    return TM_EIO;
}

static bool prepare(int master) {
    int flags = fcntl(master, F_GETFL);
    return flags >= 0 && fcntl(master, F_SETFL, flags | O_NONBLOCK) == 0 &&
           fcntl(master, F_SETFD, FD_CLOEXEC) == 0;
}

/* One rename, so that the link is never missing while it changes. */
static enum tm_err set_link(const char *path, const char *link) {
    char fresh[PATH_MAX];
    int n = snprintf(fresh, sizeof fresh, "%s.new", link);
    if (n < 0 || (size_t)n >= sizeof fresh)
        return TM_EIO;
    (void)unlink(fresh);
    return symlink(path, fresh) || rename(fresh, link) ? failed(link) : TM_OK;
}

enum tm_err tty_open(const char *link, struct tty *ret) {
    struct tty tty = {-1, -1, "", NULL};
    struct termios raw = {0};
    cfmakeraw(&raw);
    raw.c_cflag |= CREAD | CLOCAL;
    if (openpty(&tty.master, &tty.slave, NULL, &raw, NULL) != 0)
        return failed("openpty");
    enum tm_err err = TM_OK;
    if (!prepare(tty.master) || ttyname_r(tty.slave, tty.path, sizeof tty.path) != 0)
        err = failed("tty");
    if (!err && link)
        err = set_link(tty.path, link);
    if (!err)
        tty.link = link;
    if (err)
        tty_close(&tty);
    else
        *ret = tty;
    return err;
}

/* The kernel gives the terminal's number to the next who opens one: nobody may still be led to it.
 */
void tty_close(struct tty *tty) {
    if (tty->link)
        (void)unlink(tty->link);
    tty->link = NULL;
    if (tty->master >= 0)
        (void)close(tty->master);
    if (tty->slave >= 0)
        (void)close(tty->slave);
    tty->master = tty->slave = -1;
}

enum tm_err tty_read(const struct tty *tty, uint8_t *ret, size_t cap, size_t *ret_n) {
    ssize_t n = read(tty->master, ret, cap);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return failed("tty");
    *ret_n = n > 0 ? (size_t)n : 0;
    return TM_OK;
}

void tty_write(const struct tty *tty, struct bytes data) {
    while (data.n > 0) {
        struct pollfd fd = {.fd = tty->master, .events = POLLOUT};
        ssize_t n = write(tty->master, data.p, data.n);
        if (n > 0)
            data = (struct bytes){data.p + n, data.n - (size_t)n};
        else if (n < 0 && errno != EAGAIN && errno != EINTR)
            return;
        else if (poll(&fd, 1, WRITE_MS) == 0)
            return;
    }
}

void tty_flush(const struct tty *tty) {
    (void)tcflush(tty->slave, TCIOFLUSH);
    (void)tcflush(tty->master, TCIOFLUSH);
}
