/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that this folder needs of OpenSSL: SHA-256, Ed25519 (RFC 8032) and base64 (RFC 4648, 4).
 * Thread-safe.
 */
#ifndef TOUCHMARK_AUDIT_CRYPTO_H
#define TOUCHMARK_AUDIT_CRYPTO_H

#include "base/bytes.h"

#define AUDIT_HASH_SIZE 32 /* SHA-256 */
#define AUDIT_ED25519_PUBLIC_SIZE 32
#define AUDIT_ED25519_SEED_SIZE 32
#define AUDIT_ED25519_SIZE 64

struct audit_hash {
    uint8_t octets[AUDIT_HASH_SIZE];
};

bool audit_hash_equal(const struct audit_hash *a, const struct audit_hash *b);

/* The hash of the parts one after the other. TM_ECRYPTO. */
MUST_USE enum tm_err audit_sha256(const struct bytes *parts, size_t count, struct audit_hash *ret);

/* TM_EPARSE: no public key; TM_ECRYPTO: the signature is not one of the message by this key. */
MUST_USE enum tm_err audit_ed25519_verify(const uint8_t public_key[AUDIT_ED25519_PUBLIC_SIZE],
                                          struct bytes message,
                                          const uint8_t signature[AUDIT_ED25519_SIZE]);
/* With the private key's seed, as RFC 8032, 5.1.5 has it. TM_ECRYPTO. */
MUST_USE enum tm_err audit_ed25519_sign(const uint8_t seed[AUDIT_ED25519_SEED_SIZE],
                                        struct bytes message, uint8_t ret[AUDIT_ED25519_SIZE]);
MUST_USE enum tm_err audit_ed25519_public(const uint8_t seed[AUDIT_ED25519_SEED_SIZE],
                                          uint8_t ret[AUDIT_ED25519_PUBLIC_SIZE]);

/* Appends the padded text, on one line. TM_ELIMIT. */
MUST_USE enum tm_err audit_base64_put(struct buf *out, struct bytes data);
/* Appends what the text stands for. There is one text for each data: neither other characters nor
 * missing padding nor stray bits pass. TM_EPARSE; TM_ELIMIT. */
MUST_USE enum tm_err audit_base64_read(struct bytes text, struct buf *out);

#endif
