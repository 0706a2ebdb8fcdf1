/* SPDX-License-Identifier: Apache-2.0 */
/* Which station asks for what, and how it is answered: see station.h. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/core/station_internal.h"

AUTO_DEFINE(json_t, json_decref)

#define RETRY_S 5 /* of what cannot be done now */

enum tm_err core_station_new(const struct core_station_config *config,
                             struct core_station **ret_station) {
    struct core_station *core = calloc(1, sizeof *core);
    if (!core)
        return TM_ENOMEM;
    core->config = *config;
    const struct ca_stations_config stations = {.store = config->store,
                                                .jobs = config->jobs,
                                                .withdrawals = config->withdrawals,
                                                .now_ms = config->now_ms};
    enum tm_err err = ca_stations_new(&stations, &core->stations);
    if (!err)
        err = core_worker_new(config->loop, &core->worker);
    if (err)
        core_station_free(core);
    else
        *ret_station = core;
    return err;
}

static void asking_free(struct station_asking *a) {
    if (a->prev)
        a->prev->next = a->next;
    else
        a->core->first = a->next;
    if (a->next)
        a->next->prev = a->prev;
    station_login_free(a->login);
    free(a);
}

void core_station_stop(struct core_station *station) {
    if (!station)
        return;
    core_worker_free(station->worker);
    station->worker = NULL;
}

void core_station_free(struct core_station *station) {
    if (!station)
        return;
    core_station_stop(station);
    while (station->first)
        asking_free(station->first);
    ca_stations_free(station->stations);
    free(station);
}

struct ca_stations *core_station_stations(const struct core_station *station) {
    return station->stations;
}

void core_station_unlink(struct core_station *station, const struct ipc_link *link) {
    for (struct station_asking *a = station ? station->first : NULL; a; a = a->next)
        if (a->link == link)
            a->link = NULL;
}

/* ---- answers ---- */

static void send_answer(struct ipc_link *link, const struct ipc_station_answer *answer) {
    enum tm_err err = link ? ipc_link_send(link, &ipc_station_answer_schema, answer) : TM_ECLOSED;
    if (err && err != TM_ECLOSED)
        log_line(LOG_LEVEL_WARN, answer->id, "answer to a station not delivered: %s",
                 tm_err_name(err));
}

void station_answer(struct station_asking *a, json_t *object) {
    struct ipc_station_answer answer = {.id = a->id, .outcome = IPC_ISSUED};
    AUTO_MEM char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (!text || strlen(text) > IPC_STATION_JSON_MAX) {
        station_refuse_text(a, IPC_UNAVAILABLE, "the answer cannot be made");
        return;
    }
    answer.json = bytes_str(text);
    send_answer(a->link, &answer);
    asking_free(a);
}

static void record(const struct station_asking *a, const struct ca_refusal *refusal) {
    struct ca_leaf leaf = {.event = CA_EVENT_REFUSED,
                           .time_ms = a->core->config.now_ms(),
                           .request = a->id,
                           .origin = IPC_ORIGIN_HTTPS,
                           .outcome = (uint8_t)refusal->outcome};
    TEXT_SET(leaf.tenant, a->station.tenant);
    TEXT_SET(leaf.device, a->device);
    TEXT_SET(leaf.station, a->station.name);
    TEXT_SET(leaf.job, a->job);
    TEXT_SET(leaf.operator_name, a->station.operator_name);
    TEXT_SET(leaf.actor, a->station.actor);
    TEXT_SET(leaf.remote, a->station.remote);
    TEXT_SET(leaf.reason, refusal->text);
    ca_service_refused_leaf(a->core->config.service, &leaf);
}

void station_refuse(struct station_asking *a, const struct ca_refusal *refusal,
                    uint32_t retry_after_s) {
    bool later = refusal->outcome == IPC_UNAVAILABLE || refusal->outcome == IPC_BUSY;
    struct ipc_station_answer answer = {.id = a->id,
                                        .outcome = (uint8_t)refusal->outcome,
                                        .retry_after_s = retry_after_s ? retry_after_s
                                                         : later       ? RETRY_S
                                                                       : 0};
    TEXT_SET(answer.text, refusal->text);
    if (!later)
        record(a, refusal);
    send_answer(a->link, &answer);
    asking_free(a);
}

void station_refuse_text(struct station_asking *a, enum ipc_outcome outcome, const char *text) {
    struct ca_refusal refusal = {.outcome = outcome};
    TEXT_SET(refusal.text, text);
    station_refuse(a, &refusal, 0);
}

enum ipc_outcome station_outcome(enum tm_err err) {
    return err == TM_EDENIED     ? IPC_CONFLICT
           : err == TM_ENOTFOUND ? IPC_UNKNOWN_DEVICE
                                 : IPC_UNAVAILABLE;
}

/* ---- questions ---- */

static json_t *parse(struct bytes json) {
    json_t *object = json.n ? json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES, NULL)
                            : json_object();
    if (json_is_object(object))
        return object;
    json_decref(object);
    return NULL;
}

static struct station_asking *asking_new(struct core_station *core, struct ipc_link *link,
                                         uint64_t id) {
    struct station_asking *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    *a = (struct station_asking){.core = core, .next = core->first, .link = link, .id = id};
    if (core->first)
        core->first->prev = a;
    core->first = a;
    return a;
}

void core_station_asked(struct core_station *station, struct ipc_link *link,
                        const struct ipc_station_ask *ask) {
    struct station_asking *a = asking_new(station, link, ask->id);
    AUTO(json_t) request = parse(ask->json);
    station_op_fn *op = station_op(ask->operation);
    struct ca_refusal refusal = {0};
    bytes_wipe((void *)(uintptr_t)ask->json.p, ask->json.n);
    if (!a) {
        send_answer(link, &(struct ipc_station_answer){.id = ask->id,
                                                       .outcome = IPC_UNAVAILABLE,
                                                       .retry_after_s = RETRY_S,
                                                       .text = "the server has no memory now"});
        return;
    }
    if (!ca_station_identify(station->stations, ask->peer_leaf, ask->remote, &a->station, &refusal))
        station_refuse(a, &refusal, 0);
    else if (!op || !request)
        station_refuse_text(a, IPC_BAD_BODY, "the body is not one JSON object");
    else
        op(a, request);
}
