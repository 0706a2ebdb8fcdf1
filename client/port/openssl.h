/* SPDX-License-Identifier: Apache-2.0 */
/* Cryptography by OpenSSL, keys in files, and any key store's keys for OpenSSL's own use. */
#ifndef TOUCHMARK_CLIENT_PORT_OPENSSL_H
#define TOUCHMARK_CLIENT_PORT_OPENSSL_H

#include "client/tables.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A table without state; thread-safe. */
const struct tm_crypto *tm_openssl_crypto(void);

/*
 * P-256 keys as unencrypted PKCS#8 PEM files "key-<bank>.pem" (0600) in a folder, written like
 * those of client/port/files.h, which the folder may belong to: protection is the file system's.
 * Keys that others made may be put there; a file that group or others have any right to is refused
 * (TM_EDENIED), so is one that holds anything else (TM_ECORRUPT). A power cut leaves the old key or
 * the new one. One program at a time, which the lock of client/port/files.h sees to when it is
 * opened first; errors of open are those of tm_files_open but for that lock's.
 */
struct tm_key_files;
MUST_USE enum tm_err tm_key_files_open(const char *folder, struct tm_key_files **ret);
void tm_key_files_close(struct tm_key_files *keys); /* NULL-safe */
const struct tm_keys *tm_key_files_keys(struct tm_key_files *keys);

/* An EVP_PKEY (returned as such, the caller frees it with EVP_PKEY_free) whose signatures are made
 * by `keys`, for TLS client authentication with keys that no file holds. It must not outlive
 * `keys`. SHA-256, or longer digests, of which ECDSA on P-256 takes the first 256 bits. A signature
 * waits for a key store that says TM_EAGAIN, up to a minute. TM_ENOTFOUND: the bank is empty;
 * TM_EINVAL: another version of the table; TM_ECRYPTO: not a key on P-256.
 */
struct evp_pkey_st;
MUST_USE enum tm_err tm_openssl_key(const struct tm_keys *keys, unsigned bank,
                                    struct evp_pkey_st **ret);

#ifdef __cplusplus
}
#endif
#endif
