/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An OpenSSL library context in which public keys are decoded quickly. For every certificate
 * OpenSSL 3.0 walks through all algorithms that the context knows, to find the key types and
 * decoders that may read its key: a fifth of a handshake's time. The provider here is the default
 * one in all but that: of algorithms that come in great numbers it shows those that TLS needs.
 * Later versions remember the decoders that they found and need none of this.
 */
#include <openssl/core_dispatch.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <string.h>

#include "base/log.h"
#include "server/front/tls_internal.h"

#define ROWS_MAX 8

/* For decoding: what peers' certificates hold. */
static const char *const decoded_keys[] = {"EC", "RSA", "ED25519", NULL};
/* Also those of signatures, of key exchanges and of (HMAC) binders of resumed sessions. */
static const char *const managed_keys[] = {"EC",     "RSA",  "RSA-PSS", "ED25519",
                                           "X25519", "X448", "HMAC",    NULL};
/* Records; AES-256-CTR is the random generator's. */
static const char *const ciphers[] = {"AES-128-GCM",       "AES-192-GCM", "AES-256-GCM",
                                      "ChaCha20-Poly1305", "AES-256-CTR", NULL};
static const char *const digests[] = {"SHA1", "SHA2-224", "SHA2-256", "SHA2-384", "SHA2-512", NULL};

static const struct selection {
    int operation;
    const char *const *names;
} selections[] = {
    {OSSL_OP_DECODER, decoded_keys},
    {OSSL_OP_KEYMGMT, managed_keys},
    {OSSL_OP_CIPHER, ciphers},
    {OSSL_OP_DIGEST, digests},
};
#define SELECTIONS (sizeof selections / sizeof selections[0])

/* OpenSSL gives a provider's functions nothing but the context that its algorithms are made with,
 * which is the default provider's own: there is no other place for these. They are set while the
 * provider is loaded and constant from then on. */
static struct {
    OSSL_PROVIDER *original;
    OSSL_ALGORITHM chosen[SELECTIONS][ROWS_MAX + 1]; /* each ends with an empty row */
} provider;

/* Names of an algorithm are separated by colons; its first one counts. */
static bool is_among(const OSSL_ALGORITHM *algorithm, const char *const *names) {
    size_t n = strcspn(algorithm->algorithm_names, ":");
    for (; *names; names++)
        if (strlen(*names) == n && strncmp(algorithm->algorithm_names, *names, n) == 0)
            return true;
    return false;
}

static bool reads_spki(const OSSL_ALGORITHM *decoder) {
    return strstr(decoder->property_definition, "input=der") &&
           strstr(decoder->property_definition, "structure=SubjectPublicKeyInfo");
}

static void choose(const struct selection *selection, OSSL_ALGORITHM ret[ROWS_MAX]) {
    int no_store;
    const OSSL_ALGORITHM *row =
        OSSL_PROVIDER_query_operation(provider.original, selection->operation, &no_store);
    size_t n = 0;
    for (; row && row->algorithm_names && n < ROWS_MAX; row++)
        if (is_among(row, selection->names) &&
            (selection->operation != OSSL_OP_DECODER || reads_spki(row)))
            ret[n++] = *row;
}

static const OSSL_ALGORITHM *query(void *context, int operation, int *no_store) {
    (void)context;
    *no_store = 0;
    for (size_t i = 0; i < SELECTIONS; i++)
        if (selections[i].operation == operation)
            return provider.chosen[i];
    return OSSL_PROVIDER_query_operation(provider.original, operation, no_store);
}

/* TLS finds its groups here. */
static int capabilities(void *context, const char *capability, OSSL_CALLBACK *callback, void *arg) {
    (void)context;
    return OSSL_PROVIDER_get_capabilities(provider.original, capability, callback, arg);
}

static int parameters(void *context, OSSL_PARAM params[]) {
    (void)context;
    return OSSL_PROVIDER_get_params(provider.original, params);
}

static int init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                void **ret_context) {
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query},
        {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))capabilities},
        {OSSL_FUNC_PROVIDER_GET_PARAMS, (void (*)(void))parameters},
        {0, NULL}};
    (void)handle;
    (void)in;
    *out = functions;
    *ret_context = OSSL_PROVIDER_get0_provider_ctx(provider.original);
    return 1;
}

/* Where the machine's OpenSSL configuration chose other providers (FIPS), its choice stands. */
static bool is_worth_it(void) {
    return OPENSSL_version_major() == 3 && OPENSSL_version_minor() == 0 &&
           OSSL_PROVIDER_available(NULL, "default") &&
           !EVP_default_properties_is_fips_enabled(NULL);
}

static enum tm_err fill(struct front_tls_library *library) {
    provider.original = OSSL_PROVIDER_load(NULL, "default"); /* for the process's life */
    if (!library->context || !provider.original)
        return TM_ENOMEM;
    for (size_t i = 0; i < SELECTIONS; i++)
        choose(&selections[i], provider.chosen[i]);
    if (OSSL_PROVIDER_add_builtin(library->context, "touchmark", init))
        library->provider = OSSL_PROVIDER_load(library->context, "touchmark");
    if (library->provider)
        return TM_OK;
    log_error("TLS: OpenSSL does not take the provider: %s", front_tls_reason());
    return TM_ECRYPTO;
}

enum tm_err front_tls_library_open(struct front_tls_library *ret_library) {
    struct front_tls_library library = {NULL, NULL};
    if (is_worth_it()) {
        library.context = OSSL_LIB_CTX_new();
        enum tm_err err = fill(&library);
        if (err) {
            front_tls_library_close(&library);
            return err;
        }
    }
    *ret_library = library;
    return TM_OK;
}

void front_tls_library_close(struct front_tls_library *library) {
    if (library->provider)
        (void)OSSL_PROVIDER_unload(library->provider);
    OSSL_LIB_CTX_free(library->context);
}
