/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of ca/act.h share. */
#ifndef TOUCHMARK_CA_ACT_INTERNAL_H
#define TOUCHMARK_CA_ACT_INTERNAL_H

#include "base/loop.h"
#include "ca/act.h"

/* A proposal whose kind looks at it, and an act that is carried out. */
struct act_proposal;
struct act_running;

struct ca_acts {
    struct ca_acts_config config;
    const struct ca_act_kind *kinds[CA_ACT_KINDS_MAX];
    size_t kind_count;
    struct act_proposal *proposals;
    struct act_running *running;
    bool stopping;
    int64_t look_ms; /* when one may have expired: nobody looks before; 0 at first */
};

/* ---- act_over.c ---- */

/* Adds to the batch, in which this act ends without having been carried out, what its kind has kept
 * for it. Returns what the batch then borrows (free()); NULL: nothing. */
void *ca_act_drop(const struct ca_acts *acts, const struct ca_act *act, struct ca_batch *batch);
/* One more is open. */
void ca_act_note_expiry(struct ca_acts *acts, const struct ca_act *act);

/* ---- act_params.c ---- */

/* Could it name a parameter? */
bool ca_act_name_valid(const char *name);
/* TM_EINVAL: a rule does not hold; `text` says which. */
MUST_USE enum tm_err ca_act_params_judge(const struct ca_act_params *params,
                                         const struct ca_act_rule *rules,
                                         char text[IPC_TEXT_MAX + 1]);

/* ---- act.c ---- */

/* One change of an act's row with its leaf. `decide` fills act and leaf; it runs again when the row
 * changed before they were durable. */
struct act_change {
    struct ca_acts *acts;
    enum tm_err (*decide)(struct act_change *change, char text[IPC_TEXT_MAX + 1]);
    ca_act_fn *done;
    void *arg;
    unsigned attempts;
    const struct ca_officer *officer; /* who signs */
    struct ca_act_signature signature;
    struct ca_act_text wanted; /* what is proposed */
    char actor[IPC_TEXT_MAX + 1];
    char reason[IPC_TEXT_MAX + 1];
    struct ca_act act;
    uint8_t memory[CA_ROW_MEMORY_MAX]; /* for what the act borrows */
    struct ca_leaf leaf;
    struct ca_batch batch;
    void *dropped; /* what the batch borrows of the kind's; owned */
};
/* NULL: no memory. */
struct act_change *ca_act_change_new(struct ca_acts *acts, const char *actor, ca_act_fn *done,
                                     void *arg);
/* Ends by `done`, which may be at once. The change is freed. */
void ca_act_change_start(struct act_change *change,
                         enum tm_err (*decide)(struct act_change *, char *));
/* Returns err, with a sentence in `text`. */
enum tm_err ca_act_say(char text[IPC_TEXT_MAX + 1], enum tm_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void ca_act_id_text(const uint8_t id[CA_ACT_ID_SIZE], char ret[CA_ACT_ID_TEXT]);
/* A leaf on an act: its reason is "<id> <words>". */
void ca_act_leaf(const struct ca_act *act, enum ca_event event, int64_t now_ms, const char *actor,
                 const char *words, struct ca_leaf *ret);

/* ---- act_propose.c, act_run.c ---- */

void ca_act_proposals_free(struct ca_acts *acts);
/* Carries out an act whose row says that it is running. */
void ca_act_begin(struct ca_acts *acts, const struct ca_act *act);
void ca_act_running_free(struct ca_acts *acts);

#endif
