/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cryptography by mbedTLS (2.28 or 3.x), for devices without OpenSSL: SHA-256, and signatures by
 * ECDSA on P-256 and P-384 and, where mbedTLS was built with it, RSA PKCS#1 v1.5 of 2048 to 4096
 * bits, over SHA-256, SHA-384 and SHA-512. mbedTLS takes memory from its own mbedtls_calloc.
 */
#ifndef TOUCHMARK_CLIENT_PORT_MBEDTLS_H
#define TOUCHMARK_CLIENT_PORT_MBEDTLS_H

#include "client/tables.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The device's random numbers: 0, or negative on failure, as mbedTLS wants it. */
struct tm_mbedtls {
    int (*random)(void *arg, unsigned char *ret, size_t n);
    void *random_arg;
};

/* The table lives as long as *mbedtls. One thread at a time. */
struct tm_crypto tm_mbedtls_crypto(struct tm_mbedtls *mbedtls);

#ifdef __cplusplus
}
#endif
#endif
