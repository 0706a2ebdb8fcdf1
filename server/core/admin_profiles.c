/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles over the administration socket: see admin_internal.h. */
#include <string.h>

#include "server/core/admin_internal.h"
#include "server/core/profiles.h"

static enum tm_err read_row(const struct client *client, const char *name,
                            struct ca_profile_row *ret) {
    struct ca_store *store = client->admin->config.store;
    struct ca_profile_row row = {0};
    TEXT_SET(row.name, name);
    enum tm_err err = store->ops->row(store, CA_TABLE_PROFILE, &row, NULL);
    if (!err || err == TM_ENOTFOUND)
        *ret = row;
    return err == TM_ENOTFOUND ? TM_OK : err;
}

static void add_act(json_t *object, const uint8_t act[CA_ACT_ID_SIZE]) {
    static const uint8_t none[CA_ACT_ID_SIZE];
    if (memcmp(act, none, sizeof none) != 0)
        (void)json_object_set_new(object, "act",
                                  admin_json_hex((struct bytes){act, CA_ACT_ID_SIZE}));
}

/* ---- the list ---- */

static void add_user(struct buf *out, const char *name) {
    buf_put(out, bytes_str(out->n ? " " : ""));
    buf_put(out, bytes_str(name));
}

/* Who issues under it: labels, and by which option touchmarkd itself. */
static json_t *users_json(const struct core_setup *setup, const struct ca_profile *profile) {
    uint8_t text[2048];
    struct buf out = BUF_ON(text);
    for (size_t i = 0; i < setup->label_count; i++)
        if (setup->labels[i].profile == profile)
            add_user(&out, setup->labels[i].label);
    if (setup->has_server && setup->server.profile == profile)
        add_user(&out, "tls.profile");
    if (setup->ocsp_profile == profile)
        add_user(&out, "status.ocsp_profile");
    if (setup->proof_profile == profile)
        add_user(&out, "core.proof_profile");
    return json_stringn((const char *)text, out.n);
}

static json_t *profile_json(const struct client *client, const struct ca_profile *profile) {
    struct ca_profile_row row = {0};
    json_t *object = json_pack("{s:s, s:s}", "name", profile->name, "state",
                               profile->withheld ? "withheld" : "in force");
    (void)json_object_set_new(object, "hash", admin_json_hex(BYTES_OF(profile->hash)));
    (void)json_object_set_new(object, "used_by", users_json(client->admin->config.setup, profile));
    if (read_row(client, profile->name, &row) || !row.version)
        return object;
    if (profile->withheld)
        (void)json_object_set_new(object, "approved_hash", admin_json_hex(BYTES_OF(row.hash)));
    (void)json_object_set_new(object, "since", admin_json_time(row.since_ms));
    add_act(object, row.act);
    return object;
}

/* ---- one hash of one profile ---- */

static const char *word_of(const struct client *client, const struct ca_profile_row *row,
                           const uint8_t hash[CA_HASH_SIZE], struct core_act_word *word) {
    const struct core_admin_config *config = &client->admin->config;
    if (row->version && memcmp(row->hash, hash, CA_HASH_SIZE) == 0)
        return "in force";
    if (!core_profiles_guarded(config->setup))
        return "free";
    switch (core_profile_find_act(config->store, row, hash, config->now_ms(), word)) {
    case TM_OK:
        return word->approved ? "approved" : "open";
    case TM_ENOTFOUND:
        return "unknown";
    default:
        return NULL;
    }
}

static void answer_one(struct client *client, const struct ipc_admin_request *q) {
    struct core_act_word word = {0};
    struct ca_profile_row row = {0};
    const char *state = NULL;
    if (q->data.n != CA_HASH_SIZE) {
        admin_refuse(client, "a profile's hash has 32 octets");
        return;
    }
    if (!read_row(client, q->profile, &row))
        state = word_of(client, &row, q->data.p, &word);
    if (!state) {
        admin_refuse(client, "the registry cannot be read");
        return;
    }
    json_t *object = json_pack("{s:s, s:s}", "name", q->profile, "state", state);
    add_act(object, word.act);
    admin_answer(client, object);
}

void admin_profiles(struct client *client, const struct ipc_admin_request *q) {
    const struct core_setup *setup = client->admin->config.setup;
    if (q->profile[0]) {
        answer_one(client, q);
        return;
    }
    for (size_t i = 0; i < setup->profile_count; i++)
        admin_row(client, profile_json(client, &setup->profiles[i]));
    admin_end_rows(client, "");
}
