/* SPDX-License-Identifier: Apache-2.0 */
/* Stations and operators over the administration socket: see admin_internal.h. */
#include <string.h>

#include "ca/operator.h"
#include "server/core/admin_internal.h"

/* ---- stations ---- */

/* Does a job before this one, or a station before it in the same, name it? */
static bool was_shown(const struct ca_jobs *jobs, const struct ca_job *until, size_t at) {
    const char *station = until->stations[at].text;
    for (const struct ca_job *job = ca_jobs_next(jobs, NULL); job != until;
         job = ca_jobs_next(jobs, job))
        if (strcmp(job->tenant, until->tenant) == 0 && ca_job_names_station(job, station))
            return true;
    for (size_t i = 0; i < at; i++)
        if (strcmp(until->stations[i].text, station) == 0)
            return true;
    return false;
}

static json_t *station_json(const struct client *client, const char *tenant, const char *station) {
    const struct core_admin_config *config = &client->admin->config;
    char person[IPC_NAME_MAX + 1] = "";
    struct ca_shift shift = {.version = 0};
    json_t *names = json_array();
    const struct ca_job *job = NULL;
    while ((job = ca_jobs_next(config->jobs, job)))
        if (strcmp(job->tenant, tenant) == 0 && ca_job_names_station(job, station))
            (void)json_array_append_new(names, json_string(job->name));
    json_t *object = json_pack("{s:s, s:o}", "station", station, "jobs", names);
    if (ca_shift_read(config->store, tenant, station, &shift) ||
        ca_shift_current(config->store, tenant, station, config->now_ms(), person))
        return object;
    (void)json_object_set_new(object, "operator", json_string(person));
    (void)json_object_set_new(object, "until", admin_json_time(person[0] ? shift.until_ms : 0));
    (void)json_object_set_new(object, "failed_logins", json_integer((json_int_t)shift.failures));
    return object;
}

void admin_station_list(struct client *client, const struct ipc_admin_request *q) {
    const struct ca_jobs *jobs = client->admin->config.jobs;
    const struct ca_job *job = NULL;
    uint32_t shown = 0;
    while ((job = ca_jobs_next(jobs, job)))
        for (size_t i = 0; strcmp(job->tenant, q->tenant) == 0 && i < job->station_count; i++)
            if (shown < ADMIN_ROWS_MAX && !was_shown(jobs, job, i)) {
                admin_row(client, station_json(client, q->tenant, job->stations[i].text));
                shown++;
            }
    admin_end_rows(client, "");
}

/* ---- operators ---- */

static void changed(void *arg, enum tm_err result, const char *text, int64_t until_ms) {
    struct client *client = arg;
    (void)until_ms;
    if (!admin_act_ends(client))
        return;
    if (result)
        admin_refuse(client, text);
    else
        admin_answer(client, json_object());
}

static void list_operators(struct client *client, const struct ipc_admin_request *q) {
    struct ca_store *store = client->admin->config.store;
    uint8_t key[CA_ROW_KEY_MAX];
    struct buf cursor = BUF_ON(key);
    struct ca_operator person = {.version = 0};
    buf_put(&cursor, bytes_str(q->tenant));
    buf_put_u8(&cursor, 0);
    buf_put(&cursor, bytes_str(q->cursor));
    for (uint32_t i = 0; !cursor.full && i < admin_rows_wanted(q); i++) {
        if (store->ops->next_row(store, CA_TABLE_OPERATOR, &cursor, &person, NULL) ||
            strcmp(person.tenant, q->tenant) != 0) {
            admin_end_rows(client, "");
            return;
        }
        admin_row(client, json_pack("{s:s, s:o}", "operator", person.name, "since",
                                    admin_json_time(person.created_ms)));
    }
    admin_end_rows(client, cursor.full ? "" : person.name);
}

void admin_operator_put(struct client *client, const struct ipc_admin_request *q) {
    const struct core_admin_config *config = &client->admin->config;
    struct ca_operator person = {.kdf = 1, .created_ms = config->now_ms()};
    bool removes = strcmp(q->state, "removed") == 0;
    if (strcmp(q->state, "list") == 0) {
        list_operators(client, q);
        return;
    }
    if (client->role < CONF_ROLE_OPERATOR) {
        admin_deny(client, "this takes the role operator; yours is auditor");
        return;
    }
    if (!q->officer[0] || (!removes && q->data.n != sizeof person.salt + sizeof person.hash)) {
        admin_refuse(client, "an operator has a name, and a salt and a hash of 48 octets");
        return;
    }
    TEXT_SET(person.tenant, q->tenant);
    TEXT_SET(person.name, q->officer);
    if (!removes) {
        memcpy(person.salt, q->data.p, sizeof person.salt);
        memcpy(person.hash, q->data.p + sizeof person.salt, sizeof person.hash);
    }
    admin_act_begins(client);
    admin_act_begun(
        client, removes ? ca_operator_remove(config->store, q->tenant, q->officer,
                                             person.created_ms, client->actor, changed, client)
                        : ca_operator_put(config->store, &person, client->actor, changed, client));
}
