/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refusals and their audit leaves. An answer that refuses is sent when its leaf is
 * durable; beyond a ceiling per second refusals are counted and the count is written
 * as one leaf, so that nobody can fill the log by being refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ca/cmc.h"

bool ca_refusal_admit(struct ca_service *s, int64_t now_ms) {
    if (now_ms / 1000 != s->refusal_second) {
        ca_refusals_flush(s, now_ms);
        s->refusal_second = now_ms / 1000;
        s->refusal_leaves = 0;
    }
    if (s->refusal_leaves < s->config->refusals_per_second) {
        s->refusal_leaves++;
        return true;
    }
    s->refusals_counted++;
    return false;
}

void ca_request_leaf(const struct ca_request *r, enum ca_event event, struct ca_leaf *ret) {
    memset(ret, 0, sizeof *ret);
    ret->event = (uint8_t)event;
    ret->time_ms = r->now_ms;
    ret->request = r->message.id;
    ret->origin = r->message.origin;
    ret->operation = r->message.operation;
    if (r->label) {
        TEXT_SET(ret->tenant, r->label->tenant->name);
        TEXT_SET(ret->profile, r->label->profile->name);
    }
    TEXT_SET(ret->device, r->who.device);
    TEXT_SET(ret->actor, r->who.actor);
    TEXT_SET(ret->remote, r->message.remote);
    TEXT_SET(ret->site, r->device.site);
    TEXT_SET(ret->station, r->granted.station);
    TEXT_SET(ret->job, r->granted.job);
    TEXT_SET(ret->operator_name, r->granted.operator_name);
}

static void refused_durable(struct ca_batch *batch, enum tm_err result) {
    struct ca_request *r = batch->arg;
    if (result)
        log_line(LOG_LEVEL_ERROR, r->message.id, "refusal not recorded: %s", tm_err_name(result));
    ca_request_end(r, r->end.outcome, r->end.text, (struct bytes){0});
}

void ca_request_refuse(struct ca_request *r, const struct ca_refusal *refusal) {
    if (refusal != &r->end)
        r->end = *refusal;
    ca_grant_refused(r, r->end.outcome);
    if (!ca_refusal_admit(r->service, r->now_ms)) {
        if (r->cmc)
            r->cmc->unsigned_answer = true;
        ca_request_end(r, r->end.outcome, r->end.text, (struct bytes){0});
        return;
    }
    ca_request_leaf(r, CA_EVENT_REFUSED, &r->leaf);
    r->leaf.outcome = (uint8_t)r->end.outcome;
    TEXT_SET(r->leaf.reason, r->end.text);
    r->batch = (struct ca_batch){.count = 1, .done = refused_durable, .arg = r};
    r->batch.changes[0] = (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = &r->leaf};
    if (r->service->store->ops->submit(r->service->store, &r->batch)) {
        r->service->refusals_counted++;
        ca_request_end(r, r->end.outcome, r->end.text, (struct bytes){0});
    }
}

void ca_refuse_unstored(struct ca_request *r, enum tm_err err) {
    switch (err) {
    case TM_ECONFLICT:
        (void)ca_refuse(&r->end, IPC_CONFLICT,
                        "device %s changed meanwhile; send the request again", r->device.id);
        return;
    case TM_EFULL:
        (void)ca_refuse(&r->end, IPC_BUSY,
                        "the registry is busy; send the same request again later");
        return;
    default:
        (void)ca_refuse(&r->end, IPC_UNAVAILABLE,
                        "the registry failed; send the same request again later");
        return;
    }
}

void ca_request_retry_or_refuse(struct ca_request *r) {
    if (r->end.outcome == IPC_CONFLICT && ca_request_retries(r)) {
        ca_request_run(r);
        return;
    }
    if (r->end.outcome == IPC_CONFLICT) /* nothing is wrong with the request */
        (void)ca_refuse(&r->end, IPC_BUSY,
                        "device %s changes all the time; send the same request again later",
                        r->device.id);
    ca_request_refuse(r, &r->end);
}

/* ---- leaves of nobody's request ---- */

struct lone_leaf {
    struct ca_leaf leaf;
    struct ca_batch batch;
};

static void lone_durable(struct ca_batch *batch, enum tm_err result) {
    if (result)
        log_error("audit leaf not recorded: %s", tm_err_name(result));
    free(batch->arg);
}

/* false: not taken. */
static bool submit_lone(struct ca_service *s, const struct ca_leaf *leaf) {
    struct lone_leaf *lone = malloc(sizeof *lone);
    if (!lone)
        return false;
    lone->leaf = *leaf;
    lone->batch = (struct ca_batch){.count = 1, .done = lone_durable, .arg = lone};
    lone->batch.changes[0] = (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = &lone->leaf};
    if (s->store->ops->submit(s->store, &lone->batch)) {
        free(lone);
        return false;
    }
    return true;
}

void ca_refusals_flush(struct ca_service *s, int64_t now_ms) {
    if (!s->refusals_counted || now_ms / 1000 == s->refusal_second)
        return;
    struct ca_leaf leaf = {.event = CA_EVENT_REFUSED_MANY,
                           .time_ms = s->refusal_second * 1000,
                           .count = s->refusals_counted,
                           .actor = "touchmarkd",
                           .reason = "refusals beyond core.refusals_per_second"};
    if (submit_lone(s, &leaf))
        s->refusals_counted = 0;
}

void ca_service_refused_admin(struct ca_service *service, const char *actor, const char *text) {
    int64_t now_ms = service->config->now_ms();
    struct ca_leaf leaf = {.event = CA_EVENT_REFUSED, .time_ms = now_ms};
    TEXT_SET(leaf.actor, actor);
    TEXT_SET(leaf.reason, text);
    if (ca_refusal_admit(service, now_ms) && !submit_lone(service, &leaf))
        service->refusals_counted++;
}

void ca_service_refused_leaf(struct ca_service *service, const struct ca_leaf *leaf) {
    if (ca_refusal_admit(service, leaf->time_ms) && !submit_lone(service, leaf))
        service->refusals_counted++;
}

void ca_service_refused(struct ca_service *service, const struct ipc_refused *refused) {
    int64_t now_ms = service->config->now_ms();
    ca_count(service, ca_service_label(service, refused->label), refused->operation,
             (enum ipc_outcome)refused->outcome);
    if (!ca_refusal_admit(service, now_ms))
        return;
    struct ca_leaf leaf = {.event = CA_EVENT_REFUSED,
                           .time_ms = now_ms,
                           .request = refused->id,
                           .origin = refused->origin,
                           .operation = refused->operation,
                           .outcome = refused->outcome};
    TEXT_SET(leaf.remote, refused->remote);
    TEXT_SET(leaf.reason, refused->text);
    uint8_t hash[CA_HASH_SIZE];
    char hex[2 * CA_HASH_SIZE + 1] = "";
    if (refused->peer_leaf.n && !ca_hash(service->hasher, &refused->peer_leaf, 1, hash) &&
        !hex_encode(BYTES_OF(hash), hex, sizeof hex))
        (void)snprintf(leaf.actor, sizeof leaf.actor, "cert:%s", hex);
    else if (refused->user[0])
        (void)snprintf(leaf.actor, sizeof leaf.actor, "unproven:%s", refused->user);
    if (!submit_lone(service, &leaf))
        service->refusals_counted++;
}
