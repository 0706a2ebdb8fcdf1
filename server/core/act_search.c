/* SPDX-License-Identifier: Apache-2.0 */
/* See act_search.h. */
#include "server/core/act_search.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"

struct walk {
    const struct core_act_search *search;
    int64_t after_ms; /* from when on an act counts */
    struct ca_act_text *text;
};

/* When the last signature was made that it needed. */
static int64_t signed_ms(const struct ca_act *act) {
    return act->signature_count ? act->signatures[act->signature_count - 1].time_ms : 0;
}

static bool is_approved(const struct walk *w, const struct ca_act *act) {
    return (act->status == CA_ACT_RUNNING || act->status == CA_ACT_DONE) &&
           signed_ms(act) > w->after_ms;
}

static bool is_open(const struct walk *w, const struct ca_act *act) {
    return act->status == CA_ACT_OPEN && act->expires_ms > w->search->now_ms;
}

static bool is_about(const struct walk *w, const struct ca_act *act) {
    return strcmp(act->kind, w->search->kind) == 0 && !ca_act_text_parse(act->text, w->text) &&
           w->search->is_about(w->search->arg, &w->text->params);
}

bool core_act_says(const struct ca_act_params *params, const char *name, const char *value) {
    const char *found = ca_act_param(params, name);
    return found && strcmp(found, value) == 0;
}

/* What follows on the row was signed after the act that made it. */
static enum tm_err set_after(struct ca_store *store, struct walk *w, struct buf *memory) {
    static const uint8_t none[CA_ACT_ID_SIZE];
    struct ca_act act = {0};
    w->after_ms = w->search->since_ms;
    if (memcmp(w->search->act, none, sizeof none) == 0)
        return TM_OK;
    memcpy(act.id, w->search->act, sizeof act.id);
    enum tm_err err = store->ops->row(store, CA_TABLE_ACT, &act, memory);
    if (!err)
        w->after_ms = signed_ms(&act);
    memory->n = 0;
    return err == TM_ENOTFOUND ? TM_OK : err;
}

static enum tm_err walk(struct ca_store *store, struct walk *w, struct buf *memory,
                        struct core_act_word *ret) {
    uint8_t key[CA_ROW_KEY_MAX];
    struct buf cursor = BUF_ON(key);
    struct ca_act act;
    bool found = false;
    enum tm_err err = set_after(store, w, memory);
    while (!err && !(found && ret->approved)) {
        err = store->ops->next_row(store, CA_TABLE_ACT, &cursor, &act, memory);
        bool approved = !err && is_approved(w, &act);
        if (!err && (approved || is_open(w, &act)) && is_about(w, &act)) {
            found = true;
            memcpy(ret->act, act.id, sizeof ret->act);
            ret->approved = approved;
        }
        memory->n = 0;
    }
    return found && (!err || err == TM_ENOTFOUND) ? TM_OK : err;
}

enum tm_err core_act_search(struct ca_store *store, const struct core_act_search *search,
                            struct core_act_word *ret) {
    uint8_t octets[CA_ROW_MEMORY_MAX];
    struct buf memory = BUF_ON(octets);
    struct core_act_word word = {.approved = false};
    AUTO_MEM struct ca_act_text *text = calloc(1, sizeof *text);
    if (!text)
        return TM_ENOMEM;
    struct walk w = {.search = search, .text = text};
    enum tm_err err = walk(store, &w, &memory, &word);
    if (!err)
        *ret = word;
    return err;
}
