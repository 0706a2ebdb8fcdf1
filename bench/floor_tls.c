/* SPDX-License-Identifier: Apache-2.0 */
/* The bare handshake: what OpenSSL costs before any of our code runs. */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "base/auto.h"
#include "bench/cpu.h"
#include "bench/csr.h"
#include "bench/floor.h"

#define CORES_MAX 64
#define WARM_UP_MS 300

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

/* A listening socket on a port of the kernel's choice on the loopback. */
static int listen_on_loopback(void) {
    AUTO_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof any) != 0 || listen(fd, 128) != 0)
        return -1;
    return TAKE_FD(fd);
}

struct worker {
    pid_t pid;
    bool server;
};
struct crew {
    struct worker workers[3 * CORES_MAX];
    unsigned count;
    volatile uint64_t *done; /* shared memory: handshakes of each client, by its index */
};

static _Noreturn void serve(SSL_CTX *ctx, int listen_fd) {
    while (serve_one(ctx, listen_fd))
        ;
    _exit(1);
}

static _Noreturn void drive(SSL_CTX *ctx, int listen_fd, volatile uint64_t *done) {
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (getsockname(listen_fd, (struct sockaddr *)&address, &size) != 0)
        _exit(1);
    while (connect_one(ctx, &address, size))
        ++*done;
    _exit(1);
}

static enum tm_err start(struct crew *crew, bool server, SSL_CTX *ctx, int listen_fd) {
    struct worker *worker = &crew->workers[crew->count];
    worker->server = server;
    worker->pid = fork();
    if (worker->pid < 0)
        return TM_EIO;
    if (worker->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)signal(SIGPIPE, SIG_IGN);
        if (server)
            serve(ctx, listen_fd);
        drive(ctx, listen_fd, &crew->done[crew->count]);
    }
    crew->count++;
    return TM_OK;
}

/* One that has ended by itself met a failure, and the figures are not to be trusted. */
static bool all_alive(const struct crew *crew) {
    for (unsigned i = 0; i < crew->count; i++)
        if (waitpid(crew->workers[i].pid, NULL, WNOHANG) != 0)
            return false;
    return true;
}

static void end(const struct crew *crew) {
    for (unsigned i = 0; i < crew->count; i++)
        (void)kill(crew->workers[i].pid, SIGKILL);
    for (unsigned i = 0; i < crew->count; i++)
        (void)waitpid(crew->workers[i].pid, NULL, 0);
}

struct sample {
    double seconds;
    uint64_t done, server_ns, client_ns;
};

static struct sample take(const struct crew *crew) {
    struct timespec t;
    struct sample sample = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    sample.seconds = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
    for (unsigned i = 0; i < crew->count; i++) {
        uint64_t ns = bench_cpu_ns(crew->workers[i].pid);
        *(crew->workers[i].server ? &sample.server_ns : &sample.client_ns) += ns;
        sample.done += crew->done[i];
    }
    return sample;
}

static void wait_ms(long ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&t, NULL);
}

static enum tm_err measure(struct crew *crew, unsigned seconds, struct bench_floor_tls *ret) {
    wait_ms(WARM_UP_MS); /* first use of everything is not counted */
    struct sample from = take(crew);
    wait_ms(1000L * seconds);
    struct sample to = take(crew);
    double done = (double)(to.done - from.done);
    if (done < 1)
        return TM_ECRYPTO;
    ret->per_second = done / (to.seconds - from.seconds);
    ret->server_us = (double)(to.server_ns - from.server_ns) / 1000 / done;
    ret->client_us = (double)(to.client_ns - from.client_ns) / 1000 / done;
    return TM_OK;
}

static enum tm_err run(SSL_CTX *server, SSL_CTX *client, unsigned seconds,
                       struct bench_floor_tls *ret) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned servers = cores < 1 ? 1 : cores > CORES_MAX ? CORES_MAX : (unsigned)cores;
    struct crew crew = {.count = 0};
    size_t size = sizeof crew.workers / sizeof crew.workers[0] * sizeof *crew.done;
    AUTO_FD int listen_fd = listen_on_loopback();
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    enum tm_err err = listen_fd >= 0 && map != MAP_FAILED ? TM_OK : TM_EIO;
    crew.done = map;
    for (unsigned i = 0; err == TM_OK && i < 3 * servers; i++)
        err = i < servers ? start(&crew, true, server, listen_fd)
                          : start(&crew, false, client, listen_fd);
    if (err == TM_OK)
        err = measure(&crew, seconds, ret);
    if (err == TM_OK && !all_alive(&crew))
        err = TM_ECRYPTO;
    end(&crew);
    if (map != MAP_FAILED)
        (void)munmap(map, size);
    return err;
}

enum tm_err bench_floor_tls(unsigned seconds, int tls_version, struct bench_floor_tls *ret) {
    struct hierarchy h = {0};
    struct bench_floor_tls result = {0};
    enum tm_err err = TM_ECRYPTO;
    if (hierarchy_make(&h)) {
        AUTO(SSL_CTX) server = context(&h, &h.server, true, tls_version);
        AUTO(SSL_CTX) client = context(&h, &h.device, false, tls_version);
        if (server && client)
            err = run(server, client, seconds, &result);
    }
    hierarchy_free(&h);
    if (err == TM_OK)
        *ret = result;
    return err;
}
