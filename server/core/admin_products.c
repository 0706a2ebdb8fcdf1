/* SPDX-License-Identifier: Apache-2.0 */
/* Products over the administration socket: see admin_internal.h. */
#include <stdio.h>
#include <string.h>

#include "ca/product.h"
#include "conf/value.h"
#include "server/core/admin_internal.h"

static json_t *product_json(const struct client *client, const struct ca_product *product) {
    struct ca_store *store = client->admin->config.store;
    struct ca_product_row row = {0};
    char example[IPC_NAME_MAX + 1];
    ca_product_id_example(product, example);
    json_t *object = json_pack("{s:s, s:s}", "sku", product->sku, "id_example", example);
    (void)json_object_set_new(object, "hash", admin_json_hex(BYTES_OF(product->hash)));
    TEXT_SET(row.sku, product->sku);
    if (!store->ops->row(store, CA_TABLE_PRODUCT, &row, NULL))
        (void)json_object_set_new(object, "since", admin_json_time(row.since_ms));
    return object;
}

/* As it would stand in the file. */
static json_t *option_json(const struct conf_row *row, const struct ca_product *product) {
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    if (!out)
        return NULL;
    conf_value_show(row, (const char *)product + row->offset, out);
    json_t *value = fclose(out) ? NULL : json_string(text);
    free(text);
    return value;
}

static void answer_one(struct client *client, const char *sku) {
    const struct ca_product *product = ca_product_named(client->admin->config.products, sku);
    if (!product) {
        admin_refuse_format(client, "there is no product %s", sku);
        return;
    }
    json_t *object = product_json(client, product);
    for (const struct conf_row *row = ca_product_rows; row->key; row++)
        (void)json_object_set_new(object, row->key, option_json(row, product));
    admin_answer(client, object);
}

void admin_products(struct client *client, const struct ipc_admin_request *q) {
    const struct ca_products *products = client->admin->config.products;
    if (q->sku[0]) {
        answer_one(client, q->sku);
        return;
    }
    for (size_t i = 0; i < products->count; i++)
        admin_row(client, product_json(client, &products->items[i]));
    admin_end_rows(client, "");
}
