/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A generated key for one client (RFC 7030, 4.4.2): AsymmetricKeyPackage (RFC 5958) in SignedData
 * in EnvelopedData. The issuing CA signs, since its key is the one that every client of it can
 * verify; the signer gets the package's digest and no more.
 */
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>

#include "base/auto.h"
#include "base/crash.h"
#include "base/log.h"
#include "ca/keygen.h"

AUTO_DEFINE(BIO, BIO_free_all)
AUTO_DEFINE(CMS_ContentInfo, CMS_ContentInfo_free)
AUTO_DEFINE(X509, X509_free)

static const struct ca_issuer *issuer_of(const struct ca_request *r) {
    return r->label->tenant->issuer;
}

static struct bytes attributes_of(const struct ca_generated *g) {
    return (struct bytes){g->attributes, g->attributes_n};
}

/* ---- EnvelopedData ---- */

static const EVP_MD *kdf_digest(const struct ca_key_recipient *to) {
    return to->kdf == PKI_OID_ECDH_SHA384_KDF ? EVP_sha384() : EVP_sha256();
}

/* RSAES-OAEP with SHA-256 (RFC 8017, 7.1), or ECDH with a key derivation by SHA-2 (RFC
 * 5753, 7.1.4); the key wrap has the size of the content's key. */
static bool set_method(const struct ca_key_recipient *to, EVP_PKEY_CTX *ctx) {
    if (to->kind != CA_KEY_RSA2048)
        return EVP_PKEY_CTX_set_ecdh_kdf_md(ctx, kdf_digest(to)) > 0;
    return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0 &&
           EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) > 0 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) > 0;
}

static bool add_recipient(const struct ca_key_recipient *to, struct bytes leaf,
                          CMS_ContentInfo *cms) {
    const uint8_t *p = leaf.p;
    AUTO(X509) cert = d2i_X509(NULL, &p, (long)leaf.n);
    CMS_RecipientInfo *info =
        cert ? CMS_add1_recipient_cert(cms, cert, CMS_USE_KEYID | CMS_KEY_PARAM) : NULL;
    EVP_PKEY_CTX *ctx = info ? CMS_RecipientInfo_get0_pkey_ctx(info) : NULL;
    return ctx && set_method(to, ctx);
}

static bool put_message(CMS_ContentInfo *cms, struct buf *out) {
    int n = i2d_CMS_ContentInfo(cms, NULL);
    if (n <= 0 || (size_t)n > out->cap - out->n)
        return false;
    uint8_t *p = out->p + out->n;
    out->n += (size_t)n;
    return i2d_CMS_ContentInfo(cms, &p) == n;
}

/* The content is of the type id-signedData, so what is encrypted is a SignedData and not the
 * ContentInfo round it (RFC 5652, 6.1). */
static bool envelop(const struct ca_key_recipient *to, struct bytes leaf, struct bytes signed_data,
                    struct buf *out) {
    AUTO(BIO) in = BIO_new_mem_buf(signed_data.p, (int)signed_data.n);
    AUTO(CMS_ContentInfo)
    cms = CMS_encrypt(NULL, NULL, to->aes == 256 ? EVP_aes_256_cbc() : EVP_aes_128_cbc(),
                      CMS_BINARY | CMS_PARTIAL);
    bool good = in && cms && CMS_set1_eContentType(cms, OBJ_nid2obj(NID_pkcs7_signed)) == 1 &&
                add_recipient(to, leaf, cms) && CMS_final(cms, in, NULL, CMS_BINARY) == 1 &&
                put_message(cms, out);
    ERR_clear_error();
    return good;
}

/* ---- SignedData ---- */

/* What the ContentInfo holds. */
static bool open_content(struct bytes message, struct bytes *ret) {
    struct der outer, type, content;
    if (der_only(message, DER_SEQUENCE, &outer) || der_expect(&outer.value, DER_OID, &type) ||
        der_only(outer.value, DER_CONTEXT_CONSTRUCTED(0), &content))
        return false;
    *ret = content.value;
    return true;
}

static bool put_signed(const struct ca_request *r, struct bytes signature, struct buf *out) {
    const struct ca_issuer *issuer = issuer_of(r);
    const struct ca_generated *g = r->generated;
    uint8_t algorithm[64];
    struct der_writer w = der_writer_on(algorithm, sizeof algorithm);
    ca_put_signature_algorithm(&w, issuer->signature);
    const struct est_signed message = {
        .content_type = PKI_OID_CT_KP_AKEY_PACKAGE,
        .content = {g->package, g->package_n},
        .certificates = issuer->der,
        .has_signer = true,
        .signer = {.issuer = issuer->view.issuer, .serial = issuer->view.serial},
        .digest = ca_issuer_digest(issuer),
        .attributes = attributes_of(g),
        .algorithm = der_written(&w),
        .signature = signature};
    return est_signed_write(&message, out) == TM_OK;
}

static bool protect(struct ca_request *r, struct bytes signature) {
    struct ca_generated *g = r->generated;
    uint8_t memory[CA_KEY_PART_MAX];
    struct buf message = BUF_ON(memory), part = {g->part + 1, CA_KEY_PART_MAX, 0, false};
    struct bytes signed_data;
    bool good = put_signed(r, signature, &message) &&
                open_content(buf_bytes(&message), &signed_data) &&
                envelop(&g->recipient, r->message.peer_leaf, signed_data, &part);
    bytes_wipe(memory, sizeof memory);
    g->part_n = part.n + 1;
    return good;
}

/* ---- signing ---- */

static void fail(struct ca_request *r) {
    (void)ca_refuse(&r->end, IPC_FAILED, "the server could not protect the key that it made");
    ca_burn(r);
}

static void signed_done(struct ca_ticket *ticket, enum ipc_sign_status status,
                        struct bytes signature) {
    struct ca_request *r = ticket->arg;
    if (status == IPC_SIGN_OK &&
        ca_issuer_verify(issuer_of(r), attributes_of(r->generated), signature)) {
        log_line(LOG_LEVEL_ERROR, r->message.id,
                 "the signer's signature of a generated key does not verify with issuer %s; the "
                 "signer is restarted",
                 issuer_of(r)->name);
        r->service->signer->ops->distrust(r->service->signer, ticket);
        status = IPC_SIGN_FAILED;
    }
    crash_point("core.key_signed");
    if (status != IPC_SIGN_OK)
        ca_sign_failed(r, status);
    else if (protect(r, signature))
        ca_keygen_seal(r);
    else
        fail(r);
}

/* AsymmetricKeyPackage ::= SEQUENCE SIZE (1..MAX) OF OneAsymmetricKey, which a PKCS#8 is. */
static bool put_package(struct ca_generated *g) {
    struct der_writer w = der_writer_on(g->package, sizeof g->package);
    der_put(&w, DER_SEQUENCE, (struct bytes){g->pkcs8, g->pkcs8_n});
    struct bytes written = der_written(&w);
    memmove(g->package, written.p, written.n);
    g->package_n = written.n;
    return written.n > 0;
}

void ca_keygen_package(struct ca_request *r) {
    struct ca_generated *g = r->generated;
    uint8_t octets[EST_DIGEST_MAX];
    struct buf digest = BUF_ON(octets), attributes = BUF_ON(g->attributes);
    /* Not the request's time: a signer that was gone for long would take the ticket for a stale
     * one. */
    int64_t now_ms = r->service->config->now_ms();
    if (!put_package(g) ||
        ca_issuer_digest_make(issuer_of(r), (struct bytes){g->package, g->package_n}, &digest) ||
        est_signed_attributes_write(PKI_OID_CT_KP_AKEY_PACKAGE, buf_bytes(&digest), now_ms,
                                    &attributes)) {
        fail(r);
        return;
    }
    g->attributes_n = attributes.n;
    memcpy(g->digest, digest.p, digest.n);
    g->ticket = (struct ca_ticket){.kind = CA_TICKET_KEYGEN,
                                   .issuer = issuer_of(r)->name,
                                   .content = {g->digest, digest.n},
                                   .signing_time_ms = now_ms,
                                   .done = signed_done,
                                   .arg = r};
    if (r->service->signer->ops->sign(r->service->signer, &g->ticket))
        ca_sign_failed(r, IPC_SIGN_CEILING);
}
