/* SPDX-License-Identifier: Apache-2.0 */
/* See ca/x509.h. */
#include "ca/x509.h"

#include <openssl/x509v3.h>

#include "base/auto.h"

AUTO_DEFINE(X509_STORE, X509_STORE_free)
AUTO_DEFINE(X509_STORE_CTX, X509_STORE_CTX_free)
typedef STACK_OF(X509) x509_list; /* of certificates that are somebody else's */
AUTO_DEFINE(x509_list, sk_X509_free)

X509 *ca_x509_read(struct bytes der) {
    const unsigned char *at = der.p;
    X509 *certificate = d2i_X509(NULL, &at, (long)der.n);
    if (certificate && at == der.p + der.n)
        return certificate;
    X509_free(certificate);
    return NULL;
}

int ca_x509_verify(X509 *certificate, X509 *between, X509 *root, int purpose) {
    AUTO(X509_STORE) store = X509_STORE_new();
    AUTO(X509_STORE_CTX) ctx = X509_STORE_CTX_new();
    AUTO(x509_list) untrusted = sk_X509_new_null();
    if (!store || !ctx || !untrusted || X509_STORE_add_cert(store, root) != 1 ||
        (between && !sk_X509_push(untrusted, between)) ||
        X509_STORE_CTX_init(ctx, store, certificate, untrusted) != 1 ||
        (purpose && X509_STORE_CTX_set_purpose(ctx, purpose) != 1))
        return X509_V_ERR_OUT_OF_MEM;
    X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
    return X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
}
