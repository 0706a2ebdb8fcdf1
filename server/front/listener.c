/* SPDX-License-Identifier: Apache-2.0 */
/* The accepting side of a front process. */
#include "server/front/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/front/quiet.h"

#define ACCEPTS_PER_ROUND 16
#define SHORTAGE_PAUSE_MS 100 /* no descriptors or memory: try again after that */

struct front_listener {
    struct loop *loop;
    int fd;
    bool paused;           /* by the caller */
    struct loop_fd *watch; /* NULL while paused or short of descriptors */
    struct loop_timer pause;
    front_accepted_fn *accepted;
    void *arg;
    struct front_quiet quiet;
};

static void unwatch(struct front_listener *listener) {
    loop_remove(listener->watch);
    listener->watch = NULL;
}

/* The socket stays ready while descriptors are short, so looking away is what saves the CPU. */
static void rest(struct front_listener *listener) {
    front_quiet_log(&listener->quiet, LOG_LEVEL_ERROR, 0, "cannot accept a connection: %s",
                    strerror(errno));
    unwatch(listener);
    if (loop_timer_set(listener->loop, &listener->pause, clock_mono_ms() + SHORTAGE_PAUSE_MS))
        log_error("cannot arm a timer: this process accepts no more connections");
}

static bool is_peers_fault(int error) {
    return error == EINTR || error == ECONNABORTED || error == EPROTO || error == EPERM;
}

static void accept_some(void *arg, uint32_t events) {
    (void)events;
    struct front_listener *listener = arg;
    for (int i = 0; i < ACCEPTS_PER_ROUND && listener->watch; i++) {
        union front_address address;
        socklen_t n = sizeof address;
        int fd = accept4(listener->fd, &address.any, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            listener->accepted(listener->arg, fd, &address);
        } else if (errno == EAGAIN) {
            return;
        } else if (!is_peers_fault(errno)) {
            rest(listener);
            return;
        }
    }
}

/* EPOLLEXCLUSIVE: one connection wakes one process, not all. */
static void watch(struct front_listener *listener) {
    if (listener->watch || listener->paused || listener->pause.slot)
        return;
    if (loop_add(listener->loop, listener->fd, EPOLLIN | EPOLLEXCLUSIVE, accept_some, listener,
                 &listener->watch))
        rest(listener);
}

static void rested(void *arg) {
    watch(arg);
}

static enum tm_err prepare(int fd) {
    int flags = fcntl(fd, F_GETFL);
    int on = 1;
    /* Accepted sockets inherit TCP_NODELAY: what is written is a whole flight or response. */
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0) {
        log_error("cannot prepare the listening socket: %s", strerror(errno));
        return TM_EIO;
    }
    return TM_OK;
}

enum tm_err front_listener_open(struct loop *loop, int listen_fd, front_accepted_fn *accepted,
                                void *arg, struct front_listener **ret_listener) {
    enum tm_err err = prepare(listen_fd);
    if (err)
        return err;
    struct front_listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return TM_ENOMEM;
    *listener = (struct front_listener){.loop = loop,
                                        .fd = listen_fd,
                                        .pause = {.fn = rested, .arg = listener},
                                        .accepted = accepted,
                                        .arg = arg};
    watch(listener);
    *ret_listener = listener;
    return TM_OK;
}

void front_listener_close(struct front_listener *listener) {
    if (!listener)
        return;
    unwatch(listener);
    loop_timer_stop(listener->loop, &listener->pause);
    free(listener);
}

void front_listener_pause(struct front_listener *listener) {
    listener->paused = true;
    unwatch(listener);
}

void front_listener_resume(struct front_listener *listener) {
    listener->paused = false;
    watch(listener);
}
