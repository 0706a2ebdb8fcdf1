/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device lifecycle (requirement C2): one table of states and transitions. Pure; thread-safe.
 */
#ifndef TOUCHMARK_CA_LIFECYCLE_H
#define TOUCHMARK_CA_LIFECYCLE_H

#include "ca/types.h"

/* The names by state, NULL-terminated, as words of an option table; [0] is "stay". */
extern const char *const ca_state_words[];

const char *ca_state_name(enum ca_state state); /* "registered", ...; never NULL */
/* TM_ENOTFOUND when no state has this name. */
MUST_USE enum tm_err ca_state_find(const char *name, enum ca_state *ret);
/* May a device go from one state to the other? Staying is no transition. */
bool ca_transition_allowed(enum ca_state from, enum ca_state to);
/* The names of the states that `from` may go to, "stocked, shipped, ..."; cut at cap. */
void ca_transitions_from(enum ca_state from, char *ret, size_t cap);
/* May the device enroll at all, and its certificates authenticate, in this state? */
bool ca_state_serves(enum ca_state state);

#endif
