/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A front process (forked, with its own loop) between real TLS clients on 127.0.0.1 and a core
 * whose place the test takes: it holds the other end of the link and answers by hand.
 */
#ifndef TOUCHMARK_TESTS_FRONT_FIXTURE_H
#define TOUCHMARK_TESTS_FRONT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "est/wire/base64.h"
#include "server/role.h"

#define UNUSED __attribute__((unused))
#define PATIENCE_MS 30000 /* for what has to happen; never waited out in a passing test */
#define OCTETS_MAX 65536

/* ---- keys and certificates ---- */

struct identity {
    EVP_PKEY *key;
    X509 *certificate;
};

UNUSED static X509 *make_certificate(EVP_PKEY *key, const char *name,
                                     const struct identity *issuer) {
    X509 *certificate = X509_new();
    X509_NAME *subject = X509_get_subject_name(certificate);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 4711);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1,
                               0);
    X509_set_issuer_name(certificate,
                         issuer ? X509_get_subject_name(issuer->certificate) : subject);
    X509_set_pubkey(certificate, key);
    X509_EXTENSION *basic =
        X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, issuer ? "CA:FALSE" : "CA:TRUE");
    X509_add_ext(certificate, basic, -1);
    X509_EXTENSION_free(basic);
    assert_true(X509_sign(certificate, issuer ? issuer->key : key, EVP_sha256()) > 0);
    return certificate;
}

/* Takes the key over. */
UNUSED static struct identity make_identity(EVP_PKEY *key, const char *name,
                                            const struct identity *issuer) {
    assert_non_null(key);
    return (struct identity){.key = key, .certificate = make_certificate(key, name, issuer)};
}

UNUSED static void free_identity(struct identity *identity) {
    EVP_PKEY_free(identity->key);
    X509_free(identity->certificate);
}

/* ---- the front and everything around it ---- */

struct fixture {
    char folder[64], certificate_path[96], key_path[96];
    struct identity ca, server, device;
    struct bytes device_der, ca_der, csr; /* malloc'ed */
    struct conf conf;
    int listen_fd;
    uint16_t port;
    pid_t pid;      /* 0 = not running */
    int control_fd; /* the supervisor's end */
    int core_fd;    /* the core's end */
    uint8_t message[IPC_MESSAGE_MAX];
    SSL_CTX *with_certificate, *without;
};

enum tm_err role_ready(struct role *role) {
    struct ipc_control ready = {.verb = IPC_CONTROL_READY};
    return ipc_link_send(role->control, &ipc_control_schema, &ready);
}

void role_exit(struct role *role) {
    loop_stop(role->loop);
}

static void child_control(void *arg, struct ipc_link *link, struct bytes message, int fd) {
    (void)link;
    struct role *role = arg;
    struct ipc_control control;
    if (codec_decode(&ipc_control_schema, message, &control))
        _exit(99);
    if (control.verb == IPC_CONTROL_LINK)
        role->linked(role, IPC_ROLE_CORE, 0, fd);
    else
        role->drain(role);
}

/* The test is over, or failed. */
static void child_orphaned(void *arg, struct ipc_link *link) {
    struct role *role = arg;
    ipc_link_close(link);
    role->control = NULL;
    loop_stop(role->loop);
}

static int run_front(struct fixture *fx, int control_fd) {
    static const struct ipc_link_events events = {child_control, child_orphaned};
    struct role role = {.kind = IPC_ROLE_FRONT, .conf = &fx->conf, .listen_fd = fx->listen_fd};
    log_open("front-0", LOG_LEVEL_ERROR);
    (void)signal(SIGPIPE, SIG_DFL); /* the front does not depend on others' ignoring it */
    if (loop_new(&role.loop) ||
        ipc_link_open(role.loop, control_fd, 16, &events, &role, &role.control))
        return 98;
    enum tm_err err = front_start(&role);
    if (!err)
        err = loop_run(role.loop);
    front_stop(&role);
    ipc_link_close(role.control);
    loop_free(role.loop);
    return err ? 97 : 0;
}

static void give_core(struct fixture *fx) {
    int fds[2];
    struct ipc_control control = {.verb = IPC_CONTROL_LINK, .peer = IPC_ROLE_CORE};
    assert_int_equal(ipc_pair(fds), TM_OK);
    struct msghdr header = {0};
    uint8_t octets[64];
    struct buf out = BUF_ON(octets);
    assert_int_equal(codec_encode(&ipc_control_schema, &control, &out), TM_OK);
    struct iovec iov = {octets, out.n};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } rights = {0};
    header.msg_iov = &iov;
    header.msg_iovlen = 1;
    header.msg_control = rights.room;
    header.msg_controllen = sizeof rights.room;
    struct cmsghdr *part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(part), &fds[1], sizeof(int));
    assert_true(sendmsg(fx->control_fd, &header, MSG_NOSIGNAL) > 0);
    close(fds[1]);
    fx->core_fd = fds[0];
}

/* Some DER larger than a TLS record, once in base64 even larger than two. */
UNUSED static struct bytes cacerts_der(void) {
    static uint8_t der[25000];
    static const uint8_t start[] = {0x30, 0x82, (sizeof der - 4) >> 8, (sizeof der - 4) & 0xff,
                                    0x04, 0x82, (sizeof der - 8) >> 8, (sizeof der - 8) & 0xff};
    memcpy(der, start, sizeof start);
    for (size_t i = sizeof start; i < sizeof der; i++)
        der[i] = (uint8_t)(i * i >> 3);
    return BYTES_OF(der);
}

static void send_catalog(struct fixture *fx) {
    struct ipc_catalog entry = {.generation = 1,
                                .count = 1,
                                .label = "idevid",
                                .is_default = 1,
                                .wants_link = 1,
                                .cacerts = cacerts_der()};
    assert_int_equal(ipc_send(fx->core_fd, &ipc_catalog_schema, &entry), TM_OK);
}

static void listen_on_loopback(struct fixture *fx) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    fx->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fx->listen_fd >= 0);
    assert_int_equal(bind(fx->listen_fd, (struct sockaddr *)&address, n), 0);
    assert_int_equal(listen(fx->listen_fd, 1024), 0);
    assert_int_equal(getsockname(fx->listen_fd, (struct sockaddr *)&address, &n), 0);
    fx->port = ntohs(address.sin_port);
}

UNUSED static struct bytes der_of(const X509 *certificate) {
    unsigned char *der = NULL;
    int n = i2d_X509(certificate, &der);
    assert_true(n > 0);
    return (struct bytes){der, (size_t)n};
}

static struct bytes make_csr(EVP_PKEY *key) {
    X509_REQ *req = X509_REQ_new();
    X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(req), "CN", MBSTRING_UTF8,
                               (const unsigned char *)"device-1", -1, -1, 0);
    X509_REQ_set_pubkey(req, key);
    assert_true(X509_REQ_sign(req, key, EVP_sha256()) > 0);
    unsigned char *der = NULL;
    int n = i2d_X509_REQ(req, &der);
    assert_true(n > 0);
    X509_REQ_free(req);
    return (struct bytes){der, (size_t)n};
}

UNUSED static void write_identity(struct fixture *fx) {
    FILE *certificate = fopen(fx->certificate_path, "w");
    FILE *key = fopen(fx->key_path, "w");
    assert_true(certificate && key);
    assert_true(PEM_write_X509(certificate, fx->server.certificate));
    assert_true(PEM_write_X509(certificate, fx->ca.certificate));
    assert_true(PEM_write_PrivateKey(key, fx->server.key, NULL, NULL, 0, NULL, NULL));
    fclose(certificate);
    fclose(key);
}

UNUSED static SSL_CTX *client_context(struct fixture *fx, bool with_certificate) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    assert_non_null(ctx);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    assert_true(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), fx->ca.certificate));
    if (with_certificate) {
        assert_true(SSL_CTX_use_certificate(ctx, fx->device.certificate));
        assert_true(SSL_CTX_use_PrivateKey(ctx, fx->device.key));
        assert_true(SSL_CTX_add1_chain_cert(ctx, fx->ca.certificate));
    }
    return ctx;
}

/* Generous limits; a test that is about one of them sets it before fixture_start. */
static void set_conf(struct fixture *fx) {
    static char groups[] = "X25519:P-256:P-384";
    fx->conf.tls.certificate = fx->certificate_path;
    fx->conf.tls.key = fx->key_path;
    fx->conf.tls.groups = groups;
    fx->conf.listen = (struct conf_listen){.max_connections = 1024,
                                           .max_body = 32768,
                                           .handshake_timeout = PATIENCE_MS,
                                           .header_timeout = PATIENCE_MS,
                                           .body_timeout = PATIENCE_MS,
                                           .idle_timeout = PATIENCE_MS,
                                           .reply_timeout = PATIENCE_MS,
                                           .session_cache = 1024,
                                           .session_lifetime = 3600000};
    fx->conf.process.drain_timeout = PATIENCE_MS;
}

UNUSED static int fixture_setup(void **state) {
    struct fixture *fx = calloc(1, sizeof *fx);
    (void)signal(SIGPIPE, SIG_IGN); /* clients write to connections that are closed */
    strcpy(fx->folder, "/tmp/touchmark-front-XXXXXX");
    assert_non_null(mkdtemp(fx->folder));
    snprintf(fx->certificate_path, sizeof fx->certificate_path, "%s/tls.pem", fx->folder);
    snprintf(fx->key_path, sizeof fx->key_path, "%s/key.pem", fx->folder);
    fx->ca = make_identity(EVP_EC_gen("P-256"), "Test CA", NULL);
    fx->server = make_identity(EVP_EC_gen("P-256"), "127.0.0.1", &fx->ca);
    fx->device = make_identity(EVP_EC_gen("P-256"), "device-1", &fx->ca);
    fx->device_der = der_of(fx->device.certificate);
    fx->ca_der = der_of(fx->ca.certificate);
    fx->csr = make_csr(fx->device.key);
    write_identity(fx);
    fx->with_certificate = client_context(fx, true);
    fx->without = client_context(fx, false);
    fx->core_fd = fx->control_fd = -1;
    listen_on_loopback(fx);
    set_conf(fx);
    *state = fx;
    return 0;
}

static void await_ready(struct fixture *fx) {
    struct bytes message;
    struct ipc_control ready;
    assert_int_equal(
        ipc_receive(fx->control_fd, fx->message, sizeof fx->message, PATIENCE_MS, &message), TM_OK);
    assert_int_equal(codec_decode(&ipc_control_schema, message, &ready), TM_OK);
    assert_int_equal(ready.verb, IPC_CONTROL_READY);
}

UNUSED static void fixture_start(struct fixture *fx) {
    int fds[2];
    assert_int_equal(ipc_pair(fds), TM_OK);
    fflush(NULL);
    fx->pid = fork();
    assert_true(fx->pid >= 0);
    if (fx->pid == 0) {
        close(fds[0]);
        exit(run_front(fx, fds[1])); /* exit, so that a leak check speaks */
    }
    close(fds[1]);
    fx->control_fd = fds[0];
    await_ready(fx);
    give_core(fx);
    send_catalog(fx);
}

/* Waits for the end of the front and returns its exit status. */
UNUSED static int await_exit(struct fixture *fx) {
    int status = 0;
    assert_int_equal(waitpid(fx->pid, &status, 0), fx->pid);
    fx->pid = 0;
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

UNUSED static int fixture_stop(struct fixture *fx) {
    close(fx->control_fd);
    int status = fx->pid ? await_exit(fx) : 0;
    close(fx->core_fd);
    return status;
}

UNUSED static int fixture_teardown(void **state) {
    struct fixture *fx = *state;
    int status = fx->pid ? fixture_stop(fx) : 0;
    close(fx->listen_fd);
    SSL_CTX_free(fx->with_certificate);
    SSL_CTX_free(fx->without);
    free_identity(&fx->ca);
    free_identity(&fx->server);
    free_identity(&fx->device);
    OPENSSL_free((void *)(uintptr_t)fx->device_der.p);
    OPENSSL_free((void *)(uintptr_t)fx->ca_der.p);
    OPENSSL_free((void *)(uintptr_t)fx->csr.p);
    unlink(fx->certificate_path);
    unlink(fx->key_path);
    rmdir(fx->folder);
    free(fx);
    return status; /* a front that ended badly fails the test */
}

/* CPU time that the front has used, in microseconds. */
UNUSED static int64_t front_cpu_us(const struct fixture *fx) {
    clockid_t clock;
    struct timespec used;
    assert_int_equal(clock_getcpuclockid(fx->pid, &clock), 0);
    assert_int_equal(clock_gettime(clock, &used), 0);
    return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

/* ---- the core's part ---- */

/* The next request that the front sends; it borrows from fx->message. */
UNUSED static struct ipc_enroll core_takes(struct fixture *fx) {
    struct bytes message;
    struct ipc_enroll enroll;
    assert_int_equal(
        ipc_receive(fx->core_fd, fx->message, sizeof fx->message, PATIENCE_MS, &message), TM_OK);
    assert_int_equal(codec_decode(&ipc_enroll_schema, message, &enroll), TM_OK);
    return enroll;
}

UNUSED static void core_issues(struct fixture *fx, uint64_t id) {
    struct ipc_reply reply = {.id = id, .outcome = IPC_ISSUED, .certificate = fx->device_der};
    assert_int_equal(ipc_send(fx->core_fd, &ipc_reply_schema, &reply), TM_OK);
}

UNUSED static void core_gets_nothing(struct fixture *fx) {
    struct pollfd ready = {.fd = fx->core_fd, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, 0), 0);
}

/* ---- clients ---- */

struct client {
    int fd;
    SSL *ssl;
};

struct response {
    unsigned status;
    char head[4096];
    uint8_t body[OCTETS_MAX];
    size_t body_n;
};

UNUSED static int client_connect(struct fixture *fx) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(fx->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

UNUSED static struct client client_prepare(struct fixture *fx, SSL_CTX *ctx, int version,
                                           SSL_SESSION *session) {
    struct client client = {.fd = client_connect(fx), .ssl = SSL_new(ctx)};
    assert_non_null(client.ssl);
    assert_true(SSL_set_fd(client.ssl, client.fd));
    if (version) {
        assert_true(SSL_set_min_proto_version(client.ssl, version));
        assert_true(SSL_set_max_proto_version(client.ssl, version));
    }
    if (session)
        assert_true(SSL_set_session(client.ssl, session));
    return client;
}

UNUSED static struct client client_open(struct fixture *fx, SSL_CTX *ctx, int version,
                                        SSL_SESSION *session) {
    struct client client = client_prepare(fx, ctx, version, session);
    assert_int_equal(SSL_connect(client.ssl), 1);
    return client;
}

UNUSED static void client_close(struct client *client) {
    if (SSL_is_init_finished(client->ssl))
        SSL_shutdown(client->ssl);
    SSL_free(client->ssl);
    close(client->fd);
}

UNUSED static void client_send(struct client *client, const void *data, size_t n) {
    size_t written;
    assert_int_equal(SSL_write_ex(client->ssl, data, n, &written), 1);
    assert_int_equal(written, n);
}

UNUSED static void client_text(struct client *client, const char *text) {
    client_send(client, text, strlen(text));
}

static size_t client_read(struct client *client, void *buf, size_t cap) {
    size_t n = 0;
    assert_int_equal(SSL_read_ex(client->ssl, buf, cap, &n), 1);
    return n;
}

static void read_head(struct client *client, struct response *response) {
    size_t n = 0;
    do {
        assert_true(n < sizeof response->head - 1);
        n += client_read(client, response->head + n, 1);
        response->head[n] = 0;
    } while (n < 4 || memcmp(response->head + n - 4, "\r\n\r\n", 4) != 0);
}

UNUSED static const char *header(const struct response *response, const char *name) {
    const char *at = strcasestr(response->head, name);
    return at ? at + strlen(name) : NULL;
}

UNUSED static struct response *client_response(struct client *client) {
    struct response *response = calloc(1, sizeof *response);
    read_head(client, response);
    assert_int_equal(sscanf(response->head, "HTTP/1.1 %3u", &response->status), 1);
    const char *length = header(response, "\r\nContent-Length: ");
    size_t want = length ? strtoul(length, NULL, 10) : 0;
    assert_true(want <= sizeof response->body);
    while (response->body_n < want)
        response->body_n +=
            client_read(client, response->body + response->body_n, want - response->body_n);
    return response;
}

/* The peer's orderly end: nothing more, and close_notify. */
UNUSED static void assert_closed(struct client *client) {
    char octet;
    size_t n;
    assert_int_equal(SSL_read_ex(client->ssl, &octet, 1, &n), 0);
    assert_int_equal(SSL_get_error(client->ssl, 0), SSL_ERROR_ZERO_RETURN);
}

/* "POST" with this body in base64, whole. */
UNUSED static size_t enroll_request(struct bytes csr, const char *more_headers, char *ret,
                                    size_t cap) {
    uint8_t text[OCTETS_MAX];
    struct buf body = BUF_ON(text);
    assert_int_equal(est_base64_encode(csr, 64, &body), TM_OK);
    int n = snprintf(ret, cap,
                     "POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                     "Content-Type: application/pkcs10\r\nContent-Length: %zu\r\n%s\r\n%.*s",
                     body.n, more_headers, (int)body.n, (const char *)text);
    assert_true(n > 0 && (size_t)n < cap);
    return (size_t)n;
}

UNUSED static void client_enrolls(struct fixture *fx, struct client *client) {
    char request[OCTETS_MAX];
    client_send(client, request, enroll_request(fx->csr, "", request, sizeof request));
}

#endif
