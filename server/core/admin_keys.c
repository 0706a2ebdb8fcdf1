/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and the reload over the administration socket: see admin_internal.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "pki/name.h"
#include "server/core/admin_internal.h"
#include "server/core/assignments.h"
#include "server/core/ceilings.h"
#include "server/core/issuers.h"
#include "server/core/profiles.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)

/* ---- what there is ---- */

/* The tenants that it signs for, or that have it besides the one that does. */
static json_t *tenants_json(const struct core_setup *setup, const struct ca_issuer *issuer,
                            bool also) {
    char text[1024] = "";
    size_t n = 0;
    for (size_t i = 0; i < setup->tenant_count && n < sizeof text; i++) {
        bool named = !also && setup->tenants[i].issuer == issuer;
        for (size_t j = 0; also && j < setup->trust[i].also_count; j++)
            named = named || setup->trust[i].also[j] == issuer;
        if (named)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n ? " " : "",
                                  setup->tenants[i].name);
    }
    return json_string(text);
}

static void add_uses(json_t *object, const struct ca_issuer_row *row) {
    static const char *const words[CA_USE_LAST + 1] = {[CA_USE_CERTIFICATE] = "certificates",
                                                       [CA_USE_CMC] = "cmc_responses",
                                                       [CA_USE_CRL] = "crls",
                                                       [CA_USE_OCSP] = "ocsp_answers",
                                                       [CA_USE_FILTER] = "filters"};
    for (size_t use = CA_USE_CERTIFICATE; use <= CA_USE_LAST; use++)
        (void)json_object_set_new(object, words[use], json_integer((json_int_t)row->uses[use]));
}

static const char *algorithm_name(const struct pki_spki *spki) {
    enum pki_oid oid = spki->algorithm == PKI_OID_EC_PUBLIC_KEY ? spki->curve : spki->algorithm;
    return pki_oid_name(oid);
}

static void add_certificate(json_t *object, const struct ca_issuer *issuer, int64_t now_ms) {
    const struct pki_cert *view = &issuer->view;
    char subject[512];
    uint8_t hash[CA_HASH_SIZE] = {0};
    pki_name_format(view->subject, subject, sizeof subject);
    (void)json_object_set_new(object, "key", json_string(algorithm_name(&view->spki)));
    (void)json_object_set_new(object, "not_after", admin_json_time(view->not_after_ms));
    (void)json_object_set_new(object, "days_left",
                              json_integer((view->not_after_ms - now_ms) / DAY_MS));
    (void)json_object_set_new(object, "subject", json_string(subject));
    (void)json_object_set_new(object, "key_id", admin_json_hex(issuer->key_id));
    if (!core_issuer_key_hash(issuer, hash))
        (void)json_object_set_new(object, "spki_sha256", admin_json_hex(BYTES_OF(hash)));
}

/* What the token shows now of its own key and of the one for OCSP. */
static void add_token(json_t *object, const struct core_admin_config *config, size_t index) {
    const struct core_issuer *uses = &config->setup->uses[index];
    struct bytes spki;
    if (uses->upstream_url) {
        (void)json_object_set_new(object, "upstream", json_string(uses->upstream_url));
        return;
    }
    (void)json_object_set_new(object, "token",
                              json_boolean(core_signer_shows(config->signer, index)));
    (void)json_object_set_new(object, "token_name",
                              json_string(config->setup->tokens[uses->token].name));
    (void)json_object_set_new(object, "key_label", json_string(uses->key_label));
    if (!uses->ocsp_key_label)
        return;
    (void)json_object_set_new(object, "ocsp_key_label", json_string(uses->ocsp_key_label));
    (void)json_object_set_new(object, "ocsp_token",
                              json_boolean(!core_signer_ocsp_key(
                                  config->signer, config->setup->issuers[index].name, &spki)));
}

static json_t *issuer_json(const struct core_admin_config *config, size_t index) {
    const struct core_setup *setup = config->setup;
    const struct ca_issuer *issuer = &setup->issuers[index];
    struct ca_issuer_row row = {0};
    json_t *object = json_object();
    TEXT_SET(row.name, issuer->name);
    if (config->store->ops->row(config->store, CA_TABLE_ISSUER, &row, NULL))
        row = (struct ca_issuer_row){0};
    (void)json_object_set_new(object, "name", json_string(issuer->name));
    (void)json_object_set_new(object, "state",
                              json_string(core_issuer_state_name(setup->uses[index].state)));
    (void)json_object_set_new(object, "signs_for", tenants_json(setup, issuer, false));
    (void)json_object_set_new(object, "also_for", tenants_json(setup, issuer, true));
    add_token(object, config, index);
    add_certificate(object, issuer, config->now_ms());
    if (row.since_ms)
        (void)json_object_set_new(object, "since", admin_json_time(row.since_ms));
    add_uses(object, &row);
    if (row.ocsp.n)
        (void)json_object_set_new(object, "ocsp_certificate",
                                  admin_json_hex((struct bytes){row.ocsp.octets, row.ocsp.n}));
    return object;
}

static size_t index_of(const struct core_setup *setup, const char *name) {
    size_t i = 0;
    while (i < setup->issuer_count && strcmp(setup->issuers[i].name, name) != 0)
        i++;
    return i;
}

/* What the store knows and the configuration does not name any more. */
static json_t *gone_json(const struct ca_issuer_row *row) {
    json_t *object = json_pack("{s:s, s:s}", "name", row->name, "state", "gone");
    (void)json_object_set_new(object, "spki_sha256", admin_json_hex(BYTES_OF(row->spki_sha256)));
    add_uses(object, row);
    return object;
}

static void send_gone(struct client *client) {
    const struct core_admin_config *config = &client->admin->config;
    uint8_t key[CA_ROW_KEY_MAX];
    struct buf cursor = BUF_ON(key);
    struct ca_issuer_row row;
    for (unsigned n = 0;
         n < ADMIN_ROWS_MAX &&
         !config->store->ops->next_row(config->store, CA_TABLE_ISSUER, &cursor, &row, NULL);
         n++) {
        if (index_of(config->setup, row.name) < config->setup->issuer_count)
            continue;
        admin_row(client, gone_json(&row));
    }
}

static void send_one(struct client *client, const char *name) {
    const struct core_admin_config *config = &client->admin->config;
    struct ca_issuer_row row = {0};
    size_t i = index_of(config->setup, name);
    TEXT_SET(row.name, name);
    if (i < config->setup->issuer_count)
        admin_answer(client, issuer_json(config, i));
    else if (!config->store->ops->row(config->store, CA_TABLE_ISSUER, &row, NULL))
        admin_answer(client, gone_json(&row));
    else
        admin_refuse_format(client, "there is no issuer %s", name);
}

/* ---- what officers agree on ---- */

/* What the configuration says and is not followed. */
static void send_refused(struct client *client, const struct core_agreed *items, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (items[i].verdict == CORE_AGREED_NOT)
            admin_row(client, json_pack("{s:s, s:s, s:s}", "name", items[i].row.name, "state",
                                        "not agreed", "text", items[i].words));
}

static const char *word_of(const struct core_admin_config *config,
                           const struct ipc_admin_request *q, uint8_t ret_act[CA_ACT_ID_SIZE]) {
    static const struct core_agreed_kind *const kinds[] = {&core_assignment_kind,
                                                           &core_ceiling_kind};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const char *subject = core_agreed_subject(kinds[i], q->reason);
        if (subject && strlen(q->reason) <= CA_AGREED_NAME_MAX)
            return core_agreed_word(config->store, kinds[i], subject, q->data,
                                    core_profiles_guarded(config->setup), config->now_ms(),
                                    ret_act);
    }
    return "unknown";
}

static void answer_word(struct client *client, const struct ipc_admin_request *q) {
    uint8_t act[CA_ACT_ID_SIZE] = {0};
    const char *word = word_of(&client->admin->config, q, act);
    if (!word) {
        admin_refuse(client, "the registry cannot be read");
        return;
    }
    json_t *object = json_pack("{s:s, s:s}", "name", q->reason, "state", word);
    if (strcmp(word, "approved") == 0 || strcmp(word, "open") == 0)
        (void)json_object_set_new(object, "act", admin_json_hex(BYTES_OF(act)));
    admin_answer(client, object);
}

void admin_keys(struct client *client, const struct ipc_admin_request *q) {
    const struct core_admin_config *config = &client->admin->config;
    if (q->data.n) {
        answer_word(client, q);
        return;
    }
    if (q->issuer[0]) {
        send_one(client, q->issuer);
        return;
    }
    for (size_t i = 0; i < config->setup->issuer_count; i++)
        admin_row(client, issuer_json(config, i));
    send_gone(client);
    send_refused(client, config->assignments->items, config->assignments->count);
    send_refused(client, config->ceilings->items, config->ceilings->count);
    admin_end_rows(client, "");
}

/* ---- the reload ---- */

/* A change of issuers is in the audit before it is taken up. */
struct announcement {
    struct client *client;
    struct ca_leaf leaf;
    struct ca_batch batch;
};

static void ask_supervisor(struct client *client) {
    const struct core_admin_config *config = &client->admin->config;
    if (!config->reload(config->reload_arg))
        admin_refuse(client, "the supervisor could not be reached");
    else
        client->reloads = true;
}

static void announced(struct ca_batch *batch, enum tm_err result) {
    AUTO_MEM struct announcement *a = batch->arg;
    if (!admin_act_ends(a->client))
        return;
    if (result)
        admin_refuse_format(a->client, "it could not be recorded (%s); nothing was reloaded",
                            tm_err_name(result));
    else
        ask_supervisor(a->client);
}

void admin_reload(struct client *client, const struct ipc_admin_request *q) {
    const struct core_admin_config *config = &client->admin->config;
    if (!q->issuer[0]) {
        ask_supervisor(client);
        return;
    }
    struct announcement *a = calloc(1, sizeof *a);
    if (!a) {
        admin_refuse(client, "the server has no memory for this now");
        return;
    }
    a->client = client;
    a->leaf = (struct ca_leaf){.event = CA_EVENT_ISSUER, .time_ms = config->now_ms()};
    TEXT_SET(a->leaf.actor, client->actor);
    (void)snprintf(a->leaf.reason, sizeof a->leaf.reason, "%s: %.180s", q->issuer, q->reason);
    a->batch = (struct ca_batch){.count = 1,
                                 .changes = {{.kind = CA_ADD_LEAF, .u.leaf = &a->leaf}},
                                 .done = announced,
                                 .arg = a};
    admin_act_begins(client);
    enum tm_err err = config->store->ops->submit(config->store, &a->batch);
    if (err)
        announced(&a->batch, err);
}

void core_admin_reload_refused(struct core_admin *admin, const char *text) {
    for (struct client *client = admin ? admin->first : NULL; client; client = client->next)
        if (client->reloads) {
            client->reloads = false;
            admin_refuse(client, text);
        }
}

void core_admin_reload_begun(struct core_admin *admin) {
    for (struct client *client = admin ? admin->first : NULL; client; client = client->next)
        if (client->reloads) {
            client->reloads = false;
            admin_answer(client, json_pack("{s:s}", "reload", "begun"));
        }
}
