/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An issuer's name is bound to its key for ever: records of certificates name their issuer by it,
 * and so do CRLs, shards and filters. The store's row of an issuer says which key that is.
 */
#ifndef TOUCHMARK_SERVER_CORE_ISSUERS_H
#define TOUCHMARK_SERVER_CORE_ISSUERS_H

#include "server/core/core.h"

/* SHA-256 of the issuer's SubjectPublicKeyInfo. TM_ECRYPTO. */
MUST_USE enum tm_err core_issuer_key_hash(const struct ca_issuer *issuer,
                                          uint8_t ret[CA_HASH_SIZE]);

/* Holds every issuer against its row, and makes the row of one that is seen for the first time,
 * with a leaf. Calls `done` once, maybe at once: TM_OK; TM_EDENIED: one has another key or another
 * number of shards than before, which was logged; what the store says. `setup` and `store` must
 * live until then. */
void core_issuers_bind(const struct core_setup *setup, struct ca_store *store, int64_t now_ms,
                       void (*done)(void *arg, enum tm_err result), void *arg);

#endif
