/* SPDX-License-Identifier: Apache-2.0 */
/* Products held against the store: see products.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/core/products.h"
#include "server/core/writes.h"

#define ACTOR "touchmarkd"
#define CHANGES_EACH 2 /* of a product: its row and its leaf */
#define BATCH_PRODUCTS (CA_BATCH_MAX / CHANGES_EACH)

struct change {
    enum ca_change_kind kind;
    struct ca_product_row row;
    struct ca_leaf leaf;
};

struct binding {
    struct core_writes writes; /* first: what is told of them finds the rest */
    const struct core_products *products;
    struct ca_store *store;
    int64_t now_ms;
    void (*done)(void *arg, enum tm_err result);
    void *arg;
    size_t count, room;
    struct change *changes;
    struct ca_batch *batches;
};

static void over(struct core_writes *writes, enum tm_err result) {
    struct binding *binding = (struct binding *)writes;
    binding->done(binding->arg, result);
    free(binding->changes);
    free(binding->batches);
    free(binding);
}

static void durable(struct ca_batch *batch, enum tm_err result) {
    struct binding *binding = batch->arg;
    if (result)
        log_error("products: their rows were not written: %s", tm_err_name(result));
    core_writes_settle(&binding->writes, result);
}

static enum tm_err add_change(struct binding *binding, enum ca_change_kind kind,
                              const struct ca_product_row *row) {
    char hash[2 * CA_HASH_SIZE + 1] = "";
    if (binding->count == binding->room) {
        size_t room = 2 * binding->room + BATCH_PRODUCTS;
        struct change *changes = realloc(binding->changes, room * sizeof *changes);
        if (!changes)
            return TM_ENOMEM;
        binding->changes = changes;
        binding->room = room;
    }
    struct change *change = &binding->changes[binding->count++];
    *change = (struct change){
        .kind = kind,
        .row = *row,
        .leaf = {.event = CA_EVENT_PRODUCT, .time_ms = binding->now_ms, .actor = ACTOR}};
    if (hex_encode(BYTES_OF(row->hash), hash, sizeof hash))
        return TM_ELIMIT;
    (void)snprintf(change->leaf.reason, sizeof change->leaf.reason, "%s: %s%s", row->sku,
                   kind == CA_PUT_ROW ? "hash " : "there is no such product any more",
                   kind == CA_PUT_ROW ? hash : "");
    return TM_OK;
}

static enum tm_err judge(struct binding *binding, const struct ca_product *product) {
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

static enum tm_err judge_gone(struct binding *binding) {
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

static void fill_batch(struct binding *binding, size_t first, struct ca_batch *batch) {
    batch->done = durable;
    batch->arg = binding;
    for (size_t i = first; i < binding->count && i < first + BATCH_PRODUCTS; i++) {
        const struct change *change = &binding->changes[i];
        batch->changes[batch->count++] =
            (struct ca_change){.kind = (uint8_t)change->kind,
                               .u.row = {.table = CA_TABLE_PRODUCT, .row = &change->row}};
        batch->changes[batch->count++] =
            (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = &change->leaf};
    }
}

static enum tm_err submit(struct binding *binding) {
    enum tm_err err = TM_OK;
    binding->batches = calloc(binding->count / BATCH_PRODUCTS + 1, sizeof *binding->batches);
    if (!binding->batches)
        return TM_ENOMEM;
    for (size_t first = 0; first < binding->count && !err; first += BATCH_PRODUCTS) {
        struct ca_batch *batch = &binding->batches[first / BATCH_PRODUCTS];
        fill_batch(binding, first, batch);
        err = core_writes_submit(&binding->writes, binding->store, batch);
    }
    return err;
}

void core_products_bind(const struct core_products *products, struct ca_store *store,
                        int64_t now_ms, void (*done)(void *arg, enum tm_err result), void *arg) {
    struct binding *binding = calloc(1, sizeof *binding);
    if (!binding) {
        done(arg, TM_ENOMEM);
        return;
    }
    *binding = (struct binding){
        .products = products, .store = store, .now_ms = now_ms, .done = done, .arg = arg};
    core_writes_begin(&binding->writes, over);
    enum tm_err err = judge_gone(binding);
    for (size_t i = 0; i < products->all.count && !err; i++)
        err = judge(binding, &products->items[i]);
    core_writes_settle(&binding->writes, err ? err : submit(binding));
}
