/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/idle.h"

#include <stdio.h>

#include "base/auto.h"

struct bench_idle {
    size_t count;
    char request[1024];
    struct bench_conn *conns[];
};

static enum tm_err ask(struct bench_conn *conn, const char *request) {
    struct bench_answer answer;
    enum tm_err err = bench_conn_send(conn, bytes_str(request));
    if (err == TM_OK)
        err = bench_conn_receive(conn, &answer);
    return err == TM_OK && answer.status != 200 ? TM_EDENIED : err;
}

enum tm_err bench_idle_open(struct bench_client *client, const struct bench_url *url, size_t count,
                            struct bench_idle **ret_idle) {
    struct bench_idle *idle = calloc(1, sizeof *idle + count * sizeof(struct bench_conn *));
    if (!idle)
        return TM_ENOMEM;
    (void)snprintf(idle->request, sizeof idle->request,
                   "GET %s/cacerts HTTP/1.1\r\nHost: %s:%s\r\n\r\n", url->path, url->host,
                   url->port);
    enum tm_err err = TM_OK;
    while (err == TM_OK && idle->count < count) {
        err = bench_conn_open(client, NULL, NULL, &idle->conns[idle->count]);
        if (err == TM_OK)
            err = ask(idle->conns[idle->count++], idle->request);
    }
    if (err != TM_OK) {
        bench_idle_close(idle);
        return err;
    }
    *ret_idle = idle;
    return TM_OK;
}

size_t bench_idle_open_count(struct bench_idle *idle) {
    size_t open = 0;
    for (size_t i = 0; i < idle->count; i++)
        open += ask(idle->conns[i], idle->request) == TM_OK;
    return open;
}

void bench_idle_close(struct bench_idle *idle) {
    for (size_t i = 0; idle && i < idle->count; i++)
        bench_conn_close(idle->conns[i]);
    free(idle);
}
