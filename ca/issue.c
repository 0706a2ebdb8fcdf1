/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a decision to a certificate (requirement B5): intent durable, TBS built and linted, ticket
 * signed, signature verified with the pinned key, certificate and device and leaf durable in one
 * transaction, answer. Whatever fails after the intent burns its serial before it answers.
 */
#include <stdlib.h>
#include <string.h>

#include "base/crash.h"
#include "base/log.h"
#include "ca/build.h"
#include "ca/cmc.h"
#include "ca/keygen.h"
#include "ca/remote.h"

static struct bytes tbs_of(const struct ca_request *r) {
    return (struct bytes){r->tbs, r->tbs_n};
}

/* ---- signing ---- */

static bool assemble(struct ca_request *r, struct bytes signature) {
    struct buf der = BUF_ON(r->certificate_der);
    if (ca_build_certificate(r->label->tenant->issuer, tbs_of(r), signature, &der))
        return false;
    r->certificate.der = buf_bytes(&der);
    return !ca_hash(r->service->hasher, &r->certificate.der, 1, r->certificate.fingerprint);
}

void ca_sign_failed(struct ca_request *r, enum ipc_sign_status status) {
    switch (status) {
    case IPC_SIGN_REFUSED:
        (void)ca_refuse(&r->end, IPC_FAILED, "the signer refused the certificate");
        break;
    case IPC_SIGN_CEILING:
        (void)ca_refuse(&r->end, IPC_UNAVAILABLE,
                        "the signer's ceiling is reached; send the same request again later");
        break;
    default:
        (void)ca_refuse(&r->end, IPC_UNAVAILABLE,
                        "the signer failed; send the same request again later");
        break;
    }
    ca_burn(r);
}

/* The response is signed before anything is recorded: certificate, transaction and what the device
 * will be told are one (requirement F3). */
static void response_signed(struct ca_request *r, enum ipc_sign_status status) {
    if (status != IPC_SIGN_OK) {
        ca_sign_failed(r, status);
        return;
    }
    ca_cmc_fill_transaction(r, &r->intent.serial);
    r->cmc->done = true;
    crash_point("core.response_signed");
    ca_record(r);
}

static void signed_done(struct ca_ticket *ticket, enum ipc_sign_status status,
                        struct bytes signature) {
    struct ca_request *r = ticket->arg;
    crash_point("core.signed");
    if (status != IPC_SIGN_OK) {
        ca_sign_failed(r, status);
        return;
    }
    /* After a reset a stale handle can name another key of the token: nothing is recorded that
     * the pinned key does not verify. */
    if (ca_issuer_verify(r->label->tenant->issuer, tbs_of(r), signature)) {
        log_line(LOG_LEVEL_ERROR, r->message.id,
                 "the signer's signature does not verify with issuer %s; the signer is restarted",
                 r->label->tenant->issuer->name);
        r->service->signer->ops->distrust(r->service->signer, ticket);
        ca_sign_failed(r, IPC_SIGN_FAILED);
        return;
    }
    crash_point("core.verified");
    if (!assemble(r, signature)) {
        (void)ca_refuse(&r->end, IPC_FAILED, "the certificate could not be assembled");
        ca_burn(r);
        return;
    }
    if (r->cmc)
        ca_cmc_sign(r, IPC_ISSUED, "", r->certificate.der, true, response_signed);
    else if (r->generated)
        ca_keygen_finish(r);
    else
        ca_record(r);
}

static void fill_certificate(struct ca_request *r) {
    struct ca_certificate *c = &r->certificate;
    c->serial = r->intent.serial;
    c->status = CA_CERT_ACTIVE;
    TEXT_SET(c->tenant, r->intent.tenant);
    TEXT_SET(c->device, r->intent.device);
    TEXT_SET(c->profile, r->intent.profile);
    memcpy(c->profile_hash, r->intent.profile_hash, CA_HASH_SIZE);
    TEXT_SET(c->issuer, r->label->tenant->issuer->name);
    c->issued_ms = r->now_ms;
}

static bool build(struct ca_request *r) {
    struct ca_build b = {.profile = r->label->profile,
                         .issuer = r->label->tenant->issuer,
                         .device = &r->device,
                         .serial = &r->intent.serial,
                         .spki = &r->csr.spki,
                         .requested_san = r->requested_san,
                         .keep_subject = r->keep_subject,
                         .keep_san = r->keep_san,
                         .renewal = r->keep_subject.n != 0,
                         .now_ms = r->now_ms,
                         .ret_not_after_ms = &r->certificate.not_after_ms};
    struct buf tbs = BUF_ON(r->tbs);
    enum tm_err err = ca_build_tbs(&b, &tbs);
    if (err) {
        return ca_refuse(&r->end, IPC_FAILED, "the certificate cannot be built: %s",
                         tm_err_name(err));
    }
    r->tbs_n = tbs.n;
    char text[CA_LINT_TEXT_MAX];
    if (ca_lint(tbs_of(r), b.profile, b.issuer, &r->ticket.lint, text)) {
        return ca_refuse(&r->end, IPC_FAILED, "the certificate would break a rule: %.200s", text);
    }
    return true;
}

static void sign(struct ca_request *r) {
    r->ticket.kind = CA_TICKET_CERTIFICATE;
    r->ticket.provider = NULL;
    r->ticket.issuer = r->label->tenant->issuer->name;
    r->ticket.profile = r->label->profile->name;
    r->ticket.profile_hash = r->label->profile->hash;
    r->ticket.tbs = tbs_of(r);
    r->ticket.done = signed_done;
    r->ticket.arg = r;
    if (r->service->signer->ops->sign(r->service->signer, &r->ticket)) {
        (void)ca_refuse(&r->end, IPC_BUSY, "the signer is busy; send the same request again later");
        ca_burn(r);
        return;
    }
    crash_point("core.ticket_sent");
}

/* ---- intent ---- */

enum { CHANGE_INTENT, CHANGE_KEY, CHANGE_DEVICE, CHANGE_LEAF };

static void intent_failed(struct ca_request *r, enum tm_err result) {
    if (result == TM_ECONFLICT && r->batch.failed == CHANGE_KEY)
        (void)ca_refuse(&r->end, IPC_DUPLICATE_KEY,
                        "the key belongs to another device; make a new one in this device");
    else
        ca_refuse_unstored(r, result);
    ca_request_retry_or_refuse(r);
}

static void intent_durable(struct ca_batch *batch, enum tm_err result) {
    struct ca_request *r = batch->arg;
    if (result) {
        intent_failed(r, result);
        return;
    }
    crash_point("core.intent_durable");
    fill_certificate(r);
    if (r->remote)
        ca_remote_ask(r);
    else if (build(r))
        sign(r);
    else
        ca_burn(r);
}

static bool fill_intent(struct ca_request *r) {
    const struct ca_profile *profile = r->label->profile;
    struct ca_intent *intent = &r->intent;
    memset(intent, 0, sizeof *intent);
    TEXT_SET(intent->tenant, r->label->tenant->name);
    TEXT_SET(intent->device, r->device.id);
    TEXT_SET(intent->profile, profile->name);
    memcpy(intent->profile_hash, profile->hash, CA_HASH_SIZE);
    memcpy(intent->request, r->key, CA_HASH_SIZE);
    intent->from_state = r->device.state;
    intent->to_state = profile->next_state ? (uint8_t)profile->next_state : r->device.state;
    intent->created_ms = r->now_ms;
    TEXT_SET(intent->job, r->granted.job);
    int64_t from = r->service->serials_from_ms;
    return !ca_serial_make(r->now_ms > from ? r->now_ms : from, &intent->serial);
}

/* First contact of a device that may register itself: it is in the registry from the intent on. */
static void add_device(struct ca_request *r) {
    r->device.version = 1;
    r->device.changed_ms = r->now_ms;
    ca_request_leaf(r, CA_EVENT_DEVICE_ADDED, &r->leaf);
    r->leaf.to_state = r->device.state;
    r->batch.changes[CHANGE_DEVICE] =
        (struct ca_change){.kind = CA_PUT_DEVICE, .u.device = &r->device};
    r->batch.changes[CHANGE_LEAF] = (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = &r->leaf};
    r->batch.count = 4;
}

void ca_issue(struct ca_request *r) {
    r->batch = (struct ca_batch){.count = 2, .done = intent_durable, .arg = r};
    struct ca_change *changes = r->batch.changes;
    changes[CHANGE_INTENT] = (struct ca_change){.kind = CA_PUT_INTENT, .u.intent = &r->intent};
    changes[CHANGE_KEY] = (struct ca_change){
        .kind = CA_CLAIM_KEY, .u.key = {.tenant = r->label->tenant->name, .device = r->device.id}};
    if (r->generated && !ca_keygen_make(r, &r->end)) {
        ca_request_refuse(r, &r->end);
        return;
    }
    if (!fill_intent(r) ||
        ca_hash(r->service->hasher, &r->csr.spki.whole, 1, changes[CHANGE_KEY].u.key.spki_hash)) {
        (void)ca_refuse(&r->end, IPC_FAILED, "the server has no randomness");
        ca_request_refuse(r, &r->end);
        return;
    }
    if (!r->device.version)
        add_device(r);
    if (!ca_grant_spend(r, &r->end)) {
        ca_request_refuse(r, &r->end);
        return;
    }
    if (r->label->tenant->issuer->remote && !ca_remote_prepare(r, &r->end)) {
        ca_request_refuse(r, &r->end);
        return;
    }
    enum tm_err err = r->service->store->ops->submit(r->service->store, &r->batch);
    if (err)
        intent_failed(r, err);
    else
        crash_point("core.intent_submitted");
}
