/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confirmCertAcceptance (RFC 5272, 6.11): the device has its certificate and can use it. Only now
 * the one before steps back. It needs no challenge: said twice, or replayed, it changes nothing.
 */
#include "base/crash.h"
#include "base/log.h"
#include "ca/cmc.h"
#include "pki/name.h"

static struct ca_cert_ref *find_accepted(struct ca_request *r) {
    const struct est_cmc_request *request = &r->cmc->request;
    struct ca_serial serial;
    if (!pki_name_equal(request->accept_issuer, r->label->tenant->issuer->view.subject) ||
        !ca_serial_read(request->accept_serial, &serial))
        return NULL;
    return ca_device_cert(&r->device, &serial);
}

static void confirmed(struct ca_batch *batch, enum tm_err result) {
    struct ca_request *r = batch->arg;
    if (result == TM_ECONFLICT && ca_request_retries(r)) {
        ca_request_run(r);
        return;
    }
    if (!result) {
        crash_point("core.confirmed");
        ca_request_end(r, IPC_CONFIRMED, "", (struct bytes){0});
        return;
    }
    log_line(LOG_LEVEL_WARN, r->message.id, "confirmation not recorded: %s", tm_err_name(result));
    ca_request_end(r, IPC_UNAVAILABLE, "the registry failed; send the same request again later",
                   (struct bytes){0});
}

static void record(struct ca_request *r, struct ca_cert_ref *accepted) {
    ca_device_activate(&r->device, accepted);
    r->device.changed_ms = r->now_ms;
    r->device.version++;
    ca_request_leaf(r, CA_EVENT_CONFIRMED, &r->leaf);
    TEXT_SET(r->leaf.profile, accepted->profile);
    r->leaf.serial = accepted->serial;
    r->batch = (struct ca_batch){.count = 2, .done = confirmed, .arg = r};
    r->batch.changes[0] = (struct ca_change){.kind = CA_PUT_DEVICE, .u.device = &r->device};
    r->batch.changes[1] = (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = &r->leaf};
    enum tm_err err = r->service->store->ops->submit(r->service->store, &r->batch);
    if (err)
        confirmed(&r->batch, err);
}

void ca_cmc_confirm(struct ca_request *r) {
    struct ca_cert_ref *accepted = find_accepted(r);
    struct ca_refusal refusal;
    if (!accepted)
        (void)ca_refuse(&refusal, IPC_UNTRUSTED, "the accepted certificate is not one of device %s",
                        r->device.id);
    else if (accepted->status == CA_CERT_REVOKED)
        (void)ca_refuse(&refusal, IPC_REVOKED, "the accepted certificate is revoked");
    else if (accepted->status == CA_CERT_UNCONFIRMED) {
        record(r, accepted);
        return;
    } else {
        ca_request_end(r, IPC_CONFIRMED, "", (struct bytes){0});
        return;
    }
    ca_request_refuse(r, &refusal);
}
