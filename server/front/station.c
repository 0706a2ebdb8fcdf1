/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of stations over HTTP: see station.h. */
#include "server/front/station.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "/touchmark/v1/station/"
#define RETRY_S 5

bool front_station_path(const char *path, uint8_t *ret_operation) {
    static const struct {
        const char *name;
        uint8_t operation;
    } operations[] = {
        {"jobs", IPC_STATION_JOBS},     {"login", IPC_STATION_LOGIN},
        {"logout", IPC_STATION_LOGOUT}, {"unit", IPC_STATION_UNIT},
        {"verify", IPC_STATION_VERIFY}, {"challenge", IPC_STATION_CHALLENGE},
        {"report", IPC_STATION_REPORT}, {"stop", IPC_STATION_STOP},
        {"close", IPC_STATION_CLOSE},
    };
    if (strncmp(path, PREFIX, strlen(PREFIX)) != 0)
        return false;
    *ret_operation = 0;
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
        if (strcmp(path + strlen(PREFIX), operations[i].name) == 0)
            *ret_operation = operations[i].operation;
    return true;
}

/* As docs/stations.md has them: those of EST, but for what a station is to tell apart. */
static unsigned status_of(enum ipc_outcome outcome) {
    switch (outcome) {
    case IPC_UNKNOWN_DEVICE:
        return 404;
    case IPC_BAD_CHALLENGE:
        return 410;
    case IPC_BUSY:
        return 429;
    case IPC_PENDING:
        return 503;
    default:
        return est_status(outcome);
    }
}

static void add_header(struct est_response *response, const char *name, const char *value) {
    response->headers[response->header_count].name = name;
    response->headers[response->header_count++].value = value;
}

static void start(struct est_response *response, enum ipc_outcome outcome, const char *type) {
    response->status = status_of(outcome);
    response->header_count = 0;
    response->body.n = 0;
    response->body.full = false;
    response->close = false;
    add_header(response, "Content-Type", type);
    if (response->status == 401) /* RFC 9110, 15.5.2 */
        add_header(response, "WWW-Authenticate", "Station realm=\"touchmark\"");
    if (response->status == 405)
        add_header(response, "Allow", "POST");
}

static void refuse(struct est_response *response, enum ipc_outcome outcome, const char *text,
                   uint32_t retry_after_s) {
    start(response, outcome, "text/plain");
    if (retry_after_s) {
        (void)snprintf(response->values, sizeof response->values, "%" PRIu32, retry_after_s);
        add_header(response, "Retry-After", response->values);
    }
    buf_put(&response->body, bytes_str(text));
    buf_put(&response->body, bytes_str("\n"));
}

static const char *judge(const struct est_request *request, uint8_t operation,
                         int64_t content_length, size_t max_body, enum ipc_outcome *ret) {
    uint64_t most = max_body < IPC_STATION_JSON_MAX ? max_body : IPC_STATION_JSON_MAX;
    *ret = IPC_BAD_PATH;
    if (!operation || request->has_query)
        return "No operation of stations has this path.";
    *ret = IPC_BAD_METHOD;
    if (strcmp(request->method, "POST") != 0)
        return "Operations of stations are asked for by POST.";
    *ret = IPC_NO_CREDENTIAL;
    if (!request->peer_leaf.n)
        return "This takes the station's certificate in the TLS handshake.";
    *ret = IPC_BAD_CONTENT_TYPE;
    if (content_length &&
        (!request->content_type || !est_media_type_is(request->content_type, "application/json")))
        return "Content-Type must be application/json.";
    *ret = IPC_TOO_LARGE;
    if (content_length > 0 && (uint64_t)content_length > most)
        return "The request body has too many octets.";
    if (request->peer_leaf.n > IPC_CERT_MAX)
        return "The TLS client certificate is too large.";
    return NULL;
}

enum tm_err front_station_head(const struct est_request *request, uint8_t operation,
                               int64_t content_length, size_t max_body,
                               struct est_response *response) {
    enum ipc_outcome outcome;
    const char *text = judge(request, operation, content_length, max_body, &outcome);
    if (!text)
        return TM_OK;
    refuse(response, outcome, text, 0);
    response->close =
        content_length != 0; /* what is not read would be taken for the next request */
    return TM_EDENIED;
}

void front_station_ask(const struct est_request *request, uint8_t operation,
                       struct ipc_station_ask *ret) {
    *ret = (struct ipc_station_ask){.id = request->id,
                                    .operation = operation,
                                    .peer_leaf = request->peer_leaf,
                                    .json = request->body};
    TEXT_SET(ret->remote, request->remote ? request->remote : "");
}

void front_station_answer(const struct ipc_station_answer *answer, struct est_response *response) {
    if (answer->outcome != IPC_ISSUED) {
        refuse(response, (enum ipc_outcome)answer->outcome, answer->text, answer->retry_after_s);
        return;
    }
    start(response, IPC_ISSUED, "application/json");
    buf_put(&response->body, answer->json);
    buf_put(&response->body, bytes_str("\n"));
}

void front_station_unavailable(struct est_response *response) {
    refuse(response, IPC_UNAVAILABLE,
           "The server cannot answer now: send the same request again later.", RETRY_S);
}
