/* SPDX-License-Identifier: Apache-2.0 */
/* See answer.h. */
#include "server/metrics/answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void send(struct metrics_answer *a, bool more) {
    a->message.more = more;
    a->send(a->arg, &a->message);
    a->messages++;
    a->message.sample_count = 0;
    a->message.reason_count = 0;
}

/* Of the last message one place is kept for the number of those that did not fit. */
static struct ipc_sample *place(struct metrics_answer *a) {
    bool last = a->messages + 1 == METRICS_MESSAGES_MAX;
    if (a->message.sample_count + last == IPC_SAMPLES_MAX) {
        if (last) {
            a->dropped++;
            return NULL;
        }
        send(a, true);
    }
    struct ipc_sample *sample = &a->message.samples[a->message.sample_count++];
    memset(sample, 0, sizeof *sample);
    return sample;
}

static void add(struct metrics_answer *a, enum metric metric, enum ipc_sample_part part,
                double value, const char *const labels[METRIC_LABELS_MAX]) {
    struct ipc_sample *sample = place(a);
    if (!sample)
        return;
    sample->metric = (uint16_t)metric;
    sample->part = (uint8_t)part;
    TEXT_SET(sample->first, labels[0] ? labels[0] : "");
    TEXT_SET(sample->second, labels[1] ? labels[1] : "");
    TEXT_SET(sample->third, labels[2] ? labels[2] : "");
    memcpy(&sample->bits, &value, sizeof sample->bits);
}

void metrics_add(struct metrics_answer *answer, enum metric metric, double value, const char *first,
                 const char *second, const char *third) {
    const char *const labels[] = {first, second, third};
    add(answer, metric, IPC_SAMPLE_VALUE, value, labels);
}

void metrics_add_histogram(struct metrics_answer *answer, enum metric metric, const double *bounds,
                           size_t bound_count, const uint64_t *counts, double sum) {
    static const char *const none[METRIC_LABELS_MAX] = {NULL};
    uint64_t below = 0;
    for (size_t i = 0; i <= bound_count; i++) {
        char bound[24] = "+Inf";
        const char *const labels[] = {bound, NULL, NULL};
        if (i < bound_count)
            (void)snprintf(bound, sizeof bound, "%g", bounds[i]);
        below += counts[i];
        add(answer, metric, IPC_SAMPLE_BUCKET, (double)below, labels);
    }
    add(answer, metric, IPC_SAMPLE_SUM, sum, none);
    add(answer, metric, IPC_SAMPLE_COUNT, (double)below, none);
}

void metrics_add_summary(struct metrics_answer *answer, enum metric metric, uint64_t count,
                         double sum, const char *label) {
    const char *const labels[] = {label, NULL, NULL};
    add(answer, metric, IPC_SAMPLE_SUM, sum, labels);
    add(answer, metric, IPC_SAMPLE_COUNT, (double)count, labels);
}

void metrics_reason(struct metrics_answer *answer, const char *format, ...) {
    struct ipc_metrics_answer *message = &answer->message;
    if (message->reason_count == IPC_REASONS_MAX)
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message->reasons[message->reason_count++].text, IPC_TEXT_MAX + 1, format, args);
    va_end(args);
}

void metrics_end(struct metrics_answer *answer) {
    struct ipc_metrics_answer *message = &answer->message;
    double dropped = (double)answer->dropped;
    struct ipc_sample sample = {.metric = METRIC_DROPPED, .part = IPC_SAMPLE_VALUE};
    memcpy(&sample.bits, &dropped, sizeof sample.bits);
    if (message->sample_count == IPC_SAMPLES_MAX)
        send(answer, true);
    message->samples[message->sample_count++] = sample;
    send(answer, false);
}
