/* SPDX-License-Identifier: Apache-2.0 */
/* CRLs and filters over the administration socket: see admin_internal.h. */
#include "server/core/admin_internal.h"
#include "server/core/publish.h"

static void send_view(void *arg, const struct core_publish_view *view) {
    const struct ca_published *row = view->row;
    json_t *object = json_pack("{s:s, s:s}", "issuer", row->issuer, "object", row->object);
    (void)json_object_set_new(object, "number", json_integer((json_int_t)row->number));
    (void)json_object_set_new(object, "entries", json_integer((json_int_t)row->entries));
    (void)json_object_set_new(object, "size", json_integer((json_int_t)row->size));
    (void)json_object_set_new(object, "this_update", admin_json_time(row->this_update_ms));
    (void)json_object_set_new(object, "next_update", admin_json_time(row->next_update_ms));
    (void)json_object_set_new(object, "sha256", admin_json_hex(BYTES_OF(row->sha256)));
    (void)json_object_set_new(object, "served", json_boolean(view->served));
    (void)json_object_set_new(object, "behind", json_boolean(view->behind));
    (void)json_object_set_new(object, "late", json_boolean(view->late));
    admin_row(arg, object);
}

void admin_published(struct client *client, const struct ipc_admin_request *q) {
    (void)q;
    core_publish_each(client->admin->config.publish, send_view, client);
    admin_end_rows(client, "");
}

void admin_publish(struct client *client, const struct ipc_admin_request *q) {
    if (!client->admin->config.publish)
        admin_refuse(client, "nothing is published here: the configuration has no status.url");
    else if (!core_publish_now(client->admin->config.publish, q->issuer[0] ? q->issuer : NULL))
        admin_refuse_format(client, "there is no issuer %s", q->issuer);
    else
        admin_answer(client, json_pack("{s:s}", "publish", "begun"));
}
