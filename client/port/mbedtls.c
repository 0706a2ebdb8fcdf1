/* SPDX-License-Identifier: Apache-2.0 */
/* struct tm_crypto by mbedTLS 2.28 and 3.x: only hashes, elliptic curves and RSA are used of it. */
#include "client/port/mbedtls.h"

#include <string.h>

#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>
#include <mbedtls/md.h>
#include <mbedtls/rsa.h>
#include <mbedtls/sha256.h>
#include <mbedtls/sha512.h>
#include <mbedtls/version.h>

#include "pki/cert.h"

/* 2.28 keeps the plain names for functions that tell no errors; 3.0 gave them to those that do. */
#if MBEDTLS_VERSION_NUMBER < 0x03000000
#define sha256_starts mbedtls_sha256_starts_ret
#define sha256_update mbedtls_sha256_update_ret
#define sha256_finish mbedtls_sha256_finish_ret
#define sha256_whole mbedtls_sha256_ret
#define sha512_whole mbedtls_sha512_ret
#elif MBEDTLS_VERSION_NUMBER < 0x04000000
#define sha256_starts mbedtls_sha256_starts
#define sha256_update mbedtls_sha256_update
#define sha256_finish mbedtls_sha256_finish
#define sha256_whole mbedtls_sha256
#define sha512_whole mbedtls_sha512
#else
#error "mbedTLS 4 has only PSA functions: this port is for 2.28 and 3.x"
#endif

#if defined(MBEDTLS_RSA_C) && defined(MBEDTLS_PKCS1_V15)
#define WITH_RSA
#endif

#define DIGEST_MAX 64
#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 4096
#define RSA_EXPONENT_MAX 8 /* octets: a longer one costs its verifier more than any CA needs */

struct algorithm {
    enum pki_oid oid;
    enum pki_oid key;
    mbedtls_md_type_t md;
};
static const struct algorithm algorithms[] = {
    {PKI_OID_ECDSA_SHA256, PKI_OID_EC_PUBLIC_KEY, MBEDTLS_MD_SHA256},
    {PKI_OID_ECDSA_SHA384, PKI_OID_EC_PUBLIC_KEY, MBEDTLS_MD_SHA384},
    {PKI_OID_ECDSA_SHA512, PKI_OID_EC_PUBLIC_KEY, MBEDTLS_MD_SHA512},
#ifdef WITH_RSA
    {PKI_OID_RSA_SHA256, PKI_OID_RSA_ENCRYPTION, MBEDTLS_MD_SHA256},
    {PKI_OID_RSA_SHA384, PKI_OID_RSA_ENCRYPTION, MBEDTLS_MD_SHA384},
    {PKI_OID_RSA_SHA512, PKI_OID_RSA_ENCRYPTION, MBEDTLS_MD_SHA512},
#endif
};

struct digest {
    uint8_t octets[DIGEST_MAX];
    size_t n;
};

static enum tm_err hash_parts(void *self, const struct bytes *parts, size_t count,
                              uint8_t ret[TM_SHA256_SIZE]) {
    (void)self;
    mbedtls_sha256_context context;
    uint8_t hash[TM_SHA256_SIZE];
    mbedtls_sha256_init(&context);
    int failed = sha256_starts(&context, 0);
    for (size_t i = 0; !failed && i < count; i++)
        failed = sha256_update(&context, parts[i].p, parts[i].n);
    if (!failed)
        failed = sha256_finish(&context, hash);
    mbedtls_sha256_free(&context);
    if (failed)
        return TM_ECRYPTO;
    memcpy(ret, hash, sizeof hash);
    return TM_OK;
}

static enum tm_err digest_of(mbedtls_md_type_t md, struct bytes message, struct digest *ret) {
    int failed = 1;
    if (md == MBEDTLS_MD_SHA256) {
        ret->n = 32;
        failed = sha256_whole(message.p, message.n, ret->octets, 0);
    }
#ifdef MBEDTLS_SHA512_C
    if (md == MBEDTLS_MD_SHA384 || md == MBEDTLS_MD_SHA512) {
        ret->n = md == MBEDTLS_MD_SHA384 ? 48 : 64;
        failed = sha512_whole(message.p, message.n, ret->octets, md == MBEDTLS_MD_SHA384);
    }
#endif
    return failed ? TM_ECRYPTO : TM_OK;
}

/* Parameters are absent with ECDSA (RFC 5758, 3.2), NULL or absent with RSA (RFC 4055, 5). */
static const struct algorithm *algorithm_find(struct bytes identifier) {
    struct der outer, oid, null;
    if (der_only(identifier, DER_SEQUENCE, &outer) != TM_OK ||
        der_expect(&outer.value, DER_OID, &oid) != TM_OK)
        return NULL;
    enum pki_oid which = pki_oid_find(oid.value);
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
        const struct algorithm *a = &algorithms[i];
        if (a->oid != which)
            continue;
        bool bare = outer.value.n == 0;
        if (a->key == PKI_OID_RSA_ENCRYPTION && !bare)
            bare = der_only(outer.value, DER_NULL, &null) == TM_OK && null.value.n == 0;
        return bare ? a : NULL;
    }
    return NULL;
}

static mbedtls_ecp_group_id group_of(enum pki_oid curve) {
    if (curve == PKI_OID_PRIME256V1)
        return MBEDTLS_ECP_DP_SECP256R1;
    if (curve == PKI_OID_SECP384R1)
        return MBEDTLS_ECP_DP_SECP384R1;
    return MBEDTLS_ECP_DP_NONE;
}

/* ECDSA-Sig-Value (RFC 3279, 2.2.3); that r and s are below the order is checked by mbedTLS. */
static bool signature_read(struct bytes signature, size_t size_max, mbedtls_mpi *r,
                           mbedtls_mpi *s) {
    struct der outer, r_der, s_der;
    struct bytes r_octets, s_octets;
    return der_only(signature, DER_SEQUENCE, &outer) == TM_OK &&
           der_expect(&outer.value, DER_INTEGER, &r_der) == TM_OK &&
           der_expect(&outer.value, DER_INTEGER, &s_der) == TM_OK && outer.value.n == 0 &&
           der_integer(&r_der, &r_octets) == TM_OK && der_integer(&s_der, &s_octets) == TM_OK &&
           r_octets.n <= size_max && s_octets.n <= size_max &&
           mbedtls_mpi_read_binary(r, r_octets.p, r_octets.n) == 0 &&
           mbedtls_mpi_read_binary(s, s_octets.p, s_octets.n) == 0;
}

static enum tm_err verify_ecdsa(const struct pki_spki *key, const struct digest *digest,
                                struct bytes signature) {
    mbedtls_ecp_group group;
    mbedtls_ecp_point point;
    mbedtls_mpi r, s;
    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&point);
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    /* A point that is not on the curve has no key behind it: SEC 1, 3.2.2.1. */
    bool good = mbedtls_ecp_group_load(&group, group_of(key->curve)) == 0 &&
                mbedtls_ecp_point_read_binary(&group, &point, key->key.p, key->key.n) == 0 &&
                mbedtls_ecp_check_pubkey(&group, &point) == 0 &&
                signature_read(signature, key->bits / 8, &r, &s) &&
                mbedtls_ecdsa_verify(&group, digest->octets, digest->n, &point, &r, &s) == 0;
    mbedtls_mpi_free(&s);
    mbedtls_mpi_free(&r);
    mbedtls_ecp_point_free(&point);
    mbedtls_ecp_group_free(&group);
    return good ? TM_OK : TM_ECRYPTO;
}

#ifdef WITH_RSA
/* RSAPublicKey (RFC 8017, A.1.1), which pki_spki_parse found to be well-formed. */
static bool rsa_read(const struct pki_spki *key, mbedtls_rsa_context *rsa) {
    struct der outer, n_der, e_der;
    struct bytes n, e;
    return key->bits >= RSA_BITS_MIN && key->bits <= RSA_BITS_MAX &&
           der_only(key->key, DER_SEQUENCE, &outer) == TM_OK &&
           der_expect(&outer.value, DER_INTEGER, &n_der) == TM_OK &&
           der_expect(&outer.value, DER_INTEGER, &e_der) == TM_OK &&
           der_integer(&n_der, &n) == TM_OK && der_integer(&e_der, &e) == TM_OK &&
           e.n <= RSA_EXPONENT_MAX &&
           mbedtls_rsa_import_raw(rsa, n.p, n.n, NULL, 0, NULL, 0, NULL, 0, e.p, e.n) == 0 &&
           mbedtls_rsa_check_pubkey(rsa) == 0;
}

/* RSASSA-PKCS1-v1_5 (RFC 8017, 8.2.2). */
static enum tm_err verify_rsa(const struct pki_spki *key, mbedtls_md_type_t md,
                              const struct digest *digest, struct bytes signature) {
    mbedtls_rsa_context rsa;
    unsigned digest_n = (unsigned)digest->n;
#if MBEDTLS_VERSION_NUMBER < 0x03000000
    mbedtls_rsa_init(&rsa, MBEDTLS_RSA_PKCS_V15, 0);
    bool good = rsa_read(key, &rsa) && signature.n == mbedtls_rsa_get_len(&rsa) &&
                mbedtls_rsa_pkcs1_verify(&rsa, NULL, NULL, MBEDTLS_RSA_PUBLIC, md, digest_n,
                                         digest->octets, signature.p) == 0;
#else
    mbedtls_rsa_init(&rsa);
    bool good = rsa_read(key, &rsa) && signature.n == mbedtls_rsa_get_len(&rsa) &&
                mbedtls_rsa_pkcs1_verify(&rsa, md, digest_n, digest->octets, signature.p) == 0;
#endif
    mbedtls_rsa_free(&rsa);
    return good ? TM_OK : TM_ECRYPTO;
}
#endif

static enum tm_err verify(void *self, struct bytes spki, struct bytes algorithm,
                          struct bytes message, struct bytes signature) {
    (void)self;
    const struct algorithm *a = algorithm_find(algorithm);
    struct pki_spki key;
    struct digest digest;
    if (!a || pki_spki_parse(spki, &key) != TM_OK || key.algorithm != a->key ||
        digest_of(a->md, message, &digest) != TM_OK)
        return TM_ECRYPTO;
#ifdef WITH_RSA
    if (a->key == PKI_OID_RSA_ENCRYPTION)
        return verify_rsa(&key, a->md, &digest, signature);
#endif
    return verify_ecdsa(&key, &digest, signature);
}

/* The caller's function may have written a part before it failed: nothing of that is used. */
static enum tm_err random_octets(void *self, uint8_t *ret, size_t n) {
    const struct tm_mbedtls *mbedtls = (const struct tm_mbedtls *)self;
    return mbedtls->random(mbedtls->random_arg, ret, n) == 0 ? TM_OK : TM_ECRYPTO;
}

struct tm_crypto tm_mbedtls_crypto(struct tm_mbedtls *mbedtls) {
    return (struct tm_crypto){TM_TABLE_VERSION, mbedtls, hash_parts, verify, random_octets};
}
