/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floors that no server on these libraries can go below, measured in this process and
 * its children in the same run as the load: the bare OpenSSL mutual handshake, its rate and its
 * CPU on the server's side, the bare signatures, and signatures per second of the bare PKCS#11
 * token. Not thread-safe.
 */
#ifndef TOUCHMARK_BENCH_FLOOR_H
#define TOUCHMARK_BENCH_FLOOR_H

#include "bench/est_client.h"

struct bench_floor_tls {
    double per_second; /* handshakes, clients and servers together on all cores */
    double server_us;  /* CPU of the server's side per handshake */
    double client_us;  /* the same of the client's side */
};
/* One server process per core serves TLS with OpenSSL as it comes (P-256 leaf, intermediate and
 * root, client certificate demanded, path building by OpenSSL, no tickets, X25519); twice as
 * many clients connect, shake hands and leave, for `seconds`. tls_version as in
 * bench_client_config. TM_ECRYPTO, TM_EIO. */
MUST_USE enum tm_err bench_floor_tls(unsigned seconds, int tls_version,
                                     struct bench_floor_tls *ret);

struct bench_floor_ecdsa {
    double sign_us; /* CPU of one P-256 signature with SHA-256 by OpenSSL, in memory */
    double verify_us;
};
/* On one core, `seconds` each. TM_ECRYPTO. */
MUST_USE enum tm_err bench_floor_ecdsa(unsigned seconds, struct bench_floor_ecdsa *ret);

struct bench_floor_hsm_config {
    const char *module;
    const char *token;
    const char *key_label;
    const char *pin_file;
    unsigned seconds;
};
/* C_SignInit and C_Sign (CKM_ECDSA over 32 octets) on one session. TM_ENOTFOUND with a
 * sentence: no such module, token or key; TM_EDENIED: PIN; TM_ETOKEN. */
MUST_USE enum tm_err bench_floor_hsm(const struct bench_floor_hsm_config *config,
                                     double *ret_per_second, char text[BENCH_TEXT_MAX]);

#endif
