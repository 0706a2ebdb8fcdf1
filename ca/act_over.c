/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acts that will never be carried out. One that nobody signed in time ends in a transaction of its
 * own, so that the audit says so and nothing stays behind that was kept for it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ca/act_internal.h"

#define AGAIN_MS 1000 /* after one was found: its end may be refused */

/* ---- what was kept ---- */

static bool same_params(const struct ca_act_params *a, const struct ca_act_params *b) {
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = strcmp(a->items[i].name, b->items[i].name) == 0 &&
               strcmp(a->items[i].value, b->items[i].value) == 0;
    return same;
}

/* Is it another one that may be carried out yet? */
static bool is_another(const struct ca_acts *acts, const struct ca_act *act,
                       const struct ca_act *ended) {
    bool open = act->status == CA_ACT_OPEN && act->expires_ms > acts->config.now_ms();
    return (open || act->status == CA_ACT_RUNNING) && strcmp(act->kind, ended->kind) == 0 &&
           memcmp(act->id, ended->id, CA_ACT_ID_SIZE) != 0;
}

/* Also where the acts cannot be read: what is kept too long does no harm. */
static bool is_wanted(const struct ca_acts *acts, const struct ca_act *ended,
                      const struct ca_act_params *params) {
    struct ca_store *store = acts->config.store;
    uint8_t key[CA_ROW_KEY_MAX], octets[CA_ROW_MEMORY_MAX];
    struct buf cursor = BUF_ON(key), memory = BUF_ON(octets);
    struct ca_act act;
    struct ca_act_text text;
    enum tm_err err;
    while (!(err = store->ops->next_row(store, CA_TABLE_ACT, &cursor, &act, &memory))) {
        if (is_another(acts, &act, ended) && !ca_act_text_parse(act.text, &text) &&
            same_params(&text.params, params))
            return true;
        memory.n = 0;
    }
    return err != TM_ENOTFOUND;
}

void *ca_act_drop(const struct ca_acts *acts, const struct ca_act *act, struct ca_batch *batch) {
    const struct ca_act_kind *kind = ca_act_kind_named(acts, act->kind);
    struct ca_act_text text;
    void *kept = NULL;
    if (!kind || !kind->drop || ca_act_text_parse(act->text, &text) ||
        is_wanted(acts, act, &text.params))
        return NULL;
    kind->drop(kind->self, &text.params, &batch->changes[batch->count], &kept);
    if (kept)
        batch->count++;
    return kept;
}

/* ---- expiry ---- */

void ca_act_note_expiry(struct ca_acts *acts, const struct ca_act *act) {
    if (act->expires_ms < acts->look_ms)
        acts->look_ms = act->expires_ms;
}

static enum tm_err decide_expire(struct act_change *change, char text[IPC_TEXT_MAX + 1]) {
    struct ca_store *store = change->acts->config.store;
    struct buf memory = BUF_ON(change->memory);
    struct ca_act *act = &change->act;
    enum tm_err err = store->ops->row(store, CA_TABLE_ACT, act, &memory);
    if (err)
        return ca_act_say(text, err, "the act cannot be read: %s", tm_err_name(err));
    if (act->status != CA_ACT_OPEN)
        return ca_act_say(text, TM_EDENIED, "it is not open any more");
    act->status = CA_ACT_EXPIRED;
    act->ended_ms = change->acts->config.now_ms();
    ca_act_leaf(act, CA_EVENT_ACT_ENDED, act->ended_ms, change->actor, "expired", &change->leaf);
    return TM_OK;
}

/* What the store did not take is found again. */
static void expired(void *arg, enum tm_err result, const char *text, const struct ca_act *act) {
    (void)arg;
    (void)act;
    if (result && result != TM_EDENIED)
        log_warn("the end of an act that has expired is not recorded yet: %s", text);
}

static void expire(struct ca_acts *acts, const struct ca_act *act) {
    struct act_change *change = ca_act_change_new(acts, "touchmarkd", expired, NULL);
    if (!change)
        return;
    memcpy(change->act.id, act->id, CA_ACT_ID_SIZE);
    ca_act_change_start(change, decide_expire);
}

void ca_acts_tick(struct ca_acts *acts) {
    struct ca_store *store = acts->config.store;
    uint8_t key[CA_ROW_KEY_MAX], octets[CA_ROW_MEMORY_MAX];
    struct buf cursor = BUF_ON(key), memory = BUF_ON(octets);
    int64_t now_ms = acts->config.now_ms(), next_ms = INT64_MAX;
    struct ca_act act;
    if (acts->stopping || now_ms < acts->look_ms)
        return;
    acts->look_ms = INT64_MAX;
    while (!store->ops->next_row(store, CA_TABLE_ACT, &cursor, &act, &memory)) {
        bool open = act.status == CA_ACT_OPEN;
        int64_t due_ms = open ? act.expires_ms : INT64_MAX;
        if (open && due_ms <= now_ms) {
            expire(acts, &act);
            due_ms = now_ms + AGAIN_MS;
        }
        if (due_ms < next_ms)
            next_ms = due_ms;
        memory.n = 0;
    }
    if (next_ms < acts->look_ms)
        acts->look_ms = next_ms;
}
