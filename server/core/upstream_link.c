/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ca/upstream.h over the link to the upstream process. Asks stand in one list until they are
 * answered. Unlike tickets none is sent a second time: what became of one whose process died is not
 * known, and whether to ask again is decided where it is written down.
 *
 * A CA that does not answer is left alone for a while, which doubles; then one request finds out
 * whether it is back. So devices get their 503 at once, and no intents are made for nothing.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/core/core.h"

#define AWAY_MIN_MS 500
#define AWAY_MAX_MS 30000
#define LATE_MS 5000 /* beyond the time in which the upstream role answers in any case */

/* How a CA has been. */
struct health {
    unsigned failures; /* in a row */
    int64_t not_before_ms;
    int64_t timeout_ms;
};

struct core_upstream {
    struct ca_upstream base;
    struct loop *loop;
    const struct core_setup *setup;
    size_t queue;
    struct ipc_link *link;
    struct health *health; /* by issuer */
    uint64_t next_id;
    struct ca_ask *first, **last; /* in the order of their IDs */
    size_t waiting;
};

static struct core_upstream *of(struct ca_upstream *base) {
    return (struct core_upstream *)base;
}

static struct health *health_of(struct core_upstream *u, const char *issuer) {
    size_t i = 0;
    while (strcmp(u->setup->issuers[i].name, issuer) != 0)
        i++;
    return &u->health[i];
}

/* ---- the CA's interface ---- */

/* Of those that come while it is away, the one that finds out claims the time that it may take. */
static bool ready(struct ca_upstream *base, const char *issuer) {
    struct core_upstream *u = of(base);
    struct health *health = health_of(u, issuer);
    int64_t now = clock_mono_ms();
    if (!u->link || now < health->not_before_ms)
        return false;
    if (health->failures)
        health->not_before_ms = now + health->timeout_ms + LATE_MS;
    return true;
}

static enum tm_err ask(struct ca_upstream *base, struct ca_ask *ask) {
    struct core_upstream *u = of(base);
    if (!u->link)
        return TM_ECLOSED;
    if (u->waiting >= u->queue)
        return TM_EFULL;
    struct ipc_upstream_ask message = {.id = ++u->next_id, .csr = ask->csr};
    TEXT_SET(message.issuer, ask->issuer);
    enum tm_err err = ipc_link_send(u->link, &ipc_upstream_ask_schema, &message);
    if (err)
        return err;
    ask->id = message.id;
    ask->deadline_ms = clock_mono_ms() + health_of(u, ask->issuer)->timeout_ms + LATE_MS;
    ask->next = NULL;
    *u->last = ask;
    u->last = &ask->next;
    u->waiting++;
    return TM_OK;
}

static const struct ca_upstream_ops ops = {ready, ask};

/* ---- answers ---- */

static void note_failure(struct health *health) {
    int64_t delay = AWAY_MIN_MS;
    for (unsigned i = 0; i < health->failures && delay < AWAY_MAX_MS; i++)
        delay *= 2;
    health->failures++;
    health->not_before_ms = clock_mono_ms() + (delay < AWAY_MAX_MS ? delay : AWAY_MAX_MS);
}

static void note(struct core_upstream *u, const struct ca_ask *ask, enum ipc_upstream_status status,
                 const char *text) {
    struct health *health = health_of(u, ask->issuer);
    bool fails = status == IPC_UPSTREAM_UNREACHABLE || status == IPC_UPSTREAM_LOST;
    if (fails && !health->failures)
        log_error("issuer %s: its CA does not answer: %s", ask->issuer, text);
    if (!fails && health->failures)
        log_info("issuer %s: its CA answers again", ask->issuer);
    if (fails) {
        note_failure(health);
    } else {
        health->failures = 0;
        health->not_before_ms = 0;
    }
}

/* Takes the ask at *at out of the list and ends it. */
static void end(struct core_upstream *u, struct ca_ask **at, const struct ca_asked *answer) {
    struct ca_ask *ask = *at;
    *at = ask->next;
    if (!*at)
        u->last = at;
    u->waiting--;
    note(u, ask, answer->status, answer->text);
    ask->done(ask, answer);
}

static bool take_answer(struct core_upstream *u, struct bytes message) {
    struct ipc_upstream_answer answer;
    if (codec_decode(&ipc_upstream_answer_schema, message, &answer) || !answer.status)
        return false;
    struct ca_ask **at = &u->first;
    while (*at && (*at)->id != answer.id)
        at = &(*at)->next;
    const struct ca_asked asked = {.status = (enum ipc_upstream_status)answer.status,
                                   .retry_after_s = answer.retry_after_s,
                                   .text = answer.text,
                                   .certificate = answer.certificate};
    if (*at) /* else it was given up */
        end(u, at, &asked);
    return true;
}

static void lose_all(struct core_upstream *u) {
    static const struct ca_asked lost = {.status = IPC_UPSTREAM_LOST,
                                         .text = "the process that asked it is gone"};
    while (u->first)
        end(u, &u->first, &lost);
}

static void lose_link(struct core_upstream *u) {
    ipc_link_close(u->link);
    u->link = NULL;
    lose_all(u);
}

static void upstream_message(void *arg, struct ipc_link *link, struct bytes message, int fd) {
    struct core_upstream *u = arg;
    if (fd >= 0)
        (void)close(fd);
    if ((fd < 0 && codec_peek(message) == IPC_TYPE_UPSTREAM_ANSWER && take_answer(u, message)) ||
        u->link != link)
        return;
    log_error("the upstream role sent what is no answer (type 0x%04x); its link is closed",
              codec_peek(message));
    lose_link(u);
}

static void upstream_closed(void *arg, struct ipc_link *link) {
    struct core_upstream *u = arg;
    (void)link;
    log_warn("the upstream role is gone; what %zu requests came to is not known", u->waiting);
    lose_link(u);
}

static const struct ipc_link_events upstream_events = {upstream_message, upstream_closed};

/* ---- life ---- */

enum tm_err core_upstream_new(struct loop *loop, const struct conf *conf,
                              const struct core_setup *setup, struct core_upstream **ret_upstream) {
    const struct conf_issuer *issuers = conf->issuers.items;
    struct core_upstream *u = calloc(1, sizeof *u);
    if (!u)
        return TM_ENOMEM;
    u->health = calloc(setup->issuer_count + 1, sizeof *u->health);
    if (!u->health) {
        free(u);
        return TM_ENOMEM;
    }
    u->base.ops = &ops;
    u->loop = loop;
    u->setup = setup;
    u->queue = conf->core.queue;
    u->last = &u->first;
    for (size_t i = 0; i < setup->issuer_count; i++)
        u->health[i].timeout_ms = issuers[i].upstream.timeout;
    *ret_upstream = u;
    return TM_OK;
}

void core_upstream_free(struct core_upstream *upstream) {
    if (!upstream)
        return;
    ipc_link_close(upstream->link);
    free(upstream->health);
    free(upstream);
}

struct ca_upstream *core_upstream_interface(struct core_upstream *upstream) {
    return upstream ? &upstream->base : NULL;
}

void core_upstream_linked(struct core_upstream *upstream, int fd) {
    if (!upstream) {
        (void)close(fd);
        return;
    }
    lose_link(upstream);
    enum tm_err err = ipc_link_open(upstream->loop, fd, upstream->queue, &upstream_events, upstream,
                                    &upstream->link);
    if (err)
        log_error("link to the upstream role: %s", tm_err_name(err));
}

bool core_upstream_answers(const struct core_upstream *upstream, size_t issuer) {
    return upstream && upstream->link && !upstream->health[issuer].failures;
}

void core_upstream_tick(struct core_upstream *upstream) {
    static const struct ca_asked late = {.status = IPC_UPSTREAM_LOST,
                                         .text = "the upstream role does not answer"};
    int64_t now = clock_mono_ms();
    /* Times of different issuers differ; a new look from the start costs little, and is rare. */
    for (struct ca_ask **at = upstream ? &upstream->first : NULL; at && *at;) {
        if (now >= (*at)->deadline_ms) {
            end(upstream, at, &late);
            at = &upstream->first;
        } else {
            at = &(*at)->next;
        }
    }
}
