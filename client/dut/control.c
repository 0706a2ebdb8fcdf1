/* SPDX-License-Identifier: Apache-2.0 */
/* See control.h. */
#include "client/dut/control.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

#define COMMAND_MAX 256

/* ---- commands ---- */

static const char *plug(struct dut_line *line, const char *id) {
    return dut_line_plug(line, id) ? "the unit cannot be plugged in" : "ok";
}

static const char *unplug(struct dut_line *line, const char *nothing) {
    (void)nothing;
    return plug(line, "");
}

static const char *set_fault(struct dut_line *line, const char *text) {
    return faults_set(&line->faults, text) ? "there is no such fault" : "ok";
}

static const char *clear(struct dut_line *line, const char *nothing) {
    (void)nothing;
    line->faults = (struct faults){0};
    return "ok";
}

static const struct {
    const char *name;
    bool argument;
    const char *(*run)(struct dut_line *, const char *);
} commands[] = {
    {"plug", true, plug},
    {"unplug", false, unplug},
    {"fault", true, set_fault},
    {"clear", false, clear},
};

static const char *run(struct dut_line *line, struct bytes text) {
    char command[COMMAND_MAX];
    if (text.n >= sizeof command || memchr(text.p, '\0', text.n))
        return "that is too long";
    memcpy(command, text.p, text.n);
    command[text.n] = '\0';
    char *space = strchr(command, ' ');
    if (space)
        *space = '\0';
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(command, commands[i].name) == 0 && commands[i].argument == (space != NULL))
            return commands[i].run(line, space ? space + 1 : "");
    return "there is no such command";
}

/* ---- the socket ---- */

static void hang_up(struct dut_control *control) {
    loop_remove(control->reading);
    control->reading = NULL;
    if (control->peer >= 0)
        (void)close(control->peer);
    control->peer = -1;
    memset(&control->lines, 0, sizeof control->lines);
}

static bool reply(const struct dut_control *control, const char *text) {
    size_t n = strlen(text);
    return send(control->peer, text, n, MSG_NOSIGNAL) == (ssize_t)n &&
           send(control->peer, "\n", 1, MSG_NOSIGNAL) == 1;
}

static void on_command(void *arg, uint32_t events) {
    struct dut_control *control = arg;
    uint8_t octets[COMMAND_MAX];
    (void)events;
    ssize_t n = read(control->peer, octets, sizeof octets);
    if (n <= 0) {
        if (n == 0 || errno != EINTR)
            hang_up(control);
        return;
    }
    struct bytes in = {octets, (size_t)n}, text;
    while (wire_lines_take(&control->lines, &in, &text))
        if (!reply(control, run(control->line, text))) {
            hang_up(control);
            return;
        }
}

static void on_peer(void *arg, uint32_t events) {
    struct dut_control *control = arg;
    (void)events;
    int peer = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC);
    if (peer < 0)
        return;
    hang_up(control);
    control->peer = peer;
    if (loop_add(control->line->loop, peer, EPOLLIN, on_command, control, &control->reading))
        hang_up(control);
}

static int listen_at(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    TEXT_SET(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)unlink(path);
    mode_t before = umask(0177);
    bool good =
        fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 4) == 0;
    (void)umask(before);
    if (!good && fd >= 0)
        (void)close(fd);
    return good ? fd : -1;
}

enum tm_err dut_control_open(struct dut_line *line, const char *path, struct dut_control *ret) {
    memset(ret, 0, sizeof *ret);
    ret->line = line;
    ret->peer = -1;
    ret->listener = listen_at(path);
    if (ret->listener < 0) {
        log_error("%s: %s", path, strerror(errno));
        return TM_EIO;
    }
    enum tm_err err = loop_add(line->loop, ret->listener, EPOLLIN, on_peer, ret, &ret->listening);
    if (err)
        dut_control_close(ret);
    return err;
}

void dut_control_close(struct dut_control *control) {
    hang_up(control);
    loop_remove(control->listening);
    control->listening = NULL;
    if (control->listener >= 0)
        (void)close(control->listener);
    control->listener = -1;
}
