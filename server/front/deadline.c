/* SPDX-License-Identifier: Apache-2.0 */
/* Queues of equally long deadlines, each on one timer. */
#include "server/front/deadline.h"

#include "base/clock.h"
#include "base/log.h"

static void arm(struct front_deadline_queue *queue, int64_t at) {
    /* The timer got its place when the queue was made and keeps it, so this finds room. */
    if (loop_timer_set(queue->loop, &queue->timer, at))
        log_error("cannot arm a timer: connections may outlive their deadlines");
}

/* The timer is not moved when the oldest deadline stops: it fires early once and is set anew. */
static void fire(void *arg) {
    struct front_deadline_queue *queue = arg;
    int64_t now = clock_mono_ms();
    struct front_deadline *oldest;
    while ((oldest = TAILQ_FIRST(&queue->list)) && oldest->at <= now) {
        front_deadline_stop(oldest);
        queue->passed(queue->arg, oldest->owner);
    }
    arm(queue, oldest ? oldest->at : INT64_MAX);
}

enum tm_err front_deadline_queue_init(struct front_deadline_queue *queue, struct loop *loop,
                                      int64_t duration_ms, void (*passed)(void *arg, void *owner),
                                      void *arg) {
    *queue = (struct front_deadline_queue){.loop = loop,
                                           .duration_ms = duration_ms,
                                           .timer = {.fn = fire, .arg = queue},
                                           .passed = passed,
                                           .arg = arg};
    TAILQ_INIT(&queue->list);
    return loop_timer_set(loop, &queue->timer, INT64_MAX);
}

void front_deadline_queue_deinit(struct front_deadline_queue *queue) {
    if (queue->loop)
        loop_timer_stop(queue->loop, &queue->timer);
}

void front_deadline_start(struct front_deadline_queue *queue, struct front_deadline *deadline,
                          void *owner) {
    front_deadline_stop(deadline);
    deadline->queue = queue;
    deadline->owner = owner;
    deadline->at = clock_mono_ms() + queue->duration_ms;
    TAILQ_INSERT_TAIL(&queue->list, deadline, entry);
    if (queue->timer.at > deadline->at)
        arm(queue, deadline->at);
}

void front_deadline_stop(struct front_deadline *deadline) {
    if (!deadline->queue)
        return;
    TAILQ_REMOVE(&deadline->queue->list, deadline, entry);
    deadline->queue = NULL;
}
