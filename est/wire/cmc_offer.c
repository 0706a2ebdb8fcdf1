/* SPDX-License-Identifier: Apache-2.0 */
/* Offers: Full PKI Responses that nobody signed and that answer nothing. */
#include "est/wire/cmc.h"
#include "est/wire/signed_data.h"

#define CONTENT_MAX 128 /* octets of a PKIResponse with a nonce of EST_CMC_NONCE_MAX */

enum tm_err est_cmc_offer_write(struct bytes challenge, struct bytes certificates,
                                struct buf *out) {
    uint8_t memory[CONTENT_MAX];
    struct buf content = BUF_ON(memory);
    const struct est_cmc_response response = {.sender_nonce = challenge};
    if (challenge.n == 0)
        return TM_EINVAL;
    enum tm_err err = est_cmc_response_write(&response, &content);
    if (err)
        return err;
    const struct est_signed message = {.content_type = PKI_OID_CCT_PKI_RESPONSE,
                                       .content = buf_bytes(&content),
                                       .certificates = certificates};
    return est_signed_write(&message, out);
}

/* A refusal that could not be signed looks the same but for its status. */
enum tm_err est_cmc_offer_read(struct bytes der, struct bytes *ret_challenge,
                               struct bytes *ret_certificates) {
    struct est_signed message;
    struct est_cmc_response response;
    if (est_signed_read(der, &message) != TM_OK || message.has_signer ||
        message.content_type != PKI_OID_CCT_PKI_RESPONSE ||
        est_cmc_response_read(message.content, &response) != TM_OK || response.has_status ||
        response.transaction.n != 0 || response.recipient_nonce.n != 0 ||
        response.sender_nonce.n == 0)
        return TM_EPARSE;
    *ret_challenge = response.sender_nonce;
    *ret_certificates = message.certificates;
    return TM_OK;
}
