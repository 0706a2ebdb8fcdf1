/* SPDX-License-Identifier: Apache-2.0 */
/* The table of signature algorithms, and how each is verified. */
#include "ca/signature.h"

#include <openssl/err.h>

#include "base/auto.h"

AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)

static const struct row {
    enum pki_oid signature;
    enum pki_oid key;
    enum pki_oid hash;  /* of CMS messages that name key and digest apart */
    const char *digest; /* NULL: the signature has its own */
} taken[] = {
    {PKI_OID_ECDSA_SHA256, PKI_OID_EC_PUBLIC_KEY, PKI_OID_SHA256, "SHA256"},
    {PKI_OID_ECDSA_SHA384, PKI_OID_EC_PUBLIC_KEY, PKI_OID_SHA384, "SHA384"},
    {PKI_OID_ECDSA_SHA512, PKI_OID_EC_PUBLIC_KEY, PKI_OID_SHA512, "SHA512"},
    {PKI_OID_RSA_SHA256, PKI_OID_RSA_ENCRYPTION, PKI_OID_SHA256, "SHA256"},
    {PKI_OID_RSA_SHA384, PKI_OID_RSA_ENCRYPTION, PKI_OID_SHA384, "SHA384"},
    {PKI_OID_RSA_SHA512, PKI_OID_RSA_ENCRYPTION, PKI_OID_SHA512, "SHA512"},
    {PKI_OID_ED25519, PKI_OID_ED25519, PKI_OID_SHA512, NULL},
    {PKI_OID_ML_DSA_44, PKI_OID_ML_DSA_44, PKI_OID_SHA512, NULL},
    {PKI_OID_ML_DSA_65, PKI_OID_ML_DSA_65, PKI_OID_SHA512, NULL},
    {PKI_OID_ML_DSA_87, PKI_OID_ML_DSA_87, PKI_OID_SHA512, NULL},
};
#define TAKEN_COUNT (sizeof taken / sizeof taken[0])

static const struct row *find(enum pki_oid algorithm) {
    for (size_t i = 0; i < TAKEN_COUNT; i++)
        if (taken[i].signature == algorithm)
            return &taken[i];
    return NULL;
}

bool ca_signature_taken(enum pki_oid algorithm) {
    return find(algorithm) != NULL;
}

enum tm_err ca_signature_verify(const struct ca_checker *checker, const struct pki_spki *spki,
                                enum pki_oid algorithm, struct bytes message,
                                struct bytes signature) {
    const struct row *row = find(algorithm);
    if (!row || row->key != spki->algorithm)
        return TM_EINVAL;
    AUTO(EVP_PKEY) key = ca_spki_key(checker, spki);
    if (!key)
        return TM_EPARSE;
    return ca_signature_verify_by(key, spki->algorithm, algorithm, message, signature);
}

enum tm_err ca_signature_verify_by(EVP_PKEY *key, enum pki_oid kind, enum pki_oid algorithm,
                                   struct bytes message, struct bytes signature) {
    const struct row *row = find(algorithm);
    if (!row || row->key != kind)
        return TM_EINVAL;
    AUTO(EVP_MD_CTX) ctx = EVP_MD_CTX_new();
    bool good = ctx &&
                EVP_DigestVerifyInit_ex(ctx, NULL, row->digest, NULL, NULL, key, NULL) == 1 &&
                EVP_DigestVerify(ctx, signature.p, signature.n, message.p, message.n) == 1;
    if (!good)
        ERR_clear_error();
    return good ? TM_OK : TM_ECRYPTO;
}

enum pki_oid ca_signature_of_signer(struct bytes algorithm, enum pki_oid digest) {
    struct der sequence, oid;
    if (der_only(algorithm, DER_SEQUENCE, &sequence) || der_expect(&sequence.value, DER_OID, &oid))
        return PKI_OID_UNKNOWN;
    enum pki_oid named = pki_oid_find(oid.value);
    if (named != PKI_OID_RSA_ENCRYPTION)
        return ca_signature_taken(named) ? named : PKI_OID_UNKNOWN;
    for (size_t i = 0; i < TAKEN_COUNT; i++)
        if (taken[i].key == PKI_OID_RSA_ENCRYPTION && taken[i].hash == digest)
            return taken[i].signature;
    return PKI_OID_UNKNOWN;
}

enum tm_err ca_digest(enum pki_oid digest, struct bytes data, struct buf *out) {
    static const struct {
        enum pki_oid oid;
        const char *name;
    } digests[] = {
        {PKI_OID_SHA256, "SHA256"}, {PKI_OID_SHA384, "SHA384"}, {PKI_OID_SHA512, "SHA512"}};
    uint8_t value[EVP_MAX_MD_SIZE];
    size_t n = 0;
    for (size_t i = 0; i < sizeof digests / sizeof digests[0]; i++)
        if (digests[i].oid == digest) {
            if (EVP_Q_digest(NULL, digests[i].name, NULL, data.p, data.n, value, &n) != 1)
                return TM_ECRYPTO;
            buf_put(out, (struct bytes){value, n});
            return out->full ? TM_ELIMIT : TM_OK;
        }
    return TM_EINVAL;
}
