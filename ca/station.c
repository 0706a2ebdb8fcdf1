/* SPDX-License-Identifier: Apache-2.0 */
/* Which station asks, and may it ask this of a job: see ca/station.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ca/hash.h"
#include "ca/issued.h"
#include "ca/lifecycle.h"
#include "ca/operator.h"
#include "ca/station_internal.h"
#include "ca/withdrawal.h"

enum tm_err ca_stations_new(const struct ca_stations_config *config,
                            struct ca_stations **ret_stations) {
    struct ca_stations *stations = calloc(1, sizeof *stations);
    if (!stations)
        return TM_ENOMEM;
    stations->config = *config;
    enum tm_err err = ca_hasher_new(&stations->hasher);
    if (!err)
        err = ca_checker_new(&stations->checker);
    if (!err)
        err = ca_challenger_new(&stations->challenger);
    if (err)
        ca_stations_free(stations);
    else
        *ret_stations = stations;
    return err;
}

void ca_stations_free(struct ca_stations *stations) {
    if (!stations)
        return;
    ca_challenger_free(stations->challenger);
    ca_checker_free(stations->checker);
    ca_hasher_free(stations->hasher);
    free(stations);
}

/* ---- who asks ---- */

static bool unreadable(struct ca_refusal *ret) {
    return ca_refuse(ret, IPC_UNAVAILABLE, "the registry cannot be read; try again later");
}

static bool name_actor(struct ca_stations *s, struct bytes leaf, uint8_t ret_fingerprint[32],
                       char ret_actor[IPC_TEXT_MAX + 1]) {
    char hex[2 * CA_HASH_SIZE + 1];
    if (ca_hash(s->hasher, &leaf, 1, ret_fingerprint) ||
        hex_encode((struct bytes){ret_fingerprint, CA_HASH_SIZE}, hex, sizeof hex))
        return false;
    (void)snprintf(ret_actor, IPC_TEXT_MAX + 1, "cert:%s", hex);
    return true;
}

static bool judge_certificate(const struct ca_certificate *own, const struct pki_cert *leaf,
                              int64_t now_ms, struct ca_refusal *ret) {
    if (own->status == CA_CERT_REVOKED)
        return ca_refuse(ret, IPC_REVOKED, "the certificate is revoked");
    if (now_ms > own->not_after_ms)
        return ca_refuse(ret, IPC_EXPIRED, "the certificate has expired");
    if (!ca_is_authority(leaf))
        return ca_refuse(ret, IPC_WRONG_CREDENTIAL,
                         "the certificate is not a station's: it has not the purpose id-kp-cmcRA "
                         "(RFC 6402, 2.10)");
    return true;
}

/* A device like any, which may be revoked or suspended. */
static bool judge_device(struct ca_stations *s, const struct ca_certificate *own,
                         struct ca_refusal *ret) {
    struct ca_store *store = s->config.store;
    struct ca_device device;
    if (store->ops->device(store, own->tenant, own->device, &device))
        return unreadable(ret);
    if (!ca_state_serves((enum ca_state)device.state))
        return ca_refuse(ret, IPC_WRONG_STATE, "station %s is %s", own->device,
                         ca_state_name((enum ca_state)device.state));
    if (ca_withdrawn(s->config.withdrawals, own, &device))
        return ca_refuse(ret, IPC_REVOKED, CA_WITHDRAWN_TEXT);
    return true;
}

bool ca_station_identify(struct ca_stations *stations, struct bytes leaf, const char *remote,
                         struct ca_station *ret_station, struct ca_refusal *ret) {
    struct ca_store *store = stations->config.store;
    int64_t now_ms = stations->config.now_ms();
    uint8_t fingerprint[CA_HASH_SIZE], octets[IPC_CERT_MAX];
    struct buf der = BUF_ON(octets);
    struct ca_certificate own;
    struct pki_cert view;
    memset(ret_station, 0, sizeof *ret_station);
    TEXT_SET(ret_station->remote, remote);
    if (pki_cert_parse(leaf, &view) || !name_actor(stations, leaf, fingerprint, ret_station->actor))
        return ca_refuse(ret, IPC_UNTRUSTED, "the certificate cannot be read (RFC 5280, 4.1)");
    enum tm_err err = ca_issued_find(store, &view, fingerprint, &own, &der);
    if (err == TM_ENOTFOUND)
        return ca_refuse(ret, IPC_UNTRUSTED, "the certificate was not issued here");
    if (err)
        return unreadable(ret);
    TEXT_SET(ret_station->tenant, own.tenant);
    TEXT_SET(ret_station->name, own.device);
    if (!judge_certificate(&own, &view, now_ms, ret) || !judge_device(stations, &own, ret))
        return false;
    if (ca_shift_current(store, own.tenant, own.device, now_ms, ret_station->operator_name))
        return unreadable(ret);
    return true;
}

/* ---- what of a job ---- */

static bool status_fits(const struct ca_job *job, enum ca_station_need need,
                        struct ca_refusal *ret) {
    bool over = job->status == CA_JOB_CLOSING || job->status == CA_JOB_CLOSED;
    if (need == CA_STATION_LOOKS || need == CA_STATION_CLOSES || job->status == CA_JOB_OPEN ||
        (need == CA_STATION_STOPS && !over))
        return true;
    return ca_refuse(ret, IPC_WRONG_STATE, "job %s is %s", job->name,
                     over ? "closed" : ca_job_status_name((enum ca_job_status)job->status));
}

bool ca_station_job(struct ca_stations *stations, const struct ca_station *station,
                    const char *name, enum ca_station_need need, struct ca_job *ret_job,
                    struct ca_refusal *ret) {
    struct ca_job job;
    enum tm_err err = ca_jobs_read(stations->config.jobs, station->tenant, name, &job);
    if (err && err != TM_ENOTFOUND)
        return unreadable(ret);
    if (err || job.status == CA_JOB_PROPOSED)
        return ca_refuse(ret, IPC_UNKNOWN_DEVICE, "there is no job %s", name);
    if (!ca_job_names_station(&job, station->name))
        return ca_refuse(ret, IPC_DENIED, "job %s does not name station %s", name, station->name);
    const struct ca_job *live = ca_jobs_find(stations->config.jobs, station->tenant, name);
    if (live)
        job.status = live->status; /* a stop counts before it is durable */
    if (!status_fits(&job, need, ret))
        return false;
    if (!ca_job_in_network(&job, station->remote))
        return ca_refuse(ret, IPC_DENIED, "job %s does not take requests from this network", name);
    bool works = need == CA_STATION_WORKS || need == CA_STATION_CLOSES;
    if (works && job.operator_required && !station->operator_name[0])
        return ca_refuse(ret, IPC_NO_CREDENTIAL,
                         "job %s wants an operator, and nobody is logged in at station %s", name,
                         station->name);
    *ret_job = job;
    return true;
}
