/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates for keys of which there is nothing to prove to oneself: the one that touchmarkd's
 * own token holds for OCSP answers (RFC 6960, 4.2.2.2), and the one that nobody holds, of a proof
 * for a cloud. They go the way of every other one, intent to record, with the key in the place of a
 * request.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>

#include "base/auto.h"
#include "ca/request.h"

AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)

bool ca_delegate_fits(struct ca_request *r, struct ca_refusal *ret) {
    memset(&r->csr, 0, sizeof r->csr);
    if (pki_spki_parse(r->message.csr, &r->csr.spki))
        return ca_refuse(ret, IPC_BAD_KEY, "the token's OCSP key cannot be read");
    return ca_check_key(&r->csr, r->label->profile, ret);
}

/* What the certificate proves is its signature. Its own key is one that nobody can ever use. */
static struct bytes make_spki(struct ca_request *r) {
    AUTO(EVP_PKEY) key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    uint8_t *at = r->proof_spki;
    int n = key ? i2d_PUBKEY(key, NULL) : -1;
    if (n <= 0 || n > (int)sizeof r->proof_spki || i2d_PUBKEY(key, &at) != n)
        return (struct bytes){0};
    return (struct bytes){r->proof_spki, (size_t)n};
}

bool ca_proof_fits(struct ca_request *r, struct ca_refusal *ret) {
    memset(&r->csr, 0, sizeof r->csr);
    if (!pki_spki_parse(make_spki(r), &r->csr.spki))
        return ca_check_key(&r->csr, r->label->profile, ret);
    ERR_clear_error();
    return ca_refuse(ret, IPC_FAILED, "the server could not make a key");
}
