/* SPDX-License-Identifier: Apache-2.0 */
/* Officers with keys of their own in PEM files, who sign. Included once per test program. */
#ifndef TOUCHMARK_TESTS_OFFICER_FIXTURE_H
#define TOUCHMARK_TESTS_OFFICER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka needs the above before it. */
#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ca/officer.h"

/* What its PEM file holds. */
enum file_kind { PUBLIC_FILE, PRIVATE_FILE };

/* "P-256", "ED25519", "RSA:2048" ... */
static EVP_PKEY *make_key(const char *kind) {
    EVP_PKEY *key = NULL;
    if (strncmp(kind, "RSA:", 4) == 0)
        key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)atoi(kind + 4));
    else if (strncmp(kind, "P-", 2) == 0)
        key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);
    else
        key = EVP_PKEY_Q_keygen(NULL, NULL, kind);
    assert_non_null(key);
    return key;
}

/* Loads the key by way of a file, as the core does. */
static enum tm_err load_key(struct ca_officer *officer, EVP_PKEY *key, enum file_kind kind,
                            char text[IPC_TEXT_MAX + 1]) {
    char path[] = "/tmp/touchmark-officer-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_non_null(file);
    int wrote = kind == PUBLIC_FILE ? PEM_write_PUBKEY(file, key)
                                    : PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    assert_int_equal(wrote, 1);
    assert_int_equal(fclose(file), 0);
    enum tm_err err = ca_officer_load_key(officer, path, text);
    assert_int_equal(unlink(path), 0);
    return err;
}

/* digest: NULL where the signature has its own. Returns its length. */
static size_t sign_with(EVP_PKEY *key, const char *digest, struct bytes message,
                        uint8_t ret[CA_HASH_SIZE * 32]) {
    size_t n = CA_HASH_SIZE * 32;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_non_null(ctx);
    assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, digest, NULL, NULL, key, NULL), 1);
    assert_int_equal(EVP_DigestSign(ctx, ret, &n, message.p, message.n), 1);
    EVP_MD_CTX_free(ctx);
    return n;
}

#endif
