/* SPDX-License-Identifier: Apache-2.0 */
/* The epoll loop: descriptors, a binary heap of timers, wake-ups. */
#include "base/loop.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define BATCH 64

struct loop_fd {
    struct loop *loop;
    int fd;
    uint32_t events;
    loop_fd_fn *fn; /* NULL once removed */
    void *arg;
    struct loop_fd *prev, *next;
};

struct loop {
    int epoll;
    int wake;
    bool stopping;
    struct loop_fd *live; /* so that loop_free can free what was never removed */
    struct loop_fd *dead; /* removed ones: the batch being handled may still name them */
    struct loop_timer **heap;
    size_t heap_count, heap_cap;
    loop_fn *on_wake;
    void *on_wake_arg;
    loop_fn *after_round;
    void *after_round_arg;
};

static void loop_woken(struct loop *loop) {
    uint64_t count;
    (void)!read(loop->wake, &count, sizeof count);
    if (loop->on_wake)
        loop->on_wake(loop->on_wake_arg);
}

enum tm_err loop_new(struct loop **ret_loop) {
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return TM_ENOMEM;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = loop};
    if (loop->epoll < 0 || loop->wake < 0 ||
        epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->wake, &event) < 0) {
        log_error("cannot create an epoll loop: %s", strerror(errno));
        loop_free(loop);
        return TM_EIO;
    }
    *ret_loop = loop;
    return TM_OK;
}

static void free_list(struct loop_fd **list) {
    while (*list) {
        struct loop_fd *watch = *list;
        *list = watch->next;
        free(watch);
    }
}

void loop_free(struct loop *loop) {
    if (!loop)
        return;
    free_list(&loop->live);
    free_list(&loop->dead);
    free(loop->heap);
    if (loop->epoll >= 0)
        (void)close(loop->epoll);
    if (loop->wake >= 0)
        (void)close(loop->wake);
    free(loop);
}

enum tm_err loop_add(struct loop *loop, int fd, uint32_t events, loop_fd_fn *fn, void *arg,
                     struct loop_fd **ret_watch) {
    struct loop_fd *watch = malloc(sizeof *watch);
    if (!watch)
        return TM_ENOMEM;
    *watch = (struct loop_fd){.loop = loop, .fd = fd, .events = events, .fn = fn, .arg = arg};
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        log_error("cannot watch descriptor %d: %s", fd, strerror(errno));
        free(watch);
        return TM_EIO;
    }
    watch->next = loop->live;
    if (loop->live)
        loop->live->prev = watch;
    loop->live = watch;
    *ret_watch = watch;
    return TM_OK;
}

enum tm_err loop_change(struct loop_fd *watch, uint32_t events) {
    if (watch->events == events)
        return TM_OK;
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(watch->loop->epoll, EPOLL_CTL_MOD, watch->fd, &event) < 0) {
        log_error("cannot change the events of descriptor %d: %s", watch->fd, strerror(errno));
        return TM_EIO;
    }
    watch->events = events;
    return TM_OK;
}

void loop_remove(struct loop_fd *watch) {
    if (!watch)
        return;
    struct loop *loop = watch->loop;
    (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    if (watch->prev)
        watch->prev->next = watch->next;
    else
        loop->live = watch->next;
    if (watch->next)
        watch->next->prev = watch->prev;
    watch->fn = NULL;
    watch->next = loop->dead;
    loop->dead = watch;
}

static void heap_place(struct loop *loop, size_t i, struct loop_timer *timer) {
    loop->heap[i] = timer;
    timer->slot = i + 1;
}

static void heap_up(struct loop *loop, size_t i) {
    struct loop_timer *timer = loop->heap[i];
    while (i > 0 && loop->heap[(i - 1) / 2]->at > timer->at) {
        heap_place(loop, i, loop->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_place(loop, i, timer);
}

static void heap_down(struct loop *loop, size_t i) {
    struct loop_timer *timer = loop->heap[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= loop->heap_count)
            break;
        if (child + 1 < loop->heap_count && loop->heap[child + 1]->at < loop->heap[child]->at)
            child++;
        if (loop->heap[child]->at >= timer->at)
            break;
        heap_place(loop, i, loop->heap[child]);
        i = child;
    }
    heap_place(loop, i, timer);
}

static enum tm_err heap_grow(struct loop *loop) {
    if (loop->heap_count < loop->heap_cap)
        return TM_OK;
    size_t cap = loop->heap_cap ? 2 * loop->heap_cap : 64;
    struct loop_timer **heap = reallocarray(loop->heap, cap, sizeof(struct loop_timer *));
    if (!heap)
        return TM_ENOMEM;
    loop->heap = heap;
    loop->heap_cap = cap;
    return TM_OK;
}

enum tm_err loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t at_mono_ms) {
    if (timer->slot == 0) {
        enum tm_err err = heap_grow(loop);
        if (err)
            return err;
        heap_place(loop, loop->heap_count++, timer);
    }
    timer->at = at_mono_ms;
    heap_up(loop, timer->slot - 1);
    heap_down(loop, timer->slot - 1);
    return TM_OK;
}

void loop_timer_stop(struct loop *loop, struct loop_timer *timer) {
    if (timer->slot == 0)
        return;
    size_t i = timer->slot - 1;
    struct loop_timer *last = loop->heap[--loop->heap_count];
    timer->slot = 0;
    if (last == timer)
        return;
    heap_place(loop, i, last);
    heap_up(loop, i);
    heap_down(loop, last->slot - 1);
}

/* Fires what is due at `now`, each timer that was armed before at most once: a handler that
 * arms its timer for the past cannot keep the descriptors from their turn. */
static void fire_timers(struct loop *loop, int64_t now) {
    for (size_t left = loop->heap_count; left > 0; left--) {
        if (loop->heap_count == 0 || loop->heap[0]->at > now)
            return;
        struct loop_timer *timer = loop->heap[0];
        loop_timer_stop(loop, timer);
        timer->fn(timer->arg);
    }
}

static int wait_ms(const struct loop *loop) {
    if (loop->heap_count == 0)
        return -1;
    int64_t left = loop->heap[0]->at - clock_mono_ms();
    if (left <= 0)
        return 0;
    return left > INT_MAX ? INT_MAX : (int)left;
}

void loop_after_round(struct loop *loop, loop_fn *fn, void *arg) {
    loop->after_round = fn;
    loop->after_round_arg = arg;
}

static void dispatch(struct loop *loop, const struct epoll_event *event) {
    if (event->data.ptr == loop) {
        loop_woken(loop);
        return;
    }
    struct loop_fd *watch = event->data.ptr;
    if (watch->fn)
        watch->fn(watch->arg, event->events);
}

static enum tm_err run_round(struct loop *loop) {
    struct epoll_event events[BATCH];
    int n = epoll_wait(loop->epoll, events, BATCH, wait_ms(loop));
    if (n < 0 && errno != EINTR) {
        log_error("epoll_wait failed: %s", strerror(errno));
        return TM_EIO;
    }
    for (int i = 0; i < n; i++)
        dispatch(loop, &events[i]);
    fire_timers(loop, clock_mono_ms());
    if (loop->after_round)
        loop->after_round(loop->after_round_arg);
    free_list(&loop->dead);
    return TM_OK;
}

enum tm_err loop_run(struct loop *loop) {
    enum tm_err err = TM_OK;
    while (!loop->stopping && !err)
        err = run_round(loop);
    loop->stopping = false;
    return err;
}

void loop_stop(struct loop *loop) {
    loop->stopping = true;
}

void loop_on_wake(struct loop *loop, loop_fn *fn, void *arg) {
    loop->on_wake = fn;
    loop->on_wake_arg = arg;
}

void loop_wake(struct loop *loop) {
    uint64_t one = 1;
    (void)!write(loop->wake, &one, sizeof one); /* full means: a wake-up is pending already */
}
