/* SPDX-License-Identifier: Apache-2.0 */
/* The lifecycle table: see ca/lifecycle.h. */
#include "ca/lifecycle.h"

#include <stdio.h>
#include <string.h>

#define TO(state) (1u << CA_##state)

/* A unit leaves use (retired, revoked) from everywhere and never comes back; a retired
 * one can still be revoked, because its keys may turn out to be stolen. */
#define OUT_OF_USE (TO(RETIRED) | TO(DEVICE_REVOKED))

const char *const ca_state_words[] = {
    [0] = "stay",
    [CA_REGISTERED] = "registered",
    [CA_PROVISIONING] = "provisioning",
    [CA_MANUFACTURED] = "manufactured",
    [CA_STOCKED] = "stocked",
    [CA_SHIPPED] = "shipped",
    [CA_ACTIVATED] = "activated",
    [CA_SUSPENDED] = "suspended",
    [CA_RETURNED] = "returned",
    [CA_REFURBISHED] = "refurbished",
    [CA_RETIRED] = "retired",
    [CA_DEVICE_REVOKED] = "revoked",
    [CA_STATE_LAST + 1] = NULL,
};

static const unsigned transitions[CA_STATE_LAST + 1] = {
    /* Activated without our factory: the identity is a foreign secure element's. */
    [CA_REGISTERED] = TO(PROVISIONING) | TO(MANUFACTURED) | TO(ACTIVATED) | OUT_OF_USE,
    /* Registered again: the unit left the jig unfinished. */
    [CA_PROVISIONING] = TO(REGISTERED) | TO(MANUFACTURED) | OUT_OF_USE,
    [CA_MANUFACTURED] = TO(STOCKED) | TO(SHIPPED) | TO(ACTIVATED) | TO(RETURNED) | OUT_OF_USE,
    [CA_STOCKED] = TO(SHIPPED) | TO(ACTIVATED) | TO(RETURNED) | OUT_OF_USE,
    [CA_SHIPPED] = TO(ACTIVATED) | TO(RETURNED) | OUT_OF_USE,
    [CA_ACTIVATED] = TO(SUSPENDED) | TO(RETURNED) | OUT_OF_USE,
    /* Only an activated device is ever suspended, so this is back to what it was. */
    [CA_SUSPENDED] = TO(ACTIVATED) | TO(RETURNED) | OUT_OF_USE,
    [CA_RETURNED] = TO(REFURBISHED) | OUT_OF_USE,
    /* Provisioning again: refurbishment that mints a new identity. */
    [CA_REFURBISHED] =
        TO(PROVISIONING) | TO(STOCKED) | TO(SHIPPED) | TO(ACTIVATED) | TO(RETURNED) | OUT_OF_USE,
    [CA_RETIRED] = TO(DEVICE_REVOKED),
    [CA_DEVICE_REVOKED] = 0,
};

/* A returned device is on a bench, in hands that are not its owner's. */
static const unsigned serving = TO(REGISTERED) | TO(PROVISIONING) | TO(MANUFACTURED) | TO(STOCKED) |
                                TO(SHIPPED) | TO(ACTIVATED) | TO(REFURBISHED);

static bool is_state(unsigned state) {
    return state >= CA_REGISTERED && state <= CA_STATE_LAST;
}

const char *ca_state_name(enum ca_state state) {
    return is_state(state) ? ca_state_words[state] : "unknown";
}

enum tm_err ca_state_find(const char *name, enum ca_state *ret) {
    for (unsigned s = CA_REGISTERED; s <= CA_STATE_LAST; s++) {
        if (strcmp(name, ca_state_words[s]) == 0) {
            *ret = (enum ca_state)s;
            return TM_OK;
        }
    }
    return TM_ENOTFOUND;
}

bool ca_transition_allowed(enum ca_state from, enum ca_state to) {
    return is_state(from) && is_state(to) && (transitions[from] & 1u << to);
}

void ca_transitions_from(enum ca_state from, char *ret, size_t cap) {
    if (cap == 0)
        return;
    ret[0] = '\0';
    size_t n = 0;
    for (unsigned to = CA_REGISTERED; to <= CA_STATE_LAST && n < cap; to++)
        if (ca_transition_allowed(from, (enum ca_state)to))
            n += (size_t)snprintf(ret + n, cap - n, "%s%s", n ? ", " : "", ca_state_words[to]);
}

bool ca_state_serves(enum ca_state state) {
    return is_state(state) && (serving & 1u << state);
}
