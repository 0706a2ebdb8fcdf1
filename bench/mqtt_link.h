/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bare MQTT 5 client on libmosquitto, many of which one thread can serve. For measuring: it does
 * nothing again and hides nothing; a connection that is lost is an error.
 */
#ifndef TOUCHMARK_BENCH_MQTT_LINK_H
#define TOUCHMARK_BENCH_MQTT_LINK_H

#include <stdint.h>

#include "base/bytes.h"
#include "conf/conf.h"

struct bench_link;
struct bench_link_config {
    const struct conf_broker *broker; /* without TLS */
    const char *client_id;
    const char *will_topic; /* NULL: no will. QoS 1, not retained */
    struct bytes will;
    void (*message)(void *arg, const char *topic, struct bytes payload);
    void *arg;
};

/* Has the TCP connection when it returns. TM_EIO, TM_ENOMEM. */
MUST_USE enum tm_err bench_link_open(const struct bench_link_config *config,
                                     struct bench_link **ret);
void bench_link_close(
    struct bench_link *link); /* disconnects, so that the will is said; NULL-safe */

MUST_USE enum tm_err bench_link_subscribe(struct bench_link *link, const char *topic);
MUST_USE enum tm_err bench_link_publish(struct bench_link *link, const char *topic,
                                        struct bytes payload, int qos);
/* Connected, and every subscription granted? */
bool bench_link_ready(const struct bench_link *link);

/* Waits up to wait_ms for something on any of them and does it. TM_ECLOSED: one was lost or
 * refused. */
MUST_USE enum tm_err bench_links_serve(struct bench_link *const *links, size_t count, int wait_ms);
/* Serves until all are ready. TM_ETIMEOUT, TM_ECLOSED. */
MUST_USE enum tm_err bench_links_ready(struct bench_link *const *links, size_t count,
                                       int timeout_ms);

int64_t bench_now_us(void); /* monotonic */

#endif
