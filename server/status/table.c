/* SPDX-License-Identifier: Apache-2.0 */
/* See table.h. */
#include "server/status/table.h"

#include <stdlib.h>
#include <string.h>

/* Where the name is, or would be. */
static size_t place_of(const struct status_table *table, const char *name) {
    size_t low = 0, high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(table->entries[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct status_table *table, size_t at, const char *name) {
    return at < table->count && strcmp(table->entries[at].name, name) == 0;
}

static enum tm_err make_room(struct status_table *table, size_t at) {
    if (table->count == table->cap) {
        size_t cap = table->cap ? 2 * table->cap : 16;
        struct status_entry *entries =
            reallocarray(table->entries, cap, sizeof(struct status_entry));
        if (!entries)
            return TM_ENOMEM;
        table->entries = entries;
        table->cap = cap;
    }
    memmove(&table->entries[at + 1], &table->entries[at],
            (table->count - at) * sizeof table->entries[0]);
    table->count++;
    return TM_OK;
}

enum tm_err status_table_put(struct status_table *table, const char *name,
                             struct status_item *item) {
    size_t at = place_of(table, name);
    if (is_at(table, at, name) && !item)
        return TM_OK;
    if (is_at(table, at, name)) {
        status_item_unref(table->entries[at].item);
        table->entries[at].item = item;
        return TM_OK;
    }
    if (make_room(table, at)) {
        status_item_unref(item);
        return TM_ENOMEM;
    }
    table->entries[at] = (struct status_entry){.item = item};
    TEXT_SET(table->entries[at].name, name);
    return TM_OK;
}

const struct status_entry *status_table_find(const struct status_table *table, const char *name) {
    size_t at = place_of(table, name);
    return is_at(table, at, name) ? &table->entries[at] : NULL;
}

void status_table_deinit(struct status_table *table) {
    for (size_t i = 0; i < table->count; i++)
        status_item_unref(table->entries[i].item);
    free(table->entries);
    *table = (struct status_table){.count = 0};
}
