/* SPDX-License-Identifier: Apache-2.0 */
/* Making responses: status, headers, body, and what particular clients need. Only for est/service.
 */
#ifndef TOUCHMARK_EST_SERVICE_RESPONSE_H
#define TOUCHMARK_EST_SERVICE_RESPONSE_H

#include "est/service/service.h"
#include "est/wire/serverkeygen.h"

/* A refusal or a request for patience: the outcome's status, `text` and LF as text/plain.
 * retry_after_s 0 = no Retry-After. */
void response_text(struct est_response *response, enum ipc_outcome outcome, const char *text,
                   uint32_t retry_after_s);

/* DER as base64 in the layout that the client of this User-Agent (NULL = none) reads; FAILED when
 * it does not fit. `type` must be constant; retry_after_s as above. */
void response_der(struct est_response *response, unsigned status, const char *type,
                  struct bytes der, uint32_t retry_after_s, const char *user_agent);

/* 200 with a private key and its certificate (RFC 7030, 4.4.2); FAILED when they do not fit. */
void response_key(struct est_response *response, const struct est_serverkeygen *parts);

/* A status without a body. */
void response_empty(struct est_response *response, unsigned status);

/* name and value must outlive the response. */
void response_header(struct est_response *response, const char *name, const char *value);

#endif
