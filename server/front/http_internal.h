/* SPDX-License-Identifier: Apache-2.0 */
/* Between http.c (the daemon and its connections) and request.c (one request). */
#ifndef TOUCHMARK_SERVER_FRONT_HTTP_INTERNAL_H
#define TOUCHMARK_SERVER_FRONT_HTTP_INTERNAL_H

#include <microhttpd.h>

#include "server/front/http.h"
#include "server/front/quiet.h"
#include "server/front/station.h"
#include "server/front/upstream.h"

/* A request while libmicrohttpd reads, keeps and answers it: one at a time per connection. The
 * strings are libmicrohttpd's, until the request is over. */
struct front_request {
    struct front_call call;
    struct front_http_conn *conn;
    const char *method, *path;
    const char *content_type, *authorization, *user_agent;
    bool has_query;
    bool is_station;   /* its path is one of stations */
    uint8_t operation; /* of a station, enum ipc_station_operation; 0: none */
    bool http10;       /* its answer says HTTP/1.0 as well */
    bool chunked;
    int64_t content_length; /* 0 = no body, -1 = unknown */
    uint8_t *body;
    size_t body_n, body_cap;
    bool too_large; /* more body came than is taken; it is read and dropped */
    bool failed;    /* there is no memory for a response: close the connection */
    unsigned status;
};

struct front_http_conn {
    struct front_http *http;
    struct MHD_Connection *mhd;
    void *peer; /* NULL: it left */
    bool suspended;
    struct front_request request;
};

struct front_http {
    struct MHD_Daemon *daemon;
    const struct front_http_peer *peers;
    struct front_upstream *upstream;
    void (*tls_answered)(void *arg, const struct ipc_tls_answer *answer); /* NULL: nobody asks */
    void *tls_arg;
    struct est_service *service;
    struct est_service *successor; /* being filled by a new core's catalog */
    size_t max_body;
    uint64_t next_id;
    bool draining;
    bool touched;
    struct front_http_conn *attaching; /* handed to libmicrohttpd, not yet taken */
    struct front_quiet quiet;
    uint8_t scratch[IPC_CSR_MAX + IPC_SECRET_MAX]; /* wiped after each use */
    uint8_t body[EST_BODY_MAX];                    /* of the response being made */
};

/* The steps of a request, as libmicrohttpd reports them. MHD_NO closes the connection. */
enum MHD_Result front_request_head(struct front_request *request, const char *method,
                                   const char *path, const char *version, bool has_query);
enum MHD_Result front_request_body(struct front_request *request, const char *data, size_t n);
enum MHD_Result front_request_complete(struct front_request *request);
/* It is over, answered or not. */
void front_request_end(struct front_request *request);

/* What the core says; arg is the struct front_http. */
extern const struct front_upstream_events front_request_events;

/* Wakes libmicrohttpd's connection. */
void front_http_resume(struct front_http_conn *conn);
void front_http_catalog(struct front_http *http, const struct ipc_catalog *entry);

#endif
