/* SPDX-License-Identifier: Apache-2.0 */
/* Between request.c and response.c. */
#ifndef TOUCHMARK_SERVER_STATUS_HTTP_INTERNAL_H
#define TOUCHMARK_SERVER_STATUS_HTTP_INTERNAL_H

#include "server/status/http.h"
#include "server/status/target.h"

struct status_conn {
    struct front_plain_conn plain;
    /* The request, until it is over; the strings are libmicrohttpd's. */
    const char *method;
    struct status_target target;
    bool too_large;
    size_t body_n, dropped;
    uint8_t *body; /* STATUS_OCSP_REQUEST_MAX octets, once there is one */
    struct status_ask ask;
};

/* MHD_NO closes the connection. */

/* With the headers of RFC 5019, 6.2, and 304 to who has it already. */
enum MHD_Result status_respond_item(struct status_conn *conn, struct status_item *item);
/* An OCSPResponse that says why there is none; never to be kept. */
enum MHD_Result status_respond_error(struct status_conn *conn, struct bytes response);
/* One clear sentence. `header` (or NULL) is one more header. */
enum MHD_Result status_respond_text(struct status_conn *conn, unsigned status, const char *text,
                                    const char *header, const char *value);

#endif
