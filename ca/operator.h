/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may work at stations, and who does (requirement D6). An operator's secret exists here as the
 * scrypt hash of RFC 7914 alone. Somebody who is logged in at a station stays so for a shift. A
 * login that fails is recorded, and each one doubles how long the station has to wait for the next.
 * One loop's thread, but for ca_operator_derive.
 */
#ifndef TOUCHMARK_CA_OPERATOR_H
#define TOUCHMARK_CA_OPERATOR_H

#include "ca/store.h"

#define CA_OPERATOR_SECRET_MIN 8 /* octets of one that somebody chose */
#define CA_OPERATOR_SECRET_TEXT                                                                    \
    33                  /* one that is made: 32 hex digits, 128 random bits, and a NUL             \
                         */
#define CA_LOGIN_FREE 2 /* failures that cost no time */
#define CA_LOGIN_WAIT_MAX_MS (INT64_C(15) * 60 * 1000)

/* scrypt(secret, salt), N 16384, r 8, p 1: tens of milliseconds. Thread-safe. TM_ECRYPTO. */
MUST_USE enum tm_err ca_operator_derive(struct bytes secret,
                                        const uint8_t salt[CA_OPERATOR_SALT_SIZE],
                                        uint8_t ret[CA_HASH_SIZE]);
/* A new secret. TM_ECRYPTO. */
MUST_USE enum tm_err ca_operator_secret(char ret[CA_OPERATOR_SECRET_TEXT]);

/* Who is logged in at the station, to `ret`; "": nobody. TM_EIO, TM_ECORRUPT. */
MUST_USE enum tm_err ca_shift_current(struct ca_store *store, const char *tenant,
                                      const char *station, int64_t now_ms,
                                      char ret[IPC_NAME_MAX + 1]);
/* The station's row; version 0: it has none yet. TM_EIO, TM_ECORRUPT. */
MUST_USE enum tm_err ca_shift_read(struct ca_store *store, const char *tenant, const char *station,
                                   struct ca_shift *ret);
/* How long a station waits after so many failures. */
int64_t ca_login_wait_ms(uint32_t failures);

/* Called once, when it is durable or refused with one clear sentence. `until_ms`: when what was
 * begun ends, or how long to wait with the next try (TM_EAGAIN); else 0. */
typedef void ca_operator_fn(void *arg, enum tm_err result, const char *text, int64_t until_ms);

/* An error return of these means that `done` is not called (TM_ENOMEM); all else they copy. */

/* Lets somebody work at the tenant's stations, by this secret from now on: who is logged in by
 * another is so no more. */
MUST_USE enum tm_err ca_operator_put(struct ca_store *store, const struct ca_operator *person,
                                     const char *actor, ca_operator_fn *done, void *arg);
MUST_USE enum tm_err ca_operator_remove(struct ca_store *store, const char *tenant,
                                        const char *name, int64_t now_ms, const char *actor,
                                        ca_operator_fn *done, void *arg);

/* What a station asks for; `good`: was the secret right? */
struct ca_login {
    char tenant[IPC_NAME_MAX + 1];
    char station[IPC_NAME_MAX + 1];
    char operator_name[IPC_NAME_MAX + 1]; /* "": logs out */
    uint64_t operator_version;
    bool good;
    int64_t now_ms;
    int64_t shift_ms;
    char actor[IPC_TEXT_MAX + 1];
    char remote[IPC_ADDRESS_MAX + 1];
};
/* TM_EDENIED: wrong. */
MUST_USE enum tm_err ca_login_record(struct ca_store *store, const struct ca_login *login,
                                     ca_operator_fn *done, void *arg);

#endif
