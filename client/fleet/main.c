/* SPDX-License-Identifier: Apache-2.0 */
/* touchmark-fleet: options in, a report of each scenario, or of the load on a server, out; 1 when
 * something was found. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/argument.h"
#include "base/auto.h"
#include "client/fleet/fleet.h"
#include "client/fleet/load.h"

struct arguments {
    struct fleet_options options;
    const struct fleet_scenario *scenario; /* NULL: all */
    bool histogram;
    bool list;
    struct fleet_load load; /* url NULL: none */
    const char *anchors;
};

enum {
    OPT_HISTOGRAM = 256,
    OPT_LIST,
    OPT_LIFETIME,
    OPT_TRACE,
    OPT_URL,
    OPT_ANCHORS,
    OPT_IDEVID,
    OPT_LDEVID,
    OPT_THREADS,
    OPT_RENEWALS,
    OPT_SECONDS,
    OPT_STAY,
    OPT_PROFILE,
    OPT_GROUP,
    OPT_HOST_ID,
    OPT_PREFIX,
    OPT_BROKER_ANCHORS
};

static const struct argp_option option_rows[] = {
    {"devices", 'n', "N", 0, "How many devices (default 1000)", 0},
    {"years", 'y', "N", 0, "Virtual years, 2 to 20 (default 3)", 0},
    {"lifetime", OPT_LIFETIME, "DAYS", 0, "Of certificates, 7 to 120 days (default 90)", 0},
    {"seed", 's', "N", 0, "Of all chance (default 1)", 0},
    {"scenario", 'c', "NAME", 0, "One of --list, or all (default: storm)", 0},
    {"histogram", OPT_HISTOGRAM, NULL, 0, "Print when certificates were renewed", 0},
    {"trace", OPT_TRACE, "ID", 0, "Print all that a device does, e.g. UNIT-000001", 0},
    {"list", OPT_LIST, NULL, 0, "List the scenarios", 0},
    {NULL, 0, NULL, 0,
     "Load on a real server, by devices whose lines \"ID SECRET\" stand on standard input:", 1},
    {"url", OPT_URL, "URL", 0,
     "https://HOST:PORT of the EST server, or mqtt://HOST:PORT or mqtts://HOST:PORT of a broker",
     1},
    {"anchors", OPT_ANCHORS, "FILE", 0, "Trust anchors (PEM)", 1},
    {"idevid-label", OPT_IDEVID, "LABEL", 0, "EST label for IDevIDs (default: none are enrolled)",
     1},
    {"ldevid-label", OPT_LDEVID, "LABEL", 0, "EST label for LDevIDs (default: none are enrolled)",
     1},
    {"threads", OPT_THREADS, "N", 0, "1 to 64 (default 8)", 1},
    {"renewals", OPT_RENEWALS, "N", 0, "Of each LDevID (default 1)", 1},
    {"seconds", OPT_SECONDS, "N", 0, "At most (default 60)", 1},
    {"stay", OPT_STAY, NULL, 0,
     "All enroll, then all renew, and all keep their connection until the last is done", 1},
    {NULL, 0, NULL, 0, "MQTT, where each device is a client of its own:", 2},
    {"profile", OPT_PROFILE, "NAME", 0, "sparkplug (default: an edge node each) or plain", 2},
    {"group", OPT_GROUP, "NAME", 0,
     "Sparkplug group (default fleet); several times: the devices take turns", 2},
    {"host-id", OPT_HOST_ID, "ID", 0, "Primary host whose STATE is waited for", 2},
    {"prefix", OPT_PREFIX, "TOPIC", 0, "Of the plain profile", 2},
    {"broker-anchors", OPT_BROKER_ANCHORS, "FILE", 0, "CAs of the broker (PEM), for mqtts", 2},
    {0},
};

static void choose(struct arguments *a, const char *name, struct argp_state *state) {
    a->scenario = fleet_scenario_named(name);
    if (!a->scenario && strcmp(name, "all") != 0)
        argp_error(state, "%s is no scenario (see --list)", name);
}

static void add_group(struct fleet_load *load, const char *name, struct argp_state *state) {
    if (load->group_count == FLEET_GROUPS_MAX)
        argp_error(state, "more than %d groups", FLEET_GROUPS_MAX);
    else
        load->groups[load->group_count++] = name;
}

static error_t parse_mqtt(int key, char *arg, struct argp_state *state) {
    struct fleet_load *load = &((struct arguments *)state->input)->load;
    switch (key) {
    case OPT_PROFILE:
        load->plain = strcmp(arg, "plain") == 0;
        if (!load->plain && strcmp(arg, "sparkplug") != 0)
            argp_error(state, "%s is no profile", arg);
        return 0;
    case OPT_GROUP:
        add_group(load, arg, state);
        return 0;
    case OPT_HOST_ID:
        load->host_id = arg;
        return 0;
    case OPT_PREFIX:
        load->prefix = arg;
        return 0;
    case OPT_BROKER_ANCHORS:
        load->broker_anchors = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_load(int key, char *arg, struct argp_state *state) {
    struct arguments *a = state->input;
    switch (key) {
    case OPT_URL:
        a->load.url = arg;
        return 0;
    case OPT_ANCHORS:
        a->anchors = arg;
        return 0;
    case OPT_IDEVID:
        a->load.idevid_label = arg;
        return 0;
    case OPT_LDEVID:
        a->load.ldevid_label = arg;
        return 0;
    case OPT_THREADS:
        a->load.threads = (unsigned)argument_number(state, arg, 1, 64);
        return 0;
    case OPT_RENEWALS:
        a->load.renewals = (unsigned)argument_number(state, arg, 0, 10000);
        return 0;
    case OPT_SECONDS:
        a->load.seconds = (unsigned)argument_number(state, arg, 1, 86400);
        return 0;
    case OPT_STAY:
        a->load.stay = true;
        return 0;
    case ARGP_KEY_END:
        if (a->load.url && (!a->anchors || (!a->load.idevid_label && !a->load.ldevid_label)))
            argp_error(state, "--url needs --anchors and a label");
        if (a->load.group_count == 0)
            add_group(&a->load, "fleet", state);
        return 0;
    default:
        return parse_mqtt(key, arg, state);
    }
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    struct arguments *a = state->input;
    switch (key) {
    case 'n':
        a->options.devices = argument_number(state, arg, 1, 1000000);
        return 0;
    case 'y':
        a->options.years = (unsigned)argument_number(state, arg, 2, 20);
        return 0;
    case OPT_LIFETIME:
        a->options.lifetime_days = (unsigned)argument_number(state, arg, 7, 120);
        return 0;
    case 's':
        a->options.seed = argument_number(state, arg, 0, ~0ul);
        return 0;
    case 'c':
        choose(a, arg, state);
        return 0;
    case OPT_HISTOGRAM:
        a->histogram = true;
        return 0;
    case OPT_TRACE:
        a->options.trace = arg;
        return 0;
    case OPT_LIST:
        a->list = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "%s: no arguments are taken, only options", arg);
        return 0;
    default:
        return parse_load(key, arg, state);
    }
}

static bool refuse(const char *what, enum tm_err err) {
    (void)fprintf(stderr, "touchmark-fleet: %s: %s\n", what, tm_err_name(err));
    return false;
}

static bool run_load(struct arguments *a) {
    static uint8_t octets[TM_ANCHORS_MAX];
    struct buf anchors = BUF_ON(octets);
    enum tm_err err = fleet_anchors_read(a->anchors, &anchors);
    if (err)
        return refuse(a->anchors, err);
    err = fleet_logins_read(stdin, &a->load.logins, &a->load.count);
    if (err)
        return refuse("standard input: lines \"ID SECRET\" are expected", err);
    a->load.anchors = buf_bytes(&anchors);
    bool good = fleet_load_run(&a->load);
    fleet_logins_free(a->load.logins, a->load.count);
    return good;
}

/* Was nothing found? */
static bool run(const struct arguments *a, const struct fleet_scenario *scenario) {
    AUTO_MEM struct fleet *fleet = malloc(sizeof *fleet);
    enum tm_err err = fleet ? fleet_init(fleet, scenario, &a->options) : TM_ENOMEM;
    if (err)
        return refuse(scenario->name, err);
    fleet_run(fleet);
    fleet_report(fleet);
    if (a->histogram)
        fleet_histogram(fleet);
    (void)fflush(stdout);
    bool good = fleet->watch.findings == 0 && fleet->totals.lost == 0;
    fleet_deinit(fleet);
    return good;
}

int main(int argc, char **argv) {
    static const struct argp parser = {
        option_rows,
        parse,
        NULL,
        "Simulates devices that enroll and renew through years, with faults drawn from a seed",
        0,
        0,
        0};
    struct arguments a = {.options = {.devices = 1000, .years = 3, .lifetime_days = 90, .seed = 1},
                          .scenario = fleet_scenario_named("storm"),
                          .load = {.threads = 8, .renewals = 1, .seconds = 60}};
    if (argp_parse(&parser, argc, argv, 0, NULL, &a) != 0)
        return 2;
    if (a.load.url)
        return run_load(&a) ? 0 : 1;
    bool good = true;
    for (size_t i = 0; i < fleet_scenario_count; i++) {
        const struct fleet_scenario *s = &fleet_scenarios[i];
        if (a.list)
            (void)printf("%-10s %s\n", s->name, s->about);
        else if (!a.scenario || a.scenario == s)
            good = run(&a, s) && good;
    }
    return good ? 0 : 1;
}
