/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS#10 requests by OpenSSL's own objects: made before the clock runs, so ease wins. */
#include "bench/csr.h"

#include <openssl/ec.h>
#include <string.h>

#include "base/auto.h"
#include "bench/est_client.h"
#include "est/wire/base64.h"

AUTO_DEFINE(X509_REQ, X509_REQ_free)
AUTO_DEFINE(X509_NAME, X509_NAME_free)

static void extensions_free(STACK_OF(X509_EXTENSION) * list) {
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
}

EVP_PKEY *bench_key_new(void) {
    return EVP_EC_gen("P-256");
}

static bool add_san(X509_REQ *req, const GENERAL_NAMES *san) {
    if (!san)
        return true;
    STACK_OF(X509_EXTENSION) *list = NULL;
    /* The function takes void * and does not change what it encodes. */
    bool ok = X509V3_add1_i2d(&list, NID_subject_alt_name, (void *)(uintptr_t)san, 0, 0) == 1 &&
              X509_REQ_add_extensions(req, list) == 1;
    extensions_free(list);
    return ok;
}

static bool add_binding(X509_REQ *req, struct bytes binding) {
    uint8_t text[2 * BENCH_BINDING_MAX];
    struct buf b = BUF_ON(text);
    if (binding.n == 0)
        return true;
    return est_base64_encode(binding, 0, &b) == TM_OK && !b.full &&
           X509_REQ_add1_attr_by_NID(req, NID_pkcs9_challengePassword, V_ASN1_PRINTABLESTRING, b.p,
                                     (int)b.n) == 1;
}

enum tm_err bench_csr_write(const struct bench_csr *wish, struct buf *out) {
    AUTO(X509_REQ) req = X509_REQ_new();
    if (!req || X509_REQ_set_version(req, X509_REQ_VERSION_1) != 1 ||
        (wish->subject && X509_REQ_set_subject_name(req, wish->subject) != 1) ||
        X509_REQ_set_pubkey(req, wish->key) != 1 || !add_san(req, wish->san) ||
        !add_binding(req, wish->binding) || X509_REQ_sign(req, wish->key, EVP_sha256()) <= 0)
        return TM_ECRYPTO;
    AUTO_MEM uint8_t *der = NULL;
    int n = i2d_X509_REQ(req, &der);
    if (n <= 0)
        return TM_ECRYPTO;
    buf_put(out, (struct bytes){der, (size_t)n});
    return out->full ? TM_ELIMIT : TM_OK;
}

static bool add_attribute(X509_NAME *name, char *pair) {
    char *value = strchr(pair, '=');
    if (!value)
        return false;
    *value++ = '\0';
    return X509_NAME_add_entry_by_txt(name, pair, MBSTRING_UTF8, (const uint8_t *)value, -1, -1,
                                      0) == 1;
}

X509_NAME *bench_name_parse(const char *text) {
    AUTO(X509_NAME) name = X509_NAME_new();
    AUTO_MEM char *copy = strdup(text);
    char *rest = NULL;
    if (!name || !copy)
        return NULL;
    for (char *pair = strtok_r(copy, "/", &rest); pair; pair = strtok_r(NULL, "/", &rest))
        if (!add_attribute(name, pair))
            return NULL;
    return TAKE(name);
}
