/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A view of an X.509 certificate or a to-be-signed certificate (RFC 5280, 4.1):
 * one bounded pass over untrusted DER, fields borrowed from it, nothing allocated,
 * no signature checked. Thread-safe.
 */
#ifndef TOUCHMARK_PKI_CERT_H
#define TOUCHMARK_PKI_CERT_H

#include "pki/der.h"
#include "pki/oid.h"

#define PKI_EXTENSIONS_MAX 24
#define PKI_EKU_MAX 16

/* The key in a SubjectPublicKeyInfo. */
struct pki_spki {
    struct bytes whole;     /* DER, whole */
    enum pki_oid algorithm; /* EC_PUBLIC_KEY, RSA_ENCRYPTION, ED25519, ML_DSA_*, or UNKNOWN */
    enum pki_oid curve;     /* EC only: PRIME256V1, SECP384R1, ..., or UNKNOWN */
    struct bytes key;       /* the BIT STRING's octets: EC point, RSAPublicKey DER, raw key */
    unsigned bits;          /* size: 256, 384, RSA modulus bits; 0 if unknown, or not in bits */
};
/* `spki` is a whole SubjectPublicKeyInfo. TM_EPARSE; unknown algorithms parse. */
MUST_USE enum tm_err pki_spki_parse(struct bytes spki, struct pki_spki *ret);
/* The algorithm that a CA with this key signs by. UNKNOWN: none that is used here. */
enum pki_oid pki_spki_signature(const struct pki_spki *spki);

struct pki_extension {
    enum pki_oid type; /* or UNKNOWN */
    struct bytes oid;
    bool critical;
    struct bytes value; /* the OCTET STRING's content */
};

/* Bits of KeyUsage as der_put_named_bits takes them. */
#define PKI_KU_DIGITAL_SIGNATURE 0x8000u
#define PKI_KU_NON_REPUDIATION 0x4000u
#define PKI_KU_KEY_ENCIPHERMENT 0x2000u
#define PKI_KU_DATA_ENCIPHERMENT 0x1000u
#define PKI_KU_KEY_AGREEMENT 0x0800u
#define PKI_KU_KEY_CERT_SIGN 0x0400u
#define PKI_KU_CRL_SIGN 0x0200u

struct pki_cert {
    struct bytes whole;         /* the Certificate; empty for a bare TBSCertificate */
    struct bytes tbs;           /* whole TBSCertificate */
    unsigned version;           /* 3 for v3 */
    struct bytes serial;        /* INTEGER content octets as they stand */
    struct bytes tbs_algorithm; /* whole AlgorithmIdentifier inside the TBS */
    struct bytes issuer;        /* whole Name */
    struct bytes subject;       /* whole Name */
    uint8_t not_before_tag;     /* DER_UTC_TIME or DER_GENERALIZED_TIME */
    uint8_t not_after_tag;
    int64_t not_before_ms;
    int64_t not_after_ms;
    struct pki_spki spki;
    size_t extension_count;
    struct pki_extension extensions[PKI_EXTENSIONS_MAX];
    struct bytes algorithm; /* outer, whole; empty for a bare TBS */
    struct bytes signature; /* octets; empty for a bare TBS */
};

/* TM_EPARSE: not a certificate, a duplicate extension (RFC 5280, 4.2), trailing
 * octets; TM_ELIMIT: more extensions than PKI_EXTENSIONS_MAX. */
MUST_USE enum tm_err pki_cert_parse(struct bytes der, struct pki_cert *ret);
MUST_USE enum tm_err pki_tbs_parse(struct bytes der, struct pki_cert *ret);

/* NULL when absent. */
const struct pki_extension *pki_cert_extension(const struct pki_cert *cert, enum pki_oid type);

/* Typed reads of extension values. TM_ENOTFOUND when the extension is absent. */
MUST_USE enum tm_err pki_cert_basic_constraints(const struct pki_cert *cert, bool *ret_ca,
                                                int *ret_path_len /* -1 = none */);
MUST_USE enum tm_err pki_cert_key_usage(const struct pki_cert *cert, uint16_t *ret_bits);
MUST_USE enum tm_err pki_cert_eku(const struct pki_cert *cert, enum pki_oid ret[PKI_EKU_MAX],
                                  size_t *ret_count);
MUST_USE enum tm_err pki_cert_ski(const struct pki_cert *cert, struct bytes *ret_key_id);
MUST_USE enum tm_err pki_cert_aki(const struct pki_cert *cert, struct bytes *ret_key_id);
/* The whole GeneralNames SEQUENCE of subjectAltName. */
MUST_USE enum tm_err pki_cert_san(const struct pki_cert *cert, struct bytes *ret_general_names);

#endif
