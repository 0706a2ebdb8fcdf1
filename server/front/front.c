/* SPDX-License-Identifier: Apache-2.0 */
/* A front process put together: listener, TLS, connections, HTTP, the link to the core. */
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/front/conn.h"
#include "server/front/descriptors.h"
#include "server/front/http.h"
#include "server/front/listener.h"
#include "server/front/quiet.h"
#include "server/front/tls.h"
#include "server/metrics/answer.h"
#include "server/role.h"

/* Per connection: its socket and both ends of the pair to HTTP. */
#define FDS_PER_CONNECTION 3

struct front {
    struct role *role;
    size_t connections_max;
    bool draining;
    struct loop_timer drain_end;
    struct front_tls *tls;
    struct front_http *http;
    struct front_conns *conns;
    struct front_listener *listener;
    struct front_quiet quiet;
};

/* ---- TLS with a key on a token ---- */

static enum tm_err ask_signature(void *arg, uint64_t id, struct bytes content) {
    struct front *front = arg;
    const struct ipc_tls_ask ask = {.id = id, .kind = IPC_TLS_HANDSHAKE, .content = content};
    return front_http_ask_tls(front->http, &ask);
}

static void handshake_ready(void *arg, void *owner) {
    (void)arg;
    front_conns_ready(owner);
}

static const struct front_tls_events tls_events = {ask_signature, handshake_ready};

static void signature_answered(void *arg, const struct ipc_tls_answer *answer) {
    struct front *front = arg;
    if (!answer->good)
        front_quiet_log(&front->quiet, LOG_LEVEL_WARN, 0,
                        "a TLS handshake fails: its token gave no signature");
    front_tls_signed(front->tls, answer->id, answer->good ? answer->octets : (struct bytes){0});
}

/* ---- connections ---- */

static void take_connection(void *arg, int fd, const union front_address *address) {
    struct front *front = arg;
    front_conns_add(front->conns, fd, address);
    if (front_conns_count(front->conns) >= front->connections_max)
        front_listener_pause(front->listener);
}

static void connection_freed(void *arg) {
    struct front *front = arg;
    size_t count = front_conns_count(front->conns);
    if (front->draining && count == 0)
        role_exit(front->role);
    else if (!front->draining && count < front->connections_max)
        front_listener_resume(front->listener);
}

static void after_round(void *arg) {
    struct front *front = arg;
    front_conns_round(front->conns);
}

static void linked(struct role *role, enum ipc_role peer, unsigned peer_index, int fd) {
    struct front *front = role->self;
    (void)peer_index;
    if (peer == IPC_ROLE_CORE) {
        front_http_link(front->http, fd);
        front_tls_ask_again(front->tls);
        return;
    }
    log_error("a front needs no link to role %d", (int)peer);
    (void)close(fd);
}

static void drain_ended(void *arg) {
    struct front *front = arg;
    log_warn("%zu connections are cut: the time to finish is over",
             front_conns_count(front->conns));
    role_exit(front->role);
}

static void drain(struct role *role) {
    struct front *front = role->self;
    int64_t end = clock_mono_ms() + role->conf->process.drain_timeout;
    bool timed = front->draining || !loop_timer_set(role->loop, &front->drain_end, end);
    if (!front->draining) {
        front->draining = true;
        front_listener_pause(front->listener);
        front_http_drain(front->http);
    }
    if (role->stopping)
        front_conns_close_idle(front->conns);
    if (front_conns_count(front->conns) == 0 || !timed)
        role_exit(role);
}

static void measure(struct role *role, struct metrics_answer *answer) {
    const struct front *front = role->self;
    const struct front_conns_counts counts = front_conns_counts(front->conns);
    const struct {
        enum metric metric;
        double value;
    } rows[] = {
        {METRIC_FRONT_CONNECTIONS, (double)front_conns_count(front->conns)},
        {METRIC_FRONT_ACCEPTED, (double)counts.accepted},
        {METRIC_FRONT_HANDSHAKE_FAILURES, (double)counts.handshake_failures},
        {METRIC_TLS_EXPIRY, (double)front_tls_not_after_ms(front->tls) / 1000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        metrics_add(answer, rows[i].metric, rows[i].value, NULL, NULL, NULL);
}

static enum tm_err open_parts(struct front *front) {
    struct role *role = front->role;
    struct conf_listen listen = role->conf->listen;
    listen.max_connections = front->connections_max;
    enum tm_err err = front_tls_open(&role->conf->tls, &listen, &tls_events, front, &front->tls);
    if (!err)
        err = front_http_new(role->loop, &listen, &front_conn_peer, &front->http);
    if (!err)
        front_http_on_tls(front->http, signature_answered, front);
    if (!err)
        err = front_conns_new(role->loop, &listen, front->tls, front->http, connection_freed, front,
                              &front->conns);
    if (!err)
        err = front_listener_open(role->loop, role->listen_fd, take_connection, front,
                                  &front->listener);
    return err;
}

enum tm_err front_start(struct role *role) {
    struct front *front = calloc(1, sizeof *front);
    if (!front)
        return TM_ENOMEM;
    role->self = front;
    front->role = role;
    front->drain_end = (struct loop_timer){.fn = drain_ended, .arg = front};
    front->connections_max =
        front_descriptors_for(role->conf->listen.max_connections, FDS_PER_CONNECTION);
    enum tm_err err = open_parts(front);
    if (err) {
        front_stop(role);
        return err;
    }
    role->linked = linked;
    role->drain = drain;
    role->measure = measure;
    loop_after_round(role->loop, after_round, front);
    return role_ready(role);
}

void front_stop(struct role *role) {
    struct front *front = role->self;
    if (!front)
        return;
    loop_after_round(role->loop, NULL, NULL);
    loop_timer_stop(role->loop, &front->drain_end);
    front_listener_close(front->listener);
    front_conns_free(front->conns);
    front_http_free(front->http);
    front_tls_close(front->tls);
    free(front);
    role->self = NULL;
}
