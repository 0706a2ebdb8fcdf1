/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing for the store: see ca/wrap.h. */
#include "ca/wrap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/file.h"

#define KEY_SIZE 32
#define NONCE_SIZE 12
#define TAG_SIZE 16
#define VALUE_SIZE 32
_Static_assert(NONCE_SIZE + TAG_SIZE == CA_WRAP_OVERHEAD, "ca/wrap.h says otherwise");
_Static_assert(VALUE_SIZE + CA_WRAP_OVERHEAD == CA_PROOF_SIZE, "ca/types.h says otherwise");

AUTO_DEFINE(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)

struct ca_wrap {
    uint8_t key[KEY_SIZE];
};

/* ---- the key file ---- */

static enum tm_err read_key(int fd, const char *path, uint8_t key[KEY_SIZE],
                            char text[IPC_TEXT_MAX + 1]) {
    struct stat st;
    uint8_t data[KEY_SIZE + 1];
    if (fstat(fd, &st) != 0) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "%.200s: %s", path, strerror(errno));
        return TM_EIO;
    }
    if (st.st_mode & (S_IRWXG | S_IRWXO)) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "%.160s is open to others: its mode must be 0600",
                       path);
        return TM_EDENIED;
    }
    ssize_t n = read(fd, data, sizeof data);
    if (n == KEY_SIZE)
        memcpy(key, data, KEY_SIZE);
    bytes_wipe(data, sizeof data);
    if (n == KEY_SIZE)
        return TM_OK;
    (void)snprintf(text, IPC_TEXT_MAX + 1, "%.160s is no key: it must be exactly %d octets", path,
                   KEY_SIZE);
    return n < 0 ? TM_EIO : TM_EPARSE;
}

static enum tm_err make_key(const char *path, uint8_t key[KEY_SIZE], char text[IPC_TEXT_MAX + 1]) {
    if (RAND_priv_bytes(key, KEY_SIZE) == 1 &&
        !file_replace(path, (struct bytes){key, KEY_SIZE}, 0600))
        return TM_OK;
    (void)snprintf(text, IPC_TEXT_MAX + 1, "%.160s cannot be made: %s", path, strerror(errno));
    return TM_EIO;
}

enum tm_err ca_wrap_open(const char *path, struct ca_wrap **ret, char text[IPC_TEXT_MAX + 1]) {
    struct ca_wrap *wrap = calloc(1, sizeof *wrap);
    if (!wrap) {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "no memory");
        return TM_ENOMEM;
    }
    AUTO_FD int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    enum tm_err err;
    if (fd >= 0)
        err = read_key(fd, path, wrap->key, text);
    else if (errno == ENOENT)
        err = make_key(path, wrap->key, text);
    else {
        (void)snprintf(text, IPC_TEXT_MAX + 1, "%.200s: %s", path, strerror(errno));
        err = TM_EIO;
    }
    if (err)
        ca_wrap_free(wrap);
    else
        *ret = wrap;
    return err;
}

void ca_wrap_free(struct ca_wrap *wrap) {
    if (!wrap)
        return;
    bytes_wipe(wrap, sizeof *wrap);
    free(wrap);
}

/* ---- sealing ---- */

static bool bind(EVP_CIPHER_CTX *ctx, const struct bytes *bound, size_t count) {
    int n;
    for (size_t i = 0; i < count; i++)
        if (EVP_CipherUpdate(ctx, NULL, &n, bound[i].p, (int)bound[i].n) != 1)
            return false;
    return true;
}

enum tm_err ca_wrap_seal_octets(struct ca_wrap *wrap, const struct bytes *bound, size_t count,
                                struct bytes value, struct buf *out) {
    AUTO(EVP_CIPHER_CTX) ctx = EVP_CIPHER_CTX_new();
    int n = 0, rest = 0;
    if (out->full || value.n > INT_MAX || out->cap - out->n < CA_WRAP_OVERHEAD ||
        out->cap - out->n - CA_WRAP_OVERHEAD < value.n)
        return TM_ELIMIT;
    uint8_t *nonce = out->p + out->n, *text = nonce + NONCE_SIZE;
    bool good =
        ctx && RAND_bytes(nonce, NONCE_SIZE) == 1 &&
        EVP_EncryptInit_ex2(ctx, EVP_aes_256_gcm(), wrap->key, nonce, NULL) == 1 &&
        bind(ctx, bound, count) && EVP_EncryptUpdate(ctx, text, &n, value.p, (int)value.n) == 1 &&
        (size_t)n == value.n && EVP_EncryptFinal_ex(ctx, text + n, &rest) == 1 && rest == 0 &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, text + n) == 1;
    if (!good)
        return TM_ECRYPTO;
    out->n += value.n + CA_WRAP_OVERHEAD;
    return TM_OK;
}

enum tm_err ca_wrap_unseal_octets(struct ca_wrap *wrap, const struct bytes *bound, size_t count,
                                  struct bytes sealed, struct buf *out) {
    AUTO(EVP_CIPHER_CTX) ctx = EVP_CIPHER_CTX_new();
    int n = 0, rest = 0;
    if (sealed.n < CA_WRAP_OVERHEAD || sealed.n > INT_MAX)
        return TM_ECRYPTO;
    size_t size = sealed.n - CA_WRAP_OVERHEAD;
    if (out->full || out->cap - out->n < size)
        return TM_ELIMIT;
    uint8_t tag[TAG_SIZE], *value = out->p + out->n;
    memcpy(tag, sealed.p + NONCE_SIZE + size, TAG_SIZE);
    bool good =
        ctx && EVP_DecryptInit_ex2(ctx, EVP_aes_256_gcm(), wrap->key, sealed.p, NULL) == 1 &&
        bind(ctx, bound, count) &&
        EVP_DecryptUpdate(ctx, value, &n, sealed.p + NONCE_SIZE, (int)size) == 1 &&
        (size_t)n == size && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag) == 1 &&
        EVP_DecryptFinal_ex(ctx, value + n, &rest) == 1 && rest == 0;
    if (!good) {
        bytes_wipe(value, size);
        return TM_ECRYPTO;
    }
    out->n += size;
    return TM_OK;
}

static struct bytes name_of(const char *name) {
    return (struct bytes){(const uint8_t *)name, strlen(name) + 1};
}

enum tm_err ca_wrap_seal(struct ca_wrap *wrap, const char *tenant, const char *device,
                         const uint8_t salt[16], const uint8_t key[32],
                         uint8_t ret[CA_PROOF_SIZE]) {
    const struct bytes bound[] = {name_of(tenant), name_of(device), {salt, 16}};
    uint8_t sealed[CA_PROOF_SIZE];
    struct buf out = BUF_ON(sealed);
    enum tm_err err = ca_wrap_seal_octets(wrap, bound, 3, (struct bytes){key, VALUE_SIZE}, &out);
    if (!err)
        memcpy(ret, sealed, sizeof sealed);
    return err;
}

enum tm_err ca_wrap_unseal(struct ca_wrap *wrap, const char *tenant, const char *device,
                           const uint8_t salt[16], const uint8_t proof[CA_PROOF_SIZE],
                           uint8_t ret[32]) {
    const struct bytes bound[] = {name_of(tenant), name_of(device), {salt, 16}};
    uint8_t value[VALUE_SIZE];
    struct buf out = BUF_ON(value);
    enum tm_err err =
        ca_wrap_unseal_octets(wrap, bound, 3, (struct bytes){proof, CA_PROOF_SIZE}, &out);
    if (!err)
        memcpy(ret, value, sizeof value);
    bytes_wipe(value, sizeof value);
    return err;
}
