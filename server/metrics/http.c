/* SPDX-License-Identifier: Apache-2.0 */
/* See http.h. */
#include "server/metrics/http.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "server/metrics/text.h"

typedef struct MHD_Response MHD_Response;
AUTO_DEFINE(MHD_Response, MHD_destroy_response)

#define CONNECTIONS_MAX 64 /* more are closed */
#define SENTENCE_TYPE "text/plain; charset=utf-8"

enum target { TARGET_NONE, TARGET_HEALTH, TARGET_READY, TARGET_METRICS };

struct metrics_conn {
    struct front_plain_conn plain;
    enum target target;
    bool asked; /* it is suspended, and what it wants is being asked for */
};

/* ---- responses ---- */

static enum MHD_Result respond(struct metrics_conn *conn, unsigned status, struct bytes body,
                               const char *type, const char *allow) {
    AUTO(MHD_Response)
    response = front_plain_response(body, type, allow ? MHD_HTTP_HEADER_ALLOW : NULL, allow);
    if (!response ||
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") != MHD_YES)
        return MHD_NO;
    return MHD_queue_response(conn->plain.mhd, status, response);
}

static enum target target_of(const char *path) {
    static const struct {
        const char *path;
        enum target target;
    } rows[] = {
        {"/healthz", TARGET_HEALTH}, {"/readyz", TARGET_READY}, {"/metrics", TARGET_METRICS}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(path, rows[i].path) == 0)
            return rows[i].target;
    return TARGET_NONE;
}

/* Before a body, for which nobody here has a use, is waited for. */
static enum MHD_Result head(struct front_plain_conn *plain, const char *method, const char *path) {
    struct metrics_conn *conn = (struct metrics_conn *)plain;
    conn->target = target_of(path);
    if (conn->target == TARGET_NONE)
        return respond(conn, 404, bytes_str("There is nothing here.\n"), SENTENCE_TYPE, NULL);
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return respond(conn, 405, bytes_str("This method is not for this.\n"), SENTENCE_TYPE,
                       "GET, HEAD");
    return MHD_YES;
}

static enum MHD_Result complete(struct front_plain_conn *plain) {
    struct metrics_conn *conn = (struct metrics_conn *)plain;
    const struct metrics_http *http = front_plain_arg(plain);
    if (conn->target == TARGET_HEALTH)
        return respond(conn, 200, bytes_str("ok\n"), SENTENCE_TYPE, NULL);
    front_plain_suspend(plain);
    http->wanted(http->arg);
    return MHD_YES;
}

static enum MHD_Result give(struct metrics_conn *conn, struct bytes metrics, struct bytes reasons) {
    if (conn->target == TARGET_METRICS)
        return respond(conn, 200, metrics, METRICS_TEXT_TYPE, NULL);
    return reasons.n ? respond(conn, 503, reasons, SENTENCE_TYPE, NULL)
                     : respond(conn, 200, bytes_str("ready\n"), SENTENCE_TYPE, NULL);
}

void metrics_http_asked(struct metrics_http *http) {
    for (struct front_plain_conn *conn = front_plain_first(http->server); conn;
         conn = TAILQ_NEXT(conn, entry))
        ((struct metrics_conn *)conn)->asked = conn->suspended;
}

/* If there is no memory for the response, waking the connection closes it. */
bool metrics_http_answer(struct metrics_http *http, struct bytes metrics, struct bytes reasons) {
    bool others = false;
    for (struct front_plain_conn *conn = front_plain_first(http->server); conn;
         conn = TAILQ_NEXT(conn, entry)) {
        struct metrics_conn *own = (struct metrics_conn *)conn;
        others |= conn->suspended && !own->asked;
        if (!conn->suspended || !own->asked)
            continue;
        own->asked = false;
        conn->failed = give(own, metrics, reasons) != MHD_YES;
        front_plain_resume(conn);
    }
    return others;
}

static void drained(void *arg) {
    const struct metrics_http *http = arg;
    http->drained(http->arg);
}

/* A connection keeps its first deadline. */
enum tm_err metrics_http_open(struct metrics_http *http, struct loop *loop, int listen_fd) {
    static const struct front_plain_requests requests = {.head = head, .complete = complete};
    const struct front_plain_config config = {.loop = loop,
                                              .listen_fd = listen_fd,
                                              .connections_max = CONNECTIONS_MAX,
                                              .conn_size = sizeof(struct metrics_conn),
                                              .requests = &requests,
                                              .drained = drained,
                                              .arg = http};
    return front_plain_open(&config, &http->server);
}
