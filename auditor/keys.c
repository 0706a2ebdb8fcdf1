/* SPDX-License-Identifier: Apache-2.0 */
/* What keys were used for, summed: see auditor.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "auditor/auditor.h"

static bool is_of(const struct auditor_key_use *use, const struct ca_leaf *leaf, const char *what) {
    return strcmp(use->provider, leaf->provider) == 0 && strcmp(use->issuer, leaf->issuer) == 0 &&
           strcmp(use->what, what) == 0;
}

/* There are as many as tokens, issuers and kinds of use. */
static struct auditor_key_use *find(struct auditor_keys *keys, const struct ca_leaf *leaf,
                                    const char *what) {
    for (size_t i = 0; i < keys->count; i++)
        if (is_of(&keys->items[i], leaf, what))
            return &keys->items[i];
    if (keys->count == keys->room) {
        keys->room = 2 * keys->room + 16;
        struct auditor_key_use *items = realloc(keys->items, keys->room * sizeof *items);
        if (!items)
            abort();
        keys->items = items;
    }
    struct auditor_key_use *use = &keys->items[keys->count++];
    memset(use, 0, sizeof *use);
    TEXT_SET(use->provider, leaf->provider);
    TEXT_SET(use->issuer, leaf->issuer);
    TEXT_SET(use->what, what);
    return use;
}

static void used(struct auditor_key_use *use, const struct ca_leaf *leaf) {
    if (!use->first_ms || leaf->since_ms < use->first_ms)
        use->first_ms = leaf->since_ms;
    if (leaf->until_ms > use->last_ms)
        use->last_ms = leaf->until_ms;
    use->signatures += leaf->count;
}

void auditor_replay_key(struct auditor *a, const struct ca_leaf *leaf) {
    if (leaf->event == CA_EVENT_KEY_USED)
        used(find(&a->keys, leaf, leaf->reason), leaf);
    else if (leaf->event == CA_EVENT_ISSUED && leaf->provider[0])
        find(&a->keys, leaf, "certificate")->leaves++;
    else if (leaf->event == CA_EVENT_PUBLISHED && leaf->provider[0])
        find(&a->keys, leaf, strstr(leaf->reason, "filter of ") == leaf->reason ? "filter" : "crl")
            ->leaves++;
}

void auditor_keys_tell(const struct auditor *a) {
    for (size_t i = 0; i < a->keys.count; i++)
        auditor_tell_key(&a->report, &a->keys.items[i]);
}

void auditor_keys_free(struct auditor_keys *keys) {
    free(keys->items);
    *keys = (struct auditor_keys){0};
}
