/* SPDX-License-Identifier: Apache-2.0 */
/* See source.h. */
#include "server/metrics/source.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define LINKS_MAX 4 /* a successor is there beside the old face for a while */

struct face {
    struct metrics_source *source;
    struct ipc_link *link; /* NULL: none */
    int64_t answered;      /* monotonic ms */
    uint64_t asked;        /* the last question */
    struct loop_timer due; /* its answer, when it came too soon after another */
};

struct metrics_source {
    struct role *role;
    int statm; /* /proc/self/statm, or -1 */
    int64_t started_ms;
    size_t next; /* the face whose place the next one takes */
    struct face faces[LINKS_MAX];
};

static void close_face(struct face *face) {
    if (!face->link)
        return;
    loop_timer_stop(face->source->role->loop, &face->due);
    ipc_link_close(face->link);
    face->link = NULL;
}

enum tm_err metrics_source_new(struct role *role, struct metrics_source **ret_source) {
    struct metrics_source *source = calloc(1, sizeof *source);
    if (!source)
        return TM_ENOMEM;
    source->role = role;
    source->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    source->started_ms = clock_wall_ms();
    *ret_source = source;
    return TM_OK;
}

void metrics_source_free(struct metrics_source *source) {
    if (!source)
        return;
    for (size_t i = 0; i < LINKS_MAX; i++)
        close_face(&source->faces[i]);
    if (source->statm >= 0)
        (void)close(source->statm);
    free(source);
}

/* ---- what any process can say ---- */

static bool resident(const struct metrics_source *source, double *ret_octets) {
    char text[128];
    unsigned long pages;
    ssize_t n = -1;
    if (source->statm >= 0 && lseek(source->statm, 0, SEEK_SET) == 0)
        n = read(source->statm, text, sizeof text - 1);
    if (n <= 0)
        return false;
    text[n] = '\0';
    if (sscanf(text, "%*u %lu", &pages) != 1)
        return false;
    *ret_octets = (double)pages * (double)sysconf(_SC_PAGESIZE);
    return true;
}

void metrics_source_self(const struct metrics_source *source, struct metrics_answer *answer) {
    struct timespec cpu = {0};
    double octets;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    metrics_add(answer, METRIC_PROCESS_START, (double)source->started_ms / 1000, NULL, NULL, NULL);
    metrics_add(answer, METRIC_PROCESS_CPU, (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9, NULL,
                NULL, NULL);
    if (resident(source, &octets))
        metrics_add(answer, METRIC_PROCESS_RESIDENT, octets, NULL, NULL, NULL);
}

/* ---- links ---- */

static void send_part(void *arg, const struct ipc_metrics_answer *message) {
    struct face *face = arg;
    enum tm_err err = ipc_link_send(face->link, &ipc_metrics_answer_schema, message);
    if (err && err != TM_ECLOSED)
        log_warn("numbers not delivered to the metrics face: %s", tm_err_name(err));
}

static void answer(void *arg) {
    struct face *face = arg;
    struct metrics_source *source = face->source;
    face->answered = clock_mono_ms();
    struct metrics_answer *a = calloc(1, sizeof *a);
    if (!a)
        return;
    a->send = send_part;
    a->arg = face;
    a->message.id = face->asked;
    metrics_source_self(source, a);
    if (source->role->measure)
        source->role->measure(source->role, a);
    metrics_end(a);
    free(a);
}

static void face_message(void *arg, struct ipc_link *link, struct bytes message, int fd) {
    struct face *face = arg;
    struct ipc_metrics_ask ask;
    (void)link;
    if (fd >= 0)
        (void)close(fd);
    if (fd >= 0 || codec_decode(&ipc_metrics_ask_schema, message, &ask)) {
        log_error("the metrics face sent what is no question; its link is closed");
        close_face(face);
        return;
    }
    face->asked = ask.id;
    if (loop_timer_set(face->source->role->loop, &face->due, face->answered + METRICS_PAUSE_MS))
        log_error("no memory for a timer");
}

static void face_closed(void *arg, struct ipc_link *link) {
    (void)link;
    close_face(arg);
}

static const struct ipc_link_events face_events = {face_message, face_closed};

void metrics_source_link(struct metrics_source *source, int fd) {
    struct face *face = &source->faces[source->next++ % LINKS_MAX];
    close_face(face);
    *face = (struct face){.source = source, .due = {.fn = answer, .arg = face}};
    if (ipc_link_open(source->role->loop, fd, METRICS_MESSAGES_MAX, &face_events, face,
                      &face->link))
        log_error("cannot open the link to the metrics face");
}
