/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A profile is used as it was taken into use: the store's row of its name (struct ca_profile_row)
 * has the hash. Where officers have keys, another hash takes the act "profile-apply" of two of
 * them; until then nothing new is issued under the profile (ca_profile.withheld). Which act that
 * is: act_search.h.
 */
#ifndef TOUCHMARK_SERVER_CORE_PROFILES_H
#define TOUCHMARK_SERVER_CORE_PROFILES_H

#include "server/core/act_search.h"
#include "server/core/core.h"

/* Does a changed profile take an act here? */
bool core_profiles_guarded(const struct core_setup *setup);

/* Holds every profile against its row and writes the rows that change, each with a leaf. Those of
 * `setup` that must not be issued under are withheld, with an alarm. Where the store has no row of
 * any profile, all are as they should be. Calls `done` once, maybe at once: TM_OK, or what the
 * store says. `setup` and `store` must live until then. */
void core_profiles_bind(struct core_setup *setup, struct ca_store *store, int64_t now_ms,
                        void (*done)(void *arg, enum tm_err result), void *arg);

/* The act by which this hash may follow on the row (version 0: there is none yet), or the one that
 * waits for signatures to be that. TM_ENOTFOUND: none. */
MUST_USE enum tm_err core_profile_find_act(struct ca_store *store, const struct ca_profile_row *row,
                                           const uint8_t hash[CA_HASH_SIZE], int64_t now_ms,
                                           struct core_act_word *ret);

/* The kind "profile-apply". It does nothing itself: whoever loads the profile finds it. */
struct core_profile_act {
    struct ca_store *store;
    struct ca_act_kind kind;
};
/* `ret` must outlive the acts. */
MUST_USE enum tm_err core_profile_act_add(struct ca_store *store, struct ca_acts *acts,
                                          struct core_profile_act *ret);

#endif
