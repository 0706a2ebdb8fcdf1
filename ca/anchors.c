/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/anchors.h"

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/auto.h"

#define CHAIN_CERTS_MAX 8 /* RFC 5280 sets no limit; no device chain is near it */

struct ca_anchors {
    X509_STORE *store;
};

AUTO_DEFINE(X509, X509_free)
AUTO_DEFINE(X509_STORE_CTX, X509_STORE_CTX_free)
typedef STACK_OF(X509) x509_stack;
static void x509_stack_free(x509_stack *stack) {
    sk_X509_pop_free(stack, X509_free);
}
AUTO_DEFINE(x509_stack, x509_stack_free)

/* Takes the next certificate off *in; NULL at the end or at what is none. */
static X509 *next_certificate(struct bytes *in) {
    const unsigned char *p = in->p;
    X509 *cert = in->n ? d2i_X509(NULL, &p, (long)in->n) : NULL;
    if (cert) {
        in->n -= (size_t)(p - in->p);
        in->p = p;
    }
    return cert;
}

static enum tm_err add_all(X509_STORE *store, struct bytes certificates) {
    while (certificates.n) {
        AUTO(X509) cert = next_certificate(&certificates);
        if (!cert)
            return TM_EPARSE;
        if (!X509_STORE_add_cert(store, cert))
            return TM_ENOMEM;
    }
    return TM_OK;
}

enum tm_err ca_anchors_new(struct bytes certificates, struct ca_anchors **ret_anchors) {
    struct ca_anchors *anchors = calloc(1, sizeof *anchors);
    if (!anchors || !(anchors->store = X509_STORE_new())) {
        ca_anchors_free(anchors);
        return TM_ENOMEM;
    }
    /* An anchor may be a maker's intermediate: that is all the trust the tenant wants to give. */
    (void)X509_STORE_set_flags(anchors->store, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_X509_STRICT);
    enum tm_err err = add_all(anchors->store, certificates);
    if (err) {
        ca_anchors_free(anchors);
        return err;
    }
    *ret_anchors = anchors;
    return TM_OK;
}

void ca_anchors_free(struct ca_anchors *anchors) {
    if (!anchors)
        return;
    X509_STORE_free(anchors->store);
    free(anchors);
}

static enum tm_err read_chain(struct bytes der, x509_stack *chain) {
    while (der.n) {
        AUTO(X509) cert = next_certificate(&der);
        if (!cert || sk_X509_num(chain) >= CHAIN_CERTS_MAX)
            return TM_EDENIED;
        if (!sk_X509_push(chain, cert))
            return TM_ENOMEM;
        (void)TAKE(cert);
    }
    return TM_OK;
}

static enum tm_err verify_result(X509_STORE_CTX *ctx) {
    if (X509_verify_cert(ctx) == 1)
        return TM_OK;
    switch (X509_STORE_CTX_get_error(ctx)) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return TM_ETIMEOUT;
    default:
        return TM_EDENIED;
    }
}

enum tm_err ca_anchors_verify(struct ca_anchors *anchors, struct bytes leaf, struct bytes chain,
                              int64_t now_ms) {
    AUTO(X509) cert = next_certificate(&leaf);
    AUTO(x509_stack) untrusted = sk_X509_new_null();
    AUTO(X509_STORE_CTX) ctx = X509_STORE_CTX_new();
    if (!untrusted || !ctx)
        return TM_ENOMEM;
    if (!cert || leaf.n)
        return TM_EDENIED;
    enum tm_err err = read_chain(chain, untrusted);
    if (err)
        return err;
    if (!X509_STORE_CTX_init(ctx, anchors->store, cert, untrusted))
        return TM_ENOMEM;
    (void)X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_CLIENT);
    X509_STORE_CTX_set_time(ctx, 0, (time_t)(now_ms / 1000));
    return verify_result(ctx);
}
