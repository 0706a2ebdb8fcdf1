/* SPDX-License-Identifier: Apache-2.0 */
/* SubjectPublicKeyInfo (RFC 5280, 4.1.2.7) of the algorithms in RFC 3279, 5480, 8410 and 9881. */
#include "pki/cert.h"

#define ED25519_BITS 256

static unsigned curve_bits(enum pki_oid curve) {
    switch (curve) {
    case PKI_OID_PRIME256V1:
        return 256;
    case PKI_OID_SECP384R1:
        return 384;
    case PKI_OID_SECP521R1:
        return 521;
    default:
        return 0;
    }
}

/* RFC 5480, 2.1.1: namedCurve only; specifiedCurve leaves the curve unknown. */
static enum tm_err parse_ec(struct bytes parameters, struct pki_spki *spki) {
    struct der curve;
    if (der_next(&parameters, &curve) != TM_OK || parameters.n != 0)
        return TM_EPARSE;
    if (curve.tag == DER_OID)
        spki->curve = pki_oid_find(curve.value);
    spki->bits = curve_bits(spki->curve);
    return TM_OK;
}

static unsigned magnitude_bits(struct bytes magnitude) {
    if (magnitude.n == 0)
        return 0;
    unsigned top = 32 - (unsigned)__builtin_clz(magnitude.p[0]);
    return (unsigned)(magnitude.n - 1) * 8 + top;
}

/* RFC 3279, 2.3.1: parameters are NULL, the key is RSAPublicKey. */
static enum tm_err parse_rsa(struct bytes parameters, struct pki_spki *spki) {
    struct der null, key, modulus, exponent;
    struct bytes n, e;
    if (der_only(parameters, DER_NULL, &null) != TM_OK || null.value.n != 0 ||
        der_only(spki->key, DER_SEQUENCE, &key) != TM_OK ||
        der_expect(&key.value, DER_INTEGER, &modulus) != TM_OK ||
        der_expect(&key.value, DER_INTEGER, &exponent) != TM_OK || key.value.n != 0 ||
        der_integer(&modulus, &n) != TM_OK || der_integer(&exponent, &e) != TM_OK)
        return TM_EPARSE;
    spki->bits = magnitude_bits(n);
    return TM_OK;
}

/* RFC 8410, 3: no parameters. */
static enum tm_err parse_ed25519(struct bytes parameters, struct pki_spki *spki) {
    spki->bits = ED25519_BITS;
    return parameters.n == 0 ? TM_OK : TM_EPARSE;
}

/* RFC 9881, 2: no parameters. */
static enum tm_err parse_ml_dsa(struct bytes parameters) {
    return parameters.n == 0 ? TM_OK : TM_EPARSE;
}

static enum tm_err parse_key(struct bytes parameters, struct pki_spki *spki) {
    switch (spki->algorithm) {
    case PKI_OID_EC_PUBLIC_KEY:
        return parse_ec(parameters, spki);
    case PKI_OID_RSA_ENCRYPTION:
        return parse_rsa(parameters, spki);
    case PKI_OID_ED25519:
        return parse_ed25519(parameters, spki);
    case PKI_OID_ML_DSA_44:
    case PKI_OID_ML_DSA_65:
    case PKI_OID_ML_DSA_87:
        return parse_ml_dsa(parameters);
    default:
        spki->algorithm = PKI_OID_UNKNOWN;
        return TM_OK;
    }
}

enum tm_err pki_spki_parse(struct bytes spki, struct pki_spki *ret) {
    struct der outer, algorithm, oid, key;
    struct pki_spki parsed = {.whole = spki};
    if (der_only(spki, DER_SEQUENCE, &outer) != TM_OK ||
        der_expect(&outer.value, DER_SEQUENCE, &algorithm) != TM_OK ||
        der_expect(&algorithm.value, DER_OID, &oid) != TM_OK || !pki_oid_valid(oid.value) ||
        der_expect(&outer.value, DER_BIT_STRING, &key) != TM_OK || outer.value.n != 0 ||
        der_bits(&key, &parsed.key) != TM_OK)
        return TM_EPARSE;
    parsed.algorithm = pki_oid_find(oid.value);
    enum tm_err err = parse_key(algorithm.value, &parsed);
    if (err == TM_OK)
        *ret = parsed;
    return err;
}

enum pki_oid pki_spki_signature(const struct pki_spki *spki) {
    switch (spki->algorithm) {
    case PKI_OID_EC_PUBLIC_KEY:
        return spki->curve == PKI_OID_PRIME256V1  ? PKI_OID_ECDSA_SHA256
               : spki->curve == PKI_OID_SECP384R1 ? PKI_OID_ECDSA_SHA384
               : spki->curve == PKI_OID_SECP521R1 ? PKI_OID_ECDSA_SHA512
                                                  : PKI_OID_UNKNOWN;
    case PKI_OID_RSA_ENCRYPTION:
        return PKI_OID_RSA_SHA256;
    case PKI_OID_ED25519:
        return PKI_OID_ED25519;
    default:
        return PKI_OID_UNKNOWN;
    }
}
