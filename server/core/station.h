/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stations ask for beside certificates (docs/stations.md): JSON from fronts to ca/station.h
 * and back. Logins are judged on a thread, for a secret's hash takes tens of milliseconds.
 *
 *   station.c       who asks, for what; answers
 *   station_ops.c   the operations
 *   station_json.c  jobs and units as JSON
 *   station_login.c logging in
 */
#ifndef TOUCHMARK_SERVER_CORE_STATION_H
#define TOUCHMARK_SERVER_CORE_STATION_H

#include "ca/station.h"
#include "server/core/core.h"
#include "server/core/worker.h"

struct core_station;
struct core_station_config {
    struct loop *loop;
    struct ca_store *store;
    struct ca_service *service; /* for refusals in the audit */
    struct ca_jobs *jobs;
    const struct core_setup *setup;
    const struct ca_withdrawals *withdrawals;
    int64_t shift_ms;
    int64_t (*now_ms)(void);
};

/* Makes its thread: before the process confines itself. TM_ENOMEM, TM_ECRYPTO, TM_EIO. */
MUST_USE enum tm_err core_station_new(const struct core_station_config *config,
                                      struct core_station **ret_station);
/* Ends its thread; before the store is closed. NULL-safe. */
void core_station_stop(struct core_station *station);
/* When the store is closed. NULL-safe. */
void core_station_free(struct core_station *station);
/* Who changes units; as long as it is not freed. */
struct ca_stations *core_station_stations(const struct core_station *station);
/* Answers over the link, now or later; wipes what was asked. */
void core_station_asked(struct core_station *station, struct ipc_link *link,
                        const struct ipc_station_ask *ask);
/* The link is gone: nobody waits for its answers. NULL-safe. */
void core_station_unlink(struct core_station *station, const struct ipc_link *link);

#endif
