/* SPDX-License-Identifier: Apache-2.0 */
/* What stations say of units: see ca/station.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crash.h"
#include "ca/hash.h"
#include "ca/signature.h"
#include "ca/station_internal.h"

#define ATTEMPTS_MAX 8
#define DOMAIN "touchmark unit 1" /* followed by a NUL, as the device ID is */
#define SIGNATURE_MAX 1024

_Static_assert(CA_UNIT_CHALLENGE_SIZE == CA_CHALLENGE_SIZE, "they are the same");

/* ---- words ---- */

static const char *const result_words[] = {"", "passed", "failed", "scrapped"};

const char *ca_unit_result_name(uint8_t result) {
    return result <= CA_UNIT_SCRAPPED ? result_words[result] : "";
}

uint8_t ca_unit_result_find(const char *name) {
    for (uint8_t i = CA_UNIT_PASSED; i <= CA_UNIT_SCRAPPED; i++)
        if (strcmp(name, result_words[i]) == 0)
            return i;
    return 0;
}

/* ---- finding ---- */

bool ca_unit_find(struct ca_stations *stations, const struct ca_job *job, const char *device,
                  struct ca_unit *ret_unit, struct ca_device *ret_device, struct ca_refusal *ret) {
    struct ca_store *store = stations->config.store;
    memset(ret_unit, 0, sizeof *ret_unit);
    TEXT_SET(ret_unit->tenant, job->tenant);
    TEXT_SET(ret_unit->job, job->name);
    TEXT_SET(ret_unit->device, device);
    enum tm_err err = store->ops->row(store, CA_TABLE_UNIT, ret_unit, NULL);
    if (!err)
        err = store->ops->device(store, job->tenant, device, ret_device);
    if (err == TM_ENOTFOUND)
        return ca_refuse(ret, IPC_UNKNOWN_DEVICE, "job %s has no unit %s", job->name, device);
    if (err)
        return ca_refuse(ret, IPC_UNAVAILABLE, "the registry cannot be read; try again later");
    return true;
}

/* The device's certificate of the profile that is in use. */
static const struct ca_cert_ref *certificate_of(const struct ca_device *device,
                                                const char *profile) {
    for (size_t i = 0; i < device->cert_count; i++)
        if (strcmp(device->certs[i].profile, profile) == 0 && ca_cert_in_use(&device->certs[i]))
            return &device->certs[i];
    return NULL;
}

bool ca_unit_proved(const struct ca_unit *unit, const struct ca_cert_ref *ref) {
    for (size_t i = 0; i < unit->proof_count; i++)
        if (ca_serial_equal(&unit->proofs[i].serial, &ref->serial))
            return true;
    return false;
}

/* ---- challenges ---- */

/* Job and device in one name, as a challenge is bound to a device of a tenant. */
static bool bind(struct ca_stations *s, const struct ca_unit *unit, char ret[IPC_NAME_MAX + 1]) {
    uint8_t hash[CA_HASH_SIZE];
    struct bytes parts[] = {{(const uint8_t *)unit->job, strlen(unit->job) + 1},
                            bytes_str(unit->device)};
    return !ca_hash(s->hasher, parts, 2, hash) &&
           !hex_encode(BYTES_OF(hash), ret, IPC_NAME_MAX + 1);
}

bool ca_unit_challenge(struct ca_stations *stations, const struct ca_unit *unit,
                       uint8_t ret[CA_UNIT_CHALLENGE_SIZE], int64_t *ret_until_ms,
                       struct ca_refusal *refusal) {
    int64_t now_ms = stations->config.now_ms();
    char bound[IPC_NAME_MAX + 1];
    if (!bind(stations, unit, bound) ||
        ca_challenge_make(stations->challenger, unit->tenant, bound, now_ms, ret))
        return ca_refuse(refusal, IPC_UNAVAILABLE, "there is no challenge now; try again later");
    *ret_until_ms = now_ms + CA_CHALLENGE_MS;
    return true;
}

/* ---- a change ---- */

struct unit_change {
    struct ca_stations *stations;
    bool (*decide)(struct unit_change *change, struct ca_refusal *ret);
    ca_unit_fn *done;
    void *arg;
    unsigned attempts;
    struct ca_station station;
    struct ca_job job;
    char id[IPC_NAME_MAX + 1];
    struct ca_unit unit;
    struct ca_device device;
    bool unchanged; /* it was so already */
    struct ca_leaf leaf;
    struct ca_batch batch;
    struct ca_unit_report report;
    char profile[IPC_NAME_MAX + 1];
    uint8_t challenge[CA_CHALLENGE_SIZE];
    size_t signature_n;
    uint8_t signature[SIGNATURE_MAX];
};

static void change_run(struct unit_change *change);

static void change_end(struct unit_change *change, const struct ca_refusal *refusal) {
    change->done(change->arg, refusal, &change->unit, &change->device);
    free(change);
}

static void unstored(struct unit_change *change, enum tm_err err) {
    struct ca_refusal refusal = {0};
    (void)ca_refuse(&refusal, err == TM_ECONFLICT ? IPC_CONFLICT : IPC_UNAVAILABLE,
                    "the registry did not take the change; nothing happened");
    change_end(change, &refusal);
}

static void change_durable(struct ca_batch *batch, enum tm_err result) {
    struct unit_change *change = batch->arg;
    const struct ca_refusal none = {0};
    if (result == TM_ECONFLICT && ++change->attempts < ATTEMPTS_MAX) {
        change_run(change);
    } else if (result) {
        unstored(change, result);
    } else {
        crash_point("core.unit_changed");
        change_end(change, &none);
    }
}

static void fill_leaf(struct unit_change *change, const char *reason) {
    const struct ca_station *station = &change->station;
    struct ca_leaf *leaf = &change->leaf;
    *leaf = (struct ca_leaf){.event = CA_EVENT_UNIT,
                             .time_ms = change->stations->config.now_ms(),
                             .from_state = change->device.state,
                             .to_state = change->device.state};
    TEXT_SET(leaf->tenant, change->job.tenant);
    TEXT_SET(leaf->device, change->id);
    TEXT_SET(leaf->profile, change->profile);
    TEXT_SET(leaf->site, change->job.site);
    TEXT_SET(leaf->job, change->job.name);
    TEXT_SET(leaf->station, station->name);
    TEXT_SET(leaf->operator_name, station->operator_name);
    TEXT_SET(leaf->actor, station->actor);
    TEXT_SET(leaf->remote, station->remote);
    TEXT_SET(leaf->reason, reason);
}

static void put(struct unit_change *change) {
    change->unit.version++;
    change->batch.changes[change->batch.count++] = (struct ca_change){
        .kind = CA_PUT_ROW, .u.row = {.table = CA_TABLE_UNIT, .row = &change->unit}};
    change->batch.changes[change->batch.count++] =
        (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = &change->leaf};
}

static void change_run(struct unit_change *change) {
    struct ca_store *store = change->stations->config.store;
    struct ca_refusal refusal = {0};
    change->batch = (struct ca_batch){.done = change_durable, .arg = change};
    bool good = ca_unit_find(change->stations, &change->job, change->id, &change->unit,
                             &change->device, &refusal) &&
                change->decide(change, &refusal);
    if (!good || change->unchanged) {
        change_end(change, &refusal);
        return;
    }
    enum tm_err err = store->ops->submit(store, &change->batch);
    if (err)
        unstored(change, err);
}

static struct unit_change *change_new(struct ca_stations *stations,
                                      const struct ca_station *station, const struct ca_job *job,
                                      const char *device, ca_unit_fn *done, void *arg) {
    struct unit_change *change = calloc(1, sizeof *change);
    if (!change)
        return NULL;
    change->stations = stations;
    change->station = *station;
    change->job = *job;
    TEXT_SET(change->id, device);
    change->done = done;
    change->arg = arg;
    return change;
}

/* ---- verifying ---- */

/* What the unit signs (docs/stations.md). */
static bool message(const struct unit_change *change, struct bytes certificate, struct buf *out) {
    uint8_t hash[CA_HASH_SIZE];
    if (ca_hash(change->stations->hasher, &certificate, 1, hash))
        return false;
    buf_put(out, (struct bytes){(const uint8_t *)DOMAIN, sizeof DOMAIN});
    buf_put(out, (struct bytes){(const uint8_t *)change->id, strlen(change->id) + 1});
    buf_put(out, BYTES_OF(hash));
    buf_put(out, BYTES_OF(change->challenge));
    return !out->full;
}

static bool signed_by(struct unit_change *change, const struct ca_cert_ref *ref,
                      struct ca_refusal *ret) {
    struct ca_store *store = change->stations->config.store;
    struct ca_certificate certificate;
    struct pki_cert view;
    uint8_t octets[IPC_CERT_MAX], signed_octets[256];
    struct buf der = BUF_ON(octets), out = BUF_ON(signed_octets);
    struct bytes signature = {change->signature, change->signature_n};
    if (store->ops->certificate(store, &ref->serial, &certificate, &der) ||
        pki_cert_parse(certificate.der, &view) || !message(change, certificate.der, &out))
        return ca_refuse(ret, IPC_UNAVAILABLE, "the registry cannot be read; try again later");
    if (!ca_signature_verify(change->stations->checker, &view.spki, pki_spki_signature(&view.spki),
                             buf_bytes(&out), signature))
        return true;
    return ca_refuse(ret, IPC_CONFLICT,
                     "the signature is not that of unit %s: it does not verify with the key of its "
                     "certificate of profile %s",
                     change->id, change->profile);
}

/* One that was used up is still good for what it was used for. */
static bool challenge_fits(struct unit_change *change, const struct ca_cert_ref *ref,
                           int64_t *ret_made_ms, struct ca_refusal *ret) {
    struct ca_stations *s = change->stations;
    char bound[IPC_NAME_MAX + 1];
    if (!bind(s, &change->unit, bound) ||
        ca_challenge_check(s->challenger, change->unit.tenant, bound, s->config.now_ms(),
                           BYTES_OF(change->challenge), ret_made_ms))
        return ca_refuse(ret, IPC_BAD_CHALLENGE,
                         "the challenge is not one for this unit, or is over; ask for another");
    change->unchanged =
        *ret_made_ms == change->unit.challenge_ms && ca_unit_proved(&change->unit, ref);
    if (*ret_made_ms > change->unit.challenge_ms || change->unchanged)
        return true;
    return ca_refuse(ret, IPC_BAD_CHALLENGE, "the challenge was used before; ask for another");
}

static void add_proof(struct ca_unit *unit, const struct ca_cert_ref *ref) {
    struct ca_unit_proof *proof = NULL;
    for (size_t i = 0; i < unit->proof_count; i++)
        if (strcmp(unit->proofs[i].profile, ref->profile) == 0)
            proof = &unit->proofs[i];
    if (!proof && unit->proof_count < CA_JOB_PROFILES_MAX)
        proof = &unit->proofs[unit->proof_count++];
    if (!proof)
        return;
    TEXT_SET(proof->profile, ref->profile);
    proof->serial = ref->serial;
}

static bool decide_verify(struct unit_change *change, struct ca_refusal *ret) {
    const struct ca_cert_ref *ref = certificate_of(&change->device, change->profile);
    int64_t made_ms = 0;
    if (!ca_job_profile(&change->job, change->profile) || !ref)
        return ca_refuse(ret, IPC_CONFLICT, "unit %s has no certificate of profile %s", change->id,
                         change->profile);
    if (!challenge_fits(change, ref, &made_ms, ret) || !signed_by(change, ref, ret))
        return false;
    if (change->unchanged)
        return true;
    change->unit.challenge_ms = made_ms;
    add_proof(&change->unit, ref);
    fill_leaf(change, "verified: it holds the key of its certificate");
    change->leaf.serial = ref->serial;
    put(change);
    return true;
}

enum tm_err ca_unit_verify(struct ca_stations *stations, const struct ca_station *station,
                           const struct ca_job *job, const char *device, const char *profile,
                           struct bytes challenge, struct bytes signature, ca_unit_fn *done,
                           void *arg) {
    struct unit_change *change = change_new(stations, station, job, device, done, arg);
    if (!change)
        return TM_ENOMEM;
    TEXT_SET(change->profile, profile);
    if (challenge.n == sizeof change->challenge && signature.n <= sizeof change->signature) {
        memcpy(change->challenge, challenge.p, challenge.n);
        memcpy(change->signature, signature.p, signature.n); /* others stay zero: they verify not */
        change->signature_n = signature.n;
    }
    change->decide = decide_verify;
    change_run(change);
    return TM_OK;
}

/* ---- reporting ---- */

static bool may_pass(const struct unit_change *change, struct ca_refusal *ret) {
    for (size_t i = 0; i < change->job.profile_count; i++) {
        const char *profile = change->job.profiles[i].name;
        const struct ca_cert_ref *ref = certificate_of(&change->device, profile);
        if (!ref)
            return ca_refuse(ret, IPC_CONFLICT, "unit %s has no certificate of profile %s",
                             change->id, profile);
        if (!ca_unit_proved(&change->unit, ref))
            return ca_refuse(ret, IPC_CONFLICT,
                             "unit %s has not shown that it holds the key of its certificate of "
                             "profile %s",
                             change->id, profile);
    }
    if (!change->report.locked)
        return ca_refuse(ret, IPC_CONFLICT, "unit %s is not locked", change->id);
    return true;
}

static void count(struct ca_grant *grant, uint8_t result, int by) {
    if (result == CA_UNIT_PASSED)
        grant->passed += by;
    else if (result == CA_UNIT_FAILED)
        grant->failed += by;
    else if (result == CA_UNIT_SCRAPPED)
        grant->scrapped += by;
}

static bool decide_report(struct unit_change *change, struct ca_refusal *ret) {
    const struct ca_unit_report *report = &change->report;
    struct ca_unit *unit = &change->unit;
    struct ca_grant grant = {.tenant = change->job.tenant, .job = change->job.name};
    char reason[IPC_TEXT_MAX + 1];
    change->unchanged = unit->result == report->result && unit->locked == report->locked;
    if (change->unchanged)
        return true;
    if (unit->result == CA_UNIT_PASSED)
        return ca_refuse(ret, IPC_CONFLICT, "unit %s was reported passed", change->id);
    if (report->result == CA_UNIT_PASSED && !may_pass(change, ret))
        return false;
    count(&grant, unit->result, -1);
    count(&grant, report->result, 1);
    unit->result = report->result;
    unit->locked = report->locked;
    if (change->station.name[0]) { /* else it was reported without one, and was last at that */
        TEXT_SET(unit->station, change->station.name);
        TEXT_SET(unit->operator_name, change->station.operator_name);
    }
    (void)snprintf(reason, sizeof reason, "%s%s%.200s", ca_unit_result_name(unit->result),
                   report->words[0] ? ": " : "", report->words);
    fill_leaf(change, reason);
    unit->reported_ms = change->leaf.time_ms;
    put(change);
    if (grant.passed || grant.failed || grant.scrapped)
        change->batch.changes[change->batch.count++] =
            (struct ca_change){.kind = CA_SPEND_GRANT, .u.grant = grant};
    return true;
}

enum tm_err ca_unit_report(struct ca_stations *stations, const struct ca_station *station,
                           const struct ca_job *job, const char *device,
                           const struct ca_unit_report *report, ca_unit_fn *done, void *arg) {
    struct unit_change *change = change_new(stations, station, job, device, done, arg);
    if (!change)
        return TM_ENOMEM;
    change->report = *report;
    change->decide = decide_report;
    change_run(change);
    return TM_OK;
}

/* ---- scrapping without a station ---- */

static bool may_scrap(const struct ca_stations *stations, const char *tenant, const char *name,
                      struct ca_job *ret_job, struct ca_refusal *ret) {
    enum tm_err err = ca_jobs_read(stations->config.jobs, tenant, name, ret_job);
    if (err == TM_ENOTFOUND || (!err && ret_job->status == CA_JOB_PROPOSED))
        return ca_refuse(ret, IPC_UNKNOWN_DEVICE, "tenant %s has no job %s", tenant, name);
    if (err)
        return ca_refuse(ret, IPC_UNAVAILABLE, "the registry cannot be read; try again later");
    if (ret_job->status != CA_JOB_OPEN && ret_job->status != CA_JOB_STOPPED)
        return ca_refuse(ret, IPC_WRONG_STATE, "job %s is %s", name,
                         ca_job_status_name((enum ca_job_status)ret_job->status));
    return true;
}

enum tm_err ca_unit_scrap(struct ca_stations *stations, const char *tenant, const char *job,
                          const char *device, const char *reason, const char *actor,
                          ca_unit_fn *done, void *arg) {
    struct unit_change *change = calloc(1, sizeof *change);
    struct ca_refusal refusal = {0};
    if (!change)
        return TM_ENOMEM;
    *change = (struct unit_change){.stations = stations,
                                   .decide = decide_report,
                                   .done = done,
                                   .arg = arg,
                                   .report = {.result = CA_UNIT_SCRAPPED}};
    TEXT_SET(change->id, device);
    TEXT_SET(change->station.actor, actor);
    TEXT_SET(change->report.words, reason);
    if (may_scrap(stations, tenant, job, &change->job, &refusal))
        change_run(change);
    else
        change_end(change, &refusal);
    return TM_OK;
}
