/* SPDX-License-Identifier: Apache-2.0 */
/* The epoll loop on real descriptors: order of timers, removal inside a batch, wake-ups. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/loop.h"

#define TIMERS 500

struct timed {
    struct loop_timer timer;
    struct fixture *fixture;
    int64_t due;
    bool stopped;
    unsigned fired;
};

struct watched {
    struct fixture *fixture;
    struct loop_fd *watch;
    int fd;
    unsigned calls;
};

struct fixture {
    struct loop *loop;
    struct timed timers[TIMERS];
    struct watched fds[8];
    size_t left;
    int64_t last_due;
    unsigned rounds, wakes;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    return f ? (int)loop_new(&f->loop) : -1;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    loop_free(f->loop);
    free(f);
    return 0;
}

static void stop(void *arg) {
    struct fixture *f = arg;
    loop_stop(f->loop);
}

static void run(struct fixture *f) {
    assert_int_equal(loop_run(f->loop), TM_OK);
}

static void timed_fires(void *arg) {
    struct timed *t = arg;
    struct fixture *f = t->fixture;
    t->fired++;
    assert_false(t->stopped);
    assert_true(t->due >= f->last_due);
    assert_true(clock_mono_ms() >= t->due);
    f->last_due = t->due;
    if (--f->left == 0)
        loop_stop(f->loop);
}

/* Timers set in a scattered order, a third moved, a third stopped: those left fire once each,
 * in order, never early. */
static void test_timers_fire_in_order(void **state) {
    struct fixture *f = *state;
    int64_t start = clock_mono_ms();
    for (size_t i = 0; i < TIMERS; i++) {
        struct timed *t = &f->timers[i];
        *t = (struct timed){.fixture = f, .due = start + (int64_t)(i * 7919 % 61)};
        t->timer = (struct loop_timer){.fn = timed_fires, .arg = t};
        assert_int_equal(loop_timer_set(f->loop, &t->timer, t->due), TM_OK);
    }
    f->left = TIMERS;
    for (size_t i = 0; i < TIMERS; i++) {
        struct timed *t = &f->timers[i];
        if (i % 3 == 1) {
            t->due = start + (int64_t)(i * 104729 % 53);
            assert_int_equal(loop_timer_set(f->loop, &t->timer, t->due), TM_OK);
        } else if (i % 3 == 2) {
            t->stopped = true;
            loop_timer_stop(f->loop, &t->timer);
            loop_timer_stop(f->loop, &t->timer);
            f->left--;
        }
    }
    run(f);
    for (size_t i = 0; i < TIMERS; i++)
        assert_int_equal(f->timers[i].fired, i % 3 == 2 ? 0 : 1);
}

static void watched_removes_others(void *arg, uint32_t events) {
    struct watched *w = arg;
    struct fixture *f = w->fixture;
    w->calls++;
    assert_true(events & EPOLLIN);
    for (size_t i = 0; i < 8; i++) {
        loop_remove(f->fds[i].watch);
        f->fds[i].watch = NULL;
    }
}

/* All eight are ready in one batch; the first handler removes all: exactly one call. */
static void test_removed_are_not_called_in_the_batch(void **state) {
    struct fixture *f = *state;
    for (size_t i = 0; i < 8; i++) {
        struct watched *w = &f->fds[i];
        *w = (struct watched){.fixture = f, .fd = eventfd(1, EFD_CLOEXEC)};
        assert_int_equal(loop_add(f->loop, w->fd, EPOLLIN, watched_removes_others, w, &w->watch),
                         TM_OK);
    }
    loop_after_round(f->loop, stop, f);
    run(f);
    unsigned calls = 0;
    for (size_t i = 0; i < 8; i++) {
        calls += f->fds[i].calls;
        (void)close(f->fds[i].fd);
    }
    assert_int_equal(calls, 1);
}

static void watched_counts(void *arg, uint32_t events) {
    (void)events;
    struct watched *w = arg;
    w->calls++;
}

static void watched_swaps(void *arg, uint32_t events) {
    struct watched *w = arg, *other = &w->fixture->fds[w == &w->fixture->fds[0] ? 1 : 0];
    (void)events;
    w->calls++;
    if (w->calls + other->calls > 1)
        return;
    /* The other one's number is at once another descriptor's: its old event must not reach it. */
    loop_remove(other->watch);
    assert_int_equal(close(other->fd), 0);
    int fd = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(fd, other->fd);
    assert_int_equal(
        loop_add(w->fixture->loop, fd, EPOLLIN, watched_counts, &w->fixture->fds[2], &other->watch),
        TM_OK);
}

static void test_reused_descriptor_gets_no_old_event(void **state) {
    struct fixture *f = *state;
    for (size_t i = 0; i < 2; i++) {
        struct watched *w = &f->fds[i];
        *w = (struct watched){.fixture = f, .fd = eventfd(1, EFD_CLOEXEC)};
        assert_int_equal(loop_add(f->loop, w->fd, EPOLLIN, watched_swaps, w, &w->watch), TM_OK);
    }
    loop_after_round(f->loop, stop, f);
    run(f);
    assert_int_equal(f->fds[0].calls + f->fds[1].calls, 1);
    assert_int_equal(f->fds[2].calls, 0);
    for (size_t i = 0; i < 2; i++) {
        loop_remove(f->fds[i].watch);
        (void)close(f->fds[i].fd);
    }
}

static void timer_starves(void *arg) {
    struct timed *t = arg;
    t->fired++;
    assert_in_range(t->fired, 1, 1000);
    assert_int_equal(loop_timer_set(t->fixture->loop, &t->timer, clock_mono_ms() - 1), TM_OK);
}

static void watched_stops(void *arg, uint32_t events) {
    struct watched *w = arg;
    (void)events;
    loop_stop(w->fixture->loop);
}

/* A timer that re-arms itself for the past must leave the descriptors their turn. */
static void test_greedy_timer_does_not_starve(void **state) {
    struct fixture *f = *state;
    struct timed *t = &f->timers[0];
    struct watched *w = &f->fds[0];
    *t = (struct timed){.fixture = f, .timer = {.fn = timer_starves, .arg = t}};
    *w = (struct watched){.fixture = f, .fd = eventfd(1, EFD_CLOEXEC)};
    assert_int_equal(loop_timer_set(f->loop, &t->timer, 0), TM_OK);
    assert_int_equal(loop_add(f->loop, w->fd, EPOLLIN, watched_stops, w, &w->watch), TM_OK);
    run(f);
    loop_timer_stop(f->loop, &t->timer);
    loop_remove(w->watch);
    (void)close(w->fd);
}

static void test_events_can_be_changed(void **state) {
    struct fixture *f = *state;
    struct watched *w = &f->fds[0];
    *w = (struct watched){.fixture = f, .fd = eventfd(1, EFD_CLOEXEC)};
    assert_int_equal(loop_add(f->loop, w->fd, 0, watched_counts, w, &w->watch), TM_OK);
    loop_after_round(f->loop, stop, f);
    loop_wake(f->loop);
    run(f);
    assert_int_equal(w->calls, 0);
    assert_int_equal(loop_change(w->watch, EPOLLIN), TM_OK);
    run(f);
    assert_int_equal(w->calls, 1);
    loop_remove(w->watch);
    (void)close(w->fd);
}

static void test_refused_descriptor(void **state) {
    struct fixture *f = *state;
    struct loop_fd *watch = NULL;
    assert_int_equal(loop_add(f->loop, -1, EPOLLIN, watched_counts, NULL, &watch), TM_EIO);
    assert_null(watch);
}

static void woken(void *arg) {
    struct fixture *f = arg;
    if (++f->wakes == 3)
        loop_stop(f->loop);
}

static void *wakes_until_heard(void *arg) {
    struct fixture *f = arg;
    for (int i = 0; i < 100000; i++)
        loop_wake(f->loop);
    return NULL;
}

static void test_wake_from_a_thread(void **state) {
    struct fixture *f = *state;
    pthread_t thread;
    loop_on_wake(f->loop, woken, f);
    f->wakes = 2;
    assert_int_equal(pthread_create(&thread, NULL, wakes_until_heard, f), 0);
    run(f);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(f->wakes, 3);
}

static void test_wakes_merge(void **state) {
    struct fixture *f = *state;
    loop_on_wake(f->loop, woken, f);
    loop_after_round(f->loop, stop, f);
    loop_wake(f->loop);
    loop_wake(f->loop);
    run(f);
    assert_int_equal(f->wakes, 1);
}

static void test_stop_before_run(void **state) {
    struct fixture *f = *state;
    loop_stop(f->loop);
    run(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_timers_fire_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_removed_are_not_called_in_the_batch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reused_descriptor_gets_no_old_event, setup, teardown),
        cmocka_unit_test_setup_teardown(test_greedy_timer_does_not_starve, setup, teardown),
        cmocka_unit_test_setup_teardown(test_events_can_be_changed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_descriptor, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wake_from_a_thread, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wakes_merge, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_before_run, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
