/* SPDX-License-Identifier: Apache-2.0 */
/* The act "profile-apply", and how it is found again: see profiles.h. */
#include <string.h>

#include "server/core/profiles.h"

#define KIND "profile-apply"
#define HASH_TEXT (2 * CA_HASH_SIZE + 1)

/* What the row says that is replaced. */
static void replaced_text(const struct ca_profile_row *row, char ret[HASH_TEXT]) {
    if (!row->version || hex_encode(BYTES_OF(row->hash), ret, HASH_TEXT))
        (void)strcpy(ret, CORE_REPLACES_NOTHING);
}

/* ---- finding ---- */

struct wanted {
    const char *profile;
    char hash[HASH_TEXT];
    char replaces[HASH_TEXT];
};

static bool is_about(const void *arg, const struct ca_act_params *params) {
    const struct wanted *wanted = arg;
    return core_act_says(params, "profile", wanted->profile) &&
           core_act_says(params, "hash", wanted->hash) &&
           core_act_says(params, CORE_REPLACES, wanted->replaces);
}

enum tm_err core_profile_find_act(struct ca_store *store, const struct ca_profile_row *row,
                                  const uint8_t hash[CA_HASH_SIZE], int64_t now_ms,
                                  struct core_act_word *ret) {
    struct wanted wanted = {.profile = row->name};
    const struct core_act_search search = {.kind = KIND,
                                           .is_about = is_about,
                                           .arg = &wanted,
                                           .since_ms = row->since_ms,
                                           .act = row->act,
                                           .now_ms = now_ms};
    if (hex_encode((struct bytes){hash, CA_HASH_SIZE}, wanted.hash, sizeof wanted.hash))
        return TM_ELIMIT;
    replaced_text(row, wanted.replaces);
    return core_act_search(store, &search, ret);
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
    else if (ca_act_param_add(params, CORE_REPLACES, replaces))
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
