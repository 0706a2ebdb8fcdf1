/* SPDX-License-Identifier: Apache-2.0 */
/* The writer's thread and its ring: see store/writer.h. */
#include "store/writer.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

struct store_writer {
    struct store_committer *committer;
    struct store_group group; /* the writer's thread only */
    pthread_t thread;
    int wake_fd;

    pthread_mutex_t lock; /* over all below */
    pthread_cond_t work;
    /* How many batches came that far since the start; an index modulo `capacity`. */
    uint64_t submitted;
    uint64_t taken;
    uint64_t decided;
    uint64_t delivered;
    bool stopping;
    bool failed;
    struct store_counts counts;
    size_t capacity;
    struct store_group_item ring[];
};

static struct store_group_item *slot(struct store_writer *w, uint64_t number) {
    return &w->ring[number % w->capacity];
}

/* Waits for batches; false when there are none and never will be. */
static bool take_group(struct store_writer *w) {
    struct store_group *group = &w->group;
    (void)pthread_mutex_lock(&w->lock);
    while (w->submitted == w->taken && !w->stopping)
        (void)pthread_cond_wait(&w->work, &w->lock);
    for (group->count = 0; group->count < STORE_GROUP_MAX && w->taken < w->submitted; w->taken++)
        group->items[group->count++] = *slot(w, w->taken);
    (void)pthread_mutex_unlock(&w->lock);
    return group->count > 0;
}

static void wake_loop(const struct store_writer *w) {
    uint64_t one = 1;
    if (write(w->wake_fd, &one, sizeof one) < 0)
        log_error("store: the loop cannot be woken");
}

static void publish(struct store_writer *w) {
    (void)pthread_mutex_lock(&w->lock);
    uint64_t durable = 0;
    bool full = false;
    for (size_t i = 0; i < w->group.count; i++) {
        const struct store_group_item *item = &w->group.items[i];
        *slot(w, w->decided++) = *item;
        durable += item->result == TM_OK;
        full |= item->result == TM_EFULL;
        w->counts.conflicts += item->result == TM_ECONFLICT;
    }
    w->counts.batches += durable;
    w->counts.commits += durable > 0;
    if (full)
        w->counts.full_mono_ms = clock_mono_ms();
    (void)pthread_mutex_unlock(&w->lock);
    wake_loop(w);
}

static void *run(void *arg) {
    struct store_writer *w = arg;
    (void)pthread_setname_np(pthread_self(), "store-writer");
    while (take_group(w)) {
        if (store_group_commit(w->committer, &w->group)) {
            (void)pthread_mutex_lock(&w->lock);
            w->failed = true;
            (void)pthread_mutex_unlock(&w->lock);
            wake_loop(w);
            break;
        }
        publish(w);
    }
    return NULL;
}

/* Signals are the loop's business. */
static int start_thread(struct store_writer *w) {
    sigset_t all, before;
    (void)sigfillset(&all);
    int rc = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (rc)
        return rc;
    rc = pthread_create(&w->thread, NULL, run, w);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

enum tm_err store_writer_start(struct store_committer *committer, size_t queue_max, int wake_fd,
                               struct store_writer **ret_writer) {
    struct store_writer *w = NULL;
    if (queue_max < SIZE_MAX / sizeof w->ring[0] / 2)
        w = calloc(1, sizeof *w + queue_max * sizeof w->ring[0]);
    if (!w) {
        store_committer_free(committer);
        return TM_ENOMEM;
    }
    w->committer = committer;
    w->wake_fd = wake_fd;
    w->capacity = queue_max;
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_cond_init(&w->work, NULL);
    if (start_thread(w)) {
        store_writer_free(w);
        return TM_ENOMEM;
    }
    *ret_writer = w;
    return TM_OK;
}

enum tm_err store_writer_submit(struct store_writer *writer, struct ca_batch *batch) {
    enum tm_err err = TM_OK;
    (void)pthread_mutex_lock(&writer->lock);
    bool idle = writer->submitted == writer->taken;
    if (writer->failed)
        err = TM_EIO;
    else if (writer->stopping)
        err = TM_ECLOSED;
    else if (writer->submitted - writer->delivered == writer->capacity)
        err = TM_EFULL;
    else
        *slot(writer, writer->submitted++) = (struct store_group_item){batch, TM_OK};
    (void)pthread_mutex_unlock(&writer->lock);
    if (!err && idle)
        (void)pthread_cond_signal(&writer->work);
    return err;
}

/* The next decided batch with a number below `end`. Its slot is free from then on. */
static bool next_decided(struct store_writer *w, uint64_t end, struct store_group_item *ret_item) {
    (void)pthread_mutex_lock(&w->lock);
    bool found = w->delivered < end;
    if (found)
        *ret_item = *slot(w, w->delivered++);
    (void)pthread_mutex_unlock(&w->lock);
    return found;
}

void store_writer_deliver(struct store_writer *writer) {
    (void)pthread_mutex_lock(&writer->lock);
    uint64_t end = writer->decided;
    (void)pthread_mutex_unlock(&writer->lock);
    struct store_group_item item;
    while (next_decided(writer, end, &item))
        item.batch->done(item.batch, item.result);
}

bool store_writer_failed(struct store_writer *writer) {
    (void)pthread_mutex_lock(&writer->lock);
    bool failed = writer->failed;
    (void)pthread_mutex_unlock(&writer->lock);
    return failed;
}

void store_writer_stop(struct store_writer *writer) {
    (void)pthread_mutex_lock(&writer->lock);
    bool running = !writer->stopping;
    writer->stopping = true;
    (void)pthread_mutex_unlock(&writer->lock);
    (void)pthread_cond_signal(&writer->work);
    if (running)
        (void)pthread_join(writer->thread, NULL);
}

void store_writer_free(struct store_writer *writer) {
    if (!writer)
        return;
    (void)pthread_cond_destroy(&writer->work);
    (void)pthread_mutex_destroy(&writer->lock);
    store_committer_free(writer->committer);
    free(writer);
}

void store_writer_counts(struct store_writer *writer, struct store_counts *ret_counts) {
    (void)pthread_mutex_lock(&writer->lock);
    *ret_counts = writer->counts;
    (void)pthread_mutex_unlock(&writer->lock);
}
