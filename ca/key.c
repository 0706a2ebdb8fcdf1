/* SPDX-License-Identifier: Apache-2.0 */
/* See ca/key.h. */
#include "ca/key.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#include "ca/profile.h"

#define EC_UNCOMPRESSED 0x04 /* SEC 1, 2.3.3 */
#define ED25519_OCTETS 32
#define RSA_EXPONENT_MIN 65537
#define RSA_EXPONENT_OCTETS_MAX 8 /* a longer one only makes each verification slower */

/* FIPS 204, table 2. */
static const struct ml_dsa {
    enum pki_oid algorithm;
    unsigned kind;
    size_t octets;
    const char *name; /* OpenSSL's */
} ml_dsa[] = {
    {PKI_OID_ML_DSA_44, CA_KEY_MLDSA44, 1312, "ML-DSA-44"},
    {PKI_OID_ML_DSA_65, CA_KEY_MLDSA65, 1952, "ML-DSA-65"},
    {PKI_OID_ML_DSA_87, CA_KEY_MLDSA87, 2592, "ML-DSA-87"},
};
#define ML_DSA_COUNT (sizeof ml_dsa / sizeof ml_dsa[0])

static const struct ml_dsa *ml_dsa_of(unsigned kind) {
    for (size_t i = 0; i < ML_DSA_COUNT; i++)
        if (ml_dsa[i].kind == kind)
            return &ml_dsa[i];
    return NULL;
}

static unsigned ml_dsa_kind(enum pki_oid algorithm) {
    for (size_t i = 0; i < ML_DSA_COUNT; i++)
        if (ml_dsa[i].algorithm == algorithm)
            return ml_dsa[i].kind;
    return 0;
}

const char *ca_key_ml_dsa_name(unsigned kind) {
    const struct ml_dsa *row = ml_dsa_of(kind);
    return row ? row->name : NULL;
}

bool ca_key_supported(unsigned kind) {
    const struct ml_dsa *row = ml_dsa_of(kind);
    if (!row)
        return true;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, row->name, NULL);
    bool known = ctx != NULL;
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    return known;
}

unsigned ca_key_kind(const struct pki_spki *spki) {
    switch (spki->algorithm) {
    case PKI_OID_EC_PUBLIC_KEY:
        return spki->curve == PKI_OID_PRIME256V1  ? CA_KEY_P256
               : spki->curve == PKI_OID_SECP384R1 ? CA_KEY_P384
                                                  : 0;
    case PKI_OID_ED25519:
        return CA_KEY_ED25519;
    case PKI_OID_RSA_ENCRYPTION:
        return spki->bits >= CA_RSA_BITS_MIN && spki->bits <= CA_RSA_BITS_MAX ? CA_KEY_RSA2048 : 0;
    default:
        return ml_dsa_kind(spki->algorithm);
    }
}

static const char *ec_fault(const struct pki_spki *spki) {
    if (spki->key.n != 1 + 2 * (size_t)(spki->bits / 8) || spki->key.p[0] != EC_UNCOMPRESSED)
        return "RFC 5480 2.2: the EC point is not in uncompressed form";
    return NULL;
}

enum tm_err ca_key_rsa(const struct pki_spki *spki, struct bytes *ret_modulus,
                       struct bytes *ret_exponent) {
    struct der key, n, e;
    struct bytes modulus, exponent;
    if (der_only(spki->key, DER_SEQUENCE, &key) || der_expect(&key.value, DER_INTEGER, &n) ||
        der_expect(&key.value, DER_INTEGER, &e) || key.value.n || der_integer(&n, &modulus) ||
        der_integer(&e, &exponent) || modulus.n == 0 || exponent.n == 0)
        return TM_EPARSE;
    *ret_modulus = modulus;
    *ret_exponent = exponent;
    return TM_OK;
}

static const char *rsa_fault(const struct pki_spki *spki) {
    struct bytes n, e;
    if (ca_key_rsa(spki, &n, &e))
        return "RFC 8017 A.1.1: the RSA key is malformed";
    if (n.p[n.n - 1] % 2 == 0)
        return "RFC 8017 3.1: the RSA modulus is even";
    if (e.n > RSA_EXPONENT_OCTETS_MAX || e.p[e.n - 1] % 2 == 0)
        return "RFC 8017 3.1: the RSA exponent is even or longer than 64 bits";
    struct reader r = {.in = e};
    if (reader_be(&r, e.n) < RSA_EXPONENT_MIN)
        return "FIPS 186-5 A.1.1: the RSA exponent is less than 65537";
    return NULL;
}

static const char *ed25519_fault(const struct pki_spki *spki) {
    return spki->key.n == ED25519_OCTETS ? NULL : "RFC 8410 4: an Ed25519 key is not 32 octets";
}

static const char *ml_dsa_fault(const struct pki_spki *spki, unsigned kind) {
    return spki->key.n == ml_dsa_of(kind)->octets
               ? NULL
               : "RFC 9881 4: an ML-DSA key is not of the size of its parameter set";
}

const char *ca_key_fault(const struct pki_spki *spki) {
    unsigned kind = ca_key_kind(spki);
    switch (kind) {
    case CA_KEY_P256:
    case CA_KEY_P384:
        return ec_fault(spki);
    case CA_KEY_RSA2048:
        return rsa_fault(spki);
    case CA_KEY_ED25519:
        return ed25519_fault(spki);
    case CA_KEY_MLDSA44:
    case CA_KEY_MLDSA65:
    case CA_KEY_MLDSA87:
        return ml_dsa_fault(spki, kind);
    default:
        return "RFC 5280 4.1.2.7: the key is of a kind that is not certified";
    }
}

enum tm_err ca_key_id(const struct pki_spki *spki, uint8_t ret[CA_KEY_ID_SIZE]) {
    uint8_t hash[CA_HASH_SIZE];
    if (EVP_Digest(spki->key.p, spki->key.n, hash, NULL, EVP_sha256(), NULL) != 1)
        return TM_ECRYPTO;
    memcpy(ret, hash, CA_KEY_ID_SIZE);
    return TM_OK;
}
