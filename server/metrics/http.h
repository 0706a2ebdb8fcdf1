/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP of the metrics face: one libmicrohttpd daemon whose epoll is nested in the loop. A
 * connection serves one request and has a few seconds for all of it. /healthz is answered here; who
 * wants the others waits for metrics_http_answer. One thread.
 */
#ifndef TOUCHMARK_SERVER_METRICS_HTTP_H
#define TOUCHMARK_SERVER_METRICS_HTTP_H

#include "base/bytes.h"
#include "server/front/listener.h"

#define METRICS_CONNECTIONS_MAX 64 /* more are closed */

struct metrics_http;

struct metrics_http_config {
    struct loop *loop;
    void (*wanted)(void *arg); /* one more waits */
    void (*freed)(void *arg);  /* a connection has ended */
    void *arg;
};

/* TM_ENOMEM, TM_EIO (logged). */
MUST_USE enum tm_err metrics_http_new(const struct metrics_http_config *config,
                                      struct metrics_http **ret_http);
void metrics_http_free(struct metrics_http *http); /* NULL-safe; cuts what is open */

/* Serves a connection; fd is taken over. */
void metrics_http_add(struct metrics_http *http, int fd, const union front_address *address);
size_t metrics_http_count(const struct metrics_http *http);

/* Who waits now is whom the next answer is for: the processes are asked after this. */
void metrics_http_asked(struct metrics_http *http);
/* Answers them: /metrics with `metrics`; /readyz with 200 if `reasons` is empty, else with 503 and
 * the reasons, a line each. Both are copied. True: others wait, who came later. */
MUST_USE bool metrics_http_answer(struct metrics_http *http, struct bytes metrics,
                                  struct bytes reasons);

/* Ends connections that have not asked yet. */
void metrics_http_close_idle(struct metrics_http *http);

/* What is to be done once all handlers of a round ran. */
void metrics_http_round(struct metrics_http *http);

#endif
