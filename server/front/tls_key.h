/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TLS server's key when it is on a token: OpenSSL gets a key like any other, whose signatures
 * are made by a function. What that function is given is the content that is signed, not its
 * digest, so that whoever signs can see what it is.
 */
#ifndef TOUCHMARK_SERVER_FRONT_TLS_KEY_H
#define TOUCHMARK_SERVER_FRONT_TLS_KEY_H

#include <openssl/evp.h>

#include "base/bytes.h"

struct front_tls_signer {
    /* Appends the signature (ECDSA: DER) over `content` to out. */
    enum tm_err (*sign)(void *arg, struct bytes content, struct buf *out);
    void *arg;
};

struct front_tls_key {
    EVP_PKEY *key;
    OSSL_LIB_CTX *context;
    OSSL_PROVIDER *provider;
};

/* The private half of `public` (P-256 or P-384), as `signer`, which must outlive it. TM_EINVAL,
 * TM_ECRYPTO, logged. */
MUST_USE enum tm_err front_tls_key_open(EVP_PKEY *public, const struct front_tls_signer *signer,
                                        struct front_tls_key *ret_key);
/* Safe on a zeroed one; after all that uses the key. */
void front_tls_key_close(struct front_tls_key *key);

#endif
