/* SPDX-License-Identifier: Apache-2.0 */
#include "cmc_rig.h"

#include <openssl/hmac.h>
#include <openssl/sha.h>

static struct bytes buf_of(const uint8_t *p, size_t n) {
    return (struct bytes){p, n};
}

/* ---- making requests ---- */

static void make_key_id(EVP_PKEY *key, uint8_t ret[20]) {
    uint8_t hash[32];
    unsigned char *spki = NULL;
    int n = i2d_PUBKEY(key, &spki);
    struct pki_spki view;
    assert_true(n > 0);
    assert_int_equal(pki_spki_parse(buf_of(spki, (size_t)n), &view), TM_OK);
    (void)SHA256(view.key.p, view.key.n, hash);
    memcpy(ret, hash, 20);
    OPENSSL_free(spki);
}

static size_t make_witness(const struct cmc_wish *wish, const struct est_cmc_request *request,
                           uint8_t ret[32]) {
    uint8_t key[32], text[256], sequence[IPC_CSR_MAX];
    struct buf out = BUF_ON(sequence);
    unsigned n = 0;
    int length = snprintf((char *)text, sizeof text, "%s%s", wish->secret, wish->device);
    (void)SHA256(text, (size_t)length, key);
    assert_int_equal(est_cmc_req_sequence_write(request, &out), TM_OK);
    assert_non_null(HMAC(EVP_sha256(), key, sizeof key, out.p, out.n, ret, &n));
    return n;
}

static void name_accepted(const struct cmc_wish *wish, struct est_cmc_request *request) {
    struct pki_cert cert;
    assert_int_equal(pki_cert_parse(wish->accept, &cert), TM_OK);
    request->accept_issuer = cert.issuer;
    request->accept_serial = cert.serial;
}

static void sign(EVP_PKEY *key, struct bytes data, struct buf *out) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t n = out->cap;
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, out->p, &n, data.p, data.n), 1);
    out->n = n;
    EVP_MD_CTX_free(ctx);
}

static void wrap(const struct cmc_wish *wish, struct bytes content, struct bytes key_id,
                 struct cmc_message *ret) {
    uint8_t digest[32], attributes[EST_SIGNED_ATTRIBUTES_MAX], signature[128], algorithm[32];
    struct buf attributes_buf = BUF_ON(attributes), signature_buf = BUF_ON(signature);
    struct buf out = BUF_ON(ret->der);
    struct der_writer w = der_writer_on(algorithm, sizeof algorithm);
    struct pki_cert cert;
    struct est_signed message = {.content_type = PKI_OID_CCT_PKI_DATA,
                                 .content = content,
                                 .certificates = wish->signer,
                                 .has_signer = true,
                                 .digest = PKI_OID_SHA256};
    (void)SHA256(content.p, content.n, digest);
    digest[0] ^= wish->other_digest;
    assert_int_equal(
        est_signed_attributes_write(PKI_OID_CCT_PKI_DATA, BYTES_OF(digest), 0, &attributes_buf),
        TM_OK);
    sign(wish->signer.n ? wish->signer_key : wish->key, buf_bytes(&attributes_buf), &signature_buf);
    ca_put_signature_algorithm(&w, PKI_OID_ECDSA_SHA256);
    if (wish->signer.n) {
        assert_int_equal(pki_cert_parse(wish->signer, &cert), TM_OK);
        message.signer = (struct est_signer_id){.issuer = cert.issuer, .serial = cert.serial};
    } else {
        message.signer.key_id = key_id;
    }
    message.attributes = buf_bytes(&attributes_buf);
    message.algorithm = der_written(&w);
    message.signature = buf_bytes(&signature_buf);
    assert_int_equal(est_signed_write(&message, &out), TM_OK);
    ret->n = out.n;
}

void cmc_make(const struct cmc_wish *wish, struct cmc_message *ret) {
    uint8_t key_id[20] = {0}, witness[32], content[IPC_CSR_MAX];
    uint8_t *csr = NULL;
    struct buf content_buf = BUF_ON(content);
    struct est_cmc_request request = {.transaction = bytes_str(wish->transaction),
                                      .sender_nonce = bytes_str(wish->nonce),
                                      .recipient_nonce = wish->challenge};
    if (wish->label) {
        request.has_label = true;
        request.label = bytes_str(wish->label);
    }
    if (wish->key) {
        make_key_id(wish->key, key_id);
        struct rig_request csr_wish = {.key = wish->key, .cn = wish->device};
        request.csr.n =
            rig_make_csr(&csr_wish, wish->no_key_id ? (struct bytes){0} : BYTES_OF(key_id), &csr);
        request.csr.p = csr;
    } else {
        name_accepted(wish, &request);
    }
    if (wish->secret) {
        request.identification = bytes_str(wish->device);
        request.witness = buf_of(witness, make_witness(wish, &request, witness));
    }
    assert_int_equal(est_cmc_request_write(&request, &content_buf), TM_OK);
    wrap(wish, buf_bytes(&content_buf), BYTES_OF(key_id), ret);
    OPENSSL_free(csr);
}

/* ---- looking at responses ---- */

static void verify(const struct rig *rig, const struct est_signed *message) {
    const struct ca_issuer *issuer = &rig->setup.issuers[0];
    uint8_t digest[EST_DIGEST_MAX], attributes[512];
    struct buf digest_buf = BUF_ON(digest), attributes_buf = BUF_ON(attributes);
    assert_int_equal(ca_issuer_digest_make(issuer, message->content, &digest_buf), TM_OK);
    assert_true(bytes_equal(buf_bytes(&digest_buf), message->message_digest));
    assert_int_equal(est_signed_attributes_message(message, &attributes_buf), TM_OK);
    assert_int_equal(ca_issuer_verify(issuer, buf_bytes(&attributes_buf), message->signature),
                     TM_OK);
}

void cmc_view(const struct rig *rig, struct bytes der, struct cmc_view *ret) {
    memset(ret, 0, sizeof *ret);
    assert_int_equal(est_signed_read(der, &ret->message), TM_OK);
    assert_int_equal(ret->message.content_type, PKI_OID_CCT_PKI_RESPONSE);
    assert_int_equal(est_cmc_response_read(ret->message.content, &ret->response), TM_OK);
    if (ret->message.has_signer)
        verify(rig, &ret->message);
    struct bytes rest = ret->message.certificates;
    struct der element;
    struct pki_cert cert;
    bool ca;
    int path_len;
    while (rest.n && !der_next(&rest, &element)) {
        assert_int_equal(pki_cert_parse(element.whole, &cert), TM_OK);
        if (pki_cert_basic_constraints(&cert, &ca, &path_len) || !ca)
            ret->leaf = element.whole;
    }
}

void cmc_challenge(struct rig *rig, const char *label, const char *device,
                   struct cmc_challenge *ret) {
    struct ipc_birth birth = {.id = 1, .wants = true};
    struct ipc_offer offer;
    static uint8_t room[IPC_CMC_MAX];
    struct buf out = BUF_ON(room);
    struct bytes challenge, certificates;
    (void)snprintf(birth.label, sizeof birth.label, "%s", label);
    (void)snprintf(birth.device, sizeof birth.device, "%s", device);
    ca_service_birth(rig->service, &birth, &out, &offer);
    assert_int_equal(offer.kind, IPC_OFFER_CHALLENGE);
    assert_int_equal(est_cmc_offer_read(offer.cmc, &challenge, &certificates), TM_OK);
    assert_true(challenge.n <= sizeof ret->octets);
    memcpy(ret->octets, challenge.p, challenge.n);
    ret->n = challenge.n;
}

struct bytes cmc_challenge_bytes(const struct cmc_challenge *challenge) {
    return buf_of(challenge->octets, challenge->n);
}

void cmc_ask(struct rig *rig, const struct cmc_message *message, struct rig_answer *answer) {
    rig_send_cmc(rig, "", buf_of(message->der, message->n), (struct bytes){0}, answer);
    rig_wait(rig, answer, 1);
}
