/* SPDX-License-Identifier: Apache-2.0 */
/* Proof of the one-time secret (RFC 5272, 6.2.1), with SHA-256 as the one function it is made of:
 * struct tm_crypto has no HMAC (RFC 2104). */
#include "client/cmc_internal.h"

#include <string.h>

#define CREDENTIAL_MAX 256 /* octets of TM_ITEM_BOOTSTRAP */
#define BLOCK_SIZE 64      /* octets of SHA-256's input block */

/* One of HMAC's two hashes: of the key, padded with `pad`, and the message. */
static enum tm_err padded_hash(const struct tm_crypto *crypto, const uint8_t key[TM_SHA256_SIZE],
                               uint8_t pad, struct bytes message, uint8_t ret[TM_SHA256_SIZE]) {
    uint8_t block[BLOCK_SIZE];
    memset(block, pad, sizeof block);
    for (size_t i = 0; i < TM_SHA256_SIZE; i++)
        block[i] ^= key[i];
    const struct bytes parts[] = {BYTES_OF(block), message};
    enum tm_err err = crypto->sha256(crypto->self, parts, 2, ret);
    bytes_wipe(block, sizeof block);
    return err;
}

static enum tm_err hmac(const struct tm_crypto *crypto, const uint8_t key[TM_SHA256_SIZE],
                        struct bytes message, uint8_t ret[TM_SHA256_SIZE]) {
    uint8_t inner[TM_SHA256_SIZE];
    enum tm_err err = padded_hash(crypto, key, 0x36, message, inner);
    if (!err)
        err = padded_hash(crypto, key, 0x5c, BYTES_OF(inner), ret);
    return err;
}

/* The password behind "user NUL". Borrowed. */
static enum tm_err password_of(struct bytes credential, struct bytes *ret) {
    const uint8_t *end = credential.n ? memchr(credential.p, '\0', credential.n) : NULL;
    if (!end || end + 1 == credential.p + credential.n)
        return TM_ECORRUPT;
    *ret = (struct bytes){end + 1, (size_t)(credential.p + credential.n - (end + 1))};
    return TM_OK;
}

static enum tm_err make_key(const struct tm_cmc *cmc, uint8_t ret[TM_SHA256_SIZE]) {
    const struct tm_storage *storage = cmc->config.storage;
    const struct tm_crypto *crypto = cmc->config.crypto;
    uint8_t octets[CREDENTIAL_MAX];
    struct buf credential = BUF_ON(octets);
    struct bytes parts[2] = {{0}, bytes_str(cmc->config.device_id)};
    enum tm_err err = storage->read(storage->self, TM_ITEM_BOOTSTRAP, &credential);
    if (!err)
        err = password_of(buf_bytes(&credential), &parts[0]);
    if (!err)
        err = crypto->sha256(crypto->self, parts, 2, ret);
    bytes_wipe(octets, sizeof octets);
    return err;
}

enum tm_err tm_cmc_witness(const struct tm_cmc *cmc, struct bytes req_sequence,
                           uint8_t ret[TM_SHA256_SIZE]) {
    uint8_t key[TM_SHA256_SIZE];
    enum tm_err err = make_key(cmc, key);
    if (!err)
        err = hmac(cmc->config.crypto, key, req_sequence, ret);
    bytes_wipe(key, sizeof key);
    return err;
}
