/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the index of devices over the administration socket: see admin_internal.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ca/lifecycle.h"
#include "server/core/admin_internal.h"
#include "server/core/index.h"
#include "store/index.h"

#define CURSOR_DIGITS 28

json_t *admin_json_fresh(const struct ca_fresh *fresh) {
    return json_pack("{s:I, s:I, s:I}", "complete_to", (json_int_t)fresh->next, "of",
                     (json_int_t)fresh->size, "behind_ms", (json_int_t)fresh->behind_ms);
}

static void set_text(json_t *object, const char *key, const char *text) {
    if (text[0])
        (void)json_object_set_new(object, key, json_string(text));
}

static void set_cert(json_t *object, const struct ca_cert_ref *cert) {
    struct bytes serial = {cert->serial.octets, cert->serial.n};
    set_text(object, "profile", cert->profile);
    (void)json_object_set_new(object, "issued", admin_json_time(cert->issued_ms));
    (void)json_object_set_new(object, "not_after", admin_json_time(cert->not_after_ms));
    (void)json_object_set_new(object, "serial", admin_json_hex(serial));
}

static void set_trouble(json_t *object, const struct ca_trouble *trouble) {
    set_text(object, "outcome", ipc_outcome_name((enum ipc_outcome)trouble->outcome));
    (void)json_object_set_new(object, "since", admin_json_time(trouble->first_ms));
    (void)json_object_set_new(object, "last", admin_json_time(trouble->last_ms));
    (void)json_object_set_new(object, "count", json_integer(trouble->count));
}

static void send_found(void *arg, const struct ca_found *found) {
    const struct ca_device *device = found->device;
    json_t *object = json_object();
    set_text(object, "id", device->id);
    set_text(object, "state", ca_state_name((enum ca_state)device->state));
    (void)json_object_set_new(object, "changed", admin_json_time(device->changed_ms));
    if (found->cert)
        set_cert(object, found->cert);
    if (found->trouble)
        set_trouble(object, found->trouble);
    set_text(object, "sku", device->sku);
    set_text(object, "batch", device->batch);
    set_text(object, "site", device->site);
    set_text(object, "station", device->station);
    set_text(object, "job", device->job);
    admin_row(arg, object);
}

/* ---- the question ---- */

static bool find_outcome(const char *name, uint8_t *ret) {
    for (unsigned i = 1; i <= IPC_OUTCOME_LAST; i++)
        if (strcmp(name, ipc_outcome_name((enum ipc_outcome)i)) == 0) {
            *ret = (uint8_t)i;
            return true;
        }
    return !name[0];
}

/* False: the client was told what is wrong with it. */
static bool read_question(struct client *client, const struct ipc_admin_request *q,
                          struct ca_find *ret) {
    enum ca_state state = 0;
    *ret = (struct ca_find){.from_ms = q->from_ms, .until_ms = q->until_ms};
    if (ca_question_find(q->question, &ret->question))
        admin_refuse(client, "the questions are: matching, expiring, expired, failing, stuck, "
                             "duplicate, unrenewed");
    else if (q->state[0] && ca_state_find(q->state, &state))
        admin_refuse_format(client, "%s is no state of a device", q->state);
    else if (!find_outcome(q->outcome, &ret->outcome))
        admin_refuse_format(client, "%s is no outcome of a request", q->outcome);
    else {
        ret->state = (uint8_t)state;
        TEXT_SET(ret->tenant, q->tenant);
        TEXT_SET(ret->batch, q->batch);
        TEXT_SET(ret->site, q->site);
        TEXT_SET(ret->station, q->station);
        TEXT_SET(ret->job, q->job);
        TEXT_SET(ret->sku, q->sku);
        TEXT_SET(ret->profile, q->profile);
        return true;
    }
    return false;
}

static bool read_cursor(const char *text, struct ca_find_cursor *ret) {
    *ret = (struct ca_find_cursor){0};
    if (!text[0])
        return true;
    ret->begun = true;
    return strlen(text) == CURSOR_DIGITS && strspn(text, "0123456789abcdef") == CURSOR_DIGITS &&
           sscanf(text, "%8" SCNx32 "%8" SCNx32 "%12" SCNx64, &ret->minute, &ret->value,
                  &ret->number) == 3;
}

static void send_end(struct client *client, const struct ca_find_cursor *cursor, bool end) {
    const struct core_admin_config *config = &client->admin->config;
    struct ca_fresh fresh;
    char text[CURSOR_DIGITS + 1] = "";
    if (!end)
        (void)snprintf(text, sizeof text, "%08" PRIx32 "%08" PRIx32 "%012" PRIx64, cursor->minute,
                       cursor->value, cursor->number);
    store_index_fresh(core_index_of(config->index), config->now_ms(), &fresh);
    json_t *object = admin_json_fresh(&fresh);
    set_text(object, "after", text);
    admin_send_object(client, object, false, text, (struct bytes){0}, (struct bytes){0});
}

static void refuse_now(struct client *client, enum tm_err err) {
    struct ca_index *index = core_index_of(client->admin->config.index);
    struct ca_fresh fresh;
    store_index_fresh(index, 0, &fresh);
    if (err == TM_EAGAIN)
        admin_refuse_format(client,
                            "the index of devices is being built, %" PRIu64
                            " devices so far; ask again later",
                            fresh.devices);
    else if (err == TM_ELIMIT)
        admin_refuse(client, "that is of too many profiles at once; name one");
    else
        admin_refuse(client, "the index of devices cannot be read and will be built anew; ask "
                             "again later");
}

void admin_device_find(struct client *client, const struct ipc_admin_request *q) {
    struct ca_index *index = core_index_of(client->admin->config.index);
    struct ca_find find;
    struct ca_find_cursor cursor;
    bool end = false;
    if (!index) {
        admin_refuse(client, "there is no index of devices: the server's log says why");
        return;
    }
    if (!read_question(client, q, &find))
        return;
    if (!read_cursor(q->cursor, &cursor)) {
        admin_refuse(client, "the cursor is not one of this command's answers");
        return;
    }
    enum tm_err err =
        store_index_find(index, &find, &cursor, admin_rows_wanted(q), send_found, client, &end);
    if (err)
        refuse_now(client, err);
    else
        send_end(client, &cursor, end);
}
