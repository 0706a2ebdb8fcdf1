/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/hash.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct ca_hasher {
    EVP_MD *sha256;
    EVP_MD_CTX *ctx;
};

enum tm_err ca_hasher_new(struct ca_hasher **ret_hasher) {
    struct ca_hasher *h = calloc(1, sizeof *h);
    if (!h)
        return TM_ENOMEM;
    h->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    h->ctx = EVP_MD_CTX_new();
    if (!h->sha256 || !h->ctx) {
        ca_hasher_free(h);
        return TM_ECRYPTO;
    }
    *ret_hasher = h;
    return TM_OK;
}

void ca_hasher_free(struct ca_hasher *hasher) {
    if (!hasher)
        return;
    EVP_MD_CTX_free(hasher->ctx);
    EVP_MD_free(hasher->sha256);
    free(hasher);
}

enum tm_err ca_hash(struct ca_hasher *hasher, const struct bytes *parts, size_t count,
                    uint8_t ret[32]) {
    if (!EVP_DigestInit_ex2(hasher->ctx, hasher->sha256, NULL))
        return TM_ECRYPTO;
    for (size_t i = 0; i < count; i++)
        if (parts[i].n && !EVP_DigestUpdate(hasher->ctx, parts[i].p, parts[i].n))
            return TM_ECRYPTO;
    return EVP_DigestFinal_ex(hasher->ctx, ret, NULL) ? TM_OK : TM_ECRYPTO;
}
