/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Full CMC for devices (RFC 5272; RFC 7030, 4.3): the device library's exchanges as messages that
 * are authenticated end to end, for carriers that are not trusted, such as an MQTT broker. It
 * stands between tm_device and a transport: the transport carries bytes, this makes and judges
 * them. No allocation, sockets, clock or threads; one object belongs to one device and one thread.
 *
 * An exchange over CMC:
 *   CACERTS            wait for an offer, tm_cmc_offer: answers with the CA certificates, and keeps
 *                      the challenge for the request
 *   ENROLL, REENROLL   tm_cmc_request makes the Full PKI Request; send it, again until something
 *                      comes; tm_cmc_response judges what comes
 *   PROBE              tm_cmc_request makes the confirmCertAcceptance of the slot's certificate, by
 *                      its key: the server's answer says that it is active there. Then the same
 * A response that is not the answer to this very request (another transaction or nonce, no
 * signature of the CA, somebody else's certificate) is passed over, whatever it says: only a signed
 * refusal counts as one.
 */
#ifndef TOUCHMARK_CLIENT_CMC_H
#define TOUCHMARK_CLIENT_CMC_H

#include "client/device.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TM_CMC_CHALLENGE_MAX 64 /* octets of a server's challenge */
#define TM_CMC_NONCE_SIZE 16
#define TM_CMC_TRANSACTION_SIZE 16
#define TM_CMC_REQUEST_MAX 8192   /* octets of a Full PKI Request of this library */
#define TM_CMC_RESPONSE_MAX 16384 /* octets of a Full PKI Response that is looked at */
#define TM_CMC_WORK_SIZE 16384    /* octets of work memory */

struct tm_cmc_config {
    const char *device_id; /* as in tm_config */
    const struct tm_keys *keys;
    const struct tm_storage *storage;
    const struct tm_crypto *crypto;
};

/* Members are for the library alone. */
struct tm_cmc {
    struct tm_cmc_config config;
    uint8_t *work;
    size_t work_size;
    uint8_t challenge[TM_CMC_CHALLENGE_MAX];
    size_t challenge_n;
    uint8_t nonce[TM_CMC_NONCE_SIZE];             /* senderNonce of the request under way */
    uint8_t transaction[TM_CMC_TRANSACTION_SIZE]; /* its transactionId */
    uint8_t hash[TM_SHA256_SIZE];                 /* of the whole request */
    bool signing; /* the key store was asked for its signature and said TM_EAGAIN */
    bool asked;   /* it was made and has no answer yet */
};

/* Strings, tables and work (at least TM_CMC_WORK_SIZE) must outlive it. TM_EINVAL. */
MUST_USE enum tm_err tm_cmc_init(struct tm_cmc *cmc, const struct tm_cmc_config *config,
                                 uint8_t *work, size_t work_size);

/* Takes an offer in: keeps its challenge and, for a CACERTS exchange, appends its certificates to
 * `out` as the certs-only message that tm_answer.body wants (NULL: not wanted). TM_EPARSE: not an
 * offer, or one without the certificates that are wanted: pass it over. TM_ELIMIT. */
MUST_USE enum tm_err tm_cmc_offer(struct tm_cmc *cmc, struct bytes offer, struct buf *out);

/* Is a challenge held that no request has used? Without, an ENROLL is refused by the server, which
 * sends a new one with its refusal. */
bool tm_cmc_ready(const struct tm_cmc *cmc);

/*
 * Appends the Full PKI Request for an exchange of kind ENROLL, REENROLL or PROBE: signed with the
 * slot's key, or, with `exchange->secret` and no slot, with the requested key (which is in
 * request_bank, and whose subjectKeyIdentifier `body` asks for). With `exchange->secret` it proves
 * TM_ITEM_BOOTSTRAP by identityProofV2 (RFC 5272, 6.2.1). The transactionId follows from label,
 * authenticating certificate (or device ID) and requested key, or from the certificate that a PROBE
 * confirms, so that a device that lost power makes the same one again. The nonce is new, and the
 * challenge, if one is held, is used up: send the same octets again until something comes, and call
 * this for another request only. From this call on nothing is an answer to the request before.
 *
 * TM_EAGAIN: the key store is at work: call it again with the same exchange, which goes on with the
 * same nonce, so that the key store is asked for the same signature. (Unless a new challenge was
 * taken in between, which the request then has.) TM_ENOTFOUND: a credential that is not there;
 * TM_ECORRUPT: one that is none; TM_ELIMIT: more than TM_CMC_REQUEST_MAX octets, or than `out` has
 * room for; TM_EINVAL: another kind of exchange, or one without a credential; errors of the tables.
 */
MUST_USE enum tm_err tm_cmc_request(struct tm_cmc *cmc, const struct tm_exchange *exchange,
                                    struct buf *out);

/*
 * Judges a Full PKI Response; `exchange` is that of the request. TM_OK: it is the answer, of which
 * there is one: *ret is filled in whole; its body, for ENROLL and REENROLL, is appended to `out` as
 * a certs-only message of the one certificate. TM_EDENIED: it is none to this request, or nobody
 * who may has signed it: pass it over and wait on; text of *ret says why, the rest of it is
 * untouched. Errors of the tables: nothing is known, it may be judged again.
 *
 * - The signer has to be a CA certificate, or one for id-kp-cmcRA or id-kp-cmcCA (RFC 6402, 2.10),
 *   that leads to a trust anchor in the exchange's anchors bank. It may come with the response, and
 *   so may CA certificates on its path; anchors count from the bank alone.
 * - The message digest has to be SHA-256, the only one that struct tm_crypto has; a response with
 *   another is TM_EDENIED.
 * - Certificates in the message are not covered by its signature. So a success counts only with a
 *   certificate for the requested key that leads to a trust anchor by the anchors bank, and is, for
 *   the key of the slot's certificate, a newer one: whoever carries the message could have taken
 *   the certificate out, or put another in its place. Without it is TM_EDENIED.
 * - statusInfoV2 (RFC 5272, 6.1): success and confirmRequired are TM_RESULT_OK (a PROBE takes
 *   success alone); pending is TM_RESULT_LATER with retry_after_s up to the pendTime; failed is
 *   LATER for tryLater and badTime, so when the challenge was not fresh, DENIED for badIdentity,
 *   badMessageCheck and badCertId, and REFUSED for every other reason; any other status is REFUSED.
 * - The senderNonce of an answer that is signed as above is kept as the new challenge.
 * - wall_ms: the device's time, 0 = not known: validity is then not looked at. server_wall_ms of
 *   the answer is the signing time.
 */
MUST_USE enum tm_err tm_cmc_response(struct tm_cmc *cmc, const struct tm_exchange *exchange,
                                     int64_t wall_ms, struct bytes response, struct buf *out,
                                     struct tm_answer *ret);

#ifdef __cplusplus
}
#endif
#endif
