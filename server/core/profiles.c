/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles held against the store: see profiles.h. */
#include "server/core/profiles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/core/writes.h"

#define ACTOR "touchmarkd"
#define CHANGES_EACH 2 /* of a profile: its row and its leaf */
#define BATCH_PROFILES (CA_BATCH_MAX / CHANGES_EACH)

struct change {
    bool put; /* the row */
    struct ca_profile_row row;
    struct ca_leaf leaf;
};

struct binding {
    struct core_writes writes; /* first: what is over is a binding */
    void (*done)(void *arg, enum tm_err result);
    void *arg;
    size_t count;
    struct change *changes;
    struct ca_batch *batches;
};

bool core_profiles_guarded(const struct core_setup *setup) {
    size_t keys = 0;
    for (size_t i = 0; i < setup->officer_count; i++)
        keys += setup->officers[i].key != NULL;
    return keys >= CA_ACT_OFFICERS;
}

static void over(struct core_writes *writes, enum tm_err result) {
    struct binding *binding = (struct binding *)writes;
    binding->done(binding->arg, result);
    free(binding->changes);
    free(binding->batches);
    free(binding);
}

static void durable(struct ca_batch *batch, enum tm_err result) {
    struct binding *binding = batch->arg;
    if (result)
        log_error("profiles: their rows were not written: %s", tm_err_name(result));
    core_writes_settle(&binding->writes, result);
}

/* ---- what becomes of one ---- */

static void hash_text(const uint8_t hash[CA_HASH_SIZE], char ret[2 * CA_HASH_SIZE + 1]) {
    if (hex_encode((struct bytes){hash, CA_HASH_SIZE}, ret, 2 * CA_HASH_SIZE + 1))
        ret[0] = '\0';
}

static void fill_leaf(enum ca_event event, const struct ca_profile *profile, int64_t now_ms,
                      struct ca_leaf *ret) {
    *ret = (struct ca_leaf){.event = (uint8_t)event, .time_ms = now_ms, .actor = ACTOR};
    TEXT_SET(ret->profile, profile->name);
}

/* act: NULL, none was needed. */
static void take(const struct ca_profile *profile, const uint8_t *act, int64_t now_ms,
                 struct change *change) {
    char hash[2 * CA_HASH_SIZE + 1], id[CA_ACT_ID_TEXT] = "";
    change->put = true;
    change->row.version++;
    change->row.since_ms = now_ms;
    memcpy(change->row.hash, profile->hash, CA_HASH_SIZE);
    memset(change->row.act, 0, sizeof change->row.act);
    if (act) {
        memcpy(change->row.act, act, sizeof change->row.act);
        if (hex_encode(BYTES_OF(change->row.act), id, sizeof id))
            id[0] = '\0';
    }
    hash_text(profile->hash, hash);
    fill_leaf(CA_EVENT_PROFILE, profile, now_ms, &change->leaf);
    (void)snprintf(change->leaf.reason, sizeof change->leaf.reason, "hash %s%s%s", hash,
                   act ? ", act " : "", id);
}

static void withhold(struct ca_profile *profile, int64_t now_ms, struct change *change) {
    char hash[2 * CA_HASH_SIZE + 1];
    hash_text(profile->hash, hash);
    profile->withheld = true;
    fill_leaf(CA_EVENT_ALARM, profile, now_ms, &change->leaf);
    (void)snprintf(change->leaf.reason, sizeof change->leaf.reason,
                   "the profile is not the one that officers approved; its hash is %s", hash);
    log_error("profile %s is not the one that officers approved: nothing is issued under it until "
              "two of them have signed it (touchmark profile apply)",
              profile->name);
}

static enum tm_err judge(struct ca_profile *profile, struct ca_store *store, bool guarded,
                         int64_t now_ms, struct binding *binding) {
    struct change *change = &binding->changes[binding->count];
    struct core_act_word word;
    *change = (struct change){0}; /* of one before that needed none */
    TEXT_SET(change->row.name, profile->name);
    enum tm_err err = store->ops->row(store, CA_TABLE_PROFILE, &change->row, NULL);
    if (err && err != TM_ENOTFOUND)
        return err;
    if (!err && memcmp(change->row.hash, profile->hash, CA_HASH_SIZE) == 0)
        return TM_OK;
    binding->count++;
    if (!guarded) {
        take(profile, NULL, now_ms, change);
        return TM_OK;
    }
    err = core_profile_find_act(store, &change->row, profile->hash, now_ms, &word);
    if (!err && word.approved)
        take(profile, word.act, now_ms, change);
    else if (!err || err == TM_ENOTFOUND)
        withhold(profile, now_ms, change);
    return err == TM_ENOTFOUND ? TM_OK : err;
}

/* ---- all of them ---- */

static void fill_batch(struct binding *binding, size_t first, struct ca_batch *batch) {
    batch->done = durable;
    batch->arg = binding;
    for (size_t i = first; i < binding->count && i < first + BATCH_PROFILES; i++) {
        const struct change *change = &binding->changes[i];
        if (change->put)
            batch->changes[batch->count++] = (struct ca_change){
                .kind = CA_PUT_ROW, .u.row = {.table = CA_TABLE_PROFILE, .row = &change->row}};
        batch->changes[batch->count++] =
            (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = &change->leaf};
    }
}

static enum tm_err submit(struct binding *binding, struct ca_store *store) {
    enum tm_err err = TM_OK;
    for (size_t first = 0; first < binding->count && !err; first += BATCH_PROFILES) {
        struct ca_batch *batch = &binding->batches[first / BATCH_PROFILES];
        fill_batch(binding, first, batch);
        err = core_writes_submit(&binding->writes, store, batch);
    }
    return err;
}

static bool is_first_time(struct ca_store *store) {
    uint8_t key[CA_ROW_KEY_MAX];
    struct buf cursor = BUF_ON(key);
    struct ca_profile_row row;
    return store->ops->next_row(store, CA_TABLE_PROFILE, &cursor, &row, NULL) == TM_ENOTFOUND;
}

void core_profiles_bind(struct core_setup *setup, struct ca_store *store, int64_t now_ms,
                        void (*done)(void *arg, enum tm_err result), void *arg) {
    struct binding *binding = calloc(1, sizeof *binding);
    if (!binding) {
        done(arg, TM_ENOMEM);
        return;
    }
    *binding = (struct binding){
        .done = done,
        .arg = arg,
        .changes = calloc(setup->profile_count + 1, sizeof *binding->changes),
        .batches = calloc(setup->profile_count / BATCH_PROFILES + 1, sizeof *binding->batches)};
    core_writes_begin(&binding->writes, over);
    enum tm_err err = binding->changes && binding->batches ? TM_OK : TM_ENOMEM;
    bool guarded = core_profiles_guarded(setup) && !is_first_time(store);
    for (size_t i = 0; i < setup->profile_count && !err; i++)
        err = judge(&setup->profiles[i], store, guarded, now_ms, binding);
    core_writes_settle(&binding->writes, err ? err : submit(binding, store));
}
