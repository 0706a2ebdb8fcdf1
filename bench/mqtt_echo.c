/* SPDX-License-Identifier: Apache-2.0 */
/* See bench/mqtt_echo.h. A payload's first two octets say which exchange of those at once it
 * belongs to, and which leg of it. */
#include "bench/mqtt_echo.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"

#define HEAD 2 /* octets */
#define READY_MS 20000

struct side {
    const struct bench_echo_config *config;
    struct bench_link *link;
    char up[64], down[64], event[64]; /* topics */
    size_t begun, heard, done;        /* exchanges; `heard` counts legs */
    enum tm_err err;                  /* within a callback */
    uint8_t octets[BENCH_LEG_OCTETS_MAX];
};

enum tm_err bench_legs_parse(const char *text, struct bench_echo_config *config) {
    struct bench_leg legs[BENCH_LEGS_MAX];
    size_t count = 0;
    for (const char *p = text;; p++) {
        size_t sizes[3];
        for (size_t i = 0; i < 3; i++, p += i < 3) {
            char *end;
            sizes[i] = strtoul(p, &end, 10);
            if (end == p || sizes[i] > BENCH_LEG_OCTETS_MAX || (i < 2 && *end != ':'))
                return TM_EPARSE;
            p = end;
        }
        if (count == BENCH_LEGS_MAX || sizes[0] < HEAD || sizes[1] == 1)
            return TM_EPARSE;
        legs[count++] = (struct bench_leg){sizes[0], sizes[1], sizes[2]};
        if (*p == '\0')
            break;
        if (*p != ',')
            return TM_EPARSE;
    }
    memcpy(config->legs, legs, count * sizeof *legs);
    config->leg_count = count;
    return TM_OK;
}

/* ---- messages ---- */

static void publish(struct side *side, const char *topic, uint8_t exchange, size_t leg, size_t n,
                    int qos) {
    side->octets[0] = exchange;
    side->octets[1] = (uint8_t)leg;
    if (n && !side->err)
        side->err = bench_link_publish(side->link, topic, (struct bytes){side->octets, n}, qos);
}

static void on_up(void *arg, const char *topic, struct bytes payload) {
    struct side *side = arg;
    (void)topic;
    if (payload.n < HEAD || payload.p[1] >= side->config->leg_count)
        return;
    const struct bench_leg *leg = &side->config->legs[payload.p[1]];
    publish(side, side->down, payload.p[0], payload.p[1], leg->down, 0);
    publish(side, side->event, payload.p[0], payload.p[1], leg->event, 1);
    side->heard++;
}

/* From `leg` on, up to the first that is answered. */
static void go_on(struct side *side, uint8_t exchange, size_t leg) {
    const struct bench_echo_config *c = side->config;
    for (; leg < c->leg_count; leg++) {
        publish(side, side->up, exchange, leg, c->legs[leg].up, 0);
        if (c->legs[leg].down)
            return;
    }
    side->done++;
}

/* As many new ones as may be now. */
static void begin(struct side *side, int64_t elapsed_us) {
    const struct bench_echo_config *c = side->config;
    size_t due = c->count;
    if (c->per_second && (uint64_t)elapsed_us * c->per_second / 1000000 < due)
        due = (size_t)((uint64_t)elapsed_us * c->per_second / 1000000);
    while (side->begun < due && side->begun - side->done < c->at_once)
        go_on(side, (uint8_t)side->begun++, 0);
}

static void on_down(void *arg, const char *topic, struct bytes payload) {
    (void)topic;
    if (payload.n >= HEAD)
        go_on(arg, payload.p[0], payload.p[1] + 1u);
}

/* ---- sides ---- */

static enum tm_err open_side(struct side *side, const struct bench_echo_config *config, pid_t id,
                             bool bridge) {
    char client_id[64];
    *side = (struct side){.config = config};
    (void)snprintf(client_id, sizeof client_id, "echo-%d-%d", (int)id, bridge);
    (void)snprintf(side->up, sizeof side->up, "bench/%d/up", (int)id);
    (void)snprintf(side->down, sizeof side->down, "bench/%d/down", (int)id);
    (void)snprintf(side->event, sizeof side->event, "bench/%d/event", (int)id);
    const struct bench_link_config link = {.broker = config->broker,
                                           .client_id = client_id,
                                           .message = bridge ? on_up : on_down,
                                           .arg = side};
    enum tm_err err = bench_link_open(&link, &side->link);
    if (!err)
        err = bench_link_subscribe(side->link, bridge ? side->up : side->down);
    return err ? err : bench_links_ready(&side->link, 1, READY_MS);
}

static bool is_late(const struct side *side, int64_t start_us) {
    return bench_now_us() - start_us >= (int64_t)side->config->seconds * 1000000;
}

static enum tm_err be_devices(struct side *side) {
    const struct bench_echo_config *c = side->config;
    int64_t start = bench_now_us();
    while (!side->err && side->done < c->count && !is_late(side, start)) {
        begin(side, bench_now_us() - start);
        if (!side->err)
            side->err = bench_links_serve(&side->link, 1, c->per_second ? 1 : 50);
    }
    return side->err;
}

static int64_t cpu_us(void) {
    struct rusage used;
    (void)getrusage(RUSAGE_SELF, &used);
    return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 + used.ru_utime.tv_usec +
           used.ru_stime.tv_usec;
}

static enum tm_err be_bridge(struct side *side, struct bench_echo_result *ret) {
    const size_t legs = side->config->count * side->config->leg_count;
    int64_t start = bench_now_us(), cpu = cpu_us();
    while (!side->err && side->heard < legs && !is_late(side, start))
        side->err = bench_links_serve(&side->link, 1, 50);
    size_t done = side->heard / side->config->leg_count;
    *ret = (struct bench_echo_result){
        .done = done,
        .seconds = (double)(bench_now_us() - start) / 1e6,
        .cpu_us = done ? (double)(cpu_us() - cpu) / (double)done : 0,
    };
    return side->err ? side->err : side->heard < legs ? TM_ETIMEOUT : TM_OK;
}

/* ---- both ---- */

/* The devices' process; it does not come back. */
static void fork_devices(const struct bench_echo_config *config, pid_t id, struct side *side) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    enum tm_err err = open_side(side, config, id, false);
    if (!err)
        err = be_devices(side);
    bench_link_close(side->link);
    _exit(err ? 1 : 0);
}

enum tm_err bench_echo(const struct bench_echo_config *config, struct bench_echo_result *ret) {
    AUTO_MEM struct side *side = calloc(1, sizeof *side);
    struct bench_echo_result result = {0};
    const pid_t id = getpid();
    if (!side)
        return TM_ENOMEM;
    /* The bridge's side listens before the devices' begins. */
    enum tm_err err = open_side(side, config, id, true);
    pid_t devices = err ? -1 : fork();
    if (devices == 0)
        fork_devices(config, id, side);
    if (!err)
        err = devices < 0 ? TM_EIO : be_bridge(side, &result);
    if (devices > 0) {
        if (err)
            (void)kill(devices, SIGKILL);
        (void)waitpid(devices, NULL, 0);
    }
    bench_link_close(side->link);
    if (!err)
        *ret = result;
    return err;
}
