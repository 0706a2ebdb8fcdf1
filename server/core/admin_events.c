/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log for consumers of their own: each has a cursor in the store under its name, which it
 * moves by asking for what comes after. Nothing is kept for it here and nobody waits for it; one
 * that ended without moving its cursor gets the same leaves again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "server/core/admin_internal.h"

#define PREFIX "events:" /* of their names in the store; no other consumer's has a colon */
#define CONSUMERS_MAX 64
#define WAIT_MS 10000 /* then a client that waits is told that there is nothing yet */

/* A cursor on its way into the store, and what its consumer asked for next. */
struct moving {
    struct client *client;
    struct ipc_admin_request request;
    char consumer[IPC_NAME_MAX + 1];
    uint64_t next;
    struct ca_batch batch;
};

/* ---- sending ---- */

static void end_rows(struct client *client, uint64_t next) {
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, next);
    admin_end_rows(client, text);
}

/* Leaves from `next` on. One that cannot be read stops no other. */
static void send_leaves(struct client *client, const struct ipc_admin_request *q, uint64_t next) {
    struct ca_store *store = client->admin->config.store;
    uint32_t wanted = q->state[0] ? 0 : admin_rows_wanted(q);
    uint64_t first = next;
    struct ca_leaf leaf;
    while (next - first < wanted) {
        enum tm_err err = store->ops->leaf(store, next, &leaf);
        if (err && err != TM_ECORRUPT)
            break;
        if (!err)
            admin_row(client, admin_json_leaf(next, &leaf));
        next++;
    }
    client->awaits = next == first && q->all;
    client->awaited = next;
    client->awaits_until = clock_mono_ms() + WAIT_MS;
    if (!client->awaits)
        end_rows(client, next);
}

void admin_events_tick(struct client *client) {
    struct ca_store *store = client->admin->config.store;
    struct ca_leaf leaf;
    bool there = store->ops->leaf(store, client->awaited, &leaf) != TM_ENOTFOUND;
    if (!there && clock_mono_ms() < client->awaits_until)
        return;
    client->awaits = false;
    end_rows(client, client->awaited);
}

/* ---- cursors ---- */

bool core_admin_is_consumer(const char *cursor) {
    return strncmp(cursor, PREFIX, strlen(PREFIX)) == 0;
}

static bool may_have_another(struct ca_store *store) {
    char name[IPC_NAME_MAX + 1] = "";
    uint64_t next;
    size_t n = 0;
    while (n < CONSUMERS_MAX && !store->ops->next_cursor(store, name, &next))
        n += core_admin_is_consumer(name);
    return n < CONSUMERS_MAX;
}

static void moved(struct ca_batch *batch, enum tm_err result) {
    struct moving *moving = batch->arg;
    if (admin_act_ends(moving->client)) {
        if (result)
            admin_refuse(moving->client, "how far the consumer has come could not be recorded");
        else
            send_leaves(moving->client, &moving->request, moving->next);
    }
    free(moving);
}

static void move(struct client *client, const struct ipc_admin_request *q, const char *consumer,
                 uint64_t next) {
    struct ca_store *store = client->admin->config.store;
    struct moving *moving = calloc(1, sizeof *moving);
    admin_act_begins(client);
    if (!moving) {
        admin_act_begun(client, TM_ENOMEM);
        return;
    }
    moving->client = client;
    moving->request = *q;
    moving->next = next;
    TEXT_SET(moving->consumer, consumer);
    moving->batch = (struct ca_batch){
        .count = 1,
        .changes = {{.kind = CA_PUT_CURSOR, .u.cursor = {moving->consumer, next}}},
        .done = moved,
        .arg = moving};
    enum tm_err err = store->ops->submit(store, &moving->batch);
    if (err)
        free(moving);
    admin_act_begun(client, err);
}

static void serve_consumer(struct client *client, const struct ipc_admin_request *q, bool given,
                           uint64_t next) {
    struct ca_store *store = client->admin->config.store;
    char consumer[IPC_NAME_MAX + 1];
    uint64_t recorded = 0;
    if (snprintf(consumer, sizeof consumer, PREFIX "%s", q->officer) >= (int)sizeof consumer) {
        admin_refuse(client, "that name of a consumer is too long");
        return;
    }
    if (client->role < CONF_ROLE_OPERATOR) {
        admin_deny(client, "a consumer with a name takes the role operator; yours is auditor");
        return;
    }
    enum tm_err err = store->ops->cursor(store, consumer, &recorded);
    if (err == TM_ENOTFOUND && !may_have_another(store))
        admin_refuse_format(client, "there are %d consumers already", CONSUMERS_MAX);
    else if (err && err != TM_ENOTFOUND)
        admin_refuse(client, "how far the consumer has come cannot be read");
    else if (err || (given && next != recorded))
        move(client, q, consumer, given ? next : 0);
    else
        send_leaves(client, q, recorded);
}

void admin_events(struct client *client, const struct ipc_admin_request *q) {
    struct ca_audit_head head;
    char *end = NULL;
    errno = 0;
    bool given = q->cursor[0] != 0;
    uint64_t next = given ? strtoull(q->cursor, &end, 10) : 0;
    if (q->state[0] && strcmp(q->state, "ack") != 0)
        admin_refuse(client, "of events there is nothing but \"ack\" to ask for");
    else if (given && (*end || errno))
        admin_refuse(client, "the cursor of the audit is a sequence number");
    else if (client->admin->config.store->ops->audit_head(client->admin->config.store, &head))
        admin_refuse(client, "the audit head cannot be read");
    else if (next > head.size)
        admin_refuse_format(client, "the audit has %" PRIu64 " leaves; the store may be a backup",
                            head.size);
    else if (q->officer[0])
        serve_consumer(client, q, given, next);
    else
        send_leaves(client, q, next);
}
