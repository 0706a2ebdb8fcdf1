/* SPDX-License-Identifier: Apache-2.0 */
/* One request: what it is for, and what it gets. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "est/wire/http.h"
#include "server/status/http_internal.h"

#define DROPPED_MAX 65536 /* of a body that is too large, so that who sends it hears why */
#define RETRY_AFTER "10"  /* seconds */

static const char too_large[] = "The request is larger than an OCSP request has to be.";

static const char *header(const struct status_conn *conn, const char *name) {
    return MHD_lookup_connection_value(conn->mhd, MHD_HEADER_KIND, name);
}

/* A body that nobody wants is not waited for. */
enum MHD_Result status_request_head(struct status_conn *conn, const char *method,
                                    const char *path) {
    const char *length = header(conn, MHD_HTTP_HEADER_CONTENT_LENGTH);
    conn->busy = true;
    conn->method = method;
    conn->target = status_target_of(conn->http->config.base, path);
    if (length && strtoull(length, NULL, 10) > DROPPED_MAX)
        return status_respond_text(conn, 413, too_large, NULL, NULL);
    return MHD_YES;
}

enum MHD_Result status_request_body(struct status_conn *conn, const char *data, size_t n) {
    conn->too_large |= n > STATUS_OCSP_REQUEST_MAX - conn->body_n;
    if (conn->too_large) {
        conn->dropped += n;
        return conn->dropped > DROPPED_MAX ? MHD_NO : MHD_YES;
    }
    if (!conn->body && !(conn->body = malloc(STATUS_OCSP_REQUEST_MAX)))
        return MHD_NO;
    memcpy(conn->body + conn->body_n, data, n);
    conn->body_n += n;
    return MHD_YES;
}

static enum MHD_Result give_file(struct status_conn *conn) {
    const struct status_entry *entry =
        status_table_find(conn->http->config.table, conn->target.rest);
    if (!entry)
        return status_respond_text(conn, 404, "Nothing is published under this name.", NULL, NULL);
    if (!entry->item)
        return status_respond_text(conn, 503, "This has not been published yet; try again.",
                                   MHD_HTTP_HEADER_RETRY_AFTER, RETRY_AFTER);
    return status_respond_item(conn, entry->item);
}

/* RFC 5019, 2.1.1: requests are for one certificate. What cannot be answered here is "unauthorized"
 * (2.2.3). */
static enum MHD_Result give_status(struct status_conn *conn, struct bytes der) {
    struct pki_ocsp_request request;
    struct status_item *item;
    enum tm_err err = pki_ocsp_request_parse(der, &request);
    if (err == TM_EPARSE)
        return status_respond_error(conn, status_ocsp_error(STATUS_OCSP_MALFORMED));
    if (err || request.count != 1 || request.ids[0].whole.n > IPC_OCSP_ID_MAX)
        return status_respond_error(conn, status_ocsp_error(STATUS_OCSP_UNAUTHORIZED));
    err = status_ocsp_ask(conn->http->config.ocsp, &request.ids[0], &conn->ask, &item);
    if (err == TM_OK)
        return status_respond_item(conn, item);
    if (err != TM_EAGAIN)
        return status_respond_error(conn, status_ocsp_error(STATUS_OCSP_TRY_LATER));
    status_conn_suspend(conn);
    return MHD_YES;
}

static enum MHD_Result give_ocsp(struct status_conn *conn) {
    uint8_t der[STATUS_OCSP_REQUEST_MAX];
    struct buf request = BUF_ON(der);
    if (conn->target.rest[0] == '\0') {
        if (!est_media_type_is(header(conn, MHD_HTTP_HEADER_CONTENT_TYPE),
                               "application/ocsp-request"))
            return status_respond_text(
                conn, 415, "The content type has to be application/ocsp-request.", NULL, NULL);
        return give_status(conn, (struct bytes){conn->body, conn->body_n});
    }
    if (status_target_request(conn->target.rest, &request))
        return status_respond_text(
            conn, 400, "What follows /ocsp/ has to be an OCSP request in base64.", NULL, NULL);
    return give_status(conn, buf_bytes(&request));
}

enum MHD_Result status_request_complete(struct status_conn *conn) {
    const char *allow;
    if (conn->too_large)
        return status_respond_text(conn, 413, too_large, NULL, NULL);
    if (conn->target.kind == STATUS_NOTHING)
        return status_respond_text(conn, 404, "There is nothing here.", NULL, NULL);
    if (!status_target_allows(&conn->target, conn->method, &allow))
        return status_respond_text(conn, 405, "This method is not for this.", MHD_HTTP_HEADER_ALLOW,
                                   allow);
    return conn->target.kind == STATUS_FILE ? give_file(conn) : give_ocsp(conn);
}

void status_request_end(struct status_conn *conn) {
    status_ocsp_forget(&conn->ask);
    free(conn->body);
    conn->body = NULL;
    conn->body_n = conn->dropped = 0;
    conn->too_large = conn->busy = false;
    conn->method = NULL;
}

/* If there is no memory for the response, waking the connection closes it. */
void status_http_answered(struct status_http *http, struct status_ask *ask,
                          struct status_item *item, struct bytes error) {
    struct status_conn *conn =
        (struct status_conn *)((char *)ask - offsetof(struct status_conn, ask));
    (void)http;
    conn->failed =
        (item ? status_respond_item(conn, item) : status_respond_error(conn, error)) != MHD_YES;
    status_conn_resume(conn);
}
