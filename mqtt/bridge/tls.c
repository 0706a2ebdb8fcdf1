/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS to the broker: a context from PEM text, for MOSQ_OPT_SSL_CTX without libmosquitto's defaults.
 * Those would read files at each connection, and only they bring its own check of the name: so the
 * name is among what the chain's verification demands here.
 */
#include <arpa/inet.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "base/auto.h"
#include "base/log.h"
#include "mqtt/bridge/broker.h"

AUTO_DEFINE(BIO, BIO_free_all)
AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(SSL_CTX, SSL_CTX_free)
AUTO_DEFINE(X509, X509_free)

static enum tm_err refuse(char text[IPC_TEXT_MAX + 1], const char *sentence) {
    ERR_clear_error();
    (void)snprintf(text, IPC_TEXT_MAX + 1, "%s", sentence);
    return TM_EINVAL;
}

static BIO *open_text(struct bytes pem) {
    return pem.n <= INT_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
}

/* A key that is encrypted cannot be read: nobody is asked for a password. */
static int no_password(char *buf, int size, int writing, void *arg) {
    (void)buf;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static bool add_anchors(SSL_CTX *context, struct bytes pem) {
    AUTO(BIO) text = open_text(pem);
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    bool any = false, ok = text != NULL;
    while (ok) {
        AUTO(X509) anchor = PEM_read_bio_X509(text, NULL, no_password, NULL);
        if (!anchor)
            break;
        ok = X509_STORE_add_cert(store, anchor) == 1;
        any = true;
    }
    ERR_clear_error(); /* the end of the text */
    return ok && any;
}

static bool use_certificate(SSL_CTX *context, struct bytes pem) {
    AUTO(BIO) text = open_text(pem);
    AUTO(X509) leaf = text ? PEM_read_bio_X509(text, NULL, no_password, NULL) : NULL;
    bool ok = leaf && SSL_CTX_use_certificate(context, leaf) == 1;
    while (ok) {
        AUTO(X509) next = PEM_read_bio_X509(text, NULL, no_password, NULL);
        if (!next)
            break;
        ok = SSL_CTX_add1_chain_cert(context, next) == 1;
    }
    ERR_clear_error();
    return ok;
}

static bool use_key(SSL_CTX *context, struct bytes pem) {
    AUTO(BIO) text = open_text(pem);
    AUTO(EVP_PKEY) key = text ? PEM_read_bio_PrivateKey(text, NULL, no_password, NULL) : NULL;
    return key && SSL_CTX_use_PrivateKey(context, key) == 1 &&
           SSL_CTX_check_private_key(context) == 1;
}

/* RFC 9525: the name or address that was configured, in the subjectAltName. */
static bool demand_name(SSL_CTX *context, const char *name) {
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(context);
    uint8_t address[16];
    if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1;
}

/* libmosquitto's log says only that verification failed. */
static int say_why(int ok, X509_STORE_CTX *context) {
    if (!ok)
        log_warn("the broker's certificate is refused at depth %d: %s",
                 X509_STORE_CTX_get_error_depth(context),
                 X509_verify_cert_error_string(X509_STORE_CTX_get_error(context)));
    return ok;
}

/* libmosquitto is given an address and would say that instead of the name (RFC 6066, 3). */
static void say_host(const SSL *ssl, int where, int result) {
    const char *host = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    uint8_t address[16];
    (void)result;
    if (!(where & SSL_CB_HANDSHAKE_START) || !host)
        return;
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        host = NULL;
    (void)SSL_set_tlsext_host_name((SSL *)(uintptr_t)ssl, host);
}

void mqtt_tls_host(SSL_CTX *context, const char *host) {
    (void)SSL_CTX_set_app_data(context, (void *)(uintptr_t)host);
    SSL_CTX_set_info_callback(context, say_host);
}

static SSL_CTX *new_context(void) {
    AUTO(SSL_CTX) context = SSL_CTX_new(TLS_client_method());
    if (!context || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
        return NULL;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, say_why);
    return TAKE(context);
}

enum tm_err mqtt_tls_new(const struct mqtt_bridge_config *config, SSL_CTX **ret,
                         char text[IPC_TEXT_MAX + 1]) {
    if (!config->tls_anchors.n) {
        *ret = NULL;
        return config->tls_certificate.n || config->tls_key.n
                   ? refuse(text, "TLS to the broker needs the broker's CA")
                   : TM_OK;
    }
    AUTO(SSL_CTX) context = new_context();
    if (!context)
        return TM_ENOMEM;
    if (!add_anchors(context, config->tls_anchors))
        return refuse(text, "the CAs of the broker cannot be read");
    if (!config->tls_certificate.n != !config->tls_key.n)
        return refuse(text, "a certificate for the broker needs a key, and a key a certificate");
    if (config->tls_key.n && !use_certificate(context, config->tls_certificate))
        return refuse(text, "the certificate for the broker cannot be read");
    if (config->tls_key.n && !use_key(context, config->tls_key))
        return refuse(text, "the key for the broker cannot be read or is not the certificate's");
    if (!demand_name(context, config->tls_name ? config->tls_name : config->host))
        return refuse(text, "the broker's name cannot be checked");
    *ret = TAKE(context);
    return TM_OK;
}
