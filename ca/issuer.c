/* SPDX-License-Identifier: Apache-2.0 */
/* An issuing CA's certificate, chain and key: see ca/issuer.h. */
#include "ca/issuer.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "ca/key.h"
#include "ca/pem.h"
#include "pki/name.h"

typedef STACK_OF(X509) x509_stack;
static void x509_stack_free(x509_stack *stack) {
    sk_X509_pop_free(stack, X509_free);
}

AUTO_DEFINE(X509, X509_free)
AUTO_DEFINE(x509_stack, x509_stack_free)
AUTO_DEFINE(X509_STORE, X509_STORE_free)
AUTO_DEFINE(X509_STORE_CTX, X509_STORE_CTX_free)
AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)

#define CHAIN_LENGTH_MAX 8

__attribute__((format(printf, 3, 4))) static enum tm_err
fault(char text[IPC_TEXT_MAX + 1], enum tm_err err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, IPC_TEXT_MAX + 1, format, args);
    va_end(args);
    return err;
}

/* ---- judging ---- */

enum pki_oid ca_signature_for(const struct pki_spki *spki) {
    bool small = spki->algorithm == PKI_OID_RSA_ENCRYPTION && spki->bits < CA_RSA_BITS_MIN;
    return small ? PKI_OID_UNKNOWN : pki_spki_signature(spki);
}

static enum tm_err judge(const char *path, struct ca_issuer *issuer, char text[IPC_TEXT_MAX + 1]) {
    bool ca = false;
    int path_len;
    uint16_t usage = 0;
    if (pki_cert_parse(issuer->der, &issuer->view) || issuer->view.version != 3)
        return fault(text, TM_EPARSE, "%.150s: not an X.509 version 3 certificate in DER", path);
    if (pki_cert_basic_constraints(&issuer->view, &ca, &path_len) || !ca)
        return fault(text, TM_EDENIED, "%.150s: not a CA's certificate (RFC 5280, 4.2.1.9)", path);
    if (pki_cert_key_usage(&issuer->view, &usage) || !(usage & PKI_KU_KEY_CERT_SIGN))
        return fault(text, TM_EDENIED, "%.150s: keyUsage lacks keyCertSign (RFC 5280, 4.2.1.3)",
                     path);
    if (pki_cert_ski(&issuer->view, &issuer->key_id) || !issuer->key_id.n)
        return fault(text, TM_EDENIED, "%.150s: no subjectKeyIdentifier (RFC 5280, 4.2.1.2)", path);
    if (pki_name_empty(issuer->view.subject))
        return fault(text, TM_EDENIED, "%.150s: the subject is empty (RFC 5280, 4.1.2.6)", path);
    issuer->signature = ca_signature_for(&issuer->view.spki);
    if (issuer->signature == PKI_OID_UNKNOWN)
        return fault(text, TM_EDENIED,
                     "%.150s: the key is not P-256, P-384, P-521, Ed25519 or RSA of 2048 bits and "
                     "more",
                     path);
    return TM_OK;
}

/* OpenSSL leaves the certificate right above the leaf out of its count, and ours is the leaf. */
static bool path_lengths_hold(const STACK_OF(X509) * path) {
    long below = 1; /* CA certificates below the one looked at that are not self-issued */
    for (int i = 1; i < sk_X509_num(path); i++) {
        X509 *certificate = sk_X509_value(path, i);
        long path_len = X509_get_pathlen(certificate);
        if (path_len != -1 && below > path_len)
            return false;
        if (!(X509_get_extension_flags(certificate) & EXFLAG_SI))
            below++;
    }
    return true;
}

/* certificates: the issuer's, then those above it, the root last. */
static enum tm_err verify_chain(const x509_stack *certificates, const char *path,
                                char text[IPC_TEXT_MAX + 1]) {
    X509 *issuer = sk_X509_value(certificates, 0);
    X509 *root = sk_X509_value(certificates, sk_X509_num(certificates) - 1);
    AUTO(X509_STORE) store = X509_STORE_new();
    AUTO(X509_STORE_CTX) ctx = X509_STORE_CTX_new();
    if (!(X509_get_extension_flags(root) & EXFLAG_SS))
        return fault(text, TM_EDENIED,
                     "%.150s: the last certificate of the chain is not a self-signed root", path);
    if (!store || !ctx || X509_STORE_add_cert(store, root) != 1 ||
        X509_STORE_CTX_init(ctx, store, issuer, (x509_stack *)(uintptr_t)certificates) != 1)
        return fault(text, TM_ENOMEM, "out of memory");
    if (X509_verify_cert(ctx) != 1)
        return fault(text, TM_EDENIED, "%.100s does not verify up to its root: %s", path,
                     X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
    if (!path_lengths_hold(X509_STORE_CTX_get0_chain(ctx)))
        return fault(text, TM_EDENIED,
                     "%.100s: a pathLenConstraint above it does not allow it (RFC 5280, 4.2.1.9)",
                     path);
    return TM_OK;
}

/* ---- loading ---- */

/* Appends the certificates of a PEM file to `to`, their DER to *ret_der. */
static enum tm_err read_pem(const char *path, int most, x509_stack *to, struct bytes *ret_der,
                            char text[IPC_TEXT_MAX + 1]) {
    enum tm_err err = ca_pem_load(path, ret_der, text);
    if (err)
        return err;
    const unsigned char *at = ret_der->p, *end = at + ret_der->n;
    for (int count = 0; at < end; count++) {
        AUTO(X509) certificate = d2i_X509(NULL, &at, end - at);
        if (!certificate)
            return fault(text, TM_EPARSE, "%.150s: a certificate cannot be read", path);
        if (count == most)
            return fault(text, TM_EPARSE, "%.150s holds more than %d certificate%s", path, most,
                         most > 1 ? "s" : "");
        if (!sk_X509_push(to, certificate))
            return fault(text, TM_ENOMEM, "out of memory");
        (void)TAKE(certificate);
    }
    return TM_OK;
}

static enum tm_err load(const char *cert_path, const char *chain_path, struct ca_issuer *issuer,
                        char text[IPC_TEXT_MAX + 1]) {
    AUTO(x509_stack) certificates = sk_X509_new_null();
    if (!certificates)
        return fault(text, TM_ENOMEM, "out of memory");
    enum tm_err err = read_pem(cert_path, 1, certificates, &issuer->der, text);
    if (!err && chain_path && chain_path[0])
        err = read_pem(chain_path, CHAIN_LENGTH_MAX, certificates, &issuer->chain, text);
    if (!err)
        err = judge(cert_path, issuer, text);
    if (err)
        return err;
    issuer->key = X509_get_pubkey(sk_X509_value(certificates, 0));
    if (!issuer->key)
        return fault(text, TM_EPARSE, "%.150s: the key cannot be read", cert_path);
    return verify_chain(certificates, cert_path, text);
}

enum tm_err ca_issuer_load(const char *name, const char *cert_path, const char *chain_path,
                           struct ca_issuer *ret_issuer, char text[IPC_TEXT_MAX + 1]) {
    struct ca_issuer issuer = {0};
    if (strlen(name) >= sizeof issuer.name)
        return fault(text, TM_EPARSE, "an issuer's name is longer than %d octets", IPC_NAME_MAX);
    (void)strcpy(issuer.name, name);
    enum tm_err err = load(cert_path, chain_path, &issuer, text);
    ERR_clear_error();
    if (err)
        ca_issuer_free(&issuer);
    else
        *ret_issuer = issuer;
    return err;
}

void ca_issuer_free(struct ca_issuer *issuer) {
    if (!issuer)
        return;
    free((void *)(uintptr_t)issuer->der.p);
    free((void *)(uintptr_t)issuer->chain.p);
    EVP_PKEY_free(issuer->key);
    memset(issuer, 0, sizeof *issuer);
}

/* ---- signatures ---- */

static const EVP_MD *digest_of(enum pki_oid signature) {
    switch (signature) {
    case PKI_OID_ECDSA_SHA256:
    case PKI_OID_RSA_SHA256:
        return EVP_sha256();
    case PKI_OID_ECDSA_SHA384:
        return EVP_sha384();
    case PKI_OID_ECDSA_SHA512:
        return EVP_sha512();
    default:
        return NULL; /* Ed25519 has its own */
    }
}

enum tm_err ca_key_verify(EVP_PKEY *key, enum pki_oid algorithm, struct bytes tbs,
                          struct bytes signature) {
    AUTO(EVP_MD_CTX) ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestVerifyInit(ctx, NULL, digest_of(algorithm), NULL, key) == 1 &&
                EVP_DigestVerify(ctx, signature.p, signature.n, tbs.p, tbs.n) == 1;
    if (!good)
        ERR_clear_error();
    return good ? TM_OK : TM_ECRYPTO;
}

enum tm_err ca_issuer_verify(const struct ca_issuer *issuer, struct bytes tbs,
                             struct bytes signature) {
    return ca_key_verify(issuer->key, issuer->signature, tbs, signature);
}

enum pki_oid ca_issuer_digest(const struct ca_issuer *issuer) {
    switch (issuer->signature) {
    case PKI_OID_ECDSA_SHA384:
        return PKI_OID_SHA384;
    case PKI_OID_ECDSA_SHA512:
    case PKI_OID_ED25519: /* RFC 8419, 3.1: with signed attributes it MUST be SHA-512 */
        return PKI_OID_SHA512;
    default:
        return PKI_OID_SHA256;
    }
}

enum tm_err ca_issuer_digest_make(const struct ca_issuer *issuer, struct bytes data,
                                  struct buf *out) {
    const EVP_MD *md =
        issuer->signature == PKI_OID_ED25519 ? EVP_sha512() : digest_of(issuer->signature);
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (!md || EVP_Digest(data.p, data.n, digest, &n, md, NULL) != 1) {
        ERR_clear_error();
        return TM_ECRYPTO;
    }
    if (out->full || out->cap - out->n < n)
        return TM_ELIMIT;
    buf_put(out, (struct bytes){digest, n});
    return TM_OK;
}

void ca_put_signature_algorithm(struct der_writer *w, enum pki_oid signature) {
    size_t end = der_mark(w);
    if (signature == PKI_OID_RSA_SHA256 || signature == PKI_OID_RSA_SHA384 ||
        signature == PKI_OID_RSA_SHA512)
        der_put(w, DER_NULL, (struct bytes){0});
    der_put(w, DER_OID, pki_oid_bytes(signature));
    der_wrap(w, DER_SEQUENCE, end);
}

bool ca_issuer_has_key(const struct ca_issuer *issuer, struct bytes spki) {
    const struct pki_spki *own = &issuer->view.spki;
    struct pki_spki other;
    return !pki_spki_parse(spki, &other) && other.algorithm == own->algorithm &&
           other.curve == own->curve && bytes_equal(other.key, own->key);
}
