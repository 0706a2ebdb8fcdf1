/* SPDX-License-Identifier: Apache-2.0 */
/* Cryptography by mbedTLS (2.28 or later), for devices without OpenSSL. */
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
