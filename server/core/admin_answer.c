/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of the administration socket: see admin_internal.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "server/core/admin_internal.h"

#define ROWS_DEFAULT 100

void admin_send(struct client *client, const struct ipc_admin_reply *reply) {
    if (!client->link)
        return;
    enum tm_err err = ipc_link_send(client->link, &ipc_admin_reply_schema, reply);
    if (err && err != TM_ECLOSED)
        log_warn("administration: answer to %s dropped: %s", client->actor, tm_err_name(err));
}

void admin_refuse(struct client *client, const char *text) {
    struct ipc_admin_reply reply = {0};
    TEXT_SET(reply.text, text);
    admin_send(client, &reply);
}

/* Takes the reference to object over. */
void admin_send_object(struct client *client, json_t *object, bool more, const char *cursor,
                       struct bytes secret, struct bytes der) {
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    struct ipc_admin_reply reply = {.ok = true, .more = more, .secret = secret, .der = der};
    if (text)
        reply.json = bytes_str(text);
    TEXT_SET(reply.cursor, cursor);
    admin_send(client, &reply);
    free(text);
    json_decref(object);
}

void admin_answer(struct client *client, json_t *object) {
    admin_send_object(client, object, false, "", (struct bytes){0}, (struct bytes){0});
}

void admin_row(struct client *client, json_t *object) {
    admin_send_object(client, object, true, "", (struct bytes){0}, (struct bytes){0});
}

/* The end of a listing; cursor "" = there is no more. */
void admin_end_rows(struct client *client, const char *cursor) {
    admin_send_object(client, NULL, false, cursor, (struct bytes){0}, (struct bytes){0});
}

uint32_t admin_rows_wanted(const struct ipc_admin_request *request) {
    return request->limit == 0               ? ROWS_DEFAULT
           : request->limit > ADMIN_ROWS_MAX ? ADMIN_ROWS_MAX
                                             : request->limit;
}

bool admin_serial(const struct ipc_admin_request *request, struct ca_serial *ret) {
    size_t n = 0;
    *ret = (struct ca_serial){0};
    if (hex_decode(request->serial, ret->octets, sizeof ret->octets, &n) || !n)
        return false;
    ret->n = (uint8_t)n;
    return true;
}

void admin_registry_done(void *arg, enum tm_err result, const char *text,
                         const struct ca_device *device, const char *secret) {
    struct client *client = arg;
    if (!admin_act_ends(client))
        return;
    if (result) {
        admin_refuse(client, text);
        return;
    }
    admin_send_object(client, admin_json_device(device), false, "",
                      secret ? bytes_str(secret) : (struct bytes){0}, (struct bytes){0});
}

void admin_deny(struct client *client, const char *text) {
    ca_service_refused_admin(client->admin->config.service, client->actor, text);
    admin_refuse(client, text);
}

void admin_deny_format(struct client *client, const char *format, ...) {
    char text[IPC_TEXT_MAX + 1];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    admin_deny(client, text);
}

void admin_refuse_format(struct client *client, const char *format, ...) {
    char text[IPC_TEXT_MAX + 1];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    admin_refuse(client, text);
}
