/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifest that makers of secure elements sign: a JSON array with one JWS (RFC 7515, flattened
 * JSON) per element, whose payload has the element's unique ID and its public keys (RFC 7517).
 * Microchip's "Secure Element Manifest". Only ES256 with the certificates that the operator gave
 * is believed. Internal to `touchmark device import`.
 */
#ifndef TOUCHMARK_ADMIN_IMPORT_MANIFEST_H
#define TOUCHMARK_ADMIN_IMPORT_MANIFEST_H

#include <openssl/evp.h>

#include "admin/import_source.h"

#define IMPORT_SIGNERS_MAX 16
struct import_trust {
    size_t count;
    EVP_PKEY *keys[IMPORT_SIGNERS_MAX];
    uint8_t sha256[IMPORT_SIGNERS_MAX][32]; /* of the certificate */
    bool over[IMPORT_SIGNERS_MAX];          /* it is outside its validity: it signs nothing */
};
/* Certificates with P-256 keys from a PEM file. False: `text` says what is wrong with it. */
MUST_USE bool import_trust_load(const char *path, struct import_trust *ret_trust,
                                char text[IPC_TEXT_MAX + 1]);
void import_trust_free(struct import_trust *trust);

/* A verified payload, or one that is to be read without: its unique ID is the device, its keys are
 * those that the device enrolls with. False: `text` says what is wrong. */
MUST_USE bool import_manifest_payload(struct bytes json, struct ipc_import_row *row,
                                      char text[IPC_TEXT_MAX + 1]);
/* base64url without padding (RFC 7515, 2). False: it is none, or does not fit. */
MUST_USE bool import_base64url(const char *text, struct buf *out);

#endif
