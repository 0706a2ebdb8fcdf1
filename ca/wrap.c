/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing for the store: see ca/wrap.h. */
#include "ca/wrap.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"

#define KEY_SIZE 32
#define NONCE_SIZE 12
#define TAG_SIZE 16
#define VALUE_SIZE 32
_Static_assert(NONCE_SIZE + VALUE_SIZE + TAG_SIZE == CA_PROOF_SIZE, "ca/types.h says otherwise");

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

static bool sync_folder(const char *path) {
    AUTO_MEM char *copy = strdup(path);
    AUTO_FD int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    return fd >= 0 && fsync(fd) == 0;
}

/* A new key under a name of its own first: a cut leaves no half key at the path. */
static enum tm_err make_key(const char *path, uint8_t key[KEY_SIZE], char text[IPC_TEXT_MAX + 1]) {
    char temporary[4096];
    int n = snprintf(temporary, sizeof temporary, "%s.new", path);
    bool good = n > 0 && (size_t)n < sizeof temporary && RAND_priv_bytes(key, KEY_SIZE) == 1;
    AUTO_FD int fd =
        good ? open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600) : -1;
    good = fd >= 0 && write(fd, key, KEY_SIZE) == KEY_SIZE && fsync(fd) == 0 &&
           rename(temporary, path) == 0 && sync_folder(path);
    if (good)
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

static bool bind_names(EVP_CIPHER_CTX *ctx, const char *tenant, const char *device,
                       const uint8_t salt[16]) {
    int n;
    return EVP_CipherUpdate(ctx, NULL, &n, (const uint8_t *)tenant, (int)strlen(tenant) + 1) == 1 &&
           EVP_CipherUpdate(ctx, NULL, &n, (const uint8_t *)device, (int)strlen(device) + 1) == 1 &&
           EVP_CipherUpdate(ctx, NULL, &n, salt, 16) == 1;
}

enum tm_err ca_wrap_seal(struct ca_wrap *wrap, const char *tenant, const char *device,
                         const uint8_t salt[16], const uint8_t key[32],
                         uint8_t ret[CA_PROOF_SIZE]) {
    uint8_t sealed[CA_PROOF_SIZE];
    AUTO(EVP_CIPHER_CTX) ctx = EVP_CIPHER_CTX_new();
    int n = 0, rest = 0;
    bool good = ctx && RAND_bytes(sealed, NONCE_SIZE) == 1 &&
                EVP_EncryptInit_ex2(ctx, EVP_aes_256_gcm(), wrap->key, sealed, NULL) == 1 &&
                bind_names(ctx, tenant, device, salt) &&
                EVP_EncryptUpdate(ctx, sealed + NONCE_SIZE, &n, key, VALUE_SIZE) == 1 &&
                n == VALUE_SIZE && EVP_EncryptFinal_ex(ctx, sealed + NONCE_SIZE + n, &rest) == 1 &&
                rest == 0 &&
                EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE,
                                    sealed + NONCE_SIZE + VALUE_SIZE) == 1;
    if (!good)
        return TM_ECRYPTO;
    memcpy(ret, sealed, sizeof sealed);
    return TM_OK;
}

enum tm_err ca_wrap_unseal(struct ca_wrap *wrap, const char *tenant, const char *device,
                           const uint8_t salt[16], const uint8_t proof[CA_PROOF_SIZE],
                           uint8_t ret[32]) {
    uint8_t value[VALUE_SIZE], tag[TAG_SIZE];
    AUTO(EVP_CIPHER_CTX) ctx = EVP_CIPHER_CTX_new();
    int n = 0, rest = 0;
    memcpy(tag, proof + NONCE_SIZE + VALUE_SIZE, TAG_SIZE);
    bool good = ctx && EVP_DecryptInit_ex2(ctx, EVP_aes_256_gcm(), wrap->key, proof, NULL) == 1 &&
                bind_names(ctx, tenant, device, salt) &&
                EVP_DecryptUpdate(ctx, value, &n, proof + NONCE_SIZE, VALUE_SIZE) == 1 &&
                n == VALUE_SIZE &&
                EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag) == 1 &&
                EVP_DecryptFinal_ex(ctx, value + n, &rest) == 1 && rest == 0;
    if (good)
        memcpy(ret, value, sizeof value);
    bytes_wipe(value, sizeof value);
    return good ? TM_OK : TM_ECRYPTO;
}
