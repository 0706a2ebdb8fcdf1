/* SPDX-License-Identifier: Apache-2.0 */
/* See publisher.h. */
#include "server/status/publisher.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "base/auto.h"
#include "server/core/worker.h"

struct task {
    struct core_job job; /* first: a job is its task */
    LIST_ENTRY(task) entry;
    struct status_publisher *publisher;
    int fd;
    struct status_publication publication;
};
LIST_HEAD(task_list, task);

struct status_publisher {
    struct core_worker *worker;
    struct status_shelf *shelf;
    status_publication_fn *done;
    void *arg;
    struct task_list tasks;
    size_t pending;
};

static void task_free(struct task *task) {
    LIST_REMOVE(task, entry);
    task->publisher->pending--;
    (void)close(task->fd);
    status_item_unref(task->publication.item);
    free(task);
}

/* On the worker's thread. */
static void put(struct core_job *job) {
    struct task *task = (struct task *)job;
    struct status_publication *p = &task->publication;
    p->err =
        status_shelf_put(task->publisher->shelf, &p->publish, task->fd, p->name, &p->item, p->text);
}

static void report(struct core_job *job) {
    struct task *task = (struct task *)job;
    struct status_publisher *publisher = task->publisher;
    publisher->done(publisher->arg, &task->publication);
    task_free(task);
}

enum tm_err status_publisher_new(struct loop *loop, struct status_shelf *shelf,
                                 status_publication_fn *done, void *arg,
                                 struct status_publisher **ret_publisher) {
    AUTO_MEM struct status_publisher *publisher = calloc(1, sizeof *publisher);
    if (!publisher)
        return TM_ENOMEM;
    publisher->shelf = shelf;
    publisher->done = done;
    publisher->arg = arg;
    LIST_INIT(&publisher->tasks);
    enum tm_err err = core_worker_new(loop, &publisher->worker);
    if (!err)
        *ret_publisher = TAKE(publisher);
    return err;
}

void status_publisher_free(struct status_publisher *publisher) {
    if (!publisher)
        return;
    core_worker_free(publisher->worker);
    while (!LIST_EMPTY(&publisher->tasks))
        task_free(LIST_FIRST(&publisher->tasks));
    free(publisher);
}

enum tm_err status_publisher_submit(struct status_publisher *publisher,
                                    const struct ipc_publish *publish, unsigned link, int fd) {
    struct task *task = calloc(1, sizeof *task);
    if (!task) {
        (void)close(fd);
        return TM_ENOMEM;
    }
    task->job = (struct core_job){.work = put, .done = report};
    task->publisher = publisher;
    task->fd = fd;
    task->publication.publish = *publish;
    task->publication.link = link;
    LIST_INSERT_HEAD(&publisher->tasks, task, entry);
    publisher->pending++;
    core_worker_run(publisher->worker, &task->job);
    return TM_OK;
}

size_t status_publisher_pending(const struct status_publisher *publisher) {
    return publisher->pending;
}
