/* SPDX-License-Identifier: Apache-2.0 */
/* Between http.c (the daemon and its connections), request.c and response.c. */
#ifndef TOUCHMARK_SERVER_STATUS_HTTP_INTERNAL_H
#define TOUCHMARK_SERVER_STATUS_HTTP_INTERNAL_H

#include <microhttpd.h>

#include "server/front/quiet.h"
#include "server/status/http.h"
#include "server/status/target.h"

struct status_conn {
    TAILQ_ENTRY(status_conn) entry;
    struct status_http *http;
    struct MHD_Connection *mhd; /* NULL: libmicrohttpd has not taken it yet */
    int fd;                     /* libmicrohttpd's */
    struct loop_timer deadline;
    bool suspended;
    bool busy;   /* a request has begun */
    bool failed; /* there is no memory for a response: close the connection */
    /* The request, until it is over; the strings are libmicrohttpd's. */
    const char *method;
    struct status_target target;
    bool too_large;
    size_t body_n, dropped;
    uint8_t *body; /* STATUS_OCSP_REQUEST_MAX octets, once there is one */
    struct status_ask ask;
};

TAILQ_HEAD(status_conn_list, status_conn);

struct status_http {
    struct status_http_config config;
    struct MHD_Daemon *daemon;
    struct loop_fd *watch;   /* libmicrohttpd's epoll */
    struct loop_timer again; /* it has not done all there is to do */
    struct status_conn_list conns;
    size_t count;
    bool touched, draining;
    struct status_conn *attaching; /* handed to libmicrohttpd, not yet taken */
    struct front_quiet quiet;
};

/* ---- request.c: as libmicrohttpd reports it. MHD_NO closes the connection. ---- */

enum MHD_Result status_request_head(struct status_conn *conn, const char *method, const char *path);
enum MHD_Result status_request_body(struct status_conn *conn, const char *data, size_t n);
enum MHD_Result status_request_complete(struct status_conn *conn);
void status_request_end(struct status_conn *conn);

/* ---- response.c ---- */

/* With the headers of RFC 5019, 6.2, and 304 to who has it already. */
enum MHD_Result status_respond_item(struct status_conn *conn, struct status_item *item);
/* An OCSPResponse that says why there is none; never to be kept. */
enum MHD_Result status_respond_error(struct status_conn *conn, struct bytes response);
/* One clear sentence. `header` (or NULL) is one more header. */
enum MHD_Result status_respond_text(struct status_conn *conn, unsigned status, const char *text,
                                    const char *header, const char *value);

/* ---- http.c ---- */

/* It is suspended until status_conn_resume. */
void status_conn_suspend(struct status_conn *conn);
void status_conn_resume(struct status_conn *conn);
/* The response has so many octets: its deadline follows from that. */
void status_conn_responds(struct status_conn *conn, size_t n);

#endif
