/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A witness of transparency logs (c2sp.org/tlog-witness): it cosigns checkpoints that go on from
 * what it has cosigned before, and no others. So that a log has one history, whatever becomes of
 * the machine that keeps it, it belongs on another machine under other hands.
 *
 *   main.c    command line and life
 *   http.c    the two requests
 *   judge.c   may this checkpoint be cosigned?
 *   state.c   key and memory, in two files
 *
 * A witness belongs to one thread.
 */
#ifndef TOUCHMARK_WITNESS_WITNESS_H
#define TOUCHMARK_WITNESS_WITNESS_H

#include "audit/proof.h"

#define WITNESS_LOGS_MAX 64
#define WITNESS_BODY_MAX AUDIT_PROOF_TEXT_MAX /* octets of a request */

struct witness_log {
    struct audit_key key; /* its name is the log's origin */
    uint64_t size;        /* of the newest tree that was cosigned; 0: none was */
    struct audit_hash root;
    uint8_t note[AUDIT_NOTE_MAX]; /* that checkpoint, with the log's signature and ours */
    size_t note_n;
};

struct witness {
    uint8_t seed[AUDIT_ED25519_SEED_SIZE];
    struct audit_key key;
    const char *state; /* path */
    struct witness_log *logs;
    size_t log_count;
};

/* ---- state.c ---- */

/* Reads the key's file, or makes one with a new key (mode 0600). The sentence that says what is
 * wrong goes to stderr. */
MUST_USE enum tm_err witness_key_open(struct witness *witness, const char *path, const char *name);
/* Reads what was cosigned; `logs` are set. TM_ECORRUPT: the file holds what this witness has not
 * signed, and is not to be believed. TM_EIO. */
MUST_USE enum tm_err witness_state_load(struct witness *witness);
/* Durable when it returns. TM_EIO. */
MUST_USE enum tm_err witness_state_save(const struct witness *witness);

/* ---- judge.c ---- */

/* Of what comes of a request: the HTTP status. `out` gets the body: cosignature lines with 200, the
 * size with 409, else a sentence. now_s: seconds since 1970. */
unsigned witness_add_checkpoint(struct witness *witness, struct bytes body, uint64_t now_s,
                                struct buf *out);
/* The newest cosigned checkpoint of the log whose origin has this SHA-256 (hex). NULL: none. */
const struct witness_log *witness_log_hashed(const struct witness *witness, const char *hash);

/* ---- http.c ---- */

struct witness_http;
/* Serves on address and port (0: the kernel picks) in a thread of its own, which the witness
 * belongs to until witness_http_close. The port goes to *ret_port. TM_EINVAL: no address; TM_EIO.
 */
MUST_USE enum tm_err witness_http_open(struct witness *witness, const char *address, uint16_t port,
                                       struct witness_http **ret_http, uint16_t *ret_port);
void witness_http_close(struct witness_http *http); /* NULL-safe */

#endif
