/* SPDX-License-Identifier: Apache-2.0 */
/* The table of known object identifiers. */
#include "pki/oid.h"

#include <string.h>

struct row {
    const char *octets; /* content octets, binary */
    uint8_t n;
    const char *name;
};

#define ROW(oid, octets, name) [oid] = {(octets), sizeof(octets) - 1, (name)}
static const struct row rows[PKI_OID_COUNT] = {
    [PKI_OID_UNKNOWN] = {"", 0, "unknown"},
    /* clang-format off */
    ROW(PKI_OID_COMMON_NAME, "\x55\x04\x03", "CN"), /* 2.5.4.3 */
    ROW(PKI_OID_SERIAL_NUMBER, "\x55\x04\x05", "serialNumber"), /* 2.5.4.5 */
    ROW(PKI_OID_COUNTRY, "\x55\x04\x06", "C"), /* 2.5.4.6 */
    ROW(PKI_OID_LOCALITY, "\x55\x04\x07", "L"), /* 2.5.4.7 */
    ROW(PKI_OID_STATE, "\x55\x04\x08", "ST"), /* 2.5.4.8 */
    ROW(PKI_OID_ORGANIZATION, "\x55\x04\x0a", "O"), /* 2.5.4.10 */
    ROW(PKI_OID_ORGANIZATIONAL_UNIT, "\x55\x04\x0b", "OU"), /* 2.5.4.11 */
    ROW(PKI_OID_DOMAIN_COMPONENT, "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19", "DC"), /* 0.9.2342.19200300.100.1.25 */
    ROW(PKI_OID_USER_ID, "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01", "UID"), /* 0.9.2342.19200300.100.1.1 */
    ROW(PKI_OID_EMAIL_ADDRESS, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01", "emailAddress"), /* 1.2.840.113549.1.9.1 */
    ROW(PKI_OID_DN_QUALIFIER, "\x55\x04\x2e", "dnQualifier"), /* 2.5.4.46 */
    ROW(PKI_OID_EC_PUBLIC_KEY, "\x2a\x86\x48\xce\x3d\x02\x01", "id-ecPublicKey"), /* 1.2.840.10045.2.1 */
    ROW(PKI_OID_PRIME256V1, "\x2a\x86\x48\xce\x3d\x03\x01\x07", "secp256r1"), /* 1.2.840.10045.3.1.7 */
    ROW(PKI_OID_SECP384R1, "\x2b\x81\x04\x00\x22", "secp384r1"), /* 1.3.132.0.34 */
    ROW(PKI_OID_SECP521R1, "\x2b\x81\x04\x00\x23", "secp521r1"), /* 1.3.132.0.35 */
    ROW(PKI_OID_RSA_ENCRYPTION, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", "rsaEncryption"), /* 1.2.840.113549.1.1.1 */
    ROW(PKI_OID_ED25519, "\x2b\x65\x70", "id-Ed25519"), /* 1.3.101.112 */
    ROW(PKI_OID_ML_DSA_44, "\x60\x86\x48\x01\x65\x03\x04\x03\x11", "id-ml-dsa-44"), /* 2.16.840.1.101.3.4.3.17 */
    ROW(PKI_OID_ML_DSA_65, "\x60\x86\x48\x01\x65\x03\x04\x03\x12", "id-ml-dsa-65"), /* 2.16.840.1.101.3.4.3.18 */
    ROW(PKI_OID_ML_DSA_87, "\x60\x86\x48\x01\x65\x03\x04\x03\x13", "id-ml-dsa-87"), /* 2.16.840.1.101.3.4.3.19 */
    ROW(PKI_OID_ECDSA_SHA256, "\x2a\x86\x48\xce\x3d\x04\x03\x02", "ecdsa-with-SHA256"), /* 1.2.840.10045.4.3.2 */
    ROW(PKI_OID_ECDSA_SHA384, "\x2a\x86\x48\xce\x3d\x04\x03\x03", "ecdsa-with-SHA384"), /* 1.2.840.10045.4.3.3 */
    ROW(PKI_OID_ECDSA_SHA512, "\x2a\x86\x48\xce\x3d\x04\x03\x04", "ecdsa-with-SHA512"), /* 1.2.840.10045.4.3.4 */
    ROW(PKI_OID_RSA_SHA256, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", "sha256WithRSAEncryption"), /* 1.2.840.113549.1.1.11 */
    ROW(PKI_OID_RSA_SHA384, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c", "sha384WithRSAEncryption"), /* 1.2.840.113549.1.1.12 */
    ROW(PKI_OID_RSA_SHA512, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d", "sha512WithRSAEncryption"), /* 1.2.840.113549.1.1.13 */
    ROW(PKI_OID_SUBJECT_KEY_ID, "\x55\x1d\x0e", "subjectKeyIdentifier"), /* 2.5.29.14 */
    ROW(PKI_OID_KEY_USAGE, "\x55\x1d\x0f", "keyUsage"), /* 2.5.29.15 */
    ROW(PKI_OID_SUBJECT_ALT_NAME, "\x55\x1d\x11", "subjectAltName"), /* 2.5.29.17 */
    ROW(PKI_OID_BASIC_CONSTRAINTS, "\x55\x1d\x13", "basicConstraints"), /* 2.5.29.19 */
    ROW(PKI_OID_CRL_DISTRIBUTION_POINTS, "\x55\x1d\x1f", "cRLDistributionPoints"), /* 2.5.29.31 */
    ROW(PKI_OID_AUTHORITY_KEY_ID, "\x55\x1d\x23", "authorityKeyIdentifier"), /* 2.5.29.35 */
    ROW(PKI_OID_EXT_KEY_USAGE, "\x55\x1d\x25", "extKeyUsage"), /* 2.5.29.37 */
    ROW(PKI_OID_AUTHORITY_INFO_ACCESS, "\x2b\x06\x01\x05\x05\x07\x01\x01", "authorityInfoAccess"), /* 1.3.6.1.5.5.7.1.1 */
    ROW(PKI_OID_CERTIFICATE_POLICIES, "\x55\x1d\x20", "certificatePolicies"), /* 2.5.29.32 */
    ROW(PKI_OID_NAME_CONSTRAINTS, "\x55\x1d\x1e", "nameConstraints"), /* 2.5.29.30 */
    ROW(PKI_OID_CRL_NUMBER, "\x55\x1d\x14", "cRLNumber"), /* 2.5.29.20 */
    ROW(PKI_OID_ISSUING_DISTRIBUTION_POINT, "\x55\x1d\x1c", "issuingDistributionPoint"), /* 2.5.29.28 */
    ROW(PKI_OID_REASON_CODE, "\x55\x1d\x15", "reasonCode"), /* 2.5.29.21 */
    ROW(PKI_OID_KP_SERVER_AUTH, "\x2b\x06\x01\x05\x05\x07\x03\x01", "id-kp-serverAuth"), /* 1.3.6.1.5.5.7.3.1 */
    ROW(PKI_OID_KP_CLIENT_AUTH, "\x2b\x06\x01\x05\x05\x07\x03\x02", "id-kp-clientAuth"), /* 1.3.6.1.5.5.7.3.2 */
    ROW(PKI_OID_KP_CMC_RA, "\x2b\x06\x01\x05\x05\x07\x03\x1c", "id-kp-cmcRA"), /* 1.3.6.1.5.5.7.3.28 */
    ROW(PKI_OID_KP_CMC_CA, "\x2b\x06\x01\x05\x05\x07\x03\x1b", "id-kp-cmcCA"), /* 1.3.6.1.5.5.7.3.27 */
    ROW(PKI_OID_KP_OCSP_SIGNING, "\x2b\x06\x01\x05\x05\x07\x03\x09", "id-kp-OCSPSigning"), /* 1.3.6.1.5.5.7.3.9 */
    ROW(PKI_OID_KP_CODE_SIGNING, "\x2b\x06\x01\x05\x05\x07\x03\x03", "id-kp-codeSigning"), /* 1.3.6.1.5.5.7.3.3 */
    ROW(PKI_OID_AD_OCSP, "\x2b\x06\x01\x05\x05\x07\x30\x01", "id-ad-ocsp"), /* 1.3.6.1.5.5.7.48.1 */
    ROW(PKI_OID_AD_CA_ISSUERS, "\x2b\x06\x01\x05\x05\x07\x30\x02", "id-ad-caIssuers"), /* 1.3.6.1.5.5.7.48.2 */
    ROW(PKI_OID_OCSP_BASIC, "\x2b\x06\x01\x05\x05\x07\x30\x01\x01", "id-pkix-ocsp-basic"), /* 1.3.6.1.5.5.7.48.1.1 */
    ROW(PKI_OID_OCSP_NOCHECK, "\x2b\x06\x01\x05\x05\x07\x30\x01\x05", "id-pkix-ocsp-nocheck"), /* 1.3.6.1.5.5.7.48.1.5 */
    ROW(PKI_OID_ON_HARDWARE_MODULE_NAME, "\x2b\x06\x01\x05\x05\x07\x08\x04", "id-on-hardwareModuleName"), /* 1.3.6.1.5.5.7.8.4 */
    ROW(PKI_OID_CHALLENGE_PASSWORD, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07", "challengePassword"), /* 1.2.840.113549.1.9.7 */
    ROW(PKI_OID_EXTENSION_REQUEST, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e", "extensionRequest"), /* 1.2.840.113549.1.9.14 */
    ROW(PKI_OID_OTP_CHALLENGE, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x38", "otpChallenge"), /* 1.2.840.113549.1.9.16.2.56 */
    ROW(PKI_OID_REVOCATION_CHALLENGE, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x39", "revocationChallenge"), /* 1.2.840.113549.1.9.16.2.57 */
    ROW(PKI_OID_EST_IDENTITY_LINKING, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x3a", "estIdentityLinking"), /* 1.2.840.113549.1.9.16.2.58 */
    ROW(PKI_OID_CHANGE_SUBJECT_NAME, "\x2b\x06\x01\x05\x05\x07\x07\x24", "changeSubjectName"), /* 1.3.6.1.5.5.7.7.36 */
    ROW(PKI_OID_CERTIFICATION_REQUEST_INFO_TEMPLATE, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x3d", "certificationRequestInfoTemplate"), /* 1.2.840.113549.1.9.16.2.61 */
    ROW(PKI_OID_EXTENSION_REQ_TEMPLATE, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x3e", "extensionReqTemplate"), /* 1.2.840.113549.1.9.16.2.62 */
    ROW(PKI_OID_SMIME_CAPABILITIES, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0f", "smimeCapabilities"), /* 1.2.840.113549.1.9.15 */
    ROW(PKI_OID_DECRYPT_KEY_ID, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x25", "decryptKeyID"), /* 1.2.840.113549.1.9.16.2.37 */
    ROW(PKI_OID_ASYMM_DECRYPT_KEY_ID, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x36", "asymmDecryptKeyID"), /* 1.2.840.113549.1.9.16.2.54 */
    ROW(PKI_OID_DATA, "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01", "id-data"), /* 1.2.840.113549.1.7.1 */
    ROW(PKI_OID_SIGNED_DATA, "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", "id-signedData"), /* 1.2.840.113549.1.7.2 */
    ROW(PKI_OID_CONTENT_TYPE, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03", "contentType"), /* 1.2.840.113549.1.9.3 */
    ROW(PKI_OID_MESSAGE_DIGEST, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04", "messageDigest"), /* 1.2.840.113549.1.9.4 */
    ROW(PKI_OID_SIGNING_TIME, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05", "signingTime"), /* 1.2.840.113549.1.9.5 */
    ROW(PKI_OID_SHA1, "\x2b\x0e\x03\x02\x1a", "id-sha1"), /* 1.3.14.3.2.26 */
    ROW(PKI_OID_SHA256, "\x60\x86\x48\x01\x65\x03\x04\x02\x01", "id-sha256"), /* 2.16.840.1.101.3.4.2.1 */
    ROW(PKI_OID_SHA384, "\x60\x86\x48\x01\x65\x03\x04\x02\x02", "id-sha384"), /* 2.16.840.1.101.3.4.2.2 */
    ROW(PKI_OID_SHA512, "\x60\x86\x48\x01\x65\x03\x04\x02\x03", "id-sha512"), /* 2.16.840.1.101.3.4.2.3 */
    ROW(PKI_OID_HMAC_SHA256, "\x2a\x86\x48\x86\xf7\x0d\x02\x09", "id-hmacWithSHA256"), /* 1.2.840.113549.2.9 */
    ROW(PKI_OID_CT_KP_AKEY_PACKAGE, "\x60\x86\x48\x01\x65\x02\x01\x02\x4e\x05", "id-ct-KP-aKeyPackage"), /* 2.16.840.1.101.2.1.2.78.5 */
    ROW(PKI_OID_AES128_CBC, "\x60\x86\x48\x01\x65\x03\x04\x01\x02", "id-aes128-CBC"), /* 2.16.840.1.101.3.4.1.2 */
    ROW(PKI_OID_AES256_CBC, "\x60\x86\x48\x01\x65\x03\x04\x01\x2a", "id-aes256-CBC"), /* 2.16.840.1.101.3.4.1.42 */
    ROW(PKI_OID_AES128_WRAP, "\x60\x86\x48\x01\x65\x03\x04\x01\x05", "id-aes128-wrap"), /* 2.16.840.1.101.3.4.1.5 */
    ROW(PKI_OID_AES256_WRAP, "\x60\x86\x48\x01\x65\x03\x04\x01\x2d", "id-aes256-wrap"), /* 2.16.840.1.101.3.4.1.45 */
    ROW(PKI_OID_RSAES_OAEP, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07", "id-RSAES-OAEP"), /* 1.2.840.113549.1.1.7 */
    ROW(PKI_OID_ECDH_SHA256_KDF, "\x2b\x81\x04\x01\x0b\x01", "dhSinglePass-stdDH-sha256kdf-scheme"), /* 1.3.132.1.11.1 */
    ROW(PKI_OID_ECDH_SHA384_KDF, "\x2b\x81\x04\x01\x0b\x02", "dhSinglePass-stdDH-sha384kdf-scheme"), /* 1.3.132.1.11.2 */
    ROW(PKI_OID_CCT_PKI_DATA, "\x2b\x06\x01\x05\x05\x07\x0c\x02", "id-cct-PKIData"), /* 1.3.6.1.5.5.7.12.2 */
    ROW(PKI_OID_CCT_PKI_RESPONSE, "\x2b\x06\x01\x05\x05\x07\x0c\x03", "id-cct-PKIResponse"), /* 1.3.6.1.5.5.7.12.3 */
    ROW(PKI_OID_CMC_STATUS_INFO, "\x2b\x06\x01\x05\x05\x07\x07\x01", "id-cmc-statusInfo"), /* 1.3.6.1.5.5.7.7.1 */
    ROW(PKI_OID_CMC_IDENTIFICATION, "\x2b\x06\x01\x05\x05\x07\x07\x02", "id-cmc-identification"), /* 1.3.6.1.5.5.7.7.2 */
    ROW(PKI_OID_CMC_TRANSACTION_ID, "\x2b\x06\x01\x05\x05\x07\x07\x05", "id-cmc-transactionId"), /* 1.3.6.1.5.5.7.7.5 */
    ROW(PKI_OID_CMC_SENDER_NONCE, "\x2b\x06\x01\x05\x05\x07\x07\x06", "id-cmc-senderNonce"), /* 1.3.6.1.5.5.7.7.6 */
    ROW(PKI_OID_CMC_RECIPIENT_NONCE, "\x2b\x06\x01\x05\x05\x07\x07\x07", "id-cmc-recipientNonce"), /* 1.3.6.1.5.5.7.7.7 */
    ROW(PKI_OID_CMC_REG_INFO, "\x2b\x06\x01\x05\x05\x07\x07\x12", "id-cmc-regInfo"), /* 1.3.6.1.5.5.7.7.18 */
    ROW(PKI_OID_CMC_RESPONSE_INFO, "\x2b\x06\x01\x05\x05\x07\x07\x13", "id-cmc-responseInfo"), /* 1.3.6.1.5.5.7.7.19 */
    ROW(PKI_OID_CMC_CONFIRM_CERT_ACCEPTANCE, "\x2b\x06\x01\x05\x05\x07\x07\x18", "id-cmc-confirmCertAcceptance"), /* 1.3.6.1.5.5.7.7.24 */
    ROW(PKI_OID_CMC_STATUS_INFO_V2, "\x2b\x06\x01\x05\x05\x07\x07\x19", "id-cmc-statusInfoV2"), /* 1.3.6.1.5.5.7.7.25 */
    ROW(PKI_OID_CMC_IDENTITY_PROOF_V2, "\x2b\x06\x01\x05\x05\x07\x07\x22", "id-cmc-identityProofV2"), /* 1.3.6.1.5.5.7.7.34 */
    /* clang-format on */
};

struct bytes pki_oid_bytes(enum pki_oid oid) {
    return (struct bytes){(const uint8_t *)rows[oid].octets, rows[oid].n};
}

/* The last octet differs most: it is compared before the rest. */
enum pki_oid pki_oid_find(struct bytes content) {
    if (content.n == 0)
        return PKI_OID_UNKNOWN;
    char last = (char)content.p[content.n - 1];
    for (unsigned i = PKI_OID_UNKNOWN + 1; i < PKI_OID_COUNT; i++)
        if (rows[i].n == content.n && rows[i].octets[content.n - 1] == last &&
            memcmp(rows[i].octets, content.p, content.n) == 0)
            return (enum pki_oid)i;
    return PKI_OID_UNKNOWN;
}

const char *pki_oid_name(enum pki_oid oid) {
    return rows[(unsigned)oid < PKI_OID_COUNT ? oid : PKI_OID_UNKNOWN].name;
}

/* X.690, 8.19.2: every subidentifier ends, and none starts with a zero group. */
bool pki_oid_valid(struct bytes content) {
    bool first = true;
    for (size_t i = 0; i < content.n; i++) {
        if (first && content.p[i] == 0x80)
            return false;
        first = !(content.p[i] & 0x80);
    }
    return content.n > 0 && first;
}
