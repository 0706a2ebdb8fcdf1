/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Object identifiers that Touchmark knows, as DER content octets, and their text.
 * One table, constant, thread-safe.
 */
#ifndef TOUCHMARK_PKI_OID_H
#define TOUCHMARK_PKI_OID_H

#include "base/bytes.h"

/* Names are those of the defining standard. */
enum pki_oid {
    PKI_OID_UNKNOWN = 0,
    /* X.520 attribute types */
    PKI_OID_COMMON_NAME,
    PKI_OID_SERIAL_NUMBER,
    PKI_OID_COUNTRY,
    PKI_OID_LOCALITY,
    PKI_OID_STATE,
    PKI_OID_ORGANIZATION,
    PKI_OID_ORGANIZATIONAL_UNIT,
    PKI_OID_DOMAIN_COMPONENT,
    PKI_OID_USER_ID,
    PKI_OID_EMAIL_ADDRESS,
    PKI_OID_DN_QUALIFIER,
    /* keys and signatures */
    PKI_OID_EC_PUBLIC_KEY,
    PKI_OID_PRIME256V1,
    PKI_OID_SECP384R1,
    PKI_OID_SECP521R1,
    PKI_OID_RSA_ENCRYPTION,
    PKI_OID_ED25519,
    PKI_OID_ML_DSA_44, /* key and signature: FIPS 204, RFC 9881 */
    PKI_OID_ML_DSA_65,
    PKI_OID_ML_DSA_87,
    PKI_OID_ECDSA_SHA256,
    PKI_OID_ECDSA_SHA384,
    PKI_OID_ECDSA_SHA512,
    PKI_OID_RSA_SHA256,
    PKI_OID_RSA_SHA384,
    PKI_OID_RSA_SHA512,
    /* certificate extensions */
    PKI_OID_SUBJECT_KEY_ID,
    PKI_OID_KEY_USAGE,
    PKI_OID_SUBJECT_ALT_NAME,
    PKI_OID_BASIC_CONSTRAINTS,
    PKI_OID_CRL_DISTRIBUTION_POINTS,
    PKI_OID_AUTHORITY_KEY_ID,
    PKI_OID_EXT_KEY_USAGE,
    PKI_OID_AUTHORITY_INFO_ACCESS,
    PKI_OID_CERTIFICATE_POLICIES,
    PKI_OID_NAME_CONSTRAINTS,
    /* CRL and CRL entry extensions */
    PKI_OID_CRL_NUMBER,
    PKI_OID_ISSUING_DISTRIBUTION_POINT,
    PKI_OID_REASON_CODE,
    /* key purposes and access methods */
    PKI_OID_KP_SERVER_AUTH,
    PKI_OID_KP_CLIENT_AUTH,
    PKI_OID_KP_CMC_RA,
    PKI_OID_KP_CMC_CA,
    PKI_OID_KP_OCSP_SIGNING,
    PKI_OID_KP_CODE_SIGNING,
    PKI_OID_AD_OCSP,
    PKI_OID_AD_CA_ISSUERS,
    PKI_OID_OCSP_BASIC, /* response type: RFC 6960, 4.2.1 */
    PKI_OID_OCSP_NOCHECK,
    PKI_OID_ON_HARDWARE_MODULE_NAME, /* 1.3.6.1.5.5.7.8.4, RFC 4108; 802.1AR */
    /* PKCS#9, EST and CMC attributes */
    PKI_OID_CHALLENGE_PASSWORD,
    PKI_OID_EXTENSION_REQUEST,
    PKI_OID_OTP_CHALLENGE,
    PKI_OID_REVOCATION_CHALLENGE,
    PKI_OID_EST_IDENTITY_LINKING,
    PKI_OID_CHANGE_SUBJECT_NAME,
    PKI_OID_CERTIFICATION_REQUEST_INFO_TEMPLATE,
    PKI_OID_EXTENSION_REQ_TEMPLATE,
    PKI_OID_SMIME_CAPABILITIES,
    PKI_OID_DECRYPT_KEY_ID,       /* RFC 4108, 2.2.5 */
    PKI_OID_ASYMM_DECRYPT_KEY_ID, /* RFC 7030, 4.4.1.2 */
    /* CMS */
    PKI_OID_DATA,
    PKI_OID_SIGNED_DATA,
    PKI_OID_CONTENT_TYPE, /* attributes of a SignerInfo: RFC 5652, 11 */
    PKI_OID_MESSAGE_DIGEST,
    PKI_OID_SIGNING_TIME,
    PKI_OID_SHA1, /* in CertIDs only */
    PKI_OID_SHA256,
    PKI_OID_SHA384,
    PKI_OID_SHA512,
    PKI_OID_HMAC_SHA256,
    PKI_OID_CT_KP_AKEY_PACKAGE, /* AsymmetricKeyPackage: RFC 5958 */
    /* what a client can decrypt: RFC 3565, RFC 4055, RFC 5753 */
    PKI_OID_AES128_CBC,
    PKI_OID_AES256_CBC,
    PKI_OID_AES128_WRAP,
    PKI_OID_AES256_WRAP,
    PKI_OID_RSAES_OAEP,
    PKI_OID_ECDH_SHA256_KDF,
    PKI_OID_ECDH_SHA384_KDF,
    /* CMC: RFC 5272 */
    PKI_OID_CCT_PKI_DATA,
    PKI_OID_CCT_PKI_RESPONSE,
    PKI_OID_CMC_STATUS_INFO,
    PKI_OID_CMC_IDENTIFICATION,
    PKI_OID_CMC_TRANSACTION_ID,
    PKI_OID_CMC_SENDER_NONCE,
    PKI_OID_CMC_RECIPIENT_NONCE,
    PKI_OID_CMC_REG_INFO,
    PKI_OID_CMC_RESPONSE_INFO,
    PKI_OID_CMC_CONFIRM_CERT_ACCEPTANCE,
    PKI_OID_CMC_STATUS_INFO_V2,
    PKI_OID_CMC_IDENTITY_PROOF_V2,
    PKI_OID_COUNT
};

/* Content octets of a known identifier (never UNKNOWN). */
struct bytes pki_oid_bytes(enum pki_oid oid);
/* Which one these content octets are; PKI_OID_UNKNOWN if none. */
enum pki_oid pki_oid_find(struct bytes content);
/* Short name as in RFC 4514 / RFC 5280 ("CN", "keyUsage"). Never NULL. */
const char *pki_oid_name(enum pki_oid oid);
/* Are these content octets those of an identifier, known or not (X.690, 8.19)? */
bool pki_oid_valid(struct bytes content);
/* Dotted decimal of any identifier's content octets into ret. TM_EPARSE; TM_ELIMIT: cap, or an arc
 * of more than 63 bits. */
MUST_USE enum tm_err pki_oid_format(struct bytes content, char *ret, size_t cap);
/* Appends the content octets of a dotted decimal identifier to out, which is as before on failure.
 * TM_EPARSE; TM_ELIMIT: out is full, or an arc is above 2^58. */
MUST_USE enum tm_err pki_oid_parse(const char *dotted, struct buf *out);

#endif
