/* SPDX-License-Identifier: Apache-2.0 */
/* The server's side of TLS: its context with certificate, sessions and limits. */
#include "server/front/tls_internal.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <time.h>

#include "base/auto.h"
#include "base/log.h"

typedef struct front_tls front_tls;
AUTO_DEFINE(front_tls, front_tls_close)
AUTO_DEFINE(BIO, BIO_free_all)
AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)

/* AES-128 first: its SHA-256 is what CPUs have instructions for. */
#define SUITES_TLS13 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define SUITES_TLS12 "ECDHE+AESGCM:ECDHE+CHACHA20"

const char *front_tls_reason(void) {
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason ? reason : "unknown reason";
}

/* What the peer's certificate is worth is the core's to say; CertificateVerify has shown by now or
 * will show that the peer has its key (RFC 8446, 4.4.3). */
static int leave_path_to_core(X509_STORE_CTX *store, void *arg) {
    (void)arg;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

/* A key that needs a passphrase is refused; nobody is there to type it. */
static int no_passphrase(char *buf, int size, int writing, void *arg) {
    (void)buf;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static void set_protocol(SSL_CTX *ctx) {
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                 SSL_OP_CLEANSE_PLAINTEXT);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_security_level(ctx, 2);
    SSL_CTX_set_max_cert_list(ctx, IPC_CERT_MAX + IPC_CHAIN_MAX);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, leave_path_to_core, NULL);
    /* The ticket is written with the first response instead: see front_tls_write. */
    SSL_CTX_set_num_tickets(ctx, 0);
}

/* Sessions are bounded by their number, the least used goes first; OpenSSL 3.0 would walk the whole
 * cache every 255 handshakes to find expired ones. */
static void set_sessions(SSL_CTX *ctx, const struct conf_listen *listen) {
    static const unsigned char context[] = "touchmark";
    if (listen->session_cache == 0) { /* 0 would mean "no bound" to OpenSSL */
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
        return;
    }
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_AUTO_CLEAR);
    SSL_CTX_sess_set_cache_size(ctx, (long)listen->session_cache);
    SSL_CTX_set_timeout(ctx, (long)(listen->session_lifetime / 1000));
    SSL_CTX_set_session_id_context(ctx, context, sizeof context - 1);
}

static enum tm_err refuse(const char *what, const char *value) {
    log_error("TLS: %s %s: %s", what, value, front_tls_reason());
    ERR_clear_error();
    return TM_EINVAL;
}

static enum tm_err set_algorithms(SSL_CTX *ctx, const struct conf_tls *tls) {
    if (!SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) ||
        !SSL_CTX_set_cipher_list(ctx, SUITES_TLS12) || !SSL_CTX_set_ciphersuites(ctx, SUITES_TLS13))
        return refuse("cannot set", "cipher suites");
    if (SSL_CTX_set1_groups_list(ctx, tls->groups) != 1)
        return refuse("this OpenSSL does not take the groups", tls->groups);
    return TM_OK;
}

/* With the default library context, which can read every kind of key file. */
static EVP_PKEY *read_key(const char *path) {
    AUTO(BIO) file = BIO_new_file(path, "r");
    return file ? PEM_read_bio_PrivateKey(file, NULL, no_passphrase, NULL) : NULL;
}

/* What the token signs has to show what it is, and only TLS 1.3 does (RFC 8446, 4.4.3). */
static enum tm_err take_token_key(struct front_tls *server, const struct conf_tls *tls) {
    SSL_CTX *ctx = server->ctx;
    enum tm_err err = front_tls_sign_open(server, X509_get0_pubkey(SSL_CTX_get0_certificate(ctx)));
    if (err)
        return err;
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_use_PrivateKey(ctx, server->token.key) != 1 || SSL_CTX_check_private_key(ctx) != 1)
        return refuse("cannot use the token's key", tls->key_label);
    return TM_OK;
}

static enum tm_err load_identity(struct front_tls *server, const struct conf_tls *tls) {
    SSL_CTX *ctx = server->ctx;
    if (SSL_CTX_use_certificate_chain_file(ctx, tls->certificate) != 1)
        return refuse("cannot use the certificate", tls->certificate);
    if (tls->key_label)
        return take_token_key(server, tls);
    AUTO(EVP_PKEY) key = read_key(tls->key);
    if (!key)
        return refuse("cannot read the key", tls->key);
    if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1)
        return refuse("the certificate does not belong to the key", tls->key);
    return TM_OK;
}

static enum tm_err make_context(struct front_tls *server, const struct conf_tls *tls,
                                const struct conf_listen *listen) {
    server->ctx = SSL_CTX_new_ex(server->library.context, NULL, TLS_server_method());
    if (!server->ctx)
        return TM_ENOMEM;
    set_protocol(server->ctx);
    set_sessions(server->ctx, listen);
    enum tm_err err = set_algorithms(server->ctx, tls);
    return err ? err : load_identity(server, tls);
}

enum tm_err front_tls_open(const struct conf_tls *tls, const struct conf_listen *listen,
                           const struct front_tls_events *events, void *arg,
                           struct front_tls **ret_tls) {
    AUTO(front_tls) server = calloc(1, sizeof *server);
    if (!server)
        return TM_ENOMEM;
    server->events = events;
    server->arg = arg;
    enum tm_err err = front_tls_library_open(&server->library);
    if (!err)
        err = make_context(server, tls, listen);
    if (!err)
        err = front_tls_bio_method(&server->bio);
    if (err)
        return err;
    *ret_tls = TAKE(server);
    return TM_OK;
}

int64_t front_tls_not_after_ms(const struct front_tls *tls) {
    const X509 *certificate = SSL_CTX_get0_certificate(tls->ctx);
    struct tm tm;
    if (!certificate || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) != 1)
        return 0;
    return (int64_t)timegm(&tm) * 1000;
}

void front_tls_close(struct front_tls *tls) {
    if (!tls)
        return;
    SSL_CTX_free(tls->ctx);
    front_tls_sign_close(tls);
    BIO_meth_free(tls->bio);
    front_tls_library_close(&tls->library);
    bytes_wipe(tls->out, sizeof tls->out);
    free(tls);
}
