/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PKCS#10 requests (RFC 2986) as a client makes them, with OpenSSL. Thread-safe.
 */
#ifndef TOUCHMARK_BENCH_CSR_H
#define TOUCHMARK_BENCH_CSR_H

#include <openssl/x509v3.h>

#include "base/bytes.h"

struct bench_csr {
    EVP_PKEY *key;
    const X509_NAME *subject; /* NULL = empty */
    const GENERAL_NAMES *san; /* NULL = no extension is asked for */
    struct bytes binding; /* channel binding; goes in base64 into challengePassword (RFC 7030, 3.5);
                             empty = none */
};
/* Appends the DER request, signed with SHA-256. TM_ECRYPTO, TM_ELIMIT. */
MUST_USE enum tm_err bench_csr_write(const struct bench_csr *wish, struct buf *out);

/* A name from "/serialNumber=T1/CN=Device 1". NULL when it is none. The caller frees. */
X509_NAME *bench_name_parse(const char *text);

/* A new P-256 key; NULL when OpenSSL fails. The caller frees. */
EVP_PKEY *bench_key_new(void);

#endif
