/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What keys on tokens signed, in the audit log (requirement H1). A leaf for each signature would
 * cost more than many of them, so they are counted by key, token and kind, and once a minute in
 * which there were any, and when the core drains, there is a leaf `key-used` for each of these:
 * how many, the first and the last. What a killed core had not written yet is in no leaf: at most
 * what CORE_KEY_USES_MS saw. On the loop's thread.
 *
 * Checkpoints are signatures, too: they alone bring no leaf about, or a log at rest would grow for
 * ever by what tells of its own checkpoints.
 */
#ifndef TOUCHMARK_SERVER_CORE_KEY_USES_H
#define TOUCHMARK_SERVER_CORE_KEY_USES_H

#include "ca/signer.h"
#include "ca/store.h"
#include "server/core/core.h"

#define CORE_KEY_USES_MS 60000

struct core_key_uses;

struct core_key_uses_config {
    struct ca_store *store; /* outlives it in use, and is closed before it is freed */
    const struct core_setup *setup;
    int64_t interval_ms; /* CORE_KEY_USES_MS */
    int64_t (*now_ms)(void);
};
/* TM_ENOMEM. */
MUST_USE enum tm_err core_key_uses_new(const struct core_key_uses_config *config,
                                       struct core_key_uses **ret_uses);
void core_key_uses_free(struct core_key_uses *uses); /* NULL-safe */
/* The token (its index) has signed. issuer: its index; setup->issuer_count for a key that is no
 * issuer's. NULL-safe. */
void core_key_uses_note(struct core_key_uses *uses, enum ca_ticket_kind kind, size_t issuer,
                        size_t token);
/* Writes what is due; call it every 100 ms. */
void core_key_uses_tick(struct core_key_uses *uses);
/* Writes all. True: it is durable, nothing is under way. */
bool core_key_uses_settle(struct core_key_uses *uses);

/* The word for it in leaves: "certificate", "ocsp-answer"; never NULL. */
const char *core_key_use_name(enum ca_ticket_kind kind);

#endif
