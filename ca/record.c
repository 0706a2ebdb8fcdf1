/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of an issuance, one transaction: either certificate, device, leaf and (CMC) response, or
 * a burned serial. How a device's record changes with a new certificate stands here.
 */
#include <string.h>

#include "base/crash.h"
#include "base/log.h"
#include "ca/cmc.h"
#include "ca/keygen.h"
#include "ca/remote.h"

/* ---- burning: the intent ends without a certificate ---- */

static void burn_durable(struct ca_batch *batch, enum tm_err result) {
    struct ca_request *r = batch->arg;
    if (result) /* the intent stays open; recovery burns it at the next start */
        log_line(LOG_LEVEL_ERROR, r->message.id, "burned serial not recorded: %s",
                 tm_err_name(result));
    else
        r->service->counts.burned++;
    ca_request_retry_or_refuse(r);
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
    TEXT_SET(leaf->issuer, issuer);
    TEXT_SET(leaf->tenant, intent->tenant);
    TEXT_SET(leaf->device, intent->device);
    TEXT_SET(leaf->profile, intent->profile);
    TEXT_SET(leaf->reason, reason);
    batch->count = 3;
    batch->changes[0] = (struct ca_change){.kind = CA_END_INTENT, .u.serial = intent->serial};
    batch->changes[1] = (struct ca_change){.kind = CA_PUT_CERT, .u.certificate = certificate};
    batch->changes[2] = (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = leaf};
    if (!intent->job[0])
        return;
    TEXT_SET(leaf->job, intent->job);
    batch->changes[batch->count++] = (struct ca_change){.kind = CA_SPEND_GRANT,
                                                        .u.grant = {.tenant = intent->tenant,
                                                                    .job = intent->job,
                                                                    .profile = intent->profile,
                                                                    .certificates = -1}};
}

/* Who held the key that signed; "" if nothing was signed. */
static void name_provider(struct ca_request *r) {
    const char *token = r->ticket.provider ? r->ticket.provider : "";
    TEXT_SET(r->leaf.provider, r->remote ? CA_PROVIDER_UPSTREAM : token);
}

/* r->end says what to answer afterwards. */
void ca_burn(struct ca_request *r) {
    if (r->cmc)
        r->cmc->done = false; /* the response to a certificate that will not be */
    log_line(LOG_LEVEL_WARN, r->message.id, "serial burned: %s", r->end.text);
    ca_request_leaf(r, CA_EVENT_BURNED, &r->leaf);
    name_provider(r);
    r->batch = (struct ca_batch){.done = burn_durable, .arg = r};
    ca_burn_fill(&r->intent, r->label->tenant->issuer->name, r->now_ms, r->end.text,
                 &r->certificate, &r->leaf, &r->batch);
    if (r->remote)
        ca_remote_burn(r);
    enum tm_err err = r->service->store->ops->submit(r->service->store, &r->batch);
    if (err)
        burn_durable(&r->batch, err);
}

/* ---- recording ---- */

static void record_durable(struct ca_batch *batch, enum tm_err result) {
    struct ca_request *r = batch->arg;
    if (!result) {
        crash_point("core.recorded");
        ca_request_end(r, IPC_ISSUED, "", r->certificate.der);
        return;
    }
    if (result == TM_EFULL) /* even the room that is kept for the ends of intents is used up */
        (void)ca_refuse(&r->end, IPC_UNAVAILABLE,
                        "the registry is full; send the same request later");
    else
        ca_refuse_unstored(r, result);
    ca_burn(r);
}

/* A full record names one less from now on. One in use stays, however old: an IDevID that dropped
 * out after a decade of renewals could be issued a second time. (ca_decide sees to it that not all
 * are in use.) */
static void make_room(struct ca_request *r) {
    struct ca_device *d = &r->device;
    if (d->cert_count == CA_DEVICE_CERTS_MAX)
        ca_dropped_out(r->service->store, d, ca_dropped_choose(d, r->now_ms), r->now_ms,
                       &r->dropping, &r->batch);
}

/* Who asks with a certificate has it in use: that confirms it as well as words would. */
static void confirm_own(struct ca_request *r) {
    if (!(r->who.credential & (CA_CRED_IDEVID | CA_CRED_LDEVID)))
        return;
    struct ca_cert_ref *own = ca_device_cert(&r->device, &r->who.own.serial);
    if (own && own->status == CA_CERT_UNCONFIRMED)
        ca_device_activate(&r->device, own);
}

/* Older live certificates of the profile step back, by CMC only one that was never confirmed: the
 * one in use stays until the device says that it has the new one. */
static void step_back(struct ca_request *r) {
    struct ca_device *d = &r->device;
    for (size_t i = 0; i < d->cert_count; i++)
        if (strcmp(d->certs[i].profile, r->label->profile->name) == 0 &&
            (d->certs[i].status == CA_CERT_UNCONFIRMED ||
             (!r->cmc && d->certs[i].status == CA_CERT_ACTIVE)))
            d->certs[i].status = CA_CERT_SUPERSEDED;
}

/* The new one comes first. */
static void update_device(struct ca_request *r) {
    struct ca_device *d = &r->device;
    confirm_own(r);
    step_back(r);
    make_room(r);
    memmove(&d->certs[1], &d->certs[0], d->cert_count * sizeof d->certs[0]);
    d->cert_count++;
    struct ca_cert_ref *ref = &d->certs[0];
    *ref = (struct ca_cert_ref){.serial = r->intent.serial,
                                .status = r->cmc ? CA_CERT_UNCONFIRMED : CA_CERT_ACTIVE,
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

static void count_use(struct ca_request *r, enum ca_use use) {
    r->batch.changes[r->batch.count++] =
        (struct ca_change){.kind = CA_COUNT_USE, .u.use = {r->label->tenant->issuer->name, use, 1}};
}

void ca_record(struct ca_request *r) {
    r->batch =
        (struct ca_batch){.count = 4,
                          .changes = {{.kind = CA_END_INTENT, .u.serial = r->intent.serial},
                                      {.kind = CA_PUT_CERT, .u.certificate = &r->certificate},
                                      {.kind = CA_PUT_DEVICE, .u.device = &r->device},
                                      {.kind = CA_ADD_LEAF, .u.leaf = &r->leaf}},
                          .done = record_durable,
                          .arg = r};
    update_device(r);
    ca_request_leaf(r, CA_EVENT_ISSUED, &r->leaf);
    r->leaf.serial = r->intent.serial;
    TEXT_SET(r->leaf.issuer, r->label->tenant->issuer->name);
    name_provider(r);
    r->leaf.from_state = r->intent.from_state;
    r->leaf.to_state = r->intent.to_state;
    memcpy(r->leaf.fingerprint, r->certificate.fingerprint, CA_HASH_SIZE);
    ca_approval_spend(r);
    count_use(r, CA_USE_CERTIFICATE);
    if (r->cmc)
        count_use(r, CA_USE_CMC);
    if (r->cmc)
        r->batch.changes[r->batch.count++] =
            (struct ca_change){.kind = CA_PUT_TRANSACTION, .u.transaction = &r->cmc->transaction};
    if (r->remote)
        ca_remote_record(r);
    if (r->generated)
        r->batch.changes[r->batch.count++] = (struct ca_change){
            .kind = CA_PUT_ROW, .u.row = {.table = CA_TABLE_KEYGEN, .row = &r->generated->row}};
    enum tm_err err = r->service->store->ops->submit(r->service->store, &r->batch);
    crash_point("core.record_submitted");
    if (err)
        record_durable(&r->batch, err);
}
