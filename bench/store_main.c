/* SPDX-License-Identifier: Apache-2.0 */
/*
 * touchmark-bench-store: what a large store weighs and how fast it answers. Puts devices with three
 * certificates each into a store through its own interface, in transactions as issuance makes them,
 * has the index built, and times the first page of every question.
 */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/argument.h"
#include "base/clock.h"
#include "bench/store_fill.h"
#include "store/index.h"
#include "store/store.h"

#define PAGE_ROWS 100
#define ASKED 200 /* times each question is asked */
#define RENEWALS 20000
#define DAY_MS INT64_C(86400000)
#define MAP_MOST (UINT64_C(1) << 40)

struct arguments {
    const char *path;
    const char *environment;
    const char *tenant;
    const char *prefix;
    unsigned long devices;
};

static double seconds_since(int64_t ms) {
    return (double)(clock_mono_ms() - ms) / 1000;
}

static uint64_t disk_of(const char *folder, const char *name) {
    char path[4096];
    struct stat st;
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    return n < 0 || (size_t)n >= sizeof path || stat(path, &st) ? 0 : (uint64_t)st.st_blocks * 512;
}

/* Of this thread: the store's writer has one of its own. */
static double cpu_us(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* ---- the index ---- */

static enum tm_err build(const struct arguments *a, struct ca_index *index) {
    struct ca_fresh fresh;
    bool more = true;
    enum tm_err err = TM_OK;
    int64_t start = clock_mono_ms();
    double cpu = cpu_us();
    double walked = 0;
    while (more && !err) {
        err = store_index_step(index, &more);
        store_index_fresh(index, 0, &fresh);
        if (fresh.built && walked == 0)
            walked = seconds_since(start);
    }
    if (err)
        return err;
    double s = seconds_since(start);
    printf("index: %llu devices walked over in %.1f s, %llu leaves in %.1f s, %.1f us of CPU per "
           "device and its leaves\n",
           (unsigned long long)fresh.devices, walked, (unsigned long long)fresh.next, s - walked,
           (cpu_us() - cpu) / (double)fresh.devices);
    printf("index: %.0f octets per device (%.0f MiB on the disk)\n",
           (double)store_index_size(index) / (double)fresh.devices,
           (double)disk_of(a->path, "index/data.mdb") / 1048576);
    return TM_OK;
}

static void count_row(void *arg, const struct ca_found *found) {
    size_t *n = arg;
    (void)found;
    (*n)++;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The first page of a question, each time somewhere else where it has places. */
static enum tm_err ask(const struct arguments *a, struct ca_index *index, const char *name,
                       const struct ca_find *question, bool anywhere) {
    double ms[ASKED];
    size_t rows = 0;
    uint64_t state = 42;
    for (size_t i = 0; i < ASKED; i++) {
        struct ca_find find = *question;
        struct ca_find_cursor cursor = {0};
        struct timespec from, to;
        bool end;
        TEXT_SET(find.tenant, a->tenant);
        unsigned long n = (unsigned long)(fill_random(&state) % (a->devices ? a->devices : 1));
        if (anywhere && find.question == CA_FIND_MATCHING)
            (void)snprintf(find.batch, sizeof find.batch, "batch-%lu", n / 5000);
        else if (anywhere)
            find.from_ms = clock_wall_ms() + (int64_t)(n % 300) * DAY_MS;
        rows = 0;
        (void)clock_gettime(CLOCK_MONOTONIC, &from);
        enum tm_err err =
            store_index_find(index, &find, &cursor, PAGE_ROWS, count_row, &rows, &end);
        (void)clock_gettime(CLOCK_MONOTONIC, &to);
        if (err)
            return err;
        ms[i] = (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6;
    }
    double first = ms[0];
    qsort(ms, ASKED, sizeof ms[0], compare);
    printf("  %-34s %4zu rows: first %.2f ms, p50 %.2f, p99 %.2f\n", name, rows, first,
           ms[ASKED / 2], ms[ASKED * 99 / 100]);
    return TM_OK;
}

static enum tm_err ask_all(const struct arguments *a, struct ca_index *index) {
    const int64_t now_ms = clock_wall_ms();
    const struct {
        const char *name;
        struct ca_find find;
        bool anywhere;
    } questions[] = {
        {"expiring", {.question = CA_FIND_EXPIRING, .from_ms = now_ms}, false},
        {"expiring from some day on", {.question = CA_FIND_EXPIRING}, true},
        {"expiring, one profile",
         {.question = CA_FIND_EXPIRING, .from_ms = now_ms, .profile = "bench-vpn"},
         false},
        {"failing", {.question = CA_FIND_FAILING}, false},
        {"duplicate", {.question = CA_FIND_DUPLICATE}, false},
        {"stuck", {.question = CA_FIND_STUCK}, false},
        {"unrenewed", {.question = CA_FIND_UNRENEWED}, false},
        {"matching a batch", {.question = CA_FIND_MATCHING}, true},
        {"matching station and job",
         {.question = CA_FIND_MATCHING, .station = "station-7", .job = "job-1"},
         false},
        {"matching a site", {.question = CA_FIND_MATCHING, .site = "works-2"}, false},
        {"matching an SKU", {.question = CA_FIND_MATCHING, .sku = "sku-3"}, false},
        {"matching a state", {.question = CA_FIND_MATCHING, .state = CA_ACTIVATED}, false},
        {"matching a profile", {.question = CA_FIND_MATCHING, .profile = "bench-ldevid"}, false},
        {"matching nothing (a look at 1,000)",
         {.question = CA_FIND_MATCHING, .site = "works-1", .station = "station-2"},
         false},
    };
    printf("first pages of %d:\n", PAGE_ROWS);
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < sizeof questions / sizeof questions[0] && !err; i++)
        err = ask(a, index, questions[i].name, &questions[i].find, questions[i].anywhere);
    return err;
}

static void count_health(void *arg, const struct ca_health *health) {
    uint64_t *in_use = arg;
    *in_use += health->in_use;
}

static enum tm_err report(struct ca_index *index) {
    uint64_t in_use = 0;
    int64_t start = clock_mono_ms();
    enum tm_err err = store_index_report(index, clock_wall_ms(), 30, count_health, &in_use);
    if (!err)
        printf("report over %llu certificates in use: %.0f ms\n", (unsigned long long)in_use,
               seconds_since(start) * 1000);
    return err;
}

/* ---- the program ---- */

static void failed(void *arg, const char *text) {
    (void)arg;
    fprintf(stderr, "touchmark-bench-store: %s\n", text);
    exit(1);
}

/* What the index costs issuance: the CPU of its thread for a renewal. */
static enum tm_err follow(struct filling *f, struct ca_index *index) {
    bool more = true;
    enum tm_err err = fill_renew(f, RENEWALS);
    double cpu = cpu_us();
    while (more && !err)
        err = store_index_step(index, &more);
    if (!err)
        printf("following %d renewals: %.1f us of CPU each\n", RENEWALS,
               (cpu_us() - cpu) / RENEWALS);
    return err;
}

static enum tm_err measure_index(const struct arguments *a, struct filling *f) {
    struct ca_index *index;
    enum tm_err err = store_index_open(f->store, a->path, MAP_MOST, &index);
    if (err)
        return err;
    err = build(a, index);
    if (!err)
        err = follow(f, index);
    if (!err)
        err = ask_all(a, index);
    if (!err)
        err = report(index);
    store_index_close(index);
    return err;
}

static enum tm_err fill(struct filling *f) {
    struct store_stats before, after;
    store_stats(f->store, &before);
    int64_t start = clock_mono_ms();
    enum tm_err err = fill_devices(f);
    double s = seconds_since(start);
    store_stats(f->store, &after);
    if (!err && f->devices)
        printf("filled: %lu devices, %lu certificates in %.0f s: %.0f devices/s\n"
               "store: %.0f octets per device\n",
               f->devices, f->devices * FILL_CERTS, s, (double)f->devices / s,
               (double)(after.used - before.used) / (double)f->devices);
    return err;
}

static enum tm_err measure(const struct arguments *a, char text[IPC_TEXT_MAX + 1]) {
    struct filling f = {.tenant = a->tenant,
                        .prefix = a->prefix,
                        .devices = a->devices,
                        .now_ms = clock_wall_ms(),
                        .random = (uint64_t)clock_wall_ms()};
    struct store_config config = {.path = a->path,
                                  .environment = a->environment,
                                  .map_size = UINT64_C(1) << 26,
                                  .max_map_size = MAP_MOST,
                                  .queue_max = 2 * FILL_IN_FLIGHT,
                                  .fatal = failed};
    enum tm_err err = store_create(a->path, a->environment, text);
    if (err && err != TM_EEXISTS)
        return err;
    err = loop_new(&f.loop);
    if (err)
        return err;
    err = store_open(f.loop, &config, &f.store, text);
    if (!err) {
        err = fill(&f);
        if (!err)
            err = measure_index(a, &f);
        store_close(f.store);
    }
    loop_free(f.loop);
    return err;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    struct arguments *a = state->input;
    switch (key) {
    case 's':
        a->path = arg;
        return 0;
    case 'e':
        a->environment = arg;
        return 0;
    case 't':
        a->tenant = arg;
        return 0;
    case 'p':
        a->prefix = arg;
        return 0;
    case 'n':
        a->devices = argument_number(state, arg, 0, 100000000);
        return 0;
    case ARGP_KEY_END:
        if (!a->path)
            argp_error(state, "--store is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv) {
    static const struct argp_option options[] = {
        {"store", 's', "DIR", 0, "Store to fill; it is made if it is not there", 0},
        {"devices", 'n', "N", 0, "Devices to put in, with three certificates each (100000)", 0},
        {"environment", 'e', "NAME", 0, "Environment of the store (dev)", 0},
        {"tenant", 't', "NAME", 0, "Tenant of the devices (bench)", 0},
        {"prefix", 'p', "TEXT", 0, "What their IDs begin with (bench-)", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .doc = "Fill a store with devices, and measure its size, its index and what that answers."};
    struct arguments a = {
        .environment = "dev", .tenant = "bench", .prefix = "bench-", .devices = 100000};
    char text[IPC_TEXT_MAX + 1] = "";
    (void)argp_parse(&argp, argc, argv, 0, NULL, &a);
    enum tm_err err = measure(&a, text);
    if (err)
        fprintf(stderr, "touchmark-bench-store: %s\n", text[0] ? text : tm_err_name(err));
    return err ? 1 : 0;
}
