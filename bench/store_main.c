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
#include "store/index.h"
#include "store/store.h"

#define CERTS 3
#define IN_FLIGHT 128 /* batches */
#define DER_SIZE 540  /* of a P-256 certificate */
#define PAGE_ROWS 100
#define ASKED 200 /* times each question is asked */
#define DAY_MS INT64_C(86400000)
#define MAP_MOST (UINT64_C(1) << 40)

struct arguments {
    const char *path;
    const char *environment;
    const char *tenant;
    const char *prefix;
    unsigned long devices;
};

/* One device on its way into the store. */
struct lane {
    struct filling *filling;
    struct ca_device device;
    struct ca_certificate certs[CERTS];
    uint8_t der[CERTS][DER_SIZE];
    struct ca_leaf leaves[1 + CERTS];
    struct ca_leaf refused;
    struct ca_batch batch;
};

struct filling {
    const struct arguments *a;
    struct loop *loop;
    struct ca_store *store;
    unsigned long begun, done;
    int64_t now_ms;
    uint64_t serial; /* within the millisecond */
    uint64_t random;
    enum tm_err err;
};

static uint64_t next_random(uint64_t *state) {
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* ---- records as issuance leaves them ---- */

static const char *const profiles[CERTS] = {"bench-idevid", "bench-ldevid", "bench-vpn"};

/* 48 bits of milliseconds and 80 that rise within one, as serials of one server do. */
static struct ca_serial make_serial(struct filling *f) {
    struct ca_serial serial = {.n = 16};
    struct buf out = {serial.octets, serial.n, 0, false};
    buf_put_be(&out, (uint64_t)f->now_ms, 6);
    buf_put_be(&out, ++f->serial, 4);
    buf_put_be(&out, next_random(&f->random), 6);
    return serial;
}

static void fill_random(struct filling *f, uint8_t *octets, size_t n) {
    for (size_t i = 0; i < n; i += 8) {
        uint64_t x = next_random(&f->random);
        memcpy(octets + i, &x, n - i < 8 ? n - i : 8);
    }
}

static struct ca_leaf make_leaf(const struct lane *lane, enum ca_event event) {
    const struct ca_device *d = &lane->device;
    struct ca_leaf leaf = {.event = (uint8_t)event,
                           .time_ms = lane->filling->now_ms,
                           .request = lane->filling->begun,
                           .origin = IPC_ORIGIN_HTTPS,
                           .operation = IPC_OP_ENROLL,
                           .from_state = CA_PROVISIONING,
                           .to_state = d->state};
    TEXT_SET(leaf.tenant, d->tenant);
    TEXT_SET(leaf.device, d->id);
    TEXT_SET(leaf.site, d->site);
    TEXT_SET(leaf.remote, "192.0.2.17:48122");
    (void)snprintf(leaf.actor, sizeof leaf.actor, "secret:%s", d->id);
    return leaf;
}

static void make_certificate(struct lane *lane, size_t i) {
    struct filling *f = lane->filling;
    struct ca_certificate *c = &lane->certs[i];
    *c = (struct ca_certificate){
        .serial = make_serial(f),
        .status = CA_CERT_ACTIVE,
        .issued_ms = f->now_ms,
        .not_after_ms = i == 0 ? INT64_C(253402300799000)
                               : f->now_ms + 30 * DAY_MS +
                                     (int64_t)(next_random(&f->random) % (335 * (uint64_t)DAY_MS))};
    TEXT_SET(c->tenant, lane->device.tenant);
    TEXT_SET(c->device, lane->device.id);
    TEXT_SET(c->profile, profiles[i]);
    TEXT_SET(c->issuer, "bench");
    fill_random(f, c->profile_hash, sizeof c->profile_hash);
    fill_random(f, c->fingerprint, sizeof c->fingerprint);
    fill_random(f, lane->der[i], DER_SIZE);
    c->der = BYTES_OF(lane->der[i]);
    struct ca_cert_ref *ref = &lane->device.certs[CERTS - 1 - i];
    *ref = (struct ca_cert_ref){.serial = c->serial,
                                .status = CA_CERT_ACTIVE,
                                .issued_ms = c->issued_ms,
                                .not_after_ms = c->not_after_ms};
    TEXT_SET(ref->profile, c->profile);
    fill_random(f, ref->request, sizeof ref->request);
    lane->leaves[1 + i] = make_leaf(lane, CA_EVENT_ISSUED);
    lane->leaves[1 + i].serial = c->serial;
    TEXT_SET(lane->leaves[1 + i].profile, c->profile);
    memcpy(lane->leaves[1 + i].fingerprint, c->fingerprint, CA_HASH_SIZE);
}

/* One of a thousand is stuck in the factory; a batch is 5,000 units, a job 20,000. One of 500 was
 * refused after its last certificate (fill_batch). */
static void make_device(struct lane *lane, unsigned long n) {
    struct filling *f = lane->filling;
    lane->device = (struct ca_device){.version = 1,
                                      .state = n % 1000 == 7 ? CA_PROVISIONING : CA_ACTIVATED,
                                      .created_ms = f->now_ms,
                                      .changed_ms = f->now_ms,
                                      .cert_count = CERTS};
    struct ca_device *d = &lane->device;
    TEXT_SET(d->tenant, f->a->tenant);
    (void)snprintf(d->id, sizeof d->id, "%s%09lu", f->a->prefix, n);
    (void)snprintf(d->batch, sizeof d->batch, "batch-%lu", n / 5000);
    (void)snprintf(d->job, sizeof d->job, "job-%lu", n / 20000);
    (void)snprintf(d->station, sizeof d->station, "station-%lu", n % 40);
    (void)snprintf(d->site, sizeof d->site, "works-%lu", n % 4);
    (void)snprintf(d->sku, sizeof d->sku, "sku-%lu", n % 25);
    TEXT_SET(d->hardware_revision, "C");
}

static void add(struct lane *lane, struct ca_change change) {
    lane->batch.changes[lane->batch.count++] = change;
}

static void fill_batch(struct lane *lane) {
    lane->batch.count = 0;
    add(lane, (struct ca_change){.kind = CA_PUT_DEVICE, .u.device = &lane->device});
    lane->leaves[0] = make_leaf(lane, CA_EVENT_DEVICE_ADDED);
    add(lane, (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = &lane->leaves[0]});
    for (size_t i = 0; i < CERTS; i++) {
        struct ca_change key = {
            .kind = CA_CLAIM_KEY,
            .u.key = {.tenant = lane->device.tenant, .device = lane->device.id}};
        fill_random(lane->filling, key.u.key.spki_hash, CA_HASH_SIZE);
        add(lane, key);
        add(lane, (struct ca_change){.kind = CA_PUT_CERT, .u.certificate = &lane->certs[i]});
        add(lane, (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = &lane->leaves[1 + i]});
    }
    if (lane->filling->begun % 500)
        return;
    lane->refused = make_leaf(lane, CA_EVENT_REFUSED);
    lane->refused.outcome = lane->filling->begun % 1000 ? IPC_EXPIRED : IPC_DUPLICATE_KEY;
    lane->refused.time_ms++;
    add(lane, (struct ca_change){.kind = CA_ADD_LEAF, .u.leaf = &lane->refused});
}

/* ---- filling ---- */

static void begin(struct lane *lane);

static void durable(struct ca_batch *batch, enum tm_err result) {
    struct lane *lane = batch->arg;
    struct filling *f = lane->filling;
    f->done++;
    if (result)
        f->err = result;
    if (f->done % 100000 == 0)
        fprintf(stderr, "%lu devices\n", f->done);
    if (f->err || f->done == f->a->devices)
        loop_stop(f->loop);
    else if (f->begun < f->a->devices)
        begin(lane);
}

static void begin(struct lane *lane) {
    struct filling *f = lane->filling;
    f->now_ms += f->begun % 2 ? 1 : 0;
    make_device(lane, f->begun++);
    for (size_t i = 0; i < CERTS; i++)
        make_certificate(lane, i);
    fill_batch(lane);
    lane->batch.done = durable;
    lane->batch.arg = lane;
    f->err = f->store->ops->submit(f->store, &lane->batch);
    if (f->err)
        loop_stop(f->loop);
}

static double seconds_since(int64_t ms) {
    return (double)(clock_mono_ms() - ms) / 1000;
}

static uint64_t disk_of(const char *folder, const char *name) {
    char path[4096];
    struct stat st;
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    return n < 0 || (size_t)n >= sizeof path || stat(path, &st) ? 0 : (uint64_t)st.st_blocks * 512;
}

static enum tm_err fill(struct filling *f) {
    struct lane *lanes = calloc(IN_FLIGHT, sizeof *lanes);
    if (!lanes)
        return TM_ENOMEM;
    struct store_stats before, after;
    store_stats(f->store, &before);
    int64_t start = clock_mono_ms();
    for (size_t i = 0; i < IN_FLIGHT && f->begun < f->a->devices && !f->err; i++) {
        lanes[i].filling = f;
        begin(&lanes[i]);
    }
    enum tm_err err = f->err || !f->begun ? f->err : loop_run(f->loop);
    double s = seconds_since(start);
    store_stats(f->store, &after);
    if (!err)
        err = f->err;
    if (!err && f->done)
        printf("filled: %lu devices, %lu certificates in %.0f s: %.0f devices/s\n"
               "store: %.0f octets per device\n",
               f->done, f->done * CERTS, s, (double)f->done / s,
               (double)(after.used - before.used) / (double)f->done);
    free(lanes);
    return err;
}

/* ---- the index ---- */

static enum tm_err build(const struct arguments *a, struct ca_index *index) {
    struct ca_fresh fresh;
    bool more = true;
    enum tm_err err = TM_OK;
    int64_t start = clock_mono_ms();
    clock_t cpu = clock();
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
           (double)(clock() - cpu) * 1e6 / CLOCKS_PER_SEC / (double)fresh.devices);
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
        unsigned long n = (unsigned long)(next_random(&state) % (a->devices ? a->devices : 1));
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

static enum tm_err measure_index(const struct arguments *a, struct ca_store *store) {
    struct ca_index *index;
    enum tm_err err = store_index_open(store, a->path, MAP_MOST, &index);
    if (err)
        return err;
    err = build(a, index);
    if (!err)
        err = ask_all(a, index);
    if (!err)
        err = report(index);
    store_index_close(index);
    return err;
}

static enum tm_err measure(const struct arguments *a, char text[IPC_TEXT_MAX + 1]) {
    struct filling f = {.a = a, .now_ms = clock_wall_ms(), .random = (uint64_t)clock_wall_ms()};
    struct store_config config = {.path = a->path,
                                  .environment = a->environment,
                                  .map_size = UINT64_C(1) << 26,
                                  .max_map_size = MAP_MOST,
                                  .queue_max = 2 * IN_FLIGHT,
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
            err = measure_index(a, f.store);
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
