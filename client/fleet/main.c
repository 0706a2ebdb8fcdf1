/* SPDX-License-Identifier: Apache-2.0 */
/* touchmark-fleet: options in, a report of each scenario out; 1 when something was found. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "client/fleet/fleet.h"

struct arguments {
    struct fleet_options options;
    const struct fleet_scenario *scenario; /* NULL: all */
    bool histogram;
    bool list;
};

enum { OPT_HISTOGRAM = 256, OPT_LIST, OPT_LIFETIME, OPT_TRACE };

static const struct argp_option option_rows[] = {
    {"devices", 'n', "N", 0, "How many devices (default 1000)", 0},
    {"years", 'y', "N", 0, "Virtual years, 2 to 20 (default 3)", 0},
    {"lifetime", OPT_LIFETIME, "DAYS", 0, "Of certificates, 7 to 120 days (default 90)", 0},
    {"seed", 's', "N", 0, "Of all chance (default 1)", 0},
    {"scenario", 'c', "NAME", 0, "One of --list, or all (default: storm)", 0},
    {"histogram", OPT_HISTOGRAM, NULL, 0, "Print when certificates were renewed", 0},
    {"trace", OPT_TRACE, "ID", 0, "Print all that a device does, e.g. UNIT-000001", 0},
    {"list", OPT_LIST, NULL, 0, "List the scenarios", 0},
    {0},
};

static unsigned long number(struct argp_state *state, const char *text, unsigned long min,
                            unsigned long max) {
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (*text == '\0' || *end != '\0' || n < min || n > max)
        argp_error(state, "%s is not a number from %lu to %lu", text, min, max);
    return n;
}

static void choose(struct arguments *a, const char *name, struct argp_state *state) {
    a->scenario = fleet_scenario_named(name);
    if (!a->scenario && strcmp(name, "all") != 0)
        argp_error(state, "%s is no scenario (see --list)", name);
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    struct arguments *a = state->input;
    switch (key) {
    case 'n':
        a->options.devices = number(state, arg, 1, 1000000);
        return 0;
    case 'y':
        a->options.years = (unsigned)number(state, arg, 2, 20);
        return 0;
    case OPT_LIFETIME:
        a->options.lifetime_days = (unsigned)number(state, arg, 7, 120);
        return 0;
    case 's':
        a->options.seed = number(state, arg, 0, ~0ul);
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
        return ARGP_ERR_UNKNOWN;
    }
}

/* Was nothing found? */
static bool run(const struct arguments *a, const struct fleet_scenario *scenario) {
    AUTO_MEM struct fleet *fleet = malloc(sizeof *fleet);
    enum tm_err err = fleet ? fleet_init(fleet, scenario, &a->options) : TM_ENOMEM;
    if (err) {
        (void)fprintf(stderr, "touchmark-fleet: %s\n", tm_err_name(err));
        return false;
    }
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
                          .scenario = fleet_scenario_named("storm")};
    if (argp_parse(&parser, argc, argv, 0, NULL, &a) != 0)
        return 2;
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
