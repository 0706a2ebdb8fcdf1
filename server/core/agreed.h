/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the configuration says and two officers must agree on. The store's row (struct ca_agreed)
 * has what was agreed; where officers have keys, another value takes an act of two of them
 * (act_search.h), and until then the agreed one stays in force. The first values of a kind that a
 * store sees are the baseline, and so is what is changed while no two officers have keys.
 *
 *   agreed.c       judging, rows, the acts
 *   assignments.h  who signs for a tenant ("issuer-change")
 *   ceilings.h     how much is signed ("ceiling")
 */
#ifndef TOUCHMARK_SERVER_CORE_AGREED_H
#define TOUCHMARK_SERVER_CORE_AGREED_H

#include "server/core/act_search.h"
#include "server/core/core.h"

/* A kind of value. */
struct core_agreed_kind {
    const char *act;     /* kind of the act that changes one */
    const char *prefix;  /* of the rows' names */
    const char *subject; /* parameter with the rest of the name */
    const struct ca_act_rule *rules;
    bool each;  /* a subject that is seen for the first time is the baseline, whatever others are */
    bool plain; /* "replaces" has the value itself, of at most 64 octets, not its SHA-256 */
    /* Appends the value that an act's parameters say. TM_EINVAL: they contradict each other, and
     * `text` says how; TM_ELIMIT. */
    enum tm_err (*value_of)(const struct ca_act_params *params, struct buf *out,
                            char text[IPC_TEXT_MAX + 1]);
    /* Does what was agreed allow this value, too? NULL: only the same. */
    bool (*covers)(struct bytes agreed, struct bytes value);
};

enum core_agreed_verdict {
    CORE_AGREED_HOLDS, /* it is what was agreed */
    CORE_AGREED_TAKEN, /* it is in force from now on: `row` is to be written */
    CORE_AGREED_NOT,   /* `row` has what stays in force; version 0: nothing */
};
struct core_agreed {
    enum core_agreed_verdict verdict;
    struct ca_agreed row;
    char words[IPC_TEXT_MAX + 1]; /* for the leaf: of what is taken, and of what is not agreed */
    uint8_t value[CA_AGREED_VALUE_MAX]; /* of row */
};

/* Holds a value against its row. guarded: do two officers have keys? `words` is the caller's to
 * fill. What the store says. */
MUST_USE enum tm_err core_agreed_judge(struct ca_store *store, const struct core_agreed_kind *kind,
                                       const char *subject, struct bytes value, bool guarded,
                                       int64_t now_ms, struct core_agreed *ret);
/* Has the store a row of this kind? */
bool core_agreed_any(struct ca_store *store, const struct core_agreed_kind *kind);

/* Writes the rows of what is taken, each with a leaf, and an alarm for what is not agreed. Calls
 * `done` once, maybe at once. All must live until then. */
void core_agreed_bind(struct core_agreed *agreed, size_t count, struct ca_store *store,
                      int64_t now_ms, void (*done)(void *arg, enum tm_err result), void *arg);

/* May this value be put in force? "in force", "free" (no officers' keys), "approved", "open" (an
 * act waits for signatures), "unknown"; NULL: the store cannot be read. ret_act: of what is
 * approved or open. */
const char *core_agreed_word(struct ca_store *store, const struct core_agreed_kind *kind,
                             const char *subject, struct bytes value, bool guarded, int64_t now_ms,
                             uint8_t ret_act[CA_ACT_ID_SIZE]);
/* Is this the name of a row of the kind? NULL: no; else its subject, borrowed. */
const char *core_agreed_subject(const struct core_agreed_kind *kind, const char *name);

/* The acts of a kind. They do nothing themselves: whoever loads the configuration finds them. */
struct core_agreed_act {
    struct ca_store *store;
    const struct core_agreed_kind *what;
    struct ca_act_kind kind;
};
/* `ret` must outlive the acts. */
MUST_USE enum tm_err core_agreed_act_add(struct ca_store *store, struct ca_acts *acts,
                                         const struct core_agreed_kind *kind,
                                         struct core_agreed_act *ret);

#endif
