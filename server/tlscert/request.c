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

static bool fill(X509_REQ *req, EVP_PKEY *key, const struct conf_strings *names) {
    return req && X509_REQ_set_version(req, X509_REQ_VERSION_1) == 1 && add_subject(req, names) &&
           add_names(req, names) && X509_REQ_set_pubkey(req, key) == 1;
}

/* Takes der over; n <= 0: there is none. */
static enum tm_err give(unsigned char *der, int n, struct buf *out) {
    if (n <= 0) {
        log_error("no request for the server certificate: %s",
                  ERR_reason_error_string(ERR_get_error()));
        return TM_ECRYPTO;
    }
    buf_put(out, (struct bytes){der, (size_t)n});
    OPENSSL_free(der);
    return out->full ? TM_ELIMIT : TM_OK;
}

enum tm_err tlscert_make_csr(EVP_PKEY *key, const struct conf_strings *names, struct buf *out) {
    AUTO(X509_REQ) req = X509_REQ_new();
    unsigned char *der = NULL;
    bool good = fill(req, key, names) && X509_REQ_sign(req, key, EVP_sha256()) > 0;
    int n = good ? i2d_X509_REQ(req, &der) : 0;
    return give(der, n, out);
}

enum tm_err tlscert_make_info(EVP_PKEY *public, const struct conf_strings *names, struct buf *out) {
    AUTO(X509_REQ) req = X509_REQ_new();
    unsigned char *der = NULL;
    int n = fill(req, public, names) ? i2d_re_X509_REQ_tbs(req, &der) : 0;
    return give(der, n, out);
}

enum tm_err tlscert_join_csr(EVP_PKEY *public, struct bytes info, struct bytes signature,
                             struct buf *out) {
    struct der_writer w = der_writer_after(out);
    size_t end = der_mark(&w);
    der_put_bits(&w, signature);
    ca_put_signature_algorithm(&w, EVP_PKEY_get_bits(public) == 384 ? PKI_OID_ECDSA_SHA384
                                                                    : PKI_OID_ECDSA_SHA256);
    der_raw(&w, info);
    der_wrap(&w, DER_SEQUENCE, end);
    return der_append(&w, out);
}
