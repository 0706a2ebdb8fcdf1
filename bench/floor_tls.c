/* SPDX-License-Identifier: Apache-2.0 */
/* The bare handshake: what OpenSSL costs before any of our code runs. */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/auto.h"
#include "bench/csr.h"
#include "bench/floor.h"

#define ROUNDS_MAX 32

AUTO_DEFINE(X509, X509_free)
AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(X509_NAME, X509_NAME_free)
AUTO_DEFINE(X509_EXTENSION, X509_EXTENSION_free)
AUTO_DEFINE(SSL_CTX, SSL_CTX_free)
AUTO_DEFINE(SSL, SSL_free)

/* A certificate and its key. */
struct entity {
    X509 *certificate;
    EVP_PKEY *key;
};
/* Root over intermediate over both leaves: the shape of a Touchmark hierarchy. */
struct hierarchy {
    struct entity root, intermediate, server, device;
};

static void entity_free(struct entity *e) {
    X509_free(e->certificate);
    EVP_PKEY_free(e->key);
}

static void hierarchy_free(struct hierarchy *h) {
    entity_free(&h->root);
    entity_free(&h->intermediate);
    entity_free(&h->server);
    entity_free(&h->device);
}

static bool extend(X509 *certificate, X509 *issuer, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
    AUTO(X509_EXTENSION) extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    return extension && X509_add_ext(certificate, extension, -1) == 1;
}

static bool name(X509 *certificate, X509 *issuer, const char *subject) {
    AUTO(X509_NAME) parsed = bench_name_parse(subject);
    return parsed && X509_set_subject_name(certificate, parsed) == 1 &&
           X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1;
}

static bool make(struct entity *e, const struct entity *issuer, const char *subject, bool ca,
                 const char *purpose) {
    e->key = bench_key_new();
    e->certificate = X509_new();
    if (!e->key || !e->certificate)
        return false;
    X509 *c = e->certificate;
    if (!issuer)
        issuer = e;
    return X509_set_version(c, X509_VERSION_3) == 1 &&
           ASN1_INTEGER_set_uint64(X509_get_serialNumber(c), (uint64_t)random() + 1) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(c), -60) &&
           X509_gmtime_adj(X509_getm_notAfter(c), 86400) && X509_set_pubkey(c, e->key) == 1 &&
           name(c, issuer == e ? c : issuer->certificate, subject) &&
           extend(c, c, NID_subject_key_identifier, "hash") &&
           extend(c, issuer->certificate, NID_authority_key_identifier, "keyid:always") &&
           extend(c, c, NID_basic_constraints, ca ? "critical,CA:TRUE" : "critical,CA:FALSE") &&
           extend(c, c, NID_key_usage,
                  ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature") &&
           (!purpose || extend(c, c, NID_ext_key_usage, purpose)) &&
           X509_sign(c, issuer->key, EVP_sha256()) > 0;
}

static bool hierarchy_make(struct hierarchy *h) {
    return make(&h->root, NULL, "/CN=Bare root", true, NULL) &&
           make(&h->intermediate, &h->root, "/CN=Bare intermediate", true, NULL) &&
           make(&h->server, &h->intermediate, "/CN=localhost", false, "serverAuth") &&
           make(&h->device, &h->intermediate, "/O=Bare/serialNumber=1", false, "clientAuth");
}

static bool trust(SSL_CTX *ctx, const struct hierarchy *h) {
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    return X509_STORE_add_cert(store, h->root.certificate) == 1 &&
           X509_STORE_add_cert(store, h->intermediate.certificate) == 1;
}

static SSL_CTX *context(const struct hierarchy *h, const struct entity *own, bool server,
                        int tls_version) {
    AUTO(SSL_CTX) ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    if (!ctx || SSL_CTX_use_certificate(ctx, own->certificate) != 1 ||
        SSL_CTX_use_PrivateKey(ctx, own->key) != 1 ||
        SSL_CTX_set_min_proto_version(ctx, tls_version) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, tls_version) != 1 ||
        SSL_CTX_set1_groups_list(ctx, "X25519:P-256") != 1 || !trust(ctx, h))
        return NULL;
    /* The server sends its intermediate; the device, as devices do, its leaf alone. */
    if (server && SSL_CTX_add1_chain_cert(ctx, h->intermediate.certificate) != 1)
        return NULL;
    (void)SSL_CTX_set_mode(ctx, server ? 0 : SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_num_tickets(ctx, 0);
    return TAKE(ctx);
}

static uint64_t cpu_us(void) {
    struct rusage use;
    (void)getrusage(RUSAGE_SELF, &use);
    return (uint64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000u +
           (uint64_t)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

/* One handshake, and the client's good-bye. */
static bool serve_one(SSL_CTX *ctx, int listen_fd) {
    AUTO_FD int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
    AUTO(SSL) ssl = SSL_new(ctx);
    char octet = 0;
    return fd >= 0 && ssl && SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1 &&
           SSL_read(ssl, &octet, 1) <= 0;
}

static bool connect_one(SSL_CTX *ctx, const struct sockaddr_storage *address, socklen_t size) {
    AUTO_FD int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    AUTO(SSL) ssl = SSL_new(ctx);
    if (fd < 0 || !ssl || connect(fd, (const struct sockaddr *)address, size) != 0 ||
        SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1)
        return false;
    (void)SSL_shutdown(ssl);
    return true;
}

/* The child: serves all rounds, and reports each round's CPU. */
static _Noreturn void serve(SSL_CTX *ctx, int listen_fd, int report, unsigned handshakes,
                            unsigned rounds) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGPIPE, SIG_IGN);
    bool ok = serve_one(ctx, listen_fd);
    for (unsigned r = 0; ok && r < rounds; r++) {
        uint64_t before = cpu_us();
        for (unsigned i = 0; ok && i < handshakes; i++)
            ok = serve_one(ctx, listen_fd);
        uint64_t used = cpu_us() - before;
        ok = ok && write(report, &used, sizeof used) == (ssize_t)sizeof used;
    }
    _exit(ok ? 0 : 1);
}

static int by_size(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double median_us(uint64_t *used, unsigned rounds, unsigned handshakes) {
    qsort(used, rounds, sizeof *used, by_size);
    return (double)used[rounds / 2] / handshakes;
}

static enum tm_err drive(SSL_CTX *ctx, int listen_fd, int report, struct bench_floor_tls *ret) {
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    uint64_t server[ROUNDS_MAX], client[ROUNDS_MAX];
    if (getsockname(listen_fd, (struct sockaddr *)&address, &size) != 0)
        return TM_EIO;
    if (!connect_one(ctx, &address, size)) /* first use of everything, not measured */
        return TM_ECRYPTO;
    for (unsigned r = 0; r < ret->rounds; r++) {
        uint64_t before = cpu_us();
        for (unsigned i = 0; i < ret->handshakes; i++)
            if (!connect_one(ctx, &address, size))
                return TM_ECRYPTO;
        client[r] = cpu_us() - before;
        if (read(report, &server[r], sizeof server[r]) != (ssize_t)sizeof server[r])
            return TM_EIO;
    }
    ret->server_us = median_us(server, ret->rounds, ret->handshakes);
    ret->client_us = median_us(client, ret->rounds, ret->handshakes);
    return TM_OK;
}

/* A listening socket on a port of the kernel's choice on the loopback. */
static int listen_on_loopback(void) {
    AUTO_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof any) != 0 || listen(fd, 128) != 0)
        return -1;
    return TAKE_FD(fd);
}

static enum tm_err measure(SSL_CTX *server, SSL_CTX *client, struct bench_floor_tls *ret) {
    AUTO_FD int listen_fd = listen_on_loopback();
    int report[2];
    int status = 0;
    if (listen_fd < 0 || pipe(report) != 0)
        return TM_EIO;
    pid_t pid = fork();
    if (pid == 0)
        serve(server, listen_fd, report[1], ret->handshakes, ret->rounds);
    (void)close(report[1]);
    enum tm_err err = pid > 0 ? drive(client, listen_fd, report[0], ret) : TM_EIO;
    (void)close(report[0]);
    if (pid > 0 && err != TM_OK)
        (void)kill(pid, SIGKILL);
    if (pid > 0 && waitpid(pid, &status, 0) == pid && err == TM_OK && status != 0)
        err = TM_EIO;
    return err;
}

enum tm_err bench_floor_tls(unsigned handshakes, unsigned rounds, int tls_version,
                            struct bench_floor_tls *ret) {
    struct hierarchy h = {0};
    struct bench_floor_tls result = {.handshakes = handshakes, .rounds = rounds};
    if (handshakes == 0 || rounds == 0 || rounds > ROUNDS_MAX)
        return TM_EINVAL;
    enum tm_err err = TM_ECRYPTO;
    if (hierarchy_make(&h)) {
        AUTO(SSL_CTX) server = context(&h, &h.server, true, tls_version);
        AUTO(SSL_CTX) client = context(&h, &h.device, false, tls_version);
        if (server && client)
            err = measure(server, client, &result);
    }
    hierarchy_free(&h);
    if (err == TM_OK)
        *ret = result;
    return err;
}
