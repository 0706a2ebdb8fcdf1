/* SPDX-License-Identifier: Apache-2.0 */
/* A signer thread: receive, redeem, check, sign, answer. */
#include "pkcs11/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "ipc/link.h"

void hsm_link_drop(struct hsm_link *link) {
    if (--link->users > 0)
        return;
    (void)close(link->socket);
    free(link);
}

enum claim { CLAIM_GOOD, CLAIM_USED, CLAIM_STALE };

/* Is it the first time that this ticket is seen, on the link that counts? A link that was
 * replaced may still deliver what its core sent before. */
static enum claim redeem(struct hsm_signer *signer, struct hsm_link *link, uint64_t id) {
    (void)pthread_mutex_lock(&signer->lock);
    enum claim claim = link != signer->link                 ? CLAIM_STALE
                       : hsm_window_take(&link->window, id) ? CLAIM_GOOD
                                                            : CLAIM_USED;
    (void)pthread_mutex_unlock(&signer->lock);
    return claim;
}

static bool is_below_ceiling(struct hsm_signer *signer) {
    (void)pthread_mutex_lock(&signer->lock);
    bool good = hsm_ceiling_take(&signer->ceiling, clock_mono_ms());
    (void)pthread_mutex_unlock(&signer->lock);
    return good;
}

static enum tm_err sign_watched(struct hsm_worker *worker, struct hsm_key *key,
                                struct bytes message, struct buf *out) {
    atomic_store(&worker->busy_since, clock_mono_ms());
    enum tm_err err = hsm_key_sign(key, message, out);
    atomic_store(&worker->busy_since, 0);
    return err;
}

/* What a ticket of any kind asks for. */
struct order {
    enum ipc_type type;
    union {
        struct ipc_ticket certificate;
        struct ipc_cmc_ticket cmc;
        struct ipc_keygen_ticket keygen;
    } u;
};

static enum tm_err read_order(struct bytes message, struct order *ret) {
    ret->type = (enum ipc_type)codec_peek(message);
    switch (ret->type) {
    case IPC_TYPE_TICKET:
        return codec_decode(&ipc_ticket_schema, message, &ret->u.certificate);
    case IPC_TYPE_CMC_TICKET:
        return codec_decode(&ipc_cmc_ticket_schema, message, &ret->u.cmc);
    case IPC_TYPE_KEYGEN_TICKET:
        return codec_decode(&ipc_keygen_ticket_schema, message, &ret->u.keygen);
    default:
        return TM_EPARSE;
    }
}

static uint64_t id_of(const struct order *order) {
    switch (order->type) {
    case IPC_TYPE_CMC_TICKET:
        return order->u.cmc.id;
    case IPC_TYPE_KEYGEN_TICKET:
        return order->u.keygen.id;
    default:
        return order->u.certificate.id;
    }
}

/* Which octets are to be signed with which key, if they may be. */
static enum tm_err judge(struct hsm_worker *worker, const struct order *order, size_t *ret_issuer,
                         struct bytes *ret_message, char text[IPC_TEXT_MAX + 1]) {
    const struct hsm_rules *rules = &worker->signer->rules;
    if (order->type == IPC_TYPE_TICKET) {
        *ret_message = order->u.certificate.tbs;
        return hsm_ticket_check(rules, &order->u.certificate, ret_issuer, text);
    }
    struct buf attributes = BUF_ON(worker->attributes);
    enum tm_err err = order->type == IPC_TYPE_CMC_TICKET
                          ? hsm_cmc_ticket_check(rules, &order->u.cmc, clock_wall_ms(), ret_issuer,
                                                 &attributes, text)
                          : hsm_keygen_ticket_check(rules, &order->u.keygen, clock_wall_ms(),
                                                    ret_issuer, &attributes, text);
    *ret_message = buf_bytes(&attributes);
    return err;
}

/* Fills the answer to a ticket that was not seen before. */
static enum ipc_sign_status work(struct hsm_worker *worker, const struct order *order,
                                 struct ipc_signed *answer) {
    struct hsm_signer *signer = worker->signer;
    size_t issuer;
    struct bytes message;
    if (judge(worker, order, &issuer, &message, answer->text))
        return IPC_SIGN_REFUSED;
    if (!is_below_ceiling(signer)) {
        (void)snprintf(answer->text, sizeof answer->text, "the signer's ceiling is reached");
        return IPC_SIGN_CEILING;
    }
    struct buf signature = BUF_ON(worker->signature);
    if (sign_watched(worker, signer->keys[issuer], message, &signature)) {
        (void)snprintf(answer->text, sizeof answer->text, "the token failed");
        return IPC_SIGN_FAILED;
    }
    answer->signature = buf_bytes(&signature);
    return IPC_SIGN_OK;
}

static void log_refused(const struct order *order, const char *text) {
    if (order->type == IPC_TYPE_CMC_TICKET)
        log_error("ticket %llu for %s, a CMC response, refused: %s",
                  (unsigned long long)order->u.cmc.id, order->u.cmc.issuer, text);
    else if (order->type == IPC_TYPE_KEYGEN_TICKET)
        log_error("ticket %llu for %s, a generated key, refused: %s",
                  (unsigned long long)order->u.keygen.id, order->u.keygen.issuer, text);
    else
        log_error("ticket %llu for %s under %s refused: %s",
                  (unsigned long long)order->u.certificate.id, order->u.certificate.issuer,
                  order->u.certificate.profile, text);
}

static void send_answer(struct hsm_worker *worker, struct hsm_link *link, const struct order *order,
                        const struct ipc_signed *answer) {
    if (answer->status == IPC_SIGN_REFUSED)
        log_refused(order, answer->text);
    enum tm_err err = ipc_send(link->socket, &ipc_signed_schema, answer);
    if (err && err != TM_ECLOSED)
        log_error("ticket %llu: no answer sent: %s", (unsigned long long)answer->id,
                  tm_err_name(err));
    crash_point("signer.answered");
    if (answer->status == IPC_SIGN_FAILED)
        hsm_signer_die(worker->signer, "the token failed to sign");
}

static void serve_ticket(struct hsm_worker *worker, struct hsm_link *link,
                         const struct order *order) {
    struct ipc_signed answer = {.id = id_of(order), .status = IPC_SIGN_REFUSED};
    switch (redeem(worker->signer, link, answer.id)) {
    case CLAIM_GOOD:
        answer.status = (uint8_t)work(worker, order, &answer);
        crash_point("signer.signed");
        break;
    case CLAIM_USED:
        (void)snprintf(answer.text, sizeof answer.text, "the ticket was redeemed before");
        break;
    case CLAIM_STALE:
        return;
    }
    send_answer(worker, link, order, &answer);
}

/* False when the link has ended. A core that sends what is no ticket has lost its mind: its
 * link ends too. */
static bool serve_one(struct hsm_worker *worker, struct hsm_link *link) {
    struct bytes message;
    enum tm_err err = ipc_receive(link->socket, worker->in, sizeof worker->in, -1, &message);
    if (err == TM_ECLOSED)
        return false;
    struct order order;
    if (!err)
        err = read_order(message, &order);
    if (err) {
        log_error("the core sent what is no ticket (%s): link closed", tm_err_name(err));
        (void)shutdown(link->socket, SHUT_RDWR);
        return false;
    }
    crash_point("signer.ticket_received");
    serve_ticket(worker, link, &order);
    return true;
}

/* Gives back the link that ended and waits for one that works. NULL: the signer closes. */
static struct hsm_link *next_link(struct hsm_signer *signer, struct hsm_link *ended) {
    (void)pthread_mutex_lock(&signer->lock);
    if (ended && ended == signer->link) {
        signer->link = NULL;
        hsm_link_drop(ended);
    }
    if (ended)
        hsm_link_drop(ended);
    while (!signer->link && !signer->closing)
        (void)pthread_cond_wait(&signer->linked, &signer->lock);
    struct hsm_link *link = signer->closing ? NULL : signer->link;
    if (link)
        link->users++;
    (void)pthread_mutex_unlock(&signer->lock);
    return link;
}

void *hsm_serve(void *arg) {
    struct hsm_worker *worker = arg;
    struct hsm_link *link = NULL;
    while ((link = next_link(worker->signer, link)))
        while (serve_one(worker, link))
            ;
    (void)pthread_mutex_lock(&worker->signer->lock);
    worker->signer->running--;
    (void)pthread_cond_signal(&worker->signer->ended);
    (void)pthread_mutex_unlock(&worker->signer->lock);
    return NULL;
}
