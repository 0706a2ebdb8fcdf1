/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP of the status face: one libmicrohttpd daemon whose epoll is nested in the loop. A connection
 * has until a deadline to bring its request, and a response until one to be taken; nothing that a
 * peer does in between moves them. One thread.
 */
#ifndef TOUCHMARK_SERVER_STATUS_HTTP_H
#define TOUCHMARK_SERVER_STATUS_HTTP_H

#include "server/front/listener.h"
#include "server/status/ocsp.h"
#include "server/status/table.h"

struct status_http;

struct status_http_config {
    struct loop *loop;
    const char *base; /* path of status.url */
    size_t connections_max;
    int64_t fresh_ms;                 /* how long caches may take a copy for the newest */
    const struct status_table *table; /* must live as long */
    struct status_ocsp *ocsp;         /* the same */
    void (*freed)(void *arg);         /* a connection has ended */
    void *arg;
};

/* TM_ENOMEM, TM_EIO (logged). */
MUST_USE enum tm_err status_http_new(const struct status_http_config *config,
                                     struct status_http **ret_http);
void status_http_free(struct status_http *http); /* NULL-safe; cuts what is open */

/* Serves a connection; fd is taken over. One too many is closed. */
void status_http_add(struct status_http *http, int fd, const union front_address *address);
size_t status_http_count(const struct status_http *http);

/* status_ocsp_config.answered, for this `http`. */
void status_http_answered(struct status_http *http, struct status_ask *ask,
                          struct status_item *item, struct bytes error);

/* From now on every response closes its connection. */
void status_http_drain(struct status_http *http);
/* Ends connections that are between requests. */
void status_http_close_idle(struct status_http *http);

/* What is to be done once all handlers of a round ran. */
void status_http_round(struct status_http *http);

#endif
