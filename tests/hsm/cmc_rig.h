/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Full PKI Requests as a device makes them, with keys in memory, and a look into the responses.
 * Every member can be set wrong on purpose.
 */
#ifndef TOUCHMARK_TESTS_HSM_CMC_RIG_H
#define TOUCHMARK_TESTS_HSM_CMC_RIG_H

#include "est/wire/cmc.h"
#include "est/wire/signed_data.h"
#include "service_rig.h"

struct cmc_wish {
    const char *label;   /* regInfo; NULL = none */
    const char *device;  /* CN and serialNumber of the PKCS#10, and identification */
    EVP_PKEY *key;       /* that is asked for; NULL: a confirmation of `accept` */
    const char *secret;  /* identityProofV2; NULL = none */
    struct bytes signer; /* certificate that signs; empty: the requested key does */
    EVP_PKEY *signer_key;
    struct bytes accept;    /* certificate to confirm */
    struct bytes challenge; /* recipientNonce */
    const char *transaction;
    const char *nonce;
    bool other_digest; /* the message-digest is another's */
    bool no_key_id;    /* the PKCS#10 has no subjectKeyIdentifier */
};

struct cmc_message {
    uint8_t der[IPC_CSR_MAX];
    size_t n;
};
void cmc_make(const struct cmc_wish *wish, struct cmc_message *ret);

/* A response taken apart. */
struct cmc_view {
    struct est_signed message;
    struct est_cmc_response response;
    struct bytes leaf; /* first certificate in the bag that is no CA; empty: none */
};
/* Reads and, when it is signed, verifies with the rig's issuer; fails the test when that fails. */
void cmc_view(const struct rig *rig, struct bytes der, struct cmc_view *ret);

/* A challenge for the device, from the offer that a birth brings. */
struct cmc_challenge {
    uint8_t octets[EST_CMC_NONCE_MAX];
    size_t n;
};
void cmc_challenge(struct rig *rig, const char *label, const char *device,
                   struct cmc_challenge *ret);
struct bytes cmc_challenge_bytes(const struct cmc_challenge *challenge);

/* Sends by MQTT and waits. */
void cmc_ask(struct rig *rig, const struct cmc_message *message, struct rig_answer *answer);

#endif
