/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An EST client (RFC 7030) on OpenSSL for load and for tests: TLS connections with or
 * without a client certificate, resumption, kept connections, channel bindings, and HTTP/1.1
 * requests whose every octet the caller may choose. Blocking, made to be cheap: it shares
 * its machine with the server that it measures. A client may be used by several threads
 * once it is made; a connection belongs to one thread.
 */
#ifndef TOUCHMARK_BENCH_EST_CLIENT_H
#define TOUCHMARK_BENCH_EST_CLIENT_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "base/bytes.h"

#define BENCH_TEXT_MAX 256
#define BENCH_ANSWER_MAX 65536 /* octets of one HTTP response, head and body */
#define BENCH_BINDING_MAX 64   /* octets of a channel binding */

struct bench_client;
struct bench_conn;

/* What "https://host:port/.well-known/est/label" says. Owned strings. */
struct bench_url {
    char *host;
    char *port;
    char *path; /* without a slash at its end */
};
/* TM_EPARSE when it is no https URL. */
MUST_USE enum tm_err bench_url_parse(const char *url, struct bench_url *ret_url);
void bench_url_free(struct bench_url *url);

struct bench_client_config {
    const char *host; /* name or address; the server's certificate must be for it */
    const char *port;
    const char *ca_file; /* PEM: what the server's certificate is verified with */
    int tls_version;     /* TLS1_2_VERSION or TLS1_3_VERSION; 0 = any */
    const char *groups;  /* OpenSSL group list, NULL = "X25519:P-256" */
    int timeout_ms;      /* for connecting and for each read and write */
};
/* Strings are copied or used here only. The server's certificate is verified by path once; a
 * later connection whose server shows the same public key is accepted by it. TM_EIO with a
 * sentence in `text`. */
MUST_USE enum tm_err bench_client_new(const struct bench_client_config *config,
                                      struct bench_client **ret_client, char text[BENCH_TEXT_MAX]);
void bench_client_free(struct bench_client *client); /* NULL-safe; no connection may be left */

/* Who connects. Borrowed; certificate NULL = anonymous. */
struct bench_identity {
    X509 *certificate;
    EVP_PKEY *key;
    STACK_OF(X509) * chain; /* sent too, may be NULL */
};

/* Connects and shakes hands. `resume` NULL = a full handshake is wanted. TM_EIO: no TCP
 * connection; TM_ECRYPTO: the handshake failed (OpenSSL's error queue says why);
 * TM_ETIMEOUT; TM_ECLOSED. */
MUST_USE enum tm_err bench_conn_open(struct bench_client *client,
                                     const struct bench_identity *identity, SSL_SESSION *resume,
                                     struct bench_conn **ret_conn);
/* Says good-bye (close_notify) and closes. NULL-safe. */
void bench_conn_close(struct bench_conn *conn);
/* Closes without a word, as a cut cable would. NULL-safe. */
void bench_conn_cut(struct bench_conn *conn);

bool bench_conn_resumed(const struct bench_conn *conn);
const char *bench_conn_version(const struct bench_conn *conn); /* "TLSv1.3" */
/* The newest session that the server gave, NULL if none yet (TLS 1.3 gives it with or
 * after the first answer). The caller frees it. */
SSL_SESSION *bench_conn_session(const struct bench_conn *conn);

enum bench_binding {
    BENCH_TLS_EXPORTER, /* RFC 9266 */
    BENCH_TLS_UNIQUE,   /* RFC 5929; TLS 1.2 only */
};
/* Appends the raw channel binding. TM_EINVAL: this session has none of this kind. */
MUST_USE enum tm_err bench_conn_binding(const struct bench_conn *conn, enum bench_binding kind,
                                        struct buf *out);

struct bench_answer {
    unsigned status;
    char content_type[128]; /* "" = absent */
    unsigned retry_after_s; /* 0 = absent */
    bool close;             /* the server closes after it */
    struct bytes head;      /* status line and header fields */
    struct bytes body;      /* both borrowed until the next receive */
};
/* One request as it stands: head and body. TM_ETIMEOUT, TM_ECLOSED. */
MUST_USE enum tm_err bench_conn_send(struct bench_conn *conn, struct bytes request);
/* The final answer to it (1xx ones are skipped). TM_EPARSE: not HTTP/1.1 with a Content-Length;
 * TM_ELIMIT: longer than BENCH_ANSWER_MAX; TM_ETIMEOUT, TM_ECLOSED. */
MUST_USE enum tm_err bench_conn_receive(struct bench_conn *conn, struct bench_answer *ret_answer);

/* Appends a POST of base64(der), one line, to `path`/`operation`; `user` NULL = no
 * Authorization. TM_ELIMIT. */
MUST_USE enum tm_err bench_request_write(const struct bench_url *url, const char *operation,
                                         const char *user, struct bytes secret, struct bytes der,
                                         struct buf *out);

#endif
