/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates of the simulated plant (RFC 5280): written straight as DER, signed by OpenSSL,
 * because thousands of years of renewals pass in minutes. ECDSA on P-256 with SHA-256.
 */
#ifndef TOUCHMARK_CLIENT_FLEET_X509_H
#define TOUCHMARK_CLIENT_FLEET_X509_H

#include <openssl/evp.h>

#include "client/tables.h"

#define FLEET_CERT_MAX 768 /* octets of one certificate are always enough */
#define FLEET_SERIAL_SIZE 12

/* An own key and its public half. */
struct fleet_key {
    EVP_PKEY *pkey; /* NULL: none */
    uint8_t spki[TM_SPKI_MAX];
};
MUST_USE enum tm_err fleet_key_new(struct fleet_key *ret);
void fleet_key_free(struct fleet_key *key);
/* Appends an ECDSA-Sig-Value. */
MUST_USE enum tm_err fleet_key_sign(const struct fleet_key *key,
                                    const uint8_t digest[TM_SHA256_SIZE], struct buf *out);

/* A certification authority; also what its own certificate says. */
struct fleet_ca {
    const char *name; /* CN */
    const char *unit; /* OU */
    struct fleet_key key;
    uint8_t key_id[20];
    int64_t not_before_ms, not_after_ms;
    uint8_t der[FLEET_CERT_MAX];
    size_t n;
};
struct bytes fleet_ca_der(const struct fleet_ca *ca);

enum fleet_purpose { FLEET_FOR_CLIENT, FLEET_FOR_SERVER, FLEET_FOR_CA };

struct fleet_wish {
    const struct fleet_ca *issuer;
    uint8_t serial[FLEET_SERIAL_SIZE]; /* first octet 1 to 127 */
    const struct fleet_ca *ca;         /* FOR_CA: whose name and key; NULL: a device's, which is */
    const char *device_id;             /* CN and serialNumber */
    struct bytes spki;
    enum fleet_purpose purpose;
    int64_t not_before_ms, not_after_ms;
};
/* Appends the certificate. */
MUST_USE enum tm_err fleet_x509_write(const struct fleet_wish *wish, struct buf *out);

/* Makes a CA with a key of its own: under `issuer`, or self-signed (NULL). */
MUST_USE enum tm_err fleet_ca_new(struct fleet_ca *ca, const char *name, const char *unit,
                                  const struct fleet_ca *issuer, int64_t not_before_ms,
                                  int64_t not_after_ms);
void fleet_ca_free(struct fleet_ca *ca);

#endif
