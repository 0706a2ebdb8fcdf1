/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl's sockets and its timer on the role's loop: see upstream.h. */
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/upstream/upstream.h"

/* One of libcurl's sockets, for as long as it is interested in it. */
struct watch {
    struct upstream_sockets *sockets;
    curl_socket_t fd;
    struct loop_fd *on_loop;
};

static void act(struct upstream_sockets *sockets, curl_socket_t fd, int what) {
    int running;
    if (curl_multi_socket_action(sockets->multi, fd, what, &running))
        log_error("libcurl cannot go on");
    sockets->moved(sockets->arg);
}

static void socket_ready(void *arg, uint32_t events) {
    const struct watch *watch = arg;
    int what = (events & EPOLLIN ? CURL_CSELECT_IN : 0) |
               (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
               (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
    act(watch->sockets, watch->fd, what);
}

static void time_over(void *arg) {
    act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static uint32_t events_of(int what) {
    return (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) |
           (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0);
}

static void forget(struct watch *watch) {
    loop_remove(watch->on_loop);
    free(watch);
}

static int watch_new(struct upstream_sockets *sockets, curl_socket_t fd, int what) {
    struct watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return -1;
    *watch = (struct watch){.sockets = sockets, .fd = fd};
    if (loop_add(sockets->loop, fd, events_of(what), socket_ready, watch, &watch->on_loop) ||
        curl_multi_assign(sockets->multi, fd, watch)) {
        forget(watch);
        return -1;
    }
    return 0;
}

static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *arg, void *known) {
    struct watch *watch = known;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watch)
            forget(watch);
        return 0;
    }
    if (!watch)
        return watch_new(arg, fd, what);
    return loop_change(watch->on_loop, events_of(what)) ? -1 : 0;
}

static int timer_wanted(CURLM *multi, long ms, void *arg) {
    struct upstream_sockets *sockets = arg;
    (void)multi;
    if (ms < 0) {
        loop_timer_stop(sockets->loop, &sockets->timer);
        return 0;
    }
    return loop_timer_set(sockets->loop, &sockets->timer, clock_mono_ms() + ms) ? -1 : 0;
}

enum tm_err upstream_sockets_open(struct upstream_sockets *sockets, struct loop *loop,
                                  long connections, void (*moved)(void *arg), void *arg) {
    CURLM *multi = curl_multi_init();
    if (!multi)
        return TM_ENOMEM;
    *sockets = (struct upstream_sockets){.loop = loop, .multi = multi, .moved = moved, .arg = arg};
    sockets->timer = (struct loop_timer){.fn = time_over, .arg = sockets};
    bool good = curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, socket_wanted) == CURLM_OK &&
                curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, sockets) == CURLM_OK &&
                curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, timer_wanted) == CURLM_OK &&
                curl_multi_setopt(multi, CURLMOPT_TIMERDATA, sockets) == CURLM_OK &&
                curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, connections) == CURLM_OK &&
                curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, connections) == CURLM_OK;
    if (good)
        return TM_OK;
    upstream_sockets_close(sockets);
    return TM_ENOMEM;
}

void upstream_sockets_close(struct upstream_sockets *sockets) {
    if (!sockets->multi)
        return;
    (void)curl_multi_cleanup(sockets->multi); /* tells us of the sockets that it closes */
    loop_timer_stop(sockets->loop, &sockets->timer);
    sockets->multi = NULL;
}
