/* SPDX-License-Identifier: Apache-2.0 */
/* A request that needs an officer: is it the one that was approved, and if not, how it waits. See
 * ca/approval.h and ca/request.h. */
#include "ca/approval.h"

#include <stdio.h>
#include <string.h>

#include "base/crash.h"
#include "ca/cmc.h"
#include "ca/key.h"
#include "ca/keygen.h"
#include "pki/name.h"

#define ASKED_EVERY_MS 60000 /* a poll is not worth a transaction more often */

void ca_approval_request_text(const struct ca_pending *row, char ret[CA_APPROVAL_REQUEST_TEXT]) {
    struct bytes shown = {row->request, CA_APPROVAL_REQUEST_SIZE};
    if (hex_encode(shown, ret, CA_APPROVAL_REQUEST_TEXT))
        ret[0] = 0;
}

/* ---- what was decided about this request ---- */

/* The names as they would stand in the certificate: that is what an officer approves. */
static bool describe_names(struct ca_request *r, struct ca_refusal *ret) {
    struct ca_pending *row = &r->approval.row;
    uint8_t octets[CA_SAN_MAX];
    struct buf subject = BUF_ON(octets), san = BUF_ON(r->approval.san);
    const struct ca_build b = {.profile = r->label->profile,
                               .device = &r->device,
                               .requested_san = r->requested_san,
                               .keep_san = r->keep_san,
                               .renewal = r->keep_subject.n != 0};
    if (!b.renewal && ca_build_subject(b.profile, b.device, &subject))
        return ca_refuse(ret, IPC_FAILED, "profile %s has no subject for device %s",
                         b.profile->name, r->device.id);
    if (ca_build_names(&b, &san))
        return ca_refuse(ret, IPC_BAD_SAN,
                         "the subjectAltName that is asked for has too many names, or some that "
                         "profile %s does not take",
                         b.profile->name);
    pki_name_format(b.renewal ? r->keep_subject : buf_bytes(&subject), row->subject,
                    sizeof row->subject);
    row->san = buf_bytes(&san);
    return true;
}

/* A key that is to be made here is made when the certificate is: there is none to show yet. */
static bool describe_key(struct ca_request *r) {
    struct ca_pending *row = &r->approval.row;
    if (r->generated) {
        (void)snprintf(row->key_word, sizeof row->key_word, "%s, made here",
                       ca_profile_key_word(r->generated->kind));
        return true;
    }
    TEXT_SET(row->key_word, ca_profile_key_word(ca_key_kind(&r->csr.spki)));
    return !ca_hash(r->service->hasher, &r->csr.spki.whole, 1, row->spki_sha256);
}

/* The row that this request would make. */
static bool describe(struct ca_request *r, struct ca_refusal *ret) {
    struct ca_pending *row = &r->approval.row;
    memset(row, 0, sizeof *row);
    TEXT_SET(row->tenant, r->label->tenant->name);
    TEXT_SET(row->device, r->device.id);
    TEXT_SET(row->profile, r->label->profile->name);
    row->status = CA_PENDING_OPEN;
    memcpy(row->request, r->key, CA_HASH_SIZE);
    if (!describe_key(r))
        return ca_refuse(ret, IPC_FAILED, "the server could not hash the request");
    TEXT_SET(row->actor, r->who.actor);
    TEXT_SET(row->remote, r->message.remote);
    row->created_ms = row->asked_ms = r->now_ms;
    row->expires_ms = r->now_ms + CA_APPROVAL_OPEN_MS;
    return describe_names(r, ret);
}

static bool is_same(const struct ca_pending *a, const struct ca_pending *b) {
    return memcmp(a->request, b->request, CA_HASH_SIZE) == 0 &&
           strcmp(a->subject, b->subject) == 0 && bytes_equal(a->san, b->san);
}

static void take_over(struct ca_request *r, const struct ca_pending *stored) {
    struct ca_approval *a = &r->approval;
    a->row.version = stored->version;
    if (stored->expires_ms <= r->now_ms)
        return;
    if (!is_same(stored, &a->row)) {
        a->before = (enum ca_pending_status)stored->status;
        return;
    }
    struct bytes san = a->row.san;
    a->row = *stored;
    a->row.san = san;
    a->asked = r->now_ms - stored->asked_ms < ASKED_EVERY_MS;
    r->standing = (enum ca_pending_status)stored->status;
    r->waited_ms = r->now_ms - stored->created_ms;
}

bool ca_approval_look(struct ca_request *r, struct ca_refusal *ret) {
    uint8_t octets[CA_ROW_MEMORY_MAX];
    struct buf memory = BUF_ON(octets);
    r->standing = 0;
    r->waited_ms = 0;
    r->approval.before = 0;
    r->approval.asked = false;
    if (!describe(r, ret))
        return false;
    struct ca_pending stored = r->approval.row; /* for its key */
    switch (r->service->store->ops->row(r->service->store, CA_TABLE_PENDING, &stored, &memory)) {
    case TM_OK:
        take_over(r, &stored);
        return true;
    case TM_ENOTFOUND:
        return true;
    default:
        return ca_refuse(ret, IPC_UNAVAILABLE, "the registry cannot be read; try again later");
    }
}

static bool key_is_free(struct ca_request *r, struct ca_refusal *ret) {
    struct ca_store *store = r->service->store;
    char tenant[IPC_NAME_MAX + 1], device[IPC_NAME_MAX + 1];
    if (r->generated || store->ops->key_owner(store, r->approval.row.spki_sha256, tenant, device) ||
        (strcmp(tenant, r->label->tenant->name) == 0 && strcmp(device, r->device.id) == 0))
        return true;
    return ca_refuse(ret, IPC_DUPLICATE_KEY,
                     "the key belongs to another device; make a new one in this device");
}

enum ca_decision ca_approval_judge(struct ca_request *r, struct ca_refusal *ret) {
    switch (r->standing) {
    case CA_PENDING_APPROVED:
        return CA_DECIDE_ISSUE;
    case CA_PENDING_DENIED:
        (void)ca_refuse(ret, IPC_DENIED, "an officer denied this request: %s",
                        r->approval.row.reason);
        return CA_DECIDE_REFUSE;
    case CA_PENDING_OPEN:
        return CA_DECIDE_WAIT;
    }
    return key_is_free(r, ret) ? CA_DECIDE_WAIT : CA_DECIDE_REFUSE;
}

/* ---- waiting ---- */

/* By CMC each answer costs a signature, and whoever carries a message can repeat it. */
static void answer_pending(struct ca_request *r) {
    if (r->cmc && !ca_refusal_admit(r->service, r->now_ms))
        r->cmc->unsigned_answer = true;
    ca_request_end(r, IPC_PENDING,
                   "an officer has to approve this request; send the same one again later",
                   (struct bytes){0});
}

static void wait_failed(struct ca_request *r, enum tm_err result) {
    ca_refuse_unstored(r, result);
    ca_request_retry_or_refuse(r);
}

static void wait_durable(struct ca_batch *batch, enum tm_err result) {
    struct ca_request *r = batch->arg;
    if (result) {
        wait_failed(r, result);
        return;
    }
    crash_point("core.pending_durable");
    answer_pending(r);
}

static void add_change(struct ca_request *r, struct ca_change change) {
    r->batch.changes[r->batch.count++] = change;
}

/* First contact of a device that may register itself: an officer must be able to look it up. */
static void add_device(struct ca_request *r) {
    r->device.version = 1;
    r->device.changed_ms = r->now_ms;
    ca_request_leaf(r, CA_EVENT_DEVICE_ADDED, &r->approval.added);
    r->approval.added.to_state = r->device.state;
    add_change(r, (struct ca_change){.kind = CA_PUT_DEVICE, .u.device = &r->device});
    add_change(r, (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = &r->approval.added});
}

static const char *in_place_of(enum ca_pending_status before) {
    switch (before) {
    case CA_PENDING_OPEN:
        return ", in place of another";
    case CA_PENDING_APPROVED:
        return ", in place of another, whose approval is gone";
    case CA_PENDING_DENIED:
        return ", in place of another, which was denied";
    }
    return "";
}

static void add_leaf(struct ca_request *r) {
    char request[CA_APPROVAL_REQUEST_TEXT];
    ca_approval_request_text(&r->approval.row, request);
    ca_request_leaf(r, CA_EVENT_PENDING, &r->leaf);
    (void)snprintf(r->leaf.reason, sizeof r->leaf.reason, "request %s%s", request,
                   in_place_of(r->approval.before));
    add_change(r, (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = &r->leaf});
}

void ca_approval_wait(struct ca_request *r) {
    struct ca_pending *row = &r->approval.row;
    if (r->standing && r->approval.asked) {
        answer_pending(r);
        return;
    }
    row->version++;
    row->asked_ms = r->now_ms;
    row->expires_ms = r->now_ms + CA_APPROVAL_OPEN_MS;
    r->batch = (struct ca_batch){.done = wait_durable, .arg = r};
    add_change(r, (struct ca_change){.kind = CA_PUT_ROW, .u.row = {CA_TABLE_PENDING, row}});
    if (!r->device.version)
        add_device(r);
    if (!r->standing)
        add_leaf(r);
    enum tm_err err = r->service->store->ops->submit(r->service->store, &r->batch);
    if (err)
        wait_failed(r, err);
}

/* ---- the certificate that comes of it ---- */

void ca_approval_spend(struct ca_request *r) {
    if (r->standing != CA_PENDING_APPROVED)
        return;
    (void)snprintf(r->leaf.reason, sizeof r->leaf.reason, "approved by %.240s",
                   r->approval.row.officer);
    add_change(
        r, (struct ca_change){.kind = CA_END_ROW, .u.row = {CA_TABLE_PENDING, &r->approval.row}});
}
