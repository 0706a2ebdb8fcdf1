/* SPDX-License-Identifier: Apache-2.0 */
/* What the administration socket tells: see admin_internal.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "server/core/admin_internal.h"
#include "server/core/restored.h"
#include "store/store.h"

#define CHECK_LEAVES_MAX 200000 /* beyond it a check would hold issuance up for seconds */

static json_t *store_json(const struct ca_store *store) {
    struct store_stats stats;
    store_stats(store, &stats);
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "used", (json_int_t)stats.used, "map_size",
                     (json_int_t)stats.map_size, "commits", (json_int_t)stats.commits, "batches",
                     (json_int_t)stats.batches, "conflicts", (json_int_t)stats.conflicts);
}

static json_t *outcomes_json(const struct ca_service_counts *counts) {
    json_t *outcomes = json_object();
    for (unsigned i = 1; i <= IPC_OUTCOME_LAST; i++)
        if (counts->outcomes[i])
            (void)json_object_set_new(outcomes, ipc_outcome_name((enum ipc_outcome)i),
                                      json_integer((json_int_t)counts->outcomes[i]));
    return outcomes;
}

static json_t *token_json(const struct core_token_health *health) {
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:b, s:I, s:I}", "name", health->name, "state",
                  health->ready ? "ready" : "down", "breaker", breaker_name(health->breaker),
                  "in_use", health->in_use, "waiting", (json_int_t)health->waiting, "failures",
                  (json_int_t)health->failures);
    if (object && health->standby_for)
        (void)json_object_set_new(object, "standby_for", json_string(health->standby_for));
    if (object && health->mean_ms >= 0)
        (void)json_object_set_new(object, "mean_ms", json_real(health->mean_ms));
    return object;
}

static json_t *tokens_json(const struct core_admin_config *config) {
    json_t *tokens = json_array();
    struct core_token_health health;
    for (size_t i = 0; i < config->setup->token_count; i++)
        if (core_signer_health(config->signer, i, &health))
            (void)json_array_append_new(tokens, token_json(&health));
    return tokens;
}

static void add_bridge(json_t *object, const struct core_admin_config *config) {
    if (!config->bridge)
        return;
    bool linked = core_faces_count(config->faces, IPC_ROLE_BRIDGE) > 0;
    (void)json_object_set_new(object, "bridge", json_string(linked ? "linked" : "down"));
    if (config->events)
        (void)json_object_set_new(object, "events_published",
                                  json_integer((json_int_t)core_events_next(config->events)));
}

/* No key on a token: no signer and no tokens. */
static void add_signers(json_t *object, const struct core_admin_config *config) {
    const struct core_setup *setup = config->setup;
    json_t *upstream = json_object();
    bool token = setup->has_tls_key;
    for (size_t i = 0; i < setup->issuer_count; i++) {
        token |= !setup->issuers[i].remote;
        if (setup->issuers[i].remote)
            (void)json_object_set_new(
                upstream, setup->issuers[i].name,
                json_string(core_upstream_answers(config->upstream, i) ? "ready" : "down"));
    }
    if (token) {
        const char *state = core_signer_state_name(core_signer_state(config->signer));
        (void)json_object_set_new(object, "signer", json_string(state));
        (void)json_object_set_new(object, "tokens", tokens_json(config));
    }
    if (json_object_size(upstream))
        (void)json_object_set(object, "upstream", upstream);
    json_decref(upstream);
}

void admin_status(struct client *client, const struct ipc_admin_request *q) {
    (void)q;
    const struct core_admin_config *config = &client->admin->config;
    const struct ca_service_counts *counts = ca_service_counts(config->service);
    struct ca_audit_head head = {0};
    char started[CLOCK_TEXT_MAX];
    clock_format(config->started_ms, started);
    json_t *object = json_object();
    (void)json_object_set_new(object, "version", json_string(TOUCHMARK_VERSION));
    (void)json_object_set_new(object, "environment", json_string(config->environment));
    (void)json_object_set_new(object, "started", json_string(started));
    add_signers(object, config);
    add_bridge(object, config);
    (void)json_object_set_new(object, "requests_under_way",
                              json_integer((json_int_t)ca_service_active(config->service)));
    (void)json_object_set_new(object, "burned_serials", json_integer((json_int_t)counts->burned));
    (void)json_object_set_new(object, "outcomes", outcomes_json(counts));
    if (config->restored->held)
        (void)json_object_set_new(object, "restored", json_string(config->restored->text));
    if (!config->store->ops->audit_head(config->store, &head))
        (void)json_object_set_new(object, "audit", admin_json_head(&head));
    (void)json_object_set_new(object, "store", store_json(config->store));
    admin_answer(client, object);
}

void admin_device_show(struct client *client, const struct ipc_admin_request *q) {
    struct ca_store *store = client->admin->config.store;
    struct ca_device device;
    char text[IPC_TEXT_MAX + 1];
    enum tm_err err = store->ops->device(store, q->tenant, q->device, &device);
    if (!err) {
        admin_answer(client, admin_json_device(&device));
        return;
    }
    if (err == TM_ENOTFOUND)
        (void)snprintf(text, sizeof text, "tenant %s has no device %s", q->tenant, q->device);
    else
        (void)snprintf(text, sizeof text, "device %s cannot be read: %s", q->device,
                       tm_err_name(err));
    admin_refuse(client, text);
}

void admin_device_list(struct client *client, const struct ipc_admin_request *q) {
    struct ca_store *store = client->admin->config.store;
    struct ca_device device;
    char cursor[IPC_NAME_MAX + 1];
    TEXT_SET(cursor, q->cursor);
    for (uint32_t i = 0; i < admin_rows_wanted(q); i++) {
        if (store->ops->next_device(store, q->tenant, cursor, &device)) {
            admin_end_rows(client, "");
            return;
        }
        admin_row(client, admin_json_device(&device));
    }
    admin_end_rows(client, cursor);
}

void admin_cert_show(struct client *client, const struct ipc_admin_request *q) {
    struct ca_store *store = client->admin->config.store;
    struct ca_certificate certificate;
    struct ca_serial serial;
    uint8_t der[IPC_CERT_MAX];
    struct buf buf = BUF_ON(der);
    if (!admin_serial(q, &serial) || store->ops->certificate(store, &serial, &certificate, &buf)) {
        admin_refuse(client, "no certificate has this serial");
        return;
    }
    admin_send_object(client, admin_json_certificate(&certificate), false, "", (struct bytes){0},
                      certificate.der);
}

/* The certificates that a device's record names, newest first. */
static void list_device_certs(struct client *client, const struct ipc_admin_request *q) {
    struct ca_store *store = client->admin->config.store;
    struct ca_device device;
    if (store->ops->device(store, q->tenant, q->device, &device)) {
        admin_refuse(client, "there is no such device");
        return;
    }
    for (size_t i = 0; i < device.cert_count; i++) {
        struct ca_certificate certificate;
        uint8_t der[IPC_CERT_MAX];
        struct buf buf = BUF_ON(der);
        if (store->ops->certificate(store, &device.certs[i].serial, &certificate, &buf))
            continue;
        certificate.status = device.certs[i].status;
        admin_row(client, admin_json_certificate(&certificate));
    }
    admin_end_rows(client, "");
}

void admin_cert_list(struct client *client, const struct ipc_admin_request *q) {
    if (q->device[0]) {
        list_device_certs(client, q);
        return;
    }
    struct ca_store *store = client->admin->config.store;
    struct ca_serial cursor = {0};
    size_t n = 0;
    if (q->cursor[0] && hex_decode(q->cursor, cursor.octets, sizeof cursor.octets, &n)) {
        admin_refuse(client, "the cursor is a serial in hex");
        return;
    }
    cursor.n = (uint8_t)n;
    for (uint32_t i = 0; i < admin_rows_wanted(q); i++) {
        struct ca_certificate certificate;
        uint8_t der[IPC_CERT_MAX];
        struct buf buf = BUF_ON(der);
        if (store->ops->next_certificate(store, &cursor, &certificate, &buf)) {
            admin_end_rows(client, "");
            return;
        }
        admin_row(client, admin_json_certificate(&certificate));
    }
    char text[2 * CA_SERIAL_MAX + 1] = "";
    if (hex_encode((struct bytes){cursor.octets, cursor.n}, text, sizeof text))
        text[0] = 0;
    admin_end_rows(client, text);
}

void admin_intent_list(struct client *client, const struct ipc_admin_request *q) {
    struct ca_store *store = client->admin->config.store;
    struct ca_serial cursor = {0};
    struct ca_intent intent;
    for (uint32_t i = 0; i < admin_rows_wanted(q); i++) {
        if (store->ops->next_intent(store, &cursor, &intent))
            break;
        admin_row(client, admin_json_intent(&intent));
    }
    admin_end_rows(client, "");
}

void admin_audit_list(struct client *client, const struct ipc_admin_request *q) {
    struct ca_store *store = client->admin->config.store;
    char *end;
    errno = 0;
    uint64_t sequence = q->cursor[0] ? strtoull(q->cursor, &end, 10) : 0;
    if (q->cursor[0] && (*end || errno)) {
        admin_refuse(client, "the cursor of the audit is a sequence number");
        return;
    }
    for (uint32_t i = 0; i < admin_rows_wanted(q); i++, sequence++) {
        struct ca_leaf leaf;
        if (store->ops->leaf(store, sequence, &leaf)) {
            admin_end_rows(client, "");
            return;
        }
        admin_row(client, admin_json_leaf(sequence, &leaf));
    }
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)sequence);
    admin_end_rows(client, text);
}

void admin_audit_head(struct client *client, const struct ipc_admin_request *q) {
    (void)q;
    struct ca_store *store = client->admin->config.store;
    struct ca_audit_head head;
    if (store->ops->audit_head(store, &head))
        admin_refuse(client, "the audit head cannot be read");
    else
        admin_answer(client, admin_json_head(&head));
}

struct check_run {
    struct client *client;
    unsigned faults;
};

static void report_fault(void *arg, const char *text) {
    struct check_run *run = arg;
    if (run->faults++ < ADMIN_ROWS_MAX)
        admin_row(run->client, json_pack("{s:s}", "fault", text));
}

void admin_store_check(struct client *client, const struct ipc_admin_request *q) {
    (void)q;
    struct ca_store *store = client->admin->config.store;
    struct ca_audit_head head = {0};
    struct check_run run = {client, 0};
    if (store->ops->audit_head(store, &head) || head.size > CHECK_LEAVES_MAX) {
        admin_refuse(client,
                     "the store is too large to check while it serves: stop touchmarkd and use "
                     "`touchmark store check --offline`");
        return;
    }
    enum tm_err err = store->ops->check(store, report_fault, &run);
    if (err || run.faults)
        admin_refuse(client, "the store has faults");
    else
        admin_answer(client,
                     json_pack("{s:s, s:I}", "result", "sound", "leaves", (json_int_t)head.size));
}
