/* SPDX-License-Identifier: Apache-2.0 */
/* touchmark-bench-mqtt: what measuring enrollment over MQTT needs beside touchmark-fleet. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/argument.h"
#include "bench/mqtt_births.h"
#include "bench/mqtt_echo.h"
#include "bench/prepare.h"

struct arguments {
    const char *command;
    const char *broker_url, *admin_socket, *tenant, *legs;
    bool secrets;
    struct conf_broker broker;
    struct bench_births_config births;
    struct bench_echo_config echo;
};

enum {
    OPT_BROKER = 256,
    OPT_ADMIN,
    OPT_TENANT,
    OPT_PREFIX,
    OPT_SECRETS,
    OPT_GROUP,
    OPT_LABEL,
    OPT_NODES,
    OPT_WITHIN,
    OPT_LEGS,
    OPT_AT_ONCE,
    OPT_PER_SECOND,
};

static const struct argp_option option_rows[] = {
    {"count", 'n', "N", 0, "Devices, or exchanges (default 1000)", 0},
    {"seconds", 's', "N", 0, "At most (default 60)", 0},
    {"broker", OPT_BROKER, "URL", 0, "mqtt://HOST[:PORT]", 0},
    {0, 0, 0, 0, "devices: registers them", 1},
    {"admin", OPT_ADMIN, "SOCKET", 0, "Administration socket", 1},
    {"tenant", OPT_TENANT, "NAME", 0, "Tenant of the devices", 1},
    {"prefix", OPT_PREFIX, "TEXT", 0, "Device IDs begin with it (default MQTT)", 1},
    {"secrets", OPT_SECRETS, NULL, 0, "Print \"ID SECRET\" of each", 1},
    {0, 0, 0, 0, "births: edge nodes are born with all devices behind them, who wait for offers",
     2},
    {"nodes", OPT_NODES, "N", 0, "Edge nodes (default 10)", 2},
    {"group", OPT_GROUP, "NAME", 0, "Sparkplug group (default births)", 2},
    {"label", OPT_LABEL, "LABEL", 0, "EST label; none: the default one", 2},
    {"within", OPT_WITHIN, "MS", 0, "The births are spread over so long (default 1000)", 2},
    {0, 0, 0, 0, "echo: the CPU of a bare client in a bridge's place", 3},
    {"legs", OPT_LEGS, "UP:DOWN:EVENT,...", 0, "Octets of an exchange's messages", 3},
    {"per-second", OPT_PER_SECOND, "N", 0, "Exchanges begun per second (default: no bound)", 3},
    {"at-once", OPT_AT_ONCE, "N", 0, "Exchanges at once (default 16)", 3},
    {0},
};

static void check(struct argp_state *state, struct arguments *a) {
    if (!a->command)
        argp_error(state, "devices, births or echo?");
    else if (strcmp(a->command, "devices") == 0) {
        if (!a->admin_socket || !a->tenant)
            argp_error(state, "devices needs --admin and --tenant");
    } else if (strcmp(a->command, "births") != 0 && strcmp(a->command, "echo") != 0)
        argp_error(state, "%s is none of devices, births, echo", a->command);
    else if (!a->broker_url || conf_broker_parse(a->broker_url, &a->broker) || a->broker.tls)
        argp_error(state, "--broker is not mqtt://HOST[:PORT]");
    else if (strcmp(a->command, "echo") == 0 && (!a->legs || bench_legs_parse(a->legs, &a->echo)))
        argp_error(state, "--legs is not UP:DOWN:EVENT,...");
}

static error_t parse_echo(int key, char *arg, struct argp_state *state) {
    struct arguments *a = state->input;
    switch (key) {
    case OPT_LEGS:
        a->legs = arg;
        return 0;
    case OPT_AT_ONCE:
        a->echo.at_once = argument_number(state, arg, 1, 255);
        return 0;
    case OPT_PER_SECOND:
        a->echo.per_second = argument_number(state, arg, 1, 100000);
        return 0;
    case ARGP_KEY_ARG:
        if (a->command)
            argp_error(state, "one command at a time");
        a->command = arg;
        return 0;
    case ARGP_KEY_END:
        check(state, a);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_births(int key, char *arg, struct argp_state *state) {
    struct arguments *a = state->input;
    switch (key) {
    case OPT_NODES:
        a->births.nodes = argument_number(state, arg, 1, 250);
        return 0;
    case OPT_GROUP:
        a->births.group = arg;
        return 0;
    case OPT_LABEL:
        a->births.label = arg;
        return 0;
    case OPT_WITHIN:
        a->births.within_ms = (unsigned)argument_number(state, arg, 1, 3600000);
        return 0;
    default:
        return parse_echo(key, arg, state);
    }
}

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct arguments *a = state->input;
    switch (key) {
    case 'n':
        a->births.devices = a->echo.count = argument_number(state, arg, 1, 1000000);
        return 0;
    case 's':
        a->births.seconds = a->echo.seconds = (unsigned)argument_number(state, arg, 1, 86400);
        return 0;
    case OPT_BROKER:
        a->broker_url = arg;
        return 0;
    case OPT_ADMIN:
        a->admin_socket = arg;
        return 0;
    case OPT_TENANT:
        a->tenant = arg;
        return 0;
    case OPT_PREFIX:
        a->births.prefix = arg;
        return 0;
    case OPT_SECRETS:
        a->secrets = true;
        return 0;
    default:
        return parse_births(key, arg, state);
    }
}

static int complain(const char *what, enum tm_err err) {
    (void)fprintf(stderr, "touchmark-bench-mqtt: %s: %s\n", what, tm_err_name(err));
    return 1;
}

static int run_devices(const struct arguments *a) {
    struct bench_pool pool = {0};
    char text[IPC_TEXT_MAX + 1] = "no memory";
    enum tm_err err = bench_pool_new(a->births.prefix, a->births.devices, &pool);
    if (!err)
        err = bench_prepare(a->admin_socket, a->tenant, IPC_ADMIN_DEVICE_ADD, NULL, &pool, text);
    if (!err && a->secrets)
        err = bench_prepare(a->admin_socket, a->tenant, IPC_ADMIN_DEVICE_SECRET, NULL, &pool, text);
    for (size_t i = 0; !err && a->secrets && i < pool.count; i++)
        (void)printf("%s %s\n", pool.devices[i].id, pool.devices[i].secret);
    bench_pool_free(&pool);
    return err ? complain(text, err) : 0;
}

static int run_births(const struct arguments *a) {
    struct bench_births_result r;
    enum tm_err err = bench_births(&a->births, &r);
    if (err)
        return complain("births", err);
    (void)printf("births: %zu by %zu edge nodes in %.2f s\n", a->births.devices, a->births.nodes,
                 r.seconds);
    (void)printf("offers: %zu of %zu in %.2f s after the first birth\n", r.offered,
                 a->births.devices, r.offered_seconds);
    (void)printf("wait: p50 %.0f ms, p99 %.0f ms\n", r.p50_ms, r.p99_ms);
    (void)printf("offers beyond the first: %zu\n", r.more);
    (void)printf("rebirths asked for: %zu\n", r.rebirths);
    return r.offered == a->births.devices ? 0 : 1;
}

static int run_echo(const struct arguments *a) {
    struct bench_echo_result r;
    enum tm_err err = bench_echo(&a->echo, &r);
    if (err)
        return complain("echo", err);
    (void)printf("exchanges: %zu in %.2f s, %.0f/s\n", r.done, r.seconds,
                 (double)r.done / r.seconds);
    (void)printf("floor, bare client in the bridge's place: %.1f us\n", r.cpu_us);
    return 0;
}

int main(int argc, char **argv) {
    struct arguments a = {
        .births = {.group = "births",
                   .prefix = "MQTT",
                   .nodes = 10,
                   .devices = 1000,
                   .within_ms = 1000,
                   .seconds = 60},
        .echo = {.count = 1000, .at_once = 16, .seconds = 60},
    };
    const struct argp argp = {option_rows,
                              parse_option,
                              "devices|births|echo",
                              "Load over MQTT; touchmark-fleet enrolls over it.",
                              0,
                              0,
                              0};
    if (argp_parse(&argp, argc, argv, 0, NULL, &a) != 0)
        return 2;
    a.births.broker = a.echo.broker = &a.broker;
    if (strcmp(a.command, "devices") == 0)
        return run_devices(&a);
    return strcmp(a.command, "births") == 0 ? run_births(&a) : run_echo(&a);
}
