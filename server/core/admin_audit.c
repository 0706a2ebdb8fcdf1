/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints, proofs and the export of the audit log and what it is about: see admin_internal.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/admin_internal.h"
#include "server/core/checkpoint.h"

static json_t *octets_json(struct bytes octets) {
    return json_stringn((const char *)octets.p, octets.n);
}

/* False: the client was told that there are no checkpoints. */
static bool has_checkpoints(struct client *client) {
    if (client->admin->config.checkpoint)
        return true;
    admin_refuse(client, "no checkpoints are signed here: the configuration has no audit.origin");
    return false;
}

static bool read_number(const char *text, uint64_t *ret) {
    return !audit_decimal(bytes_str(text), ret);
}

/* ---- checkpoints and proofs ---- */

static json_t *witnesses_json(const struct core_admin_config *config) {
    const struct core_audit *audit = &config->setup->audit;
    json_t *witnesses = json_object();
    for (size_t i = 0; i < audit->witness_count; i++) {
        const char *name = audit->witnesses[i].name;
        uint64_t seen = core_checkpoint_seen(config->checkpoint, i).size;
        (void)json_object_set_new(witnesses, name, json_integer((json_int_t)seen));
    }
    return witnesses;
}

void admin_checkpoint(struct client *client, const struct ipc_admin_request *q) {
    const struct core_admin_config *config = &client->admin->config;
    char vkey[AUDIT_VKEY_MAX];
    if (!has_checkpoints(client))
        return;
    if (q->all)
        core_checkpoint_hurry(config->checkpoint);
    json_t *object = json_object();
    audit_vkey_write(&config->setup->audit.key, vkey);
    (void)json_object_set_new(object, "key", json_string(vkey));
    (void)json_object_set_new(object, "signed",
                              octets_json(core_checkpoint_signed(config->checkpoint)));
    (void)json_object_set_new(object, "cosigned",
                              octets_json(core_checkpoint_cosigned(config->checkpoint)));
    (void)json_object_set_new(object, "witnesses", witnesses_json(config));
    admin_answer(client, object);
}

static void answer_proof(struct client *client, enum tm_err err, const struct buf *text) {
    if (err == TM_ENOTFOUND)
        admin_refuse(client, "no checkpoint covers that yet: the next one is signed within "
                             "audit.interval");
    else if (err == TM_EINVAL)
        admin_refuse(client, "the newest checkpoint is of a smaller tree than that");
    else if (err)
        admin_refuse_format(client, "no proof can be made: %s", tm_err_name(err));
    else
        admin_answer(client, json_pack("{s:o}", "proof", octets_json(buf_bytes(text))));
}

void admin_prove(struct client *client, const struct ipc_admin_request *q) {
    struct core_checkpoint *checkpoint = client->admin->config.checkpoint;
    uint8_t memory[AUDIT_PROOF_TEXT_MAX];
    struct buf text = BUF_ON(memory);
    uint64_t number;
    if (!has_checkpoints(client))
        return;
    if (!read_number(q->cursor, &number))
        admin_refuse(client, "a leaf and a size are decimal numbers");
    else if (strcmp(q->state, "growth") == 0)
        answer_proof(client, core_checkpoint_addition(checkpoint, number, &text), &text);
    else
        answer_proof(client, core_checkpoint_receipt(checkpoint, number, &text), &text);
}

static void cosigned(void *arg, enum tm_err result, const char *text) {
    struct client *client = arg;
    if (!admin_act_ends(client))
        return;
    if (result)
        admin_refuse(client, text);
    else
        admin_answer(client, json_pack("{s:s}", "cosignature", "stored"));
}

void admin_cosign(struct client *client, const struct ipc_admin_request *q) {
    if (!has_checkpoints(client))
        return;
    admin_act_begins(client);
    core_checkpoint_cosign(client->admin->config.checkpoint, q->data, cosigned, client);
}

/* ---- export ---- */

static void refuse_cursor(struct client *client) {
    admin_refuse(client, "the cursor is none of this export");
}

static json_t *base64_json(const char *key, struct bytes octets) {
    uint8_t memory[IPC_CERT_MAX * 2];
    struct buf text = BUF_ON(memory);
    if (audit_base64_put(&text, octets))
        return NULL;
    return json_pack("{s:o}", key, octets_json(buf_bytes(&text)));
}

static void export_leaves(struct client *client, const struct ipc_admin_request *q) {
    struct ca_store *store = client->admin->config.store;
    uint64_t sequence = 0;
    char cursor[24];
    if (q->cursor[0] && !read_number(q->cursor, &sequence)) {
        refuse_cursor(client);
        return;
    }
    for (uint32_t i = 0; i < admin_rows_wanted(q); i++, sequence++) {
        uint8_t octets[AUDIT_LEAF_MAX];
        struct buf leaf = BUF_ON(octets);
        if (store->ops->leaf_octets(store, sequence, &leaf)) {
            admin_end_rows(client, "");
            return;
        }
        admin_row(client, base64_json("leaf", buf_bytes(&leaf)));
    }
    (void)snprintf(cursor, sizeof cursor, "%" PRIu64, sequence);
    admin_end_rows(client, cursor);
}

static void export_tile(struct client *client, const struct ipc_admin_request *q) {
    struct ca_store *store = client->admin->config.store;
    uint8_t octets[256 * CA_HASH_SIZE];
    struct buf hashes = BUF_ON(octets);
    uint64_t size, index;
    unsigned level;
    int end = 0;
    if (sscanf(q->cursor, "%" SCNu64 "/%u/%" SCNu64 "%n", &size, &level, &index, &end) != 3 ||
        q->cursor[end])
        refuse_cursor(client);
    else if (store->ops->audit_tile(store, size, level, index, &hashes))
        admin_refuse(client, "there is no such tile, or it fails its hash");
    else
        admin_answer(client, base64_json("hashes", buf_bytes(&hashes)));
}

/* "TENANT/ID" is the last that was given. */
static void export_devices(struct client *client, const struct ipc_admin_request *q) {
    struct ca_store *store = client->admin->config.store;
    char tenant[IPC_NAME_MAX + 1] = "", id[IPC_NAME_MAX + 1] = "",
                               cursor[2 * IPC_NAME_MAX + 2] = "";
    struct ca_device device;
    const char *slash = strchr(q->cursor, '/');
    if (slash) {
        (void)snprintf(tenant, sizeof tenant, "%.*s", (int)(slash - q->cursor), q->cursor);
        TEXT_SET(id, slash + 1);
    }
    enum tm_err err = tenant[0] ? TM_OK : store->ops->next_tenant(store, tenant);
    for (uint32_t i = 0; !err && i < admin_rows_wanted(q);) {
        err = store->ops->next_device(store, tenant, id, &device);
        if (err == TM_ENOTFOUND) {
            id[0] = 0;
            err = store->ops->next_tenant(store, tenant);
            continue;
        }
        if (!err)
            admin_row(client, admin_json_device(&device));
        i++;
    }
    if (err && err != TM_ENOTFOUND) {
        admin_refuse(client, "a device's record cannot be read");
        return;
    }
    if (!err)
        (void)snprintf(cursor, sizeof cursor, "%s/%s", tenant, id);
    admin_end_rows(client, cursor);
}

static void export_certificates(struct client *client, const struct ipc_admin_request *q) {
    struct ca_store *store = client->admin->config.store;
    struct ca_serial serial = {0};
    struct ca_certificate certificate;
    char cursor[2 * CA_SERIAL_MAX + 1] = "";
    size_t n = 0;
    enum tm_err err = TM_OK;
    if (q->cursor[0] && hex_decode(q->cursor, serial.octets, sizeof serial.octets, &n)) {
        refuse_cursor(client);
        return;
    }
    serial.n = (uint8_t)n;
    for (uint32_t i = 0; !err && i < admin_rows_wanted(q); i++) {
        uint8_t octets[IPC_CERT_MAX];
        struct buf der = BUF_ON(octets);
        err = store->ops->next_certificate(store, &serial, &certificate, &der);
        if (!err)
            admin_row(client, admin_json_certificate(&certificate));
    }
    if (err && err != TM_ENOTFOUND)
        admin_refuse(client, "a certificate's record cannot be read");
    else if (!err && hex_encode((struct bytes){serial.octets, serial.n}, cursor, sizeof cursor))
        admin_refuse(client, "a certificate's record cannot be read");
    else
        admin_end_rows(client, cursor);
}

void admin_audit_export(struct client *client, const struct ipc_admin_request *q) {
    static const struct {
        const char *what;
        admin_handler_fn *fn;
    } parts[] = {{"leaf", export_leaves},
                 {"tile", export_tile},
                 {"device", export_devices},
                 {"certificate", export_certificates},
                 {"intent", admin_intent_list}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strcmp(parts[i].what, q->state) == 0) {
            parts[i].fn(client, q);
            return;
        }
    if (!admin_audit_rows(client, q))
        admin_refuse(client, "what can be exported: leaf, tile, device, certificate, intent, job, "
                             "unit, operator, product");
}
