/* SPDX-License-Identifier: Apache-2.0 */
/* A message becomes a request under way, or is turned away: see ca/service.h and ca/request.h. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash.h"
#include "ca/cmc.h"
#include "ca/keygen.h"
#include "ca/remote.h"

/* Copies the octets of *data to the payload and points *data there. */
static void keep(struct ca_request *r, size_t *at, struct bytes *data) {
    if (data->n)
        memcpy(r->payload + *at, data->p, data->n);
    data->p = r->payload + *at;
    *at += data->n;
}

static struct ca_request *request_new(struct ca_service *s, const struct ipc_enroll *m) {
    size_t size = m->peer_leaf.n + m->peer_chain.n + m->secret.n + m->tls_exporter.n +
                  m->tls_unique.n + m->csr.n;
    struct ca_request *r = malloc(sizeof *r + size);
    if (!r)
        return NULL;
    memset(r, 0, offsetof(struct ca_request, tbs));
    r->service = s;
    r->message = *m;
    size_t at = 0;
    keep(r, &at, &r->message.peer_leaf);
    keep(r, &at, &r->message.peer_chain);
    keep(r, &at, &r->message.secret);
    keep(r, &at, &r->message.tls_exporter);
    keep(r, &at, &r->message.tls_unique);
    keep(r, &at, &r->message.csr);
    r->next = s->first;
    if (s->first)
        s->first->prev = r;
    s->first = r;
    s->active++;
    return r;
}

const struct ca_label *ca_service_label(const struct ca_service *s, const char *name) {
    for (size_t i = 0; i < s->config->label_count; i++) {
        const struct ca_label *label = &s->config->labels[i];
        if (name[0] ? strcmp(label->label, name) == 0 : label->is_default)
            return label;
    }
    return NULL;
}

static const struct ca_label *find_label(struct ca_request *r, struct ca_refusal *ret) {
    if (r->cmc)
        return ca_cmc_label(r, ret);
    if (r->message.origin == IPC_ORIGIN_LOCAL)
        return r->service->config->server;
    const struct ca_label *label = ca_service_label(r->service, r->message.label);
    if (!label)
        (void)ca_refuse(ret, IPC_UNKNOWN_LABEL, "there is no label \"%s\" here", r->message.label);
    return label;
}

static void turn_away(struct ca_service *s, const struct ipc_enroll *m, ca_reply_fn *reply,
                      void *arg) {
    struct ipc_reply busy = {.id = m->id,
                             .outcome = IPC_BUSY,
                             .retry_after_s = ca_retry_after_s(IPC_BUSY, m->id, 0),
                             .text = "the server is busy; send the same request again later"};
    ca_count(s, ca_service_label(s, m->label), m->operation, IPC_BUSY);
    reply(arg, &busy);
}

/* NULL: there is no room for it. */
static struct ca_request *admit(struct ca_service *service, const struct ipc_enroll *message) {
    if (service->active >= service->config->queue)
        return NULL;
    struct ca_request *r = request_new(service, message);
    if (!r)
        return NULL;
    enum tm_err err = message->operation == IPC_OP_FULLCMC        ? ca_cmc_new(r)
                      : message->operation == IPC_OP_SERVERKEYGEN ? ca_keygen_new(r)
                                                                  : TM_OK;
    if (!err)
        return r;
    ca_request_free(r);
    return NULL;
}

/* NULL: it was turned away. */
static struct ca_request *take(struct ca_service *service, const struct ipc_enroll *message,
                               ca_reply_fn *reply, void *arg) {
    struct ca_request *r = admit(service, message);
    if (!r) {
        turn_away(service, message, reply, arg);
        return NULL;
    }
    r->reply = reply;
    r->reply_arg = arg;
    r->deadline_ms = clock_mono_ms() + service->config->request_timeout_ms;
    r->now_ms = service->config->now_ms();
    return r;
}

void ca_service_enroll(struct ca_service *service, const struct ipc_enroll *request,
                       ca_reply_fn *reply, void *arg) {
    crash_point("core.received");
    struct ca_refusal refusal = {0};
    struct ca_request *r = take(service, request, reply, arg);
    if (!r)
        return;
    TEXT_SET(r->local, "touchmarkd");
    TEXT_SET(r->by, "touchmarkd");
    r->label = find_label(r, &refusal);
    if (r->label && (!r->label->tenant->issuer->remote || ca_remote_offered(r, &refusal)) &&
        (!r->generated || ca_keygen_offered(r, &refusal)))
        ca_request_run(r);
    else
        ca_request_refuse(r, &refusal);
}

void ca_service_delegate(struct ca_service *service, const struct ca_label *label,
                         const char *device, struct bytes spki, ca_reply_fn *reply, void *arg) {
    const struct ipc_enroll message = {
        .operation = IPC_OP_ENROLL, .origin = IPC_ORIGIN_LOCAL, .csr = spki};
    struct ca_request *r = take(service, &message, reply, arg);
    if (!r)
        return;
    TEXT_SET(r->local, device);
    TEXT_SET(r->by, "touchmarkd");
    r->delegate = true;
    r->label = label;
    ca_request_run(r);
}

void ca_service_prove(struct ca_service *service, const struct ca_label *label, const char *code,
                      const char *actor, ca_reply_fn *reply, void *arg) {
    const struct ipc_enroll message = {.operation = IPC_OP_ENROLL, .origin = IPC_ORIGIN_LOCAL};
    struct ca_request *r = take(service, &message, reply, arg);
    if (!r)
        return;
    TEXT_SET(r->local, code);
    TEXT_SET(r->by, actor);
    r->proof = true;
    r->label = label;
    ca_request_run(r);
}
