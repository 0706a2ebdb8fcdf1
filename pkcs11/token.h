/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PKCS#11 token in this process, through libp11: log in, find, generate, sign. Open it
 * after the last fork only. After a lost session or device nothing but a new process
 * recovers (libp11), so errors of TM_ETOKEN are for the process to die of.
 */
#ifndef TOUCHMARK_PKCS11_TOKEN_H
#define TOUCHMARK_PKCS11_TOKEN_H

#include <openssl/evp.h>

#include "base/bytes.h"

struct hsm_token;

#define HSM_TEXT_MAX 256
#define HSM_PIN_MAX 128

struct hsm_token_config {
    const char *module; /* path of the PKCS#11 module */
    const char *label;  /* CKA_LABEL of the token; exactly one must match */
};

/* pin: NUL-terminated; the caller wipes its copy. TM_ENOTFOUND: no such module or token,
 * TM_EDENIED: wrong PIN, TM_ETOKEN. */
MUST_USE enum tm_err hsm_token_open(const struct hsm_token_config *config, const char *pin,
                                    struct hsm_token **ret_token, char text[HSM_TEXT_MAX]);
void hsm_token_close(struct hsm_token *token); /* NULL-safe; logs out, wipes */

/* Initialises an uninitialised token slot with label, SO PIN and user PIN (SoftHSM's
 * first free slot). TM_EEXISTS: a token of that label exists. */
MUST_USE enum tm_err hsm_token_init(const struct hsm_token_config *config, const char *so_pin,
                                    const char *pin, char text[HSM_TEXT_MAX]);

enum hsm_key_type { HSM_KEY_P256, HSM_KEY_P384, HSM_KEY_RSA3072, HSM_KEY_ED25519 };

/* Generates a key pair on the token: CKA_SENSITIVE, not CKA_EXTRACTABLE, CKA_SIGN only, CKA_TOKEN.
 * TM_EEXISTS when any object has this label. */
MUST_USE enum tm_err hsm_key_generate(struct hsm_token *token, enum hsm_key_type type,
                                      const char *label, char text[HSM_TEXT_MAX]);

/* A private key by label: exactly one must match, and it must be sensitive and not
 * extractable. The handle is thread-safe for hsm_key_sign and lives until the token closes. */
struct hsm_key;
MUST_USE enum tm_err hsm_key_find(struct hsm_token *token, const char *label,
                                  struct hsm_key **ret_key, char text[HSM_TEXT_MAX]);
/* Whole SubjectPublicKeyInfo, borrowed from the key. */
struct bytes hsm_key_spki(const struct hsm_key *key);
/* Hashes and signs tbs as a certificate signature (ECDSA: DER). Appends to out. */
MUST_USE enum tm_err hsm_key_sign(struct hsm_key *key, struct bytes tbs, struct buf *out);

/* Reads a PIN: a file (mode must not let group or others read), or "credential:NAME" below
 * $CREDENTIALS_DIRECTORY, or an open descriptor ("fd:N"), or from the terminal without
 * echo ("prompt"). One trailing LF is cut. The caller wipes ret. */
MUST_USE enum tm_err hsm_pin_read(const char *source, char ret[HSM_PIN_MAX],
                                  char text[HSM_TEXT_MAX]);

#endif
