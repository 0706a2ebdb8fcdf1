/* SPDX-License-Identifier: Apache-2.0 */
/* See act_sign.h. */
#include "admin/act_sign.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "admin/command.h"
#include "base/auto.h"
#include "base/terminal.h"

AUTO_DEFINE(BIO, BIO_free_all)
AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)

static int cannot(const char *path, const char *why) {
    fprintf(stderr, "touchmark: %s: %s\n", path, why);
    return ADMIN_EXIT_REFUSED;
}

/* A line from the terminal; OpenSSL, which asks, wipes it. */
static int ask_passphrase(char *ret, int cap, int rwflag, void *path) {
    char prompt[300];
    struct terminal terminal;
    (void)rwflag;
    (void)snprintf(prompt, sizeof prompt, "Passphrase of %.250s", (const char *)path);
    if (terminal_ask(prompt, &terminal))
        return -1;
    ssize_t n = read(terminal.fd, ret, (size_t)cap);
    terminal_close(&terminal);
    return n > 0 && ret[n - 1] == '\n' ? (int)n - 1 : -1;
}

static int load_key(const char *path, EVP_PKEY **ret) {
    AUTO(BIO) bio = BIO_new_file(path, "r");
    if (!bio)
        return cannot(path, strerror(errno));
    *ret = PEM_read_bio_PrivateKey(bio, NULL, ask_passphrase, (void *)(uintptr_t)path);
    if (*ret)
        return EX_OK;
    ERR_clear_error();
    return cannot(path, "there is no private key in PEM, or no passphrase that opens it");
}

static const char *digest_of(EVP_PKEY *key) {
    if (EVP_PKEY_is_a(key, "ED25519"))
        return NULL;
    return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) == 384 ? "SHA384" : "SHA256";
}

int admin_sign(const char *key_path, struct bytes message, struct buf *out) {
    AUTO(EVP_PKEY) key = NULL;
    size_t n = out->cap;
    int code = load_key(key_path, &key);
    if (code != EX_OK)
        return code;
    AUTO(EVP_MD_CTX) ctx = EVP_MD_CTX_new();
    if (!ctx || EVP_DigestSignInit_ex(ctx, NULL, digest_of(key), NULL, NULL, key, NULL) != 1 ||
        EVP_DigestSign(ctx, out->p, &n, message.p, message.n) != 1) {
        ERR_clear_error();
        return cannot(key_path, "this key signs no acts");
    }
    out->n = n;
    return EX_OK;
}

int admin_read_signature(const char *path, struct buf *out) {
    FILE *file = fopen(path, "rbe");
    if (!file)
        return cannot(path, strerror(errno));
    out->n = fread(out->p, 1, out->cap, file);
    bool whole = !ferror(file) && fgetc(file) == EOF && out->n > 0;
    (void)fclose(file);
    return whole ? EX_OK : cannot(path, "there is no signature");
}
