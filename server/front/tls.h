/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS at the front, terminated by OpenSSL: one server context per process, one
 * stream per connection. TLS 1.2 and 1.3; a stateful session cache; the client's
 * certificate is asked for in the first handshake and optional. No renegotiation,
 * no 0-RTT, no post-handshake authentication.
 *
 * TLS proves here that the peer holds the key of its certificate, nothing more: no
 * path is built. Who the peer is, the core decides by the certificate's fingerprint
 * (or by a path to a foreign anchor) with each request, resumed sessions included.
 *
 * Nothing blocks. What a stream has to send is collected and leaves with
 * front_tls_flush in one system call. One thread.
 */
#ifndef TOUCHMARK_SERVER_FRONT_TLS_H
#define TOUCHMARK_SERVER_FRONT_TLS_H

#include "conf/conf.h"
#include "ipc/messages.h"

struct front_tls;        /* the server: context, sessions, key */
struct front_tls_stream; /* one connection */

/* Largest number of octets that front_tls_write takes at once. */
#define FRONT_TLS_WRITE_MAX 16384

/* For a key on a token (conf_tls.key_label), with which handshakes wait for signatures. */
struct front_tls_events {
    /* A signature over `content` is wanted; front_tls_signed brings it, never from inside. */
    enum tm_err (*ask)(void *arg, uint64_t id, struct bytes content);
    /* The stream of this owner can go on with its handshake. */
    void (*ready)(void *arg, void *owner);
};

/* Reads certificate chain and key (the only moment the files are needed). Everything that
 * does not fit together was logged: TM_EINVAL for the configuration, TM_ENOMEM, TM_ECRYPTO.
 * `events` must outlive it. */
MUST_USE enum tm_err front_tls_open(const struct conf_tls *tls, const struct conf_listen *listen,
                                    const struct front_tls_events *events, void *arg,
                                    struct front_tls **ret_tls);
void front_tls_close(struct front_tls *tls); /* NULL-safe; after its streams */

/* notAfter of the server's certificate, in wall ms; 0: it cannot be read. */
int64_t front_tls_not_after_ms(const struct front_tls *tls);

/* The answer to `ask`; an empty signature: there will be none, and the handshake fails. */
void front_tls_signed(struct front_tls *tls, uint64_t id, struct bytes signature);
/* Whoever was asked is gone: asks his successor for all that was not answered. */
void front_tls_ask_again(struct front_tls *tls);

/* fd: a connected, non-blocking socket; it stays the caller's. */
MUST_USE enum tm_err front_tls_stream_new(struct front_tls *tls, int fd, void *owner,
                                          struct front_tls_stream **ret_stream);
void front_tls_stream_free(struct front_tls_stream *stream); /* NULL-safe; the session survives */

/* The socket has become readable (edge-triggered); `ended`: its end is among what can be read. A
 * stream asks the kernel for nothing before, and no further once it had all. */
void front_tls_readable(struct front_tls_stream *stream, bool ended);

/* TM_OK: done. TM_EAGAIN: more is to come, from the peer or a token. TM_ECLOSED: the peer left.
 * TM_ECRYPTO: it failed (front_tls_reason). Flush in every case: an alert may be due. */
MUST_USE enum tm_err front_tls_handshake(struct front_tls_stream *stream);
/* The time is over: true when the handshake waits for a signature; its next step fails it, with an
 * alert. */
bool front_tls_give_up(struct front_tls_stream *stream);
/* Reads at most cap octets. TM_EAGAIN: none now. TM_ECLOSED: none will come (close_notify or end
 * of the connection; writing is still possible). TM_ECRYPTO. */
MUST_USE enum tm_err front_tls_read(struct front_tls_stream *stream, void *buf, size_t cap,
                                    size_t *ret_n);
/* Takes all n octets, n at most FRONT_TLS_WRITE_MAX. The session ticket of TLS 1.3 goes with the
 * first ones. TM_ECRYPTO. */
MUST_USE enum tm_err front_tls_write(struct front_tls_stream *stream, const void *data, size_t n);
/* Writes close_notify, once; nothing can be written after it. */
void front_tls_close_notify(struct front_tls_stream *stream);
/* TM_OK: everything is in the kernel's hands. TM_EAGAIN: the rest is kept; call again when the
 * socket is writable, and write nothing before. TM_ECLOSED: the peer is gone. */
MUST_USE enum tm_err front_tls_flush(struct front_tls_stream *stream);

/* Why the last call on this thread gave TM_ECRYPTO: a constant string. */
const char *front_tls_reason(void);

/* The peer's certificate and what it sent with it, in one piece of memory (free). Chain
 * certificates that do not fit IPC_CHAIN_MAX are left out. TM_ENOTFOUND: it sent none. */
struct front_tls_peer {
    uint8_t *der; /* leaf, then chain */
    size_t leaf_n;
    size_t chain_n;
};
MUST_USE enum tm_err front_tls_peer(const struct front_tls_stream *stream,
                                    struct front_tls_peer *ret_peer);

/* Channel bindings of this connection; a length of 0: this protocol version has none. */
struct front_tls_bindings {
    uint8_t exporter[32]; /* RFC 9266 */
    size_t exporter_n;
    uint8_t unique[IPC_BINDING_MAX]; /* RFC 5929, 3.1; TLS 1.2 only */
    size_t unique_n;
};
void front_tls_bindings(const struct front_tls_stream *stream, struct front_tls_bindings *ret);

#endif
