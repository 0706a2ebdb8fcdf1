/* SPDX-License-Identifier: Apache-2.0 */
/* Requests on their way to the core and back. */
#include "server/front/upstream.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/log.h"
#include "server/front/quiet.h"

LIST_HEAD(call_list, front_call);

struct front_upstream {
    struct loop *loop;
    struct ipc_link *link; /* NULL: the core is away */
    size_t calls_max, calls;
    size_t bucket_mask;
    struct call_list *buckets;             /* by ID */
    struct front_deadline_queue deadlines; /* also everything that waits, oldest first */
    const struct front_upstream_events *events;
    void *arg;
    struct front_quiet quiet;
    uint64_t unrecorded; /* refusals that never reached the core, since the last line on it */
};

static struct call_list *bucket(struct front_upstream *upstream, uint64_t id) {
    return &upstream->buckets[id & upstream->bucket_mask];
}

static struct front_call *find(struct front_upstream *upstream, uint64_t id) {
    struct front_call *call;
    LIST_FOREACH(call, bucket(upstream, id), entry) {
        if (call->id == id)
            return call;
    }
    return NULL;
}

static void pass_late(void *arg, void *owner) {
    struct front_upstream *upstream = arg;
    struct front_call *call = owner;
    front_upstream_forget(upstream, call);
    front_quiet_log(&upstream->quiet, LOG_LEVEL_WARN, call->id, "the core gave no answer in time");
    upstream->events->late(upstream->arg, call);
}

enum tm_err front_upstream_new(struct loop *loop, int64_t reply_timeout_ms, size_t calls_max,
                               const struct front_upstream_events *events, void *arg,
                               struct front_upstream **ret_upstream) {
    struct front_upstream *upstream = calloc(1, sizeof *upstream);
    size_t buckets = 64;
    while (buckets < calls_max && buckets < 65536)
        buckets *= 2;
    if (upstream)
        upstream->buckets = calloc(buckets, sizeof *upstream->buckets);
    if (!upstream || !upstream->buckets ||
        front_deadline_queue_init(&upstream->deadlines, loop, reply_timeout_ms, pass_late,
                                  upstream)) {
        front_upstream_free(upstream);
        return TM_ENOMEM;
    }
    upstream->loop = loop;
    upstream->calls_max = calls_max;
    upstream->bucket_mask = buckets - 1;
    upstream->events = events;
    upstream->arg = arg;
    *ret_upstream = upstream;
    return TM_OK;
}

void front_upstream_free(struct front_upstream *upstream) {
    if (!upstream)
        return;
    ipc_link_close(upstream->link);
    front_deadline_queue_deinit(&upstream->deadlines);
    free(upstream->buckets);
    free(upstream);
}

static void take_reply(struct front_upstream *upstream, struct bytes message) {
    struct ipc_reply reply;
    if (codec_decode(&ipc_reply_schema, message, &reply)) {
        log_error("the core sent a reply that cannot be read");
        return;
    }
    crash_point("front.reply_received");
    struct front_call *call = find(upstream, reply.id);
    if (!call) {
        log_line(LOG_LEVEL_DEBUG, reply.id, "nobody waits for this reply any more");
        return;
    }
    front_upstream_forget(upstream, call);
    upstream->events->reply(upstream->arg, call, &reply);
}

static void take_station(struct front_upstream *upstream, struct bytes message) {
    struct ipc_station_answer answer;
    if (codec_decode(&ipc_station_answer_schema, message, &answer)) {
        log_error("the core sent an answer to a station that cannot be read");
        return;
    }
    struct front_call *call = find(upstream, answer.id);
    if (!call) {
        log_line(LOG_LEVEL_DEBUG, answer.id, "nobody waits for this answer any more");
        return;
    }
    front_upstream_forget(upstream, call);
    upstream->events->station(upstream->arg, call, &answer);
}

static void take_catalog(struct front_upstream *upstream, struct bytes message) {
    struct ipc_catalog entry;
    if (codec_decode(&ipc_catalog_schema, message, &entry))
        log_error("the core sent a catalog that cannot be read");
    else
        upstream->events->catalog(upstream->arg, &entry);
}

static void take_tls(struct front_upstream *upstream, struct bytes message) {
    struct ipc_tls_answer answer;
    if (codec_decode(&ipc_tls_answer_schema, message, &answer))
        log_error("the core sent a signature that cannot be read");
    else
        upstream->events->tls(upstream->arg, &answer);
}

static void on_message(void *arg, struct ipc_link *link, struct bytes message, int fd) {
    (void)link;
    if (fd >= 0)
        (void)close(fd); /* the core has no reason to send one */
    switch (codec_peek(message)) {
    case IPC_TYPE_REPLY:
        take_reply(arg, message);
        break;
    case IPC_TYPE_STATION_ANSWER:
        take_station(arg, message);
        break;
    case IPC_TYPE_CATALOG:
        take_catalog(arg, message);
        break;
    case IPC_TYPE_TLS_ANSWER:
        take_tls(arg, message);
        break;
    default:
        log_error("the core sent a message of unknown type %#x", codec_peek(message));
    }
}

static void on_closed(void *arg, struct ipc_link *link) {
    struct front_upstream *upstream = arg;
    log_warn("the core is gone; %zu requests wait for its successor", upstream->calls);
    ipc_link_close(link);
    upstream->link = NULL;
}

static const struct ipc_link_events link_events = {.message = on_message, .closed = on_closed};

/* TM_ECLOSED is no failure of the call: it waits for the next link. */
static enum tm_err send_question(struct front_upstream *upstream,
                                 const struct front_question *question) {
    if (!upstream->link)
        return TM_OK;
    enum tm_err err =
        question->is_station
            ? ipc_link_send(upstream->link, &ipc_station_ask_schema, &question->u.station)
            : ipc_link_send(upstream->link, &ipc_enroll_schema, &question->u.enroll);
    if (err)
        return err == TM_ECLOSED ? TM_OK : err;
    crash_point("front.request_sent");
    return TM_OK;
}

static void send_again(struct front_upstream *upstream, struct front_call *call) {
    struct front_question question;
    if (upstream->events->again(upstream->arg, call, &question))
        return;
    enum tm_err err = send_question(upstream, &question);
    upstream->events->sent(upstream->arg);
    if (err) {
        log_line(LOG_LEVEL_WARN, call->id, "cannot send the request again: %s", tm_err_name(err));
        front_upstream_forget(upstream, call);
        upstream->events->late(upstream->arg, call);
    }
}

static void send_all_again(struct front_upstream *upstream) {
    struct front_deadline *deadline = TAILQ_FIRST(&upstream->deadlines.list);
    while (deadline) {
        struct front_deadline *next = TAILQ_NEXT(deadline, entry);
        send_again(upstream, deadline->owner);
        deadline = next;
    }
}

void front_upstream_link(struct front_upstream *upstream, int fd) {
    ipc_link_close(upstream->link);
    upstream->link = NULL;
    if (ipc_link_open(upstream->loop, fd, upstream->calls_max, &link_events, upstream,
                      &upstream->link)) {
        log_error("cannot open the link to the core");
        return;
    }
    if (upstream->calls)
        log_info("sending %zu requests again to the new core", upstream->calls);
    send_all_again(upstream);
}

enum tm_err front_upstream_ask(struct front_upstream *upstream, struct front_call *call,
                               const struct front_question *question) {
    if (upstream->calls >= upstream->calls_max)
        return TM_EFULL;
    enum tm_err err = send_question(upstream, question);
    if (err)
        return err;
    LIST_INSERT_HEAD(bucket(upstream, call->id), call, entry);
    front_deadline_start(&upstream->deadlines, &call->deadline, call);
    call->waiting = true;
    upstream->calls++;
    return TM_OK;
}

void front_upstream_forget(struct front_upstream *upstream, struct front_call *call) {
    if (!call->waiting)
        return;
    LIST_REMOVE(call, entry);
    front_deadline_stop(&call->deadline);
    call->waiting = false;
    upstream->calls--;
}

enum tm_err front_upstream_ask_tls(struct front_upstream *upstream, const struct ipc_tls_ask *ask) {
    enum tm_err err =
        upstream->link ? ipc_link_send(upstream->link, &ipc_tls_ask_schema, ask) : TM_ECLOSED;
    return err == TM_ECLOSED ? TM_OK : err;
}

void front_upstream_refused(struct front_upstream *upstream, const struct ipc_refused *refused) {
    if (upstream->link && ipc_link_send(upstream->link, &ipc_refused_schema, refused) == TM_OK) {
        if (upstream->unrecorded)
            log_warn("%" PRIu64 " refusals could not be told to the core and are in no audit",
                     upstream->unrecorded);
        upstream->unrecorded = 0;
        return;
    }
    upstream->unrecorded++;
    front_quiet_log(&upstream->quiet, LOG_LEVEL_WARN, refused->id,
                    "refused, and the core could not be told");
}
