/* SPDX-License-Identifier: Apache-2.0 */
/* Private keys as PKCS#8 PEM files: see openssl.h. Read anew for each use, so that no key stays in
 * memory between two signatures. */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/log.h"
#include "client/port/folder.h"
#include "client/port/openssl.h"

AUTO_DEFINE(BIO, BIO_free_all)
AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(EVP_PKEY_CTX, EVP_PKEY_CTX_free)

#define PEM_MAX 2048 /* a P-256 key takes about 240; other programs put text round theirs */

struct tm_key_files {
    int folder;
    struct tm_keys keys;
};

struct key_name {
    char text[16];
};

static struct key_name name_of(unsigned bank) {
    struct key_name name;
    (void)snprintf(name.text, sizeof name.text, "key-%u.pem", bank % TM_BANKS);
    return name;
}

static enum tm_err failed(void) {
    ERR_clear_error();
    return TM_ECRYPTO;
}

/* ---- PEM ---- */

/* Else OpenSSL would ask on the terminal. */
static int no_passphrase(char *text, int cap, int writing, void *arg) {
    (void)text, (void)cap, (void)writing, (void)arg;
    return -1;
}

static bool is_p256(const EVP_PKEY *key) {
    char group[32];
    return EVP_PKEY_is_a(key, "EC") &&
           EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
           strcmp(group, SN_X9_62_prime256v1) == 0;
}

static EVP_PKEY *decode(const char *name, struct bytes pem) {
    AUTO(BIO) bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    AUTO(EVP_PKEY) key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    if (key && is_p256(key))
        return TAKE(key);
    ERR_clear_error();
    log_error("%s: not an unencrypted private key on P-256 in PEM", name);
    return NULL;
}

static enum tm_err load(const struct tm_key_files *files, unsigned bank, EVP_PKEY **ret) {
    uint8_t pem[PEM_MAX];
    struct buf text = BUF_ON(pem);
    struct key_name name = name_of(bank);
    enum tm_err err = tm_folder_read_secret(files->folder, name.text, &text);
    if (!err) {
        EVP_PKEY *key = decode(name.text, buf_bytes(&text));
        if (key)
            *ret = key;
        else
            err = TM_ECORRUPT;
    }
    bytes_wipe(pem, sizeof pem);
    return err;
}

/* ---- the table ---- */

static enum tm_err files_generate(void *self, unsigned bank) {
    const struct tm_key_files *files = self;
    if (bank >= TM_BANKS)
        return TM_EINVAL;
    AUTO(EVP_PKEY) key = EVP_EC_gen("P-256");
    AUTO(BIO) bio = BIO_new(BIO_s_mem()); /* wipes its memory when it grows and when it is freed */
    if (!key || !bio || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
        return failed();
    char *text;
    long n = BIO_get_mem_data(bio, &text);
    return tm_folder_write(files->folder, name_of(bank).text,
                           (struct bytes){(const uint8_t *)text, (size_t)n});
}

/* Keys that others made may carry their point compressed, and it is then written so. */
static bool set_uncompressed(EVP_PKEY *key) {
    return EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                          OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED) == 1;
}

static enum tm_err files_public_key(void *self, unsigned bank, struct buf *out) {
    if (bank >= TM_BANKS)
        return TM_EINVAL;
    AUTO(EVP_PKEY) key = NULL;
    enum tm_err err = load(self, bank, &key);
    if (err)
        return err;
    uint8_t spki[TM_SPKI_MAX], *p = spki;
    if (!set_uncompressed(key) || i2d_PUBKEY(key, NULL) != TM_SPKI_MAX ||
        i2d_PUBKEY(key, &p) != TM_SPKI_MAX)
        return failed();
    if (out->full || out->cap - out->n < sizeof spki)
        return TM_ELIMIT;
    buf_put(out, BYTES_OF(spki));
    return TM_OK;
}

static enum tm_err files_sign(void *self, unsigned bank, const uint8_t digest[TM_SHA256_SIZE],
                              struct buf *out) {
    if (bank >= TM_BANKS)
        return TM_EINVAL;
    AUTO(EVP_PKEY) key = NULL;
    enum tm_err err = load(self, bank, &key);
    if (err)
        return err;
    uint8_t signature[TM_SIGNATURE_MAX];
    size_t n = sizeof signature;
    AUTO(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new(key, NULL);
    if (!ctx || EVP_PKEY_sign_init(ctx) != 1 ||
        EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) != 1 ||
        EVP_PKEY_sign(ctx, signature, &n, digest, TM_SHA256_SIZE) != 1)
        return failed();
    if (out->full || out->cap - out->n < n)
        return TM_ELIMIT;
    buf_put(out, (struct bytes){signature, n});
    return TM_OK;
}

static enum tm_err files_destroy(void *self, unsigned bank) {
    const struct tm_key_files *files = self;
    return bank < TM_BANKS ? tm_folder_erase(files->folder, name_of(bank).text) : TM_EINVAL;
}

/* ---- open and close ---- */

static enum tm_err tidy(int folder) {
    enum tm_err err = TM_OK;
    for (unsigned bank = 0; bank < TM_BANKS && !err; bank++)
        err = tm_folder_tidy(folder, name_of(bank).text);
    return err;
}

enum tm_err tm_key_files_open(const char *folder, struct tm_key_files **ret) {
    AUTO_FD int fd = -1;
    enum tm_err err = tm_folder_open(folder, &fd);
    if (!err)
        err = tidy(fd);
    if (err)
        return err;
    struct tm_key_files *files = calloc(1, sizeof *files);
    if (!files)
        return TM_ENOMEM;
    files->folder = TAKE_FD(fd);
    files->keys = (struct tm_keys){
        .version = TM_TABLE_VERSION,
        .self = files,
        .generate = files_generate,
        .public_key = files_public_key,
        .sign = files_sign,
        .destroy = files_destroy,
    };
    *ret = files;
    return TM_OK;
}

void tm_key_files_close(struct tm_key_files *files) {
    if (!files)
        return;
    (void)close(files->folder);
    free(files);
}

const struct tm_keys *tm_key_files_keys(struct tm_key_files *files) {
    return &files->keys;
}
