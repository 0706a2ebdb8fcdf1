/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Somebody who may use the administration socket, and the public key by which signatures on acts
 * (ca/act.h) are verified. What a signature is follows from the key alone:
 *   P-256    ECDSA with SHA-256, as the DER of an Ecdsa-Sig-Value
 *   P-384    ECDSA with SHA-384, the same
 *   Ed25519  RFC 8032, 5.1
 *   RSA      2048 to 4096 bits, RSASSA-PKCS1-v1_5 with SHA-256
 */
#ifndef TOUCHMARK_CA_OFFICER_H
#define TOUCHMARK_CA_OFFICER_H

#include <sys/types.h>

#include "ca/types.h"

struct ca_officer_key;

struct ca_officer {
    const char *name;
    uid_t uid;
    unsigned role;                     /* enum conf_officer_role */
    struct ca_officer_key *key;        /* NULL: signs none */
    uint8_t spki_sha256[CA_HASH_SIZE]; /* of the key's SubjectPublicKeyInfo */
};

/* Reads the PEM file of a public key into key and spki_sha256. The sentence that says what is wrong
 * goes to `text`. TM_EIO; TM_EPARSE: no public key; TM_EINVAL: one that acts are not signed with.
 */
MUST_USE enum tm_err ca_officer_load_key(struct ca_officer *officer, const char *path,
                                         char text[IPC_TEXT_MAX + 1]);
void ca_officer_free_key(struct ca_officer *officer);

/* Is `signature` the officer's over `message`? TM_EDENIED: the officer has no key; TM_ECRYPTO: it
 * does not verify. Thread-safe. */
MUST_USE enum tm_err ca_officer_verify(const struct ca_officer *officer, struct bytes message,
                                       struct bytes signature);

/* "alice uid:1000", as the audit names an officer. */
void ca_officer_actor(const struct ca_officer *officer, char ret[IPC_TEXT_MAX + 1]);

#endif
