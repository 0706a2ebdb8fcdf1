/* SPDX-License-Identifier: Apache-2.0 */
/* Products held against the store: see products.h. */
#include <stdio.h>
#include <string.h>

#include "server/core/changes.h"
#include "server/core/products.h"

struct binding {
    const struct core_products *products;
    struct ca_store *store;
    int64_t now_ms;
    struct core_changes *changes;
};

static enum tm_err add_change(const struct binding *binding, enum ca_change_kind kind,
                              const struct ca_product_row *row) {
    char hash[2 * CA_HASH_SIZE + 1] = "";
    struct core_change *change = core_changes_add(binding->changes, kind, CA_TABLE_PRODUCT,
                                                  CA_EVENT_PRODUCT, binding->now_ms);
    if (!change)
        return TM_ENOMEM;
    change->row.product = *row;
    if (hex_encode(BYTES_OF(row->hash), hash, sizeof hash))
        return TM_ELIMIT;
    (void)snprintf(change->leaf.reason, sizeof change->leaf.reason, "%s: %s%s", row->sku,
                   kind == CA_PUT_ROW ? "hash " : "there is no such product any more",
                   kind == CA_PUT_ROW ? hash : "");
    return TM_OK;
}

static enum tm_err judge(const struct binding *binding, const struct ca_product *product) {
    struct ca_store *store = binding->store;
    struct ca_product_row row = {0};
    TEXT_SET(row.sku, product->sku);
    enum tm_err err = store->ops->row(store, CA_TABLE_PRODUCT, &row, NULL);
    if (err && err != TM_ENOTFOUND)
        return err;
    if (!err && memcmp(row.hash, product->hash, CA_HASH_SIZE) == 0)
        return TM_OK;
    row.version++;
    row.since_ms = binding->now_ms;
    memcpy(row.hash, product->hash, CA_HASH_SIZE);
    return add_change(binding, CA_PUT_ROW, &row);
}

static enum tm_err judge_gone(const struct binding *binding) {
    struct ca_store *store = binding->store;
    uint8_t key[CA_ROW_KEY_MAX];
    struct buf cursor = BUF_ON(key);
    struct ca_product_row row;
    enum tm_err err;
    while (!(err = store->ops->next_row(store, CA_TABLE_PRODUCT, &cursor, &row, NULL))) {
        if (!ca_product_named(&binding->products->all, row.sku))
            err = add_change(binding, CA_END_ROW, &row);
        if (err)
            return err;
    }
    return err == TM_ENOTFOUND ? TM_OK : err;
}

void core_products_bind(const struct core_products *products, struct ca_store *store,
                        int64_t now_ms, void (*done)(void *arg, enum tm_err result), void *arg) {
    const struct binding binding = {products, store, now_ms, core_changes_new("products")};
    if (!binding.changes) {
        done(arg, TM_ENOMEM);
        return;
    }
    enum tm_err err = judge_gone(&binding);
    for (size_t i = 0; i < products->all.count && !err; i++)
        err = judge(&binding, &products->items[i]);
    core_changes_write(binding.changes, store, err, done, arg);
}
