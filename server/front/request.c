/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP request: assembled, judged by est/service, answered there or by the core. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/log.h"
#include "server/front/http_internal.h"

typedef struct MHD_Response MHD_Response;
AUTO_DEFINE(MHD_Response, MHD_destroy_response)

#define BODY_FIRST 4096 /* octets for a body of unknown length, at first */

static void enter(struct front_request *request, enum front_http_phase phase) {
    struct front_http_conn *conn = request->conn;
    conn->http->peers->phase(conn->peer, phase);
}

static void describe(const struct front_request *request, bool proofs, struct est_request *ret) {
    struct front_http_conn *conn = request->conn;
    *ret = (struct est_request){.id = request->call.id,
                                .method = request->method,
                                .path = request->path,
                                .has_query = request->has_query,
                                .content_type = request->content_type,
                                .authorization = request->authorization,
                                .user_agent = request->user_agent,
                                .body = {request->body, request->body_n}};
    conn->http->peers->describe(conn->peer, proofs, ret);
}

static struct est_response new_response(struct front_http *http) {
    return (struct est_response){.body = BUF_ON(http->body)};
}

/* libmicrohttpd adds Date and Content-Length. */
static bool add_headers(struct front_request *request, const struct est_response *response,
                        MHD_Response *mhd) {
    char id[17];
    (void)snprintf(id, sizeof id, "%016" PRIx64, request->call.id);
    bool ok = MHD_add_response_header(mhd, "X-Request-Id", id) == MHD_YES;
    for (size_t i = 0; ok && i < response->header_count; i++)
        ok = MHD_add_response_header(mhd, response->headers[i].name, response->headers[i].value) ==
             MHD_YES;
    if (ok && (response->close || request->conn->http->draining))
        ok = MHD_add_response_header(mhd, "Connection", "close") == MHD_YES;
    return ok;
}

static enum MHD_Result respond(struct front_request *request, struct est_response *response) {
    AUTO(MHD_Response)
    mhd =
        MHD_create_response_from_buffer(response->body.n, response->body.p, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result queued = MHD_NO;
    if (mhd && request->http10)
        (void)MHD_set_response_options(mhd, MHD_RF_HTTP_1_0_SERVER, MHD_RO_END);
    if (mhd && add_headers(request, response, mhd))
        queued = MHD_queue_response(request->conn->mhd, response->status, mhd);
    if (queued == MHD_YES)
        request->status = response->status;
    else
        request->failed = true;
    enter(request, FRONT_HTTP_RESPONSE);
    return queued;
}

static void record(struct front_request *request, struct ipc_refused *refused,
                   const struct est_request *described) {
    if (!refused->outcome)
        return;
    refused->id = request->call.id;
    refused->peer_leaf = described->peer_leaf;
    if (refused->peer_leaf.n > IPC_CERT_MAX)
        refused->peer_leaf.n = 0;
    log_line(LOG_LEVEL_DEBUG, request->call.id, "refused: %s", refused->text);
    front_upstream_refused(request->conn->http->upstream, refused);
}

/* The same of a station's request. */
static enum tm_err judge_station(struct front_request *request, int64_t content_length,
                                 enum MHD_Result *ret_result) {
    struct front_http *http = request->conn->http;
    struct est_response response = new_response(http);
    struct est_request described;
    describe(request, true, &described);
    enum tm_err err = front_station_head(&described, request->operation, content_length,
                                         http->max_body, &response);
    if (err)
        *ret_result = respond(request, &response);
    return err;
}

/* TM_OK: go on; otherwise the refusal was queued, or that failed: *ret_result. */
static enum tm_err judge_head(struct front_request *request, int64_t content_length,
                              enum MHD_Result *ret_result) {
    if (request->is_station)
        return judge_station(request, content_length, ret_result);
    struct front_http *http = request->conn->http;
    struct est_response response = new_response(http);
    struct ipc_refused refused = {.outcome = 0};
    struct est_request described;
    describe(request, false, &described);
    enum tm_err err = est_service_head(http->service, &described, content_length, http->max_body,
                                       &response, &refused);
    if (!err)
        return TM_OK;
    describe(request, true, &described);
    record(request, &refused, &described);
    *ret_result = respond(request, &response);
    return err;
}

static enum MHD_Result take_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                   const char *value) {
    (void)kind;
    struct front_request *request = cls;
    if (strcasecmp(name, "Content-Type") == 0)
        request->content_type = value;
    else if (strcasecmp(name, "Authorization") == 0)
        request->authorization = value;
    else if (strcasecmp(name, "User-Agent") == 0)
        request->user_agent = value;
    else if (strcasecmp(name, "Content-Length") == 0)
        request->content_length = strtoll(value, NULL, 10); /* libmicrohttpd checked the digits */
    else if (strcasecmp(name, "Transfer-Encoding") == 0)
        request->chunked = true;
    return MHD_YES;
}

static void begin(struct front_request *request, const char *method, const char *path,
                  bool has_query) {
    struct front_http_conn *conn = request->conn;
    *request = (struct front_request){.conn = conn,
                                      .call.id = conn->http->next_id++,
                                      .method = method,
                                      .path = path,
                                      .has_query = has_query};
    request->is_station = front_station_path(path, &request->operation);
    (void)MHD_get_connection_values(conn->mhd, MHD_HEADER_KIND, take_header, request);
    if (request->chunked)
        request->content_length = -1;
}

/* A refusal before the body costs the connection, as what follows is not read; so where there is no
 * body, judging waits until the request is complete. */
enum MHD_Result front_request_head(struct front_request *request, const char *method,
                                   const char *path, const char *version, bool has_query) {
    begin(request, method, path, has_query);
    request->http10 = strcmp(version, MHD_HTTP_VERSION_1_0) == 0;
    if (request->content_length == 0)
        return MHD_YES;
    enum MHD_Result result;
    if (judge_head(request, request->content_length, &result))
        return result;
    enter(request, FRONT_HTTP_BODY);
    return MHD_YES;
}

static enum tm_err make_room(struct front_request *request, size_t n) {
    size_t need = request->body_n + n;
    if (need <= request->body_cap)
        return TM_OK;
    size_t cap = request->content_length > 0 ? (size_t)request->content_length : BODY_FIRST;
    while (cap < need)
        cap *= 2;
    uint8_t *body = realloc(request->body, cap);
    if (!body)
        return TM_ENOMEM;
    request->body = body;
    request->body_cap = cap;
    return TM_OK;
}

/* libmicrohttpd can answer only before the body or after it: what is too much (only a chunked body
 * gets this far) is dropped until its end or its deadline, whichever comes first. */
enum MHD_Result front_request_body(struct front_request *request, const char *data, size_t n) {
    request->too_large |= n > request->conn->http->max_body - request->body_n;
    if (request->too_large)
        return MHD_YES;
    if (make_room(request, n))
        return MHD_NO;
    memcpy(request->body + request->body_n, data, n);
    request->body_n += n;
    return MHD_YES;
}

static void sleep_until_reply(struct front_request *request) {
    struct front_http_conn *conn = request->conn;
    conn->suspended = true;
    MHD_suspend_connection(conn->mhd);
    enter(request, FRONT_HTTP_CORE);
}

/* The request does not fit a message to the core: only its certificate can be that large. */
static void refuse_too_large(struct front_request *request, const struct ipc_enroll *enroll,
                             struct est_response *response) {
    static const char text[] = "The TLS client certificate is too large.";
    struct front_http *http = request->conn->http;
    struct ipc_reply reply = {.id = request->call.id, .outcome = IPC_TOO_LARGE};
    struct ipc_refused refused = {.id = request->call.id,
                                  .operation = enroll->operation,
                                  .origin = enroll->origin,
                                  .outcome = IPC_TOO_LARGE};
    memcpy(reply.text, text, sizeof text);
    memcpy(refused.text, text, sizeof text);
    memcpy(refused.label, enroll->label, sizeof refused.label);
    memcpy(refused.remote, enroll->remote, sizeof refused.remote);
    front_upstream_refused(http->upstream, &refused);
    est_service_reply(http->service, &reply, request->user_agent, response);
}

/* EST_ASK_CORE: `ret_question` borrows from the scratch, which wipe_scratch ends. */
static enum est_next consult(struct front_request *request, struct est_response *response,
                             struct front_question *ret_question) {
    struct front_http *http = request->conn->http;
    struct ipc_enroll *ret_enroll = &ret_question->u.enroll;
    struct buf scratch = BUF_ON(http->scratch);
    struct ipc_refused refused = {.outcome = 0};
    struct est_request described;
    ret_question->is_station = request->is_station;
    describe(request, request->is_station || request->content_length != 0, &described);
    if (request->is_station) {
        front_station_ask(&described, request->operation, &ret_question->u.station);
        return EST_ASK_CORE;
    }
    enum est_next next =
        est_service_request(http->service, &described, &scratch, ret_enroll, response, &refused);
    if (next == EST_RESPOND)
        record(request, &refused, &described);
    return next;
}

static void wipe_scratch(void *arg) {
    struct front_http *http = arg;
    bytes_wipe(http->scratch, sizeof http->scratch);
}

static void say_unavailable(const struct front_request *request, struct est_response *response) {
    if (request->is_station)
        front_station_unavailable(response);
    else
        est_service_unavailable(request->conn->http->service, response);
}

static enum MHD_Result ask_core(struct front_request *request,
                                const struct front_question *question,
                                struct est_response *response) {
    struct front_http *http = request->conn->http;
    enum tm_err err = front_upstream_ask(http->upstream, &request->call, question);
    if (!err) {
        sleep_until_reply(request);
        return MHD_YES;
    }
    if (err == TM_ELIMIT && !request->is_station) {
        refuse_too_large(request, &question->u.enroll, response);
    } else {
        front_quiet_log(&http->quiet, LOG_LEVEL_WARN, request->call.id, "cannot ask the core: %s",
                        tm_err_name(err));
        say_unavailable(request, response);
    }
    return respond(request, response);
}

enum MHD_Result front_request_complete(struct front_request *request) {
    struct front_http *http = request->conn->http;
    enum MHD_Result result;
    if (request->too_large && judge_head(request, (int64_t)http->max_body + 1, &result))
        return result;
    if (request->content_length == 0 && judge_head(request, 0, &result))
        return result;
    if (request->is_station && judge_head(request, (int64_t)request->body_n, &result))
        return result; /* of a body whose length was not said */
    struct est_response response = new_response(http);
    struct front_question question;
    if (consult(request, &response, &question) == EST_RESPOND)
        result = respond(request, &response);
    else
        result = ask_core(request, &question, &response);
    wipe_scratch(http);
    return result;
}

/* The Authorization header stands in libmicrohttpd's memory of the connection, which is used again
 * without being cleared; a secret shall not stay in it. */
static void wipe_authorization(struct front_request *request) {
    if (request->authorization)
        bytes_wipe((void *)(uintptr_t)request->authorization, strlen(request->authorization));
    request->authorization = NULL;
}

void front_request_end(struct front_request *request) {
    if (!request->method)
        return;
    log_line(LOG_LEVEL_DEBUG, request->call.id, "%s %s: %u", request->method, request->path,
             request->status);
    front_upstream_forget(request->conn->http->upstream, &request->call);
    wipe_authorization(request);
    if (request->is_station && request->body) /* it may have an operator's secret */
        bytes_wipe(request->body, request->body_cap);
    free(request->body);
    *request = (struct front_request){.conn = request->conn};
}

static struct front_request *request_of(struct front_call *call) {
    return (struct front_request *)((char *)call - offsetof(struct front_request, call));
}

/* If that fails, waking the connection closes it. */
static void respond_late(struct front_request *request, struct est_response *response) {
    (void)respond(request, response);
    front_http_resume(request->conn);
}

static void take_reply(void *arg, struct front_call *call, const struct ipc_reply *reply) {
    struct front_http *http = arg;
    struct front_request *request = request_of(call);
    struct est_response response = new_response(http);
    est_service_reply(http->service, reply, request->user_agent, &response);
    respond_late(request, &response);
    if (reply->key.n)
        bytes_wipe(http->body, sizeof http->body);
}

static void take_station(void *arg, struct front_call *call,
                         const struct ipc_station_answer *answer) {
    struct front_http *http = arg;
    struct est_response response = new_response(http);
    front_station_answer(answer, &response);
    respond_late(request_of(call), &response);
}

static void give_up(void *arg, struct front_call *call) {
    struct front_http *http = arg;
    struct est_response response = new_response(http);
    say_unavailable(request_of(call), &response);
    respond_late(request_of(call), &response);
}

static enum tm_err ask_again(void *arg, struct front_call *call,
                             struct front_question *ret_question) {
    struct front_http *http = arg;
    struct front_request *request = request_of(call);
    struct est_response response = new_response(http);
    if (consult(request, &response, ret_question) == EST_ASK_CORE)
        return TM_OK;
    wipe_scratch(http);
    front_upstream_forget(http->upstream, call);
    respond_late(request, &response);
    return TM_EDENIED;
}

static void take_catalog(void *arg, const struct ipc_catalog *entry) {
    front_http_catalog(arg, entry);
}

static void take_tls(void *arg, const struct ipc_tls_answer *answer) {
    const struct front_http *http = arg;
    if (http->tls_answered)
        http->tls_answered(http->tls_arg, answer);
}

const struct front_upstream_events front_request_events = {.again = ask_again,
                                                           .sent = wipe_scratch,
                                                           .reply = take_reply,
                                                           .station = take_station,
                                                           .late = give_up,
                                                           .catalog = take_catalog,
                                                           .tls = take_tls};
