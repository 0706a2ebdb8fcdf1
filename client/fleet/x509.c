/* SPDX-License-Identifier: Apache-2.0 */
/* The plant's certificates: see client/fleet/x509.h. */
#include "client/fleet/x509.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/sha.h>
#include <string.h>

#include "base/auto.h"
#include "pki/cert.h"
#include "pki/extensions.h"
#include "pki/name.h"

AUTO_DEFINE(EVP_PKEY_CTX, EVP_PKEY_CTX_free)

#define POINT_SIZE 65 /* uncompressed, on P-256 */

/* SubjectPublicKeyInfo of P-256 up to the point (RFC 5480, 2). */
static const uint8_t spki_head[TM_SPKI_MAX - POINT_SIZE] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};

enum tm_err fleet_key_new(struct fleet_key *ret) {
    struct fleet_key key = {.pkey = EVP_EC_gen("P-256")};
    size_t n = 0;
    memcpy(key.spki, spki_head, sizeof spki_head);
    if (!key.pkey ||
        EVP_PKEY_get_octet_string_param(key.pkey, OSSL_PKEY_PARAM_PUB_KEY,
                                        key.spki + sizeof spki_head, POINT_SIZE, &n) != 1 ||
        n != POINT_SIZE) {
        EVP_PKEY_free(key.pkey);
        return TM_ECRYPTO;
    }
    *ret = key;
    return TM_OK;
}

void fleet_key_free(struct fleet_key *key) {
    EVP_PKEY_free(key->pkey);
    *key = (struct fleet_key){0};
}

enum tm_err fleet_key_sign(const struct fleet_key *key, const uint8_t digest[TM_SHA256_SIZE],
                           struct buf *out) {
    uint8_t signature[TM_SIGNATURE_MAX];
    size_t n = sizeof signature;
    AUTO(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new(key->pkey, NULL);
    if (!ctx || EVP_PKEY_sign_init(ctx) != 1 ||
        EVP_PKEY_sign(ctx, signature, &n, digest, TM_SHA256_SIZE) != 1)
        return TM_ECRYPTO;
    buf_put(out, (struct bytes){signature, n});
    return out->full ? TM_ELIMIT : TM_OK;
}

struct bytes fleet_ca_der(const struct fleet_ca *ca) {
    return (struct bytes){ca->der, ca->n};
}

static void put_algorithm(struct der_writer *w) {
    size_t end = der_mark(w);
    der_put(w, DER_OID, pki_oid_bytes(PKI_OID_ECDSA_SHA256));
    der_wrap(w, DER_SEQUENCE, end);
}

static void put_ca_name(struct der_writer *w, const struct fleet_ca *ca) {
    const struct pki_rdn rdns[] = {{PKI_OID_ORGANIZATION, "Simulated Plant"},
                                   {PKI_OID_ORGANIZATIONAL_UNIT, ca->unit},
                                   {PKI_OID_COMMON_NAME, ca->name}};
    pki_name_write(w, rdns, 3);
}

static void put_device_name(struct der_writer *w, const char *id) {
    const struct pki_rdn rdns[] = {{PKI_OID_COMMON_NAME, id}, {PKI_OID_SERIAL_NUMBER, id}};
    pki_name_write(w, rdns, 2);
}

/* ---- extensions (RFC 5280, 4.2.1) ---- */

static void put_authority_key(struct der_writer *w, const struct fleet_ca *issuer) {
    size_t end = der_mark(w);
    der_put(w, DER_CONTEXT(0), BYTES_OF(issuer->key_id));
    der_wrap(w, DER_SEQUENCE, end);
    pki_extension_wrap(w, PKI_OID_AUTHORITY_KEY_ID, false, end);
}

static void put_subject_key(struct der_writer *w, const struct fleet_ca *ca) {
    size_t end = der_mark(w);
    der_put(w, DER_OCTET_STRING, BYTES_OF(ca->key_id));
    pki_extension_wrap(w, PKI_OID_SUBJECT_KEY_ID, false, end);
}

static void put_key_usage(struct der_writer *w, uint16_t bits) {
    size_t end = der_mark(w);
    der_put_named_bits(w, bits);
    pki_extension_wrap(w, PKI_OID_KEY_USAGE, true, end);
}

static void put_basic_constraints(struct der_writer *w) {
    size_t end = der_mark(w);
    der_put_boolean(w, true);
    der_wrap(w, DER_SEQUENCE, end);
    pki_extension_wrap(w, PKI_OID_BASIC_CONSTRAINTS, true, end);
}

static void put_ext_key_usage(struct der_writer *w, enum pki_oid purpose) {
    size_t end = der_mark(w);
    der_put(w, DER_OID, pki_oid_bytes(purpose));
    der_wrap(w, DER_SEQUENCE, end);
    pki_extension_wrap(w, PKI_OID_EXT_KEY_USAGE, false, end);
}

static void put_extensions(struct der_writer *w, const struct fleet_wish *wish) {
    size_t end = der_mark(w);
    put_authority_key(w, wish->issuer);
    if (wish->purpose == FLEET_FOR_CA) {
        if (wish->ca)
            put_subject_key(w, wish->ca);
        put_key_usage(w, PKI_KU_KEY_CERT_SIGN | PKI_KU_CRL_SIGN);
        put_basic_constraints(w);
    } else {
        put_ext_key_usage(w, wish->purpose == FLEET_FOR_CLIENT ? PKI_OID_KP_CLIENT_AUTH
                                                               : PKI_OID_KP_SERVER_AUTH);
        put_key_usage(w, PKI_KU_DIGITAL_SIGNATURE);
    }
    der_wrap(w, DER_SEQUENCE, end);
    der_wrap(w, DER_CONTEXT_CONSTRUCTED(3), end);
}

/* ---- the certificate ---- */

static void put_tbs(struct der_writer *w, const struct fleet_wish *wish) {
    size_t end = der_mark(w);
    put_extensions(w, wish);
    der_raw(w, wish->ca ? BYTES_OF(wish->ca->key.spki) : wish->spki);
    if (wish->ca)
        put_ca_name(w, wish->ca);
    else
        put_device_name(w, wish->device_id);
    size_t validity = der_mark(w);
    der_put_time(w, wish->not_after_ms);
    der_put_time(w, wish->not_before_ms);
    der_wrap(w, DER_SEQUENCE, validity);
    put_ca_name(w, wish->issuer);
    put_algorithm(w);
    der_put_unsigned(w, BYTES_OF(wish->serial));
    size_t version = der_mark(w);
    der_put_small(w, 2); /* v3 */
    der_wrap(w, DER_CONTEXT_CONSTRUCTED(0), version);
    der_wrap(w, DER_SEQUENCE, end);
}

enum tm_err fleet_x509_write(const struct fleet_wish *wish, struct buf *out) {
    uint8_t tbs[FLEET_CERT_MAX], digest[TM_SHA256_SIZE], octets[TM_SIGNATURE_MAX];
    struct der_writer t = der_writer_on(tbs, sizeof tbs);
    struct buf signature = BUF_ON(octets);
    put_tbs(&t, wish);
    if (t.full)
        return TM_ELIMIT;
    (void)SHA256(der_written(&t).p, der_written(&t).n, digest);
    enum tm_err err = fleet_key_sign(&wish->issuer->key, digest, &signature);
    if (err)
        return err;
    struct der_writer w = der_writer_after(out);
    size_t end = der_mark(&w);
    der_put_bits(&w, buf_bytes(&signature));
    put_algorithm(&w);
    der_raw(&w, der_written(&t));
    der_wrap(&w, DER_SEQUENCE, end);
    return der_append(&w, out);
}

enum tm_err fleet_ca_new(struct fleet_ca *ca, const char *name, const char *unit,
                         const struct fleet_ca *issuer, int64_t not_before_ms,
                         int64_t not_after_ms) {
    *ca = (struct fleet_ca){
        .name = name, .unit = unit, .not_before_ms = not_before_ms, .not_after_ms = not_after_ms};
    enum tm_err err = fleet_key_new(&ca->key);
    if (err)
        return err;
    uint8_t digest[TM_SHA256_SIZE];
    (void)SHA256(ca->key.spki, sizeof ca->key.spki, digest);
    memcpy(ca->key_id, digest, sizeof ca->key_id);
    struct fleet_wish wish = {.issuer = issuer ? issuer : ca,
                              .ca = ca,
                              .purpose = FLEET_FOR_CA,
                              .not_before_ms = not_before_ms,
                              .not_after_ms = not_after_ms};
    memcpy(wish.serial, digest + sizeof ca->key_id, FLEET_SERIAL_SIZE);
    wish.serial[0] = (uint8_t)(wish.serial[0] % 127 + 1);
    struct buf out = BUF_ON(ca->der);
    err = fleet_x509_write(&wish, &out);
    ca->n = out.n;
    return err;
}

void fleet_ca_free(struct fleet_ca *ca) {
    fleet_key_free(&ca->key);
}
