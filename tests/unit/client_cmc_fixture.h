/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device's tables in memory and a CA that answers its Full PKI Requests: OpenSSL's CMS verifies
 * the requests and signs the responses, so that both are judged by somebody else's code.
 */
#ifndef TOUCHMARK_TESTS_CLIENT_CMC_FIXTURE_H
#define TOUCHMARK_TESTS_CLIENT_CMC_FIXTURE_H

#include "verify_fixture.h"

#include <openssl/cms.h>

#include "client/cmc.h"
#include "client/request.h"
#include "est/wire/certs_only.h"
#include "est/wire/cmc.h"
#include "est/wire/signed_data.h"

#define CF_DEVICE "pump-17"
#define CF_LABEL "ldevid"
#define CF_DIGESTS_MAX 8

enum { CF_KEY_IDEVID = 0, CF_KEY_CURRENT = 1, CF_KEY_NEW = 2 }; /* banks */

struct cf {
    struct vf *vf;
    struct tm_cmc cmc;
    struct tm_keys keys;
    struct tm_storage storage;
    EVP_PKEY *banks[TM_BANKS];
    struct bytes items[TM_ITEM_COUNT]; /* empty: not there */
    enum tm_err broken;                /* what the storage answers instead of working */
    unsigned again;                    /* so often the key store says TM_EAGAIN */
    uint8_t digests[CF_DIGESTS_MAX][TM_SHA256_SIZE]; /* that it was asked to sign */
    unsigned asked;
    uint8_t work[TM_CMC_WORK_SIZE];
    uint8_t out[TM_CMC_REQUEST_MAX];
    /* the CA's side; root_der is the one anchor that the device holds, issuing_der is in its set */
    struct vf_party root, issuing, leaf;
    struct bytes root_der, issuing_der, leaf_der;
    struct bytes issued; /* for the key in CF_KEY_NEW */
};

/* ---- the device's tables ---- */

static enum tm_err cf_read(void *self, enum tm_item item, struct buf *out) {
    struct cf *cf = self;
    if (cf->broken)
        return cf->broken;
    if (cf->items[item].n == 0)
        return TM_ENOTFOUND;
    buf_put(out, cf->items[item]);
    return out->full ? TM_ELIMIT : TM_OK;
}

static enum tm_err cf_key_sign(void *self, unsigned bank, const uint8_t digest[TM_SHA256_SIZE],
                               struct buf *out) {
    struct cf *cf = self;
    uint8_t octets[TM_SIGNATURE_MAX];
    size_t n = sizeof octets;
    assert_in_range(cf->asked, 0, CF_DIGESTS_MAX - 1);
    memcpy(cf->digests[cf->asked++], digest, TM_SHA256_SIZE);
    if (cf->again > 0) {
        cf->again--;
        return TM_EAGAIN;
    }
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(cf->banks[bank], NULL);
    assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
    assert_int_equal(EVP_PKEY_sign(ctx, octets, &n, digest, TM_SHA256_SIZE), 1);
    EVP_PKEY_CTX_free(ctx);
    buf_put(out, (struct bytes){octets, n});
    return out->full ? TM_ELIMIT : TM_OK;
}

UNUSED static struct tm_cmc_config cf_config(struct cf *cf) {
    return (struct tm_cmc_config){CF_DEVICE, &cf->keys, &cf->storage, &cf->vf->crypto};
}

/* Power comes back: everything but the tables is gone. */
UNUSED static void cf_boot(struct cf *cf) {
    struct tm_cmc_config config = cf_config(cf);
    memset(&cf->cmc, 0xa5, sizeof cf->cmc);
    assert_int_equal(tm_cmc_init(&cf->cmc, &config, cf->work, sizeof cf->work), TM_OK);
}

static void cf_make_certificates(struct cf *cf) {
    cf->root = (struct vf_party){"Root", NULL, vf_key(1)};
    cf->issuing = (struct vf_party){"Issuing", NULL, vf_key(2)};
    cf->leaf = (struct vf_party){CF_DEVICE, NULL, vf_key(3)};
    struct vf_party renewed = {CF_DEVICE, NULL, vf_key(4)};
    cf->root_der = vf_issue(cf->vf, &cf->root, &cf->root, VF_PLAIN);
    cf->issuing_der = vf_issue(cf->vf, &cf->issuing, &cf->root, (struct vf_options){.serial = 2});
    cf->leaf_der = vf_leaf(cf->vf, &cf->leaf, &cf->issuing, (struct vf_options){.serial = 3});
    cf->issued = vf_leaf(cf->vf, &renewed, &cf->issuing,
                         (struct vf_options){.serial = 4, .from_ms = -VF_DAY});
}

UNUSED static int cf_setup(void **state) {
    struct cf *cf = calloc(1, sizeof *cf);
    assert_non_null(cf);
    void *vf;
    assert_int_equal(vf_setup(&vf), 0);
    cf->vf = vf;
    cf->keys = (struct tm_keys){.version = TM_TABLE_VERSION, .self = cf, .sign = cf_key_sign};
    cf->storage = (struct tm_storage){.version = TM_TABLE_VERSION, .self = cf, .read = cf_read};
    cf_make_certificates(cf);
    cf->banks[CF_KEY_CURRENT] = cf->leaf.key;
    cf->banks[CF_KEY_NEW] = vf_key(4);
    cf->items[TM_ITEM_ANCHORS_1] = VF_SET(cf->vf, cf->root_der, cf->issuing_der);
    cf->items[TM_ITEM_CHAIN_2] = VF_SET(cf->vf, cf->leaf_der, cf->issuing_der);
    cf->items[TM_ITEM_BOOTSTRAP] = vf_keep(cf->vf, BYTES_OF(CF_DEVICE "\0"
                                                                      "one-time secret"));
    cf->items[TM_ITEM_BOOTSTRAP].n--; /* without the literal's own NUL */
    cf_boot(cf);
    *state = cf;
    return 0;
}

UNUSED static int cf_teardown(void **state) {
    struct cf *cf = *state;
    void *vf = cf->vf;
    (void)vf_teardown(&vf);
    free(cf);
    return 0;
}

/* ---- exchanges ---- */

/* A PKCS#10 for the key, as client/obtain.c makes it. */
UNUSED static struct bytes cf_pkcs10(struct cf *cf, EVP_PKEY *key, const char *key_id) {
    uint8_t memory[1024], octets[TM_SIGNATURE_MAX];
    struct buf info = BUF_ON(memory);
    struct tm_request request = {.device_id = CF_DEVICE, .spki = vf_spki(cf->vf, key)};
    if (key_id)
        request.key_id = bytes_str(key_id);
    assert_int_equal(tm_request_info(&request, &info), TM_OK);
    size_t n = sizeof octets;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, octets, &n, info.p, info.n), 1);
    EVP_MD_CTX_free(ctx);
    uint8_t whole[1200];
    struct buf out = BUF_ON(whole);
    assert_int_equal(tm_request_finish(buf_bytes(&info), (struct bytes){octets, n}, &out), TM_OK);
    return vf_keep(cf->vf, buf_bytes(&out));
}

UNUSED static struct tm_exchange cf_renewal(struct cf *cf) {
    return (struct tm_exchange){.operation = TM_OP_REENROLL,
                                .label = CF_LABEL,
                                .slot = TM_SLOT_CURRENT,
                                .key_bank = CF_KEY_CURRENT,
                                .chain_bank = 2,
                                .request_bank = CF_KEY_NEW,
                                .anchors_bank = 1,
                                .body = cf_pkcs10(cf, vf_key(4), NULL)};
}

#define CF_KEY_ID "the-new-key's-own-id"
UNUSED static struct tm_exchange cf_first(struct cf *cf) {
    return (struct tm_exchange){.operation = TM_OP_ENROLL,
                                .label = CF_LABEL,
                                .request_bank = CF_KEY_NEW,
                                .anchors_bank = 1,
                                .secret = true,
                                .body = cf_pkcs10(cf, vf_key(4), CF_KEY_ID)};
}

UNUSED static struct tm_exchange cf_probe(void) {
    return (struct tm_exchange){.operation = TM_OP_PROBE,
                                .label = CF_LABEL,
                                .slot = TM_SLOT_NEXT,
                                .key_bank = CF_KEY_CURRENT,
                                .chain_bank = 2,
                                .anchors_bank = 1};
}

/* Makes the request; it stands in cf->out. */
UNUSED static struct bytes cf_request(struct cf *cf, const struct tm_exchange *exchange) {
    struct buf out = BUF_ON(cf->out);
    cf->asked = 0;
    assert_int_equal(tm_cmc_request(&cf->cmc, exchange, &out), TM_OK);
    return buf_bytes(&out);
}

UNUSED static struct bytes cf_offer(struct cf *cf, const char *challenge) {
    uint8_t memory[4096];
    struct buf out = BUF_ON(memory);
    struct bytes certificates = VF_SET(cf->vf, cf->root_der, cf->issuing_der);
    assert_int_equal(est_cmc_offer_write(bytes_str(challenge), certificates, &out), TM_OK);
    return vf_keep(cf->vf, buf_bytes(&out));
}

/* ---- the CA's side ---- */

static X509 *cf_x509(struct bytes der) {
    const unsigned char *p = der.p;
    X509 *cert = d2i_X509(NULL, &p, (long)der.n);
    assert_non_null(cert);
    return cert;
}

/* Who signs a response, and how. */
struct cf_signer {
    struct bytes certificate;
    EVP_PKEY *key;
    bool by_key_id;
    const EVP_MD *digest;     /* NULL: SHA-256 */
    const char *signing_time; /* UTCTime; NULL: 300101000000Z */
};

static void cf_add_signer(CMS_ContentInfo *cms, const struct cf_signer *signer) {
    const char *time = signer->signing_time ? signer->signing_time : "300101000000Z";
    X509 *cert = cf_x509(signer->certificate);
    unsigned flags = CMS_BINARY | CMS_PARTIAL | CMS_NOSMIMECAP | CMS_NOCERTS |
                     (signer->by_key_id ? CMS_USE_KEYID : 0);
    CMS_SignerInfo *si = CMS_add1_signer(cms, cert, signer->key,
                                         signer->digest ? signer->digest : EVP_sha256(), flags);
    assert_non_null(si);
    assert_int_equal(CMS_signed_add1_attr_by_NID(si, NID_pkcs9_signingTime, V_ASN1_UTCTIME, time,
                                                 (int)strlen(time)),
                     1);
    X509_free(cert);
}

/* A SignedData of the content, by OpenSSL; `bag` is certificates one after the other. */
UNUSED static struct bytes cf_sign(struct cf *cf, const struct cf_signer *signer, const char *type,
                                   struct bytes content, struct bytes bag) {
    CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, CMS_PARTIAL | CMS_BINARY);
    ASN1_OBJECT *oid = OBJ_txt2obj(type, 1);
    BIO *in = BIO_new_mem_buf(content.p, (int)content.n);
    struct fixture_der der;
    struct der element;
    assert_int_equal(CMS_set1_eContentType(cms, oid), 1);
    cf_add_signer(cms, signer);
    while (bag.n > 0) {
        assert_int_equal(der_next(&bag, &element), TM_OK);
        X509 *cert = cf_x509(element.whole);
        assert_int_equal(CMS_add1_cert(cms, cert), 1);
        X509_free(cert);
    }
    assert_int_equal(CMS_final(cms, in, NULL, CMS_BINARY), 1);
    FIXTURE_I2D(&der, CMS_ContentInfo, cms);
    struct bytes kept = vf_keep(cf->vf, fixture_bytes(&der));
    fixture_free(&der);
    BIO_free(in);
    ASN1_OBJECT_free(oid);
    CMS_ContentInfo_free(cms);
    return kept;
}
#define CF_PKI_RESPONSE "1.3.6.1.5.5.7.12.3"

/* What a request says; borrowed from it. */
struct cf_asked {
    struct est_signed message;
    struct est_cmc_request request;
    struct bytes whole;
};

UNUSED static struct cf_asked cf_open(struct bytes request) {
    struct cf_asked asked = {.whole = request};
    assert_int_equal(est_signed_read(request, &asked.message), TM_OK);
    assert_int_equal(asked.message.content_type, PKI_OID_CCT_PKI_DATA);
    assert_int_equal(est_cmc_request_read(asked.message.content, &asked.request), TM_OK);
    return asked;
}

#define CF_NEXT_CHALLENGE "next challenge"

/* What a sound CA answers a request with; tests change it before it is signed. */
UNUSED static struct est_cmc_response cf_reply(struct cf *cf, const struct cf_asked *asked,
                                               enum est_cmc_status status) {
    uint8_t hash[TM_SHA256_SIZE];
    const struct tm_crypto *crypto = tm_openssl_crypto();
    assert_int_equal(crypto->sha256(crypto->self, &asked->whole, 1, hash), TM_OK);
    return (struct est_cmc_response){.request_hash = vf_keep(cf->vf, BYTES_OF(hash)),
                                     .transaction = asked->request.transaction,
                                     .sender_nonce = bytes_str(CF_NEXT_CHALLENGE),
                                     .recipient_nonce = asked->request.sender_nonce,
                                     .has_status = true,
                                     .status = status,
                                     .part = asked->request.part};
}

UNUSED static struct cf_signer cf_ca(const struct cf *cf) {
    return (struct cf_signer){.certificate = cf->issuing_der, .key = cf->issuing.key};
}

UNUSED static struct bytes cf_content(struct cf *cf, const struct est_cmc_response *reply) {
    uint8_t memory[2048];
    struct buf out = BUF_ON(memory);
    assert_int_equal(est_cmc_response_write(reply, &out), TM_OK);
    return vf_keep(cf->vf, buf_bytes(&out));
}

/* The reply, signed by the issuing CA. */
UNUSED static struct bytes cf_respond(struct cf *cf, const struct est_cmc_response *reply,
                                      struct bytes bag) {
    struct cf_signer ca = cf_ca(cf);
    return cf_sign(cf, &ca, CF_PKI_RESPONSE, cf_content(cf, reply), bag);
}

#endif
