/* SPDX-License-Identifier: Apache-2.0 */
/* See serial.h. */
#include "client/station/serial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <termios.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"

#define REOPEN_MS 50 /* between two tries at a line that is not there */

void serial_init(struct serial *serial, const char *path, unsigned long baud, int stop_fd) {
    *serial = (struct serial){.path = path, .baud = baud, .stop_fd = stop_fd, .fd = -1};
    serial->next_id = (uint64_t)clock_wall_ms() & WIRE_INTEGER_MAX;
}

void serial_close(struct serial *serial) {
    if (serial->fd >= 0)
        (void)close(serial->fd);
    serial->fd = -1;
    memset(&serial->lines, 0, sizeof serial->lines);
}

void serial_number(struct serial *serial, struct wire_question *question) {
    question->id = serial->next_id++;
}

/* ---- the line ---- */

static speed_t speed_of(unsigned long baud) {
    static const struct {
        unsigned long baud;
        speed_t speed;
    } speeds[] = {{9600, B9600},     {19200, B19200},   {38400, B38400},   {57600, B57600},
                  {115200, B115200}, {230400, B230400}, {460800, B460800}, {921600, B921600}};
    for (size_t i = 0; i < sizeof speeds / sizeof speeds[0]; i++)
        if (speeds[i].baud == baud)
            return speeds[i].speed;
    return B115200;
}

/* 8N1, no flow control, nothing echoed or changed. */
static bool set_up(int fd, unsigned long baud) {
    struct termios t;
    if (tcgetattr(fd, &t))
        return false;
    cfmakeraw(&t);
    t.c_cflag |= CREAD | CLOCAL;
    t.c_cflag &= ~(tcflag_t)(CSTOPB | CRTSCTS);
    return cfsetspeed(&t, speed_of(baud)) == 0 && tcsetattr(fd, TCSANOW, &t) == 0;
}

/* What the unit said to nobody is of no use. */
static bool is_open(struct serial *serial) {
    if (serial->fd >= 0)
        return true;
    AUTO_FD int fd = open(serial->path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || !set_up(fd, serial->baud) || flock(fd, LOCK_EX | LOCK_NB))
        return false;
    (void)tcflush(fd, TCIFLUSH);
    serial->fd = TAKE_FD(fd);
    return true;
}

static void lose(struct serial *serial) {
    log_info("%s: the line is gone", serial->path);
    serial_close(serial);
}

/* ---- waiting ---- */

/* Until the line is ready for `events`, or the time is over. */
static enum tm_err wait_for(const struct serial *serial, short events, int64_t until_ms) {
    struct pollfd fds[2] = {{.fd = serial->stop_fd, .events = POLLIN},
                            {.fd = events ? serial->fd : -1, .events = events}};
    int64_t left = until_ms - clock_mono_ms();
    int n = poll(fds, 2, left <= 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left);
    if (n > 0 && fds[0].revents)
        return TM_ECLOSED;
    return n > 0 || (n < 0 && errno == EINTR) ? TM_OK : TM_ETIMEOUT;
}

enum tm_err serial_pause(const struct serial *serial, int64_t ms) {
    enum tm_err err = wait_for(serial, 0, clock_mono_ms() + ms);
    return err == TM_ETIMEOUT ? TM_OK : err;
}

static enum tm_err await_line(struct serial *serial, int64_t until_ms) {
    while (!is_open(serial)) {
        if (clock_mono_ms() >= until_ms)
            return TM_ETIMEOUT;
        enum tm_err err = serial_pause(serial, REOPEN_MS);
        if (err)
            return err;
    }
    return TM_OK;
}

/* ---- question and answer ---- */

static enum tm_err send_line(struct serial *serial, struct bytes line, int64_t until_ms) {
    while (line.n > 0) {
        ssize_t n = write(serial->fd, line.p, line.n);
        if (n > 0) {
            line = (struct bytes){line.p + n, line.n - (size_t)n};
            continue;
        }
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            lose(serial);
            return TM_ETIMEOUT;
        }
        enum tm_err err = wait_for(serial, POLLOUT, until_ms);
        if (err)
            return err;
    }
    return TM_OK;
}

/* Asked, but not answered yet: TM_EAGAIN. */
static enum tm_err take_lines(struct serial *serial, struct bytes in,
                              const struct wire_question *question, struct buf *room,
                              struct wire_answer *ret, char ret_text[WIRE_TEXT_MAX + 1]) {
    struct bytes line;
    while (wire_lines_take(&serial->lines, &in, &line)) {
        enum tm_err err =
            wire_answer_read(line, question->id, (enum wire_op)question->op, room, ret, ret_text);
        if (err != TM_ENOTFOUND)
            return err;
    }
    return TM_EAGAIN;
}

static enum tm_err receive(struct serial *serial, const struct wire_question *question,
                           int64_t until_ms, struct buf *room, struct wire_answer *ret,
                           char ret_text[WIRE_TEXT_MAX + 1]) {
    for (;;) {
        uint8_t octets[4096];
        enum tm_err err = wait_for(serial, POLLIN, until_ms);
        if (err)
            return err;
        ssize_t n = read(serial->fd, octets, sizeof octets);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            lose(serial);
            return TM_ETIMEOUT;
        }
        if (n > 0) {
            err = take_lines(serial, (struct bytes){octets, (size_t)n}, question, room, ret,
                             ret_text);
            if (err != TM_EAGAIN)
                return err;
        }
    }
}

enum tm_err serial_ask(struct serial *serial, const struct wire_question *question,
                       int64_t timeout_ms, struct buf *room, struct wire_answer *ret,
                       char ret_text[WIRE_TEXT_MAX + 1]) {
    uint8_t text[WIRE_LINE_MAX];
    struct buf line = BUF_ON(text);
    int64_t until_ms = clock_mono_ms() + timeout_ms;
    enum tm_err err = wire_question_write(question, &line);
    if (!err)
        err = await_line(serial, until_ms);
    if (!err)
        err = send_line(serial, buf_bytes(&line), until_ms);
    return err ? err : receive(serial, question, until_ms, room, ret, ret_text);
}
