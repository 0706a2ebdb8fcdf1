/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signed notes (c2sp.org/signed-note), checkpoints of logs (c2sp.org/tlog-checkpoint) and
 * cosignatures of witnesses (c2sp.org/tlog-cosignature, cosignature/v1). Of the kinds of signatures
 * Ed25519 (0x01) and its cosignature (0x04) are known here; others are read and left alone, as the
 * specification wants it of unknown keys. Everything borrows; nothing allocates; thread-safe.
 */
#ifndef TOUCHMARK_AUDIT_NOTE_H
#define TOUCHMARK_AUDIT_NOTE_H

#include "audit/crypto.h"

#define AUDIT_NAME_MAX 128       /* octets of a key's name, which is a log's origin, too */
#define AUDIT_NOTE_MAX 16384     /* octets */
#define AUDIT_SIGNATURES_MAX 32  /* lines */
#define AUDIT_CHECKPOINT_MAX 512 /* octets of a checkpoint's text as it is made here */
#define AUDIT_SIGNATURE_LINE_MAX (AUDIT_NAME_MAX + 128)
#define AUDIT_VKEY_MAX (AUDIT_NAME_MAX + 64) /* octets with the NUL at its end */
#define AUDIT_COSIGNED_MAX (AUDIT_NOTE_MAX + 64)

/* ---- keys ---- */

enum audit_key_type { AUDIT_KEY_LOG = 0x01, AUDIT_KEY_WITNESS = 0x04 };

struct audit_key {
    char name[AUDIT_NAME_MAX + 1];
    uint8_t type; /* enum audit_key_type */
    uint8_t public_key[AUDIT_ED25519_PUBLIC_SIZE];
    uint32_t id; /* the first four octets of SHA-256(name, LF, type, public key) */
};

/* May a key be called so? 1 to AUDIT_NAME_MAX octets, printable ASCII, neither blank nor plus. */
bool audit_name_good(struct bytes name);
/* TM_EINVAL: no name; TM_ECRYPTO. */
MUST_USE enum tm_err audit_key_make(enum audit_key_type type, struct bytes name,
                                    const uint8_t public_key[AUDIT_ED25519_PUBLIC_SIZE],
                                    struct audit_key *ret);
/* A verifier key, NAME+HEX+BASE64. TM_EPARSE: it is none of the two types, or its ID is not that of
 * name and key. */
MUST_USE enum tm_err audit_vkey_parse(struct bytes text, struct audit_key *ret);
void audit_vkey_write(const struct audit_key *key, char ret[AUDIT_VKEY_MAX]);

/* ---- notes ---- */

struct audit_note {
    struct bytes text;       /* with the LF at its end */
    struct bytes signatures; /* whole lines */
    size_t count;
};

struct audit_signature {
    struct bytes line; /* with the LF at its end */
    struct bytes name;
    uint32_t key_id;
    size_t n;                               /* octets after the key ID */
    uint8_t octets[8 + AUDIT_ED25519_SIZE]; /* the first of them */
};

/* TM_EPARSE: it is not UTF-8, has control characters, no signature, or one that cannot be read;
 * TM_ELIMIT: more than AUDIT_NOTE_MAX octets or AUDIT_SIGNATURES_MAX lines. */
MUST_USE enum tm_err audit_note_parse(struct bytes octets, struct audit_note *ret);
/* The next of a note's signatures, or of lines from elsewhere. TM_ENOTFOUND at the end; TM_EPARSE.
 */
MUST_USE enum tm_err audit_signature_next(struct bytes *rest, struct audit_signature *ret);

/* Is it by this key, by name and ID? */
bool audit_signature_is_by(const struct audit_signature *signature, const struct audit_key *key);
/* TM_EPARSE: it has not the length of one; TM_ECRYPTO: it is not over this text by this key. Of a
 * witness *ret_time gets the time in seconds since 1970, else 0. */
MUST_USE enum tm_err audit_signature_verify(const struct audit_signature *signature,
                                            const struct audit_key *key, struct bytes text,
                                            uint64_t *ret_time);
/* A signature by this key among the note's. TM_ENOTFOUND: there is none; TM_ECRYPTO, TM_EPARSE: one
 * does not verify, and the whole note is to be rejected. */
MUST_USE enum tm_err audit_note_verify(const struct audit_note *note, const struct audit_key *key,
                                       uint64_t *ret_time);

/* Appends what a witness signs at this time. TM_ELIMIT. */
MUST_USE enum tm_err audit_cosigned_put(struct buf *out, uint64_t time, struct bytes text);
/* Appends a signature line. `time`: of a witness. TM_ELIMIT. */
MUST_USE enum tm_err audit_signature_put(struct buf *out, const struct audit_key *key,
                                         uint64_t time,
                                         const uint8_t signature[AUDIT_ED25519_SIZE]);

/* ---- checkpoints ---- */

struct audit_checkpoint {
    struct bytes origin;
    uint64_t size;
    struct audit_hash root;
    struct bytes extensions; /* whole lines; usually none */
};

/* From a note's text. TM_EPARSE. */
MUST_USE enum tm_err audit_checkpoint_parse(struct bytes text, struct audit_checkpoint *ret);
/* Appends the text. TM_ELIMIT. */
MUST_USE enum tm_err audit_checkpoint_put(struct buf *out,
                                          const struct audit_checkpoint *checkpoint);
/* Parses a note that is a checkpoint signed by this log's key: the origin is the key's name.
 * TM_EPARSE; TM_EDENIED: another log's; TM_ENOTFOUND: not signed by it; TM_ECRYPTO: a signature of
 * it does not verify. */
MUST_USE enum tm_err audit_checkpoint_open(struct bytes octets, const struct audit_key *log,
                                           struct audit_note *ret_note,
                                           struct audit_checkpoint *ret);

/* ---- parts that other formats share ---- */

/* A line of the text without its LF, and the rest behind it. False: there is none. */
bool audit_line(struct bytes *rest, struct bytes *ret_line);
/* ASCII decimal without leading zeros. TM_EPARSE. */
MUST_USE enum tm_err audit_decimal(struct bytes text, uint64_t *ret);
/* One hash in base64. TM_EPARSE. */
MUST_USE enum tm_err audit_hash_read(struct bytes text, struct audit_hash *ret);

#endif
