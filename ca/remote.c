/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking another CA: see ca/remote.h. What is asked is durable first, octet for octet, and is kept
 * until a certificate is recorded: a process may die, and an answer get lost, between the two, and
 * then the same request asks with the same octets again. A CA that repeats its answers gives the
 * certificate that was lost; another one makes a second, and the audit says that there may be one.
 */
#include "ca/remote.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crash.h"
#include "base/log.h"
#include "ca/cmc.h"
#include "pki/name.h"

#define RETRY_AFTER_MAX_S 86400

void ca_remote_free(struct ca_remote *remote) {
    free(remote);
}

/* Its answers are signed by the issuing key, which is not here (RFC 5272, 4.2; RFC 7030, 4.4.2). */
bool ca_remote_offered(const struct ca_request *r, struct ca_refusal *ret) {
    const char *issuer = r->label->tenant->issuer->name;
    if (r->cmc) {
        r->cmc->unsigned_answer = true;
        return ca_refuse(ret, IPC_NOT_IMPLEMENTED,
                         "issuer %s signs elsewhere, and a Full PKI Response takes its key: use "
                         "simpleenroll and simplereenroll",
                         issuer);
    }
    if (r->generated || r->message.origin == IPC_ORIGIN_LOCAL)
        return ca_refuse(ret, IPC_NOT_IMPLEMENTED,
                         "issuer %s signs elsewhere: only devices' own keys are certified there",
                         issuer);
    return true;
}

/* ---- before the intent ---- */

static bool names_device(const struct ca_request *r) {
    struct pki_attribute attribute;
    size_t state = 0;
    if (r->keep_subject.n)
        return true;
    while (!pki_name_next(r->csr.subject, &state, &attribute))
        if ((attribute.type == PKI_OID_COMMON_NAME || attribute.type == PKI_OID_SERIAL_NUMBER) &&
            bytes_equal(attribute.value, bytes_str(r->device.id)))
            return true;
    return false;
}

static struct bytes san_of(const struct pki_csr *csr) {
    const struct pki_extension *san = pki_csr_extension(csr, PKI_OID_SUBJECT_ALT_NAME);
    return san ? san->value : (struct bytes){0};
}

/* The key of a request does not cover its subjectAltName. */
static bool asks_for_the_same(const struct ca_request *r, struct bytes stored) {
    struct pki_csr before;
    return !pki_csr_parse(stored, &before) && bytes_equal(san_of(&before), san_of(&r->csr));
}

/* The row as it stands, empty if there is none. */
static enum tm_err load_row(struct ca_request *r, struct ca_ask_row *row) {
    struct ca_store *store = r->service->store;
    struct buf memory = BUF_ON(r->remote->csr);
    memset(row, 0, sizeof *row);
    TEXT_SET(row->tenant, r->label->tenant->name);
    TEXT_SET(row->device, r->device.id);
    TEXT_SET(row->profile, r->label->profile->name);
    enum tm_err err = store->ops->row(store, CA_TABLE_ASK, row, &memory);
    return err == TM_ENOTFOUND ? TM_OK : err;
}

/* The same request goes on with what was asked before; another one begins anew. */
static void fill_row(struct ca_request *r, struct ca_ask_row *row) {
    bool same = row->version && memcmp(row->request, r->key, CA_HASH_SIZE) == 0;
    if (same)
        row->unknown += row->open; /* the process that asked died */
    else
        row->asks = row->unknown = 0;
    if (!same || !asks_for_the_same(r, row->csr))
        row->csr = r->message.csr;
    memcpy(row->request, r->key, CA_HASH_SIZE);
    row->serial = r->intent.serial;
    row->version++;
    row->open = true;
    row->asks++;
    row->asked_ms = r->now_ms;
}

static bool allocate(struct ca_request *r) {
    if (!r->remote)
        r->remote = malloc(sizeof *r->remote);
    if (r->remote)
        memset(r->remote, 0, offsetof(struct ca_remote, csr));
    return r->remote != NULL;
}

bool ca_remote_prepare(struct ca_request *r, struct ca_refusal *ret) {
    struct ca_upstream *upstream = r->service->config->upstream;
    const char *issuer = r->label->tenant->issuer->name;
    if (!names_device(r))
        return ca_refuse(ret, IPC_BAD_SUBJECT,
                         "the subject has to name the device %s as CN or serialNumber: the CA that "
                         "signs for this server takes it from there",
                         r->device.id);
    if (r->message.csr.n > IPC_UPSTREAM_CSR_MAX)
        return ca_refuse(ret, IPC_BAD_CSR,
                         "the request is larger than %d octets, which is the most "
                         "that another CA is asked with",
                         IPC_UPSTREAM_CSR_MAX);
    if (!allocate(r) || load_row(r, &r->remote->row))
        return ca_refuse(ret, IPC_UNAVAILABLE, "the registry cannot be read; try again later");
    fill_row(r, &r->remote->row);
    r->batch.changes[r->batch.count++] = (struct ca_change){
        .kind = CA_PUT_ROW, .u.row = {.table = CA_TABLE_ASK, .row = &r->remote->row}};
    if (upstream && upstream->ops->ready(upstream, issuer))
        return true;
    return ca_refuse(ret, IPC_UNAVAILABLE,
                     "the CA that signs for this server does not answer; send the same request "
                     "again later");
}

/* ---- asking ---- */

static void note(const struct ca_request *r, const struct ca_asked *a) {
    log_line(LOG_LEVEL_WARN, r->message.id, "issuer %s: no certificate: %s",
             r->label->tenant->issuer->name, a->text);
}

/* What the device is told, and the audit. */
static void explain(struct ca_request *r, const struct ca_asked *a) {
    struct ca_refusal *end = &r->end;
    switch (a->status) {
    case IPC_UPSTREAM_PENDING:
        (void)ca_refuse(end, IPC_PENDING,
                        "the CA that signs for this server has not decided yet; send the same "
                        "request again");
        return;
    case IPC_UPSTREAM_REFUSED:
        (void)ca_refuse(end, IPC_UPSTREAM_NO,
                        "the CA that signs for this server refused the request: %.150s", a->text);
        return;
    case IPC_UPSTREAM_BAD:
        (void)ca_refuse(end, IPC_FAILED,
                        "the answer of the CA that signs for this server is no certificate: %.150s",
                        a->text);
        return;
    case IPC_UPSTREAM_LOST:
        (void)ca_refuse(end, IPC_UNAVAILABLE,
                        "the CA that signs for this server was asked, and what came of it is not "
                        "known; send the same request again later");
        return;
    case IPC_UPSTREAM_CERTIFICATE:
    case IPC_UPSTREAM_LATER:
    case IPC_UPSTREAM_UNREACHABLE:
        break;
    }
    (void)ca_refuse(end, IPC_UNAVAILABLE,
                    "the CA that signs for this server cannot be asked now; send the same request "
                    "again later");
}

/* A CA that takes a renewal with the same key for the request before it answers with the
 * certificate that there is. */
static bool is_new(struct ca_request *r, struct ca_refusal *ret) {
    struct ca_store *store = r->service->store;
    struct ca_foreign_row *row = &r->remote->foreign;
    memcpy(row->fingerprint, r->certificate.fingerprint, CA_HASH_SIZE);
    enum tm_err err = store->ops->row(store, CA_TABLE_FOREIGN, row, NULL);
    if (err == TM_ENOTFOUND)
        return true;
    if (err)
        return ca_refuse(ret, IPC_UNAVAILABLE, "the registry cannot be read; try again later");
    return ca_refuse(ret, IPC_UNAVAILABLE,
                     "the CA that signs for this server gave a certificate that there is already; "
                     "send the same request again later, or one with a new key");
}

static bool take_certificate(struct ca_request *r, struct bytes der) {
    struct pki_cert view;
    struct buf room = BUF_ON(r->certificate_der);
    buf_put(&room, der);
    struct bytes own = buf_bytes(&room);
    if (room.full || !ca_remote_fits(r, own, &view, &r->end))
        return room.full ? ca_refuse(&r->end, IPC_FAILED, "the certificate is too large") : false;
    r->certificate.der = own;
    r->certificate.not_after_ms = view.not_after_ms;
    if (hex_encode(view.serial, r->remote->serial, sizeof r->remote->serial) ||
        ca_hash(r->service->hasher, &own, 1, r->certificate.fingerprint))
        return ca_refuse(&r->end, IPC_FAILED, "the certificate could not be hashed");
    return is_new(r, &r->end);
}

static void answered(struct ca_ask *ask, const struct ca_asked *a) {
    struct ca_request *r = ask->arg;
    struct ca_remote *remote = r->remote;
    crash_point("core.upstream_answered");
    remote->received = a->status == IPC_UPSTREAM_CERTIFICATE || a->status == IPC_UPSTREAM_BAD ||
                       a->status == IPC_UPSTREAM_LOST;
    remote->refused = a->status == IPC_UPSTREAM_REFUSED;
    remote->retry_after_s =
        a->retry_after_s < RETRY_AFTER_MAX_S ? a->retry_after_s : RETRY_AFTER_MAX_S;
    if (a->status == IPC_UPSTREAM_CERTIFICATE && take_certificate(r, a->certificate)) {
        crash_point("core.verified");
        ca_record(r);
        return;
    }
    if (a->status != IPC_UPSTREAM_CERTIFICATE) {
        note(r, a);
        explain(r, a);
    }
    ca_burn(r);
}

void ca_remote_ask(struct ca_request *r) {
    struct ca_upstream *upstream = r->service->config->upstream;
    struct ca_remote *remote = r->remote;
    remote->ask = (struct ca_ask){.request = r->message.id,
                                  .issuer = r->label->tenant->issuer->name,
                                  .csr = remote->row.csr,
                                  .done = answered,
                                  .arg = r};
    if (upstream->ops->ask(upstream, &remote->ask)) {
        (void)ca_refuse(&r->end, IPC_BUSY,
                        "the CA that signs for this server has no time; send the same request "
                        "again later");
        ca_burn(r);
        return;
    }
    crash_point("core.upstream_asked");
}

/* ---- the end ---- */

static void add_row(struct ca_request *r, enum ca_change_kind kind, enum ca_table table,
                    const void *row) {
    r->batch.changes[r->batch.count++] =
        (struct ca_change){.kind = (uint8_t)kind, .u.row = {.table = table, .row = row}};
}

/* An answer that cannot be recorded is like one that was lost: there may be a certificate. */
void ca_remote_burn(struct ca_request *r) {
    struct ca_ask_row *row = &r->remote->row;
    row->unknown += r->remote->received;
    row->open = false;
    if (r->remote->refused && !row->unknown) {
        add_row(r, CA_END_ROW, CA_TABLE_ASK, row);
        return;
    }
    row->version++;
    add_row(r, CA_PUT_ROW, CA_TABLE_ASK, row);
}

/* Behind what the leaf says already. */
__attribute__((format(printf, 2, 3))) static void tell(struct ca_leaf *leaf, const char *format,
                                                       ...) {
    size_t n = strlen(leaf->reason);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(leaf->reason + n, sizeof leaf->reason - n, format, args);
    va_end(args);
}

void ca_remote_record(struct ca_request *r) {
    struct ca_remote *remote = r->remote;
    const struct ca_ask_row *row = &remote->row;
    remote->foreign.version = 1;
    remote->foreign.serial = r->intent.serial;
    add_row(r, CA_END_ROW, CA_TABLE_ASK, row);
    add_row(r, CA_PUT_ROW, CA_TABLE_FOREIGN, &remote->foreign);
    tell(&r->leaf, "%sissuer %s signed it as %s", r->leaf.reason[0] ? "; " : "",
         r->label->tenant->issuer->name, remote->serial);
    if (row->asks > 1)
        tell(&r->leaf, "; asked %u times, %u of them with an end that is not known", row->asks,
             row->unknown);
}
