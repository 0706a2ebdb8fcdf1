/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor of a bridge: two bare clients exchange messages of given sizes through a broker, as a
 * device and a bridge do for one certificate, and nobody looks into them. The side of the bridge is
 * the calling process, the devices' side another one.
 */
#ifndef TOUCHMARK_BENCH_MQTT_ECHO_H
#define TOUCHMARK_BENCH_MQTT_ECHO_H

#include "bench/mqtt_link.h"

#define BENCH_LEGS_MAX 16
#define BENCH_LEG_OCTETS_MAX 65536

/* Octets of payloads; 0: none. */
struct bench_leg {
    size_t up;    /* from the device, QoS 0 */
    size_t down;  /* answered with, QoS 0; the device waits for it */
    size_t event; /* published to nobody beside, QoS 1 */
};

struct bench_echo_config {
    const struct conf_broker *broker;
    struct bench_leg legs[BENCH_LEGS_MAX];
    size_t leg_count;
    size_t count;      /* exchanges of all legs */
    size_t at_once;    /* 1 to 255 */
    size_t per_second; /* exchanges begun, at most; 0: no bound */
    unsigned seconds;  /* at most */
};

/* "UP:DOWN:EVENT,...", into legs and leg_count. TM_EPARSE. */
MUST_USE enum tm_err bench_legs_parse(const char *text, struct bench_echo_config *config);

struct bench_echo_result {
    size_t done; /* exchanges */
    double seconds;
    double cpu_us; /* of the bridge's side, for an exchange */
};

/* TM_EIO, TM_ECLOSED: broker or other process; TM_ETIMEOUT: not all were done; TM_ENOMEM. */
MUST_USE enum tm_err bench_echo(const struct bench_echo_config *config,
                                struct bench_echo_result *ret);

#endif
