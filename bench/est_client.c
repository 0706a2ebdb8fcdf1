/* SPDX-License-Identifier: Apache-2.0 */
/* The EST client: one SSL_CTX, blocking sockets, a small HTTP/1.1 reader. */
#include "bench/est_client.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/http.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/auto.h"
#include "est/wire/base64.h"

#define BINDING_LABEL "EXPORTER-Channel-Binding" /* RFC 9266, 4.2 */
#define INTERIM_MAX 4                            /* 1xx answers before the final one */

struct bench_client {
    SSL_CTX *ctx;
    struct sockaddr_storage address;
    socklen_t address_size;
    int timeout_ms;
    pthread_mutex_t lock;   /* guards `known` */
    ASN1_BIT_STRING *known; /* public key of the server once its path was verified */
};

struct bench_conn {
    SSL *ssl;
    int fd;
    SSL_SESSION *session;
    size_t have;     /* octets in `in` */
    size_t answered; /* of them: the last answer's, dropped by the next receive */
    uint8_t in[BENCH_ANSWER_MAX];
};

enum tm_err bench_url_parse(const char *url, struct bench_url *ret_url) {
    struct bench_url parsed = {0};
    int tls = 0;
    if (!OSSL_HTTP_parse_url(url, &tls, NULL, &parsed.host, &parsed.port, NULL, &parsed.path, NULL,
                             NULL))
        return TM_EPARSE;
    if (!tls) {
        bench_url_free(&parsed);
        return TM_EPARSE;
    }
    size_t n = strlen(parsed.path);
    while (n > 0 && parsed.path[n - 1] == '/')
        parsed.path[--n] = '\0';
    *ret_url = parsed;
    return TM_OK;
}

void bench_url_free(struct bench_url *url) {
    OPENSSL_free(url->host);
    OPENSSL_free(url->port);
    OPENSSL_free(url->path);
    *url = (struct bench_url){0};
}

/* Was this very key proven by path building before? The handshake then shows that the
 * server holds it, which is all that the path was needed for. */
static bool key_is_known(struct bench_client *client, const X509 *leaf) {
    const ASN1_BIT_STRING *key = X509_get0_pubkey_bitstr(leaf);
    (void)pthread_mutex_lock(&client->lock);
    bool known = client->known && ASN1_STRING_cmp(client->known, key) == 0;
    (void)pthread_mutex_unlock(&client->lock);
    return known;
}

static void remember_key(struct bench_client *client, const X509 *leaf) {
    ASN1_BIT_STRING *key = ASN1_STRING_dup(X509_get0_pubkey_bitstr(leaf));
    (void)pthread_mutex_lock(&client->lock);
    ASN1_BIT_STRING_free(client->known);
    client->known = key;
    (void)pthread_mutex_unlock(&client->lock);
}

static int verify_server(X509_STORE_CTX *store, void *arg) {
    struct bench_client *client = arg;
    const X509 *leaf = X509_STORE_CTX_get0_cert(store);
    if (key_is_known(client, leaf)) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
    }
    if (X509_verify_cert(store) != 1)
        return 0;
    remember_key(client, leaf);
    return 1;
}

static int keep_session(SSL *ssl, SSL_SESSION *session) {
    struct bench_conn *conn = SSL_get_app_data(ssl);
    SSL_SESSION_free(conn->session);
    conn->session = session;
    return 1;
}

static enum tm_err resolve(struct bench_client *client, const char *host, const char *port) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return TM_ENOTFOUND;
    memcpy(&client->address, found->ai_addr, found->ai_addrlen);
    client->address_size = found->ai_addrlen;
    freeaddrinfo(found);
    return TM_OK;
}

/* The name that the server's certificate must carry: an address or a DNS name. */
static bool expect_name(SSL_CTX *ctx, const char *host) {
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
    return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1 ||
           X509_VERIFY_PARAM_set1_host(param, host, 0) == 1;
}

static bool set_up_tls(struct bench_client *client, const struct bench_client_config *config) {
    SSL_CTX *ctx = client->ctx;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, verify_server, client);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    SSL_CTX_set_read_ahead(ctx, 1);
    return SSL_CTX_load_verify_file(ctx, config->ca_file) == 1 &&
           SSL_CTX_set_min_proto_version(ctx, config->tls_version) == 1 &&
           SSL_CTX_set_max_proto_version(ctx, config->tls_version) == 1 &&
           SSL_CTX_set1_groups_list(ctx, config->groups ? config->groups : "X25519:P-256") == 1 &&
           expect_name(ctx, config->host);
}

enum tm_err bench_client_new(const struct bench_client_config *config,
                             struct bench_client **ret_client, char text[BENCH_TEXT_MAX]) {
    struct bench_client *client = calloc(1, sizeof *client);
    if (!client)
        return TM_ENOMEM;
    (void)pthread_mutex_init(&client->lock, NULL);
    client->timeout_ms = config->timeout_ms;
    client->ctx = SSL_CTX_new(TLS_client_method());
    if (!client->ctx || !set_up_tls(client, config)) {
        (void)snprintf(text, BENCH_TEXT_MAX, "cannot set up TLS with the trust anchors in %s",
                       config->ca_file);
        bench_client_free(client);
        return TM_EIO;
    }
    if (resolve(client, config->host, config->port) != TM_OK) {
        (void)snprintf(text, BENCH_TEXT_MAX, "cannot find an address for %s port %s", config->host,
                       config->port);
        bench_client_free(client);
        return TM_EIO;
    }
    *ret_client = client;
    return TM_OK;
}

void bench_client_free(struct bench_client *client) {
    if (!client)
        return;
    SSL_CTX_free(client->ctx);
    ASN1_BIT_STRING_free(client->known);
    (void)pthread_mutex_destroy(&client->lock);
    free(client);
}

static enum tm_err connect_tcp(const struct bench_client *client, int *ret_fd) {
    AUTO_FD int fd = socket(client->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {client->timeout_ms / 1000, (client->timeout_ms % 1000) * 1000};
    int on = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        return TM_EIO;
    if (connect(fd, (const struct sockaddr *)&client->address, client->address_size) != 0)
        return errno == EINPROGRESS || errno == EAGAIN ? TM_ETIMEOUT : TM_EIO;
    *ret_fd = TAKE_FD(fd);
    return TM_OK;
}

/* What a failed SSL_* call on a blocking socket means. A socket timeout shows as EAGAIN. */
static enum tm_err io_failure(const SSL *ssl, int result) {
    int saved = errno;
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return TM_ETIMEOUT;
    case SSL_ERROR_ZERO_RETURN:
        return TM_ECLOSED;
    case SSL_ERROR_SYSCALL:
        return saved == EAGAIN ? TM_ETIMEOUT : TM_ECLOSED;
    default:
        if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
            return TM_ECLOSED;
        return TM_ECRYPTO;
    }
}

static bool use_identity(SSL *ssl, const struct bench_identity *identity) {
    if (!identity || !identity->certificate)
        return true;
    return SSL_use_cert_and_key(ssl, identity->certificate, identity->key, identity->chain, 1) == 1;
}

static enum tm_err handshake(struct bench_client *client, struct bench_conn *conn,
                             const struct bench_identity *identity, SSL_SESSION *resume) {
    conn->ssl = SSL_new(client->ctx);
    if (!conn->ssl || SSL_set_fd(conn->ssl, conn->fd) != 1)
        return TM_ENOMEM;
    SSL_set_app_data(conn->ssl, conn);
    if (!use_identity(conn->ssl, identity))
        return TM_ECRYPTO;
    if (resume && SSL_set_session(conn->ssl, resume) != 1)
        return TM_ECRYPTO;
    ERR_clear_error();
    int done = SSL_connect(conn->ssl);
    return done == 1 ? TM_OK : io_failure(conn->ssl, done);
}

enum tm_err bench_conn_open(struct bench_client *client, const struct bench_identity *identity,
                            SSL_SESSION *resume, struct bench_conn **ret_conn) {
    struct bench_conn *conn = malloc(sizeof *conn);
    if (!conn)
        return TM_ENOMEM;
    conn->ssl = NULL;
    conn->session = NULL;
    conn->fd = -1;
    conn->have = 0;
    conn->answered = 0;
    enum tm_err err = connect_tcp(client, &conn->fd);
    if (err == TM_OK)
        err = handshake(client, conn, identity, resume);
    if (err != TM_OK) {
        bench_conn_cut(conn);
        return err;
    }
    *ret_conn = conn;
    return TM_OK;
}

void bench_conn_close(struct bench_conn *conn) {
    if (conn)
        (void)SSL_shutdown(conn->ssl);
    bench_conn_cut(conn);
}

void bench_conn_cut(struct bench_conn *conn) {
    if (!conn)
        return;
    SSL_free(conn->ssl);
    SSL_SESSION_free(conn->session);
    if (conn->fd >= 0)
        (void)close(conn->fd);
    free(conn);
}

bool bench_conn_resumed(const struct bench_conn *conn) {
    return SSL_session_reused(conn->ssl) == 1;
}

const char *bench_conn_version(const struct bench_conn *conn) {
    return SSL_get_version(conn->ssl);
}

SSL_SESSION *bench_conn_session(const struct bench_conn *conn) {
    if (conn->session)
        (void)SSL_SESSION_up_ref(conn->session);
    return conn->session;
}

/* RFC 5929, 3.1: the first Finished message of the handshake, which is the client's in a full
 * one and the server's in an abbreviated one. */
static enum tm_err tls_unique(const struct bench_conn *conn, struct buf *out) {
    uint8_t finished[BENCH_BINDING_MAX];
    if (SSL_version(conn->ssl) != TLS1_2_VERSION)
        return TM_EINVAL;
    size_t n = bench_conn_resumed(conn)
                   ? SSL_get_peer_finished(conn->ssl, finished, sizeof finished)
                   : SSL_get_finished(conn->ssl, finished, sizeof finished);
    if (n == 0 || n > sizeof finished)
        return TM_EINVAL;
    buf_put(out, (struct bytes){finished, n});
    return out->full ? TM_ELIMIT : TM_OK;
}

enum tm_err bench_conn_binding(const struct bench_conn *conn, enum bench_binding kind,
                               struct buf *out) {
    uint8_t value[32];
    if (kind == BENCH_TLS_UNIQUE)
        return tls_unique(conn, out);
    if (SSL_export_keying_material(conn->ssl, value, sizeof value, BINDING_LABEL,
                                   sizeof BINDING_LABEL - 1, (const uint8_t *)"", 0, 1) != 1)
        return TM_EINVAL;
    buf_put(out, BYTES_OF(value));
    return out->full ? TM_ELIMIT : TM_OK;
}

enum tm_err bench_conn_send(struct bench_conn *conn, struct bytes request) {
    size_t written = 0;
    if (request.n == 0)
        return TM_OK;
    ERR_clear_error();
    int done = SSL_write_ex(conn->ssl, request.p, request.n, &written);
    return done == 1 ? TM_OK : io_failure(conn->ssl, done);
}

static enum tm_err read_more(struct bench_conn *conn) {
    size_t got = 0;
    if (conn->have == sizeof conn->in)
        return TM_ELIMIT;
    ERR_clear_error();
    int done = SSL_read_ex(conn->ssl, conn->in + conn->have, sizeof conn->in - conn->have, &got);
    if (done != 1)
        return io_failure(conn->ssl, done);
    conn->have += got;
    return TM_OK;
}

static void drop(struct bench_conn *conn, size_t n) {
    conn->have -= n;
    memmove(conn->in, conn->in + n, conn->have);
}

/* Reads until the empty line; *ret_n counts the head with it. */
static enum tm_err read_head(struct bench_conn *conn, size_t *ret_n) {
    for (;;) {
        const uint8_t *end = memmem(conn->in, conn->have, "\r\n\r\n", 4);
        if (end) {
            *ret_n = (size_t)(end - conn->in) + 4;
            return TM_OK;
        }
        enum tm_err err = read_more(conn);
        if (err != TM_OK)
            return err;
    }
}

/* The value of a header field as text, cut at cap; false = absent. */
static bool header(struct bytes head, const char *name, char *ret, size_t cap) {
    size_t name_size = strlen(name);
    const char *p = (const char *)head.p, *end = p + head.n;
    while ((p = memmem(p, (size_t)(end - p), "\r\n", 2)) && end - p > 2) {
        p += 2;
        if ((size_t)(end - p) <= name_size || p[name_size] != ':' ||
            strncasecmp(p, name, name_size) != 0)
            continue;
        p += name_size + 1;
        p += strspn(p, " \t");
        size_t n = strcspn(p, "\r\n");
        (void)snprintf(ret, cap, "%.*s", (int)n, p);
        return true;
    }
    return false;
}

static enum tm_err parse_head(struct bytes head, struct bench_answer *ret, size_t *ret_body) {
    static const char version[] = "HTTP/1.1 ";
    char value[128] = "";
    if (head.n < sizeof version + 3 || memcmp(head.p, version, sizeof version - 1) != 0)
        return TM_EPARSE;
    unsigned status = (unsigned)strtoul((const char *)head.p + sizeof version - 1, NULL, 10);
    *ret = (struct bench_answer){.status = status, .head = head};
    (void)header(head, "Content-Type", ret->content_type, sizeof ret->content_type);
    if (header(head, "Retry-After", value, sizeof value))
        ret->retry_after_s = (unsigned)strtoul(value, NULL, 10);
    ret->close = header(head, "Connection", value, sizeof value) && strcasecmp(value, "close") == 0;
    *ret_body = 0;
    if (status == 204 || status < 200)
        return TM_OK;
    if (!header(head, "Content-Length", value, sizeof value))
        return TM_EPARSE;
    *ret_body = strtoul(value, NULL, 10);
    return *ret_body < BENCH_ANSWER_MAX ? TM_OK : TM_ELIMIT;
}

static enum tm_err receive_one(struct bench_conn *conn, struct bench_answer *ret) {
    size_t head = 0, body = 0;
    enum tm_err err = read_head(conn, &head);
    if (err == TM_OK)
        err = parse_head((struct bytes){conn->in, head}, ret, &body);
    while (err == TM_OK && conn->have < head + body)
        err = read_more(conn);
    if (err != TM_OK)
        return err;
    ret->body = (struct bytes){conn->in + head, body};
    conn->answered = head + body;
    return TM_OK;
}

enum tm_err bench_conn_receive(struct bench_conn *conn, struct bench_answer *ret_answer) {
    struct bench_answer answer = {0};
    for (unsigned i = 0; i <= INTERIM_MAX; i++) {
        drop(conn, conn->answered);
        conn->answered = 0;
        enum tm_err err = receive_one(conn, &answer);
        if (err != TM_OK)
            return err;
        if (answer.status >= 200) {
            *ret_answer = answer;
            return TM_OK;
        }
    }
    return TM_EPARSE;
}

static enum tm_err put_authorization(const char *user, struct bytes secret, struct buf *out) {
    uint8_t plain[256];
    struct buf b = BUF_ON(plain);
    if (!user)
        return TM_OK;
    buf_put(&b, bytes_str(user));
    buf_put_u8(&b, ':');
    buf_put(&b, secret);
    buf_put(out, bytes_str("Authorization: Basic "));
    enum tm_err err = b.full ? TM_ELIMIT : est_base64_encode(buf_bytes(&b), 0, out);
    buf_put(out, bytes_str("\r\n"));
    bytes_wipe(plain, sizeof plain);
    return err;
}

enum tm_err bench_request_write(const struct bench_url *url, const char *operation,
                                const char *user, struct bytes secret, struct bytes der,
                                struct buf *out) {
    char line[1024];
    bool ipv6 = strchr(url->host, ':') != NULL;
    (void)snprintf(line, sizeof line,
                   "POST %s/%s HTTP/1.1\r\nHost: %s%s%s:%s\r\nContent-Type: application/pkcs10\r\n"
                   "Content-Length: %zu\r\n",
                   url->path, operation, ipv6 ? "[" : "", url->host, ipv6 ? "]" : "", url->port,
                   est_base64_size(der.n, 0));
    buf_put(out, bytes_str(line));
    enum tm_err err = put_authorization(user, secret, out);
    buf_put(out, bytes_str("\r\n"));
    if (err == TM_OK)
        err = est_base64_encode(der, 0, out);
    return err == TM_OK && out->full ? TM_ELIMIT : err;
}
