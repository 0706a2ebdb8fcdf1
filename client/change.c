/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking a certificate into use and giving one up. Each change is one journal record; keys and
 * chains that it leaves behind are swept afterwards, and again at the next start if power failed in
 * between.
 */
#include <string.h>

#include "client/life.h"

static enum tm_err commit_and_sweep(struct tm_device *d, const struct tm_journal *next) {
    enum tm_err err = tm_life_commit(d, next);
    return err ? err : tm_life_sweep(d);
}

/* The time that the new certificate proves: its CA would not have dated it ahead. */
static void raise_floor(struct tm_journal *j, const struct tm_certificate *c) {
    if (c->not_before_ms > j->time_floor_ms)
        j->time_floor_ms = c->not_before_ms;
}

static void start_soak(struct tm_device *d, struct tm_journal *j) {
    int64_t wall = tm_life_wall(d), soak_ms = (int64_t)d->config.soak_s * 1000;
    j->phase = TM_PHASE_SOAK;
    j->soak_until_ms = wall ? wall + soak_ms : 0;
    d->soak_mono_ms = d->now.mono_ms + soak_ms;
}

static enum tm_event_kind news_of(enum tm_purpose purpose) {
    switch (purpose) {
    case TM_PURPOSE_RENEW:
        return TM_EVENT_RENEWED;
    case TM_PURPOSE_RECOVER:
        return TM_EVENT_RECOVERED;
    case TM_PURPOSE_NONE:
    case TM_PURPOSE_IDEVID:
    case TM_PURPOSE_FIRST:
        break;
    }
    return TM_EVENT_ENROLLED;
}

/* The next renewal is not before a third of what is left of this certificate, if the server does
 * not say when. */
static void start_pace(struct tm_device *d) {
    const struct tm_journal *j = &d->journal;
    int64_t wall = tm_life_wall(d), rest_ms = (int64_t)d->config.backoff_min_s * 1000;
    int64_t third_ms = (j->slots[TM_SLOT_CURRENT].not_after_ms - wall) / 3;
    if (wall && third_ms > rest_ms && j->renew_from_ms >= j->renew_until_ms)
        rest_ms = third_ms;
    d->renew_mono_ms = d->now.mono_ms + rest_ms;
}

/* NEXT was accepted: it takes its place, and what stood there stays beside it for the soak time. */
static enum tm_err take_into_use(struct tm_device *d) {
    enum tm_purpose purpose = (enum tm_purpose)d->journal.purpose;
    enum tm_slot slot = purpose == TM_PURPOSE_IDEVID ? TM_SLOT_IDEVID : TM_SLOT_CURRENT;
    bool keep = purpose == TM_PURPOSE_RENEW && tm_life_usable(d, TM_SLOT_CURRENT);
    struct tm_journal next = d->journal;
    struct tm_certificate *slots = next.slots;
    next.phase = TM_PHASE_IDLE;
    next.purpose = TM_PURPOSE_NONE;
    if (keep) {
        slots[TM_SLOT_PREVIOUS] = slots[TM_SLOT_CURRENT];
        start_soak(d, &next);
    }
    slots[slot] = slots[TM_SLOT_NEXT];
    slots[TM_SLOT_NEXT] = (struct tm_certificate){0};
    raise_floor(&next, &slots[slot]);
    bool bootstrap = !next.bootstrap_done;
    next.bootstrap_done = true;
    enum tm_err err = tm_life_commit(d, &next);
    if (err)
        return err;
    tm_life_succeeded(d);
    d->renew_asked = false;
    if (slot == TM_SLOT_CURRENT)
        start_pace(d);
    tm_life_tell(d, news_of(purpose), slot, NULL);
    err = tm_life_sweep(d);
    if (!err && bootstrap)
        tm_life_tell(d, TM_EVENT_BOOTSTRAP_ERASED, TM_SLOT_NONE, NULL);
    return err;
}

enum tm_err tm_change_abandon(struct tm_device *d) {
    struct tm_journal next = d->journal;
    next.phase = TM_PHASE_IDLE;
    next.purpose = TM_PURPOSE_NONE;
    next.slots[TM_SLOT_NEXT] = (struct tm_certificate){0};
    return commit_and_sweep(d, &next);
}

/* Can another certificate be had in place of NEXT? A one-time credential gave its only one. */
static bool replaceable(const struct tm_device *d) {
    bool renews = d->journal.purpose == TM_PURPOSE_RENEW && tm_life_usable(d, TM_SLOT_CURRENT);
    return d->journal.purpose != TM_PURPOSE_IDEVID && (renews || tm_life_usable(d, TM_SLOT_IDEVID));
}

static enum tm_err probe_denied(struct tm_device *d, const struct tm_answer *answer) {
    d->auth = TM_SLOT_NEXT;
    d->denied++;
    enum tm_err err = tm_life_failed(d, answer->text, answer->retry_after_s);
    if (err || d->denied < d->config.denied_max)
        return err;
    if (!replaceable(d)) {
        tm_life_stranded(d);
        return TM_OK;
    }
    /* A recovery that began because CURRENT was refused is still due. */
    d->denied = d->journal.purpose == TM_PURPOSE_RECOVER ? d->config.denied_max : 0;
    tm_life_tell(d, TM_EVENT_DISCARDED, TM_SLOT_NEXT, d->text);
    return tm_change_abandon(d);
}

enum tm_err tm_change_probed(struct tm_device *d, const struct tm_answer *answer) {
    if (answer->result == TM_RESULT_OK)
        return take_into_use(d);
    if (answer->result == TM_RESULT_DENIED)
        return probe_denied(d, answer);
    d->auth = TM_SLOT_NEXT;
    return tm_life_failed(d, answer->text, answer->retry_after_s);
}

enum tm_err tm_change_roll_back(struct tm_device *d) {
    struct tm_journal next = d->journal;
    next.phase = TM_PHASE_IDLE;
    next.soak_until_ms = 0;
    next.renew_from_ms = next.renew_until_ms = 0;
    next.slots[TM_SLOT_CURRENT] = next.slots[TM_SLOT_PREVIOUS];
    next.slots[TM_SLOT_PREVIOUS] = (struct tm_certificate){0};
    enum tm_err err = tm_life_commit(d, &next);
    if (err)
        return err;
    d->refused = false;
    start_pace(d); /* of what is left of this one, not of the one refused */
    tm_life_tell(d, TM_EVENT_ROLLED_BACK, TM_SLOT_CURRENT, NULL);
    d->auth = TM_SLOT_CURRENT;
    err = tm_life_failed(d, "the new certificate was refused in its soak time", 0);
    return err ? err : tm_life_sweep(d);
}

enum tm_err tm_change_end_soak(struct tm_device *d) {
    struct tm_journal next = d->journal;
    next.phase = TM_PHASE_IDLE;
    next.soak_until_ms = 0;
    next.slots[TM_SLOT_PREVIOUS] = (struct tm_certificate){0};
    enum tm_err err = commit_and_sweep(d, &next);
    if (!err)
        tm_life_succeeded(d);
    return err;
}

enum tm_err tm_change_soaked(struct tm_device *d, const struct tm_answer *answer) {
    if (answer->result == TM_RESULT_OK)
        return tm_change_end_soak(d);
    if (answer->result == TM_RESULT_DENIED)
        return tm_life_usable(d, TM_SLOT_PREVIOUS) ? tm_change_roll_back(d) : tm_change_end_soak(d);
    d->auth = TM_SLOT_CURRENT;
    return tm_life_failed(d, answer->text, answer->retry_after_s);
}
