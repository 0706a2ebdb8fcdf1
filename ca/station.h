/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a station says of units beside its certificate requests (docs/stations.md): who it is,
 * proofs that a unit holds the key of its certificate, and what came of the unit. Each change is
 * one transaction with its audit leaf. One loop's thread, like the store it works on.
 *
 *   station.c  who asks, and may it ask this of a job
 *   unit.c     changes of units
 */
#ifndef TOUCHMARK_CA_STATION_H
#define TOUCHMARK_CA_STATION_H

#include "ca/jobs.h"

struct ca_refusal;
struct ca_withdrawals;
struct ca_stations;
struct ca_stations_config {
    struct ca_store *store;
    struct ca_jobs *jobs;
    const struct ca_withdrawals *withdrawals; /* under way; NULL: none ever is */
    int64_t (*now_ms)(void);
};
/* What the configuration points to must outlive it. TM_ENOMEM, TM_ECRYPTO. */
MUST_USE enum tm_err ca_stations_new(const struct ca_stations_config *config,
                                     struct ca_stations **ret_stations);
/* When the store is closed. NULL-safe. */
void ca_stations_free(struct ca_stations *stations);

/* ---- who asks ---- */

/* One request of a station. */
struct ca_station {
    char tenant[IPC_NAME_MAX + 1];
    char name[IPC_NAME_MAX + 1];          /* its device ID */
    char operator_name[IPC_NAME_MAX + 1]; /* who is logged in; "": nobody */
    char actor[IPC_TEXT_MAX + 1];         /* for the audit: "cert:<sha256>" */
    char remote[IPC_ADDRESS_MAX + 1];
};
/* The station of a TLS client certificate, by its record, state and purpose. False: `ret` says why
 * it is none. */
MUST_USE bool ca_station_identify(struct ca_stations *stations, struct bytes leaf,
                                  const char *remote, struct ca_station *ret_station,
                                  struct ca_refusal *ret);

/* What is asked of a job. */
enum ca_station_need {
    CA_STATION_LOOKS, /* whatever became of it */
    CA_STATION_STOPS,
    CA_STATION_CLOSES,
    CA_STATION_WORKS, /* it must be open */
};
/* The job as it is stored, if it names the station and takes this from it now. */
MUST_USE bool ca_station_job(struct ca_stations *stations, const struct ca_station *station,
                             const char *job, enum ca_station_need need, struct ca_job *ret_job,
                             struct ca_refusal *ret);

/* ---- units ---- */

/* A unit of the job with its device. */
MUST_USE bool ca_unit_find(struct ca_stations *stations, const struct ca_job *job,
                           const char *device, struct ca_unit *ret_unit,
                           struct ca_device *ret_device, struct ca_refusal *ret);
/* Has the key of this certificate, in use, signed a challenge? */
bool ca_unit_proved(const struct ca_unit *unit, const struct ca_cert_ref *ref);
const char *ca_unit_result_name(uint8_t result); /* "": none yet */
/* 0: there is none of this name. */
uint8_t ca_unit_result_find(const char *name);

#define CA_UNIT_CHALLENGE_SIZE 32 /* octets */
/* A challenge for the unit, and how long it is good. */
MUST_USE bool ca_unit_challenge(struct ca_stations *stations, const struct ca_unit *unit,
                                uint8_t ret[CA_UNIT_CHALLENGE_SIZE], int64_t *ret_until_ms,
                                struct ca_refusal *refusal);

/* Called once: it is durable (outcome 0), or refused. */
typedef void ca_unit_fn(void *arg, const struct ca_refusal *refusal, const struct ca_unit *unit,
                        const struct ca_device *device);

/* An error return of these means that `done` is not called (TM_ENOMEM); all else they copy. */

/* Verifies the unit's signature over a challenge by the key of its certificate of this profile. */
MUST_USE enum tm_err ca_unit_verify(struct ca_stations *stations, const struct ca_station *station,
                                    const struct ca_job *job, const char *device,
                                    const char *profile, struct bytes challenge,
                                    struct bytes signature, ca_unit_fn *done, void *arg);

struct ca_unit_report {
    uint8_t result; /* enum ca_unit_result */
    bool locked;
    char words[IPC_TEXT_MAX + 1]; /* why, and how long it took */
};
/* Records what came of it. PASSED is refused unless each of the job's profiles has its certificate,
 * whose key has signed a challenge, and the unit is locked. */
MUST_USE enum tm_err ca_unit_report(struct ca_stations *stations, const struct ca_station *station,
                                    const struct ca_job *job, const char *device,
                                    const struct ca_unit_report *report, ca_unit_fn *done,
                                    void *arg);
/* Records SCRAPPED in place of a station, which may be gone; the job is open or stopped. */
MUST_USE enum tm_err ca_unit_scrap(struct ca_stations *stations, const char *tenant,
                                   const char *job, const char *device, const char *reason,
                                   const char *actor, ca_unit_fn *done, void *arg);

#endif
