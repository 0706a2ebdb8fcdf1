/* SPDX-License-Identifier: Apache-2.0 */
/* The lifecycle table: see ca/lifecycle.h. */
#include "ca/lifecycle.h"

#include <stdio.h>
#include <string.h>

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

/* Operators move devices; what cannot be taken back takes an officer. */
#define OP (CA_BY_OPERATOR | CA_BY_OFFICER)
#define OFFICER CA_BY_OFFICER
#define STATION CA_BY_STATION
#define DEVICE CA_BY_DEVICE

struct transition {
    uint8_t who; /* CA_BY_*; 0: there is no such transition */
    uint8_t step;
};

/* A unit leaves use (retired, revoked) from everywhere and never comes back; a retired one can
 * still be revoked, because its keys may turn out to be stolen. A station retires what it scraps
 * within its job. */
static const struct transition transitions[CA_STATE_LAST + 1][CA_STATE_LAST + 1] = {
    /* Activated without our factory: the identity is a foreign secure element's. */
    [CA_REGISTERED] = {[CA_PROVISIONING] = {OP | STATION | DEVICE, 0},
                       [CA_MANUFACTURED] = {OP | STATION | DEVICE, 0},
                       [CA_ACTIVATED] = {OP | DEVICE, 0},
                       [CA_RETIRED] = {OFFICER | STATION, CA_STEP_END},
                       [CA_DEVICE_REVOKED] = {OFFICER, CA_STEP_END}},
    /* Registered again: the unit left the jig unfinished. */
    [CA_PROVISIONING] = {[CA_REGISTERED] = {OP | STATION, 0},
                         [CA_MANUFACTURED] = {OP | STATION | DEVICE, 0},
                         [CA_RETIRED] = {OFFICER | STATION, CA_STEP_END},
                         [CA_DEVICE_REVOKED] = {OFFICER, CA_STEP_END}},
    [CA_MANUFACTURED] = {[CA_PROVISIONING] = {OP | STATION, CA_STEP_REWORK},
                         [CA_STOCKED] = {OP | STATION | DEVICE, 0},
                         [CA_SHIPPED] = {OP, 0},
                         [CA_ACTIVATED] = {OP | DEVICE, 0},
                         [CA_RETURNED] = {OP, CA_STEP_RETURN},
                         [CA_RETIRED] = {OFFICER | STATION, CA_STEP_END},
                         [CA_DEVICE_REVOKED] = {OFFICER, CA_STEP_END}},
    [CA_STOCKED] = {[CA_PROVISIONING] = {OP, CA_STEP_REWORK},
                    [CA_SHIPPED] = {OP, 0},
                    [CA_ACTIVATED] = {OP | DEVICE, 0},
                    [CA_RETURNED] = {OP, CA_STEP_RETURN},
                    [CA_RETIRED] = {OFFICER, CA_STEP_END},
                    [CA_DEVICE_REVOKED] = {OFFICER, CA_STEP_END}},
    [CA_SHIPPED] = {[CA_ACTIVATED] = {OP | DEVICE, 0},
                    [CA_RETURNED] = {OP, CA_STEP_RETURN},
                    [CA_RETIRED] = {OFFICER, CA_STEP_END},
                    [CA_DEVICE_REVOKED] = {OFFICER, CA_STEP_END}},
    [CA_ACTIVATED] = {[CA_SUSPENDED] = {OP, 0},
                      [CA_RETURNED] = {OP, CA_STEP_RETURN},
                      [CA_RETIRED] = {OFFICER, CA_STEP_END},
                      [CA_DEVICE_REVOKED] = {OFFICER, CA_STEP_END}},
    /* Only an activated device is ever suspended, so this is back to what it was. */
    [CA_SUSPENDED] = {[CA_ACTIVATED] = {OP, 0},
                      [CA_RETURNED] = {OP, CA_STEP_RETURN},
                      [CA_RETIRED] = {OFFICER, CA_STEP_END},
                      [CA_DEVICE_REVOKED] = {OFFICER, CA_STEP_END}},
    [CA_RETURNED] = {[CA_REFURBISHED] = {OP, CA_STEP_REFURBISH},
                     [CA_RETIRED] = {OFFICER, CA_STEP_END},
                     [CA_DEVICE_REVOKED] = {OFFICER, CA_STEP_END}},
    /* Provisioning again: refurbishment that mints a new identity. */
    [CA_REFURBISHED] = {[CA_PROVISIONING] = {OP | STATION | DEVICE, 0},
                        [CA_STOCKED] = {OP, 0},
                        [CA_SHIPPED] = {OP, 0},
                        [CA_ACTIVATED] = {OP | DEVICE, 0},
                        [CA_RETURNED] = {OP, CA_STEP_RETURN},
                        [CA_RETIRED] = {OFFICER, CA_STEP_END},
                        [CA_DEVICE_REVOKED] = {OFFICER, CA_STEP_END}},
    [CA_RETIRED] = {[CA_DEVICE_REVOKED] = {OFFICER, CA_STEP_END}},
};

/* A returned device is on a bench, in hands that are not its owner's. */
#define IN(state) (1u << CA_##state)
static const unsigned serving = IN(REGISTERED) | IN(PROVISIONING) | IN(MANUFACTURED) | IN(STOCKED) |
                                IN(SHIPPED) | IN(ACTIVATED) | IN(REFURBISHED);

static const struct ca_move moves[] = {
    {"suspend", CA_SUSPENDED, 0},     {"resume", CA_ACTIVATED, IN(SUSPENDED)},
    {"return", CA_RETURNED, 0},       {"rework", CA_PROVISIONING, IN(MANUFACTURED) | IN(STOCKED)},
    {"refurbish", CA_REFURBISHED, 0}, {"retire", CA_RETIRED, 0},
};

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

unsigned ca_transition_who(enum ca_state from, enum ca_state to) {
    return is_state(from) && is_state(to) ? transitions[from][to].who : 0;
}

bool ca_transition_allowed(enum ca_state from, enum ca_state to) {
    return ca_transition_who(from, to) != 0;
}

enum ca_step ca_transition_step(enum ca_state from, enum ca_state to) {
    return is_state(from) && is_state(to) ? (enum ca_step)transitions[from][to].step : CA_STEP_NONE;
}

void ca_transitions_from(enum ca_state from, unsigned who, char *ret, size_t cap) {
    if (cap == 0)
        return;
    ret[0] = '\0';
    size_t n = 0;
    for (unsigned to = CA_REGISTERED; to <= CA_STATE_LAST && n < cap; to++)
        if (ca_transition_who(from, (enum ca_state)to) & who)
            n += (size_t)snprintf(ret + n, cap - n, "%s%s", n ? ", " : "", ca_state_words[to]);
}

void ca_who_names(unsigned who, char *ret, size_t cap) {
    static const char *const names[] = {"operator", "officer", "station", "its own enrollment"};
    size_t n = 0;
    if (cap)
        ret[0] = '\0';
    for (unsigned i = 0; i < sizeof names / sizeof names[0] && n < cap; i++)
        if (who & 1u << i)
            n += (size_t)snprintf(ret + n, cap - n, "%s%s", n ? ", " : "", names[i]);
}

const struct ca_move *ca_move_find(const char *name) {
    for (size_t i = 0; i < sizeof moves / sizeof moves[0]; i++)
        if (strcmp(moves[i].name, name) == 0)
            return &moves[i];
    return NULL;
}

bool ca_state_serves(enum ca_state state) {
    return is_state(state) && (serving & 1u << state);
}
