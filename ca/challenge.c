/* SPDX-License-Identifier: Apache-2.0 */
/* Challenges: see ca/challenge.h. */
#include "ca/challenge.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#define BODY_SIZE 16 /* time and random */
#define MAC_SIZE (CA_CHALLENGE_SIZE - BODY_SIZE)

struct ca_challenger {
    uint8_t key[CA_HASH_SIZE];
};

enum tm_err ca_challenger_new(struct ca_challenger **ret) {
    struct ca_challenger *challenger = calloc(1, sizeof *challenger);
    if (!challenger)
        return TM_ENOMEM;
    if (RAND_priv_bytes(challenger->key, sizeof challenger->key) != 1) {
        free(challenger);
        return TM_ECRYPTO;
    }
    *ret = challenger;
    return TM_OK;
}

void ca_challenger_free(struct ca_challenger *challenger) {
    if (!challenger)
        return;
    bytes_wipe(challenger, sizeof *challenger);
    free(challenger);
}

/* Over tenant, device and the challenge's body; names hold no NUL, so the parts stay apart. */
static enum tm_err make_mac(const struct ca_challenger *challenger, const char *tenant,
                            const char *device, const uint8_t body[BODY_SIZE],
                            uint8_t ret[MAC_SIZE]) {
    uint8_t data[2 * (IPC_NAME_MAX + 1) + BODY_SIZE], mac[EVP_MAX_MD_SIZE];
    struct buf b = BUF_ON(data);
    unsigned n = 0;
    buf_put(&b, (struct bytes){(const uint8_t *)tenant, strlen(tenant) + 1});
    buf_put(&b, (struct bytes){(const uint8_t *)device, strlen(device) + 1});
    buf_put(&b, (struct bytes){body, BODY_SIZE});
    if (b.full || !HMAC(EVP_sha256(), challenger->key, sizeof challenger->key, b.p, b.n, mac, &n))
        return TM_ECRYPTO;
    memcpy(ret, mac, MAC_SIZE);
    return TM_OK;
}

enum tm_err ca_challenge_make(struct ca_challenger *challenger, const char *tenant,
                              const char *device, int64_t now_ms, uint8_t ret[CA_CHALLENGE_SIZE]) {
    uint8_t made[CA_CHALLENGE_SIZE];
    struct buf b = BUF_ON(made);
    buf_put_be(&b, (uint64_t)now_ms, 8);
    if (RAND_bytes(made + b.n, (int)(BODY_SIZE - b.n)) != 1)
        return TM_ECRYPTO;
    enum tm_err err = make_mac(challenger, tenant, device, made, made + BODY_SIZE);
    if (!err)
        memcpy(ret, made, sizeof made);
    return err;
}

enum tm_err ca_challenge_check(struct ca_challenger *challenger, const char *tenant,
                               const char *device, int64_t now_ms, struct bytes challenge,
                               int64_t *ret_made_ms) {
    uint8_t mac[MAC_SIZE];
    uint64_t made = 0;
    if (challenge.n != CA_CHALLENGE_SIZE)
        return TM_EDENIED;
    enum tm_err err = make_mac(challenger, tenant, device, challenge.p, mac);
    if (err)
        return err;
    if (CRYPTO_memcmp(mac, challenge.p + BODY_SIZE, MAC_SIZE) != 0)
        return TM_EDENIED;
    for (size_t i = 0; i < 8; i++)
        made = made << 8 | challenge.p[i];
    if ((int64_t)made > now_ms || now_ms - (int64_t)made > CA_CHALLENGE_MS)
        return TM_ETIMEOUT;
    *ret_made_ms = (int64_t)made;
    return TM_OK;
}
