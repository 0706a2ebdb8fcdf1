/* SPDX-License-Identifier: Apache-2.0 */
/* What all parts of the life cycle share: time, news, failures, the journal. See client/life.h. */
#include "client/life.h"

#include <string.h>

#include "client/journal.h"
#include "client/schedule.h"
#include "client/verify.h"

int64_t tm_life_wall(const struct tm_device *d) {
    if (d->now.wall_ms && d->now.wall_ms >= d->journal.time_floor_ms - TM_SKEW_MS)
        return d->now.wall_ms;
    return d->wall_offset_ms ? d->now.mono_ms + d->wall_offset_ms : 0;
}

bool tm_life_usable(const struct tm_device *d, enum tm_slot slot) {
    const struct tm_certificate *c = &d->journal.slots[slot];
    int64_t wall = tm_life_wall(d);
    return c->used && (!wall || wall < c->not_after_ms);
}

void tm_life_tell(struct tm_device *d, enum tm_event_kind kind, enum tm_slot slot,
                  const char *text) {
    d->events |= 1u << kind;
    d->event_slot[kind] = (uint8_t)slot;
    if (text)
        TEXT_SET(d->event_text, text);
}

void tm_life_exchange(struct tm_device *d, enum tm_activity activity, enum tm_operation operation,
                      enum tm_slot slot, const char *label, struct tm_step *ret) {
    d->activity = (uint8_t)activity;
    *ret = (struct tm_step){.kind = TM_STEP_EXCHANGE,
                            .exchange = {.operation = operation,
                                         .label = label,
                                         .slot = slot,
                                         .key_bank = d->journal.slots[slot].key_bank,
                                         .chain_bank = d->journal.slots[slot].chain_bank,
                                         .request_bank = d->journal.request_bank,
                                         .anchors_bank = d->journal.anchors_bank}};
}

const char *tm_life_label(const struct tm_device *d) {
    const char *label =
        d->journal.purpose == TM_PURPOSE_IDEVID ? d->config.idevid_label : d->config.ldevid_label;
    return label ? label : "";
}

enum tm_err tm_life_failed(struct tm_device *d, const char *text, uint32_t retry_after_s) {
    int64_t wait;
    if (d->failures < UINT32_MAX)
        d->failures++;
    enum tm_err err =
        tm_schedule_backoff(d->crypto, d->config.backoff_min_s, d->config.backoff_max_s,
                            d->failures, retry_after_s, &wait);
    if (err)
        return err;
    d->activity = TM_ACT_REST;
    d->next_mono_ms = d->now.mono_ms + wait;
    TEXT_SET(d->text, text[0] ? text : "the server gave no reason");
    tm_life_tell(d, TM_EVENT_FAILED, (enum tm_slot)d->auth, d->text);
    return TM_OK;
}

void tm_life_stranded(struct tm_device *d) {
    if (d->stranded)
        return;
    d->stranded = true;
    tm_life_tell(d, TM_EVENT_STRANDED, (enum tm_slot)d->auth, d->text);
}

void tm_life_succeeded(struct tm_device *d) {
    d->failures = 0;
    d->denied = 0;
    d->stranded = false;
    d->refused = false;
    d->text[0] = 0;
}

enum tm_err tm_life_commit(struct tm_device *d, const struct tm_journal *journal) {
    struct tm_journal next = *journal;
    enum tm_err err = tm_journal_commit(d->storage, d->crypto, &next);
    if (!err)
        d->journal = next;
    return err;
}

static enum tm_err sweep_bank(const struct tm_device *d, unsigned bank) {
    enum tm_err err = TM_OK;
    if (!tm_journal_uses_key(&d->journal, bank))
        err = d->keys->destroy(d->keys->self, bank);
    if (!err && !tm_journal_uses_chain(&d->journal, bank))
        err = d->storage->erase(d->storage->self, (enum tm_item)(TM_ITEM_CHAIN_0 + bank));
    return err;
}

enum tm_err tm_life_sweep(struct tm_device *d) {
    enum tm_err err = TM_OK;
    for (unsigned bank = TM_BANK_IDEVID + 1; !err && bank < TM_BANKS; bank++)
        err = sweep_bank(d, bank);
    if (!err && d->journal.bootstrap_done)
        err = d->storage->erase(d->storage->self, TM_ITEM_BOOTSTRAP);
    return err;
}
