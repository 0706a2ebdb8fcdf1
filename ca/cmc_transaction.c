/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions (requirement F3): one per device, with the response that it got. Whatever a carrier
 * drops, repeats, delays or replays, a request leads to one certificate: the same message gets the
 * stored response, the same request in another message the same certificate, and what is neither
 * has to be fresh.
 */
#include <string.h>

#include "ca/cmc.h"
#include "ca/registry.h"

/* ---- what the device has ---- */

static bool load_stored(struct ca_request *r, struct ca_refusal *ret) {
    struct ca_cmc *cmc = r->cmc;
    struct buf room = BUF_ON(cmc->stored_response);
    enum tm_err err = r->service->store->ops->transaction(r->service->store, r->label->tenant->name,
                                                          r->device.id, &cmc->stored, &room);
    cmc->has_stored = !err;
    if (!err || err == TM_ENOTFOUND)
        return true;
    return ca_refuse(ret, IPC_UNAVAILABLE, "the registry cannot be read; try again later");
}

static bool same_transaction(const struct ca_cmc *cmc) {
    return cmc->has_stored &&
           bytes_equal((struct bytes){cmc->stored.id, cmc->stored.id_n}, cmc->request.transaction);
}

/* ---- freshness ---- */

/* A live TLS session by the same certificate is as fresh as can be; a message by another carrier
 * shows a challenge that was not used yet. */
static bool is_fresh(struct ca_request *r, struct ca_refusal *ret) {
    struct ca_cmc *cmc = r->cmc;
    int64_t used_ms = cmc->has_stored ? cmc->stored.challenge_ms : 0;
    cmc->challenge_ms = used_ms;
    if (cmc->tls_leaf.n && bytes_equal(cmc->tls_leaf, r->message.peer_leaf))
        return true;
    int64_t made_ms;
    switch (ca_challenge_check(r->service->challenger, r->label->tenant->name, r->device.id,
                               r->now_ms, cmc->request.recipient_nonce, &made_ms)) {
    case TM_OK:
        break;
    case TM_ETIMEOUT:
        return ca_refuse(ret, IPC_BAD_CHALLENGE,
                         "the challenge is over; use this answer's senderNonce as recipientNonce");
    default:
        return ca_refuse(ret, IPC_BAD_CHALLENGE,
                         "recipientNonce is no challenge of this server for this device; use this "
                         "answer's senderNonce");
    }
    if (made_ms <= used_ms)
        return ca_refuse(ret, IPC_BAD_CHALLENGE,
                         "the challenge was used, or a newer one was; use this answer's "
                         "senderNonce as recipientNonce");
    cmc->challenge_ms = made_ms;
    return true;
}

/* The stored response again, unless its certificate was revoked since. */
static enum ca_cmc_next answer_stored(struct ca_request *r, struct ca_refusal *ret) {
    const struct ca_cert_ref *ref = ca_device_cert(&r->device, &r->cmc->stored.serial);
    if (!ref || ref->status == CA_CERT_REVOKED) {
        (void)ca_refuse(ret, IPC_REVOKED,
                        "the certificate of this transaction is not valid any "
                        "more");
        return CA_CMC_REFUSE;
    }
    memcpy(r->cmc->response, r->cmc->stored.response.p, r->cmc->stored.response.n);
    r->cmc->response_n = r->cmc->stored.response.n;
    r->cmc->done = true;
    return CA_CMC_STORED;
}

enum ca_cmc_next ca_cmc_next(struct ca_request *r, struct ca_refusal *ret) {
    struct ca_cmc *cmc = r->cmc;
    if (cmc->request.accept_issuer.n)
        return CA_CMC_CONFIRM;
    if (!cmc->request.transaction.n) {
        (void)ca_refuse(ret, IPC_BAD_CMC, "transactionId is missing (RFC 5272, 6.6)");
        return CA_CMC_REFUSE;
    }
    if (!load_stored(r, ret))
        return CA_CMC_REFUSE;
    if (same_transaction(cmc) && memcmp(cmc->stored.message, cmc->hash, CA_HASH_SIZE) == 0)
        return answer_stored(r, ret);
    return is_fresh(r, ret) ? CA_CMC_DECIDE : CA_CMC_REFUSE;
}

bool ca_cmc_transaction_fits(struct ca_request *r, struct ca_refusal *ret) {
    const struct ca_cmc *cmc = r->cmc;
    if (!same_transaction(cmc) || memcmp(cmc->stored.request, r->key, CA_HASH_SIZE) == 0)
        return true;
    return ca_refuse(ret, IPC_CONFLICT,
                     "another request was made under this transactionId; a new request needs a new "
                     "one (RFC 5272, 6.6)");
}

void ca_cmc_fill_transaction(struct ca_request *r, const struct ca_serial *serial) {
    struct ca_cmc *cmc = r->cmc;
    struct ca_transaction *t = &cmc->transaction;
    *t = (struct ca_transaction){.serial = *serial,
                                 .id_n = (uint8_t)cmc->request.transaction.n,
                                 .challenge_ms = cmc->challenge_ms,
                                 .created_ms = r->now_ms,
                                 .response = {cmc->response, cmc->response_n}};
    TEXT_SET(t->tenant, r->label->tenant->name);
    TEXT_SET(t->device, r->device.id);
    memcpy(t->id, cmc->request.transaction.p, t->id_n);
    memcpy(t->message, cmc->hash, CA_HASH_SIZE);
    memcpy(t->request, r->key, CA_HASH_SIZE);
}

/* ---- the same request in another message ---- */

static void repeat_durable(struct ca_batch *batch, enum tm_err result) {
    struct ca_request *r = batch->arg;
    r->cmc->done = true;
    if (!result) {
        ca_request_end(r, IPC_REPEATED, "", r->certificate.der);
        return;
    }
    r->cmc->response_n = 0;
    ca_request_end(r, IPC_UNAVAILABLE, "the registry failed; send the same request again later",
                   (struct bytes){0});
}

static void repeat_signed(struct ca_request *r, enum ipc_sign_status status) {
    if (status != IPC_SIGN_OK) {
        r->cmc->done = true;
        ca_request_end(r, IPC_UNAVAILABLE, "the signer failed; send the same request again later",
                       (struct bytes){0});
        return;
    }
    ca_cmc_fill_transaction(r, &r->certificate.serial);
    r->batch = (struct ca_batch){.count = 1, .done = repeat_durable, .arg = r};
    r->batch.changes[0] =
        (struct ca_change){.kind = CA_PUT_TRANSACTION, .u.transaction = &r->cmc->transaction};
    enum tm_err err = r->service->store->ops->submit(r->service->store, &r->batch);
    if (err)
        repeat_durable(&r->batch, err);
}

void ca_cmc_repeat(struct ca_request *r) {
    const struct ca_cert_ref *ref = ca_device_cert(&r->device, &r->certificate.serial);
    bool unconfirmed = ref && ref->status == CA_CERT_UNCONFIRMED;
    ca_cmc_sign(r, IPC_REPEATED, "", r->certificate.der, unconfirmed, repeat_signed);
}

/* ---- births ---- */

static bool is_unconfirmed(struct ca_device *device, const struct ca_serial *serial) {
    const struct ca_cert_ref *ref = ca_device_cert(device, serial);
    return ref && ref->status == CA_CERT_UNCONFIRMED;
}

/* The response that the device has not confirmed. */
static bool find_response(struct ca_service *s, struct ca_device *device, struct buf *room,
                          struct ipc_offer *ret) {
    struct ca_transaction stored;
    bool any = false;
    for (size_t i = 0; i < device->cert_count; i++)
        any = any || device->certs[i].status == CA_CERT_UNCONFIRMED;
    if (!any || s->store->ops->transaction(s->store, device->tenant, device->id, &stored, room) ||
        !is_unconfirmed(device, &stored.serial))
        return false;
    ret->kind = IPC_OFFER_RESPONSE;
    ret->cmc = stored.response;
    return true;
}

static bool make_offer(struct ca_service *s, const struct ca_label *label, const char *device,
                       struct buf *room, struct ipc_offer *ret) {
    const struct ca_issuer *issuer = label->tenant->issuer;
    uint8_t challenge[CA_CHALLENGE_SIZE], all[IPC_CHAIN_MAX];
    struct buf certificates = BUF_ON(all);
    buf_put(&certificates, issuer->der);
    buf_put(&certificates, issuer->chain);
    buf_put(&certificates, label->tenant->rollover);
    if (certificates.full ||
        ca_challenge_make(s->challenger, label->tenant->name, device, s->config->now_ms(),
                          challenge) ||
        est_cmc_offer_write(BYTES_OF(challenge), buf_bytes(&certificates), room))
        return false;
    ret->kind = IPC_OFFER_CHALLENGE;
    ret->cmc = buf_bytes(room);
    return true;
}

/* Whoever wants an offer gets one: it costs no look-up and tells nobody which devices there are. A
 * device that is unknown, or gets nothing in its state, is told so by the signed refusal of its
 * request. */
void ca_service_birth(struct ca_service *service, const struct ipc_birth *birth, struct buf *room,
                      struct ipc_offer *ret) {
    *ret = (struct ipc_offer){.id = birth->id, .kind = IPC_OFFER_NOTHING};
    const struct ca_label *label = ca_service_label(service, birth->label);
    struct ca_device device;
    if (!label || label->tenant->issuer->remote || !ca_device_id_valid(birth->device))
        return;
    if (birth->wants)
        (void)make_offer(service, label, birth->device, room, ret);
    else if (!service->store->ops->device(service->store, label->tenant->name, birth->device,
                                          &device))
        (void)find_response(service, &device, room, ret);
}
