/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log as events for the bridge: each leaf once it is durable, in order, at most
 * CORE_EVENTS_WINDOW ahead of what the broker has. The cursor in the store is behind what was
 * acknowledged by a second at most, so that a restart sends some leaves again and passes over none.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "server/core/admin_json.h"
#include "server/core/core.h"

#define CONSUMER "mqtt"
#define SAVE_MS 1000

struct core_events {
    struct ca_store *store;
    struct ipc_link *link; /* NULL: no bridge */
    uint64_t next;         /* the first leaf that the broker has not got */
    uint64_t sent;         /* the first that this link's bridge was not given */
    bool unsaved;          /* `next` is not in the store yet */
    bool saving;
    uint64_t saved; /* with `saving`: what the batch says */
    int64_t save_at;
    struct ca_batch batch;
};

/* ---- the cursor ---- */

static void saved(struct ca_batch *batch, enum tm_err result) {
    struct core_events *events = batch->arg;
    events->saving = false;
    events->unsaved = result || events->next != events->saved;
    if (result)
        log_warn("how far events were published is not recorded: %s", tm_err_name(result));
}

static void save(struct core_events *events) {
    if (!events->unsaved || events->saving)
        return;
    events->saved = events->next;
    events->save_at = clock_mono_ms() + SAVE_MS;
    events->batch = (struct ca_batch){
        .count = 1,
        .changes = {{.kind = CA_PUT_CURSOR, .u.cursor = {CONSUMER, events->next}}},
        .done = saved,
        .arg = events};
    events->saving = events->store->ops->submit(events->store, &events->batch) == TM_OK;
}

static void advance(struct core_events *events, uint64_t next) {
    events->next = next;
    events->unsaved = true;
    if (events->sent < next)
        events->sent = next;
}

/* The first start begins at the end of the log; so does a store that was taken from a backup made
 * before the cursor's leaf. */
static enum tm_err find_start(struct core_events *events) {
    struct ca_audit_head head;
    uint64_t next = 0;
    enum tm_err known = events->store->ops->cursor(events->store, CONSUMER, &next);
    enum tm_err err = events->store->ops->audit_head(events->store, &head);
    if (err || (known && known != TM_ENOTFOUND))
        return err ? err : known;
    if (!known && next > head.size)
        log_warn("the log ends before leaf %" PRIu64 ", up to which events were published: is the "
                 "store a backup?",
                 next);
    if (known || next > head.size)
        advance(events, head.size);
    else
        events->next = events->sent = next;
    return TM_OK;
}

/* ---- sending ---- */

/* The leaf as `touchmark audit list` shows it: far below IPC_EVENT_MAX, since stored text has no
 * control characters, which JSON would write with six octets each. */
static char *leaf_text(uint64_t sequence, const struct ca_leaf *leaf) {
    json_t *object = admin_json_leaf(sequence, leaf);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return text;
}

static enum tm_err send_leaf(struct core_events *events, const struct ca_leaf *leaf) {
    struct ipc_event event = {.sequence = events->sent};
    char *text = leaf_text(events->sent, leaf);
    if (!text)
        return TM_ENOMEM;
    TEXT_SET(event.name, ca_event_name((enum ca_event)leaf->event));
    TEXT_SET(event.tenant, leaf->tenant);
    TEXT_SET(event.device, leaf->device);
    event.json = bytes_str(text);
    enum tm_err err = ipc_link_send(events->link, &ipc_event_schema, &event);
    free(text);
    if (!err)
        crash_point("core.event_sent");
    return err;
}

/* False: no more for now. A leaf that cannot be read stops no other. */
static bool send_next(struct core_events *events) {
    struct ca_leaf leaf;
    enum tm_err err = events->store->ops->leaf(events->store, events->sent, &leaf);
    if (err == TM_ECORRUPT)
        log_error("leaf %" PRIu64 " cannot be read and is no event: check the store", events->sent);
    else if (!err)
        err = send_leaf(events, &leaf);
    if (err && err != TM_ECORRUPT)
        return false; /* the end of the log, or a link that takes no more: pumped again */
    events->sent++;
    return true;
}

void core_events_pump(struct core_events *events) {
    while (events && events->link && events->sent - events->next < CORE_EVENTS_WINDOW &&
           send_next(events))
        ;
}

/* ---- for the core ---- */

enum tm_err core_events_new(struct ca_store *store, struct core_events **ret_events) {
    struct core_events *events = calloc(1, sizeof *events);
    if (!events)
        return TM_ENOMEM;
    events->store = store;
    enum tm_err err = find_start(events);
    if (err) {
        log_error("events: how far they were published cannot be read: %s", tm_err_name(err));
        free(events);
        return err;
    }
    *ret_events = events;
    return TM_OK;
}

void core_events_free(struct core_events *events) {
    free(events);
}

void core_events_link(struct core_events *events, struct ipc_link *link) {
    if (!events)
        return;
    events->link = link;
    events->sent = events->next;
    core_events_pump(events);
}

void core_events_unlink(struct core_events *events, const struct ipc_link *link) {
    if (events && events->link == link)
        events->link = NULL;
}

bool core_events_ack(struct core_events *events, uint64_t sequence) {
    struct ca_leaf leaf;
    if (!events)
        return false;
    if (sequence < events->next)
        return true;
    /* What a core before this one sent may be acknowledged to this one. */
    if (sequence >= events->sent && events->store->ops->leaf(events->store, sequence, &leaf))
        return false;
    advance(events, sequence + 1);
    return true;
}

void core_events_tick(struct core_events *events) {
    if (events && clock_mono_ms() >= events->save_at)
        save(events);
}

bool core_events_settle(struct core_events *events) {
    if (!events)
        return true;
    save(events);
    return !events->unsaved && !events->saving;
}

uint64_t core_events_next(const struct core_events *events) {
    return events->next;
}
