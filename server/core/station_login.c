/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging in at a station. The secret's hash is made on a thread; whether the operator exists is
 * told neither by the answer nor by the time that it takes.
 */
#include <stdlib.h>
#include <string.h>

#include "server/core/station_internal.h"

struct station_login {
    struct core_job job; /* of the worker */
    struct station_asking *asking;
    struct ca_operator person; /* version 0: there is none of that name */
    char name[IPC_NAME_MAX + 1];
    size_t secret_n;
    uint8_t secret[IPC_SECRET_MAX];
    uint8_t hash[CA_HASH_SIZE];
    enum tm_err err;
};

void station_login_free(struct station_login *login) {
    if (!login)
        return;
    bytes_wipe(login, sizeof *login);
    free(login);
}

/* ---- what came of it ---- */

static void recorded(void *arg, enum tm_err result, const char *text, int64_t until_ms) {
    struct station_asking *a = arg;
    struct ca_refusal refusal = {.outcome =
                                     result == TM_EDENIED ? IPC_BAD_SECRET : IPC_UNAVAILABLE};
    TEXT_SET(refusal.text, text);
    if (result)
        station_refuse(a, &refusal, result == TM_EDENIED ? (uint32_t)(until_ms / 1000) : 0);
    else if (a->login)
        station_answer(a, json_pack("{s:s, s:o}", "operator", a->login->name, "until",
                                    station_seconds(until_ms)));
    else
        station_answer(a, json_object());
}

static void record(struct station_asking *a, const char *name, uint64_t version, bool good) {
    const struct core_station_config *config = &a->core->config;
    struct ca_login login = {.operator_version = version,
                             .good = good,
                             .now_ms = config->now_ms(),
                             .shift_ms = config->shift_ms};
    TEXT_SET(login.tenant, a->station.tenant);
    TEXT_SET(login.station, a->station.name);
    TEXT_SET(login.operator_name, name);
    TEXT_SET(login.actor, a->station.actor);
    TEXT_SET(login.remote, a->station.remote);
    if (ca_login_record(config->store, &login, recorded, a))
        station_refuse_text(a, IPC_UNAVAILABLE, "the server has no memory for this now");
}

/* ---- judging ---- */

static void derive(struct core_job *job) {
    struct station_login *login = (struct station_login *)job;
    login->err = ca_operator_derive((struct bytes){login->secret, login->secret_n},
                                    login->person.salt, login->hash);
}

static void derived(struct core_job *job) {
    const struct station_login *login = (struct station_login *)job;
    struct station_asking *a = login->asking;
    if (login->err) {
        station_refuse_text(a, IPC_UNAVAILABLE, "the secret cannot be judged now");
        return;
    }
    bool same = bytes_equal_secret(BYTES_OF(login->hash), BYTES_OF(login->person.hash));
    record(a, login->name, login->person.version, same && login->person.version);
}

static bool may_try(struct station_asking *a) {
    const struct core_station_config *config = &a->core->config;
    struct ca_refusal refusal = {0};
    struct ca_shift shift;
    int64_t now_ms = config->now_ms();
    if (ca_shift_read(config->store, a->station.tenant, a->station.name, &shift)) {
        station_refuse_text(a, IPC_UNAVAILABLE, "the registry cannot be read; try again later");
        return false;
    }
    if (now_ms >= shift.retry_ms || shift.retry_ms - now_ms > CA_LOGIN_WAIT_MAX_MS)
        return true;
    (void)ca_refuse(&refusal, IPC_BUSY, "logging in failed %u times at this station; wait",
                    (unsigned)shift.failures);
    station_refuse(a, &refusal, (uint32_t)((shift.retry_ms - now_ms + 999) / 1000));
    return false;
}

static struct station_login *login_new(struct station_asking *a, const char *name,
                                       const char *secret) {
    struct ca_store *store = a->core->config.store;
    struct station_login *login = calloc(1, sizeof *login);
    if (!login)
        return NULL;
    login->job = (struct core_job){.work = derive, .done = derived};
    login->asking = a;
    TEXT_SET(login->name, name);
    login->secret_n = strlen(secret);
    memcpy(login->secret, secret, login->secret_n);
    TEXT_SET(login->person.tenant, a->station.tenant);
    TEXT_SET(login->person.name, name);
    if (store->ops->row(store, CA_TABLE_OPERATOR, &login->person, NULL))
        login->person.version = 0;
    return login;
}

/* One at a time for a station: who asks many at once does not try many at once. */
static bool is_first(const struct station_asking *a) {
    for (const struct station_asking *other = a->core->first; other; other = other->next)
        if (other != a && other->login && strcmp(other->station.name, a->station.name) == 0 &&
            strcmp(other->station.tenant, a->station.tenant) == 0)
            return false;
    return true;
}

void station_login(struct station_asking *a, json_t *request) {
    const char *name = NULL, *secret = NULL;
    int unpacked = json_unpack(request, "{s:s, s:s !}", "operator", &name, "secret", &secret);
    bool good =
        !unpacked && name[0] && strlen(name) <= IPC_NAME_MAX && strlen(secret) <= IPC_SECRET_MAX;
    for (const char *p = good ? name : ""; *p; p++)
        good &= (unsigned char)*p >= 0x20 && *p != 0x7f;
    if (!good) {
        station_refuse_text(a, IPC_BAD_BODY, "login takes operator and secret, and nothing else");
    } else if (!is_first(a)) {
        station_refuse_text(a, IPC_BUSY, "somebody is logging in at this station; wait");
    } else if (may_try(a)) {
        a->login = login_new(a, name, secret);
        if (a->login)
            core_worker_run(a->core->worker, &a->login->job);
        else
            station_refuse_text(a, IPC_UNAVAILABLE, "the server has no memory for this now");
    }
    if (secret)
        bytes_wipe((void *)(uintptr_t)secret, strlen(secret));
}

void station_logout(struct station_asking *a, json_t *request) {
    if (json_object_size(request) != 0)
        station_refuse_text(a, IPC_BAD_BODY, "logout takes nothing");
    else
        record(a, "", 0, true);
}
