/* SPDX-License-Identifier: Apache-2.0 */
/* Trial issue with throwaway keys: see ca/profile_trial.h. */
#include "ca/profile_trial.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "ca/build.h"
#include "ca/ceremony_cert.h"
#include "ca/key.h"
#include "ca/lint.h"
#include "ca/request.h"
#include "ca/san.h"
#include "ca/x509.h"
#include "pki/name.h"

AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)
AUTO_DEFINE(X509, X509_free)

#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define ISSUER_SINCE_MS (30 * DAY_MS) /* longer than any backdate */

struct ca_trial {
    int64_t now_ms;
    EVP_PKEY *key;
    struct ca_issuer issuer;
};

/* Fields whose upper bound is two octets (countryName) may be templates of these. */
static const struct ca_device sample = {
    .id = "SAMPLE-0001", .sku = "XX", .hardware_revision = "XX", .batch = "XX", .site = "XX"};
static const char sample_host[] = "device.example";

__attribute__((format(printf, 3, 4))) static enum tm_err
fault(enum tm_err err, char text[CONF_ERROR_MAX], const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, CONF_ERROR_MAX, format, args);
    va_end(args);
    ERR_clear_error();
    return err;
}

/* ---- keys ---- */

static EVP_PKEY *make_key(unsigned key) {
    switch (key) {
    case CA_KEY_P256:
        return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    case CA_KEY_P384:
        return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
    case CA_KEY_ED25519:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    case CA_KEY_RSA2048:
        return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)CA_RSA_BITS_MIN);
    default:
        return EVP_PKEY_Q_keygen(NULL, NULL, ca_key_ml_dsa_name(key));
    }
}

static enum tm_err put_spki(EVP_PKEY *key, struct buf *out) {
    unsigned char *der = NULL;
    int n = i2d_PUBKEY(key, &der);
    if (n <= 0)
        return TM_ECRYPTO;
    buf_put(out, (struct bytes){der, (size_t)n});
    OPENSSL_free(der);
    return out->full ? TM_ELIMIT : TM_OK;
}

/* The issuer's key is P-256. */
static enum tm_err sign(EVP_PKEY *key, struct bytes tbs, struct buf *out) {
    uint8_t octets[IPC_SIGNATURE_MAX];
    size_t n = sizeof octets;
    AUTO(EVP_MD_CTX) ctx = EVP_MD_CTX_new();
    if (!ctx || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestSign(ctx, octets, &n, tbs.p, tbs.n) != 1)
        return TM_ECRYPTO;
    buf_put(out, (struct bytes){octets, n});
    return out->full ? TM_ELIMIT : TM_OK;
}

/* ---- the issuer ---- */

static enum tm_err put_issuer(const struct ca_trial *trial, const struct pki_spki *spki,
                              struct buf *out) {
    static const struct pki_rdn rdns[] = {{PKI_OID_COMMON_NAME, "Touchmark trial CA"}};
    uint8_t name[CA_NAME_DER_MAX], octets[CA_TBS_MAX], signed_octets[IPC_SIGNATURE_MAX];
    struct der_writer w = der_writer_on(name, sizeof name);
    struct buf tbs = BUF_ON(octets), signature = BUF_ON(signed_octets);
    struct ca_serial serial;
    pki_name_write(&w, rdns, 1);
    enum tm_err err = ca_serial_make(trial->now_ms, &serial);
    if (err)
        return err;
    const struct ca_ceremony_tbs parts = {.subject = der_written(&w),
                                          .issuer = der_written(&w),
                                          .spki = *spki,
                                          .signer = *spki,
                                          .serial = &serial,
                                          .not_before_ms = trial->now_ms - ISSUER_SINCE_MS,
                                          .not_after_ms = CA_FOREVER_MS,
                                          .key_usage = PKI_KU_KEY_CERT_SIGN | PKI_KU_CRL_SIGN};
    err = ca_ceremony_put_tbs(&parts, &tbs);
    if (!err)
        err = sign(trial->key, buf_bytes(&tbs), &signature);
    return err ? err
               : ca_ceremony_put_certificate(spki, buf_bytes(&tbs), buf_bytes(&signature), out);
}

static enum tm_err open_issuer(struct ca_trial *trial, struct bytes der) {
    struct ca_issuer *issuer = &trial->issuer;
    uint8_t *own = malloc(der.n);
    if (!own)
        return TM_ENOMEM;
    memcpy(own, der.p, der.n);
    issuer->der = (struct bytes){own, der.n};
    issuer->crl_shards = 1;
    TEXT_SET(issuer->name, "trial");
    if (pki_cert_parse(issuer->der, &issuer->view) ||
        pki_cert_ski(&issuer->view, &issuer->key_id) || EVP_PKEY_up_ref(trial->key) != 1)
        return TM_ECRYPTO;
    issuer->key = trial->key;
    issuer->signature = ca_signature_for(&issuer->view.spki);
    return TM_OK;
}

static enum tm_err make_issuer(struct ca_trial *trial) {
    uint8_t key_octets[IPC_SPKI_MAX], octets[IPC_CERT_MAX];
    struct buf key = BUF_ON(key_octets), der = BUF_ON(octets);
    struct pki_spki spki;
    trial->key = make_key(CA_KEY_P256);
    enum tm_err err = trial->key ? put_spki(trial->key, &key) : TM_ECRYPTO;
    if (!err)
        err = pki_spki_parse(buf_bytes(&key), &spki);
    if (!err)
        err = put_issuer(trial, &spki, &der);
    return err ? err : open_issuer(trial, buf_bytes(&der));
}

enum tm_err ca_trial_new(int64_t now_ms, struct ca_trial **ret_trial) {
    struct ca_trial *trial = calloc(1, sizeof *trial);
    if (!trial)
        return TM_ENOMEM;
    trial->now_ms = now_ms;
    enum tm_err err = make_issuer(trial);
    if (err) {
        ERR_clear_error();
        ca_trial_free(trial);
    } else {
        *ret_trial = trial;
    }
    return err;
}

void ca_trial_free(struct ca_trial *trial) {
    if (!trial)
        return;
    ca_issuer_free(&trial->issuer);
    EVP_PKEY_free(trial->key);
    free(trial);
}

/* ---- judged by OpenSSL ---- */

/* 0: OpenSSL 3.0 has no check of its own for it. */
static int purpose_of(enum pki_oid purpose) {
    switch (purpose) {
    case PKI_OID_KP_CLIENT_AUTH:
        return X509_PURPOSE_SSL_CLIENT;
    case PKI_OID_KP_SERVER_AUTH:
        return X509_PURPOSE_SSL_SERVER;
    case PKI_OID_KP_OCSP_SIGNING:
        return X509_PURPOSE_OCSP_HELPER;
    default:
        return 0;
    }
}

static enum tm_err judge(const struct ca_trial *trial, const struct ca_profile *profile,
                         struct bytes der, char text[CONF_ERROR_MAX]) {
    enum pki_oid purposes[PKI_EKU_MAX] = {PKI_OID_UNKNOWN};
    size_t count = ca_profile_purposes(profile, purposes);
    AUTO(X509) certificate = ca_x509_read(der);
    AUTO(X509) root = ca_x509_read(trial->issuer.der);
    if (!certificate || !root)
        return fault(TM_EDENIED, text, "OpenSSL does not read the certificate");
    for (size_t i = 0; i < count || i == 0; i++) {
        int result = ca_x509_verify(certificate, NULL, root, purpose_of(purposes[i]));
        if (result != X509_V_OK)
            return fault(TM_EDENIED, text, "OpenSSL refuses the certificate%s%s: %s",
                         count ? " for " : "", count ? pki_oid_name(purposes[i]) : "",
                         X509_verify_cert_error_string(result));
    }
    return TM_OK;
}

/* ---- issuing ---- */

static struct bytes sample_names(struct der_writer *w) {
    size_t end = der_mark(w);
    der_put(w, CA_SAN_DNS, bytes_str(sample_host));
    der_wrap(w, DER_SEQUENCE, end);
    return der_written(w);
}

static enum tm_err build(const struct ca_trial *trial, const struct ca_profile *profile,
                         const struct pki_spki *spki, struct buf *tbs, char text[CONF_ERROR_MAX]) {
    uint8_t octets[sizeof sample_host + 8];
    struct der_writer w = der_writer_on(octets, sizeof octets);
    struct ca_lint_token token;
    struct ca_serial serial;
    char broken[CA_LINT_TEXT_MAX];
    if (ca_serial_make(trial->now_ms, &serial))
        return fault(TM_ECRYPTO, text, "there is no randomness, or the clock is wrong");
    const struct ca_build b = {.profile = profile,
                               .issuer = &trial->issuer,
                               .device = &sample,
                               .serial = &serial,
                               .spki = spki,
                               .requested_san =
                                   profile->san_from_request ? sample_names(&w) : (struct bytes){0},
                               .now_ms = trial->now_ms};
    enum tm_err err = ca_build_tbs(&b, tbs);
    if (err == TM_EDENIED)
        return fault(err, text, "not_after: is over, so that nothing can be issued any more");
    if (err == TM_ELIMIT)
        return fault(err, text, "the certificate is larger than %d octets", CA_TBS_MAX);
    if (err)
        return fault(TM_EDENIED, text, "the certificate cannot be built: %s", tm_err_name(err));
    if (ca_lint(buf_bytes(tbs), profile, &trial->issuer, &token, broken))
        return fault(TM_EDENIED, text, "the certificate would break a rule: %s", broken);
    return TM_OK;
}

static enum tm_err finish(const struct ca_trial *trial, struct bytes tbs, struct buf *out,
                          char text[CONF_ERROR_MAX]) {
    uint8_t octets[IPC_SIGNATURE_MAX];
    struct buf signature = BUF_ON(octets);
    if (sign(trial->key, tbs, &signature) ||
        ca_issuer_verify(&trial->issuer, tbs, buf_bytes(&signature)))
        return fault(TM_ECRYPTO, text, "the throwaway issuer could not sign");
    enum tm_err err = ca_build_certificate(&trial->issuer, tbs, buf_bytes(&signature), out);
    return err ? fault(err, text, "the certificate is larger than it may be") : TM_OK;
}

enum tm_err ca_trial_issue(const struct ca_trial *trial, const struct ca_profile *profile,
                           unsigned key, struct buf *out, char text[CONF_ERROR_MAX]) {
    uint8_t key_octets[IPC_SPKI_MAX], octets[CA_TBS_MAX];
    struct buf spki_der = BUF_ON(key_octets), tbs = BUF_ON(octets);
    struct pki_spki spki;
    AUTO(EVP_PKEY) pair = make_key(key);
    if (!pair || put_spki(pair, &spki_der) || pki_spki_parse(buf_bytes(&spki_der), &spki))
        return fault(TM_ECRYPTO, text, "no %s key could be made", ca_profile_key_word(key));
    size_t before = out->n;
    enum tm_err err = build(trial, profile, &spki, &tbs, text);
    if (!err)
        err = finish(trial, buf_bytes(&tbs), out, text);
    if (!err)
        err = judge(trial, profile, (struct bytes){out->p + before, out->n - before}, text);
    if (err)
        out->n = before;
    return err;
}
