/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/conf_file.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"

AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)

static bool is_name(const char *text, size_t n) {
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-";
    return n > 0 && n <= IPC_NAME_MAX && strspn(text, allowed) >= n;
}

char *ca_conf_name(const char *path, const char *what, char error[CONF_ERROR_MAX]) {
    static const char suffix[] = ".yaml";
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    size_t n = strlen(base);
    if (n > strlen(suffix) && strcmp(base + n - strlen(suffix), suffix) == 0)
        n -= strlen(suffix);
    if (is_name(base, n))
        return strndup(base, n);
    (void)snprintf(error, CONF_ERROR_MAX,
                   "%.200s: a %s's file name is 1 to 64 of A-Z a-z 0-9 . _ ~ - and .yaml", path,
                   what);
    return NULL;
}

enum tm_err ca_conf_refuse(const char *text, size_t n, const char *path, const char *fault,
                           char error[CONF_ERROR_MAX]) {
    char key[IPC_NAME_MAX + 1];
    (void)snprintf(key, sizeof key, "%.*s", (int)strcspn(fault, ",:"), fault);
    (void)snprintf(error, CONF_ERROR_MAX, "%.200s:%u: %.280s", path, conf_line(text, n, key),
                   fault);
    return TM_EPARSE;
}

/* ---- the hash ---- */

static void hash_number(EVP_MD_CTX *ctx, uint64_t value) {
    uint8_t octets[8];
    struct buf b = BUF_ON(octets);
    buf_put_be(&b, value, sizeof octets);
    (void)EVP_DigestUpdate(ctx, octets, sizeof octets);
}

static void hash_text(EVP_MD_CTX *ctx, const char *text) {
    size_t n = text ? strlen(text) : 0;
    hash_number(ctx, n);
    (void)EVP_DigestUpdate(ctx, text ? text : "", n);
}

static void hash_strings(EVP_MD_CTX *ctx, const struct conf_strings *strings) {
    hash_number(ctx, strings->count);
    for (size_t i = 0; i < strings->count; i++)
        hash_text(ctx, strings->items[i]);
}

static void hash_rows(EVP_MD_CTX *ctx, const struct conf_row *rows, const void *base);

static void hash_list(EVP_MD_CTX *ctx, const struct conf_row *row, const struct conf_list *list) {
    hash_number(ctx, list->count);
    for (size_t i = 0; i < list->count; i++)
        hash_rows(ctx, row->rows, (const char *)list->items + i * row->elem_size);
}

static void hash_value(EVP_MD_CTX *ctx, const struct conf_row *row, const void *field) {
    switch (row->type) {
    case CONF_STRING:
    case CONF_PATH:
    case CONF_NAME:
        hash_text(ctx, *(char *const *)field);
        break;
    case CONF_UINT:
    case CONF_SIZE:
        hash_number(ctx, *(const uint64_t *)field);
        break;
    case CONF_BOOL:
        hash_number(ctx, *(const bool *)field);
        break;
    case CONF_ENUM:
    case CONF_FLAGS:
        hash_number(ctx, *(const unsigned *)field);
        break;
    case CONF_DURATION:
    case CONF_TIME:
        hash_number(ctx, (uint64_t) * (const int64_t *)field);
        break;
    case CONF_STRINGS:
        hash_strings(ctx, field);
        break;
    case CONF_GROUP:
        hash_rows(ctx, row->rows, field);
        break;
    case CONF_LIST:
        hash_list(ctx, row, field);
        break;
    }
}

static void hash_rows(EVP_MD_CTX *ctx, const struct conf_row *rows, const void *base) {
    for (const struct conf_row *row = rows; row->key; row++) {
        hash_text(ctx, row->key);
        hash_value(ctx, row, (const char *)base + row->offset);
    }
}

enum tm_err ca_conf_hash(const char *label, const char *name, const struct conf_row *rows,
                         const void *s, uint8_t ret[CA_HASH_SIZE]) {
    AUTO(EVP_MD_CTX) ctx = EVP_MD_CTX_new();
    if (!ctx || EVP_DigestInit_ex2(ctx, EVP_sha256(), NULL) != 1)
        return TM_ECRYPTO;
    hash_text(ctx, label);
    hash_text(ctx, name);
    hash_rows(ctx, rows, s);
    return EVP_DigestFinal_ex(ctx, ret, NULL) == 1 ? TM_OK : TM_ECRYPTO;
}
