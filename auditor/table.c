/* SPDX-License-Identifier: Apache-2.0 */
/* Names and what is known of them, in an open hash table: see auditor.h. */
#include <stdlib.h>
#include <string.h>

#include "auditor/auditor.h"

#define FIRST_CAPACITY 1024

/* FNV-1a. Whoever makes an export can make names collide, and has then made its audit slow. */
static size_t hash_of(const char *name) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
    return (size_t)(hash ^ hash >> 32);
}

/* Where it is, or would be. */
static struct auditor_entry *slot_of(struct auditor_entry *slots, size_t capacity,
                                     const char *name) {
    size_t at = hash_of(name) & (capacity - 1);
    while (slots[at].name && strcmp(slots[at].name, name) != 0)
        at = (at + 1) & (capacity - 1);
    return &slots[at];
}

static bool grow(struct auditor_table *table) {
    size_t capacity = table->capacity ? 2 * table->capacity : FIRST_CAPACITY;
    struct auditor_entry *slots = calloc(capacity, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < table->capacity; i++)
        if (table->slots[i].name)
            *slot_of(slots, capacity, table->slots[i].name) = table->slots[i];
    free(table->slots);
    table->slots = slots;
    table->capacity = capacity;
    return true;
}

struct auditor_entry *auditor_entry(struct auditor_table *table, const char *name) {
    if (2 * table->count >= table->capacity && !grow(table))
        return NULL;
    struct auditor_entry *entry = slot_of(table->slots, table->capacity, name);
    if (entry->name)
        return entry;
    entry->name = strdup(name);
    table->count += entry->name != NULL;
    return entry->name ? entry : NULL;
}

struct auditor_entry *auditor_known(const struct auditor_table *table, const char *name) {
    if (!table->capacity)
        return NULL;
    struct auditor_entry *entry = slot_of(table->slots, table->capacity, name);
    return entry->name ? entry : NULL;
}

void auditor_set_state(struct auditor_entry *entry, uint64_t sequence, uint64_t registry_from,
                       uint8_t state) {
    bool moving = sequence >= registry_from;
    uint32_t before = moving ? entry->states : 0;
    /* One that did not exist before may not be there yet. */
    if (moving && !entry->state)
        before |= 1;
    entry->state = state;
    entry->states = before | UINT32_C(1) << state;
    entry->leaf = sequence;
}

void auditor_table_free(struct auditor_table *table) {
    for (size_t i = 0; i < table->capacity; i++) {
        free(table->slots[i].name);
        free(table->slots[i].owner);
    }
    free(table->slots);
    *table = (struct auditor_table){0};
}
