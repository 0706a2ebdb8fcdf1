/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handshakes with a key on a token: while the token signs, a handshake is put aside on a stack of
 * its own (OpenSSL's asynchronous jobs), and its process serves others. As many as that are put
 * aside at once; who comes then waits for one of them to end.
 */
#include <openssl/async.h>

#include "server/front/tls_internal.h"

/* Bounds what a flood of handshakes has the token do at once, and stacks. */
#define SIGNING_MAX 32

enum signing_state { SIGNING, SIGNED, NOT_SIGNED };

/* Stands on the stack of the handshake that was put aside. */
struct tls_signing {
    TAILQ_ENTRY(tls_signing) entry;
    uint64_t id;
    struct front_tls_stream *stream;
    enum signing_state state;
    struct bytes content;
    struct buf *out;
};

static bool has_room(const struct front_tls *tls) {
    return tls->signing_count < SIGNING_MAX;
}

static void leave_queue(struct front_tls_stream *stream) {
    if (stream->queued)
        TAILQ_REMOVE(&stream->tls->queued, stream, queue_entry);
    stream->queued = false;
}

/* Who was woken may need no signature yet; then it wakes the next. */
static void wake_next(struct front_tls *tls) {
    struct front_tls_stream *next = TAILQ_FIRST(&tls->queued);
    if (!next || !has_room(tls))
        return;
    leave_queue(next);
    tls->events->ready(tls->arg, next->owner);
}

/* The key's function, on the handshake's stack. */
static enum tm_err sign(void *arg, struct bytes content, struct buf *out) {
    struct front_tls *tls = arg;
    struct front_tls_stream *stream = tls->now;
    if (!stream || !ASYNC_get_current_job())
        return TM_EINVAL;
    struct tls_signing signing = {
        .id = ++tls->last_id, .stream = stream, .content = content, .out = out};
    stream->signing = &signing;
    TAILQ_INSERT_TAIL(&tls->signing, &signing, entry);
    tls->signing_count++;
    if (tls->events->ask(tls->arg, signing.id, content))
        signing.state = NOT_SIGNED;
    while (signing.state == SIGNING && ASYNC_pause_job() == 1)
        ;
    TAILQ_REMOVE(&tls->signing, &signing, entry);
    tls->signing_count--;
    stream->signing = NULL;
    stream->has_signed = true;
    return signing.state == SIGNED ? TM_OK : TM_ETOKEN;
}

enum tm_err front_tls_sign_open(struct front_tls *tls, EVP_PKEY *public) {
    tls->signer = (struct front_tls_signer){sign, tls};
    TAILQ_INIT(&tls->signing);
    TAILQ_INIT(&tls->queued);
    if (ASYNC_init_thread(SIGNING_MAX + 1, 0) != 1)
        return TM_ENOMEM;
    return front_tls_key_open(public, &tls->signer, &tls->token);
}

void front_tls_sign_close(struct front_tls *tls) {
    if (!tls->token.key)
        return;
    front_tls_key_close(&tls->token);
    ASYNC_cleanup_thread();
}

/* A signature is needed once, in the server's first flight; after it nothing is put aside. */
int front_tls_sign_step(struct front_tls_stream *stream) {
    struct front_tls *tls = stream->tls;
    leave_queue(stream);
    (void)SSL_set_mode(stream->ssl, SSL_MODE_ASYNC);
    tls->now = stream;
    int ret = SSL_do_handshake(stream->ssl);
    tls->now = NULL;
    if (stream->has_signed)
        (void)SSL_clear_mode(stream->ssl, SSL_MODE_ASYNC);
    if (!stream->signing)
        wake_next(tls);
    return ret;
}

bool front_tls_sign_must_wait(struct front_tls_stream *stream) {
    struct front_tls *tls = stream->tls;
    if (stream->signing)
        return stream->signing->state == SIGNING;
    if (has_room(tls) || stream->queued)
        return stream->queued;
    TAILQ_INSERT_TAIL(&tls->queued, stream, queue_entry);
    stream->queued = true;
    return true;
}

void front_tls_sign_end(struct front_tls_stream *stream) {
    leave_queue(stream);
    if (!stream->signing)
        return;
    stream->signing->state = NOT_SIGNED;
    (void)front_tls_sign_step(stream); /* its stack has to come to its end */
}

bool front_tls_give_up(struct front_tls_stream *stream) {
    if (!stream->signing)
        return false;
    stream->signing->state = NOT_SIGNED;
    return true;
}

void front_tls_signed(struct front_tls *tls, uint64_t id, struct bytes signature) {
    struct tls_signing *signing;
    if (!tls->token.key)
        return;
    TAILQ_FOREACH(signing, &tls->signing, entry) {
        if (signing->id != id || signing->state != SIGNING)
            continue;
        buf_put(signing->out, signature);
        signing->state = signature.n && !signing->out->full ? SIGNED : NOT_SIGNED;
        tls->events->ready(tls->arg, signing->stream->owner);
        return;
    }
}

void front_tls_ask_again(struct front_tls *tls) {
    struct tls_signing *signing;
    if (!tls->token.key)
        return;
    TAILQ_FOREACH(signing, &tls->signing, entry) {
        if (signing->state != SIGNING || !tls->events->ask(tls->arg, signing->id, signing->content))
            continue;
        signing->state = NOT_SIGNED;
        tls->events->ready(tls->arg, signing->stream->owner);
    }
}
