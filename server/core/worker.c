/* SPDX-License-Identifier: Apache-2.0 */
/* The thread beside the loop: see worker.h. */
#include "server/core/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/log.h"

#define NICE 10

struct core_worker {
    struct loop *loop;
    struct loop_fd *watch;
    int wake_fd; /* the loop's: some jobs are done */
    pthread_t thread;
    bool running;
    atomic_bool stopping;
    pthread_mutex_t lock; /* for the lists */
    pthread_cond_t work;
    struct core_job *waiting, **last_waiting;
    struct core_job *done, **last_done;
};

static void put(struct core_job ***last, struct core_job *job) {
    job->next = NULL;
    **last = job;
    *last = &job->next;
}

/* Under the lock. */
static struct core_job *take(struct core_job **first, struct core_job ***last) {
    struct core_job *job = *first;
    if (!job)
        return NULL;
    *first = job->next;
    if (!*first)
        *last = first;
    return job;
}

/* NULL: the worker ends. */
static struct core_job *next_job(struct core_worker *w) {
    struct core_job *job = NULL;
    (void)pthread_mutex_lock(&w->lock);
    while (!atomic_load(&w->stopping) && !(job = take(&w->waiting, &w->last_waiting)))
        (void)pthread_cond_wait(&w->work, &w->lock);
    (void)pthread_mutex_unlock(&w->lock);
    return job;
}

static void hand_back(struct core_worker *w, struct core_job *job) {
    static const uint64_t one = 1;
    (void)pthread_mutex_lock(&w->lock);
    put(&w->last_done, job);
    (void)pthread_mutex_unlock(&w->lock);
    if (write(w->wake_fd, &one, sizeof one) < 0)
        log_error("the loop cannot be woken: %s", strerror(errno));
}

static void *serve(void *arg) {
    struct core_worker *w = arg;
    struct core_job *job;
    (void)setpriority(PRIO_PROCESS, 0, NICE); /* of this thread only, on Linux */
    while ((job = next_job(w))) {
        job->work(job);
        hand_back(w, job);
    }
    return NULL;
}

static void deliver(void *arg, uint32_t events) {
    struct core_worker *w = arg;
    uint64_t count;
    (void)events;
    if (read(w->wake_fd, &count, sizeof count) < 0)
        return;
    for (;;) {
        (void)pthread_mutex_lock(&w->lock);
        struct core_job *job = take(&w->done, &w->last_done);
        (void)pthread_mutex_unlock(&w->lock);
        if (!job)
            return;
        job->done(job);
    }
}

/* Signals are for the thread that runs the loop. */
static enum tm_err start(struct core_worker *w) {
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&w->thread, NULL, serve, w);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    w->running = !error;
    if (error)
        log_error("cannot start the worker's thread: %s", strerror(error));
    return error ? TM_EIO : TM_OK;
}

enum tm_err core_worker_new(struct loop *loop, struct core_worker **ret_worker) {
    struct core_worker *w = calloc(1, sizeof *w);
    if (!w)
        return TM_ENOMEM;
    w->loop = loop;
    w->last_waiting = &w->waiting;
    w->last_done = &w->done;
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_cond_init(&w->work, NULL);
    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    enum tm_err err = w->wake_fd < 0 ? TM_EIO : TM_OK;
    if (!err)
        err = loop_add(loop, w->wake_fd, EPOLLIN, deliver, w, &w->watch);
    if (!err)
        err = start(w);
    if (err)
        core_worker_free(w);
    else
        *ret_worker = w;
    return err;
}

void core_worker_free(struct core_worker *worker) {
    if (!worker)
        return;
    (void)pthread_mutex_lock(&worker->lock);
    atomic_store(&worker->stopping, true);
    (void)pthread_cond_signal(&worker->work);
    (void)pthread_mutex_unlock(&worker->lock);
    if (worker->running)
        (void)pthread_join(worker->thread, NULL);
    loop_remove(worker->watch);
    auto_close_fd(&worker->wake_fd);
    (void)pthread_cond_destroy(&worker->work);
    (void)pthread_mutex_destroy(&worker->lock);
    free(worker);
}

void core_worker_run(struct core_worker *worker, struct core_job *job) {
    job->worker = worker;
    (void)pthread_mutex_lock(&worker->lock);
    put(&worker->last_waiting, job);
    (void)pthread_cond_signal(&worker->work);
    (void)pthread_mutex_unlock(&worker->lock);
}

bool core_job_stops(const struct core_job *job) {
    return atomic_load(&job->worker->stopping);
}

const atomic_bool *core_job_stop_flag(const struct core_job *job) {
    return &job->worker->stopping;
}
