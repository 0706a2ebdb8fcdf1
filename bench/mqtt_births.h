/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power returns to a plant: edge nodes, each a connection of its own, give birth to all the devices
 * behind them at once, every one of which waits for an offer; counted is when it comes. Sparkplug B
 * 3.0: the wills, sequence numbers and rebirths are those of an edge node.
 */
#ifndef TOUCHMARK_BENCH_MQTT_BIRTHS_H
#define TOUCHMARK_BENCH_MQTT_BIRTHS_H

#include "bench/mqtt_link.h"

struct bench_births_config {
    const struct conf_broker *broker;
    const char *group;
    const char *label;  /* NULL: the default one */
    const char *prefix; /* of device IDs, as in bench_pool_new */
    size_t nodes, devices;
    unsigned within_ms; /* the births are spread over so long */
    unsigned seconds;   /* that offers are waited for, at most */
};

struct bench_births_result {
    double seconds;         /* from the first birth to the last */
    size_t offered;         /* devices */
    double offered_seconds; /* from the first birth to the last offer */
    double p50_ms, p99_ms;  /* from a device's birth to its offer */
    size_t more;            /* offers to devices that had one */
    size_t rebirths;        /* that edge nodes were asked for */
};

/* TM_EINVAL: an ID that cannot be; TM_ECLOSED, TM_EIO: the broker; TM_ETIMEOUT: it says nothing;
 * TM_ENOMEM. Offers that did not come are no error. */
MUST_USE enum tm_err bench_births(const struct bench_births_config *config,
                                  struct bench_births_result *ret);

#endif
