/* SPDX-License-Identifier: Apache-2.0 */
/* The lock on the device, the steps of a request, replies: see ca/service.h and ca/request.h. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "ca/cmc.h"
#include "ca/keygen.h"
#include "ca/remote.h"

#define BUSY_RETRY_S 2 /* base of Retry-After; jitter of as much again is added */
#define UNAVAILABLE_RETRY_S 5
/* Somebody at a bench waits for seconds, a warehouse for days: a device asks again after a quarter
 * of the time that it has waited. With jitter the longest is below CA_CHALLENGE_MS, so that what it
 * was told by CMC still serves. */
#define PENDING_RETRY_S 30
#define PENDING_RETRY_MAX_S 240
#define ATTEMPTS_MAX 4

static size_t bucket_count(size_t queue) {
    size_t n = 64;
    while (n < queue * 2)
        n *= 2;
    return n;
}

static enum tm_err open_anchors(struct ca_service *s) {
    const struct ca_service_config *config = s->config;
    s->anchors = calloc(config->label_count ? config->label_count : 1, sizeof *s->anchors);
    if (!s->anchors)
        return TM_ENOMEM;
    for (size_t i = 0; i < config->label_count; i++) {
        struct bytes der = config->labels[i].tenant->anchors;
        enum tm_err err = der.n ? ca_anchors_new(der, &s->anchors[i]) : TM_OK;
        if (err)
            return err;
    }
    return TM_OK;
}

/* A key that is made here has to be given again when its answer got lost. */
static bool wrap_suffices(const struct ca_service_config *config) {
    for (size_t i = 0; i < config->label_count; i++)
        if (config->labels[i].profile->keygen != CA_KEYGEN_OFF && !config->wrap)
            return false;
    return true;
}

enum tm_err ca_service_new(const struct ca_service_config *config, struct ca_store *store,
                           struct ca_signer *signer, struct ca_service **ret) {
    if (!wrap_suffices(config))
        return TM_EINVAL;
    struct ca_service *s = calloc(1, sizeof *s);
    if (!s)
        return TM_ENOMEM;
    s->config = config;
    s->store = store;
    s->signer = signer;
    s->bucket_mask = bucket_count(config->queue) - 1;
    s->buckets = calloc(s->bucket_mask + 1, sizeof *s->buckets);
    enum tm_err err = s->buckets ? ca_hasher_new(&s->hasher) : TM_ENOMEM;
    if (!err)
        err = ca_checker_new(&s->checker);
    if (!err)
        err = ca_challenger_new(&s->challenger);
    if (!err)
        err = open_anchors(s);
    if (!err)
        err = ca_counts_open(s);
    if (err) {
        ca_service_free(s);
        return err;
    }
    *ret = s;
    return TM_OK;
}

void ca_service_free(struct ca_service *service) {
    if (!service)
        return;
    for (size_t i = 0; service->anchors && i < service->config->label_count; i++)
        ca_anchors_free(service->anchors[i]);
    free(service->anchors);
    free(service->profiles);
    free(service->buckets);
    ca_challenger_free(service->challenger);
    ca_checker_free(service->checker);
    ca_hasher_free(service->hasher);
    free(service);
}

/* ---- the device lock: one request of a device at a time, the others wait their turn ---- */

static size_t bucket_of(const struct ca_request *r) {
    uint64_t h =
        1469598103934665603u; /* FNV-1a: device IDs come from the registry, not from peers */
    const char *parts[] = {r->label->tenant->name, "/", r->who.device};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        for (const char *p = parts[i]; *p; p++)
            h = (h ^ (uint8_t)*p) * 1099511628211u;
    return (size_t)h & r->service->bucket_mask;
}

static bool holds_device_of(const struct ca_request *holder, const struct ca_request *r) {
    return strcmp(holder->held, r->who.device) == 0 &&
           strcmp(holder->label->tenant->name, r->label->tenant->name) == 0;
}

/* true: r holds its device. false: r now waits behind the one that does. */
static bool take_device(struct ca_request *r) {
    size_t index = bucket_of(r);
    struct ca_request **bucket = &r->service->buckets[index];
    for (struct ca_request *holder = *bucket; holder; holder = holder->bucket_next) {
        if (!holds_device_of(holder, r))
            continue;
        while (holder->waiting)
            holder = holder->waiting;
        holder->waiting = r;
        return false;
    }
    r->bucket_next = *bucket;
    *bucket = r;
    r->bucket = index;
    TEXT_SET(r->held, r->who.device);
    r->holds_device = true;
    return true;
}

static void leave_device(struct ca_request *r) {
    if (!r->holds_device)
        return;
    struct ca_request **at = &r->service->buckets[r->bucket];
    while (*at != r)
        at = &(*at)->bucket_next;
    *at = r->bucket_next;
    r->holds_device = false;
}

/* The first that waited runs; if it takes the device, the others wait behind it. */
static void wake_next(struct ca_request *chain) {
    while (chain) {
        struct ca_request *next = chain->waiting;
        chain->waiting = NULL;
        ca_request_run(chain);
        chain = next;
    }
}

/* ---- a request's life ---- */

static uint32_t with_jitter(uint32_t base, uint64_t id) {
    return base + (uint32_t)((id * 0x9e3779b97f4a7c15u >> 40) % (base + 1));
}

static uint32_t pending_retry_s(int64_t waited_ms) {
    int64_t quarter_s = waited_ms / 4000;
    return quarter_s < PENDING_RETRY_S       ? PENDING_RETRY_S
           : quarter_s > PENDING_RETRY_MAX_S ? PENDING_RETRY_MAX_S
                                             : (uint32_t)quarter_s;
}

uint32_t ca_retry_after_s(enum ipc_outcome outcome, uint64_t id, int64_t waited_ms) {
    switch (outcome) {
    case IPC_PENDING:
        return with_jitter(pending_retry_s(waited_ms), id);
    case IPC_BUSY:
        return with_jitter(BUSY_RETRY_S, id);
    case IPC_UNAVAILABLE:
        return with_jitter(UNAVAILABLE_RETRY_S, id);
    default:
        return 0;
    }
}

static void answer(struct ca_request *r, enum ipc_outcome outcome, const char *text,
                   struct bytes certificate) {
    if (!r->reply)
        return;
    struct ipc_reply reply = {.id = r->message.id,
                              .outcome = (uint8_t)outcome,
                              .retry_after_s =
                                  ca_retry_after_s(outcome, r->message.id, r->waited_ms)};
    if (r->remote && r->remote->retry_after_s && reply.retry_after_s)
        reply.retry_after_s = r->remote->retry_after_s; /* the other CA knows better */
    if (r->cmc)
        reply.cmc = r->cmc->done ? ca_cmc_response(r) : (struct bytes){0};
    else
        reply.certificate = certificate;
    if (r->generated && certificate.n) {
        reply.key = ca_keygen_part(r->generated);
        reply.key_encrypted = r->generated->recipient.wanted;
    }
    TEXT_SET(reply.text, text);
    ca_reply_fn *fn = r->reply;
    r->reply = NULL;
    fn(r->reply_arg, &reply);
}

void ca_request_free(struct ca_request *r) {
    struct ca_service *s = r->service;
    if (r->prev)
        r->prev->next = r->next;
    else
        s->first = r->next;
    if (r->next)
        r->next->prev = r->prev;
    s->active--;
    bytes_wipe((void *)(uintptr_t)r->message.secret.p, r->message.secret.n);
    ca_cmc_free(r->cmc);
    ca_keygen_free(r->generated);
    ca_remote_free(r->remote);
    free(r);
}

void ca_request_end(struct ca_request *r, enum ipc_outcome outcome, const char *text,
                    struct bytes certificate) {
    if (r->cmc && ca_cmc_answer(r, outcome, text))
        return;
    struct ca_request *waiting = r->waiting;
    if (outcome == IPC_ISSUED || outcome == IPC_REPEATED)
        ca_grant_went_well(r);
    ca_count_end(r, outcome);
    leave_device(r);
    answer(r, outcome, text, certificate);
    crash_point("core.replied");
    ca_request_free(r);
    wake_next(waiting);
}

static void decide(struct ca_request *r) {
    struct ca_refusal refusal = {0};
    switch (ca_decide(r, &refusal)) {
    case CA_DECIDE_ISSUE:
        ca_issue(r);
        return;
    case CA_DECIDE_REPEAT:
        if (r->cmc)
            ca_cmc_repeat(r);
        else
            ca_request_end(r, IPC_REPEATED, "", r->certificate.der);
        return;
    case CA_DECIDE_WAIT:
        ca_approval_wait(r);
        return;
    case CA_DECIDE_REFUSE:
        ca_request_refuse(r, &refusal);
        return;
    }
}

static void run_cmc(struct ca_request *r) {
    struct ca_refusal refusal = {0};
    switch (ca_cmc_next(r, &refusal)) {
    case CA_CMC_DECIDE:
        decide(r);
        return;
    case CA_CMC_CONFIRM:
        ca_cmc_confirm(r);
        return;
    case CA_CMC_STORED:
        ca_request_end(r, IPC_REPEATED, "", (struct bytes){0});
        return;
    case CA_CMC_REFUSE:
        ca_request_refuse(r, &refusal);
        return;
    }
}

void ca_request_run(struct ca_request *r) {
    struct ca_refusal refusal = {0};
    r->now_ms = r->service->config->now_ms();
    if ((r->cmc && !ca_cmc_open(r, &refusal)) || !ca_identify(r, &refusal)) {
        ca_request_refuse(r, &refusal);
        return;
    }
    if (!r->holds_device && !take_device(r))
        return;
    ca_keygen_delivered(r);
    if (r->cmc)
        run_cmc(r);
    else
        decide(r);
}

bool ca_request_retries(struct ca_request *r) {
    return ++r->attempts < ATTEMPTS_MAX;
}

void ca_service_serials_from(struct ca_service *service, int64_t ms) {
    if (service->serials_from_ms < ms)
        service->serials_from_ms = ms;
}

void ca_service_forget(struct ca_service *service, void *arg) {
    for (struct ca_request *r = service->first; r; r = r->next)
        if (r->reply_arg == arg)
            r->reply = NULL;
}

bool ca_service_busy_since(const struct ca_service *service, int64_t ms) {
    for (const struct ca_request *r = service->first; r; r = r->next)
        if (r->holds_device && r->now_ms < ms)
            return true;
    return false;
}

size_t ca_service_active(const struct ca_service *service) {
    return service->active;
}

void ca_service_tick(struct ca_service *service) {
    int64_t mono = clock_mono_ms();
    for (struct ca_request *r = service->first; r; r = r->next) {
        if (!r->reply || mono < r->deadline_ms)
            continue;
        log_line(LOG_LEVEL_WARN, r->message.id, "no answer within %lld ms; 503 sent, work goes on",
                 (long long)service->config->request_timeout_ms);
        ca_count(service, r->label, r->message.operation, IPC_UNAVAILABLE);
        answer(r, IPC_UNAVAILABLE, "the signer does not answer; send the same request again later",
               (struct bytes){0});
    }
    ca_refusals_flush(service, service->config->now_ms());
    ca_keygen_sweep(service, service->config->now_ms());
}
