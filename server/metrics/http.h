/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the metrics face serves over HTTP. A connection serves one request and has a few seconds for
 * all of it. /healthz is answered here; who wants the others waits for metrics_http_answer. One
 * thread.
 */
#ifndef TOUCHMARK_SERVER_METRICS_HTTP_H
#define TOUCHMARK_SERVER_METRICS_HTTP_H

#include "server/front/plain.h"

struct metrics_http {
    void (*wanted)(void *arg);  /* one more waits */
    void (*drained)(void *arg); /* as of front_plain_config */
    void *arg;
    struct front_plain *server; /* metrics_http_open sets it; front_plain_close ends it */
};

/* The rest is set before. As front_plain_open. */
MUST_USE enum tm_err metrics_http_open(struct metrics_http *http, struct loop *loop, int listen_fd);

/* Who waits now is whom the next answer is for: the processes are asked after this. */
void metrics_http_asked(struct metrics_http *http);
/* Answers them: /metrics with `metrics`; /readyz with 200 if `reasons` is empty, else with 503 and
 * the reasons, a line each. Both are copied. True: others wait, who came later. */
MUST_USE bool metrics_http_answer(struct metrics_http *http, struct bytes metrics,
                                  struct bytes reasons);

#endif
