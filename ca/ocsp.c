/* SPDX-License-Identifier: Apache-2.0 */
/* See ca/ocsp.h. */
#include "ca/ocsp.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names by hashes ---- */

static const EVP_MD *digest_of(enum pki_oid hash) {
    return hash == PKI_OID_SHA1 ? EVP_sha1() : hash == PKI_OID_SHA256 ? EVP_sha256() : NULL;
}

struct digest {
    uint8_t octets[EVP_MAX_MD_SIZE];
    unsigned n;
};

static enum tm_err make_digest(const EVP_MD *md, struct bytes data, struct digest *ret) {
    if (EVP_Digest(data.p, data.n, ret->octets, &ret->n, md, NULL) == 1)
        return TM_OK;
    ERR_clear_error();
    return TM_ECRYPTO;
}

static bool is_digest(const EVP_MD *md, struct bytes data, struct bytes value) {
    struct digest digest;
    return !make_digest(md, data, &digest) &&
           bytes_equal((struct bytes){digest.octets, digest.n}, value);
}

enum tm_err ca_ocsp_key_hash(const struct pki_spki *spki, uint8_t ret[PKI_OCSP_KEY_HASH_SIZE]) {
    struct digest digest;
    enum tm_err err = make_digest(EVP_sha1(), spki->key, &digest);
    if (!err)
        memcpy(ret, digest.octets, PKI_OCSP_KEY_HASH_SIZE);
    return err;
}

bool ca_ocsp_names_issuer(const struct ca_issuer *issuer, const struct pki_ocsp_cert_id *id) {
    const EVP_MD *md = digest_of(id->hash);
    return md && is_digest(md, issuer->view.spki.key, id->key_hash) &&
           is_digest(md, issuer->view.subject, id->name_hash);
}

enum tm_err ca_ocsp_cert_id(const struct ca_issuer *issuer, enum pki_oid hash,
                            const struct ca_serial *serial, struct buf *out) {
    const EVP_MD *md = digest_of(hash);
    struct digest name, key;
    if (!md)
        return TM_EINVAL;
    if (make_digest(md, issuer->view.subject, &name) ||
        make_digest(md, issuer->view.spki.key, &key))
        return TM_ECRYPTO;
    const struct pki_ocsp_cert_id id = {.hash = hash,
                                        .name_hash = {name.octets, name.n},
                                        .key_hash = {key.octets, key.n},
                                        .serial = {serial->octets, serial->n}};
    return pki_ocsp_cert_id_write(&id, out);
}

/* ---- who answers ---- */

static enum tm_err fault(char text[IPC_TEXT_MAX + 1], enum tm_err err, const char *sentence) {
    (void)snprintf(text, IPC_TEXT_MAX + 1, "the OCSP key's certificate: %s", sentence);
    return err;
}

static bool is_for_ocsp(const struct pki_cert *cert) {
    enum pki_oid purposes[PKI_EKU_MAX];
    size_t count = 0;
    if (pki_cert_eku(cert, purposes, &count))
        return false;
    for (size_t i = 0; i < count; i++)
        if (purposes[i] == PKI_OID_KP_OCSP_SIGNING)
            return true;
    return false;
}

static enum tm_err judge(const struct ca_issuer *issuer, const struct pki_cert *cert,
                         char text[IPC_TEXT_MAX + 1]) {
    if (!bytes_equal(cert->issuer, issuer->view.subject) ||
        ca_issuer_verify(issuer, cert->tbs, cert->signature))
        return fault(text, TM_EDENIED, "not issued by the CA itself (RFC 6960, 4.2.2.2)");
    if (!is_for_ocsp(cert))
        return fault(text, TM_EDENIED, "extKeyUsage lacks OCSPSigning (RFC 6960, 4.2.2.2)");
    if (ca_issuer_has_key(issuer, cert->spki.whole))
        return fault(text, TM_EDENIED, "its key is the CA's own");
    if (ca_signature_for(&cert->spki) == PKI_OID_UNKNOWN)
        return fault(text, TM_EDENIED, "its key is of a kind that does not sign here");
    return TM_OK;
}

static EVP_PKEY *read_key(const struct pki_cert *cert) {
    const unsigned char *p = cert->spki.whole.p;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)cert->spki.whole.n);
    if (!key)
        ERR_clear_error();
    return key;
}

static enum tm_err load(const struct ca_issuer *issuer, struct ca_ocsp_responder *responder,
                        char text[IPC_TEXT_MAX + 1]) {
    if (pki_cert_parse(responder->der, &responder->view))
        return fault(text, TM_EPARSE, "not one (RFC 5280, 4.1)");
    enum tm_err err = judge(issuer, &responder->view, text);
    if (err)
        return err;
    responder->signature = ca_signature_for(&responder->view.spki);
    responder->key = read_key(&responder->view);
    if (!responder->key)
        return fault(text, TM_EPARSE, "the key cannot be read");
    return ca_ocsp_key_hash(&responder->view.spki, responder->key_hash)
               ? fault(text, TM_ECRYPTO, "no SHA-1 here")
               : TM_OK;
}

enum tm_err ca_ocsp_responder_load(const struct ca_issuer *issuer, struct bytes der,
                                   struct ca_ocsp_responder *ret, char text[IPC_TEXT_MAX + 1]) {
    uint8_t *copy = malloc(der.n ? der.n : 1);
    if (!copy)
        return fault(text, TM_ENOMEM, "out of memory");
    if (der.n)
        memcpy(copy, der.p, der.n);
    struct ca_ocsp_responder responder = {.der = {copy, der.n}};
    enum tm_err err = load(issuer, &responder, text);
    if (err)
        ca_ocsp_responder_free(&responder);
    else
        *ret = responder;
    return err;
}

void ca_ocsp_responder_free(struct ca_ocsp_responder *responder) {
    free((void *)(uintptr_t)responder->der.p);
    EVP_PKEY_free(responder->key);
    memset(responder, 0, sizeof *responder);
}

/* ---- responses ---- */

enum tm_err ca_ocsp_data(const struct ca_ocsp_responder *responder, int64_t produced_ms,
                         const struct pki_ocsp_single *singles, size_t count, struct buf *out) {
    struct pki_ocsp_data data = {
        .key_hash = BYTES_OF(responder->key_hash), .produced_ms = produced_ms, .count = count};
    if (count > PKI_OCSP_SINGLES_MAX)
        return TM_EINVAL;
    for (size_t i = 0; i < count; i++)
        data.singles[i] = singles[i];
    return pki_ocsp_data_write(&data, out);
}

/* OCSPResponse { responseStatus, the rest since `end` } */
static void wrap_response(struct der_writer *w, uint8_t status, size_t end) {
    der_put(w, DER_ENUMERATED, (struct bytes){&status, 1});
    der_wrap(w, DER_SEQUENCE, end);
}

/* BasicOCSPResponse { tbsResponseData, signatureAlgorithm, signature, [0] { SEQUENCE OF } } */
static void put_basic(struct der_writer *w, const struct ca_ocsp_responder *responder,
                      struct bytes data, struct bytes signature) {
    size_t end = der_mark(w);
    der_raw(w, responder->der);
    der_wrap(w, DER_SEQUENCE, end);
    der_wrap(w, DER_CONTEXT_CONSTRUCTED(0), end);
    der_put_bits(w, signature);
    ca_put_signature_algorithm(w, responder->signature);
    der_raw(w, data);
    der_wrap(w, DER_SEQUENCE, end);
}

enum tm_err ca_ocsp_response(const struct ca_ocsp_responder *responder, struct bytes data,
                             struct bytes signature, struct buf *out) {
    const uint8_t successful = 0;
    if (ca_key_verify(responder->key, responder->signature, data, signature))
        return TM_ECRYPTO;
    struct der_writer w = der_writer_after(out);
    size_t end = der_mark(&w);
    put_basic(&w, responder, data, signature);
    der_wrap(&w, DER_OCTET_STRING, end);
    der_put(&w, DER_OID, pki_oid_bytes(PKI_OID_OCSP_BASIC));
    der_wrap(&w, DER_SEQUENCE, end);
    der_wrap(&w, DER_CONTEXT_CONSTRUCTED(0), end);
    wrap_response(&w, successful, end);
    return der_append(&w, out);
}

enum tm_err ca_ocsp_error(enum ca_ocsp_error error, struct buf *out) {
    struct der_writer w = der_writer_after(out);
    wrap_response(&w, (uint8_t)error, der_mark(&w));
    return der_append(&w, out);
}
