/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles held against the store: see profiles.h. */
#include "server/core/profiles.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "server/core/changes.h"

struct binding {
    struct ca_store *store;
    bool guarded; /* a change takes an act */
    int64_t now_ms;
    struct core_changes *changes;
};

bool core_profiles_guarded(const struct core_setup *setup) {
    size_t keys = 0;
    for (size_t i = 0; i < setup->officer_count; i++)
        keys += setup->officers[i].key != NULL;
    return keys >= CA_ACT_OFFICERS;
}

/* ---- what becomes of one ---- */

static void hash_text(const uint8_t hash[CA_HASH_SIZE], char ret[2 * CA_HASH_SIZE + 1]) {
    if (hex_encode((struct bytes){hash, CA_HASH_SIZE}, ret, 2 * CA_HASH_SIZE + 1))
        ret[0] = '\0';
}

static struct core_change *add(const struct binding *binding, const struct ca_profile *profile,
                               enum ca_change_kind kind, enum ca_event event) {
    struct core_change *change =
        core_changes_add(binding->changes, kind, CA_TABLE_PROFILE, event, binding->now_ms);
    if (change)
        TEXT_SET(change->leaf.profile, profile->name);
    return change;
}

/* act: NULL, none was needed. */
static enum tm_err take(const struct binding *binding, const struct ca_profile *profile,
                        const struct ca_profile_row *old, const uint8_t *act) {
    char hash[2 * CA_HASH_SIZE + 1], id[CA_ACT_ID_TEXT] = "";
    struct core_change *change = add(binding, profile, CA_PUT_ROW, CA_EVENT_PROFILE);
    if (!change)
        return TM_ENOMEM;
    struct ca_profile_row *row = &change->row.profile;
    *row = *old;
    row->version++;
    row->since_ms = binding->now_ms;
    memcpy(row->hash, profile->hash, CA_HASH_SIZE);
    memset(row->act, 0, sizeof row->act);
    if (act) {
        memcpy(row->act, act, sizeof row->act);
        if (hex_encode(BYTES_OF(row->act), id, sizeof id))
            id[0] = '\0';
    }
    hash_text(profile->hash, hash);
    (void)snprintf(change->leaf.reason, sizeof change->leaf.reason, "hash %s%s%s", hash,
                   act ? ", act " : "", id);
    return TM_OK;
}

static enum tm_err withhold(const struct binding *binding, struct ca_profile *profile) {
    char hash[2 * CA_HASH_SIZE + 1];
    struct core_change *change = add(binding, profile, CA_ADD_LEAF, CA_EVENT_ALARM);
    if (!change)
        return TM_ENOMEM;
    hash_text(profile->hash, hash);
    profile->withheld = true;
    (void)snprintf(change->leaf.reason, sizeof change->leaf.reason,
                   "the profile is not the one that officers approved; its hash is %s", hash);
    log_error("profile %s is not the one that officers approved: nothing is issued under it until "
              "two of them have signed it (touchmark profile apply)",
              profile->name);
    return TM_OK;
}

static enum tm_err judge(const struct binding *binding, struct ca_profile *profile) {
    struct ca_profile_row row = {.version = 0};
    struct core_act_word word;
    TEXT_SET(row.name, profile->name);
    enum tm_err err = binding->store->ops->row(binding->store, CA_TABLE_PROFILE, &row, NULL);
    if (err && err != TM_ENOTFOUND)
        return err;
    if (!err && memcmp(row.hash, profile->hash, CA_HASH_SIZE) == 0)
        return TM_OK;
    if (!binding->guarded)
        return take(binding, profile, &row, NULL);
    err = core_profile_find_act(binding->store, &row, profile->hash, binding->now_ms, &word);
    if (err && err != TM_ENOTFOUND)
        return err;
    return !err && word.approved ? take(binding, profile, &row, word.act)
                                 : withhold(binding, profile);
}

/* ---- all of them ---- */

static bool is_first_time(struct ca_store *store) {
    uint8_t key[CA_ROW_KEY_MAX];
    struct buf cursor = BUF_ON(key);
    struct ca_profile_row row;
    return store->ops->next_row(store, CA_TABLE_PROFILE, &cursor, &row, NULL) == TM_ENOTFOUND;
}

void core_profiles_bind(struct core_setup *setup, struct ca_store *store, int64_t now_ms,
                        void (*done)(void *arg, enum tm_err result), void *arg) {
    const struct binding binding = {.store = store,
                                    .guarded =
                                        core_profiles_guarded(setup) && !is_first_time(store),
                                    .now_ms = now_ms,
                                    .changes = core_changes_new("profiles")};
    enum tm_err err = TM_OK;
    if (!binding.changes) {
        done(arg, TM_ENOMEM);
        return;
    }
    for (size_t i = 0; i < setup->profile_count && !err; i++)
        err = judge(&binding, &setup->profiles[i]);
    core_changes_write(binding.changes, store, err, done, arg);
}
