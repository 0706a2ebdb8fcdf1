/* SPDX-License-Identifier: Apache-2.0 */
/* Responses. All headers together stay far below 1 KB: some clients read no more at once. */
#include "est/service/response.h"

#include <inttypes.h>
#include <stdio.h>

#include "est/service/quirks.h"
#include "est/wire/base64.h"

/* RFC 7617; one realm, as a device has one secret. */
static const char challenge[] = "Basic realm=\"touchmark\"";

static void start(struct est_response *response, unsigned status) {
    response->status = status;
    response->header_count = 0;
    response->body.n = 0;
    response->body.full = false;
    response->close = false;
}

void response_header(struct est_response *response, const char *name, const char *value) {
    response->headers[response->header_count].name = name;
    response->headers[response->header_count].value = value;
    response->header_count++;
}

void response_empty(struct est_response *response, unsigned status) {
    start(response, status);
}

/* With what a status has to have, whatever the body is. */
static void start_body(struct est_response *response, unsigned status, const char *type,
                       uint32_t retry_after_s) {
    start(response, status);
    response_header(response, "Content-Type", type);
    if (status == 401) /* RFC 9110, 15.5.2 */
        response_header(response, "WWW-Authenticate", challenge);
    if (retry_after_s > 0) {
        (void)snprintf(response->values, sizeof response->values, "%" PRIu32, retry_after_s);
        response_header(response, "Retry-After", response->values);
    }
}

void response_text(struct est_response *response, enum ipc_outcome outcome, const char *text,
                   uint32_t retry_after_s) {
    start_body(response, est_status(outcome), "text/plain", retry_after_s);
    buf_put(&response->body, bytes_str(text));
    buf_put(&response->body, bytes_str("\n"));
}

/* RFC 8951, 3: receivers ignore Content-Transfer-Encoding. It is sent because Bouncy Castle's EST
 * classes decode base64 only where it stands (RFC 7030, 4.1.3). */
void response_der(struct est_response *response, unsigned status, const char *type,
                  struct bytes der, uint32_t retry_after_s, const char *user_agent) {
    size_t wrap = quirks_wrap(user_agent, est_base64_size(der.n, 0));
    start_body(response, status, type, retry_after_s);
    response_header(response, "Content-Transfer-Encoding", "base64");
    enum tm_err err = est_base64_encode(der, wrap, &response->body);
    if (!err && wrap == 0)
        buf_put(&response->body, bytes_str("\n"));
    if (err || response->body.full)
        response_text(response, IPC_FAILED, "The answer is too large for this server.", 0);
}

/* Parts are wrapped for everybody: a MIME line of base64 has at most 76 characters (RFC 2045, 6.8).
 */
void response_key(struct est_response *response, const struct est_serverkeygen *parts) {
    start_body(response, 200, EST_SERVERKEYGEN_TYPE, 0);
    if (est_serverkeygen_write(parts, &response->body))
        response_text(response, IPC_FAILED, "The answer is too large for this server.", 0);
}
