/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of server/core/station.h share. */
#ifndef TOUCHMARK_SERVER_CORE_STATION_INTERNAL_H
#define TOUCHMARK_SERVER_CORE_STATION_INTERNAL_H

#include <jansson.h>

#include "base/auto.h"
#include "ca/csr_check.h"
#include "ca/operator.h"
#include "server/core/station.h"

struct core_station {
    struct core_station_config config;
    struct ca_stations *stations;
    struct core_worker *worker;
    struct station_asking *first;
};

/* One question until it is answered. */
struct station_asking {
    struct core_station *core;
    struct station_asking *prev, *next;
    struct ipc_link *link; /* NULL: nobody waits any more */
    uint64_t id;
    struct ca_station station;
    char job[IPC_NAME_MAX + 1];
    char device[IPC_NAME_MAX + 1];
    struct station_login *login; /* NULL: it is none */
};

/* ---- station.c ---- */

/* Each ends the asking. Takes the reference to object over. */
void station_answer(struct station_asking *a, json_t *object);
void station_refuse(struct station_asking *a, const struct ca_refusal *refusal,
                    uint32_t retry_after_s);
void station_refuse_text(struct station_asking *a, enum ipc_outcome outcome, const char *text);
/* What a change in ca/ came to, as an outcome. */
enum ipc_outcome station_outcome(enum tm_err err);

/* ---- station_ops.c ---- */

typedef void station_op_fn(struct station_asking *a, json_t *request);
/* NULL: there is no such operation. */
station_op_fn *station_op(uint8_t operation);

/* ---- station_json.c ---- */

json_t *station_job_json(const struct core_station *core, const struct ca_job *job);
json_t *station_unit_json(const struct core_station *core, const struct ca_unit *unit,
                          const struct ca_device *device);
json_t *station_verified_json(const struct ca_unit *unit, const struct ca_device *device);
json_t *station_seconds(int64_t ms);

/* ---- station_login.c ---- */

station_op_fn station_login, station_logout;
void station_login_free(struct station_login *login);

#endif
