/* SPDX-License-Identifier: Apache-2.0 */
/* See tls_key.h. */
#include "server/core/tls_key.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ca/signature.h"

/* Fronts bound what they ask for at once; this is for a front that does not. */
#define WAITING_MAX 1024

struct question {
    struct core_tls *tls;
    struct question *prev, *next;
    struct ipc_link *link; /* NULL: whoever asked is gone */
    uint64_t id;
    struct ca_ticket ticket;
    uint8_t content[]; /* the ticket's */
};

struct core_tls {
    struct core_signer *signer;
    struct ca_checker *checker;
    struct question *first;
    size_t waiting;
};

static void reply(struct ipc_link *link, uint64_t id, bool good, struct bytes octets) {
    const struct ipc_tls_answer answer = {.id = id, .good = good, .octets = octets};
    enum tm_err err = link ? ipc_link_send(link, &ipc_tls_answer_schema, &answer) : TM_OK;
    if (err && err != TM_ECLOSED)
        log_warn("a signature of the TLS key is not delivered: %s", tm_err_name(err));
}

static void question_free(struct question *q) {
    if (q->prev)
        q->prev->next = q->next;
    else
        q->tls->first = q->next;
    if (q->next)
        q->next->prev = q->prev;
    q->tls->waiting--;
    free(q);
}

/* With the key that the token shows now; the client, or the CA, holds it against the certificate.
 */
static enum tm_err verify(const struct core_tls *tls, const struct ca_ticket *ticket,
                          struct bytes signature) {
    struct bytes octets;
    struct pki_spki spki;
    if (core_signer_tls_key(tls->signer, &octets) || pki_spki_parse(octets, &spki))
        return TM_ENOTFOUND;
    enum pki_oid algorithm =
        spki.curve == PKI_OID_SECP384R1 ? PKI_OID_ECDSA_SHA384 : PKI_OID_ECDSA_SHA256;
    return ca_signature_verify(tls->checker, &spki, algorithm, ticket->content, signature);
}

static void signed_done(struct ca_ticket *ticket, enum ipc_sign_status status,
                        struct bytes signature) {
    struct question *q = ticket->arg;
    struct ca_signer *signer = core_signer_interface(q->tls->signer);
    enum tm_err err = status == IPC_SIGN_OK ? verify(q->tls, ticket, signature) : TM_ETOKEN;
    if (err == TM_ECRYPTO) {
        log_error("the signer's signature by the TLS key does not verify; it is restarted");
        signer->ops->distrust(signer, ticket);
    }
    if (err)
        signature.n = 0;
    reply(q->link, q->id, !err, signature);
    question_free(q);
}

static struct question *question_new(struct core_tls *tls, struct ipc_link *link,
                                     const struct ipc_tls_ask *ask) {
    struct question *q = tls->waiting < WAITING_MAX ? malloc(sizeof *q + ask->content.n) : NULL;
    if (!q)
        return NULL;
    *q = (struct question){.tls = tls, .next = tls->first, .link = link, .id = ask->id};
    memcpy(q->content, ask->content.p, ask->content.n);
    q->ticket = (struct ca_ticket){.kind = ask->kind == IPC_TLS_HANDSHAKE ? CA_TICKET_TLS_HANDSHAKE
                                                                          : CA_TICKET_TLS_REQUEST,
                                   .issuer = "",
                                   .content = {q->content, ask->content.n},
                                   .done = signed_done,
                                   .arg = q};
    if (tls->first)
        tls->first->prev = q;
    tls->first = q;
    tls->waiting++;
    return q;
}

static void sign(struct core_tls *tls, struct ipc_link *link, const struct ipc_tls_ask *ask) {
    struct ca_signer *signer = core_signer_interface(tls->signer);
    struct question *q = question_new(tls, link, ask);
    if (q && signer->ops->sign(signer, &q->ticket) == TM_OK)
        return;
    reply(link, ask->id, false, (struct bytes){0});
    if (q)
        question_free(q);
}

static bool may_ask(enum ipc_role role, enum ipc_tls_kind kind) {
    return kind == IPC_TLS_HANDSHAKE ? role == IPC_ROLE_FRONT : role == IPC_ROLE_TLSCERT;
}

bool core_tls_asked(struct core_tls *tls, enum ipc_role role, struct ipc_link *link,
                    const struct ipc_tls_ask *ask) {
    struct bytes spki = {0};
    if (!tls || !ask->content.n == (ask->kind != IPC_TLS_KEY) ||
        !may_ask(role, (enum ipc_tls_kind)ask->kind))
        return false;
    if (ask->kind == IPC_TLS_KEY)
        reply(link, ask->id, core_signer_tls_key(tls->signer, &spki) == TM_OK, spki);
    else
        sign(tls, link, ask);
    return true;
}

void core_tls_unlink(struct core_tls *tls, const struct ipc_link *link) {
    for (struct question *q = tls ? tls->first : NULL; q; q = q->next)
        if (q->link == link)
            q->link = NULL;
}

enum tm_err core_tls_new(struct core_signer *signer, struct core_tls **ret_tls) {
    struct core_tls *tls = calloc(1, sizeof *tls);
    if (!tls)
        return TM_ENOMEM;
    tls->signer = signer;
    enum tm_err err = ca_checker_new(&tls->checker);
    if (err)
        core_tls_free(tls);
    else
        *ret_tls = tls;
    return err;
}

void core_tls_free(struct core_tls *tls) {
    if (!tls)
        return;
    while (tls->first)
        question_free(tls->first);
    ca_checker_free(tls->checker);
    free(tls);
}
