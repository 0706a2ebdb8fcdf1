/* SPDX-License-Identifier: Apache-2.0 */
/* What is due: first enrollment, renewal, recovery, a probe, or nothing for a while. See
 * client/life.h. */
#include "client/life.h"
#include "client/schedule.h"

#define REST_MAX_MS INT64_C(86400000)

static bool ended(const struct tm_device *d, enum tm_slot slot) {
    return d->journal.slots[slot].used && !tm_life_usable(d, slot);
}

enum tm_err tm_decide_renewal_time(const struct tm_device *d, int64_t *ret_wall_ms) {
    return tm_schedule_renewal(d->crypto, d->config.device_id, &d->journal.slots[TM_SLOT_CURRENT],
                               d->config.renew_window_s, d->journal.renew_from_ms,
                               d->journal.renew_until_ms, ret_wall_ms);
}

/* Not longer than a day: a clock that was set meanwhile is noticed, whatever it said before. */
static void rest_until(struct tm_device *d, int64_t mono_ms, struct tm_step *ret) {
    if (mono_ms != INT64_MAX && mono_ms > d->now.mono_ms + REST_MAX_MS)
        mono_ms = d->now.mono_ms + REST_MAX_MS;
    d->next_mono_ms = mono_ms;
    *ret = (struct tm_step){.kind = TM_STEP_WAIT, .until_mono_ms = mono_ms};
}

static int64_t mono_at(const struct tm_device *d, int64_t wall_ms) {
    int64_t ahead = wall_ms - tm_life_wall(d);
    return wall_ms == INT64_MAX ? INT64_MAX : d->now.mono_ms + (ahead > 0 ? ahead : 0);
}

/* The same on the monotonic clock, and not right after the last one: notBefore may lie so far back,
 * or notAfter be so near for all that the CA can issue, that every new certificate is due at once.
 */
static enum tm_err renewal_due(const struct tm_device *d, int64_t *ret_mono_ms) {
    int64_t wall_ms;
    enum tm_err err = tm_decide_renewal_time(d, &wall_ms);
    if (err)
        return err;
    int64_t mono_ms = mono_at(d, wall_ms);
    *ret_mono_ms = mono_ms < d->renew_mono_ms ? d->renew_mono_ms : mono_ms;
    return TM_OK;
}

/* Which way to a certificate for CURRENT is the one to take now, in phase REQUEST as well. */
static enum tm_purpose way(const struct tm_device *d) {
    if (!d->journal.slots[TM_SLOT_CURRENT].used)
        return TM_PURPOSE_FIRST;
    bool denied = d->denied >= d->config.denied_max;
    bool idevid = tm_life_usable(d, TM_SLOT_IDEVID);
    if (idevid && (denied || ended(d, TM_SLOT_CURRENT)))
        return TM_PURPOSE_RECOVER;
    return TM_PURPOSE_RENEW;
}

/* Is another way to be taken than the request under way? A recovery goes on to its end, also after
 * a restart that forgot why it was begun, or the server would make one certificate more. */
static bool turns(struct tm_device *d, enum tm_purpose purpose, enum tm_purpose *ret_other) {
    if (purpose == TM_PURPOSE_RENEW) {
        *ret_other = way(d);
        return *ret_other != purpose;
    }
    *ret_other = TM_PURPOSE_RENEW;
    bool back = purpose == TM_PURPOSE_RECOVER && d->other_way && tm_life_usable(d, TM_SLOT_CURRENT);
    d->other_way = false;
    return back || (purpose == TM_PURPOSE_RECOVER && !tm_life_usable(d, TM_SLOT_IDEVID));
}

/* Goes on with the request that the journal names, if it still is the one to make. */
static enum tm_err resume_request(struct tm_device *d, struct tm_step *ret) {
    enum tm_purpose purpose = (enum tm_purpose)d->journal.purpose, other;
    if (!turns(d, purpose, &other))
        return tm_obtain_begin(d, purpose, ret);
    enum tm_err err = tm_change_abandon(d);
    return err ? err : tm_obtain_begin(d, other, ret);
}

/* NEXT was obtained: is it any good? */
static enum tm_err resume_probe(struct tm_device *d, struct tm_step *ret) {
    if (ended(d, TM_SLOT_NEXT)) {
        tm_life_tell(d, TM_EVENT_DISCARDED, TM_SLOT_NEXT, "it ended before it could be probed");
        enum tm_err err = tm_change_abandon(d);
        rest_until(d, d->now.mono_ms, ret);
        return err;
    }
    tm_life_exchange(d, TM_ACT_PROBE_OUT, TM_OP_PROBE, TM_SLOT_NEXT, tm_life_label(d), ret);
    return TM_OK;
}

/* The soak time ends with a probe of CURRENT: PREVIOUS goes only when that is accepted. */
static bool soak_over(const struct tm_device *d) {
    int64_t wall = tm_life_wall(d);
    if (d->renew_asked || ended(d, TM_SLOT_PREVIOUS))
        return true;
    if (d->journal.soak_until_ms && wall)
        return wall >= d->journal.soak_until_ms;
    return d->now.mono_ms >= d->soak_mono_ms;
}

static int64_t soak_end(const struct tm_device *d) {
    if (d->journal.soak_until_ms && tm_life_wall(d))
        return mono_at(d, d->journal.soak_until_ms);
    return d->soak_mono_ms;
}

/* CURRENT is there and nothing is under way: renew it, recover it, or wait. */
static enum tm_err keep_current(struct tm_device *d, struct tm_step *ret) {
    int64_t due;
    enum tm_err err = renewal_due(d, &due);
    if (err)
        return err;
    if (way(d) == TM_PURPOSE_RECOVER)
        return tm_obtain_begin(d, TM_PURPOSE_RECOVER, ret);
    if (d->renew_asked || d->now.mono_ms >= due || d->denied >= d->config.denied_max)
        return tm_obtain_begin(d, TM_PURPOSE_RENEW, ret);
    d->failures = 0; /* the wait is no backoff: news from the application end it */
    rest_until(d, due, ret);
    return TM_OK;
}

/* Without a clock the server's is asked for, before anything is judged by time. */
static bool must_learn(const struct tm_device *d) {
    return !tm_life_wall(d) && d->journal.slots[TM_SLOT_CURRENT].used;
}

static enum tm_err idle(struct tm_device *d, struct tm_step *ret) {
    const struct tm_certificate *slots = d->journal.slots;
    if (slots[TM_SLOT_CURRENT].used)
        return keep_current(d, ret);
    if (d->config.idevid_label && !slots[TM_SLOT_IDEVID].used)
        return tm_obtain_begin(d, TM_PURPOSE_IDEVID, ret);
    if (d->config.ldevid_label)
        return tm_obtain_begin(d, TM_PURPOSE_FIRST, ret);
    rest_until(d, INT64_MAX, ret);
    return TM_OK;
}

static enum tm_err soak(struct tm_device *d, struct tm_step *ret) {
    int64_t due, end = soak_end(d);
    enum tm_err err = renewal_due(d, &due);
    if (err)
        return err;
    if (d->refused && tm_life_usable(d, TM_SLOT_PREVIOUS)) {
        err = tm_change_roll_back(d);
        rest_until(d, d->next_mono_ms, ret);
        return err;
    }
    /* What is due does not wait for a probe that nobody may ever answer. */
    if (!tm_life_usable(d, TM_SLOT_CURRENT) || d->now.mono_ms >= due) {
        err = tm_change_end_soak(d);
        return err ? err : idle(d, ret);
    }
    if (!soak_over(d)) {
        rest_until(d, end < due ? end : due, ret);
        return TM_OK;
    }
    tm_life_exchange(d, TM_ACT_SOAK_OUT, TM_OP_PROBE, TM_SLOT_CURRENT, tm_life_label(d), ret);
    return TM_OK;
}

enum tm_err tm_decide(struct tm_device *d, struct tm_step *ret) {
    if (must_learn(d)) {
        tm_life_exchange(d, TM_ACT_LEARN_OUT, TM_OP_CACERTS, TM_SLOT_CURRENT, tm_life_label(d),
                         ret);
        return TM_OK;
    }
    switch ((enum tm_phase)d->journal.phase) {
    case TM_PHASE_REQUEST:
        return resume_request(d, ret);
    case TM_PHASE_PROBE:
        return resume_probe(d, ret);
    case TM_PHASE_SOAK:
        return soak(d, ret);
    case TM_PHASE_IDLE:
        break;
    }
    return idle(d, ret);
}
