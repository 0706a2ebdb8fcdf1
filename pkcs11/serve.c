/* SPDX-License-Identifier: Apache-2.0 */
/* A signer thread: receive, redeem, check, sign, answer. */
#include "pkcs11/serve.h"

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

static bool is_below_ceiling(struct hsm_signer *signer, const struct hsm_permit *permit) {
    int64_t now = clock_mono_ms();
    if (permit->tls)
        return true; /* anybody can connect, and would use up what is there for certificates */
    (void)pthread_mutex_lock(&signer->lock);
    bool good = (!permit->proof || hsm_ceiling_take(&signer->proofs, now)) &&
                hsm_ceiling_take(&signer->ceiling, now);
    (void)pthread_mutex_unlock(&signer->lock);
    return good;
}

static bool takes_number(struct hsm_signer *signer, const struct hsm_permit *permit) {
    (void)pthread_mutex_lock(&signer->lock);
    bool good =
        !permit->numbered || hsm_numbers_take(&signer->numbers, permit->name, permit->number);
    if (permit->checkpoint)
        good = hsm_checkpoint_take(&signer->checkpoint, &permit->tree);
    (void)pthread_mutex_unlock(&signer->lock);
    return good;
}

/* Only the token can hang. Hashing a CRL of 40 MB takes longer than some signatures, and is done
 * before it, unless the key is of a kind that the token hashes for. */
static enum tm_err sign_watched(struct hsm_worker *worker, struct hsm_key *key, struct bytes tbs,
                                struct buf *out) {
    uint8_t memory[HSM_MESSAGE_MAX];
    struct bytes message;
    enum tm_err err = hsm_key_digest(key, tbs, memory, &message);
    if (err)
        return err;
    atomic_store(&worker->busy_since, clock_mono_ms());
    err = hsm_key_sign_message(key, message, out);
    atomic_store(&worker->busy_since, 0);
    return err;
}

static enum ipc_sign_status say(struct ipc_signed *answer, enum ipc_sign_status status,
                                const char *text) {
    TEXT_SET(answer->text, text);
    return status;
}

static struct hsm_key *key_for(const struct hsm_signer *signer, const struct hsm_permit *permit) {
    return permit->tls          ? signer->tls_key
           : permit->checkpoint ? signer->checkpoint_key
           : permit->ocsp       ? signer->ocsp_keys[permit->issuer]
                                : signer->keys[permit->issuer];
}

/* Fills the answer to a ticket that was not seen before. */
static enum ipc_sign_status work(struct hsm_worker *worker, struct ipc_signed *answer) {
    struct hsm_signer *signer = worker->signer;
    struct hsm_permit permit;
    if (hsm_order_judge(&worker->order, &signer->rules, clock_wall_ms(), &permit, answer->text))
        return IPC_SIGN_REFUSED;
    struct hsm_key *key = key_for(signer, &permit);
    if (!key)
        return say(answer, IPC_SIGN_REFUSED, "the issuer's key is not on the token");
    if (!is_below_ceiling(signer, &permit))
        return say(answer, IPC_SIGN_CEILING, "the signer's ceiling is reached");
    if (!takes_number(signer, &permit))
        return say(answer, IPC_SIGN_REFUSED,
                   permit.checkpoint ? "the log is behind the last checkpoint, or has another root"
                                     : "its number is not above the last that was signed");
    struct buf signature = BUF_ON(worker->signature);
    if (sign_watched(worker, key, permit.message, &signature))
        return say(answer, IPC_SIGN_FAILED, "the token failed");
    answer->signature = buf_bytes(&signature);
    return IPC_SIGN_OK;
}

static void send_answer(struct hsm_worker *worker, struct hsm_link *link,
                        const struct ipc_signed *answer) {
    if (answer->status == IPC_SIGN_REFUSED)
        log_error("ticket %llu for %s, %s, refused: %s", (unsigned long long)answer->id,
                  hsm_order_issuer(&worker->order), hsm_order_what(&worker->order), answer->text);
    enum tm_err err = ipc_send(link->socket, &ipc_signed_schema, answer);
    if (err && err != TM_ECLOSED)
        log_error("ticket %llu: no answer sent: %s", (unsigned long long)answer->id,
                  tm_err_name(err));
    crash_point("signer.answered");
    if (answer->status == IPC_SIGN_FAILED)
        hsm_signer_die(worker->signer, "the token failed to sign");
}

static void serve_ticket(struct hsm_worker *worker, struct hsm_link *link) {
    struct ipc_signed answer = {.id = hsm_order_id(&worker->order), .status = IPC_SIGN_REFUSED};
    switch (redeem(worker->signer, link, answer.id)) {
    case CLAIM_GOOD:
        answer.status = (uint8_t)work(worker, &answer);
        crash_point("signer.signed");
        break;
    case CLAIM_USED:
        (void)snprintf(answer.text, sizeof answer.text, "the ticket was redeemed before");
        break;
    case CLAIM_STALE:
        return;
    }
    send_answer(worker, link, &answer);
}

/* False when the link has ended. A core that sends what is no ticket has lost its mind: its
 * link ends too. */
static bool serve_one(struct hsm_worker *worker, struct hsm_link *link) {
    struct bytes message;
    int fd = -1;
    enum tm_err err =
        ipc_receive_fd(link->socket, worker->in, sizeof worker->in, -1, &message, &fd);
    if (err == TM_ECLOSED)
        return false;
    if (!err)
        err = hsm_order_read(message, fd, &worker->order);
    if (err) {
        log_error("the core sent what is no ticket (%s): link closed", tm_err_name(err));
        (void)shutdown(link->socket, SHUT_RDWR);
        return false;
    }
    crash_point("signer.ticket_received");
    serve_ticket(worker, link);
    hsm_order_end(&worker->order);
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
