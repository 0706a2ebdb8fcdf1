/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An OpenSSL key whose signatures are made elsewhere: see tls_key.h. It is of a provider of its own
 * in a library context of its own, so that no other key is ever looked for here. All that is
 * public of it is left to a key of the default provider.
 */
#include "server/front/tls_key.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/log.h"

#define PROVIDER "touchmark-token"
#define PARAM_SIGNER "touchmark-signer" /* with which a key gets its struct front_tls_signer */
#define GROUP_MAX 64

AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(EVP_PKEY_CTX, EVP_PKEY_CTX_free)

/* OpenSSL's "keydata" here. */
struct token_key {
    EVP_PKEY *public;
    const struct front_tls_signer *signer; /* NULL: only a public key, to be compared */
};

struct token_signature {
    const struct token_key *key;
};

/* ---- keys ---- */

static void *key_new(void *provider) {
    (void)provider;
    return calloc(1, sizeof(struct token_key));
}

static void key_free(void *data) {
    struct token_key *key = data;
    if (key)
        EVP_PKEY_free(key->public);
    free(key);
}

static int key_has(const void *data, int selection) {
    const struct token_key *key = data;
    if (!key)
        return 0;
    return key->public && (!(selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) || key->signer);
}

static int key_match(const void *a, const void *b, int selection) {
    const struct token_key *one = a, *other = b;
    (void)selection;
    return one->public && other->public && EVP_PKEY_eq(one->public, other->public) == 1;
}

static int key_import(void *data, int selection, const OSSL_PARAM params[]) {
    struct token_key *key = data;
    const OSSL_PARAM *signer = OSSL_PARAM_locate_const(params, PARAM_SIGNER);
    const void *pointer = NULL;
    size_t n;
    (void)selection;
    if (signer && OSSL_PARAM_get_octet_ptr(signer, &pointer, &n) != 1)
        return 0;
    AUTO(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key->public, EVP_PKEY_PUBLIC_KEY,
                          (OSSL_PARAM *)(uintptr_t)params) != 1)
        return 0;
    key->signer = pointer;
    return 1;
}

/* The private key cannot be had; OpenSSL then does not take the key elsewhere to sign. */
static int key_export(void *data, int selection, OSSL_CALLBACK *callback, void *arg) {
    const struct token_key *key = data;
    if (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY)
        return 0;
    return key->public && EVP_PKEY_export(key->public, EVP_PKEY_PUBLIC_KEY, callback, arg) == 1;
}

static const OSSL_PARAM *key_types(int selection) {
    static const OSSL_PARAM types[] = {OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
                                       OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
                                       OSSL_PARAM_octet_ptr(PARAM_SIGNER, NULL, 0), OSSL_PARAM_END};
    (void)selection;
    return types;
}

static int key_get(void *data, OSSL_PARAM params[]) {
    const struct token_key *key = data;
    return key->public && EVP_PKEY_get_params(key->public, params);
}

static const OSSL_PARAM *key_gettable(void *provider) {
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
        OSSL_PARAM_END};
    (void)provider;
    return params;
}

static const char *key_operation(int operation) {
    return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

static const OSSL_DISPATCH key_functions[] = {
    {OSSL_FUNC_KEYMGMT_NEW, (void (*)(void))key_new},
    {OSSL_FUNC_KEYMGMT_FREE, (void (*)(void))key_free},
    {OSSL_FUNC_KEYMGMT_HAS, (void (*)(void))key_has},
    {OSSL_FUNC_KEYMGMT_MATCH, (void (*)(void))key_match},
    {OSSL_FUNC_KEYMGMT_IMPORT, (void (*)(void))key_import},
    {OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (void (*)(void))key_types},
    {OSSL_FUNC_KEYMGMT_EXPORT, (void (*)(void))key_export},
    {OSSL_FUNC_KEYMGMT_EXPORT_TYPES, (void (*)(void))key_types},
    {OSSL_FUNC_KEYMGMT_GET_PARAMS, (void (*)(void))key_get},
    {OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (void (*)(void))key_gettable},
    {OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, (void (*)(void))key_operation},
    {0, NULL}};

/* ---- signatures ---- */

static void *signature_new(void *provider, const char *properties) {
    (void)provider;
    (void)properties;
    return calloc(1, sizeof(struct token_signature));
}

static void signature_free(void *ctx) {
    free(ctx);
}

/* Whether the digest is the one that goes with the key, the signer decides: it makes it. */
static int signature_init(void *ctx, const char *digest, void *key, const OSSL_PARAM params[]) {
    struct token_signature *signature = ctx;
    (void)digest;
    (void)params;
    if (key)
        signature->key = key;
    return signature->key && signature->key->signer;
}

static int signature_make(void *ctx, unsigned char *out, size_t *ret_n, size_t cap,
                          const unsigned char *content, size_t n) {
    const struct token_signature *signature = ctx;
    int largest = EVP_PKEY_get_size(signature->key->public);
    if (largest <= 0)
        return 0;
    *ret_n = (size_t)largest;
    if (!out)
        return 1;
    const struct front_tls_signer *signer = signature->key->signer;
    struct buf made = {.p = out, .cap = cap};
    if (signer->sign(signer->arg, (struct bytes){content, n}, &made))
        return 0;
    *ret_n = made.n;
    return 1;
}

static const OSSL_DISPATCH signature_functions[] = {
    {OSSL_FUNC_SIGNATURE_NEWCTX, (void (*)(void))signature_new},
    {OSSL_FUNC_SIGNATURE_FREECTX, (void (*)(void))signature_free},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (void (*)(void))signature_init},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN, (void (*)(void))signature_make},
    {0, NULL}};

/* ---- the provider ---- */

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_store) {
    static const OSSL_ALGORITHM keys[] = {
        {"EC:id-ecPublicKey:1.2.840.10045.2.1", "provider=" PROVIDER, key_functions, NULL},
        {NULL, NULL, NULL, NULL}};
    static const OSSL_ALGORITHM signatures[] = {
        {"ECDSA", "provider=" PROVIDER, signature_functions, NULL}, {NULL, NULL, NULL, NULL}};
    (void)provider;
    *no_store = 0;
    return operation == OSSL_OP_KEYMGMT ? keys : operation == OSSL_OP_SIGNATURE ? signatures : NULL;
}

static int init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                void **ret_context) {
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query}, {0, NULL}};
    (void)in;
    *out = functions;
    *ret_context = (void *)(uintptr_t)handle;
    return 1;
}

static bool load(struct front_tls_key *key) {
    key->context = OSSL_LIB_CTX_new();
    if (!key->context || OSSL_PROVIDER_add_builtin(key->context, PROVIDER, init) != 1)
        return false;
    key->provider = OSSL_PROVIDER_load(key->context, PROVIDER);
    return key->provider;
}

/* Only the kinds that the signer signs CertificateVerify with. */
static bool describe(EVP_PKEY *public, char group[GROUP_MAX], unsigned char **ret_point,
                     size_t *ret_n) {
    size_t n;
    if (!EVP_PKEY_is_a(public, "EC") ||
        EVP_PKEY_get_group_name(public, group, GROUP_MAX, &n) != 1 ||
        (strcmp(group, "prime256v1") != 0 && strcmp(group, "secp384r1") != 0))
        return false;
    *ret_n = EVP_PKEY_get1_encoded_public_key(public, ret_point);
    return *ret_n > 0;
}

static EVP_PKEY *make(struct front_tls_key *key, char *group, unsigned char *point, size_t n,
                      const struct front_tls_signer *signer) {
    void *pointer = (void *)(uintptr_t)signer;
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, n),
        OSSL_PARAM_construct_octet_ptr(PARAM_SIGNER, &pointer, sizeof *signer),
        OSSL_PARAM_construct_end()};
    EVP_PKEY *made = NULL;
    AUTO(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new_from_name(key->context, "EC", NULL);
    if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &made, EVP_PKEY_KEYPAIR, (OSSL_PARAM *)(uintptr_t)params) != 1)
        return NULL;
    return made;
}

enum tm_err front_tls_key_open(EVP_PKEY *public, const struct front_tls_signer *signer,
                               struct front_tls_key *ret_key) {
    struct front_tls_key key = {0};
    char group[GROUP_MAX];
    unsigned char *point = NULL;
    size_t n;
    if (!describe(public, group, &point, &n)) {
        log_error("TLS: a key on a token must be P-256 or P-384 here");
        return TM_EINVAL;
    }
    if (load(&key))
        key.key = make(&key, group, point, n, signer);
    OPENSSL_free(point);
    if (!key.key) {
        log_error("TLS: OpenSSL does not take the token's key: %s",
                  ERR_reason_error_string(ERR_peek_last_error()));
        front_tls_key_close(&key);
        return TM_ECRYPTO;
    }
    *ret_key = key;
    return TM_OK;
}

void front_tls_key_close(struct front_tls_key *key) {
    EVP_PKEY_free(key->key);
    if (key->provider)
        (void)OSSL_PROVIDER_unload(key->provider);
    OSSL_LIB_CTX_free(key->context);
    *key = (struct front_tls_key){0};
}
