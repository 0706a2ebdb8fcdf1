/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CMC (RFC 5272 as updated by RFC 6402; RFC 5274; profiled by RFC 7030, 4.3): the contents of Full
 * PKI Requests and Full PKI Responses, as Touchmark uses them: one PKCS#10 request or one
 * confirmCertAcceptance, and the controls below, each at most once. The same bytes go over EST
 * fullcmc and over MQTT. The SignedData round them is est/wire/signed_data.h.
 *
 * A Full PKI Request is signed by a certificate's key (renewal, or a first LDevID by the IDevID),
 * or by the requested key itself with identification and identityProofV2 beside it (RFC 5272, 3.2).
 * Readers borrow, writers append; no allocation, no cryptography. Thread-safe.
 */
#ifndef TOUCHMARK_EST_WIRE_CMC_H
#define TOUCHMARK_EST_WIRE_CMC_H

#include "pki/der.h"
#include "pki/oid.h"

#define EST_CMC_NONCE_MAX 64
#define EST_CMC_HASH_SIZE 32       /* of a request_hash */
#define EST_CMC_TRANSACTION_MAX 20 /* octets of a transactionId's magnitude */
#define EST_CMC_TEXT_MAX 255       /* octets of a statusString, cut at a character */
#define EST_CMC_LABEL_MAX 64
#define EST_CMC_ID_MAX 64
#define EST_CMC_PART_CSR 1 /* bodyPartID that our requests give the PKCS#10 */

enum est_cmc_status { /* RFC 5272, 6.1.3 */
                      EST_CMC_SUCCESS = 0,
                      EST_CMC_FAILED = 2,
                      EST_CMC_PENDING = 3,
                      EST_CMC_NO_SUPPORT = 4,
                      EST_CMC_CONFIRM_REQUIRED = 5,
                      EST_CMC_POP_REQUIRED = 6,
                      EST_CMC_PARTIAL = 7,
};

enum est_cmc_fail { /* RFC 5272, 6.1.4 */
                    EST_CMC_BAD_ALG = 0,
                    EST_CMC_BAD_MESSAGE_CHECK = 1,
                    EST_CMC_BAD_REQUEST = 2,
                    EST_CMC_BAD_TIME = 3,
                    EST_CMC_BAD_CERT_ID = 4,
                    EST_CMC_UNSUPPORTED_EXT = 5,
                    EST_CMC_MUST_ARCHIVE_KEYS = 6,
                    EST_CMC_BAD_IDENTITY = 7,
                    EST_CMC_FAIL_POP_REQUIRED = 8,
                    EST_CMC_POP_FAILED = 9,
                    EST_CMC_NO_KEY_REUSE = 10,
                    EST_CMC_INTERNAL_CA_ERROR = 11,
                    EST_CMC_TRY_LATER = 12,
                    EST_CMC_AUTH_DATA_FAIL = 13,
                    EST_CMC_FAIL_LAST = EST_CMC_AUTH_DATA_FAIL,
};

/* ---- Full PKI Request: PKIData ---- */

struct est_cmc_request {
    struct bytes transaction;     /* transactionId: magnitude; empty: none */
    struct bytes sender_nonce;    /* empty: none */
    struct bytes recipient_nonce; /* the server's challenge; empty: none */
    struct bytes identification;  /* UTF-8 without NUL or controls; empty: none */
    /* identityProofV2 with SHA-256 and HMAC-SHA256: the witness. Others are refused on reading. */
    struct bytes witness;
    struct bytes label; /* regInfo "label=<EST label>"; see has_label */
    bool has_label;     /* regInfo was there; `label` may be empty, which is the default one */
    /* confirmCertAcceptance: CMCCertId. accept_issuer empty: none. */
    struct bytes accept_issuer; /* whole Name */
    struct bytes accept_serial; /* INTEGER content octets */
    /* The one TaggedCertificationRequest; empty: none. */
    struct bytes csr; /* whole CertificationRequest */
    /* Read only: */
    struct bytes req_sequence; /* whole reqSequence: what identityProofV2 covers */
    uint32_t part;             /* bodyPartID that a status is about: of csr, else of
                                  confirmCertAcceptance */
};

/* `content` is one PKIData. A request must have a csr or an acceptance, and not both. TM_EPARSE:
 * not a PKIData, a body part ID 0 or twice, a control twice or without its one value or with an
 * empty one (a transactionId of 0 included), one that is not among those above (RFC 5272, 3.2.1.1:
 * the whole request fails), neither or both of the two, a regInfo that is not "label=" and a label,
 * another proof than SHA-256 with HMAC-SHA256; a CRMF or other request. TM_ELIMIT: over one of the
 * bounds above, more than 16 controls or 32 body parts. What cmsSequence and otherMsgSequence hold
 * is passed over (RFC 5272, 3.2.1). */
MUST_USE enum tm_err est_cmc_request_read(struct bytes content, struct est_cmc_request *ret);

/* Appends the reqSequence with request->csr, for the witness to be made of. */
MUST_USE enum tm_err est_cmc_req_sequence_write(const struct est_cmc_request *request,
                                                struct buf *out);
/* Appends the PKIData; req_sequence and part are not looked at. TM_ELIMIT; TM_EINVAL:
 * est_cmc_request_read would not take it. Leading zero octets of the transaction are not written,
 * so they are not read back. */
MUST_USE enum tm_err est_cmc_request_write(const struct est_cmc_request *request, struct buf *out);

/* ---- Full PKI Response: PKIResponse ---- */

struct est_cmc_response {
    struct bytes transaction;
    struct bytes sender_nonce;    /* a new challenge, for the next request */
    struct bytes recipient_nonce; /* the request's senderNonce */
    /* responseInfo, on which both ends agree (RFC 5272, 6.8): SHA-256 of the whole Full PKI Request
     * that this answers. Nonce and transactionId stand in the clear where a carrier can copy them
     * into a request of its own; this it cannot. Empty: none. */
    struct bytes request_hash;
    bool has_status; /* statusInfoV2 (on reading without one, statusInfo); of several
                        the worst; without: success */
    enum est_cmc_status status;
    uint32_t part;          /* the one bodyPartID in bodyList that is kept; 0 = the whole message */
    struct bytes text;      /* statusString, UTF-8; empty: none */
    bool has_fail;          /* with FAILED */
    enum est_cmc_fail fail; /* what is not known is read as INTERNAL_CA_ERROR */
    struct bytes pend_token; /* with PENDING or PARTIAL; empty: no pendInfo */
    int64_t pend_time_ms;
};

/* `content` is one PKIResponse. TM_EPARSE, TM_ELIMIT as above, but controls that are not known are
 * passed over; text that is too long is cut. */
MUST_USE enum tm_err est_cmc_response_read(struct bytes content, struct est_cmc_response *ret);
/* Appends the PKIResponse. Text is cut where it is too long or is no UTF-8 any more. TM_ELIMIT;
 * TM_EINVAL: est_cmc_response_read would not take it. */
MUST_USE enum tm_err est_cmc_response_write(const struct est_cmc_response *response,
                                            struct buf *out);

/*
 * An offer: what a server says before anybody asked, so that a device has the challenge for its
 * request and the CA's certificates. It is a Full PKI Response without a signer: `challenge` as
 * senderNonce, the certificates (DER one after the other) in the bag. Nothing in it is trusted: a
 * wrong challenge makes a request fail, and CA certificates prove themselves.
 */
MUST_USE enum tm_err est_cmc_offer_write(struct bytes challenge, struct bytes certificates,
                                         struct buf *out);
/* TM_EPARSE: not an offer: it is signed, answers a request or has a status. Borrowed from der. */
MUST_USE enum tm_err est_cmc_offer_read(struct bytes der, struct bytes *ret_challenge,
                                        struct bytes *ret_certificates);

#endif
