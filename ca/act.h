/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acts that take two officers (requirement D6 and the roles of I5): one is proposed, which fixes a
 * text; officers sign the octets of that text with keys of their own; the second signature and the
 * act's beginning are one transaction; then the act is carried out by its kind, over restarts if
 * need be. Each step is an audit leaf in the transaction of the step.
 *
 *   act_text.c    the canonical text
 *   act_params.c  parameters, and the rules for them
 *   act.c         changes of an act: sign, withdraw
 *   act_propose.c the first of them
 *   act_run.c     carrying out, also after a restart
 *   act_over.c    those that expire; what was kept for one that will never be carried out
 *
 * Kinds are the business of whoever adds them (ca_acts_add). One loop's thread, like the store.
 */
#ifndef TOUCHMARK_CA_ACT_H
#define TOUCHMARK_CA_ACT_H

#include "ca/officer.h"
#include "ca/store.h"

#define CA_ACT_OFFICERS 2 /* different ones, with different keys */
#define CA_ACT_PARAMETERS_MAX 32
#define CA_ACT_KINDS_MAX 16
#define CA_ACTS_OPEN_MAX 64 /* proposed, neither expired nor ended */
#define CA_ACT_LIFETIME_MS (INT64_C(72) * 3600 * 1000)
#define CA_ACT_LIFETIME_MAX_MS (INT64_C(14) * 24 * 3600 * 1000)
#define CA_ACT_ID_TEXT (2 * CA_ACT_ID_SIZE + 1)

/* ---- parameters ---- */

struct ca_act_params {
    size_t count;
    struct {
        char name[IPC_NAME_MAX + 1]; /* a-z 0-9 - _ */
        char value[IPC_TEXT_MAX + 1];
    } items[CA_ACT_PARAMETERS_MAX]; /* sorted by name, each once */
};

/* NULL: there is none of that name. */
const char *ca_act_param(const struct ca_act_params *params, const char *name);
/* Adds one at its place. TM_EINVAL: no name for a parameter; TM_EEXISTS; TM_ELIMIT: too many, or
 * too long a value. */
MUST_USE enum tm_err ca_act_param_add(struct ca_act_params *params, const char *name,
                                      const char *value);

/* ---- the text ---- */

/* ASCII, a line per member, in this order:
 *
 *     touchmark act 1
 *     environment: prod
 *     kind: revoke-many
 *     id: <32 hex digits, random>
 *     proposed: 2026-01-02T03:04:05Z
 *     expires: 2026-01-05T03:04:05Z
 *     proposer: alice uid:1000
 *     parameter batch: 2026-03
 *
 * with the parameters sorted by name. In values a backslash is \\, and what is not printable ASCII,
 * or a space at either end, is \x and two hex digits: no value can be or hide a line. */
struct ca_act_text {
    char environment[IPC_NAME_MAX + 1];
    char kind[IPC_NAME_MAX + 1];
    uint8_t id[CA_ACT_ID_SIZE];
    int64_t proposed_ms; /* whole seconds */
    int64_t expires_ms;
    char proposer[IPC_TEXT_MAX + 1];
    struct ca_act_params params;
};
/* Appends. TM_ELIMIT: longer than CA_ACT_TEXT_MAX, or than `out` has room for. */
MUST_USE enum tm_err ca_act_text_print(const struct ca_act_text *text, struct buf *out);
/* TM_EPARSE: not exactly what ca_act_text_print writes. */
MUST_USE enum tm_err ca_act_text_parse(struct bytes octets, struct ca_act_text *ret);

/* ---- kinds ---- */

/* A parameter that a proposal may or must have. */
struct ca_act_rule {
    const char *name;
    bool required;
    bool (*good)(const char *value);
    const char *must; /* "a reason of RFC 5280, 5.3.1": what follows "must be" */
};

/* An act that is being carried out. It stays where it is until ca_act_run_end. */
struct ca_act_run {
    struct ca_acts *acts;
    const struct ca_act_params *params; /* the proposal's, and the facts that check added */
    char id[CA_ACT_ID_TEXT];
    char actor[IPC_TEXT_MAX + 1]; /* for leaves of what is done: "act:<id> alice bob" */
    int64_t since_ms;             /* when the last signature that it needed was made */
    /* As saved last; the kind's to use and change. Zero at first. */
    uint64_t done;
    struct ca_serial cursor;
};

typedef void ca_act_checked_fn(void *arg, enum tm_err result, const char *text);

/* Strings and the kind itself must outlive the acts. */
struct ca_act_kind {
    const char *name;
    const struct ca_act_rule *rules; /* ends with a name that is NULL; no other is taken */
    void *self;
    /* Looks at a proposal whose parameters are as the rules want, so that nonsense is refused
     * before anybody signs, and may add facts to the parameters: how many certificates it would
     * concern, say. Calls `checked` once, now or later: TM_OK, or a reason with one clear
     * sentence. `params` stays until then. NULL: the rules are all there is to check. */
    void (*check)(void *self, struct ca_act_params *params, ca_act_checked_fn *checked, void *arg);
    /* Carries it out: ca_act_run_save now and then, ca_act_run_end once, now or later. After a
     * restart it is called again, with what was saved last: what was done after that is done
     * already, and must do no harm a second time. */
    void (*run)(void *self, struct ca_act_run *run);
    /* The act is over and was not carried out: withdrawn, expired, or failed. What the store keeps
     * for such parameters ends in the same transaction, by the one change that this fills in;
     * *ret_kept is what that borrows, which free() ends, and stays NULL where there is nothing. It
     * is not called as long as another act with these parameters is open. NULL: the kind keeps
     * nothing. */
    void (*drop)(void *self, const struct ca_act_params *params, struct ca_change *ret_change,
                 void **ret_kept);
};

/* Has run->done and run->cursor made durable, some time soon. Nothing waits for it: what is lost
 * is done again. */
void ca_act_run_save(struct ca_act_run *run);
/* The act is over: done, or failed; `text` is what came of it. The run is not the kind's any more.
 */
void ca_act_run_end(struct ca_act_run *run, enum tm_err result, const char *text);
/* Does the process end? Then nothing new is begun, and run_end is not called for what is not over.
 */
bool ca_acts_stopping(const struct ca_acts *acts);

/* ---- acts ---- */

struct ca_acts;
struct ca_acts_config {
    struct ca_store *store;
    struct loop *loop;
    const char *environment;
    const struct ca_officer *officers;
    size_t officer_count;
    int64_t (*now_ms)(void);
};

/* What the configuration points to must outlive the acts. TM_ENOMEM. */
MUST_USE enum tm_err ca_acts_new(const struct ca_acts_config *config, struct ca_acts **ret_acts);
/* From now on nothing is begun or ended: acts under way go on at the next start. NULL-safe. */
void ca_acts_stop(struct ca_acts *acts);
/* After ca_acts_stop, when the store is closed and no kind uses its runs any more. NULL-safe. */
void ca_acts_free(struct ca_acts *acts);
/* Before ca_acts_resume. TM_EEXISTS, TM_ELIMIT. */
MUST_USE enum tm_err ca_acts_add(struct ca_acts *acts, const struct ca_act_kind *kind);
/* Ends what has expired; call it every 100 ms. */
void ca_acts_tick(struct ca_acts *acts);
/* NULL: there is none. */
const struct ca_act_kind *ca_act_kind_named(const struct ca_acts *acts, const char *name);
/* Goes on with what was running when an earlier process ended. */
MUST_USE enum tm_err ca_acts_resume(struct ca_acts *acts);

/* Called once, when the change is durable (TM_OK; `act` is as it is now, `text` empty), or was
 * refused: `text` is one clear sentence, `act` NULL. */
typedef void ca_act_fn(void *arg, enum tm_err result, const char *text, const struct ca_act *act);

/* An error return of these means that `done` is not called (TM_ENOMEM); all else they copy.
 * lifetime_ms: how long it may wait for signatures; 0 = CA_ACT_LIFETIME_MS. */
MUST_USE enum tm_err ca_act_propose(struct ca_acts *acts, const char *kind,
                                    const struct ca_act_params *params, int64_t lifetime_ms,
                                    const char *proposer, ca_act_fn *done, void *arg);
/* Refused: one that is not open, has expired, was signed by this officer or with this key, or whose
 * signature does not verify. What an officer signed who is no officer any more does not count. */
MUST_USE enum tm_err ca_act_sign(struct ca_acts *acts, const uint8_t id[CA_ACT_ID_SIZE],
                                 const struct ca_officer *officer, struct bytes signature,
                                 ca_act_fn *done, void *arg);
/* Refused: one that is not open. */
MUST_USE enum tm_err ca_act_withdraw(struct ca_acts *acts, const uint8_t id[CA_ACT_ID_SIZE],
                                     const char *reason, const char *actor, ca_act_fn *done,
                                     void *arg);

#endif
