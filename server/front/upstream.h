/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to the core: requests that wait for its answer, by ID. They outlive the link:
 * when the core is replaced, everything unanswered is sent again under the same ID on
 * the new link (the core answers a repeated request with the same certificate). Who
 * waits too long is told so. One thread.
 */
#ifndef TOUCHMARK_SERVER_FRONT_UPSTREAM_H
#define TOUCHMARK_SERVER_FRONT_UPSTREAM_H

#include <stdbool.h>
#include <sys/queue.h>

#include "ipc/link.h"
#include "ipc/messages.h"
#include "server/front/deadline.h"

struct front_upstream;

/* Embedded in what waits for an answer. */
struct front_call {
    uint64_t id;
    bool waiting; /* between _ask and its reply, _late or _forget */
    LIST_ENTRY(front_call) entry;
    struct front_deadline deadline;
};

/* What the core is asked. */
struct front_question {
    bool is_station;
    union {
        struct ipc_enroll enroll;
        struct ipc_station_ask station;
    } u;
};

struct front_upstream_events {
    /* The request of `call` once more, for a new link: TM_OK when ret_question is to be sent.
     * Anything else: the call was answered otherwise and waits no longer. */
    enum tm_err (*again)(void *arg, struct front_call *call, struct front_question *ret_question);
    void (*sent)(void *arg); /* what _again lent may go */
    void (*reply)(void *arg, struct front_call *call, const struct ipc_reply *reply);
    void (*station)(void *arg, struct front_call *call, const struct ipc_station_answer *answer);
    void (*late)(void *arg, struct front_call *call); /* reply_timeout passed */
    void (*catalog)(void *arg, const struct ipc_catalog *entry);
    void (*tls)(void *arg, const struct ipc_tls_answer *answer);
};

/* calls_max bounds what waits and what is queued. `events` must outlive it. */
MUST_USE enum tm_err front_upstream_new(struct loop *loop, int64_t reply_timeout_ms,
                                        size_t calls_max,
                                        const struct front_upstream_events *events, void *arg,
                                        struct front_upstream **ret_upstream);
void front_upstream_free(struct front_upstream *upstream); /* NULL-safe; no call may wait */

/* Takes fd over as the link; an older one is closed. */
void front_upstream_link(struct front_upstream *upstream, int fd);

/* Sends `question` (nothing of it is kept) and lets `call`, with its ID, wait. Without a link it
 * waits for one. TM_EFULL: too much is waiting; TM_ELIMIT: it does not fit a message. */
MUST_USE enum tm_err front_upstream_ask(struct front_upstream *upstream, struct front_call *call,
                                        const struct front_question *question);
void front_upstream_forget(struct front_upstream *upstream, struct front_call *call);

/* Without a link nothing is sent: whoever asks does so again when there is one. */
MUST_USE enum tm_err front_upstream_ask_tls(struct front_upstream *upstream,
                                            const struct ipc_tls_ask *ask);

/* Tells the core what was refused here, for its audit; when that is not possible now, it is counted
 * and the count is logged. */
void front_upstream_refused(struct front_upstream *upstream, const struct ipc_refused *refused);

#endif
