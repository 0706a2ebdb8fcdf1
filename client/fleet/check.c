/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold, all the time and at the end: see client/fleet/fleet.h. */
#include <inttypes.h>
#include <string.h>

#include "client/fleet/fleet.h"
#include "pki/cert.h"

static void found(struct fleet *f, const struct fleet_unit *u, const char *what) {
    fleet_watch_found(&f->watch, u->id, u->lived_ms > f->now_ms ? u->lived_ms : f->now_ms, "%s",
                      what);
}

static const struct fleet_cert *record(const struct fleet *f, uint32_t number) {
    return number ? &f->plant.certs[number] : NULL;
}

/* ---- CURRENT ---- */

/* Is what stands in the banks the certificate of the registry, with its key? */
static bool whole(const struct fleet_unit *u, const struct tm_certificate *current,
                  const struct fleet_cert *cert) {
    struct bytes leaf = fleet_unit_leaf(u, current->chain_bank);
    const struct fleet_key *key = &u->banks[current->key_bank];
    uint8_t fingerprint[FLEET_HASH_SIZE];
    struct pki_cert parsed;
    fleet_hash(&leaf, 1, fingerprint);
    return memcmp(fingerprint, cert->fingerprint, sizeof fingerprint) == 0 && key->pkey &&
           !pki_cert_parse(leaf, &parsed) && bytes_equal(parsed.spki.whole, BYTES_OF(key->spki));
}

static void look_at_new(struct fleet *f, struct fleet_unit *u,
                        const struct tm_certificate *current) {
    const struct fleet_cert *cert =
        fleet_plant_find(&f->plant, (struct bytes){current->serial, current->serial_n});
    if (!cert) {
        found(f, u, "CURRENT is a certificate that nobody issued");
        return;
    }
    u->current = fleet_plant_number(&f->plant, cert);
    if (cert->wrong != FLEET_FAIR)
        fleet_watch_found(&f->watch, u->id, u->lived_ms, "CURRENT is a certificate of the kind: %s",
                          fleet_spell_name((enum fleet_spell_kind)cert->wrong));
    if (u->lived_ms > cert->not_after_ms)
        found(f, u, "CURRENT became a certificate that has ended");
    if (!whole(u, current, cert))
        found(f, u, "CURRENT's chain or key is not what was issued");
}

void fleet_look(struct fleet *fleet, size_t number) {
    struct fleet_unit *u = &fleet->units[number];
    struct tm_status status;
    tm_device_status(&u->device, fleet_unit_now(u), &status);
    const struct tm_certificate *current = &status.slots[TM_SLOT_CURRENT];
    const struct fleet_cert *known = record(fleet, u->current);
    if (!current->used) {
        if (known)
            found(fleet, u, "CURRENT is gone");
        u->current = 0;
        return;
    }
    if (!known || fleet_plant_find(&fleet->plant,
                                   (struct bytes){current->serial, current->serial_n}) != known)
        look_at_new(fleet, u, current);
}

/* ---- policy ---- */

enum outlook { SAVEABLE, RETIRED, SUSPENDED, ASLEEP, REVOKED, LAPSED };

/* A device without an IDevID has what its certificate, or its one-time credential, still gives. */
static enum outlook by_certificate(const struct fleet *f, const struct fleet_unit *u,
                                   const struct fleet_account *account) {
    const struct fleet_cert *current = record(f, u->current);
    if (!current) {
        const struct fleet_cert *last = record(f, account->last[FLEET_LDEVID]);
        return !last || f->now_ms - last->issued_ms <= FLEET_RETRY_WINDOW ? SAVEABLE : LAPSED;
    }
    if (current->status == FLEET_REVOKED)
        return REVOKED;
    int64_t grace = f->scenario->strict ? 0 : FLEET_GRACE;
    return f->now_ms <= current->not_after_ms + grace ? SAVEABLE : LAPSED;
}

/* Does the plant's policy leave the device a way back? */
static enum outlook outlook_of(const struct fleet *f, size_t number) {
    const struct fleet_unit *u = &f->units[number];
    const struct fleet_account *account = &f->plant.accounts[number];
    if (account->retired)
        return RETIRED;
    if (account->suspended)
        return SUSPENDED;
    if (u->asleep && f->now_ms >= f->weather.end_ms && !account->saw_new_root)
        return ASLEEP;
    return u->kind == FLEET_WITHOUT_IDEVID ? by_certificate(f, u, account) : SAVEABLE;
}

static bool has_valid(const struct fleet *f, const struct fleet_unit *u) {
    const struct fleet_cert *current = record(f, u->current);
    return current && current->status != FLEET_REVOKED && f->now_ms <= current->not_after_ms;
}

/* Since when has nothing stood in its way? */
static int64_t calm_since(const struct fleet *f, const struct fleet_unit *u) {
    return u->trouble_ms > f->last_foul_ms ? u->trouble_ms : f->last_foul_ms;
}

/* Somebody comes for a device that says that it is stranded. */
static void give_up(struct fleet *f, size_t number, enum outlook outlook) {
    struct fleet_unit *u = &f->units[number];
    if (!u->given_up_ms || u->trouble_ms > u->given_up_ms)
        u->given_up_ms = f->now_ms;
    if (f->now_ms - u->given_up_ms < FLEET_NOTICE)
        return;
    /* Roots that ended look to a device like a server that is not the right one: it waits. */
    if (!u->stranded && outlook != ASLEEP)
        found(f, u, "policy leaves it no way back, and it does not say that it is stranded");
    u->on = false;
    u->removed = true;
    fleet_queue_set(&f->queue, number, INT64_MAX);
}

static void sweep_one(struct fleet *f, size_t number) {
    struct fleet_unit *u = &f->units[number];
    if (!u->on || u->unplugged || f->plant.accounts[number].suspended)
        u->trouble_ms = u->trouble_ms > f->now_ms ? u->trouble_ms : f->now_ms;
    enum outlook outlook = outlook_of(f, number);
    if (outlook != SAVEABLE && outlook != SUSPENDED) {
        give_up(f, number, outlook);
        return;
    }
    u->given_up_ms = 0;
    if (outlook == SUSPENDED || f->now_ms - calm_since(f, u) < FLEET_PATIENCE || has_valid(f, u))
        return;
    found(f, u, "no valid certificate, though nothing stood in its way for days");
    u->trouble_ms = INT64_MAX / 2; /* said once */
}

void fleet_sweep(struct fleet *fleet) {
    fleet->last_foul_ms = fleet_weather_last_foul(&fleet->weather, fleet->now_ms);
    for (size_t i = 0; i < fleet->options.devices; i++)
        if (fleet->now_ms >= fleet->units[i].born_ms && !fleet->units[i].removed)
            sweep_one(fleet, i);
}

/* ---- the end ---- */

static bool holds(const struct fleet_unit *u, const struct fleet_ca *ca) {
    for (int item = TM_ITEM_ANCHORS_0; item <= TM_ITEM_ANCHORS_1; item++) {
        struct bytes set = fleet_unit_item(u, (enum tm_item)item);
        if (set.n && memmem(set.p, set.n, ca->der, ca->n))
            return true;
    }
    return false;
}

/* A device that may have one has the very certificate that the registry holds for active. */
static void finish_saveable(struct fleet *f, size_t number) {
    struct fleet_unit *u = &f->units[number];
    uint32_t last = f->plant.accounts[number].last[FLEET_LDEVID];
    bool good = u->on && has_valid(f, u) && u->current == last &&
                f->plant.certs[last].status == FLEET_ACTIVE && !u->stranded;
    bool rolled = f->weather.end_ms != INT64_MAX;
    if (good && rolled && !holds(u, &f->plant.root[1]))
        found(f, u, "the new root is not among its trust anchors");
    f->totals.well += good;
    f->totals.lost += !good;
    if (!good)
        fleet_watch_found(&f->watch, u->id, f->now_ms,
                          "lost, though policy leaves it a way: CURRENT is number %" PRIu32
                          ", the registry's is %" PRIu32 ", \"%s\"",
                          u->current, last, u->device.text);
}

static void finish_one(struct fleet *f, size_t number) {
    struct fleet_unit *u = &f->units[number];
    struct fleet_totals *t = &f->totals;
    if (holds(u, &f->plant.stranger) || holds(u, &f->plant.other_unit))
        found(f, u, "a root that no anchor vouches for is among its trust anchors");
    enum outlook outlook = outlook_of(f, number);
    switch (outlook) {
    case SAVEABLE:
    case SUSPENDED: /* none is suspended in the calm at the end */
        finish_saveable(f, number);
        return;
    case RETIRED:
        t->retired++;
        break;
    case ASLEEP:
        t->asleep++;
        break;
    case REVOKED:
        t->revoked++;
        break;
    case LAPSED:
        t->lapsed++;
        break;
    }
    if (has_valid(f, u))
        found(f, u, "a valid certificate where policy leaves no way to one");
    if (!u->removed)
        found(f, u, "nobody came for it");
}

void fleet_finish(struct fleet *fleet) {
    fleet->now_ms = fleet->weather.until_ms;
    for (size_t i = 0; i < fleet->options.devices; i++)
        finish_one(fleet, i);
}
