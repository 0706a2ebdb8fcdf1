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
#include "ca/request.h"

#define ATTEMPTS_MAX 4

static struct bytes tbs_of(const struct ca_request *r) {
    return (struct bytes){r->tbs, r->tbs_n};
}

/* ---- burning: the intent ends without a certificate ---- */

static void burn_durable(struct ca_batch *batch, enum tm_err result) {
    struct ca_request *r = batch->arg;
    if (result) /* the intent stays open; recovery burns it at the next start */
        log_line(LOG_LEVEL_ERROR, r->message.id, "burned serial not recorded: %s",
                 tm_err_name(result));
    else
        r->service->counts.burned++;
    if (r->end.outcome == IPC_CONFLICT && ++r->attempts < ATTEMPTS_MAX) {
        ca_request_run(r);
        return;
    }
    ca_request_refuse(r, &r->end);
}

void ca_burn_fill(const struct ca_intent *intent, const char *issuer, int64_t now_ms,
                  const char *reason, struct ca_certificate *certificate, struct ca_leaf *leaf,
                  struct ca_batch *batch) {
    memset(certificate, 0, sizeof *certificate);
    certificate->serial = intent->serial;
    certificate->status = CA_CERT_BURNED;
    TEXT_SET(certificate->tenant, intent->tenant);
    TEXT_SET(certificate->device, intent->device);
    TEXT_SET(certificate->profile, intent->profile);
    memcpy(certificate->profile_hash, intent->profile_hash, CA_HASH_SIZE);
    TEXT_SET(certificate->issuer, issuer);
    certificate->issued_ms = now_ms;
    leaf->event = CA_EVENT_BURNED;
    leaf->time_ms = now_ms;
    leaf->serial = intent->serial;
    TEXT_SET(leaf->tenant, intent->tenant);
    TEXT_SET(leaf->device, intent->device);
    TEXT_SET(leaf->profile, intent->profile);
    TEXT_SET(leaf->reason, reason);
    batch->count = 3;
    batch->changes[0] = (struct ca_change){.kind = CA_END_INTENT, .u.serial = intent->serial};
    batch->changes[1] = (struct ca_change){.kind = CA_PUT_CERT, .u.certificate = certificate};
    batch->changes[2] = (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = leaf};
}

/* r->end says what to answer afterwards. */
static void burn(struct ca_request *r) {
    log_line(LOG_LEVEL_WARN, r->message.id, "serial burned: %s", r->end.text);
    ca_request_leaf(r, CA_EVENT_BURNED, &r->leaf);
    r->batch = (struct ca_batch){.done = burn_durable, .arg = r};
    ca_burn_fill(&r->intent, r->label->tenant->issuer->name, r->now_ms, r->end.text,
                 &r->certificate, &r->leaf, &r->batch);
    enum tm_err err = r->service->store->ops->submit(r->service->store, &r->batch);
    if (err)
        burn_durable(&r->batch, err);
}

/* ---- recording ---- */

static void record_durable(struct ca_batch *batch, enum tm_err result) {
    struct ca_request *r = batch->arg;
    switch (result) {
    case TM_OK:
        crash_point("core.recorded");
        ca_request_end(r, IPC_ISSUED, "", r->certificate.der);
        return;
    case TM_ECONFLICT: /* the device changed while the signature was made: decide again */
        (void)ca_refuse(&r->end, IPC_CONFLICT,
                        "device %s changed meanwhile; send the request again", r->device.id);
        break;
    case TM_EFULL:
        (void)ca_refuse(&r->end, IPC_UNAVAILABLE,
                        "the registry is full; send the same request later");
        break;
    default:
        (void)ca_refuse(&r->end, IPC_UNAVAILABLE,
                        "the registry failed; send the same request again later");
        break;
    }
    burn(r);
}

/* A full record forgets its oldest certificate that is not in use any more. One in use stays,
 * however old: an IDevID that dropped out after a decade of renewals could be issued a second time.
 * (ca_decide sees to it that not all are in use.) */
static void forget_oldest(struct ca_device *d) {
    size_t at = d->cert_count - 1;
    while (at > 0 && d->certs[at].status == CA_CERT_ACTIVE)
        at--;
    memmove(&d->certs[at], &d->certs[at + 1], (d->cert_count - at - 1) * sizeof d->certs[0]);
    d->cert_count--;
}

/* Older live certificates of the profile step back; the new one comes first. */
static void update_device(struct ca_request *r) {
    struct ca_device *d = &r->device;
    for (size_t i = 0; i < d->cert_count; i++)
        if (d->certs[i].status == CA_CERT_ACTIVE &&
            strcmp(d->certs[i].profile, r->label->profile->name) == 0)
            d->certs[i].status = CA_CERT_SUPERSEDED;
    if (d->cert_count == CA_DEVICE_CERTS_MAX)
        forget_oldest(d);
    memmove(&d->certs[1], &d->certs[0], d->cert_count * sizeof d->certs[0]);
    d->cert_count++;
    struct ca_cert_ref *ref = &d->certs[0];
    *ref = (struct ca_cert_ref){.serial = r->intent.serial,
                                .status = CA_CERT_ACTIVE,
                                .issued_ms = r->certificate.issued_ms,
                                .not_after_ms = r->certificate.not_after_ms};
    TEXT_SET(ref->profile, r->intent.profile);
    memcpy(ref->request, r->key, CA_HASH_SIZE);
    if (r->who.credential & CA_CRED_SECRET) {
        d->secret.used = true;
        memcpy(d->secret.request, r->key, CA_HASH_SIZE);
    }
    d->state = r->intent.to_state;
    d->changed_ms = r->now_ms;
    d->version++;
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

static void record(struct ca_request *r) {
    update_device(r);
    ca_request_leaf(r, CA_EVENT_ISSUED, &r->leaf);
    r->leaf.serial = r->intent.serial;
    r->leaf.from_state = r->intent.from_state;
    r->leaf.to_state = r->intent.to_state;
    memcpy(r->leaf.fingerprint, r->certificate.fingerprint, CA_HASH_SIZE);
    r->batch =
        (struct ca_batch){.count = 4,
                          .changes = {{.kind = CA_END_INTENT, .u.serial = r->intent.serial},
                                      {.kind = CA_PUT_CERT, .u.certificate = &r->certificate},
                                      {.kind = CA_PUT_DEVICE, .u.device = &r->device},
                                      {.kind = CA_ADD_LEAF, .u.leaf = &r->leaf}},
                          .done = record_durable,
                          .arg = r};
    enum tm_err err = r->service->store->ops->submit(r->service->store, &r->batch);
    crash_point("core.record_submitted");
    if (err)
        record_durable(&r->batch, err);
}

/* ---- signing ---- */

static bool assemble(struct ca_request *r, struct bytes signature) {
    struct buf der = BUF_ON(r->certificate_der);
    if (ca_build_certificate(r->label->tenant->issuer, tbs_of(r), signature, &der))
        return false;
    r->certificate.der = buf_bytes(&der);
    return !ca_hash(r->service->hasher, &r->certificate.der, 1, r->certificate.fingerprint);
}

static void sign_failed(struct ca_request *r, enum ipc_sign_status status) {
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
    burn(r);
}

static void signed_done(struct ca_ticket *ticket, enum ipc_sign_status status,
                        struct bytes signature) {
    struct ca_request *r = ticket->arg;
    crash_point("core.signed");
    if (status != IPC_SIGN_OK) {
        sign_failed(r, status);
        return;
    }
    /* After a reset a stale handle can name another key of the token: nothing is recorded that
     * the pinned key does not verify. */
    if (ca_issuer_verify(r->label->tenant->issuer, tbs_of(r), signature)) {
        log_line(LOG_LEVEL_ERROR, r->message.id,
                 "the signer's signature does not verify with issuer %s; the signer is restarted",
                 r->label->tenant->issuer->name);
        r->service->signer->ops->distrust(r->service->signer);
        sign_failed(r, IPC_SIGN_FAILED);
        return;
    }
    crash_point("core.verified");
    if (!assemble(r, signature)) {
        (void)ca_refuse(&r->end, IPC_FAILED, "the certificate could not be assembled");
        burn(r);
        return;
    }
    record(r);
}

static bool build(struct ca_request *r) {
    fill_certificate(r);
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
    r->ticket.issuer = r->label->tenant->issuer->name;
    r->ticket.profile = r->label->profile->name;
    r->ticket.profile_hash = r->label->profile->hash;
    r->ticket.tbs = tbs_of(r);
    r->ticket.done = signed_done;
    r->ticket.arg = r;
    if (r->service->signer->ops->sign(r->service->signer, &r->ticket)) {
        (void)ca_refuse(&r->end, IPC_BUSY, "the signer is busy; send the same request again later");
        burn(r);
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
    else if (result == TM_ECONFLICT)
        (void)ca_refuse(&r->end, IPC_CONFLICT,
                        "device %s changed meanwhile; send the request again", r->device.id);
    else if (result == TM_EFULL)
        (void)ca_refuse(&r->end, IPC_BUSY,
                        "the registry is busy; send the same request again later");
    else
        (void)ca_refuse(&r->end, IPC_UNAVAILABLE,
                        "the registry failed; send the same request again later");
    if (r->end.outcome == IPC_CONFLICT && ++r->attempts < ATTEMPTS_MAX)
        ca_request_run(r);
    else
        ca_request_refuse(r, &r->end);
}

static void intent_durable(struct ca_batch *batch, enum tm_err result) {
    struct ca_request *r = batch->arg;
    if (result) {
        intent_failed(r, result);
        return;
    }
    crash_point("core.intent_durable");
    if (build(r))
        sign(r);
    else
        burn(r);
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
    return !ca_serial_make(r->now_ms, &intent->serial);
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
    if (!fill_intent(r) ||
        ca_hash(r->service->hasher, &r->csr.spki.whole, 1, changes[CHANGE_KEY].u.key.spki_hash)) {
        (void)ca_refuse(&r->end, IPC_FAILED, "the server has no randomness");
        ca_request_refuse(r, &r->end);
        return;
    }
    if (!r->device.version)
        add_device(r);
    enum tm_err err = r->service->store->ops->submit(r->service->store, &r->batch);
    if (err)
        intent_failed(r, err);
    else
        crash_point("core.intent_submitted");
}
