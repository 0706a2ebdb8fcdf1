/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ceremony under way, shared by its phases. Internal to ca/ceremony*.c.
 *
 *   ceremony_check.c     looks before anything is made
 *   ceremony.c           token by token
 *   ceremony_keys.c      makes the keys
 *   ceremony_sign.c      certifies, writes and records
 *   ceremony_rollover.c  what certificates between an old root and a new one say
 */
#ifndef TOUCHMARK_CA_CEREMONY_RUN_H
#define TOUCHMARK_CA_CEREMONY_RUN_H

#include "ca/ceremony.h"
#include "ca/ceremony_transcript.h"
#include "ca/types.h"
#include "pki/cert.h"

#define CA_SPKI_MAX 1024

#define CA_HELD_NAME_MAX 96

/* What is known of a CA of the plan, of a root that exists, or of a rollover certificate. */
struct ca_held {
    const struct ca_ceremony_ca *ca; /* of the plan; else NULL */
    const char *name;                /* in texts and file names */
    const char *key_label;           /* NULL: of a rollover certificate */
    char name_memory[CA_HELD_NAME_MAX];
    uint8_t spki_memory[CA_SPKI_MAX];
    struct pki_spki spki; /* of spki_memory or der */
    uint8_t der_memory[IPC_CERT_MAX];
    struct bytes der;
    struct pki_cert view; /* of der */
};

struct ca_run {
    const struct ca_ceremony *plan;
    struct ca_keystore *keystore;
    const struct ca_ceremony_host *host;
    struct ca_transcript *transcript;
    int64_t now_ms;
    size_t count;             /* CAs */
    struct ca_held *held;     /* the root first */
    struct ca_held *previous; /* the root before, or NULL: then the two below mean nothing */
    struct ca_held *old_with_new;
    struct ca_held *new_with_old;
    char *error; /* CONF_ERROR_MAX octets */
};

/* What a certificate is to say. */
struct ca_order {
    struct bytes subject; /* whole Name */
    const struct pki_spki *spki;
    struct bytes key_id;          /* empty: made from the key */
    const struct ca_held *signer; /* whose own certificate it is: it signs itself */
    int64_t not_before_ms;
    int64_t not_after_ms;
    uint16_t key_usage;
    uint64_t path_len;
};

/* Writes the sentence and returns err. */
enum tm_err ca_run_fail(const struct ca_run *run, enum tm_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* OUT/NAME.pem, OUT/NAME-chain.pem. TM_ELIMIT. */
#define CA_RUN_PATH_MAX 1024
MUST_USE enum tm_err ca_run_path(const struct ca_run *run, const char *name, const char *suffix,
                                 char ret[CA_RUN_PATH_MAX]);

/* Reads one certificate from a PEM file into held->der and ->view. */
MUST_USE enum tm_err ca_run_load(const struct ca_run *run, struct ca_held *held, const char *path);

/* SHA-256 in hex. TM_ECRYPTO. */
MUST_USE enum tm_err ca_run_sha256(struct bytes data, char ret[65]);

/* The same for one CA: "CA NAME: text". */
enum tm_err ca_run_fault(const struct ca_run *run, const char *name, enum tm_err err,
                         const char *text);

/* To the transcript, then to whoever is told the steps. */
MUST_USE enum tm_err ca_run_record(const struct ca_run *run,
                                   const struct ca_transcript_entry *entry);

/* ---- ceremony_check.c: change nothing ---- */

/* The transcript, roots that exist, validities and files. */
MUST_USE enum tm_err ca_run_look(struct ca_run *run);
/* The tokens and what is on them. */
MUST_USE enum tm_err ca_run_check_tokens(const struct ca_run *run);

/* ---- ceremony_keys.c ---- */

/* Does the plan make a key on this token? */
bool ca_run_makes_keys(const struct ca_run *run, const char *token);
/* Makes them; the token is open. */
MUST_USE enum tm_err ca_run_make_keys(struct ca_run *run, const char *token);

/* ---- ceremony_sign.c: what is there already is taken up ---- */

/* Makes all certificates that the root signs; all keys are known and its token is open. */
MUST_USE enum tm_err ca_run_certificates(const struct ca_run *run);
/* Makes NewWithOld; the root's certificate is known and the previous root's token is open. */
MUST_USE enum tm_err ca_run_new_with_old(const struct ca_run *run);

/* ---- ceremony_rollover.c ---- */

/* Do the names and path lengths of both roots fit together? The previous one's certificate is
 * known. */
MUST_USE enum tm_err ca_rollover_check(const struct ca_run *run);
/* What the certificates say (RFC 4210, 4.4); both roots' are known. */
struct ca_order ca_rollover_old_with_new(const struct ca_run *run);
struct ca_order ca_rollover_new_with_old(const struct ca_run *run);
/* The new root's subject, which may be the previous one's, appended to out. */
MUST_USE enum tm_err ca_rollover_root_name(const struct ca_run *run, struct buf *out);
/* Verifies what the new root signed from the previous root on, over NewWithOld. */
MUST_USE enum tm_err ca_rollover_verify(const struct ca_run *run);

#endif
