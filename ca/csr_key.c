/* SPDX-License-Identifier: Apache-2.0 */
/* The key of a request: is it taken, and as an OpenSSL key. See ca/csr_check.h. */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/auto.h"
#include "ca/csr_check.h"
#include "ca/key.h"

AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
AUTO_DEFINE(OSSL_PARAM_BLD, OSSL_PARAM_BLD_free)
AUTO_DEFINE(OSSL_PARAM, OSSL_PARAM_free)
AUTO_DEFINE(BIGNUM, BN_free)

struct ca_checker {
    EVP_PKEY *p256; /* parameters only */
    EVP_PKEY *p384;
};

bool ca_refuse(struct ca_refusal *ret, enum ipc_outcome outcome, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(ret->text, sizeof ret->text, format, args);
    va_end(args);
    for (char *p = ret->text; *p; p++)
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
    ret->outcome = outcome;
    return false;
}

/* ---- OpenSSL keys ---- */

static EVP_PKEY *from_params(const char *type, int selection, OSSL_PARAM *params) {
    EVP_PKEY *key = NULL;
    AUTO(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, selection, params) != 1)
        return NULL;
    return key;
}

static EVP_PKEY *curve_parameters(char *group) {
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_end(),
    };
    return from_params("EC", EVP_PKEY_KEY_PARAMETERS, params);
}

enum tm_err ca_checker_new(struct ca_checker **ret_checker) {
    char p256[] = "P-256", p384[] = "P-384";
    struct ca_checker *checker = calloc(1, sizeof *checker);
    if (!checker)
        return TM_ENOMEM;
    checker->p256 = curve_parameters(p256);
    checker->p384 = curve_parameters(p384);
    if (!checker->p256 || !checker->p384) {
        ca_checker_free(checker);
        ERR_clear_error();
        return TM_ECRYPTO;
    }
    *ret_checker = checker;
    return TM_OK;
}

void ca_checker_free(struct ca_checker *checker) {
    if (!checker)
        return;
    EVP_PKEY_free(checker->p256);
    EVP_PKEY_free(checker->p384);
    free(checker);
}

static EVP_PKEY *ec_key(const EVP_PKEY *curve, struct bytes point) {
    AUTO(EVP_PKEY) key = EVP_PKEY_new();
    if (!key || EVP_PKEY_copy_parameters(key, curve) != 1 ||
        EVP_PKEY_set1_encoded_public_key(key, point.p, point.n) != 1)
        return NULL;
    return TAKE(key);
}

static EVP_PKEY *rsa_key(const struct pki_spki *spki) {
    struct bytes modulus, exponent;
    if (ca_key_rsa(spki, &modulus, &exponent))
        return NULL;
    AUTO(BIGNUM) n = BN_bin2bn(modulus.p, (int)modulus.n, NULL);
    AUTO(BIGNUM) e = BN_bin2bn(exponent.p, (int)exponent.n, NULL);
    AUTO(OSSL_PARAM_BLD) builder = OSSL_PARAM_BLD_new();
    if (!n || !e || !builder || OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) != 1)
        return NULL;
    AUTO(OSSL_PARAM) params = OSSL_PARAM_BLD_to_param(builder);
    return params ? from_params("RSA", EVP_PKEY_PUBLIC_KEY, params) : NULL;
}

EVP_PKEY *ca_spki_key(const struct ca_checker *checker, const struct pki_spki *spki) {
    EVP_PKEY *key = NULL;
    if (ca_key_fault(spki))
        return NULL;
    unsigned kind = ca_key_kind(spki);
    switch (kind) {
    case CA_KEY_P256:
        key = ec_key(checker->p256, spki->key);
        break;
    case CA_KEY_P384:
        key = ec_key(checker->p384, spki->key);
        break;
    case CA_KEY_RSA2048:
        key = rsa_key(spki);
        break;
    case CA_KEY_ED25519:
        key = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, spki->key.p, spki->key.n);
        break;
    case CA_KEY_MLDSA44:
    case CA_KEY_MLDSA65:
    case CA_KEY_MLDSA87:
        key = EVP_PKEY_new_raw_public_key_ex(NULL, ca_key_ml_dsa_name(kind), NULL, spki->key.p,
                                             spki->key.n);
        break;
    default:
        break;
    }
    if (!key)
        ERR_clear_error();
    return key;
}

/* ---- policy ---- */

/* "RSA of 1024 bits", "EC on secp521r1". */
static void describe(const struct pki_spki *spki, char *ret, size_t cap) {
    switch (spki->algorithm) {
    case PKI_OID_RSA_ENCRYPTION:
        (void)snprintf(ret, cap, "RSA of %u bits", spki->bits);
        break;
    case PKI_OID_EC_PUBLIC_KEY:
        (void)snprintf(ret, cap, "EC on %s",
                       spki->curve == PKI_OID_UNKNOWN ? "a curve that is unknown or not named"
                                                      : pki_oid_name(spki->curve));
        break;
    case PKI_OID_ED25519:
        (void)snprintf(ret, cap, "Ed25519");
        break;
    case PKI_OID_ML_DSA_44:
    case PKI_OID_ML_DSA_65:
    case PKI_OID_ML_DSA_87:
        (void)snprintf(ret, cap, "%s", ca_key_ml_dsa_name(ca_key_kind(spki)));
        break;
    default:
        (void)snprintf(ret, cap, "of an unknown algorithm");
        break;
    }
}

static void list_keys(unsigned keys, char *ret, size_t cap) {
    size_t n = 0;
    for (unsigned key = 1; key <= CA_KEY_LAST && n < cap; key <<= 1)
        if (keys & key)
            n +=
                (size_t)snprintf(ret + n, cap - n, "%s%s", n ? ", " : "", ca_profile_key_word(key));
}

bool ca_check_key(const struct pki_csr *csr, const struct ca_profile *profile,
                  struct ca_refusal *ret) {
    if (!(ca_key_kind(&csr->spki) & profile->keys)) {
        char found[80], taken[64];
        describe(&csr->spki, found, sizeof found);
        list_keys(profile->keys, taken, sizeof taken);
        return ca_refuse(ret, IPC_BAD_KEY, "the key is %s; profile %s takes %s%s", found,
                         profile->name, taken,
                         profile->keys & CA_KEY_RSA2048 ? " (RSA of 2048 to 4096 bits)" : "");
    }
    const char *fault = ca_key_fault(&csr->spki);
    return fault ? ca_refuse(ret, IPC_BAD_KEY, "%s", fault) : true;
}
