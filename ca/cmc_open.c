/* SPDX-License-Identifier: Apache-2.0 */
/* A Full PKI Request read and its signature verified: see ca/cmc.h. */
#include "ca/cmc.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "ca/signature.h"
#include "pki/name.h"

#define ATTRIBUTES_MAX 4096 /* octets of the signed attributes of a request */

enum tm_err ca_cmc_new(struct ca_request *r) {
    struct ca_cmc *cmc = calloc(1, sizeof *cmc);
    if (!cmc)
        return TM_ENOMEM;
    r->cmc = cmc;
    cmc->tls_leaf = r->message.peer_leaf;
    cmc->read = est_signed_read(r->message.csr, &cmc->message);
    if (!cmc->read && cmc->message.content_type != PKI_OID_CCT_PKI_DATA)
        cmc->read = TM_EPARSE;
    if (!cmc->read)
        cmc->read = est_cmc_request_read(cmc->message.content, &cmc->request);
    if (!cmc->read)
        cmc->read = ca_hash(r->service->hasher, &r->message.csr, 1, cmc->hash);
    return TM_OK;
}

void ca_cmc_free(struct ca_cmc *cmc) {
    free(cmc);
}

static void copy_text(struct bytes text, char ret[IPC_NAME_MAX + 1]) {
    size_t n = text.n < IPC_NAME_MAX ? text.n : IPC_NAME_MAX;
    if (n)
        memcpy(ret, text.p, n);
    ret[n] = 0;
}

/* The path chooses among labels for a client that does not; what the client signed counts more,
 * since a carrier that is not trusted could choose another. */
const struct ca_label *ca_cmc_label(struct ca_request *r, struct ca_refusal *ret) {
    const struct ca_cmc *cmc = r->cmc;
    char signed_label[IPC_NAME_MAX + 1] = "";
    const char *name = r->message.label;
    if (!cmc->read && cmc->request.has_label) {
        copy_text(cmc->request.label, signed_label);
        if (name[0] && strcmp(name, signed_label) != 0) {
            (void)ca_refuse(ret, IPC_BAD_CMC, "regInfo names label \"%s\" and the path \"%s\"",
                            signed_label, name);
            return NULL;
        }
        name = signed_label;
    }
    const struct ca_label *label = ca_service_label(r->service, name);
    if (!label)
        (void)ca_refuse(ret, IPC_UNKNOWN_LABEL, "there is no label \"%s\" here", name);
    return label;
}

/* ---- who signed ---- */

/* The certificate in the message that the signer is named by. */
static enum tm_err find_signer(const struct est_signed *message, struct pki_cert *ret) {
    struct bytes rest = message->certificates;
    struct der element;
    while (rest.n && !der_next(&rest, &element))
        if (!pki_cert_parse(element.whole, ret) &&
            bytes_equal(ret->serial, message->signer.serial) &&
            pki_name_equal(ret->issuer, message->signer.issuer))
            return TM_OK;
    return TM_ENOTFOUND;
}

/* RFC 5272, 3.2: without a certificate the requested key signs, and its SKI says so. */
static bool names_requested_key(const struct ca_request *r) {
    const struct pki_extension *ski = pki_csr_extension(&r->csr, PKI_OID_SUBJECT_KEY_ID);
    struct der key_id;
    return ski && !der_only(ski->value, DER_OCTET_STRING, &key_id) &&
           bytes_equal(key_id.value, r->cmc->message.signer.key_id);
}

static bool read_csr(struct ca_request *r, struct ca_refusal *ret) {
    r->message.csr = r->cmc->request.csr;
    if (!r->message.csr.n || !pki_csr_parse(r->message.csr, &r->csr))
        return true;
    return ca_refuse(ret, IPC_BAD_CSR, "the PKCS#10 in reqSequence cannot be read (RFC 2986, 4.2)");
}

static bool find_key(struct ca_request *r, struct pki_spki *ret_spki, struct ca_refusal *ret) {
    const struct est_signed *message = &r->cmc->message;
    struct pki_cert cert;
    if (message->signer.key_id.n) {
        if (!r->message.csr.n || !names_requested_key(r))
            return ca_refuse(ret, IPC_BAD_SIGNATURE,
                             "the signer's subjectKeyIdentifier is not that of the requested key "
                             "(RFC 5272, 3.2)");
        *ret_spki = r->csr.spki;
        r->message.peer_leaf = r->message.peer_chain = (struct bytes){0};
        return true;
    }
    if (find_signer(message, &cert))
        return ca_refuse(ret, IPC_BAD_SIGNATURE, "the signer's certificate is not in the message");
    *ret_spki = cert.spki;
    r->message.peer_leaf = cert.whole;
    r->message.peer_chain = message->certificates;
    return true;
}

/* ---- the signature (RFC 5652, 5.6) ---- */

static bool digest_fits(const struct est_signed *message) {
    uint8_t octets[EST_DIGEST_MAX];
    struct buf digest = BUF_ON(octets);
    return !ca_digest(message->digest, message->content, &digest) &&
           bytes_equal(buf_bytes(&digest), message->message_digest);
}

static bool signature_fits(struct ca_request *r, const struct pki_spki *spki,
                           struct ca_refusal *ret) {
    const struct est_signed *message = &r->cmc->message;
    uint8_t octets[ATTRIBUTES_MAX];
    struct buf attributes = BUF_ON(octets);
    enum pki_oid algorithm = ca_signature_of_signer(message->algorithm, message->digest);
    if (!digest_fits(message))
        return ca_refuse(ret, IPC_BAD_SIGNATURE,
                         "the message-digest is not that of the content by SHA-256, SHA-384 or "
                         "SHA-512 (RFC 5652, 11.2)");
    if (est_signed_attributes_message(message, &attributes))
        return ca_refuse(ret, IPC_BAD_SIGNATURE, "the signed attributes are too long");
    switch (ca_signature_verify(r->service->checker, spki, algorithm, buf_bytes(&attributes),
                                message->signature)) {
    case TM_OK:
        return true;
    case TM_EINVAL:
        return ca_refuse(ret, IPC_BAD_SIGNATURE,
                         "the signature algorithm is not taken, or not one of the signer's key");
    default:
        return ca_refuse(ret, IPC_BAD_SIGNATURE,
                         "the signature does not verify with the signer's key (RFC 5652, 5.6)");
    }
}

bool ca_cmc_open(struct ca_request *r, struct ca_refusal *ret) {
    struct ca_cmc *cmc = r->cmc;
    struct pki_spki spki;
    if (cmc->opened)
        return true;
    if (cmc->read)
        return ca_refuse(ret, IPC_BAD_CMC,
                         "the body is not a Full PKI Request with one PKCS#10 or one "
                         "confirmCertAcceptance (RFC 5272, 3.2)");
    if (!cmc->message.has_signer)
        return ca_refuse(ret, IPC_BAD_SIGNATURE, "the message is not signed (RFC 5272, 3.2)");
    if (!read_csr(r, ret) || !find_key(r, &spki, ret) || !signature_fits(r, &spki, ret))
        return false;
    if (cmc->request.witness.n)
        copy_text(cmc->request.identification, r->message.user);
    cmc->opened = true;
    return true;
}

/* ---- identityProofV2 ---- */

bool ca_cmc_proof_fits(struct ca_request *r, const struct ca_device *device) {
    const struct ca_secret *secret = &device->secret;
    const struct est_cmc_request *request = &r->cmc->request;
    uint8_t key[CA_HASH_SIZE] = {0}, mac[EVP_MAX_MD_SIZE] = {0};
    unsigned n = 0;
    bool known = r->service->config->wrap && secret->set && secret->has_proof &&
                 !ca_wrap_unseal(r->service->config->wrap, device->tenant, device->id, secret->salt,
                                 secret->proof, key);
    /* Made in any case, so that time does not tell whether the device exists. */
    bool made = HMAC(EVP_sha256(), key, sizeof key, request->req_sequence.p,
                     request->req_sequence.n, mac, &n) != NULL;
    bytes_wipe(key, sizeof key);
    return known && made && request->witness.n == n &&
           CRYPTO_memcmp(mac, request->witness.p, n) == 0;
}
