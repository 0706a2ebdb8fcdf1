/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CMS SignedData (RFC 5652, 5) as CMC and server-side key generation need it: at most one signer,
 * definite lengths, content inside, signed attributes (which are demanded wherever there is a
 * signer, since the content is never id-data). Reading borrows, writing goes back to front; no
 * allocation, no cryptography: who reads hashes and verifies, who writes hashes and signs.
 * Thread-safe.
 */
#ifndef TOUCHMARK_EST_WIRE_SIGNED_DATA_H
#define TOUCHMARK_EST_WIRE_SIGNED_DATA_H

#include "pki/der.h"
#include "pki/oid.h"

#define EST_DIGEST_MAX 64             /* octets: SHA-512 */
#define EST_SIGNED_ATTRIBUTES_MAX 192 /* octets are enough for est_signed_attributes_write */

/* Who signed (RFC 5652, 5.3): either issuer and serial, or a subjectKeyIdentifier. */
struct est_signer_id {
    struct bytes issuer; /* whole Name */
    struct bytes serial; /* INTEGER content octets */
    struct bytes key_id; /* not empty: the subjectKeyIdentifier form; the others are empty */
};

struct est_signed {
    enum pki_oid content_type; /* eContentType: CCT_PKI_DATA, CCT_PKI_RESPONSE, CT_KP_AKEY_PACKAGE,
                                  or UNKNOWN */
    struct bytes content;      /* eContent's octets; empty: there is none */
    struct bytes certificates; /* DER one after the other; other kinds of them are refused */
    bool has_signer;
    struct est_signer_id signer;
    enum pki_oid digest;         /* SHA256, SHA384, SHA512 or UNKNOWN */
    struct bytes attributes;     /* content of signedAttrs: see est_signed_attributes_message */
    struct bytes message_digest; /* of those: to be the digest of `content` */
    int64_t signing_time_ms;     /* of those; 0 = none */
    struct bytes algorithm;      /* whole signatureAlgorithm */
    struct bytes signature;
};

/* `der` is one whole ContentInfo of type id-signedData. TM_EPARSE: it is not; its content-type
 * attribute is missing or another (RFC 5652, 11.1), message-digest is missing, an attribute of
 * these stands there twice or without exactly one value, or something follows. TM_ELIMIT: more than
 * one signer. Unsigned attributes and CRLs are passed over. */
MUST_USE enum tm_err est_signed_read(struct bytes der, struct est_signed *ret);

/* What the signature covers (RFC 5652, 5.4): signedAttrs with the tag of a SET OF. Appends. */
MUST_USE enum tm_err est_signed_attributes_message(const struct est_signed *message,
                                                   struct buf *out);

/* Appends the SET OF signed attributes to be hashed and signed: content-type, message-digest and,
 * unless it is 0, signing-time (UTCTime to 2049, then GeneralizedTime). TM_ELIMIT; TM_EINVAL:
 * another content type than these three, or no digest of 32 to 64 octets. */
MUST_USE enum tm_err est_signed_attributes_write(enum pki_oid content_type,
                                                 struct bytes message_digest,
                                                 int64_t signing_time_ms, struct buf *out);

/* Appends a whole ContentInfo. has_signer false: no SignerInfo, and digest to signature are not
 * looked at. `attributes` is here the whole SET OF of est_signed_attributes_write. `certificates`
 * keep their order. message_digest and signing_time_ms are not looked at: they stand in the
 * attributes. TM_ELIMIT; TM_EINVAL: est_signed_read would not take it, or a content type or digest
 * is UNKNOWN. */
MUST_USE enum tm_err est_signed_write(const struct est_signed *message, struct buf *out);

#endif
