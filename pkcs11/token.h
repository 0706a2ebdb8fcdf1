/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PKCS#11 token in this process, through libp11: log in, find, generate, sign. Open it
 * after the last fork only. After a lost session or device nothing but a new process
 * recovers (libp11), so errors of TM_ETOKEN are for the process to die of.
 */
#ifndef TOUCHMARK_PKCS11_TOKEN_H
#define TOUCHMARK_PKCS11_TOKEN_H

#include "base/bytes.h"

struct hsm_token;

#define HSM_TEXT_MAX 256
#define HSM_PIN_MAX 128

struct hsm_token_config {
    const char *module; /* path of the PKCS#11 module */
    const char *label;  /* CKA_LABEL of the token; exactly one must match */
};

/* pin: NUL-terminated; the caller wipes its copy. TM_ENOTFOUND: no such module or token,
 * TM_EDENIED: wrong PIN, TM_ETOKEN. One token of a module may be open in a process at a time:
 * closing finalises the module. Not thread-safe against other opens and closes. */
MUST_USE enum tm_err hsm_token_open(const struct hsm_token_config *config, const char *pin,
                                    struct hsm_token **ret_token, char text[HSM_TEXT_MAX]);
void hsm_token_close(struct hsm_token *token); /* NULL-safe; logs out, wipes */

/* Is there an initialised token of this label, and is the module SoftHSM, whose keys are files?
 * Needs no PIN; no token may be open. TM_ENOTFOUND: no such module. */
MUST_USE enum tm_err hsm_token_look(const struct hsm_token_config *config, bool *ret_exists,
                                    bool *ret_softhsm, char text[HSM_TEXT_MAX]);

/* Initialises an uninitialised token slot with label, SO PIN and user PIN (SoftHSM's
 * first free slot). TM_EEXISTS: a token of that label exists; TM_EFULL: no free slot; TM_EDENIED: a
 * PIN that the token does not take. A token that was made but got no user PIN is left behind on
 * failure; the text says so. */
MUST_USE enum tm_err hsm_token_init(const struct hsm_token_config *config, const char *so_pin,
                                    const char *pin, char text[HSM_TEXT_MAX]);

/* What the token and its module say of themselves. */
struct hsm_token_info {
    char library[48]; /* description and version of the module */
    char manufacturer[33];
    char model[17];
    char serial[17];
    bool softhsm; /* keys in files: not for production unless somebody consents */
};
MUST_USE enum tm_err hsm_token_describe(struct hsm_token *token, struct hsm_token_info *ret_info,
                                        char text[HSM_TEXT_MAX]);

/* Keys that exist may be RSA of other sizes: HSM_KEY_RSA3072 is then only the kind. */
enum hsm_key_type { HSM_KEY_P256, HSM_KEY_P384, HSM_KEY_RSA3072, HSM_KEY_ED25519 };

/* Is any object on the token labelled so? */
MUST_USE enum tm_err hsm_label_used(struct hsm_token *token, const char *label, bool *ret_used,
                                    char text[HSM_TEXT_MAX]);

/* Generates a key pair on the token: CKA_SENSITIVE, not CKA_EXTRACTABLE, CKA_SIGN only, CKA_TOKEN.
 * TM_EEXISTS when any object has this label. Reads the attributes back and destroys a key that the
 * token did not make as it was told (TM_ETOKEN). */
MUST_USE enum tm_err hsm_key_generate(struct hsm_token *token, enum hsm_key_type type,
                                      const char *label, char text[HSM_TEXT_MAX]);

/* Is all that is labelled so half a key pair, as a process leaves it that dies while it
 * generates: a public key alone, a private key with a CKA_ID that no public key has, or a pair
 * whose private key is empty? False also when nothing is labelled so. */
MUST_USE enum tm_err hsm_key_torn(struct hsm_token *token, const char *label, bool *ret_torn,
                                  char text[HSM_TEXT_MAX]);
/* Destroys such a half, and nothing else. Only for a label that was free before the caller began
 * to generate: a foreign public key looks the same. TM_EDENIED: it is none. */
MUST_USE enum tm_err hsm_key_remove_torn(struct hsm_token *token, const char *label,
                                         char text[HSM_TEXT_MAX]);

/* A private key by label: exactly one must match, and it must be sensitive and not
 * extractable. The handle is thread-safe for hsm_key_sign and lives until the token closes.
 * TM_ENOTFOUND; TM_EDENIED: more than one, or attributes or a type that are refused. */
struct hsm_key;
MUST_USE enum tm_err hsm_key_find(struct hsm_token *token, const char *label,
                                  struct hsm_key **ret_key, char text[HSM_TEXT_MAX]);
/* Whole SubjectPublicKeyInfo, borrowed from the key. */
struct bytes hsm_key_spki(const struct hsm_key *key);
/* Attributes of the private key as the token showed them when it was found. */
struct hsm_key_info {
    enum hsm_key_type type;
    bool sensitive, always_sensitive, extractable, never_extractable, local;
};
struct hsm_key_info hsm_key_describe(const struct hsm_key *key);
/* Hashes (P-256 and RSA: SHA-256, P-384: SHA-384, Ed25519: nothing) and signs tbs as a certificate
 * signature (ECDSA: DER, RSA: PKCS#1 v1.5). Appends to out. TM_ETOKEN: the token failed, or what it
 * gave cannot be a signature by this key; the result was logged. TM_ELIMIT: out is too small. */
MUST_USE enum tm_err hsm_key_sign(struct hsm_key *key, struct bytes tbs, struct buf *out);
/* The same in two steps, of which only the second calls the token: what the token is to sign, in
 * `memory` where the key's kind hashes outside (all but Ed25519, which gets tbs itself).
 * TM_ECRYPTO.
 */
#define HSM_MESSAGE_MAX (19 + 64) /* DigestInfo prefix and the longest digest */
MUST_USE enum tm_err hsm_key_digest(const struct hsm_key *key, struct bytes tbs,
                                    uint8_t memory[HSM_MESSAGE_MAX], struct bytes *ret_message);
MUST_USE enum tm_err hsm_key_sign_message(struct hsm_key *key, struct bytes message,
                                          struct buf *out);

/* Reads a PIN: a file (a regular one whose mode gives group and others nothing), or
 * "credential:NAME" below $CREDENTIALS_DIRECTORY, or an open descriptor ("fd:N", closed here, so
 * each can be read once), or from the terminal without echo ("prompt"). One trailing LF is cut. The
 * caller wipes ret. TM_EIO: cannot be read; TM_EDENIED: the file's mode; TM_EINVAL: not a source;
 * TM_EPARSE: empty, over-long or with control characters. */
MUST_USE enum tm_err hsm_pin_read(const char *source, char ret[HSM_PIN_MAX],
                                  char text[HSM_TEXT_MAX]);
/* Reads a PIN from an open file or memory file, from its start and without moving its offset: it
 * can be read again. fd stays the caller's. TM_EDENIED: what cannot be read twice (a pipe, say). */
MUST_USE enum tm_err hsm_pin_read_again(int fd, char ret[HSM_PIN_MAX], char text[HSM_TEXT_MAX]);
/* As hsm_pin_read; `what` is what the terminal asks for, e.g. "User PIN of token root". */
MUST_USE enum tm_err hsm_pin_read_as(const char *what, const char *source, char ret[HSM_PIN_MAX],
                                     char text[HSM_TEXT_MAX]);

#endif
