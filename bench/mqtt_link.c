/* SPDX-License-Identifier: Apache-2.0 */
/* See bench/mqtt_link.h. */
#include "bench/mqtt_link.h"

#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"

#define KEEPALIVE_S 60
#define REFUSAL 0x80 /* reason codes from here on say no */

struct bench_link {
    struct mosquitto *mosq;
    bool connected, refused;
    unsigned awaited; /* SUBACKs */
    void (*message)(void *arg, const char *topic, struct bytes payload);
    void *arg;
};

int64_t bench_now_us(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- what libmosquitto reports ---- */

static void on_connect(struct mosquitto *mosq, void *arg, int reason, int flags,
                       const mosquitto_property *properties) {
    struct bench_link *link = arg;
    (void)mosq;
    (void)flags;
    (void)properties;
    link->connected = reason == 0;
    link->refused = link->refused || reason != 0;
}

static void on_subscribe(struct mosquitto *mosq, void *arg, int mid, int count, const int *granted,
                         const mosquitto_property *properties) {
    struct bench_link *link = arg;
    (void)mosq;
    (void)mid;
    (void)properties;
    for (int i = 0; i < count; i++)
        link->refused = link->refused || granted[i] >= REFUSAL;
    if (link->awaited > 0)
        link->awaited--;
}

static void on_message(struct mosquitto *mosq, void *arg, const struct mosquitto_message *message,
                       const mosquitto_property *properties) {
    struct bench_link *link = arg;
    const uint8_t *payload = message->payload;
    (void)mosq;
    (void)properties;
    if (link->message)
        link->message(link->arg, message->topic,
                      (struct bytes){payload, payload ? (size_t)message->payloadlen : 0});
}

/* ---- one connection ---- */

static int connect_broker(struct bench_link *link, const struct bench_link_config *config) {
    int rc = mosquitto_int_option(link->mosq, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    if (!rc)
        rc = mosquitto_int_option(link->mosq, MOSQ_OPT_TCP_NODELAY, 1);
    if (!rc && config->will_topic)
        rc = mosquitto_will_set_v5(link->mosq, config->will_topic, (int)config->will.n,
                                   config->will.p, 1, false, NULL);
    return rc ? rc
              : mosquitto_connect_bind_v5(link->mosq, config->broker->host,
                                          (int)config->broker->port, KEEPALIVE_S, NULL, NULL);
}

enum tm_err bench_link_open(const struct bench_link_config *config, struct bench_link **ret) {
    struct bench_link *link = calloc(1, sizeof *link);
    if (!link || mosquitto_lib_init()) {
        free(link);
        return TM_ENOMEM;
    }
    link->message = config->message;
    link->arg = config->arg;
    link->mosq = mosquitto_new(config->client_id, true, link);
    int rc = MOSQ_ERR_NOMEM;
    if (link->mosq) {
        mosquitto_connect_v5_callback_set(link->mosq, on_connect);
        mosquitto_subscribe_v5_callback_set(link->mosq, on_subscribe);
        mosquitto_message_v5_callback_set(link->mosq, on_message);
        rc = connect_broker(link, config);
    }
    if (rc) {
        bench_link_close(link);
        return rc == MOSQ_ERR_NOMEM ? TM_ENOMEM : TM_EIO;
    }
    *ret = link;
    return TM_OK;
}

void bench_link_close(struct bench_link *link) {
    if (!link)
        return;
    if (link->connected)
        (void)mosquitto_disconnect_v5(link->mosq, MQTT_RC_DISCONNECT_WITH_WILL_MSG, NULL);
    mosquitto_destroy(link->mosq);
    (void)mosquitto_lib_cleanup();
    free(link);
}

enum tm_err bench_link_subscribe(struct bench_link *link, const char *topic) {
    if (mosquitto_subscribe(link->mosq, NULL, topic, 0))
        return TM_ECLOSED;
    link->awaited++;
    return TM_OK;
}

enum tm_err bench_link_publish(struct bench_link *link, const char *topic, struct bytes payload,
                               int qos) {
    return mosquitto_publish(link->mosq, NULL, topic, (int)payload.n, payload.p, qos, false)
               ? TM_ECLOSED
               : TM_OK;
}

bool bench_link_ready(const struct bench_link *link) {
    return link->connected && link->awaited == 0;
}

/* ---- all of them ---- */

static enum tm_err serve(struct bench_link *link, short events) {
    int rc = MOSQ_ERR_SUCCESS;
    if (events & (POLLIN | POLLHUP | POLLERR))
        rc = mosquitto_loop_read(link->mosq, 1);
    if (!rc && mosquitto_want_write(link->mosq))
        rc = mosquitto_loop_write(link->mosq, 1);
    if (!rc)
        rc = mosquitto_loop_misc(link->mosq);
    return rc || link->refused ? TM_ECLOSED : TM_OK;
}

enum tm_err bench_links_serve(struct bench_link *const *links, size_t count, int wait_ms) {
    AUTO_MEM struct pollfd *fds = calloc(count, sizeof *fds);
    if (!fds)
        return TM_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        short write = mosquitto_want_write(links[i]->mosq) ? POLLOUT : 0;
        fds[i] = (struct pollfd){.fd = mosquitto_socket(links[i]->mosq),
                                 .events = (short)(POLLIN | write)};
    }
    if (poll(fds, count, wait_ms) < 0)
        return TM_EIO;
    enum tm_err err = TM_OK;
    for (size_t i = 0; !err && i < count; i++)
        err = serve(links[i], fds[i].revents);
    return err;
}

enum tm_err bench_links_ready(struct bench_link *const *links, size_t count, int timeout_ms) {
    int64_t end = bench_now_us() + (int64_t)timeout_ms * 1000;
    enum tm_err err = TM_OK;
    size_t ready = 0;
    while (!err && ready < count && bench_now_us() < end) {
        err = bench_links_serve(links, count, 50);
        for (ready = 0; ready < count && bench_link_ready(links[ready]);)
            ready++;
    }
    return err || ready == count ? err : TM_ETIMEOUT;
}
