/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The token's inside: libp11's handles on it and a pool of read-only sessions of our own
 * for signing. libp11 0.4.12 keeps 16 sessions at most and waits for ever when it cannot
 * open its first; this pool grows with the threads that sign and fails instead of waiting.
 * Internal to pkcs11/. Thread-safe.
 */
#ifndef TOUCHMARK_PKCS11_SESSION_H
#define TOUCHMARK_PKCS11_SESSION_H

#include <pthread.h>

#include <libp11.h>

#include "pkcs11/module.h"

#define HSM_SESSIONS_KEPT 64 /* idle ones beyond are closed */

struct hsm_sessions {
    CK_FUNCTION_LIST *f;
    CK_SLOT_ID slot;
    pthread_mutex_t lock;
    size_t idle_count;
    CK_SESSION_HANDLE idle[HSM_SESSIONS_KEPT];
};

void hsm_sessions_init(struct hsm_sessions *sessions, CK_FUNCTION_LIST *f, CK_SLOT_ID slot);
/* Forgets them all; closing is C_CloseAllSessions' business. */
void hsm_sessions_deinit(struct hsm_sessions *sessions);
/* An idle session or a new one. The result is PKCS#11's. */
MUST_USE CK_RV hsm_sessions_take(struct hsm_sessions *sessions, CK_SESSION_HANDLE *ret_session);
/* Back into the pool; one whose operation failed must be closed instead. */
void hsm_sessions_put(struct hsm_sessions *sessions, CK_SESSION_HANDLE session);

struct hsm_token {
    struct hsm_module module;
    PKCS11_CTX *ctx;
    PKCS11_SLOT *slots;
    unsigned slot_count;
    PKCS11_SLOT *slot; /* the token's, among `slots` */
    CK_SLOT_ID slot_id;
    struct hsm_sessions sessions;
    struct hsm_key *keys; /* all that were found, freed with the token */
};

/* Frees a list of keys; for hsm_token_close. */
void hsm_keys_free(struct hsm_key *keys);

#endif
