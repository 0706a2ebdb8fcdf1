/* SPDX-License-Identifier: Apache-2.0 */
/* An indexed binary heap: see client/fleet/queue.h. */
#include "client/fleet/queue.h"

#include <stdbool.h>
#include <stdlib.h>

enum tm_err fleet_queue_init(struct fleet_queue *queue, size_t count) {
    *queue = (struct fleet_queue){.count = count,
                                  .at = calloc(count, sizeof *queue->at),
                                  .heap = calloc(count, sizeof *queue->heap),
                                  .place = calloc(count, sizeof *queue->place)};
    if (!queue->at || !queue->heap || !queue->place) {
        fleet_queue_deinit(queue);
        return TM_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        queue->at[i] = INT64_MAX;
        queue->heap[i] = queue->place[i] = i;
    }
    return TM_OK;
}

void fleet_queue_deinit(struct fleet_queue *queue) {
    free(queue->at);
    free(queue->heap);
    free(queue->place);
    *queue = (struct fleet_queue){0};
}

static bool before(const struct fleet_queue *q, size_t a, size_t b) {
    size_t x = q->heap[a], y = q->heap[b];
    return q->at[x] < q->at[y] || (x < y && q->at[x] == q->at[y]);
}

static void swap(struct fleet_queue *q, size_t a, size_t b) {
    size_t x = q->heap[a], y = q->heap[b];
    q->heap[a] = y;
    q->heap[b] = x;
    q->place[y] = a;
    q->place[x] = b;
}

static void sink(struct fleet_queue *q, size_t i) {
    for (;;) {
        size_t least = i, child = 2 * i + 1;
        if (child < q->count && before(q, child, least))
            least = child;
        if (child + 1 < q->count && before(q, child + 1, least))
            least = child + 1;
        if (least == i)
            return;
        swap(q, i, least);
        i = least;
    }
}

void fleet_queue_set(struct fleet_queue *queue, size_t member, int64_t at) {
    queue->at[member] = at;
    size_t i = queue->place[member];
    for (; i > 0 && before(queue, i, (i - 1) / 2); i = (i - 1) / 2)
        swap(queue, i, (i - 1) / 2);
    sink(queue, i);
}

size_t fleet_queue_first(const struct fleet_queue *queue, int64_t *ret_at) {
    *ret_at = queue->at[queue->heap[0]];
    return queue->heap[0];
}
