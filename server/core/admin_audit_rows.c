/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The export of what stands beside devices and certificates: jobs, units, operators and products,
 * a page at a time. Of operators their names alone. See admin_internal.h.
 */
#include <string.h>

#include "ca/job.h"
#include "ca/station.h"
#include "server/core/admin_internal.h"

static json_t *spent_json(const struct ca_job *job) {
    json_t *spent = json_object();
    for (size_t i = 0; i < job->profile_count; i++)
        (void)json_object_set_new(spent, job->profiles[i].name,
                                  json_integer(job->profiles[i].spent));
    return spent;
}

/* With the terms as the log has them. */
static json_t *job_json(const void *row) {
    const struct ca_job *job = row;
    uint8_t octets[CA_TERMS_MAX];
    struct buf terms = BUF_ON(octets);
    if (job->status == CA_JOB_PROPOSED)
        return NULL;
    if (ca_job_terms_put(job, &terms))
        terms.n = 0;
    return json_pack("{s:s, s:s, s:s, s:s%, s:o, s:I, s:I, s:I, s:I}", "tenant", job->tenant, "job",
                     job->name, "status", ca_job_status_name((enum ca_job_status)job->status),
                     "terms", (const char *)octets, terms.n, "spent", spent_json(job), "begun",
                     (json_int_t)job->begun, "passed", (json_int_t)job->passed, "failed",
                     (json_int_t)job->failed, "scrapped", (json_int_t)job->scrapped);
}

static json_t *unit_json(const void *row) {
    const struct ca_unit *unit = row;
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:o, s:o}", "tenant", unit->tenant, "job",
                     unit->job, "device", unit->device, "result", ca_unit_result_name(unit->result),
                     "locked", (int)unit->locked, "station", unit->station, "operator",
                     unit->operator_name, "begun", admin_json_time(unit->begun_ms), "reported",
                     admin_json_time(unit->reported_ms));
}

static json_t *operator_json(const void *row) {
    const struct ca_operator *person = row;
    return json_pack("{s:s, s:s, s:o}", "tenant", person->tenant, "operator", person->name, "since",
                     admin_json_time(person->created_ms));
}

static json_t *product_json(const void *row) {
    const struct ca_product_row *product = row;
    return json_pack("{s:s, s:o, s:o}", "sku", product->sku, "hash",
                     admin_json_hex(BYTES_OF(product->hash)), "since",
                     admin_json_time(product->since_ms));
}

/* Where to go on: the last row's key in hex. */
static void export_table(struct client *client, const struct ipc_admin_request *q,
                         enum ca_table table, json_t *(*json)(const void *row)) {
    struct ca_store *store = client->admin->config.store;
    uint8_t key[CA_ROW_KEY_MAX];
    struct buf cursor = BUF_ON(key);
    char next[2 * CA_ROW_KEY_MAX + 1] = "";
    union {
        struct ca_job job;
        struct ca_unit unit;
        struct ca_operator person;
        struct ca_product_row product;
    } row;
    enum tm_err err = q->cursor[0] ? hex_decode(q->cursor, key, sizeof key, &cursor.n) : TM_OK;
    if (err) {
        admin_refuse(client, "the cursor is none of this export");
        return;
    }
    for (uint32_t i = 0; !err && i < admin_rows_wanted(q);) {
        err = store->ops->next_row(store, table, &cursor, &row, NULL);
        json_t *object = err ? NULL : json(&row);
        if (object)
            admin_row(client, object);
        i += object != NULL;
    }
    if (!err)
        err = hex_encode(buf_bytes(&cursor), next, sizeof next);
    if (err && err != TM_ENOTFOUND)
        admin_refuse(client, "a record cannot be read");
    else
        admin_end_rows(client, next);
}

bool admin_audit_rows(struct client *client, const struct ipc_admin_request *q) {
    static const struct {
        const char *what;
        enum ca_table table;
        json_t *(*json)(const void *row);
    } tables[] = {{"job", CA_TABLE_JOB, job_json},
                  {"unit", CA_TABLE_UNIT, unit_json},
                  {"operator", CA_TABLE_OPERATOR, operator_json},
                  {"product", CA_TABLE_PRODUCT, product_json}};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        if (strcmp(tables[i].what, q->state) == 0) {
            export_table(client, q, tables[i].table, tables[i].json);
            return true;
        }
    return false;
}
