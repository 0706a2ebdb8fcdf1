/* SPDX-License-Identifier: Apache-2.0 */
/* The health of certificates over the administration socket: see admin_internal.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/admin_internal.h"
#include "server/core/index.h"
#include "store/index.h"

#define ROWS_MAX 100 /* of each table: one answer has to fit IPC_ADMIN_JSON_MAX */
#define DAY_S 86400u
#define DAYS_DEFAULT 30

/* One report for one client. */
struct asking {
    struct client *client;
    char tenant[IPC_NAME_MAX + 1]; /* "": of all */
    unsigned days;
};

static json_t *row_json(const struct ca_health *health, uint64_t refused) {
    json_t *row =
        json_pack("{s:s, s:s, s:I, s:I}", "tenant", health->tenant, "profile", health->profile,
                  "in_use", (json_int_t)health->in_use, "expired", (json_int_t)health->expired);
    for (size_t i = 0; i < CA_HEALTH_WINDOWS; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "expiring_%ud", ca_health_days[i]);
        (void)json_object_set_new(row, key, json_integer((json_int_t)health->expiring[i]));
    }
    (void)json_object_set_new(row, "unrenewed", json_integer((json_int_t)health->unrenewed));
    (void)json_object_set_new(row, "issued", json_integer((json_int_t)health->issued));
    (void)json_object_set_new(row, "renewed", json_integer((json_int_t)health->renewed));
    (void)json_object_set_new(row, "refused", json_integer((json_int_t)refused));
    return row;
}

static void add_row(const struct ca_health *health, json_t *profiles, json_t *refusals) {
    uint64_t refused = 0;
    for (unsigned i = 1; i <= IPC_OUTCOME_LAST; i++) {
        refused += health->refused[i];
        if (health->refused[i] && json_array_size(refusals) < ROWS_MAX)
            (void)json_array_append_new(refusals,
                                        json_pack("{s:s, s:s, s:s, s:I}", "tenant", health->tenant,
                                                  "profile", health->profile, "outcome",
                                                  ipc_outcome_name((enum ipc_outcome)i), "count",
                                                  (json_int_t)health->refused[i]));
    }
    if ((health->in_use || health->issued || refused) && json_array_size(profiles) < ROWS_MAX)
        (void)json_array_append_new(profiles, row_json(health, refused));
}

static json_t *report_json(const struct asking *asking, const struct core_report *report) {
    const struct core_admin_config *config = &asking->client->admin->config;
    struct ca_fresh fresh;
    json_t *profiles = json_array(), *refusals = json_array();
    for (size_t i = 0; i < report->count; i++)
        if (!asking->tenant[0] || strcmp(asking->tenant, report->rows[i].tenant) == 0)
            add_row(&report->rows[i], profiles, refusals);
    store_index_fresh(core_index_of(config->index), config->now_ms(), &fresh);
    return json_pack("{s:o, s:I, s:o, s:o, s:o}", "made", admin_json_time(report->made_ms),
                     "counted_days", (json_int_t)asking->days, "profiles", profiles, "refusals",
                     refusals, "index", admin_json_fresh(&fresh));
}

static void made(void *arg, const struct core_report *report) {
    struct asking *asking = arg;
    if (!admin_act_ends(asking->client)) {
        free(asking);
        return;
    }
    if (report->err == TM_EAGAIN)
        admin_refuse(asking->client, "the index of devices is being built; ask again later");
    else if (report->err)
        admin_refuse(asking->client, "there is no index of devices: the server's log says why");
    else
        admin_answer(asking->client, report_json(asking, report));
    free(asking);
}

void admin_report(struct client *client, const struct ipc_admin_request *q) {
    struct asking *asking = calloc(1, sizeof *asking);
    admin_act_begins(client);
    if (!asking) {
        admin_act_begun(client, TM_ENOMEM);
        return;
    }
    asking->client = client;
    asking->days = q->seconds ? (q->seconds + DAY_S - 1) / DAY_S : DAYS_DEFAULT;
    if (!q->all)
        TEXT_SET(asking->tenant, q->tenant);
    enum tm_err err = core_index_report(client->admin->config.index, asking->days, 0, made, asking);
    if (err)
        free(asking);
    admin_act_begun(client, err);
}
