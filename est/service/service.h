/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EST as a service: a request in plain values in, either a finished response or a message for the
 * core out; the core's answer in, a response out. No sockets, no HTTP library. What a label serves
 * by itself comes from the catalog that the core sends. A service belongs to one thread.
 *
 * Responses are for an HTTP library that adds Content-Length (never chunked: some clients cannot)
 * and, for HEAD, leaves the body out.
 */
#ifndef TOUCHMARK_EST_SERVICE_SERVICE_H
#define TOUCHMARK_EST_SERVICE_SERVICE_H

#include "est/wire/http.h"
#include "ipc/messages.h"

struct est_service;

MUST_USE enum tm_err est_service_new(struct est_service **ret_service);
void est_service_free(struct est_service *service);

/* One catalog message of the core, which is copied. A generation becomes visible when it is whole;
 * older generations are ignored, and so is the visible one again (so for a new core, which counts
 * from the start, make a new service). TM_EINVAL: its count or index contradicts those before. */
MUST_USE enum tm_err est_service_catalog(struct est_service *service,
                                         const struct ipc_catalog *entry);
/* Is there a whole catalog? Before, everything answers 503. */
bool est_service_ready(const struct est_service *service);

/* The head of a request: what is known before its body. Pointers are borrowed, NULL = absent. */
struct est_request {
    uint64_t id;
    const char *method;
    const char *path; /* as it was sent, not decoded: "%" is refused; without query */
    bool has_query;
    const char *content_type;
    const char *authorization;
    const char *user_agent;
    const char *remote;
    struct bytes peer_leaf;
    struct bytes peer_chain;
    struct bytes tls_exporter;
    struct bytes tls_unique;
    struct bytes body; /* as it came: base64 */
};

#define EST_HEADERS_MAX 6
#define EST_BODY_MAX 45056 /* of IPC_CACERTS_MAX octets, the largest body, in base64, wrapped */

/* A response. Header values are constant or point into `values`. Only `body` need be set before. */
struct est_response {
    unsigned status;
    size_t header_count;
    struct {
        const char *name;
        const char *value;
    } headers[EST_HEADERS_MAX];
    char values[128];
    struct buf body; /* the caller's memory, EST_BODY_MAX octets are always enough */
    bool close;      /* close the connection after it */
};

enum est_next {
    EST_RESPOND,  /* `response` is complete */
    EST_ASK_CORE, /* send `enroll` to the core; its pointers borrow from request and scratch */
};

/* Judges the head alone, before the body is read: TM_OK = go on reading; TM_EDENIED = `response`
 * says why not (wrong path, method, content type, length over max_body). content_length 0 = no
 * body, -1 = unknown: unless it is 0, a refusal closes the connection. Sets *ret_refused for the
 * audit when a refusal is to be recorded (its outcome is not 0); it borrows from the request. */
MUST_USE enum tm_err est_service_head(struct est_service *service,
                                      const struct est_request *request, int64_t content_length,
                                      size_t max_body, struct est_response *response,
                                      struct ipc_refused *ret_refused);

/* A whole request, judged again as in est_service_head except for its length. scratch: memory for
 * the decoded request, at least IPC_CSR_MAX + IPC_SECRET_MAX octets; it holds the secret: the
 * caller wipes it after sending. */
enum est_next est_service_request(struct est_service *service, const struct est_request *request,
                                  struct buf *scratch, struct ipc_enroll *ret_enroll,
                                  struct est_response *response, struct ipc_refused *ret_refused);

/* The core's answer, for the client that asked with this User-Agent (NULL = none). Its
 * retry_after_s is passed on as it is. With a private key in it the body is the caller's to wipe.
 */
void est_service_reply(struct est_service *service, const struct ipc_reply *reply,
                       const char *user_agent, struct est_response *response);
/* No answer came (timeout, core down, too many): 503 with Retry-After and jitter. */
void est_service_unavailable(struct est_service *service, struct est_response *response);

/* HTTP status of an outcome: one exhaustive switch. */
unsigned est_status(enum ipc_outcome outcome);

#endif
