/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device lifecycle (requirement C2): one table of states and transitions, with who may make
 * each and what it is to the device's certificates. Pure; thread-safe.
 */
#ifndef TOUCHMARK_CA_LIFECYCLE_H
#define TOUCHMARK_CA_LIFECYCLE_H

#include "ca/types.h"

/* The names by state, NULL-terminated, as words of an option table; [0] is "stay". */
extern const char *const ca_state_words[];

const char *ca_state_name(enum ca_state state); /* "registered", ...; never NULL */
/* TM_ENOTFOUND when no state has this name. */
MUST_USE enum tm_err ca_state_find(const char *name, enum ca_state *ret);
/* May the device enroll at all, and its certificates authenticate, in this state? */
bool ca_state_serves(enum ca_state state);

/* Who makes a transition; bits. */
#define CA_BY_OPERATOR 1u
#define CA_BY_OFFICER 2u /* who is one may what operators may */
#define CA_BY_STATION 4u
#define CA_BY_DEVICE 8u /* its own enrollment, whoever carries it */
#define CA_BY_ANY (CA_BY_OPERATOR | CA_BY_OFFICER | CA_BY_STATION | CA_BY_DEVICE)
/* Who may make it; 0: nobody. Staying is no transition. */
unsigned ca_transition_who(enum ca_state from, enum ca_state to);
/* "operator, station"; cut at cap. */
void ca_who_names(unsigned who, char *ret, size_t cap);
/* May anybody make it? */
bool ca_transition_allowed(enum ca_state from, enum ca_state to);
/* The names of the states to which one of those may bring a device that is in `from`: "stocked,
 * shipped, ..."; cut at cap. */
void ca_transitions_from(enum ca_state from, unsigned who, char *ret, size_t cap);

/* What a transition is to the device's certificates: a product has a policy for each. */
enum ca_step {
    CA_STEP_NONE,
    CA_STEP_REWORK,    /* back to the line before it was shipped */
    CA_STEP_RETURN,    /* back from whoever had it */
    CA_STEP_REFURBISH, /* made good again */
    CA_STEP_END,       /* out of use, for ever */
};
enum ca_step ca_transition_step(enum ca_state from, enum ca_state to);

/* What people call a transition: suspend, resume, return, rework, refurbish, retire. */
struct ca_move {
    const char *name;
    enum ca_state to;
    unsigned from; /* 1u << enum ca_state; 0: every state that may */
};
const struct ca_move *ca_move_find(const char *name); /* NULL: there is none */

#endif
