/* SPDX-License-Identifier: Apache-2.0 */
/* `touchmark-witness`: see witness.h. */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/auto.h"
#include "witness/witness.h"

const char *argp_program_version = "touchmark-witness " TOUCHMARK_VERSION;

struct arguments {
    struct witness witness;
    const char *name, *key, *address;
    uint16_t port;
    bool show;
};

enum { KEY_SHOW = 256 };

static const struct argp_option options[] = {
    {"name", 'n', "NAME", 0, "Name of its key: a URL without a scheme, of no other witness", 0},
    {"key", 'k', "FILE", 0, "Its key; made, if there is none", 0},
    {"state", 's', "FILE", 0, "What it has cosigned; a copy that is put back makes it lie", 0},
    {"log", 'l', "VKEY", 0, "Verifier key of a log that it watches; may be given several times", 0},
    {"address", 'a', "ADDRESS", 0, "IPv4 or IPv6 address to listen on (127.0.0.1)", 0},
    {"port", 'p', "PORT", 0, "TCP port (8081); 0 lets the kernel choose", 0},
    {"show", KEY_SHOW, NULL, 0, "Only print its verifier key, for audit.witnesses", 0},
    {0}};

static void add_log(struct argp_state *state, struct witness *witness, const char *text) {
    if (witness->log_count == WITNESS_LOGS_MAX)
        argp_error(state, "%d logs are enough", WITNESS_LOGS_MAX);
    struct audit_key *key = &witness->logs[witness->log_count].key;
    if (audit_vkey_parse(bytes_str(text), key) || key->type != AUDIT_KEY_LOG)
        argp_error(state, "\"%.200s\" is no Ed25519 verifier key of a log", text);
    for (size_t i = 0; i < witness->log_count; i++)
        if (strcmp(witness->logs[i].key.name, key->name) == 0)
            argp_error(state, "the log %s is given twice", key->name);
    witness->log_count++;
}

static void set_port(struct argp_state *state, struct arguments *args, const char *text) {
    uint64_t port;
    if (audit_decimal(bytes_str(text), &port) || port > UINT16_MAX)
        argp_error(state, "--port must be a number up to 65535");
    args->port = (uint16_t)port;
}

static void finish(struct argp_state *state, const struct arguments *args) {
    if (!args->name || !audit_name_good(bytes_str(args->name)))
        argp_error(state, "--name must be printable ASCII without blank and plus");
    if (!args->key)
        argp_error(state, "--key is missing");
    if (!args->show && (!args->witness.state || !args->witness.log_count))
        argp_error(state, "--state and --log are needed");
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    struct arguments *args = state->input;
    switch (key) {
    case 'n':
        args->name = arg;
        return 0;
    case 'k':
        args->key = arg;
        return 0;
    case 's':
        args->witness.state = arg;
        return 0;
    case 'l':
        add_log(state, &args->witness, arg);
        return 0;
    case 'a':
        args->address = arg;
        return 0;
    case 'p':
        set_port(state, args, arg);
        return 0;
    case KEY_SHOW:
        args->show = true;
        return 0;
    case ARGP_KEY_END:
        finish(state, args);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int serve(struct arguments *args) {
    struct witness_http *http;
    sigset_t ends;
    uint16_t port;
    int signal_number;
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGINT);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &ends, NULL); /* before there is a thread that could get them */
    enum tm_err err = witness_http_open(&args->witness, args->address, args->port, &http, &port);
    if (err) {
        fprintf(stderr, "touchmark-witness: %s port %u: %s\n", args->address, args->port,
                err == TM_EINVAL ? "this is no address" : strerror(errno));
        return EX_UNAVAILABLE;
    }
    printf("port %u\n", port);
    (void)fflush(stdout);
    (void)sigwait(&ends, &signal_number);
    witness_http_close(http);
    return EX_OK;
}

static int run(struct arguments *args) {
    char vkey[AUDIT_VKEY_MAX];
    if (witness_key_open(&args->witness, args->key, args->name))
        return EX_CONFIG;
    audit_vkey_write(&args->witness.key, vkey);
    printf("%s\n", vkey);
    if (args->show)
        return EX_OK;
    return witness_state_load(&args->witness) ? EX_CONFIG : serve(args);
}

int main(int argc, char **argv) {
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .doc = "Witness transparency logs: cosign checkpoints that only grow "
               "(c2sp.org/tlog-witness). Run it on another machine than the log, under other "
               "hands."};
    AUTO_MEM struct witness_log *logs = calloc(WITNESS_LOGS_MAX, sizeof *logs);
    struct arguments args = {.witness = {.logs = logs}, .address = "127.0.0.1", .port = 8081};
    if (!logs)
        return EX_OSERR;
    (void)argp_parse(&argp, argc, argv, 0, NULL, &args);
    int code = run(&args);
    bytes_wipe(args.witness.seed, sizeof args.witness.seed);
    return code;
}
