/* SPDX-License-Identifier: Apache-2.0 */
/* Between tls.c (the server), tls_stream.c (its connections) and tls_sign.c (a key on a token). */
#ifndef TOUCHMARK_SERVER_FRONT_TLS_INTERNAL_H
#define TOUCHMARK_SERVER_FRONT_TLS_INTERNAL_H

#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <sys/queue.h>

#include "server/front/tls.h"
#include "server/front/tls_key.h"

/* Room for a handshake flight with a long chain, or a full record, ticket and alert. */
#define TLS_OUT_MAX 65536

struct front_tls_library {
    OSSL_LIB_CTX *context; /* NULL = OpenSSL's default */
    OSSL_PROVIDER *provider;
};

struct tls_signing;

struct front_tls_stream {
    struct front_tls *tls;
    void *owner;
    SSL *ssl;
    int fd;
    bool ticket_due;             /* TLS 1.3: not yet written */
    bool readable;               /* the socket may have more */
    bool ended;                  /* and has it until it says 0 */
    bool broken;                 /* output had to be dropped: the connection cannot go on */
    bool has_signed;             /* the token's part of the handshake is over */
    bool queued;                 /* in front_tls.queued */
    struct tls_signing *signing; /* NULL: it was not put aside */
    TAILQ_ENTRY(front_tls_stream) queue_entry;
    uint8_t *pending; /* what the kernel did not take yet */
    size_t pending_n;
};

struct front_tls {
    struct front_tls_library library;
    SSL_CTX *ctx;
    BIO_METHOD *bio;
    /* What the stream now at work has produced since its last flush. Streams share it, as each
     * entry into one ends with a flush; what the kernel does not take is copied to the stream. */
    uint8_t out[TLS_OUT_MAX];
    size_t out_n;
    /* The rest has a meaning with a key on a token. */
    const struct front_tls_events *events;
    void *arg;
    struct front_tls_key token; /* zeroed: the key is here */
    struct front_tls_signer signer;
    struct front_tls_stream *now; /* whose handshake runs */
    uint64_t last_id;
    TAILQ_HEAD(tls_signing_list, tls_signing) signing;
    size_t signing_count;
    TAILQ_HEAD(front_tls_queue, front_tls_stream) queued; /* want to go on; oldest first */
};

/* The library context for TLS: see tls_library.c. One per process. TM_ENOMEM, TM_ECRYPTO (logged).
 */
MUST_USE enum tm_err front_tls_library_open(struct front_tls_library *ret_library);
void front_tls_library_close(struct front_tls_library *library); /* safe on a zeroed one */

/* tls_sign.c. Logged. */
MUST_USE enum tm_err front_tls_sign_open(struct front_tls *tls, EVP_PKEY *public);
void front_tls_sign_close(struct front_tls *tls); /* safe when it was not opened */
/* SSL_do_handshake, which may put the handshake aside: SSL_ERROR_WANT_ASYNC. */
int front_tls_sign_step(struct front_tls_stream *stream);
/* Is there no step to take now? `ready` comes when there is. */
bool front_tls_sign_must_wait(struct front_tls_stream *stream);
/* Ends what was put aside, before the stream is freed. */
void front_tls_sign_end(struct front_tls_stream *stream);

/* A BIO that reads from the stream's socket and writes to front_tls.out. TM_ENOMEM. */
MUST_USE enum tm_err front_tls_bio_method(BIO_METHOD **ret_method);

#endif
