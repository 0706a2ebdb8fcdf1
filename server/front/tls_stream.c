/* SPDX-License-Identifier: Apache-2.0 */
/* One TLS connection: handshake, records, collected output, who the peer is. */
#include "server/front/tls_internal.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>

#include "base/auto.h"

/* More than this is never kept for a peer that does not read. */
#define PENDING_MAX (2 * TLS_OUT_MAX)

static int stream_recv(BIO *bio, char *buf, size_t cap, size_t *ret_n) {
    struct front_tls_stream *stream = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t n = -1;
    errno = EAGAIN;
    if (stream->readable)
        n = recv(stream->fd, buf, cap, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(bio);
    if (n < (ssize_t)cap && !stream->ended)
        stream->readable = false; /* what comes later makes an event */
    if (n <= 0)
        return 0;
    *ret_n = (size_t)n;
    return 1;
}

static int stream_collect(BIO *bio, const char *data, size_t n, size_t *ret_n) {
    struct front_tls_stream *stream = BIO_get_data(bio);
    struct front_tls *tls = stream->tls;
    BIO_clear_retry_flags(bio);
    if (n > sizeof tls->out - tls->out_n) {
        stream->broken = true;
        return 0;
    }
    memcpy(tls->out + tls->out_n, data, n);
    tls->out_n += n;
    *ret_n = n;
    return 1;
}

/* No BIO_CTRL_EOF: the end of the connection without close_notify only ends reading, so a client
 * that half-closes TCP still gets its answer. */
static long stream_ctrl(BIO *bio, int cmd, long num, void *ptr) {
    (void)bio;
    (void)num;
    (void)ptr;
    return cmd == BIO_CTRL_FLUSH;
}

enum tm_err front_tls_bio_method(BIO_METHOD **ret_method) {
    int type = BIO_get_new_index();
    BIO_METHOD *method = type < 0 ? NULL : BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "front");
    if (!method || !BIO_meth_set_read_ex(method, stream_recv) ||
        !BIO_meth_set_write_ex(method, stream_collect) || !BIO_meth_set_ctrl(method, stream_ctrl)) {
        BIO_meth_free(method);
        return TM_ENOMEM;
    }
    *ret_method = method;
    return TM_OK;
}

enum tm_err front_tls_stream_new(struct front_tls *tls, int fd, void *owner,
                                 struct front_tls_stream **ret_stream) {
    struct front_tls_stream *stream = calloc(1, sizeof *stream);
    BIO *bio = stream ? BIO_new(tls->bio) : NULL;
    SSL *ssl = bio ? SSL_new(tls->ctx) : NULL;
    if (!ssl) {
        BIO_free(bio);
        free(stream);
        return TM_ENOMEM;
    }
    BIO_set_data(bio, stream);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_accept_state(ssl);
    *stream = (struct front_tls_stream){.tls = tls, .owner = owner, .ssl = ssl, .fd = fd};
    *ret_stream = stream;
    return TM_OK;
}

void front_tls_readable(struct front_tls_stream *stream, bool ended) {
    stream->readable = true;
    stream->ended |= ended;
}

void front_tls_stream_free(struct front_tls_stream *stream) {
    if (!stream)
        return;
    front_tls_sign_end(stream);
    /* Otherwise OpenSSL forgets the session of a connection that was merely cut. */
    if (SSL_is_init_finished(stream->ssl))
        SSL_set_shutdown(stream->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(stream->ssl);
    stream->tls->out_n = 0; /* not flushed: nobody else's */
    free(stream->pending);
    free(stream);
}

/* What an SSL_* call that did not succeed means to the caller. */
static enum tm_err stream_error(struct front_tls_stream *stream, int ret) {
    switch (SSL_get_error(stream->ssl, ret)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_ASYNC:
        return TM_EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
    case SSL_ERROR_SYSCALL:
        return TM_ECLOSED;
    default:
        return TM_ECRYPTO;
    }
}

enum tm_err front_tls_handshake(struct front_tls_stream *stream) {
    bool here = !stream->tls->token.key || stream->has_signed;
    if (!here && front_tls_sign_must_wait(stream))
        return TM_EAGAIN;
    ERR_clear_error();
    int ret = here ? SSL_do_handshake(stream->ssl) : front_tls_sign_step(stream);
    if (ret != 1)
        return stream_error(stream, ret);
    stream->ticket_due = SSL_version(stream->ssl) >= TLS1_3_VERSION &&
                         SSL_CTX_get_session_cache_mode(stream->tls->ctx) != SSL_SESS_CACHE_OFF;
    return TM_OK;
}

enum tm_err front_tls_read(struct front_tls_stream *stream, void *buf, size_t cap, size_t *ret_n) {
    ERR_clear_error();
    int ret = SSL_read_ex(stream->ssl, buf, cap, ret_n);
    return ret == 1 ? TM_OK : stream_error(stream, ret);
}

enum tm_err front_tls_write(struct front_tls_stream *stream, const void *data, size_t n) {
    ERR_clear_error();
    /* One system call and one packet carry ticket and response; who never asks for anything gets
     * no ticket. Without one, the next connection is a full handshake: no reason to fail. */
    if (stream->ticket_due)
        (void)SSL_new_session_ticket(stream->ssl);
    stream->ticket_due = false;
    size_t written;
    if (SSL_write_ex(stream->ssl, data, n, &written) == 1 && written == n)
        return TM_OK;
    return TM_ECRYPTO;
}

void front_tls_close_notify(struct front_tls_stream *stream) {
    ERR_clear_error();
    if (SSL_is_init_finished(stream->ssl) && !(SSL_get_shutdown(stream->ssl) & SSL_SENT_SHUTDOWN))
        (void)SSL_shutdown(stream->ssl);
}

/* Moves what the kernel did not take to the stream's own memory. */
static enum tm_err keep(struct front_tls_stream *stream, const uint8_t *rest, size_t n) {
    if (n > PENDING_MAX - stream->pending_n)
        return TM_ECLOSED;
    uint8_t *pending = realloc(stream->pending, stream->pending_n + n);
    if (!pending)
        return TM_ECLOSED;
    memcpy(pending + stream->pending_n, rest, n);
    stream->pending = pending;
    stream->pending_n += n;
    return TM_EAGAIN;
}

static enum tm_err send_some(int fd, const uint8_t *data, size_t n, size_t *ret_sent) {
    ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        return TM_ECLOSED;
    *ret_sent = sent < 0 ? 0 : (size_t)sent;
    return TM_OK;
}

static enum tm_err send_pending(struct front_tls_stream *stream) {
    size_t sent;
    if (send_some(stream->fd, stream->pending, stream->pending_n, &sent))
        return TM_ECLOSED;
    stream->pending_n -= sent;
    memmove(stream->pending, stream->pending + sent, stream->pending_n);
    if (stream->pending_n)
        return TM_EAGAIN;
    free(stream->pending);
    stream->pending = NULL;
    return TM_OK;
}

enum tm_err front_tls_flush(struct front_tls_stream *stream) {
    struct front_tls *tls = stream->tls;
    size_t n = tls->out_n;
    tls->out_n = 0;
    if (stream->broken)
        return TM_ECLOSED;
    if (stream->pending_n) {
        enum tm_err kept = n ? keep(stream, tls->out, n) : TM_EAGAIN;
        return kept == TM_EAGAIN ? send_pending(stream) : kept;
    }
    if (n == 0)
        return TM_OK;
    size_t sent;
    if (send_some(stream->fd, tls->out, n, &sent))
        return TM_ECLOSED;
    return sent == n ? TM_OK : keep(stream, tls->out + sent, n - sent);
}

/* Certificates of the chain that fit, and their octets. */
static int chain_that_fits(const STACK_OF(X509) * chain, size_t *ret_n) {
    size_t n = 0;
    int count = 0;
    for (; count < sk_X509_num(chain); count++) {
        int size = i2d_X509(sk_X509_value(chain, count), NULL);
        if (size <= 0 || (size_t)size > IPC_CHAIN_MAX - n)
            break;
        n += (size_t)size;
    }
    *ret_n = n;
    return count;
}

enum tm_err front_tls_peer(const struct front_tls_stream *stream, struct front_tls_peer *ret_peer) {
    const X509 *leaf = SSL_get0_peer_certificate(stream->ssl);
    int leaf_n = leaf ? i2d_X509(leaf, NULL) : 0;
    if (leaf_n <= 0)
        return TM_ENOTFOUND;
    const STACK_OF(X509) *chain = SSL_get_peer_cert_chain(stream->ssl);
    size_t chain_n;
    int count = chain_that_fits(chain, &chain_n);
    uint8_t *der = malloc((size_t)leaf_n + chain_n);
    if (!der)
        return TM_ENOMEM;
    uint8_t *at = der;
    (void)i2d_X509(leaf, &at); /* X509 keeps the to-be-signed part as it came */
    for (int i = 0; i < count; i++)
        (void)i2d_X509(sk_X509_value(chain, i), &at);
    *ret_peer = (struct front_tls_peer){.der = der, .leaf_n = (size_t)leaf_n, .chain_n = chain_n};
    return TM_OK;
}

/* RFC 9266, 2: label, a context of no octets (present, which TLS 1.2 tells apart from none:
 * RFC 5705, 4), 32 octets. */
static void export_binding(SSL *ssl, struct front_tls_bindings *bindings) {
    static const char label[] = "EXPORTER-Channel-Binding";
    static const unsigned char context[1];
    if (SSL_export_keying_material(ssl, bindings->exporter, sizeof bindings->exporter, label,
                                   sizeof label - 1, context, 0, 1) == 1)
        bindings->exporter_n = sizeof bindings->exporter;
}

void front_tls_bindings(const struct front_tls_stream *stream, struct front_tls_bindings *ret) {
    *ret = (struct front_tls_bindings){.exporter_n = 0};
    SSL *ssl = stream->ssl;
    bool tls12 = SSL_version(ssl) == TLS1_2_VERSION;
    /* Without the extended master secret two connections can share one (RFC 9266, 4). */
    if (!tls12 || SSL_get_extms_support(ssl) == 1)
        export_binding(ssl, ret);
    if (!tls12)
        return;
    /* RFC 5929, 3.1: the first Finished, which is the client's in a full handshake. */
    ret->unique_n = SSL_session_reused(ssl)
                        ? SSL_get_finished(ssl, ret->unique, sizeof ret->unique)
                        : SSL_get_peer_finished(ssl, ret->unique, sizeof ret->unique);
    if (ret->unique_n > sizeof ret->unique)
        ret->unique_n = 0;
}
