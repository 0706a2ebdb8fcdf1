/* SPDX-License-Identifier: Apache-2.0 */
/* What officers decide about requests that wait: see ca/approval.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ca/approval.h"

#define ATTEMPTS_MAX 8

/* One decision under way; made again when the row changed before it was written. */
struct decision {
    const struct ca_registry *registry;
    ca_approval_fn *done;
    void *arg;
    unsigned attempts;
    bool approve;
    bool only_open;
    uint8_t request[CA_HASH_SIZE];
    size_t request_n;
    int64_t until_ms;
    char reason[CA_APPROVAL_REASON_MAX + 1];
    char actor[IPC_TEXT_MAX + 1];
    struct ca_pending row;
    struct ca_leaf leaf;
    struct ca_batch batch;
    uint8_t memory[CA_ROW_MEMORY_MAX];
};

static void run(struct decision *d);

static void end(struct decision *d, enum tm_err result, const char *text) {
    d->done(d->arg, result, text, result ? NULL : &d->row);
    free(d);
}

static const char *status_word(uint8_t status) {
    return status == CA_PENDING_APPROVED ? "approved" : "denied";
}

/* ---- is it to be decided? ---- */

static enum tm_err load(struct decision *d, int64_t now_ms, char text[IPC_TEXT_MAX + 1]) {
    struct ca_store *store = d->registry->store;
    struct buf memory = BUF_ON(d->memory);
    enum tm_err err = store->ops->row(store, CA_TABLE_PENDING, &d->row, &memory);
    if (!err && d->row.expires_ms <= now_ms)
        err = TM_ENOTFOUND;
    if (err == TM_ENOTFOUND)
        (void)snprintf(text, IPC_TEXT_MAX + 1,
                       "no request of device %s for profile %s waits for an officer", d->row.device,
                       d->row.profile);
    else if (err)
        (void)snprintf(text, IPC_TEXT_MAX + 1, "the request cannot be read: %s", tm_err_name(err));
    return err;
}

static enum tm_err judge(const struct decision *d, char text[IPC_TEXT_MAX + 1]) {
    uint8_t wanted = d->approve ? CA_PENDING_APPROVED : CA_PENDING_DENIED;
    char request[CA_APPROVAL_REQUEST_TEXT];
    ca_approval_request_text(&d->row, request);
    if (memcmp(d->request, d->row.request, d->request_n) != 0)
        (void)snprintf(text, IPC_TEXT_MAX + 1,
                       "device %s has another request for profile %s now: %s", d->row.device,
                       d->row.profile, request);
    else if (d->until_ms && d->row.created_ms >= d->until_ms)
        (void)snprintf(text, IPC_TEXT_MAX + 1,
                       "the request of device %s for profile %s was made later", d->row.device,
                       d->row.profile);
    else if (d->row.status == wanted || (d->only_open && d->row.status != CA_PENDING_OPEN))
        (void)snprintf(text, IPC_TEXT_MAX + 1,
                       "the request of device %s for profile %s is %s already", d->row.device,
                       d->row.profile, status_word(d->row.status));
    else
        return TM_OK;
    return TM_EDENIED;
}

/* ---- writing it down ---- */

static void fill_leaf(struct decision *d, int64_t now_ms) {
    struct ca_store *store = d->registry->store;
    struct ca_device device;
    char request[CA_APPROVAL_REQUEST_TEXT];
    ca_approval_request_text(&d->row, request);
    d->leaf = (struct ca_leaf){.event = d->approve ? CA_EVENT_APPROVED : CA_EVENT_DENIED,
                               .time_ms = now_ms};
    TEXT_SET(d->leaf.tenant, d->row.tenant);
    TEXT_SET(d->leaf.device, d->row.device);
    TEXT_SET(d->leaf.profile, d->row.profile);
    TEXT_SET(d->leaf.actor, d->actor);
    (void)snprintf(d->leaf.reason, sizeof d->leaf.reason, "request %s%s%s", request,
                   d->reason[0] ? ": " : "", d->reason);
    if (store->ops->device(store, d->row.tenant, d->row.device, &device))
        return;
    TEXT_SET(d->leaf.site, device.site);
    d->leaf.from_state = d->leaf.to_state = device.state;
}

static void fill_row(struct decision *d, int64_t now_ms) {
    struct ca_pending *row = &d->row;
    row->version++;
    row->status = d->approve ? CA_PENDING_APPROVED : CA_PENDING_DENIED;
    row->decided_ms = now_ms;
    row->expires_ms = now_ms + (d->approve ? CA_APPROVAL_GRANTED_MS : CA_APPROVAL_DENIED_MS);
    TEXT_SET(row->officer, d->actor);
    TEXT_SET(row->reason, d->reason);
}

static void durable(struct ca_batch *batch, enum tm_err result) {
    struct decision *d = batch->arg;
    if (result == TM_ECONFLICT && ++d->attempts < ATTEMPTS_MAX)
        run(d);
    else if (result)
        end(d, result, "the registry did not take the decision; nothing happened");
    else
        end(d, TM_OK, "");
}

static void run(struct decision *d) {
    struct ca_store *store = d->registry->store;
    int64_t now_ms = d->registry->now_ms();
    char text[IPC_TEXT_MAX + 1] = "";
    enum tm_err err = load(d, now_ms, text);
    if (!err)
        err = judge(d, text);
    if (!err) {
        fill_row(d, now_ms);
        fill_leaf(d, now_ms);
        d->batch = (struct ca_batch){
            .count = 2,
            .changes = {{.kind = CA_PUT_ROW, .u.row = {CA_TABLE_PENDING, &d->row}},
                        {.kind = CA_ADD_LEAF, .u.leaf = &d->leaf}},
            .done = durable,
            .arg = d};
        err = store->ops->submit(store, &d->batch);
    }
    if (err)
        end(d, err, text[0] ? text : "the registry is busy; try again");
}

enum tm_err ca_approval_decide(const struct ca_registry *registry,
                               const struct ca_approval_order *order, ca_approval_fn *done,
                               void *arg) {
    if (strlen(order->reason) > CA_APPROVAL_REASON_MAX || order->request.n > CA_HASH_SIZE ||
        (!order->approve && !order->reason[0]))
        return TM_EINVAL;
    struct decision *d = calloc(1, sizeof *d);
    if (!d)
        return TM_ENOMEM;
    d->registry = registry;
    d->done = done;
    d->arg = arg;
    d->approve = order->approve;
    d->only_open = order->only_open;
    d->request_n = order->request.n;
    if (d->request_n)
        memcpy(d->request, order->request.p, d->request_n);
    d->until_ms = order->until_ms;
    TEXT_SET(d->reason, order->reason);
    TEXT_SET(d->actor, order->actor);
    TEXT_SET(d->row.tenant, order->tenant);
    TEXT_SET(d->row.device, order->device);
    TEXT_SET(d->row.profile, order->profile);
    run(d);
    return TM_OK;
}
