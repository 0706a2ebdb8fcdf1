/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the device library needs from its surroundings: a key store, a storage and some
 * cryptography, each as one small table of functions. The library calls them from within
 * tm_device_init, _step and _answer, on the caller's thread, never two at once for one device. It
 * has no memory, clock, socket or thread of its own.
 *
 * Every table begins with the version it was written for; a library that does not know it
 * refuses it with TM_EINVAL. Functions return enum tm_err; outputs are untouched on failure.
 */
#ifndef TOUCHMARK_CLIENT_TABLES_H
#define TOUCHMARK_CLIENT_TABLES_H

#include "base/bytes.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TM_TABLE_VERSION 1u
#define TM_SHA256_SIZE 32
#define TM_BANKS 4          /* of keys, and of certificate chains */
#define TM_BANK_IDEVID 0    /* key and chain of the IDevID; the others rotate */
#define TM_SPKI_MAX 91      /* octets of a SubjectPublicKeyInfo on P-256, uncompressed */
#define TM_SIGNATURE_MAX 72 /* octets of an ECDSA-Sig-Value on P-256 */
#define TM_CHAIN_MAX 4096   /* octets of a chain in storage */
#define TM_ANCHORS_MAX 5120 /* octets of the trust anchors and CA certificates in storage */
#define TM_JOURNAL_MAX 512  /* octets of one journal record */

/*
 * Private keys, by bank. They never leave the key store: the library sees public keys and
 * signatures. EC P-256 (secp256r1) with SHA-256.
 */
struct tm_keys {
    uint32_t version; /* TM_TABLE_VERSION */
    void *self;
    /* Makes a new key in the bank and replaces what was there; durable when it returns TM_OK. After
     * a power cut the bank may hold the old key, the new one or none. TM_EAGAIN: not done yet, ask
     * again. */
    enum tm_err (*generate)(void *self, unsigned bank);
    /* Appends the whole DER SubjectPublicKeyInfo. TM_ENOTFOUND: the bank is empty. */
    enum tm_err (*public_key)(void *self, unsigned bank, struct buf *out);
    /* Appends the signature as certificates carry it, an ECDSA-Sig-Value (RFC 3279, 2.2.3).
     * TM_EAGAIN: not done yet; the same call is made again later. */
    enum tm_err (*sign)(void *self, unsigned bank, const uint8_t digest[TM_SHA256_SIZE],
                        struct buf *out);
    /* TM_OK also when the bank is empty. */
    enum tm_err (*destroy)(void *self, unsigned bank);
};

/* ECDSA-Sig-Value (RFC 3279, 2.2.3) of two big endian integers, for key stores that give r and s.
 * Appends; TM_ELIMIT. */
MUST_USE enum tm_err tm_ecdsa_signature(struct bytes r, struct bytes s, struct buf *out);

/* What a device keeps, each under its number. */
enum tm_item {
    TM_ITEM_JOURNAL_A,
    TM_ITEM_JOURNAL_B,
    TM_ITEM_ANCHORS_0, /* certificates, DER one after the other; the self-signed are trust anchors
                        */
    TM_ITEM_ANCHORS_1,
    TM_ITEM_CHAIN_0, /* one per bank: the device's certificate, then CA certificates; DER */
    TM_ITEM_CHAIN_1,
    TM_ITEM_CHAIN_2,
    TM_ITEM_CHAIN_3,
    TM_ITEM_BOOTSTRAP, /* one-time credential, user NUL password. The library only erases it; the
                          transport reads it */
    TM_ITEM_COUNT
};

/*
 * Power-cut contract: when write or erase has returned TM_OK the change outlives a power cut. Cut
 * in between, the item may be old, new, absent or garbage; no other item may have changed. That is
 * all that is asked: neither atomic writes nor an order among items are needed.
 */
struct tm_storage {
    uint32_t version; /* TM_TABLE_VERSION */
    void *self;
    /* Appends the item to out. TM_ENOTFOUND; TM_ELIMIT: out is too small. */
    enum tm_err (*read)(void *self, enum tm_item item, struct buf *out);
    enum tm_err (*write)(void *self, enum tm_item item, struct bytes data);
    enum tm_err (*erase)(void *self, enum tm_item item); /* TM_OK also when it is not there */
};

struct tm_crypto {
    uint32_t version; /* TM_TABLE_VERSION */
    void *self;
    /* Of the parts as if they were one. */
    enum tm_err (*sha256)(void *self, const struct bytes *parts, size_t count,
                          uint8_t ret[TM_SHA256_SIZE]);
    /* Does `signature` over `message` verify with the key? `spki` and `algorithm` are a whole
     * SubjectPublicKeyInfo and AlgorithmIdentifier as in certificates. TM_ECRYPTO: no, or the
     * algorithm is not supported. */
    enum tm_err (*verify)(void *self, struct bytes spki, struct bytes algorithm,
                          struct bytes message, struct bytes signature);
    enum tm_err (*random)(void *self, uint8_t *ret, size_t n);
};

#ifdef __cplusplus
}
#endif
#endif
