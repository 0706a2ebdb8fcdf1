/* SPDX-License-Identifier: Apache-2.0 */
/* TLS of the curl transport: whom to trust, what to show, and what a connection is bound by. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <string.h>

#include "base/auto.h"
#include "client/port/curl_internal.h"
#include "client/port/openssl.h"

AUTO_DEFINE(X509, X509_free)
AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(X509_STORE, X509_STORE_free)

typedef STACK_OF(X509) certificates;

static void free_certificates(certificates *stack) {
    sk_X509_pop_free(stack, X509_free);
}

AUTO_DEFINE(certificates, free_certificates)

/* Takes the next certificate of a DER run. NULL at its end, or where it is none. */
static X509 *next_certificate(struct bytes *rest) {
    const uint8_t *at = rest->p;
    if (rest->n == 0)
        return NULL;
    X509 *certificate = d2i_X509(NULL, &at, (long)rest->n);
    if (certificate)
        *rest = (struct bytes){at, rest->n - (size_t)(at - rest->p)};
    return certificate;
}

/* Only what signed itself is an anchor: a NewWithOld certificate (RFC 4210, 4.4), whose subject
 * and issuer are the same too, is not. */
static bool is_anchor(X509 *certificate) {
    return X509_self_signed(certificate, 1) == 1;
}

static bool add_anchors(X509_STORE *store, struct bytes set) {
    for (;;) {
        AUTO(X509) certificate = next_certificate(&set);
        if (!certificate)
            return set.n == 0;
        if (is_anchor(certificate) && X509_STORE_add_cert(store, certificate) != 1)
            return false;
    }
}

static bool push(certificates *stack, X509 *certificate) {
    return X509_add_cert(stack, certificate, X509_ADD_FLAG_UP_REF) == 1;
}

/* Appends what helps to build a path but is trusted for nothing. */
static bool add_others(certificates *stack, struct bytes set) {
    for (;;) {
        AUTO(X509) certificate = next_certificate(&set);
        if (!certificate)
            return set.n == 0;
        if (!is_anchor(certificate) && !push(stack, certificate))
            return false;
    }
}

static struct bytes anchors_of(const struct tm_curl *self) {
    return (struct bytes){self->identity.anchors, self->identity.anchors_n};
}

/* A server need not send intermediates that the device holds (RFC 7030, 4.1.3). */
static int verify_server(X509_STORE_CTX *store, void *arg) {
    struct tm_curl *self = arg;
    certificates *sent = X509_STORE_CTX_get0_untrusted(store);
    AUTO(certificates) all = sent ? X509_chain_up_ref(sent) : sk_X509_new_null();
    if (!all || !add_others(all, anchors_of(self))) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_OUT_OF_MEM);
        return 0;
    }
    X509_STORE_CTX_set0_untrusted(store, all);
    int ok = X509_verify_cert(store);
    X509_STORE_CTX_set0_untrusted(store, sent);
    if (ok != 1)
        self->seen.verify_error = X509_STORE_CTX_get_error(store);
    return ok == 1;
}

/* Alerts with which a server says that it does not take our certificate (RFC 8446, 6.2). */
static bool refuses_certificate(int alert) {
    switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_CERTIFICATE_REQUIRED:
        return true;
    default:
        return false;
    }
}

#define COMPRESSED_CERTIFICATE 25 /* RFC 8879, 4; OpenSSL 3.0 has no name for it */

static bool is_certificate(int type, const uint8_t *message, size_t n) {
    return type == SSL3_RT_HANDSHAKE && n > 0 &&
           (message[0] == SSL3_MT_CERTIFICATE || message[0] == COMPRESSED_CERTIFICATE);
}

/* An alert that came before our Certificate message does not speak of it; whoever stands in
 * between could have sent it. */
static void on_message(int sent, int version, int type, const void *octets, size_t n, SSL *ssl,
                       void *arg) {
    struct tm_curl *self = arg;
    const uint8_t *p = octets;
    (void)version;
    if (sent && is_certificate(type, p, n))
        self->seen.showed = true;
    if (!sent && type == SSL3_RT_ALERT && n == 2 && refuses_certificate(p[1]) &&
        (self->seen.showed || SSL_session_reused(ssl)))
        self->seen.refusal = p[1];
}

static bool trust(struct tm_curl *self, SSL_CTX *ctx) {
    AUTO(X509_STORE) store = X509_STORE_new();
    if (!store || !add_anchors(store, anchors_of(self)))
        return false;
    /* A store of our own: what curl put into its one may be shared, and trusts parts of paths. */
    SSL_CTX_set_cert_store(ctx, TAKE(store));
    SSL_CTX_set_cert_verify_callback(ctx, verify_server, self);
    return !self->config.without_time ||
           X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_NO_CHECK_TIME) == 1;
}

/* TM_EPARSE: the chain or its key can never be shown; what else the key store says may pass. */
static enum tm_err show(struct tm_curl *self, SSL_CTX *ctx) {
    struct bytes rest = {self->identity.chain, self->identity.chain_n};
    EVP_PKEY *made = NULL;
    AUTO(X509) leaf = next_certificate(&rest);
    AUTO(certificates) chain = sk_X509_new_null();
    if (!chain)
        return TM_ENOMEM;
    if (!leaf || !add_others(chain, rest))
        return TM_EPARSE;
    enum tm_err err = tm_openssl_key(self->config.keys, self->identity.key_bank, &made);
    if (err != TM_OK)
        return err == TM_ENOTFOUND ? TM_EPARSE : err;
    AUTO(EVP_PKEY) key = made;
    return SSL_CTX_use_cert_and_key(ctx, leaf, key, chain, 1) == 1 ? TM_OK : TM_EPARSE;
}

CURLcode tm_curl_context(CURL *easy, void *ctx, void *arg) {
    struct tm_curl *self = arg;
    (void)easy;
    SSL_CTX_set_msg_callback(ctx, on_message);
    SSL_CTX_set_msg_callback_arg(ctx, self);
    SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN);
    if (!trust(self, ctx))
        return CURLE_SSL_CACERT_BADFILE;
    if (self->identity.slot == TM_SLOT_NONE)
        return CURLE_OK;
    enum tm_err err = show(self, ctx);
    self->seen.unusable = err == TM_EPARSE;
    return err == TM_OK ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

/* RFC 9266, 2: label, a context of no octets (present, which TLS 1.2 tells apart from none: RFC
 * 5705, 4), 32 octets. */
static void tls_exporter(SSL *ssl, struct tm_curl_binding *ret) {
    static const char label[] = "EXPORTER-Channel-Binding";
    static const uint8_t context[1];
    if (SSL_export_keying_material(ssl, ret->octets, 32, label, sizeof label - 1, context, 0, 1) ==
        1)
        ret->n = 32;
}

/* RFC 5929, 3.1: the first Finished message, which is the client's in a full handshake. Without the
 * extended master secret two connections can share one (RFC 9266, 4). */
static void tls_unique(const SSL *ssl, struct tm_curl_binding *ret) {
    size_t n = SSL_session_reused(ssl) ? SSL_get_peer_finished(ssl, ret->octets, sizeof ret->octets)
                                       : SSL_get_finished(ssl, ret->octets, sizeof ret->octets);
    if (n <= sizeof ret->octets)
        ret->n = n;
}

static void bind_to(SSL *ssl, struct tm_curl_binding *ret) {
    *ret = (struct tm_curl_binding){.n = 0};
    if (SSL_version(ssl) != TLS1_2_VERSION)
        tls_exporter(ssl, ret);
    else if (SSL_get_extms_support(ssl) == 1)
        tls_unique(ssl, ret);
}

static bool same(const struct tm_curl_binding *a, const struct tm_curl_binding *b) {
    return a->n > 0 &&
           bytes_equal((struct bytes){a->octets, a->n}, (struct bytes){b->octets, b->n});
}

int tm_curl_before_request(void *arg, char *peer_address, char *own_address, int peer_port,
                           int own_port) {
    struct tm_curl *self = arg;
    struct curl_tlssessioninfo *tls = NULL;
    (void)peer_address, (void)own_address, (void)peer_port, (void)own_port;
    if (curl_easy_getinfo(self->easy, CURLINFO_TLS_SSL_PTR, &tls) != CURLE_OK || !tls ||
        tls->backend != CURLSSLBACKEND_OPENSSL || !tls->internals)
        return CURL_PREREQFUNC_ABORT;
    bind_to(tls->internals, &self->seen.binding);
    self->seen.moved = self->exchange->bound && !same(&self->seen.binding, &self->reported);
    return self->seen.moved ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}
