/* SPDX-License-Identifier: Apache-2.0 */
/* Between tls.c (the server) and tls_stream.c (its connections). */
#ifndef TOUCHMARK_SERVER_FRONT_TLS_INTERNAL_H
#define TOUCHMARK_SERVER_FRONT_TLS_INTERNAL_H

#include <openssl/provider.h>
#include <openssl/ssl.h>

#include "server/front/tls.h"

/* Room for a handshake flight with a long chain, or a full record, ticket and alert. */
#define TLS_OUT_MAX 65536

struct front_tls_library {
    OSSL_LIB_CTX *context; /* NULL = OpenSSL's default */
    OSSL_PROVIDER *provider;
};

struct front_tls {
    struct front_tls_library library;
    SSL_CTX *ctx;
    BIO_METHOD *bio;
    /* What the stream now at work has produced since its last flush. Streams share it, as each
     * entry into one ends with a flush; what the kernel does not take is copied to the stream. */
    uint8_t out[TLS_OUT_MAX];
    size_t out_n;
};

/* The library context for TLS: see tls_library.c. One per process. TM_ENOMEM, TM_ECRYPTO (logged).
 */
MUST_USE enum tm_err front_tls_library_open(struct front_tls_library *ret_library);
void front_tls_library_close(struct front_tls_library *library); /* safe on a zeroed one */

/* A BIO that reads from the stream's socket and writes to front_tls.out. TM_ENOMEM. */
MUST_USE enum tm_err front_tls_bio_method(BIO_METHOD **ret_method);

#endif
