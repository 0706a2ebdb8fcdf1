/* SPDX-License-Identifier: Apache-2.0 */
/* See server.h. */
#include "client/station/server.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/agent/agent.h"
#include "client/port/curl.h"
#include "client/port/run.h"
#include "est/wire/certs_only.h"

#define PAUSE_MIN_MS 250
#define PAUSE_MAX_MS 10000
#define REQUEST_MAX 16384 /* octets of JSON */

struct station_server {
    const struct station_conf *conf;
    int stop_fd;
    struct tm_exchange credential; /* of the certificate in use */
    struct agent_conf agent_conf;
    struct agent agent;
};

/* ---- open and close ---- */

struct agent_conf station_agent_conf(const struct station_conf *conf, char *status) {
    return (struct agent_conf){
        .device = conf->station,
        .transport = AGENT_TRANSPORT_HTTPS,
        .server = conf->server,
        .anchors = conf->anchors,
        .bootstrap = conf->bootstrap,
        .environment = conf->environment,
        .state = conf->state,
        .status = status,
        .log_level = conf->log_level,
        .labels = {.ldevid = conf->label},
        .keys = {.store = conf->keys.store,
                 .module = conf->keys.module,
                 .token = conf->keys.token,
                 .label = conf->keys.label,
                 .pin_file = conf->keys.pin_file},
        .requests = {.timeout = conf->requests.timeout,
                     .connect_timeout = conf->requests.connect_timeout},
        .renewal = {.soak = 1000, .backoff_min = 1000, .backoff_max = 60000},
    };
}

static enum outcome credential_of(struct station_server *server, struct why *why) {
    const struct tm_device *device = &server->agent.device;
    struct tm_status status;
    int64_t now = clock_wall_ms();
    tm_device_status(device, tm_clock_now(), &status);
    if (tm_device_credential(device, TM_SLOT_CURRENT, &server->credential))
        return because(OUTCOME_DENIED, why, "the station has no certificate: enroll it first");
    if (now >= status.slots[TM_SLOT_CURRENT].not_after_ms)
        return because(OUTCOME_DENIED, why, "the station's certificate has ended: enroll it again");
    return OUTCOME_DONE;
}

enum outcome station_server_open(const struct station_conf *conf, int stop_fd,
                                 struct station_server **ret, struct why *ret_why) {
    struct station_server *server = calloc(1, sizeof *server);
    if (!server)
        return because(OUTCOME_UNREACHABLE, ret_why, "out of memory");
    server->conf = conf;
    server->stop_fd = stop_fd;
    server->agent_conf = station_agent_conf(conf, NULL);
    enum agent_exit code = agent_open(&server->agent, &server->agent_conf);
    if (code != AGENT_EXIT_DONE) {
        free(server);
        return because(code == AGENT_EXIT_AGAIN ? OUTCOME_UNREACHABLE : OUTCOME_DENIED, ret_why,
                       "the station's key and certificate below %s cannot be used", conf->state);
    }
    enum outcome outcome = credential_of(server, ret_why);
    if (outcome == OUTCOME_DONE)
        *ret = server;
    else
        station_server_close(server);
    return outcome;
}

void station_server_close(struct station_server *server) {
    if (!server)
        return;
    agent_close(&server->agent);
    free(server);
}

/* ---- asking again ---- */

struct patience {
    int64_t until_ms, pause_ms;
};

static struct patience begin(const struct station_server *server) {
    return (struct patience){clock_mono_ms() + server->conf->requests.patience, PAUSE_MIN_MS};
}

static bool is_stopped(const struct station_server *server, int64_t ms) {
    struct pollfd fd = {.fd = server->stop_fd, .events = POLLIN};
    return poll(&fd, 1, (int)ms) > 0;
}

/* Is it worth asking again, and was it not told to stop while it waited? */
static bool may_repeat(const struct station_server *server, struct patience *patience,
                       const struct tm_answer *answer) {
    int64_t pause = patience->pause_ms, asked = (int64_t)answer->retry_after_s * 1000;
    if (answer->result != TM_RESULT_NETWORK && answer->result != TM_RESULT_LATER)
        return false;
    if (asked > pause)
        pause = asked;
    if (clock_mono_ms() + pause > patience->until_ms || is_stopped(server, pause))
        return false;
    patience->pause_ms =
        patience->pause_ms * 2 < PAUSE_MAX_MS ? patience->pause_ms * 2 : PAUSE_MAX_MS;
    return true;
}

static enum outcome outcome_of(const struct station_server *server, const struct tm_answer *answer,
                               struct why *why) {
    switch (answer->result) {
    case TM_RESULT_OK:
        return OUTCOME_DONE;
    case TM_RESULT_NETWORK:
    case TM_RESULT_LATER:
        if (is_stopped(server, 0))
            return because(OUTCOME_INTERRUPTED, why, "interrupted");
        return because(OUTCOME_UNREACHABLE, why, "%s: %s", server->conf->server, answer->text);
    case TM_RESULT_UNTRUSTED:
        return because(OUTCOME_DENIED, why, "%s", answer->text);
    case TM_RESULT_DENIED:
    case TM_RESULT_REFUSED:
        break;
    }
    return because(OUTCOME_REFUSED, why, "%s", answer->text);
}

/* ---- EST ---- */

static enum outcome exchange_est(struct station_server *server, enum tm_operation operation,
                                 const char *label, struct bytes csr, struct buf *out,
                                 struct why *why) {
    const struct tm_transport *transport = tm_curl_transport(server->agent.parts.curl);
    struct tm_exchange exchange = server->credential;
    struct patience patience = begin(server);
    struct tm_answer answer;
    struct bytes certificates;
    exchange.operation = operation;
    exchange.label = label;
    exchange.body = csr;
    do
        transport->exchange(transport->self, &exchange, &answer);
    while (may_repeat(server, &patience, &answer));
    enum outcome outcome = outcome_of(server, &answer, why);
    if (outcome != OUTCOME_DONE)
        return outcome;
    if (est_certs_only_read(answer.body, &certificates))
        return because(OUTCOME_REFUSED, why, "the answer is not certs-only (RFC 7030, 4.1.3)");
    buf_put(out, certificates);
    return out->full ? because(OUTCOME_REFUSED, why, "the answer is too large") : OUTCOME_DONE;
}

enum outcome station_server_cacerts(struct station_server *server, const char *label,
                                    struct buf *out, struct why *ret_why) {
    return exchange_est(server, TM_OP_CACERTS, label, (struct bytes){0}, out, ret_why);
}

enum outcome station_server_enroll(struct station_server *server, const char *label,
                                   struct bytes csr, struct buf *out, struct why *ret_why) {
    return exchange_est(server, TM_OP_ENROLL, label, csr, out, ret_why);
}

/* ---- operations ---- */

static enum outcome post(struct station_server *server, const char *operation, struct bytes json,
                         struct tm_answer *ret, long *ret_status, struct why *why) {
    char path[64];
    struct patience patience = begin(server);
    (void)snprintf(path, sizeof path, "/touchmark/v1/station/%s", operation);
    do
        tm_curl_post(server->agent.parts.curl, &server->credential, path, json, ret, ret_status);
    while (may_repeat(server, &patience, ret));
    enum outcome outcome = outcome_of(server, ret, why);
    return outcome == OUTCOME_REFUSED && *ret_status == 401 ? OUTCOME_DENIED : outcome;
}

static enum outcome parse(struct bytes text, json_t **ret, struct why *why) {
    json_error_t error;
    json_t *object = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(object)) {
        json_decref(object);
        return because(OUTCOME_REFUSED, why, "the answer is not a JSON object");
    }
    *ret = object;
    return OUTCOME_DONE;
}

enum outcome station_server_call(struct station_server *server, const char *operation,
                                 json_t *request, json_t **ret, long *ret_status,
                                 struct why *ret_why) {
    AUTO(json_t) taken = request;
    struct tm_answer answer;
    char text[REQUEST_MAX]; /* in one place, for a request may hold a secret */
    size_t n = taken ? json_dumpb(taken, text, sizeof text, JSON_COMPACT) : 0;
    *ret_status = 0;
    if (n == 0 || n > sizeof text)
        return because(OUTCOME_REFUSED, ret_why, "%s: no such request", operation);
    enum outcome outcome =
        post(server, operation, (struct bytes){(uint8_t *)text, n}, &answer, ret_status, ret_why);
    bytes_wipe(text, sizeof text);
    return outcome == OUTCOME_DONE ? parse(answer.body, ret, ret_why) : outcome;
}
