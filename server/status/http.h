/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the status face serves over HTTP. A connection has until a deadline to bring its request,
 * and a response until one to be taken; nothing that a peer does in between moves them. One thread.
 */
#ifndef TOUCHMARK_SERVER_STATUS_HTTP_H
#define TOUCHMARK_SERVER_STATUS_HTTP_H

#include "server/front/plain.h"
#include "server/status/ocsp.h"
#include "server/status/table.h"

struct status_http {
    const char *base;                 /* path of status.url */
    int64_t fresh_ms;                 /* how long caches may take a copy for the newest */
    int64_t asking_ms;                /* how long `ocsp` takes at the most */
    const struct status_table *table; /* must live as long */
    struct status_ocsp *ocsp;         /* the same */
    void (*drained)(void *arg);       /* as of front_plain_config */
    void *arg;
    struct front_plain *server; /* status_http_open sets it; front_plain_close ends it */
};

/* The rest is set before. As front_plain_open. */
MUST_USE enum tm_err status_http_open(struct status_http *http, struct loop *loop, int listen_fd,
                                      size_t connections_max);

/* status_ocsp_config.answered. */
void status_http_answered(struct status_ask *ask, struct status_item *item, struct bytes error);

#endif
