/* SPDX-License-Identifier: Apache-2.0 */
/* Collecting and searching a generation of the catalog. */
#include "est/service/catalog.h"

#include <stdlib.h>
#include <string.h>

enum tm_err catalog_new(const struct ipc_catalog *first, struct catalog **ret_catalog) {
    if (first->count == 0)
        return TM_EINVAL;
    struct catalog *made = calloc(1, sizeof *made);
    struct catalog_entry *entries = calloc(first->count, sizeof *entries);
    if (!made || !entries) {
        free(made);
        free(entries);
        return TM_ENOMEM;
    }
    *made = (struct catalog){
        .generation = first->generation, .count = first->count, .entries = entries};
    *ret_catalog = made;
    return TM_OK;
}

void catalog_free(struct catalog *catalog) {
    if (!catalog)
        return;
    for (size_t i = 0; i < catalog->count; i++)
        free(catalog->entries[i].memory);
    free(catalog->entries);
    free(catalog);
}

static int by_label(const void *a, const void *b) {
    const struct catalog_entry *ea = a, *eb = b;
    return strcmp(ea->label, eb->label);
}

static enum tm_err copy(struct catalog_entry *entry, const struct ipc_catalog *message) {
    size_t n = message->cacerts.n + message->csrattrs.n;
    uint8_t *memory = malloc(n ? n : 1);
    if (!memory)
        return TM_ENOMEM;
    struct buf b = {memory, n, 0, false};
    buf_put(&b, message->cacerts);
    buf_put(&b, message->csrattrs);
    free(entry->memory);
    *entry = (struct catalog_entry){.there = true,
                                    .is_default = message->is_default,
                                    .memory = memory,
                                    .cacerts = {memory, message->cacerts.n},
                                    .csrattrs = {memory + message->cacerts.n, message->csrattrs.n}};
    memcpy(entry->label, message->label, sizeof entry->label);
    return TM_OK;
}

enum tm_err catalog_take(struct catalog *catalog, const struct ipc_catalog *message) {
    if (message->count != catalog->count || message->index >= catalog->count)
        return TM_EINVAL;
    struct catalog_entry *entry = &catalog->entries[message->index];
    bool again = entry->there;
    enum tm_err err = copy(entry, message);
    if (err)
        return err;
    catalog->taken += !again;
    if (catalog_whole(catalog))
        qsort(catalog->entries, catalog->count, sizeof *catalog->entries, by_label);
    return TM_OK;
}

bool catalog_whole(const struct catalog *catalog) {
    return catalog->taken == catalog->count;
}

static const struct catalog_entry *find_default(const struct catalog *catalog) {
    for (size_t i = 0; i < catalog->count; i++)
        if (catalog->entries[i].is_default)
            return &catalog->entries[i];
    return NULL;
}

const struct catalog_entry *catalog_find(const struct catalog *catalog, const char *label) {
    struct catalog_entry key = {0};
    if (label[0] == '\0')
        return find_default(catalog);
    (void)strncpy(key.label, label, sizeof key.label - 1);
    return bsearch(&key, catalog->entries, catalog->count, sizeof *catalog->entries, by_label);
}
