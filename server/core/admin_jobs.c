/* SPDX-License-Identifier: Apache-2.0 */
/* Production jobs over the administration socket: see admin_internal.h. */
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "ca/csr_check.h"
#include "ca/station.h"
#include "server/core/acts.h"
#include "server/core/admin_internal.h"

AUTO_DEFINE(json_t, json_decref)

/* ---- as JSON ---- */

static json_t *brief_json(const struct ca_job *job) {
    json_t *quota = json_object();
    for (size_t i = 0; i < job->profile_count; i++)
        (void)json_object_set_new(quota, job->profiles[i].name,
                                  json_sprintf("%u of %u", (unsigned)job->profiles[i].spent,
                                               (unsigned)job->profiles[i].quota));
    return json_pack("{s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:o}", "job", job->name, "status",
                     ca_job_status_name((enum ca_job_status)job->status), "product", job->product,
                     "issued", quota, "begun", (json_int_t)job->begun, "passed",
                     (json_int_t)job->passed, "failed", (json_int_t)job->failed, "scrapped",
                     (json_int_t)job->scrapped, "until", admin_json_time(job->until_ms));
}

static void add_fact(void *arg, const char *name, const char *value) {
    if (!json_object_get(arg, name))
        (void)json_object_set_new(arg, name, json_string(value));
}

static json_t *whole_json(const struct ca_job *job) {
    static const uint8_t none[CA_ACT_ID_SIZE];
    json_t *object = brief_json(job), *terms = json_object();
    if (job->reason[0])
        (void)json_object_set_new(object, "reason", json_string(job->reason));
    ca_job_describe(job, add_fact, terms);
    (void)json_object_update_missing(object, terms);
    json_decref(terms);
    (void)json_object_set_new(object, "opened", admin_json_time(job->opened_ms));
    (void)json_object_set_new(object, "changed", admin_json_time(job->changed_ms));
    if (memcmp(job->act, none, sizeof none) != 0)
        (void)json_object_set_new(object, "act", admin_json_hex(BYTES_OF(job->act)));
    return object;
}

/* ---- listings ---- */

/* Rows behind what their keys begin with: tenant and NUL, or tenant, NUL, job and NUL; and the last
 * one that was shown. */
static struct buf begin(uint8_t key[CA_ROW_KEY_MAX], const char *tenant, const char *job,
                        const char *last) {
    struct buf cursor = {key, CA_ROW_KEY_MAX, 0, false};
    const char *names[] = {tenant, job};
    for (size_t i = 0; i < 2 && names[i]; i++) {
        buf_put(&cursor, bytes_str(names[i]));
        buf_put_u8(&cursor, 0);
    }
    buf_put(&cursor, bytes_str(last));
    return cursor;
}

void admin_job_list(struct client *client, const struct ipc_admin_request *q) {
    struct ca_store *store = client->admin->config.store;
    uint8_t key[CA_ROW_KEY_MAX];
    struct buf cursor = begin(key, q->tenant, NULL, q->cursor);
    struct ca_job job = {.version = 0};
    uint32_t shown = 0;
    while (!cursor.full && !store->ops->next_row(store, CA_TABLE_JOB, &cursor, &job, NULL) &&
           strcmp(job.tenant, q->tenant) == 0) {
        if (job.status == CA_JOB_PROPOSED)
            continue;
        admin_row(client, brief_json(&job));
        if (++shown == admin_rows_wanted(q)) {
            admin_end_rows(client, job.name);
            return;
        }
    }
    admin_end_rows(client, "");
}

static json_t *unit_json(const struct ca_unit *unit) {
    json_t *verified = json_array();
    for (size_t i = 0; i < unit->proof_count; i++)
        (void)json_array_append_new(verified, json_string(unit->proofs[i].profile));
    return json_pack("{s:s, s:s, s:o, s:b, s:s, s:s, s:o, s:o}", "device", unit->device, "result",
                     ca_unit_result_name(unit->result), "verified", verified, "locked",
                     (int)unit->locked, "station", unit->station, "operator", unit->operator_name,
                     "begun", admin_json_time(unit->begun_ms), "reported",
                     admin_json_time(unit->reported_ms));
}

static void list_units(struct client *client, const struct ipc_admin_request *q) {
    struct ca_store *store = client->admin->config.store;
    uint8_t key[CA_ROW_KEY_MAX];
    struct buf cursor = begin(key, q->tenant, q->job, q->cursor);
    struct ca_unit unit = {.version = 0};
    for (uint32_t i = 0; !cursor.full && i < admin_rows_wanted(q); i++) {
        if (store->ops->next_row(store, CA_TABLE_UNIT, &cursor, &unit, NULL) ||
            strcmp(unit.tenant, q->tenant) != 0 || strcmp(unit.job, q->job) != 0) {
            admin_end_rows(client, "");
            return;
        }
        admin_row(client, unit_json(&unit));
    }
    admin_end_rows(client, cursor.full ? "" : unit.device);
}

void admin_job_show(struct client *client, const struct ipc_admin_request *q) {
    struct ca_jobs *jobs = client->admin->config.jobs;
    struct ca_job job;
    if (ca_jobs_read(jobs, q->tenant, q->job, &job) || job.status == CA_JOB_PROPOSED)
        admin_refuse_format(client, "tenant %s has no job %s", q->tenant, q->job);
    else if (strcmp(q->state, "units") == 0)
        list_units(client, q);
    else
        admin_answer(client, whole_json(&job));
}

/* ---- changes ---- */

static void changed(void *arg, enum tm_err result, const char *text, const struct ca_job *job) {
    struct client *client = arg;
    if (!admin_act_ends(client))
        return;
    if (result)
        admin_refuse(client, text);
    else if (job)
        admin_answer(client, whole_json(job));
    else
        admin_answer(client, json_object());
}

static enum tm_err propose(struct client *client, const struct ca_job *kept, uint32_t seconds) {
    struct ca_acts *acts = client->admin->config.acts->acts;
    AUTO_MEM struct ca_act_params *params = calloc(1, sizeof *params);
    if (!params)
        return TM_ENOMEM;
    enum tm_err err = ca_act_param_add(params, "tenant", kept->tenant);
    if (!err)
        err = ca_act_param_add(params, "job", kept->of);
    if (!err)
        err = ca_act_param_add(params, "proposal", kept->name);
    return err ? err
               : ca_act_propose(acts, kept->terms == 1 ? CORE_JOB_OPEN : CORE_JOB_CHANGE, params,
                                (int64_t)seconds * 1000, client->actor, admin_act_done, client);
}

/* Terms that are kept, on their way into force. */
struct opening {
    struct client *client;
    uint32_t seconds;
};

static void kept(void *arg, enum tm_err result, const char *text, const struct ca_job *job) {
    AUTO_MEM struct opening *opening = arg;
    struct client *client = opening->client;
    const struct core_admin_config *config = &client->admin->config;
    if (!admin_act_ends(client))
        return;
    if (result) {
        admin_refuse(client, text);
        return;
    }
    admin_act_begins(client);
    admin_act_begun(client, core_profiles_guarded(config->setup)
                                ? propose(client, job, opening->seconds)
                                : ca_jobs_agree(config->jobs, job->tenant, job->name, NULL,
                                                client->actor, changed, client));
}

static bool take_hash(const char *text, uint8_t ret[CA_HASH_SIZE]) {
    size_t n = 0;
    return !hex_decode(text, ret, CA_HASH_SIZE, &n) && n == CA_HASH_SIZE;
}

static void put_ids(struct client *client, const struct ipc_admin_request *q) {
    uint8_t list[CA_HASH_SIZE];
    if (!take_hash(q->cursor, list)) {
        admin_refuse(client, "a list's hash has 64 hex digits");
        return;
    }
    admin_act_begins(client);
    admin_act_begun(client, ca_jobs_put_ids(client->admin->config.jobs, q->tenant, list, q->data,
                                            changed, client));
}

/* Either the range that the file has, or the list that was put before. */
static bool ids_fit(struct client *client, const struct ipc_admin_request *q, struct ca_job *job) {
    const struct ca_jobs *jobs = client->admin->config.jobs;
    if (!q->cursor[0] && job->first[0])
        return true;
    if (!q->cursor[0] == !job->first[0])
        admin_refuse(client, "a job has either a range of IDs or a list of them");
    else if (!take_hash(q->cursor, job->list) ||
             ca_jobs_count_ids(jobs, q->tenant, job->list, &job->listed))
        admin_refuse_format(client, "the list of IDs is not there as a whole, or longer than %d",
                            CA_JOB_LISTED_MAX);
    else
        return true;
    return false;
}

/* Without a profile that there is, its quota would be for nothing. */
static bool profiles_fit(struct client *client, const struct ca_job *job) {
    const struct core_setup *setup = client->admin->config.setup;
    for (size_t i = 0; i < job->profile_count; i++) {
        bool found = false;
        for (size_t j = 0; j < setup->label_count && !found; j++)
            found = strcmp(setup->labels[j].tenant->name, job->tenant) == 0 &&
                    strcmp(setup->labels[j].profile->name, job->profiles[i].name) == 0 &&
                    setup->labels[j].profile->credentials & CA_CRED_RA;
        if (!found) {
            admin_refuse_format(client,
                                "tenant %s has no label of profile %s that takes registration "
                                "authorities (credentials: ra)",
                                job->tenant, job->profiles[i].name);
            return false;
        }
    }
    return true;
}

void admin_job_open(struct client *client, const struct ipc_admin_request *q) {
    const struct core_admin_config *config = &client->admin->config;
    char error[CONF_ERROR_MAX];
    struct ca_job job;
    if (strcmp(q->state, "ids") == 0) {
        put_ids(client, q);
        return;
    }
    if (ca_job_read((const char *)q->data.p, q->data.n, "/job.yaml", config->now_ms(), &job,
                    error)) {
        admin_refuse_format(client, "%.250s", error);
        return;
    }
    TEXT_SET(job.tenant, q->tenant);
    if (!ids_fit(client, q, &job) || !profiles_fit(client, &job))
        return;
    struct opening *opening = malloc(sizeof *opening);
    if (!opening) {
        admin_refuse(client, "the server has no memory for this now");
        return;
    }
    *opening = (struct opening){client, q->seconds};
    admin_act_begins(client);
    enum tm_err err = ca_jobs_propose(config->jobs, &job, kept, opening);
    if (err)
        free(opening);
    admin_act_begun(client, err);
}

void admin_job_stop(struct client *client, const struct ipc_admin_request *q) {
    admin_act_begins(client);
    admin_act_begun(client, ca_jobs_stop(client->admin->config.jobs, q->tenant, q->job, q->reason,
                                         client->actor, changed, client));
}

static enum tm_err propose_resume(struct client *client, const struct ipc_admin_request *q) {
    AUTO_MEM struct ca_act_params *params = calloc(1, sizeof *params);
    if (!params)
        return TM_ENOMEM;
    enum tm_err err = ca_act_param_add(params, "tenant", q->tenant);
    if (!err)
        err = ca_act_param_add(params, "job", q->job);
    if (!err && q->reason[0])
        err = ca_act_param_add(params, "words", q->reason);
    return err ? err
               : ca_act_propose(client->admin->config.acts->acts, CORE_JOB_RESUME, params,
                                (int64_t)q->seconds * 1000, client->actor, admin_act_done, client);
}

void admin_job_resume(struct client *client, const struct ipc_admin_request *q) {
    const struct core_admin_config *config = &client->admin->config;
    admin_act_begins(client);
    admin_act_begun(client, core_profiles_guarded(config->setup)
                                ? propose_resume(client, q)
                                : ca_jobs_resume(config->jobs, q->tenant, q->job, 0, NULL,
                                                 q->reason, client->actor, changed, client));
}

void admin_job_close(struct client *client, const struct ipc_admin_request *q) {
    AUTO(json_t)
    said = json_loadb(q->data.n ? (const char *)q->data.p : "", q->data.n, JSON_REJECT_DUPLICATES,
                      NULL);
    json_int_t passed = 0, failed = 0, scrapped = 0;
    if (!said || json_unpack(said, "{s:I, s:I, s:I !}", "passed", &passed, "failed", &failed,
                             "scrapped", &scrapped)) {
        admin_refuse(client, "closing takes how many units passed, failed and were scrapped");
        return;
    }
    const struct ca_job_counts counts = {(uint32_t)passed, (uint32_t)failed, (uint32_t)scrapped};
    admin_act_begins(client);
    admin_act_begun(client, ca_jobs_close(client->admin->config.jobs, q->tenant, q->job, &counts,
                                          client->actor, changed, client));
}

static void scrapped(void *arg, const struct ca_refusal *refusal, const struct ca_unit *unit,
                     const struct ca_device *device) {
    struct client *client = arg;
    (void)device;
    if (!admin_act_ends(client))
        return;
    if (refusal->outcome)
        admin_refuse(client, refusal->text);
    else
        admin_answer(client, unit_json(unit));
}

void admin_job_scrap(struct client *client, const struct ipc_admin_request *q) {
    struct ca_stations *stations = client->admin->config.stations;
    if (!q->reason[0]) {
        admin_refuse(client, "scrapping a unit takes a reason");
        return;
    }
    admin_act_begins(client);
    admin_act_begun(client, ca_unit_scrap(stations, q->tenant, q->job, q->device, q->reason,
                                          client->actor, scrapped, client));
}
