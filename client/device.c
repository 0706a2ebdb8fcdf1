/* SPDX-License-Identifier: Apache-2.0 */
/* The library's face: provisioning, start, step, answer, status. See client/device.h. */
#include "client/device.h"

#include <string.h>

#include "client/anchors.h"
#include "client/journal.h"
#include "client/life.h"
#include "client/schedule.h"

static uint32_t or_default(uint32_t value, uint32_t otherwise) {
    return value ? value : otherwise;
}

static enum tm_err check_arguments(const struct tm_config *config, const struct tm_keys *keys,
                                   const struct tm_storage *storage, const struct tm_crypto *crypto,
                                   const uint8_t *work, size_t work_size) {
    bool known = keys->version == TM_TABLE_VERSION && storage->version == TM_TABLE_VERSION &&
                 crypto->version == TM_TABLE_VERSION;
    if (!known || !config->device_id || !work || work_size < TM_WORK_SIZE)
        return TM_EINVAL;
    size_t n = strnlen(config->device_id, TM_DEVICE_ID_MAX + 1);
    return n == 0 || n > TM_DEVICE_ID_MAX ? TM_EINVAL : TM_OK;
}

/* ---- provisioning ---- */

static enum tm_err hash_of(const struct tm_crypto *crypto, struct bytes data,
                           uint8_t ret[TM_SHA256_SIZE]) {
    return crypto->sha256(crypto->self, &data, 1, ret);
}

/* The IDevID that the device came with: is its certificate for the key in its bank? */
static enum tm_err adopt(const struct tm_keys *keys, const struct tm_crypto *crypto,
                         struct bytes chain, struct tm_certificate *ret) {
    uint8_t spki[TM_SPKI_MAX];
    struct buf own = BUF_ON(spki);
    struct bytes rest = chain;
    struct der first;
    struct pki_cert cert;
    enum tm_err err = der_expect(&rest, DER_SEQUENCE, &first);
    if (!err)
        err = pki_cert_parse(first.whole, &cert);
    if (!err)
        err = keys->public_key(keys->self, TM_BANK_IDEVID, &own);
    if (err)
        return err;
    if (!bytes_equal(cert.spki.whole, buf_bytes(&own)) || cert.serial.n > sizeof ret->serial)
        return TM_EINVAL;
    struct tm_certificate c = {.used = true,
                               .key_bank = TM_BANK_IDEVID,
                               .chain_bank = TM_BANK_IDEVID,
                               .serial_n = (uint8_t)cert.serial.n,
                               .not_before_ms = cert.not_before_ms,
                               .not_after_ms = cert.not_after_ms};
    memcpy(c.serial, cert.serial.p, cert.serial.n);
    err = hash_of(crypto, chain, c.hash);
    if (!err)
        *ret = c;
    return err;
}

static enum tm_err store_first(const struct tm_storage *storage, const struct tm_crypto *crypto,
                               struct tm_journal *journal, struct bytes anchors,
                               struct bytes idevid_chain) {
    enum tm_err err = hash_of(crypto, anchors, journal->anchors_hash);
    if (!err)
        err = storage->write(storage->self, TM_ITEM_ANCHORS_0, anchors);
    if (!err && idevid_chain.n)
        err = storage->write(storage->self, TM_ITEM_CHAIN_0, idevid_chain);
    return err ? err : tm_journal_commit(storage, crypto, journal);
}

enum tm_err tm_device_provision(const struct tm_config *config, const struct tm_keys *keys,
                                const struct tm_storage *storage, const struct tm_crypto *crypto,
                                uint8_t *work, size_t work_size, struct bytes anchors,
                                struct bytes idevid_chain) {
    enum tm_err err = check_arguments(config, keys, storage, crypto, work, work_size);
    if (err)
        return err;
    struct tm_journal journal;
    err = tm_journal_load(storage, crypto, &journal);
    if (err != TM_ENOTFOUND)
        return err ? err : TM_EEXISTS;
    if (anchors.n > TM_ANCHORS_MAX || idevid_chain.n > TM_CHAIN_MAX)
        return TM_ELIMIT;
    journal = (struct tm_journal){0};
    err = tm_anchors_check(crypto, config->anchor_unit, anchors);
    if (!err && idevid_chain.n)
        err = adopt(keys, crypto, idevid_chain, &journal.slots[TM_SLOT_IDEVID]);
    return err ? err : store_first(storage, crypto, &journal, anchors, idevid_chain);
}

/* ---- start ---- */

enum tm_err tm_device_init(struct tm_device *device, const struct tm_config *config,
                           const struct tm_keys *keys, const struct tm_storage *storage,
                           const struct tm_crypto *crypto, uint8_t *work, size_t work_size) {
    enum tm_err err = check_arguments(config, keys, storage, crypto, work, work_size);
    if (err)
        return err;
    struct tm_journal journal;
    err = tm_journal_load(storage, crypto, &journal);
    if (err)
        return err;
    *device = (struct tm_device){.config = *config,
                                 .keys = keys,
                                 .storage = storage,
                                 .crypto = crypto,
                                 .work = work,
                                 .work_size = work_size,
                                 .journal = journal};
    struct tm_config *c = &device->config;
    c->soak_s = or_default(c->soak_s, 86400);
    c->backoff_min_s = or_default(c->backoff_min_s, 30);
    c->backoff_max_s = or_default(c->backoff_max_s, 21600);
    c->denied_max = or_default(c->denied_max, 3);
    /* CURRENT was refused, or it ended: what was sent for that stays the request to make. */
    if (journal.phase == TM_PHASE_REQUEST && journal.purpose == TM_PURPOSE_RECOVER)
        device->denied = c->denied_max;
    return tm_life_sweep(device);
}

/* ---- step and answer ---- */

/* News first: an event that was not told yet. */
static bool tell(struct tm_device *d, struct tm_step *ret) {
    for (unsigned kind = TM_EVENT_ENROLLED; kind <= TM_EVENT_STRANDED; kind++) {
        if (!(d->events & 1u << kind))
            continue;
        d->events &= ~(1u << kind);
        *ret = (struct tm_step){
            .kind = TM_STEP_TELL,
            .event = {.kind = (enum tm_event_kind)kind, .slot = (enum tm_slot)d->event_slot[kind]}};
        if (kind == TM_EVENT_DISCARDED || kind == TM_EVENT_FAILED || kind == TM_EVENT_STRANDED)
            TEXT_SET(ret->event.text, d->event_text);
        return true;
    }
    return false;
}

/* When power returns to a plant, its devices do not all speak at once. A device that has nothing
 * yet waits for no one: somebody stands beside it. */
static enum tm_err start(struct tm_device *d) {
    d->started = true;
    if (d->journal.phase == TM_PHASE_SOAK)
        d->soak_mono_ms = d->now.mono_ms + (int64_t)d->config.soak_s * 1000;
    if (!d->journal.slots[TM_SLOT_CURRENT].used)
        return TM_OK;
    int64_t after;
    enum tm_err err = tm_schedule_backoff(d->crypto, d->config.backoff_min_s,
                                          d->config.backoff_min_s, 1, 0, &after);
    if (!err)
        d->next_mono_ms = d->now.mono_ms + after;
    return err;
}

/* What an error of a table leaves: the same again, a little later. */
static enum tm_err later(struct tm_device *d, enum tm_err err) {
    if (err) {
        d->activity = TM_ACT_REST;
        d->next_mono_ms = d->now.mono_ms + TM_ERROR_MS;
    }
    return err;
}

enum tm_err tm_device_step(struct tm_device *device, struct tm_now now, struct tm_step *ret_step) {
    struct tm_device *d = device;
    if (d->activity != TM_ACT_REST && d->activity != TM_ACT_SIGN)
        return TM_EINVAL;
    d->now = now;
    enum tm_err err = d->started ? TM_OK : start(d);
    if (err)
        return later(d, err);
    if (tell(d, ret_step))
        return TM_OK;
    if (now.mono_ms < d->next_mono_ms) {
        *ret_step = (struct tm_step){.kind = TM_STEP_WAIT, .until_mono_ms = d->next_mono_ms};
        return TM_OK;
    }
    struct tm_step step = {0};
    err = d->activity == TM_ACT_SIGN ? tm_obtain_send(d, &step) : tm_decide(d, &step);
    if (err)
        return later(d, err);
    if (step.kind != TM_STEP_WAIT || !tell(d, ret_step))
        *ret_step = step;
    return TM_OK;
}

/* An authenticated server's word on the time, for a device that has none of its own. */
static void learn_time(struct tm_device *d, const struct tm_answer *answer) {
    bool authenticated =
        answer->result != TM_RESULT_NETWORK && answer->result != TM_RESULT_UNTRUSTED;
    if (authenticated && answer->server_wall_ms > d->journal.time_floor_ms)
        d->wall_offset_ms = answer->server_wall_ms - d->now.mono_ms;
}

/* Nobody says what time it is: it is at least as late as the newest time that was proven, and
 * from there the uptime counts. */
static void guess_time(struct tm_device *d) {
    if (!tm_life_wall(d))
        d->wall_offset_ms = d->journal.time_floor_ms - d->now.mono_ms;
}

static enum tm_err learned(struct tm_device *d, const struct tm_answer *answer) {
    if (answer->result == TM_RESULT_NETWORK || answer->result == TM_RESULT_UNTRUSTED)
        return tm_life_failed(d, answer->text, 0);
    guess_time(d);
    return answer->result == TM_RESULT_OK ? tm_obtain_anchors(d, answer) : TM_OK;
}

enum tm_err tm_device_answer(struct tm_device *device, struct tm_now now,
                             const struct tm_answer *answer) {
    struct tm_device *d = device;
    enum tm_activity activity = (enum tm_activity)d->activity;
    d->now = now;
    learn_time(d, answer);
    d->activity = TM_ACT_REST;
    switch (activity) {
    case TM_ACT_LEARN_OUT:
        return later(d, learned(d, answer));
    case TM_ACT_CONNECT_OUT:
        return later(d, tm_obtain_connected(d, answer));
    case TM_ACT_SEND_OUT:
        return later(d, tm_obtain_answered(d, answer));
    case TM_ACT_PROBE_OUT:
        return later(d, tm_change_probed(d, answer));
    case TM_ACT_SOAK_OUT:
        return later(d, tm_change_soaked(d, answer));
    case TM_ACT_REST:
    case TM_ACT_SIGN:
        break;
    }
    d->activity = (uint8_t)activity;
    return TM_EINVAL;
}

/* ---- what the application says and asks ---- */

void tm_device_used(struct tm_device *device, bool accepted) {
    if (accepted) {
        device->denied = 0;
        return;
    }
    device->refused = device->journal.phase == TM_PHASE_SOAK;
    if (!device->refused && device->denied < device->config.denied_max)
        device->denied++;
    if (device->failures == 0)
        device->next_mono_ms = 0;
}

void tm_device_renew(struct tm_device *device) {
    device->renew_asked = true;
    device->next_mono_ms = 0;
}

void tm_device_hurry(struct tm_device *device) {
    if (device->failures > 0)
        device->next_mono_ms = 0;
}

void tm_device_status(const struct tm_device *device, struct tm_now now, struct tm_status *ret) {
    struct tm_device at = *device;
    at.now = now;
    *ret = (struct tm_status){.phase = (enum tm_phase)at.journal.phase,
                              .purpose = (enum tm_purpose)at.journal.purpose,
                              .next_mono_ms = at.next_mono_ms,
                              .wall_ms = tm_life_wall(&at),
                              .failures = at.failures};
    memcpy(ret->slots, at.journal.slots, sizeof ret->slots);
    TEXT_SET(ret->text, at.text);
    if (at.journal.slots[TM_SLOT_CURRENT].used && tm_decide_renewal_time(&at, &ret->renew_at_ms))
        ret->renew_at_ms = 0;
}

/* Appends an item that the journal has the hash of. */
static enum tm_err read_checked(const struct tm_device *d, unsigned item,
                                const uint8_t expected[TM_SHA256_SIZE], struct buf *out) {
    size_t start_n = out->n;
    enum tm_err err = d->storage->read(d->storage->self, (enum tm_item)item, out);
    uint8_t hash[TM_SHA256_SIZE];
    struct bytes data = {out->p + start_n, out->n - start_n};
    if (!err)
        err = hash_of(d->crypto, data, hash);
    if (!err && memcmp(hash, expected, sizeof hash) != 0)
        err = TM_ECORRUPT;
    if (err)
        out->n = start_n;
    return err;
}

enum tm_err tm_device_credential(const struct tm_device *device, enum tm_slot slot,
                                 struct tm_exchange *ret) {
    const struct tm_journal *journal = &device->journal;
    if (slot == TM_SLOT_NONE || slot >= TM_SLOT_COUNT || !journal->slots[slot].used)
        return TM_ENOTFOUND;
    *ret = (struct tm_exchange){.label = "",
                                .slot = slot,
                                .key_bank = journal->slots[slot].key_bank,
                                .chain_bank = journal->slots[slot].chain_bank,
                                .anchors_bank = journal->anchors_bank};
    return TM_OK;
}

enum tm_err tm_device_chain(struct tm_device *device, enum tm_slot slot, struct buf *out) {
    const struct tm_certificate *c = &device->journal.slots[slot];
    if (slot == TM_SLOT_NONE || slot >= TM_SLOT_COUNT || !c->used)
        return TM_ENOTFOUND;
    return read_checked(device, TM_ITEM_CHAIN_0 + c->chain_bank, c->hash, out);
}

enum tm_err tm_device_anchors(struct tm_device *device, struct buf *out) {
    const struct tm_journal *journal = &device->journal;
    return read_checked(device, TM_ITEM_ANCHORS_0 + journal->anchors_bank, journal->anchors_hash,
                        out);
}
