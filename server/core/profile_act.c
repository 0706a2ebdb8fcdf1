/* SPDX-License-Identifier: Apache-2.0 */
/* The act "profile-apply", and how it is found again: see profiles.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "server/core/profiles.h"

#define KIND "profile-apply"
#define NOTHING "nothing" /* that it replaces */
#define HASH_TEXT (2 * CA_HASH_SIZE + 1)

/* What the row says that is replaced. */
static void replaced_text(const struct ca_profile_row *row, char ret[HASH_TEXT]) {
    if (!row->version || hex_encode(BYTES_OF(row->hash), ret, HASH_TEXT))
        (void)strcpy(ret, NOTHING);
}

/* ---- finding ---- */

struct search {
    const struct ca_profile_row *row;
    char hash[HASH_TEXT];
    char replaces[HASH_TEXT];
    int64_t after_ms;
    int64_t now_ms;
};

/* When the last signature was made that it needed. */
static int64_t signed_ms(const struct ca_act *act) {
    return act->signature_count ? act->signatures[act->signature_count - 1].time_ms : 0;
}

static bool is_approved(const struct search *s, const struct ca_act *act) {
    return (act->status == CA_ACT_RUNNING || act->status == CA_ACT_DONE) &&
           signed_ms(act) > s->after_ms;
}

static bool is_open(const struct search *s, const struct ca_act *act) {
    return act->status == CA_ACT_OPEN && act->expires_ms > s->now_ms;
}

static bool has(const struct ca_act_params *params, const char *name, const char *value) {
    const char *found = ca_act_param(params, name);
    return found && strcmp(found, value) == 0;
}

static bool is_about(const struct search *s, const struct ca_act *act, struct ca_act_text *text) {
    return strcmp(act->kind, KIND) == 0 && !ca_act_text_parse(act->text, text) &&
           has(&text->params, "profile", s->row->name) && has(&text->params, "hash", s->hash) &&
           has(&text->params, "replaces", s->replaces);
}

/* From when on an act counts for what follows on the row: after the one that made it. */
static enum tm_err set_after(struct ca_store *store, struct search *s, struct buf *memory) {
    static const uint8_t none[CA_ACT_ID_SIZE];
    struct ca_act act = {0};
    s->after_ms = s->row->since_ms;
    if (memcmp(s->row->act, none, sizeof none) == 0)
        return TM_OK;
    memcpy(act.id, s->row->act, sizeof act.id);
    enum tm_err err = store->ops->row(store, CA_TABLE_ACT, &act, memory);
    if (!err)
        s->after_ms = signed_ms(&act);
    memory->n = 0;
    return err == TM_ENOTFOUND ? TM_OK : err;
}

static enum tm_err walk(struct ca_store *store, struct search *s, struct buf *memory,
                        struct ca_act_text *text, struct core_profile_word *ret) {
    uint8_t key[CA_ROW_KEY_MAX];
    struct buf cursor = BUF_ON(key);
    struct ca_act act;
    bool found = false;
    enum tm_err err = set_after(store, s, memory);
    while (!err && !(found && ret->approved)) {
        err = store->ops->next_row(store, CA_TABLE_ACT, &cursor, &act, memory);
        bool approved = !err && is_approved(s, &act);
        if (!err && (approved || is_open(s, &act)) && is_about(s, &act, text)) {
            found = true;
            memcpy(ret->act, act.id, sizeof ret->act);
            ret->approved = approved;
        }
        memory->n = 0;
    }
    return found && (!err || err == TM_ENOTFOUND) ? TM_OK : err;
}

enum tm_err core_profile_find_act(struct ca_store *store, const struct ca_profile_row *row,
                                  const uint8_t hash[CA_HASH_SIZE], int64_t now_ms,
                                  struct core_profile_word *ret) {
    uint8_t octets[CA_ROW_MEMORY_MAX];
    struct buf memory = BUF_ON(octets);
    struct search s = {.row = row, .now_ms = now_ms};
    struct core_profile_word word;
    AUTO_MEM struct ca_act_text *text = calloc(1, sizeof *text);
    if (!text)
        return TM_ENOMEM;
    if (hex_encode((struct bytes){hash, CA_HASH_SIZE}, s.hash, sizeof s.hash))
        return TM_ELIMIT;
    replaced_text(row, s.replaces);
    enum tm_err err = walk(store, &s, &memory, text, &word);
    if (!err)
        *ret = word;
    return err;
}

/* ---- the kind ---- */

static bool is_profile(const char *value) {
    return value[0] && strlen(value) <= IPC_NAME_MAX;
}

static bool is_hash(const char *value) {
    return strlen(value) == HASH_TEXT - 1 && strspn(value, "0123456789abcdef") == HASH_TEXT - 1;
}

static const struct ca_act_rule rules[] = {
    {"profile", true, is_profile, "a name of 1 to 64 octets"},
    {"hash", true, is_hash, "the profile's hash, 64 hex digits"},
    {"file", true, is_hash, "SHA-256 of the profile's file, 64 hex digits"},
    {NULL, false, NULL, NULL}};

static void check(void *self, struct ca_act_params *params, ca_act_checked_fn *checked, void *arg) {
    const struct core_profile_act *act = self;
    struct ca_profile_row row = {0};
    char replaces[HASH_TEXT];
    TEXT_SET(row.name, ca_act_param(params, "profile"));
    enum tm_err err = act->store->ops->row(act->store, CA_TABLE_PROFILE, &row, NULL);
    if (err && err != TM_ENOTFOUND) {
        checked(arg, err, "the registry cannot be read");
        return;
    }
    replaced_text(&row, replaces);
    if (strcmp(replaces, ca_act_param(params, "hash")) == 0)
        checked(arg, TM_EEXISTS, "the profile is in force with this hash already");
    else if (ca_act_param_add(params, "replaces", replaces))
        checked(arg, TM_ELIMIT, "there are too many parameters");
    else
        checked(arg, TM_OK, "");
}

static void run(void *self, struct ca_act_run *run_) {
    (void)self;
    ca_act_run_end(run_, TM_OK, "the profile may be applied");
}

enum tm_err core_profile_act_add(struct ca_store *store, struct ca_acts *acts,
                                 struct core_profile_act *ret) {
    *ret = (struct core_profile_act){
        .store = store,
        .kind = {.name = KIND, .rules = rules, .self = ret, .check = check, .run = run}};
    return ca_acts_add(acts, &ret->kind);
}
