/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that wait for an officer: see admin_internal.h and ca/approval.h. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ca/approval.h"
#include "server/core/admin_internal.h"

#define STEP_ROWS 64 /* that a selection looks at before other work has its turn */

/* ---- walks over the rows ---- */

/* Must stay where it is: the cursor borrows from it. */
struct walk {
    struct ca_store *store;
    const char *tenant; /* NULL: all of them */
    struct ca_pending row;
    struct buf cursor;
    uint8_t key[CA_ROW_KEY_MAX];
    uint8_t memory[CA_ROW_MEMORY_MAX];
};

/* A key is its names with NUL between them (ca/rows.h), so those of a tenant, or of its device,
 * stand behind what they begin with. */
static void walk_start(struct walk *walk, struct ca_store *store, const char *tenant,
                       const char *device) {
    walk->store = store;
    walk->tenant = tenant;
    walk->cursor = BUF_ON(walk->key);
    const char *names[] = {tenant, device};
    for (size_t i = 0; i < 2 && names[i]; i++) {
        buf_put(&walk->cursor, bytes_str(names[i]));
        buf_put_u8(&walk->cursor, 0);
    }
}

/* False: that was the last. */
static bool walk_next(struct walk *walk) {
    struct buf memory = BUF_ON(walk->memory);
    return !walk->store->ops->next_row(walk->store, CA_TABLE_PENDING, &walk->cursor, &walk->row,
                                       &memory) &&
           (!walk->tenant || strcmp(walk->row.tenant, walk->tenant) == 0);
}

/* ---- the list ---- */

/* Rows whose time is over, to be removed behind a listing. */
struct sweep {
    struct ca_batch batch;
    struct ca_pending rows[CA_BATCH_MAX];
};

/* One that changed meanwhile keeps them all: the next listing sees them again. */
static void sweep_done(struct ca_batch *batch, enum tm_err result) {
    (void)result;
    free(batch->arg);
}

static void sweep_add(struct sweep *sweep, const struct ca_pending *row) {
    struct ca_batch *batch = &sweep->batch;
    if (batch->count == CA_BATCH_MAX)
        return;
    struct ca_pending *kept = &sweep->rows[batch->count];
    *kept = *row;
    kept->san = (struct bytes){0};
    batch->changes[batch->count++] =
        (struct ca_change){.kind = CA_END_ROW, .u.row = {CA_TABLE_PENDING, kept}};
}

static void sweep_submit(struct sweep *sweep, struct ca_store *store) {
    if (sweep->batch.count == 0 || store->ops->submit(store, &sweep->batch))
        free(sweep);
}

/* How many rows were listed; the walk's cursor is behind the last. */
static uint32_t list_rows(struct client *client, struct walk *walk, uint32_t wanted,
                          struct sweep *sweep) {
    int64_t now_ms = client->admin->config.now_ms();
    uint32_t n = 0;
    while (n < wanted && walk_next(walk)) {
        if (walk->row.expires_ms <= now_ms) {
            sweep_add(sweep, &walk->row);
            continue;
        }
        admin_row(client, admin_json_pending(&walk->row));
        n++;
    }
    return n;
}

void admin_pending_list(struct client *client, const struct ipc_admin_request *q) {
    struct ca_store *store = client->admin->config.store;
    char cursor[IPC_ADMIN_CURSOR_MAX + 1] = "";
    struct walk walk;
    walk_start(&walk, store, q->all ? NULL : q->tenant, NULL);
    if (q->cursor[0] && hex_decode(q->cursor, walk.key, sizeof walk.key, &walk.cursor.n)) {
        admin_refuse(client, "the cursor is a row's key in hex");
        return;
    }
    struct sweep *sweep = calloc(1, sizeof *sweep);
    if (!sweep) {
        admin_refuse(client, "the server has no memory for this now");
        return;
    }
    sweep->batch.done = sweep_done;
    sweep->batch.arg = sweep;
    uint32_t wanted = admin_rows_wanted(q);
    if (list_rows(client, &walk, wanted, sweep) == wanted &&
        hex_encode(buf_bytes(&walk.cursor), cursor, sizeof cursor))
        cursor[0] = 0;
    admin_end_rows(client, cursor);
    sweep_submit(sweep, store);
}

/* ---- one device ---- */

static void one_decided(void *arg, enum tm_err result, const char *text,
                        const struct ca_pending *row) {
    struct client *client = arg;
    if (!admin_act_ends(client))
        return;
    if (result)
        admin_refuse(client, text);
    else
        admin_answer(client, admin_json_pending(row));
}

/* The profile of the only request that the device has. */
static bool find_profile(struct client *client, const struct ipc_admin_request *q,
                         char ret[IPC_NAME_MAX + 1]) {
    struct walk walk;
    size_t n = 0;
    walk_start(&walk, client->admin->config.store, q->tenant, q->device);
    while (walk_next(&walk) && strcmp(walk.row.device, q->device) == 0) {
        if (walk.row.expires_ms <= client->admin->config.now_ms())
            continue;
        text_copy(ret, IPC_NAME_MAX + 1, walk.row.profile);
        n++;
    }
    if (n == 0)
        admin_refuse_format(client, "no request of device %s waits for an officer", q->device);
    else if (n > 1)
        admin_refuse_format(
            client, "device %s has requests for %zu profiles: name one by --profile", q->device, n);
    return n == 1;
}

static void decide_one(struct client *client, const struct ipc_admin_request *q,
                       const struct ca_approval_order *of_all) {
    char profile[IPC_NAME_MAX + 1];
    struct ca_approval_order order = *of_all;
    TEXT_SET(profile, q->profile);
    if (!profile[0] && !find_profile(client, q, profile))
        return;
    order.device = q->device;
    order.profile = profile;
    admin_act_begins(client);
    admin_act_begun(
        client, ca_approval_decide(client->admin->config.registry, &order, one_decided, client));
}

/* ---- a selection ---- */

/* Rows are looked at and decided a step at a time: there may be as many as devices. */
struct selection {
    struct client *client;
    struct ipc_admin_request wish;
    bool approve;
    struct walk walk;
    bool at_end;
    bool stepping;
    size_t under_way;
    size_t decided;
    size_t failed; /* changed meanwhile, or not taken */
    struct loop_timer again;
};

static void selection_end(struct selection *s) {
    if (admin_act_ends(s->client))
        admin_answer(s->client, json_pack("{s:s, s:I, s:I}", "decision",
                                          s->approve ? "approved" : "denied", "requests",
                                          (json_int_t)s->decided, "failed", (json_int_t)s->failed));
    free(s);
}

static void selection_go_on(struct selection *s) {
    if (s->at_end || s->client->gone ||
        loop_timer_set(s->client->admin->loop, &s->again, clock_mono_ms()))
        selection_end(s);
}

static void row_decided(void *arg, enum tm_err result, const char *text,
                        const struct ca_pending *row) {
    struct selection *s = arg;
    (void)text;
    (void)row;
    if (result)
        s->failed++;
    else
        s->decided++;
    if (--s->under_way == 0 && !s->stepping)
        selection_go_on(s);
}

static bool fits(const char *wanted, const char *value) {
    return !wanted[0] || strcmp(wanted, value) == 0;
}

static bool selected(struct selection *s) {
    const struct ipc_admin_request *wish = &s->wish;
    const struct ca_pending *row = &s->walk.row;
    struct ca_device device;
    if (row->status != CA_PENDING_OPEN || !fits(wish->profile, row->profile) ||
        row->expires_ms <= s->client->admin->config.now_ms() ||
        (wish->until_ms && row->created_ms >= wish->until_ms) ||
        s->walk.store->ops->device(s->walk.store, row->tenant, row->device, &device))
        return false;
    return fits(wish->batch, device.batch) && fits(wish->job, device.job) &&
           fits(wish->station, device.station) && fits(wish->site, device.site);
}

static void decide_row(struct selection *s) {
    const struct ca_pending *row = &s->walk.row;
    struct ca_approval_order order = {.tenant = row->tenant,
                                      .device = row->device,
                                      .profile = row->profile,
                                      .approve = s->approve,
                                      .only_open = true,
                                      .request = BYTES_OF(row->request),
                                      .reason = s->wish.reason,
                                      .actor = s->client->actor};
    s->under_way++;
    if (ca_approval_decide(s->client->admin->config.registry, &order, row_decided, s))
        row_decided(s, TM_ENOMEM, "", NULL);
}

static void selection_step(void *arg) {
    struct selection *s = arg;
    s->stepping = true;
    for (size_t i = 0; i < STEP_ROWS && !s->at_end; i++) {
        s->at_end = !walk_next(&s->walk);
        if (!s->at_end && selected(s))
            decide_row(s);
    }
    s->stepping = false;
    if (s->under_way == 0)
        selection_go_on(s);
}

static void decide_selection(struct client *client, const struct ipc_admin_request *q,
                             bool approve) {
    struct selection *s = calloc(1, sizeof *s);
    if (!s) {
        admin_refuse(client, "the server has no memory for this now");
        return;
    }
    s->client = client;
    s->wish = *q;
    s->approve = approve;
    s->again.fn = selection_step;
    s->again.arg = s;
    walk_start(&s->walk, client->admin->config.store, s->wish.tenant, NULL);
    admin_act_begins(client);
    selection_step(s);
}

/* ---- the decision ---- */

/* NULL: nothing is wrong with what is asked for. */
static const char *fault(const struct ipc_admin_request *q) {
    bool selects = q->batch[0] || q->job[0] || q->station[0] || q->site[0];
    if (strcmp(q->state, "approve") != 0 && strcmp(q->state, "deny") != 0)
        return "a request is approved or denied";
    if (strcmp(q->state, "deny") == 0 && !q->reason[0])
        return "a denial needs a reason: the device is told";
    if (strlen(q->reason) > CA_APPROVAL_REASON_MAX)
        return "the reason has more than 160 octets";
    if (q->device[0] && (selects || q->all))
        return "name a device, or select several: not both";
    if (!q->device[0] && q->serial[0])
        return "a request is one device's: name it";
    if (!q->device[0] && !selects && !q->all)
        return "name a device, or select by --batch, --job, --station or --site, or --all that "
               "wait";
    return NULL;
}

void admin_pending_decide(struct client *client, const struct ipc_admin_request *q) {
    uint8_t octets[CA_SERIAL_MAX];
    const char *wrong = fault(q);
    size_t n = 0;
    if (!wrong && q->serial[0] && hex_decode(q->serial, octets, sizeof octets, &n))
        wrong = "a request is named by up to 40 hex digits";
    if (wrong) {
        admin_refuse(client, wrong);
        return;
    }
    bool approve = strcmp(q->state, "approve") == 0;
    struct ca_approval_order order = {.tenant = q->tenant,
                                      .approve = approve,
                                      .request = {octets, n},
                                      .until_ms = q->until_ms,
                                      .reason = q->reason,
                                      .actor = client->actor};
    if (q->device[0])
        decide_one(client, q, &order);
    else
        decide_selection(client, q, approve);
}
