/* SPDX-License-Identifier: Apache-2.0 */
/* touchmark-bench: options in, a prepared pool or a report out. */
#include <argp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/argument.h"
#include "base/auto.h"
#include "bench/floor.h"
#include "bench/idle.h"
#include "bench/load.h"
#include "bench/prepare.h"
#include "bench/report.h"

#define FLOOR_SECONDS 3

struct options {
    const char *url, *ca_file, *dir;
    const char *admin_socket, *tenant, *prefix;
    char *transitions;
    size_t prepare;
    bool secrets;
    bool floor;
    size_t idle;
    int tls_version;
    int timeout_ms;
    const char *groups;
    struct bench_floor_hsm_config hsm;
    struct bench_load_config load;
};

enum {
    OPT_PREPARE = 256,
    OPT_ADMIN,
    OPT_TENANT,
    OPT_PREFIX,
    OPT_TRANSITION,
    OPT_SECRETS,
    OPT_FLOOR,
    OPT_MODULE,
    OPT_TOKEN,
    OPT_KEY_LABEL,
    OPT_PIN_FILE,
    OPT_SERVER_PID,
    OPT_IDLE,
    OPT_TLS,
    OPT_GROUPS,
    OPT_SAME_KEY,
    OPT_PER_CONNECTION,
    OPT_CREDENTIAL,
    OPT_TIMEOUT,
};

static const struct argp_option option_rows[] = {
    {0, 0, 0, 0, "What to ask", 1},
    {"url", 'u', "URL", 0, "https://HOST:PORT/.well-known/est[/LABEL]", 0},
    {"cacert", 'C', "FILE", 0, "Trust anchors for the server (PEM)", 0},
    {"operation", 'o', "NAME", 0, "enroll, reenroll (default) or cacerts", 0},
    {"credential", OPT_CREDENTIAL, "KIND", 0,
     "certificate (default), secret (each device's one-time secret) or both", 0},
    {"same-key", OPT_SAME_KEY, NULL, 0, "Ask for the device's own key, not for a fresh one", 0},
    {"mode", 'm', "MODE", 0,
     "full (default: a new connection and handshake each), keepalive, resume", 0},
    {"per-connection", OPT_PER_CONNECTION, "N", 0, "keepalive: requests of one connection; 0 = all",
     0},
    {"tls", OPT_TLS, "1.2|1.3", 0, "Only this TLS version", 0},
    {"groups", OPT_GROUPS, "LIST", 0, "TLS groups, X25519:P-256 unless given", 0},
    {0, 0, 0, 0, "How much", 2},
    {"threads", 't', "N", 0, "Clients at once, each a process (default 16)", 0},
    {"count", 'n', "N", 0, "Enrollments at most (default 5000)", 0},
    {"seconds", 's', "N", 0, "Seconds at most (default 10)", 0},
    {"timeout", OPT_TIMEOUT, "MS", 0, "Of one read or write (default 10000)", 0},
    {"idle", OPT_IDLE, "N", 0, "Hold N idle connections meanwhile", 0},
    {0, 0, 0, 0, "Devices", 3},
    {"dir", 'd', "DIR", 0, "Where the prepared devices are", 0},
    {"prepare", OPT_PREPARE, "N", 0,
     "Register N new devices with a secret each; with --url also enroll each once", 0},
    {"secrets", OPT_SECRETS, NULL, 0, "Get a new secret for each prepared device", 0},
    {"transition", OPT_TRANSITION, "STATE,...", 0, "Move each prepared device to these states", 0},
    {"admin", OPT_ADMIN, "SOCKET", 0, "Administration socket", 0},
    {"tenant", OPT_TENANT, "NAME", 0, "Tenant of the devices", 0},
    {"prefix", OPT_PREFIX, "TEXT", 0, "Device IDs begin with it (default BENCH)", 0},
    {0, 0, 0, 0, "What to measure beside", 4},
    {"server-pid", OPT_SERVER_PID, "PID", 0,
     "touchmarkd: print the CPU and memory of its processes", 0},
    {"floor", OPT_FLOOR, NULL, 0,
     "Measure bare OpenSSL handshakes and signatures, and the token if it is named", 0},
    {"module", OPT_MODULE, "FILE", 0, "PKCS#11 module", 0},
    {"token", OPT_TOKEN, "LABEL", 0, "Token", 0},
    {"key-label", OPT_KEY_LABEL, "LABEL", 0, "P-256 key on it", 0},
    {"pin-file", OPT_PIN_FILE, "FILE", 0, "File with the user PIN", 0},
    {0},
};

/* The index of `word` in `words`; argp ends the program when it is none of them. */
static unsigned one_of(struct argp_state *state, const char *word, const char *const *words) {
    for (unsigned i = 0; words[i]; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    argp_error(state, "%s is not one of those allowed (see --help)", word);
    return 0;
}

static error_t parse_measure(int key, char *arg, struct argp_state *state) {
    struct options *o = state->input;
    switch (key) {
    case OPT_SERVER_PID:
        o->load.server = (pid_t)argument_number(state, arg, 1, 1u << 22);
        return 0;
    case OPT_FLOOR:
        o->floor = true;
        return 0;
    case OPT_MODULE:
        o->hsm.module = arg;
        return 0;
    case OPT_TOKEN:
        o->hsm.token = arg;
        return 0;
    case OPT_KEY_LABEL:
        o->hsm.key_label = arg;
        return 0;
    case OPT_PIN_FILE:
        o->hsm.pin_file = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_devices(int key, char *arg, struct argp_state *state) {
    struct options *o = state->input;
    switch (key) {
    case 'd':
        o->dir = arg;
        return 0;
    case OPT_PREPARE:
        o->prepare = argument_number(state, arg, 1, 1000000);
        return 0;
    case OPT_SECRETS:
        o->secrets = true;
        return 0;
    case OPT_TRANSITION:
        o->transitions = arg;
        return 0;
    case OPT_ADMIN:
        o->admin_socket = arg;
        return 0;
    case OPT_TENANT:
        o->tenant = arg;
        return 0;
    case OPT_PREFIX:
        o->prefix = arg;
        return 0;
    default:
        return parse_measure(key, arg, state);
    }
}

static error_t parse_amount(int key, char *arg, struct argp_state *state) {
    struct options *o = state->input;
    switch (key) {
    case 't':
        o->load.clients = (unsigned)argument_number(state, arg, 1, 1024);
        return 0;
    case 'n':
        o->load.count = argument_number(state, arg, 1, 10000000);
        return 0;
    case 's':
        o->load.seconds = (unsigned)argument_number(state, arg, 1, 86400);
        return 0;
    case OPT_TIMEOUT:
        o->timeout_ms = (int)argument_number(state, arg, 1, 3600000);
        return 0;
    case OPT_IDLE:
        o->idle = argument_number(state, arg, 1, 100000);
        return 0;
    default:
        return parse_devices(key, arg, state);
    }
}

static void check_options(struct argp_state *state, const struct options *o) {
    bool admin = o->prepare || o->secrets || o->transitions;
    bool devices = admin || o->load.operation != BENCH_CACERTS;
    if (!o->url && !admin && !o->floor)
        argp_error(state, "nothing to do: give --url, --prepare or --floor");
    if (o->url && !o->ca_file)
        argp_error(state, "--url needs --cacert");
    if ((o->url || admin) && devices && !o->dir)
        argp_error(state, "the devices need --dir");
    if (admin && (!o->admin_socket || !o->tenant))
        argp_error(state, "preparing devices needs --admin and --tenant");
}

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    static const char *const modes[] = {"full", "keepalive", "resume", NULL};
    static const char *const operations[] = {"enroll", "reenroll", "cacerts", NULL};
    static const char *const credentials[] = {"certificate", "secret", "both", NULL};
    static const char *const versions[] = {"1.2", "1.3", NULL};
    struct options *o = state->input;
    switch (key) {
    case 'u':
        o->url = arg;
        return 0;
    case 'C':
        o->ca_file = arg;
        return 0;
    case 'o':
        o->load.operation = (enum bench_operation)one_of(state, arg, operations);
        return 0;
    case 'm':
        o->load.mode = (enum bench_mode)one_of(state, arg, modes);
        return 0;
    case OPT_CREDENTIAL:
        o->load.credential = (enum bench_credential)one_of(state, arg, credentials);
        return 0;
    case OPT_SAME_KEY:
        o->load.same_key = true;
        return 0;
    case OPT_PER_CONNECTION:
        o->load.per_connection = argument_number(state, arg, 0, 1000000);
        return 0;
    case OPT_TLS:
        o->tls_version = one_of(state, arg, versions) == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
        return 0;
    case OPT_GROUPS:
        o->groups = arg;
        return 0;
    case ARGP_KEY_END:
        check_options(state, o);
        return 0;
    default:
        return parse_amount(key, arg, state);
    }
}

static int complain(const char *what, enum tm_err err) {
    fprintf(stderr, "touchmark-bench: %s: %s\n", what, tm_err_name(err));
    return 1;
}

static enum tm_err open_client(const struct options *o, struct bench_load_config *load,
                               struct bench_url *url) {
    char text[BENCH_TEXT_MAX] = "the URL is not of the form https://HOST:PORT/PATH";
    enum tm_err err = bench_url_parse(o->url, url);
    if (err == TM_OK) {
        struct bench_client_config config = {
            .host = url->host,
            .port = url->port,
            .ca_file = o->ca_file,
            .tls_version = o->tls_version,
            .groups = o->groups,
            .timeout_ms = o->timeout_ms,
        };
        err = bench_client_new(&config, &load->client, text);
    }
    if (err != TM_OK)
        (void)complain(text, err);
    load->url = url;
    return err;
}

static enum tm_err administer(const struct options *o, struct bench_pool *pool,
                              enum ipc_admin_verb verb, const char *state) {
    char text[IPC_TEXT_MAX + 1];
    enum tm_err err = bench_prepare(o->admin_socket, o->tenant, verb, state, pool, text);
    if (err != TM_OK)
        (void)complain(text, err);
    return err;
}

static enum tm_err transit(const struct options *o, struct bench_pool *pool) {
    enum tm_err err = TM_OK;
    char *rest = NULL;
    for (char *state = o->transitions ? strtok_r(o->transitions, ",", &rest) : NULL;
         err == TM_OK && state; state = strtok_r(NULL, ",", &rest))
        err = administer(o, pool, IPC_ADMIN_DEVICE_TRANSITION, state);
    return err;
}

/* Each prepared device enrolls once, by its secret, and keeps key and certificate. */
static enum tm_err enroll_once(struct bench_load_config load) {
    struct bench_load_result result;
    load.operation = BENCH_ENROLL;
    load.credential = BENCH_SECRET;
    load.mode = BENCH_KEEPALIVE;
    load.per_connection = 0;
    load.same_key = false;
    load.count = load.pool->count;
    load.seconds = 3600;
    if (load.clients > load.pool->count)
        load.clients = (unsigned)load.pool->count;
    while (load.pool->count % load.clients != 0)
        load.clients--; /* so that none is left over */
    enum tm_err err = bench_load(&load, &result);
    if (err != TM_OK)
        return err;
    if (result.done != load.pool->count) {
        bench_report(stderr, &result, NULL);
        return TM_EDENIED;
    }
    return TM_OK;
}

static enum tm_err prepare(const struct options *o, struct bench_pool *pool) {
    struct bench_url url = {0};
    struct bench_load_config load = o->load;
    load.pool = pool;
    load.keep = true;
    enum tm_err err = TM_OK;
    if (o->prepare) {
        err = bench_pool_new(o->prefix, o->prepare, pool);
        if (err == TM_OK)
            err = administer(o, pool, IPC_ADMIN_DEVICE_ADD, NULL);
    } else {
        err = bench_pool_load(o->dir, pool);
    }
    if (err == TM_OK && (o->prepare || o->secrets))
        err = administer(o, pool, IPC_ADMIN_DEVICE_SECRET, NULL);
    if (err == TM_OK && o->prepare && o->url) {
        err = open_client(o, &load, &url);
        if (err == TM_OK)
            err = enroll_once(load);
        bench_client_free(load.client);
        bench_url_free(&url);
    }
    if (err == TM_OK)
        err = transit(o, pool);
    if (err == TM_OK)
        err = bench_pool_save(o->dir, pool);
    if (err == TM_OK)
        printf("prepared: %zu devices in %s\n", pool->count, o->dir);
    return err;
}

static enum tm_err load_pool(const struct options *o, struct bench_pool *pool) {
    if (o->load.operation == BENCH_CACERTS)
        return bench_pool_new("", o->load.clients, pool);
    return bench_pool_load(o->dir, pool);
}

static void say_started(void) {
    puts("load starts");
}

static enum tm_err run_load(const struct options *o, struct bench_load_result *result) {
    struct bench_pool pool = {0};
    struct bench_url url = {0};
    struct bench_idle *idle = NULL;
    struct bench_load_config load = o->load;
    enum tm_err err = load_pool(o, &pool);
    load.keep = load.operation != BENCH_CACERTS;
    load.started = say_started;
    load.pool = &pool;
    if (err == TM_OK)
        err = open_client(o, &load, &url);
    if (err == TM_OK && o->idle)
        err = bench_idle_open(load.client, &url, o->idle, &idle);
    if (err == TM_OK)
        err = bench_load(&load, result);
    if (err == TM_OK && idle)
        printf("idle connections: %zu of %zu still open\n", bench_idle_open_count(idle), o->idle);
    bench_idle_close(idle);
    if (err == TM_OK && load.keep)
        err = bench_pool_save(o->dir, &pool);
    bench_client_free(load.client);
    bench_url_free(&url);
    bench_pool_free(&pool);
    return err;
}

/* Before and after the load, so that what else the machine does meanwhile falls on both. */
static enum tm_err measure_handshake(const struct options *o, struct bench_floor_tls *sum) {
    struct bench_floor_tls tls;
    enum tm_err err = bench_floor_tls(FLOOR_SECONDS, o->tls_version, &tls);
    if (err != TM_OK) {
        (void)complain("the bare handshake could not be measured", err);
        return err;
    }
    sum->per_second += tls.per_second / 2;
    sum->server_us += tls.server_us / 2;
    sum->client_us += tls.client_us / 2;
    return TM_OK;
}

static enum tm_err measure_signatures(const struct options *o, struct bench_floors *floors) {
    char text[BENCH_TEXT_MAX] = "the bare signatures could not be measured";
    enum tm_err err = bench_floor_ecdsa(1, &floors->ecdsa);
    floors->has_token = o->hsm.module != NULL;
    if (err == TM_OK && floors->has_token)
        err = bench_floor_hsm(&o->hsm, &floors->signatures_per_second, text);
    if (err != TM_OK)
        (void)complain(text, err);
    return err;
}

static int measure(const struct options *o) {
    struct bench_load_result result = {0};
    struct bench_floors floors = {0};
    if (o->floor && measure_handshake(o, &floors.tls) != TM_OK)
        return 1;
    enum tm_err err = o->url ? run_load(o, &result) : TM_OK;
    if (err != TM_OK)
        return complain("the load could not run", err);
    if (o->floor &&
        (measure_handshake(o, &floors.tls) != TM_OK || measure_signatures(o, &floors) != TM_OK))
        return 1;
    bench_report(stdout, o->url ? &result : NULL, o->floor ? &floors : NULL);
    return 0;
}

int main(int argc, char **argv) {
    struct options options = {
        .prefix = "BENCH",
        .timeout_ms = 10000,
        .hsm = {.seconds = 2},
        .load = {.operation = BENCH_REENROLL, .clients = 16, .count = 5000, .seconds = 10},
    };
    struct argp argp = {
        option_rows, parse_option, NULL, "Load over HTTPS against any EST server (RFC 7030).",
        NULL,        NULL,         NULL};
    if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0)
        return 2;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (!options.prepare && !options.secrets && !options.transitions)
        return measure(&options);
    struct bench_pool pool = {0};
    enum tm_err err = prepare(&options, &pool);
    bench_pool_free(&pool);
    return err == TM_OK ? 0 : complain("the devices could not be prepared", err);
}
