/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metrics role put together: asks the other processes for what they have counted when somebody
 * wants to know, and serves it as text. It holds no secret and nothing of its own; who waits while
 * they are asked gets the same answer, so that however many ask, the others are asked seldom.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/metrics/http.h"
#include "server/metrics/source.h"
#include "server/metrics/text.h"
#include "server/role.h"

/* Below the second that those who look at /readyz often wait. */
#define ANSWER_MS 900
#define ROUND_MS (2 * METRICS_PAUSE_MS) /* from one question to the next at least */
#define LINK_QUEUE 16
#define PROCESSES_MAX 512 /* linked at once */

/* A process that is asked. */
struct peer {
    TAILQ_ENTRY(peer) entry;
    struct metrics_face *face;
    struct ipc_link *link; /* NULL: the face itself */
    enum ipc_role role;
    unsigned index;
    char name[32];
    bool owes;         /* the answer to the present question */
    uint64_t answered; /* the last question that it has answered as a whole */
    unsigned messages; /* of the present answer */
    struct ipc_sample *samples;
    size_t sample_count;
    struct ipc_reason *reasons;
    size_t reason_count;
};

TAILQ_HEAD(peer_list, peer);

struct metrics_face {
    struct role *role;
    struct metrics_http http;
    struct peer_list peers;
    size_t peer_count;
    struct peer self;
    uint64_t id; /* of the last question */
    bool asking;
    int64_t asked;          /* monotonic ms */
    struct loop_timer late; /* of the question */
    struct loop_timer next; /* somebody wants one, and it is too soon */
    struct ipc_metrics_answer scratch;
};

/* ---- what a process says ---- */

static void forget(struct peer *peer) {
    free(peer->samples);
    free(peer->reasons);
    peer->samples = NULL;
    peer->reasons = NULL;
    peer->sample_count = peer->reason_count = 0;
    peer->messages = 0;
}

static bool append(void **items, size_t *count, const void *more, size_t more_count, size_t size) {
    if (!more_count)
        return true;
    void *grown = realloc(*items, (*count + more_count) * size);
    if (!grown)
        return false;
    memcpy((char *)grown + *count * size, more, more_count * size);
    *items = grown;
    *count += more_count;
    return true;
}

static bool keep(struct peer *peer, const struct ipc_metrics_answer *answer) {
    void *samples = peer->samples, *reasons = peer->reasons;
    bool kept = append(&samples, &peer->sample_count, answer->samples, answer->sample_count,
                       sizeof *answer->samples) &&
                append(&reasons, &peer->reason_count, answer->reasons, answer->reason_count,
                       sizeof *answer->reasons);
    peer->samples = samples;
    peer->reasons = reasons;
    return kept;
}

static const struct peer *core_of(const struct metrics_face *face) {
    const struct peer *peer;
    TAILQ_FOREACH(peer, &face->peers, entry) {
        if (peer->role == IPC_ROLE_CORE && peer->answered == face->id)
            return peer;
    }
    return NULL;
}

/* ---- what the face says itself ---- */

static void keep_own(void *arg, const struct ipc_metrics_answer *message) {
    if (!keep(arg, message))
        log_error("no memory for numbers");
}

static void say_own(struct metrics_face *face) {
    struct role *role = face->role;
    const struct peer *core = core_of(face);
    struct metrics_answer *a = calloc(1, sizeof *a);
    forget(&face->self);
    if (!a)
        return;
    a->send = keep_own;
    a->arg = &face->self;
    metrics_add(a, METRIC_UP, core != NULL, NULL, NULL, NULL);
    metrics_add(a, METRIC_READY, core && !core->reason_count, NULL, NULL, NULL);
    metrics_add(a, METRIC_BUILD, 1, TOUCHMARK_VERSION, conf_environment_name(role->conf), NULL);
    metrics_source_self(role->source, a);
    metrics_end(a);
    free(a);
}

static void put_reasons(const struct metrics_face *face, FILE *out) {
    const struct peer *core = core_of(face);
    if (!core)
        (void)fputs("the core does not answer\n", out);
    for (size_t i = 0; core && i < core->reason_count; i++)
        (void)fprintf(out, "%s\n", core->reasons[i].text);
}

static void put_metrics(const struct metrics_face *face, FILE *out) {
    struct metrics_said *said = calloc(face->peer_count + 1, sizeof *said);
    const struct peer *peer;
    size_t n = 0;
    if (!said)
        return;
    said[n++] = (struct metrics_said){IPC_ROLE_METRICS, face->self.name, face->self.samples,
                                      face->self.sample_count};
    TAILQ_FOREACH(peer, &face->peers, entry) {
        if (peer->answered == face->id)
            said[n++] =
                (struct metrics_said){peer->role, peer->name, peer->samples, peer->sample_count};
    }
    metrics_text(said, n, out);
    free(said);
}

static struct bytes written(struct metrics_face *face,
                            void (*put)(const struct metrics_face *face, FILE *out),
                            char **ret_text) {
    size_t n = 0;
    *ret_text = NULL;
    FILE *out = open_memstream(ret_text, &n);
    if (!out)
        return (struct bytes){0};
    put(face, out);
    return fclose(out) == 0 ? (struct bytes){(const uint8_t *)*ret_text, n} : (struct bytes){0};
}

/* ---- asking ---- */

/* What happened before somebody asked has to be in his answer: who came while the processes were
 * being asked waits for the next time. */
static void ask_soon(struct metrics_face *face) {
    if (loop_timer_set(face->role->loop, &face->next, face->asked + ROUND_MS))
        log_error("no memory for a timer");
}

static void wanted(void *arg) {
    struct metrics_face *face = arg;
    if (!face->asking)
        ask_soon(face);
}

static void tell(struct metrics_face *face) {
    AUTO_MEM char *metrics = NULL;
    AUTO_MEM char *reasons = NULL;
    face->asking = false;
    loop_timer_stop(face->role->loop, &face->late);
    say_own(face);
    struct bytes text = written(face, put_metrics, &metrics);
    if (metrics_http_answer(&face->http, text, written(face, put_reasons, &reasons)))
        ask_soon(face);
}

static void tell_when_complete(struct metrics_face *face) {
    const struct peer *peer;
    if (!face->asking)
        return;
    TAILQ_FOREACH(peer, &face->peers, entry) {
        if (peer->owes)
            return;
    }
    tell(face);
}

static void too_late(void *arg) {
    tell(arg);
}

static void ask(struct metrics_face *face, struct peer *peer) {
    const struct ipc_metrics_ask question = {.id = face->id};
    forget(peer);
    enum tm_err err = ipc_link_send(peer->link, &ipc_metrics_ask_schema, &question);
    peer->owes = !err;
    if (err && err != TM_ECLOSED)
        log_warn("%s cannot be asked: %s", peer->name, tm_err_name(err));
}

static void ask_all(void *arg) {
    struct metrics_face *face = arg;
    struct peer *peer;
    face->id++;
    face->asking = true;
    face->asked = clock_mono_ms();
    metrics_http_asked(&face->http);
    TAILQ_FOREACH(peer, &face->peers, entry) {
        ask(face, peer);
    }
    if (loop_timer_set(face->role->loop, &face->late, face->asked + ANSWER_MS))
        tell(face);
    else
        tell_when_complete(face); /* there may be nobody to ask */
}

/* ---- links ---- */

static void drop(struct peer *peer) {
    struct metrics_face *face = peer->face;
    TAILQ_REMOVE(&face->peers, peer, entry);
    face->peer_count--;
    ipc_link_close(peer->link);
    forget(peer);
    free(peer);
    tell_when_complete(face);
}

/* False: it says what it was not asked, or too much. Late answers are none of that. */
static bool take_answer(struct peer *peer, struct bytes message) {
    struct metrics_face *face = peer->face;
    if (codec_decode(&ipc_metrics_answer_schema, message, &face->scratch))
        return false;
    if (!peer->owes || face->scratch.id != face->id)
        return face->scratch.id <= face->id;
    if (++peer->messages > METRICS_MESSAGES_MAX || !keep(peer, &face->scratch))
        return false;
    if (face->scratch.more)
        return true;
    peer->owes = false;
    peer->answered = face->id;
    tell_when_complete(face);
    return true;
}

static void peer_message(void *arg, struct ipc_link *link, struct bytes message, int fd) {
    struct peer *peer = arg;
    (void)link;
    if (fd >= 0)
        (void)close(fd);
    if (fd < 0 && take_answer(peer, message))
        return;
    log_error("%s sent what is no answer; its link is closed", peer->name);
    drop(peer);
}

static void peer_closed(void *arg, struct ipc_link *link) {
    (void)link;
    drop(arg);
}

static const struct ipc_link_events peer_events = {peer_message, peer_closed};

static struct peer *find(const struct metrics_face *face, enum ipc_role role, unsigned index) {
    struct peer *peer;
    TAILQ_FOREACH(peer, &face->peers, entry) {
        if (peer->role == role && peer->index == index)
            return peer;
    }
    return NULL;
}

static void name_process(enum ipc_role role, unsigned index, char ret[32]) {
    bool numbered = role == IPC_ROLE_FRONT || role == IPC_ROLE_SIGNER || index > 0;
    if (numbered)
        (void)snprintf(ret, 32, "%s-%u", role_name(role), index);
    else
        (void)snprintf(ret, 32, "%s", role_name(role));
}

static void linked(struct role *role, enum ipc_role kind, unsigned index, int fd) {
    struct metrics_face *face = role->self;
    struct peer *peer = find(face, kind, index);
    if (peer)
        drop(peer);
    peer = face->peer_count < PROCESSES_MAX ? calloc(1, sizeof *peer) : NULL;
    if (!peer) {
        log_error("no room for one more process");
        (void)close(fd);
        return;
    }
    *peer = (struct peer){.face = face, .role = kind, .index = index};
    name_process(kind, index, peer->name);
    if (ipc_link_open(role->loop, fd, LINK_QUEUE, &peer_events, peer, &peer->link)) {
        log_error("cannot open the link to %s", peer->name);
        free(peer);
        return;
    }
    TAILQ_INSERT_TAIL(&face->peers, peer, entry);
    face->peer_count++;
    if (face->asking)
        ask(face, peer);
}

/* ---- start and end ---- */

static void drained(void *arg) {
    struct metrics_face *face = arg;
    role_exit(face->role);
}

static void drain(struct role *role) {
    struct metrics_face *face = role->self;
    front_plain_drain(face->http.server, role->conf->process.drain_timeout, role->stopping);
}

enum tm_err metrics_start(struct role *role) {
    struct metrics_face *face = calloc(1, sizeof *face);
    if (!face)
        return TM_ENOMEM;
    role->self = face;
    role->linked = linked;
    role->drain = drain;
    face->role = role;
    face->late = (struct loop_timer){.fn = too_late, .arg = face};
    face->next = (struct loop_timer){.fn = ask_all, .arg = face};
    TAILQ_INIT(&face->peers);
    name_process(role->kind, role->index, face->self.name);
    face->http = (struct metrics_http){.wanted = wanted, .drained = drained, .arg = face};
    enum tm_err err = metrics_http_open(&face->http, role->loop, role->listen_fd);
    return err ? err : role_ready(role);
}

void metrics_stop(struct role *role) {
    struct metrics_face *face = role->self;
    if (!face)
        return;
    face->asking = false;
    front_plain_close(face->http.server);
    loop_timer_stop(role->loop, &face->late);
    loop_timer_stop(role->loop, &face->next);
    while (!TAILQ_EMPTY(&face->peers))
        drop(TAILQ_FIRST(&face->peers));
    forget(&face->self);
    free(face);
    role->self = NULL;
}
