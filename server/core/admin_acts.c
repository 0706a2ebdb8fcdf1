/* SPDX-License-Identifier: Apache-2.0 */
/* Acts that take two officers, over the administration socket: see admin_internal.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "server/core/acts.h"
#include "server/core/admin_internal.h"

AUTO_DEFINE(json_t, json_decref)

/* ---- as JSON ---- */

static const char *status_word(const struct ca_act *act, int64_t now_ms) {
    switch ((enum ca_act_status)act->status) {
    case CA_ACT_OPEN:
        return act->expires_ms > now_ms ? "open" : "expired";
    case CA_ACT_RUNNING:
        return "running";
    case CA_ACT_DONE:
        return "done";
    case CA_ACT_FAILED:
        return "failed";
    case CA_ACT_WITHDRAWN:
        return "withdrawn";
    case CA_ACT_EXPIRED:
        return "expired";
    }
    return "unknown";
}

static json_t *signature_json(const struct ca_act_signature *signature) {
    return json_pack("{s:s, s:o, s:o}", "officer", signature->officer, "time",
                     admin_json_time(signature->time_ms), "key",
                     admin_json_hex(BYTES_OF(signature->key)));
}

/* What lists show of it. */
static json_t *act_json(const struct client *client, const struct ca_act *act) {
    return json_pack("{s:o, s:s, s:s, s:s, s:o, s:o, s:I, s:I, s:s}", "id",
                     admin_json_hex(BYTES_OF(act->id)), "kind", act->kind, "status",
                     status_word(act, client->admin->config.now_ms()), "proposer", act->proposer,
                     "proposed", admin_json_time(act->created_ms), "expires",
                     admin_json_time(act->expires_ms), "signed", (json_int_t)act->signature_count,
                     "done", (json_int_t)act->done, "result", act->result);
}

static json_t *whole_act_json(const struct client *client, const struct ca_act *act) {
    json_t *object = act_json(client, act), *signatures = json_array();
    if (act->ended_ms)
        (void)json_object_set_new(object, "ended", admin_json_time(act->ended_ms));
    for (size_t i = 0; i < act->signature_count; i++)
        (void)json_array_append_new(signatures, signature_json(&act->signatures[i]));
    (void)json_object_set_new(object, "signatures", signatures);
    (void)json_object_set_new(object, "text", json_stringn((const char *)act->text.p, act->text.n));
    return object;
}

/* ---- what changes them ---- */

void admin_act_done(void *arg, enum tm_err result, const char *text, const struct ca_act *act) {
    struct client *client = arg;
    if (!admin_act_ends(client))
        return;
    if (result)
        admin_deny(client, text);
    else
        admin_answer(client, whole_act_json(client, act));
}

static enum tm_err add_json(struct ca_act_params *params, const char *name, const json_t *value) {
    char number[24];
    if (json_is_string(value))
        return ca_act_param_add(params, name, json_string_value(value));
    if (!json_is_integer(value))
        return TM_EPARSE;
    (void)snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return ca_act_param_add(params, name, number);
}

static enum tm_err read_params(struct bytes data, struct ca_act_params *ret) {
    const char *text = data.n ? (const char *)data.p : "{}";
    AUTO(json_t)
    object = json_loadb(text, data.n ? data.n : strlen(text), JSON_REJECT_DUPLICATES, NULL);
    const char *name;
    json_t *value;
    enum tm_err err = json_is_object(object) ? TM_OK : TM_EPARSE;
    json_object_foreach(object, name, value) if (!err) err = add_json(ret, name, value);
    return err;
}

static bool has_rule(const struct ca_act_kind *kind, const char *name) {
    const struct ca_act_rule *rule = kind->rules;
    while (rule->name && strcmp(rule->name, name) != 0)
        rule++;
    return rule->name != NULL;
}

void admin_act_propose(struct client *client, const struct ipc_admin_request *q) {
    struct ca_acts *acts = client->admin->config.acts->acts;
    const struct ca_act_kind *kind = ca_act_kind_named(acts, q->state);
    AUTO_MEM struct ca_act_params *params = calloc(1, sizeof *params);
    if (!params) {
        admin_refuse(client, "the server has no memory for this now");
        return;
    }
    if (read_params(q->data, params)) {
        admin_deny(client, "parameters are a JSON object of at most 32 strings and integers, named "
                           "by a-z 0-9 - _, of at most 255 octets each");
        return;
    }
    if (kind && has_rule(kind, "tenant") && !ca_act_param(params, "tenant") &&
        ca_act_param_add(params, "tenant", q->tenant)) {
        admin_deny(client, "there are too many parameters");
        return;
    }
    admin_act_begins(client);
    admin_act_begun(client, ca_act_propose(acts, q->state, params, (int64_t)q->seconds * 1000,
                                           client->actor, admin_act_done, client));
}

static bool act_id(const struct ipc_admin_request *q, uint8_t ret[CA_ACT_ID_SIZE]) {
    size_t n = 0;
    return !hex_decode(q->serial, ret, CA_ACT_ID_SIZE, &n) && n == CA_ACT_ID_SIZE;
}

static const char no_id[] = "an act's ID is 32 hex digits";

void admin_act_sign(struct client *client, const struct ipc_admin_request *q) {
    const struct ca_officer *officer = client->officer;
    uint8_t id[CA_ACT_ID_SIZE];
    if (!act_id(q, id)) {
        admin_refuse(client, no_id);
        return;
    }
    if (!officer) {
        admin_deny(client, "the configuration names no officers, whose signatures acts need");
        return;
    }
    if (q->officer[0] && strcmp(q->officer, officer->name) != 0) {
        admin_deny_format(client,
                          "uid %lu is officer %s, and %s signs as a system user of their own",
                          (unsigned long)officer->uid, officer->name, q->officer);
        return;
    }
    admin_act_begins(client);
    admin_act_begun(client, ca_act_sign(client->admin->config.acts->acts, id, officer, q->data,
                                        admin_act_done, client));
}

void admin_act_withdraw(struct client *client, const struct ipc_admin_request *q) {
    uint8_t id[CA_ACT_ID_SIZE];
    if (!act_id(q, id)) {
        admin_refuse(client, no_id);
        return;
    }
    admin_act_begins(client);
    admin_act_begun(client, ca_act_withdraw(client->admin->config.acts->acts, id, q->reason,
                                            client->actor, admin_act_done, client));
}

/* ---- what shows them ---- */

bool admin_act_find(struct client *client, const struct ipc_admin_request *q, struct buf *memory,
                    struct ca_act *ret) {
    struct ca_store *store = client->admin->config.store;
    struct ca_act act = {0};
    if (!act_id(q, act.id)) {
        admin_refuse(client, no_id);
        return false;
    }
    if (store->ops->row(store, CA_TABLE_ACT, &act, memory)) {
        admin_refuse(client, "there is no act with this ID");
        return false;
    }
    *ret = act;
    return true;
}

void admin_act_show(struct client *client, const struct ipc_admin_request *q) {
    struct ca_act act;
    uint8_t octets[CA_ROW_MEMORY_MAX];
    struct buf memory = BUF_ON(octets);
    if (admin_act_find(client, q, &memory, &act))
        admin_answer(client, whole_act_json(client, &act));
}

void admin_act_list(struct client *client, const struct ipc_admin_request *q) {
    struct ca_store *store = client->admin->config.store;
    struct ca_act act;
    uint8_t key[CA_ROW_KEY_MAX], octets[CA_ROW_MEMORY_MAX];
    struct buf cursor = BUF_ON(key);
    char text[2 * CA_ACT_ID_SIZE + 1] = "";
    if (hex_decode(q->cursor, key, CA_ACT_ID_SIZE, &cursor.n)) {
        admin_refuse(client, "the cursor is an act's ID");
        return;
    }
    for (uint32_t i = 0; i < admin_rows_wanted(q); i++) {
        struct buf memory = BUF_ON(octets);
        if (store->ops->next_row(store, CA_TABLE_ACT, &cursor, &act, &memory)) {
            admin_end_rows(client, "");
            return;
        }
        admin_row(client, act_json(client, &act));
    }
    admin_end_rows(client, hex_encode(buf_bytes(&cursor), text, sizeof text) ? "" : text);
}

/* ---- selections ---- */

static void counted(void *arg, enum tm_err result, const char *text, uint64_t good,
                    uint64_t revoked) {
    struct client *client = arg;
    if (!admin_act_ends(client))
        return;
    if (result)
        admin_refuse(client, text);
    else
        admin_answer(client, json_pack("{s:I, s:I}", "certificates", (json_int_t)good,
                                       "revoked_already", (json_int_t)revoked));
}

void admin_revoke_preview(struct client *client, const struct ipc_admin_request *q) {
    struct ca_selection selection = {.since_ms = q->from_ms, .until_ms = q->until_ms};
    TEXT_SET(selection.tenant, q->tenant);
    TEXT_SET(selection.device, q->device);
    TEXT_SET(selection.batch, q->batch);
    TEXT_SET(selection.job, q->job);
    TEXT_SET(selection.station, q->station);
    TEXT_SET(selection.site, q->site);
    TEXT_SET(selection.profile, q->profile);
    TEXT_SET(selection.issuer, q->issuer);
    admin_act_begins(client);
    core_revoke_count(client->admin->config.acts->revoke, &selection, counted, client);
}
