/* SPDX-License-Identifier: Apache-2.0 */
/* Key and PKCS#10 request of the server's own certificate: see tlscert.h. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/auto.h"
#include "base/log.h"
#include "server/tlscert/tlscert.h"

#define CN_MAX 64 /* ub-common-name, RFC 5280, A.1 */

AUTO_DEFINE(X509_REQ, X509_REQ_free)
AUTO_DEFINE(GENERAL_NAMES, GENERAL_NAMES_free)

static void free_extensions(STACK_OF(X509_EXTENSION) * *extensions) {
    sk_X509_EXTENSION_pop_free(*extensions, X509_EXTENSION_free);
}

enum tm_err tlscert_make_key(EVP_PKEY **ret_key) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    if (!key) {
        log_error("no key for the server certificate: %s",
                  ERR_reason_error_string(ERR_get_error()));
        return TM_ECRYPTO;
    }
    *ret_key = key;
    return TM_OK;
}

/* An iPAddress or a dNSName; NULL when out of memory. */
static GENERAL_NAME *general_name(const char *text) {
    uint8_t address[16];
    int octets = inet_pton(AF_INET, text, address) == 1    ? 4
                 : inet_pton(AF_INET6, text, address) == 1 ? 16
                                                           : 0;
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *value = octets ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    if (!name || !value ||
        !ASN1_STRING_set(value, octets ? (const void *)address : text,
                         octets ? octets : (int)strlen(text))) {
        GENERAL_NAME_free(name);
        ASN1_STRING_free(value);
        return NULL;
    }
    GENERAL_NAME_set0_value(name, octets ? GEN_IPADD : GEN_DNS, value);
    return name;
}

static bool add_names(X509_REQ *req, const struct conf_strings *names) {
    AUTO(GENERAL_NAMES) san = GENERAL_NAMES_new();
    __attribute__((cleanup(free_extensions))) STACK_OF(X509_EXTENSION) *extensions = NULL;
    for (size_t i = 0; san && i < names->count; i++) {
        GENERAL_NAME *name = general_name(names->items[i]);
        if (!name || !sk_GENERAL_NAME_push(san, name)) {
            GENERAL_NAME_free(name);
            return false;
        }
    }
    return san && X509V3_add1_i2d(&extensions, NID_subject_alt_name, san, 0, 0) == 1 &&
           X509_REQ_add_extensions(req, extensions) == 1;
}

static bool add_subject(X509_REQ *req, const struct conf_strings *names) {
    if (names->count == 0 || strlen(names->items[0]) > CN_MAX)
        return true; /* an empty subject: the names are in subjectAltName */
    return X509_NAME_add_entry_by_NID(X509_REQ_get_subject_name(req), NID_commonName, MBSTRING_UTF8,
                                      (const unsigned char *)names->items[0], -1, -1, 0) == 1;
}

enum tm_err tlscert_make_csr(EVP_PKEY *key, const struct conf_strings *names, struct buf *out) {
    AUTO(X509_REQ) req = X509_REQ_new();
    unsigned char *der = NULL;
    int n = 0;
    if (req && X509_REQ_set_version(req, X509_REQ_VERSION_1) == 1 && add_subject(req, names) &&
        add_names(req, names) && X509_REQ_set_pubkey(req, key) == 1 &&
        X509_REQ_sign(req, key, EVP_sha256()) > 0)
        n = i2d_X509_REQ(req, &der);
    if (n <= 0) {
        log_error("no request for the server certificate: %s",
                  ERR_reason_error_string(ERR_get_error()));
        return TM_ECRYPTO;
    }
    buf_put(out, (struct bytes){der, (size_t)n});
    OPENSSL_free(der);
    return out->full ? TM_ELIMIT : TM_OK;
}
