/* SPDX-License-Identifier: Apache-2.0 */
/* Import and export of devices over the administration socket: see admin_internal.h. */
#include <string.h>

#include "server/core/admin_internal.h"
#include "server/core/import.h"

static json_t *faults_json(const struct core_import_result *outcome) {
    json_t *faults = json_array();
    for (size_t i = 0; i < outcome->bad; i++)
        (void)json_array_append_new(faults, json_pack("{s:I, s:s}", "line",
                                                      (json_int_t)outcome->faults[i].line, "text",
                                                      outcome->faults[i].text));
    return faults;
}

static void checked(void *arg, enum tm_err result, const struct core_import_result *outcome) {
    struct client *client = arg;
    if (!admin_act_ends(client))
        return;
    if (result) {
        admin_refuse_format(client, "the registry did not take all of it (%s); import it again",
                            tm_err_name(result));
        return;
    }
    json_t *object = json_pack("{s:I, s:I}", "added", (json_int_t)outcome->added, "equal",
                               (json_int_t)outcome->equal);
    (void)json_object_set_new(object, "bad", faults_json(outcome));
    admin_answer(client, object);
}

static void loaded(void *arg, enum tm_err result, const struct core_import_result *outcome) {
    struct client *client = arg;
    if (!result)
        client->admin->imported += outcome->added;
    checked(client, result, outcome);
}

uint64_t core_admin_imported(const struct core_admin *admin) {
    return admin->imported;
}

void admin_device_import(struct client *client, const struct ipc_admin_request *q) {
    enum core_import_mode mode = strcmp(q->state, "load") != 0 ? CORE_IMPORT_CHECK
                                 : q->all                      ? CORE_IMPORT_LOAD_GOOD
                                                               : CORE_IMPORT_LOAD;
    admin_act_begins(client);
    enum tm_err err =
        core_import(client->admin->config.registry, q->tenant, q->data, mode, client->actor,
                    mode == CORE_IMPORT_CHECK ? checked : loaded, client);
    if (err != TM_EPARSE)
        admin_act_begun(client, err);
    else if (admin_act_ends(client))
        admin_refuse(client, "these are no rows that the server can read");
}

/* The whole record, as import names its columns; that there is a one-time secret is nobody's
 * business elsewhere. */
static json_t *export_json(const struct ca_device *device) {
    json_t *object = admin_json_device(device);
    json_t *exported = json_pack("{s:s}", "device", device->id);
    (void)json_object_del(object, "id");
    (void)json_object_del(object, "secret");
    (void)json_object_del(object, "secret_expires");
    (void)json_object_update(exported, object);
    json_decref(object);
    return exported;
}

void admin_device_export(struct client *client, const struct ipc_admin_request *q) {
    struct ca_store *store = client->admin->config.store;
    struct ca_device device;
    char cursor[IPC_NAME_MAX + 1];
    TEXT_SET(cursor, q->cursor);
    for (uint32_t i = 0; i < admin_rows_wanted(q); i++) {
        enum tm_err err = store->ops->next_device(store, q->tenant, cursor, &device);
        if (err == TM_ENOTFOUND) {
            admin_end_rows(client, "");
            return;
        }
        if (err) {
            admin_refuse_format(client, "the registry cannot be read: %s", tm_err_name(err));
            return;
        }
        admin_row(client, export_json(&device));
    }
    admin_end_rows(client, cursor);
}
