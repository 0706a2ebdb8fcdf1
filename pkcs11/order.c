/* SPDX-License-Identifier: Apache-2.0 */
/* See pkcs11/order.h. */
#include "pkcs11/order.h"

#include <stdio.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/memfile.h"

static enum tm_err decode(struct bytes message, struct hsm_order *order) {
    switch (order->type) {
    case IPC_TYPE_TICKET:
        return codec_decode(&ipc_ticket_schema, message, &order->u.certificate);
    case IPC_TYPE_CMC_TICKET:
        return codec_decode(&ipc_cmc_ticket_schema, message, &order->u.cmc);
    case IPC_TYPE_KEYGEN_TICKET:
        return codec_decode(&ipc_keygen_ticket_schema, message, &order->u.keygen);
    case IPC_TYPE_TLS_TICKET:
        return codec_decode(&ipc_tls_ticket_schema, message, &order->u.tls);
    case IPC_TYPE_CHECKPOINT_TICKET:
        return codec_decode(&ipc_checkpoint_ticket_schema, message, &order->u.checkpoint);
    case IPC_TYPE_STATUS_TICKET:
        return codec_decode(&ipc_status_ticket_schema, message, &order->u.status);
    default:
        return TM_EPARSE;
    }
}

static bool is_crl(const struct hsm_order *order) {
    return order->type == IPC_TYPE_STATUS_TICKET && order->u.status.kind == IPC_STATUS_CRL;
}

enum tm_err hsm_order_read(struct bytes message, int fd, struct hsm_order *ret) {
    AUTO_FD int owned = fd;
    ret->type = (enum ipc_type)codec_peek(message);
    ret->file = (struct bytes){0};
    enum tm_err err = decode(message, ret);
    if (!err && fd >= 0 && !is_crl(ret))
        err = TM_EPARSE;
    if (!err)
        ret->fd = TAKE_FD(owned);
    return err;
}

void hsm_order_end(struct hsm_order *order) {
    memfile_unmap(order->file);
    if (order->fd >= 0)
        (void)close(order->fd);
    order->file = (struct bytes){0};
    order->fd = -1;
}

uint64_t hsm_order_id(const struct hsm_order *order) {
    switch (order->type) {
    case IPC_TYPE_CMC_TICKET:
        return order->u.cmc.id;
    case IPC_TYPE_KEYGEN_TICKET:
        return order->u.keygen.id;
    case IPC_TYPE_TLS_TICKET:
        return order->u.tls.id;
    case IPC_TYPE_CHECKPOINT_TICKET:
        return order->u.checkpoint.id;
    case IPC_TYPE_STATUS_TICKET:
        return order->u.status.id;
    default:
        return order->u.certificate.id;
    }
}

const char *hsm_order_issuer(const struct hsm_order *order) {
    switch (order->type) {
    case IPC_TYPE_CMC_TICKET:
        return order->u.cmc.issuer;
    case IPC_TYPE_KEYGEN_TICKET:
        return order->u.keygen.issuer;
    case IPC_TYPE_TLS_TICKET:
        return "the TLS server";
    case IPC_TYPE_CHECKPOINT_TICKET:
        return "the audit log";
    case IPC_TYPE_STATUS_TICKET:
        return order->u.status.issuer;
    default:
        return order->u.certificate.issuer;
    }
}

static const char *what_status(enum ipc_status_kind kind) {
    switch (kind) {
    case IPC_STATUS_CRL:
        return "a CRL";
    case IPC_STATUS_OCSP:
        return "an OCSP answer";
    case IPC_STATUS_FILTER:
        return "a revocation filter";
    }
    return "no kind of status";
}

const char *hsm_order_what(const struct hsm_order *order) {
    switch (order->type) {
    case IPC_TYPE_CMC_TICKET:
        return "a CMC response";
    case IPC_TYPE_KEYGEN_TICKET:
        return "a generated key";
    case IPC_TYPE_TLS_TICKET:
        return order->u.tls.kind == IPC_TLS_REQUEST ? "a request" : "a handshake";
    case IPC_TYPE_CHECKPOINT_TICKET:
        return "a checkpoint";
    case IPC_TYPE_STATUS_TICKET:
        return what_status((enum ipc_status_kind)order->u.status.kind);
    default:
        return order->u.certificate.profile;
    }
}

static enum tm_err map_crl(struct hsm_order *order, char text[IPC_TEXT_MAX + 1]) {
    if (order->fd >= 0 && memfile_map(order->fd, IPC_TBS_FILE_MAX, &order->file) == TM_OK)
        return TM_OK;
    (void)snprintf(text, IPC_TEXT_MAX + 1,
                   "the CRL is in no sealed memory file of at most %u octets", IPC_TBS_FILE_MAX);
    return TM_EDENIED;
}

enum tm_err hsm_order_judge(struct hsm_order *order, const struct hsm_rules *rules, int64_t now_ms,
                            struct hsm_permit *ret, char text[IPC_TEXT_MAX + 1]) {
    struct hsm_permit permit = {0};
    struct buf attributes = BUF_ON(order->attributes);
    enum tm_err err = is_crl(order) ? map_crl(order, text) : TM_OK;
    if (err)
        return err;
    switch (order->type) {
    case IPC_TYPE_STATUS_TICKET:
        err = hsm_status_ticket_check(rules, &order->u.status, order->file, now_ms, &permit, text);
        break;
    case IPC_TYPE_TLS_TICKET:
        err = hsm_tls_ticket_check(rules, &order->u.tls, &permit, text);
        break;
    case IPC_TYPE_CHECKPOINT_TICKET:
        err = hsm_checkpoint_ticket_check(rules, &order->u.checkpoint, &permit, text);
        break;
    case IPC_TYPE_CMC_TICKET:
        err = hsm_cmc_ticket_check(rules, &order->u.cmc, now_ms, &permit.issuer, &attributes, text);
        permit.message = buf_bytes(&attributes);
        break;
    case IPC_TYPE_KEYGEN_TICKET:
        err = hsm_keygen_ticket_check(rules, &order->u.keygen, now_ms, &permit.issuer, &attributes,
                                      text);
        permit.message = buf_bytes(&attributes);
        break;
    default:
        err = hsm_ticket_check(rules, &order->u.certificate, &permit.issuer, text);
        permit.message = order->u.certificate.tbs;
        permit.proof = hsm_ticket_is_proof(rules, &order->u.certificate);
        break;
    }
    if (!err)
        *ret = permit;
    return err;
}
