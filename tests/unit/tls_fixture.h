/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTPS server in a thread that answers what a test told it to, and remembers what it was asked
 * over which connection; and certificates for it and its clients. */
#ifndef TOUCHMARK_TESTS_TLS_FIXTURE_H
#define TOUCHMARK_TESTS_TLS_FIXTURE_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pki_fixture.h"

#define PEER_MAX 16 /* requests, replies and connections of one test */

enum peer_then { PEER_KEEPS, PEER_CLOSES, PEER_IS_SILENT };

struct peer_reply {
    const char *head; /* status line after "HTTP/1.1 ", and header lines each ended by CR LF */
    const char *body; /* NULL: none */
    enum peer_then then;
};

struct peer_request {
    unsigned connection; /* 1 is the first */
    char text[16384];    /* head and body */
    char client[64];     /* commonName of its certificate; "" = none */
    uint8_t binding[64]; /* as the server has it */
    size_t binding_n;
};

struct peer_connection {
    int fd;
    unsigned number;
    SSL *ssl;
};

struct peer {
    pthread_t thread;
    int listener, stop;
    unsigned port;
    SSL_CTX *ctx;
    struct peer_connection open[PEER_MAX];
    pthread_mutex_t lock; /* guards what follows */
    struct peer_reply replies[PEER_MAX];
    size_t reply_n, reply_next;
    struct peer_request requests[PEER_MAX];
    size_t request_n;
    unsigned connections;
};

/* ---- certificates ---- */

struct authority {
    X509 *cert;
    EVP_PKEY *key;
};

UNUSED static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(extension);
    assert_true(X509_add_ext(cert, extension, -1));
    X509_EXTENSION_free(extension);
}

/* issuer NULL: signs itself. san NULL: a CA. It is valid from yesterday for `days`. */
UNUSED static X509 *certify(const char *cn, EVP_PKEY *key, const struct authority *issuer,
                            const char *san, int days) {
    X509 *cert = X509_new();
    assert_non_null(cert);
    struct authority self = {cert, key};
    static uint64_t serial;
    X509_NAME *name = X509_get_subject_name(cert);
    assert_true(X509_set_version(cert, X509_VERSION_3));
    assert_true(ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), ++serial));
    assert_true(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1,
                                           -1, 0));
    if (!issuer)
        issuer = &self;
    assert_true(X509_set_issuer_name(cert, X509_get_subject_name(issuer->cert)));
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), -86400));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), 86400L * (days - 1) + 60));
    assert_true(X509_set_pubkey(cert, key));
    add_extension(cert, issuer->cert, NID_subject_key_identifier, "hash");
    if (issuer != &self)
        add_extension(cert, issuer->cert, NID_authority_key_identifier, "keyid:always");
    add_extension(cert, issuer->cert, NID_basic_constraints,
                  san ? "critical,CA:FALSE" : "critical,CA:TRUE");
    if (san)
        add_extension(cert, issuer->cert, NID_subject_alt_name, san);
    assert_true(X509_sign(cert, issuer->key, EVP_sha256()) > 0);
    return cert;
}

UNUSED static struct authority authority_new(const char *cn, const struct authority *issuer) {
    EVP_PKEY *key = fixture_p256();
    return (struct authority){certify(cn, key, issuer, NULL, 30), key};
}

UNUSED static void authority_free(struct authority *authority) {
    X509_free(authority->cert);
    EVP_PKEY_free(authority->key);
}

/* ---- the server ---- */

static int take_any_certificate(X509_STORE_CTX *ctx, void *arg) {
    (void)arg;
    X509_STORE_CTX_set_error(ctx, X509_V_OK);
    return 1;
}

static void note_binding(SSL *ssl, struct peer_request *request) {
    static const char label[] = "EXPORTER-Channel-Binding";
    if (SSL_version(ssl) == TLS1_2_VERSION) {
        request->binding_n = SSL_session_reused(ssl)
                                 ? SSL_get_finished(ssl, request->binding, 64)
                                 : SSL_get_peer_finished(ssl, request->binding, 64);
        return;
    }
    (void)SSL_export_keying_material(ssl, request->binding, 32, label, sizeof label - 1,
                                     (const uint8_t *)"", 0, 1);
    request->binding_n = 32;
}

/* One whole request; false: the connection ended. */
static bool read_request(struct peer_connection *connection, struct peer_request *request) {
    size_t have = 0;
    for (;;) {
        int got =
            SSL_read(connection->ssl, request->text + have, (int)(sizeof request->text - 1 - have));
        if (got <= 0)
            return false;
        have += (size_t)got;
        request->text[have] = '\0';
        const char *end = strstr(request->text, "\r\n\r\n");
        const char *length = strcasestr(request->text, "\r\ncontent-length:");
        if (!end)
            continue;
        size_t body = length ? strtoul(length + strlen("\r\ncontent-length:"), NULL, 10) : 0;
        if (have >= (size_t)(end - request->text) + 4 + body)
            break;
    }
    const X509 *client = SSL_get0_peer_certificate(connection->ssl);
    if (client)
        (void)X509_NAME_get_text_by_NID(X509_get_subject_name(client), NID_commonName,
                                        request->client, sizeof request->client);
    request->connection = connection->number;
    note_binding(connection->ssl, request);
    return true;
}

static void close_connection(struct peer_connection *connection) {
    if (connection->ssl) {
        SSL_free(connection->ssl);
        (void)close(connection->fd);
    }
    *connection = (struct peer_connection){.fd = -1};
}

static void answer_request(struct peer *peer, struct peer_connection *connection) {
    struct peer_request *request = calloc(1, sizeof *request);
    struct peer_reply reply = {.then = PEER_CLOSES};
    if (!request || !read_request(connection, request)) {
        free(request);
        close_connection(connection);
        return;
    }
    (void)pthread_mutex_lock(&peer->lock);
    if (peer->request_n < PEER_MAX)
        peer->requests[peer->request_n++] = *request;
    if (peer->reply_next < peer->reply_n)
        reply = peer->replies[peer->reply_next++];
    (void)pthread_mutex_unlock(&peer->lock);
    free(request);
    if (reply.head) {
        size_t n = reply.body ? strlen(reply.body) : 0;
        char head[1024];
        int head_n =
            snprintf(head, sizeof head, "HTTP/1.1 %sContent-Length: %zu\r\n\r\n", reply.head, n);
        (void)SSL_write(connection->ssl, head, head_n);
        if (n > 0)
            (void)SSL_write(connection->ssl, reply.body, (int)n);
    }
    if (reply.then == PEER_CLOSES)
        close_connection(connection);
}

/* Lets the client read why: closing with its octets unread would reset the connection. */
static void end_politely(const struct peer_connection *connection) {
    struct timeval limit = {.tv_sec = 60};
    uint8_t octets[1024];
    (void)shutdown(connection->fd, SHUT_WR);
    (void)setsockopt(connection->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    while (read(connection->fd, octets, sizeof octets) > 0)
        continue;
}

static void accept_connection(struct peer *peer) {
    struct peer_connection connection = {.fd = accept(peer->listener, NULL, NULL)};
    if (connection.fd < 0)
        return;
    (void)pthread_mutex_lock(&peer->lock);
    connection.number = ++peer->connections;
    (void)pthread_mutex_unlock(&peer->lock);
    connection.ssl = SSL_new(peer->ctx);
    if (SSL_set_fd(connection.ssl, connection.fd) == 1 && SSL_accept(connection.ssl) == 1) {
        for (size_t i = 0; i < PEER_MAX; i++)
            if (!peer->open[i].ssl) {
                peer->open[i] = connection;
                return;
            }
    }
    end_politely(&connection);
    close_connection(&connection);
}

static void *peer_main(void *arg) {
    struct peer *peer = arg;
    sigset_t pipe; /* of this thread only: the client's own would end the test */
    (void)sigemptyset(&pipe);
    (void)sigaddset(&pipe, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &pipe, NULL);
    for (;;) {
        struct pollfd fds[PEER_MAX + 2] = {{.fd = peer->stop, .events = POLLIN},
                                           {.fd = peer->listener, .events = POLLIN}};
        for (size_t i = 0; i < PEER_MAX; i++)
            fds[i + 2] =
                (struct pollfd){.fd = peer->open[i].ssl ? peer->open[i].fd : -1, .events = POLLIN};
        if (poll(fds, PEER_MAX + 2, -1) < 0 || fds[0].revents)
            return NULL;
        for (size_t i = 0; i < PEER_MAX; i++)
            if (fds[i + 2].revents)
                answer_request(peer, &peer->open[i]);
        if (fds[1].revents)
            accept_connection(peer);
    }
}

/* Listens on a port of its own; peer->ctx may be changed until peer_start. */
UNUSED static void peer_open(struct peer *peer, X509 *cert, EVP_PKEY *key) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    memset(peer, 0, sizeof *peer);
    assert_int_equal(pthread_mutex_init(&peer->lock, NULL), 0);
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    peer->stop = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(bind(peer->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(peer->listener, 16), 0);
    assert_int_equal(getsockname(peer->listener, (struct sockaddr *)&address, &size), 0);
    peer->port = ntohs(address.sin_port);
    peer->ctx = SSL_CTX_new(TLS_server_method());
    assert_non_null(peer->ctx);
    assert_int_equal(SSL_CTX_use_cert_and_key(peer->ctx, cert, key, NULL, 1), 1);
    SSL_CTX_set_verify(peer->ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(peer->ctx, take_any_certificate, NULL);
    assert_int_equal(SSL_CTX_set_session_id_context(peer->ctx, (const uint8_t *)"t", 1), 1);
}

UNUSED static void peer_start(struct peer *peer) {
    assert_int_equal(pthread_create(&peer->thread, NULL, peer_main, peer), 0);
}

UNUSED static void peer_close(struct peer *peer) {
    if (peer->thread) {
        assert_int_equal(eventfd_write(peer->stop, 1), 0);
        assert_int_equal(pthread_join(peer->thread, NULL), 0);
    }
    for (size_t i = 0; i < PEER_MAX; i++)
        close_connection(&peer->open[i]);
    (void)close(peer->listener);
    (void)close(peer->stop);
    SSL_CTX_free(peer->ctx);
    (void)pthread_mutex_destroy(&peer->lock);
}

UNUSED static void peer_will_answer(struct peer *peer, const char *head, const char *body,
                                    enum peer_then then) {
    (void)pthread_mutex_lock(&peer->lock);
    assert_true(peer->reply_n < PEER_MAX);
    peer->replies[peer->reply_n++] = (struct peer_reply){head, body, then};
    (void)pthread_mutex_unlock(&peer->lock);
}

UNUSED static size_t peer_request_count(struct peer *peer) {
    (void)pthread_mutex_lock(&peer->lock);
    size_t n = peer->request_n;
    (void)pthread_mutex_unlock(&peer->lock);
    return n;
}

/* The request of that index; requests that were seen do not change. */
UNUSED static const struct peer_request *peer_request(struct peer *peer, size_t index) {
    assert_true(index < peer_request_count(peer));
    return &peer->requests[index];
}

#endif
