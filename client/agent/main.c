/* SPDX-License-Identifier: Apache-2.0 */
/* touchmark-agent: command line, and the service round its reloads. */
#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "base/auto.h"
#include "base/log.h"
#include "client/agent/service.h"
#include "client/agent/status.h"

const char *argp_program_version = "touchmark-agent " TOUCHMARK_VERSION;

enum command { COMMAND_SERVE, COMMAND_ONCE, COMMAND_STATUS, COMMAND_CHECK, COMMAND_SAMPLE };

struct arguments {
    const char *conf_path;
    enum command command;
};

#define OPTION_COMMAND 256 /* a command's option is this and the command */

static const struct argp_option options[] = {
    {"conf", 'c', "FILE", 0, "configuration, by default " AGENT_DEFAULT_FILE, 0},
    {"once", OPTION_COMMAND + COMMAND_ONCE, NULL, 0,
     "do what is due, give up at the first failure, then exit", 0},
    {"status", OPTION_COMMAND + COMMAND_STATUS, NULL, 0, "print the status file, then exit", 0},
    {"check", OPTION_COMMAND + COMMAND_CHECK, NULL, 0,
     "check the configuration and the files it names, then exit", 0},
    {"sample", OPTION_COMMAND + COMMAND_SAMPLE, NULL, 0, "print a sample configuration, then exit",
     0},
    {0},
};

static error_t parse(int key, char *value, struct argp_state *state) {
    struct arguments *arguments = state->input;
    if (key == 'c') {
        arguments->conf_path = value;
        return 0;
    }
    if (key < OPTION_COMMAND || key > OPTION_COMMAND + COMMAND_SAMPLE)
        return ARGP_ERR_UNKNOWN;
    if (arguments->command != COMMAND_SERVE)
        argp_error(state, "only one of --once, --status, --check and --sample can be done");
    arguments->command = (enum command)(key - OPTION_COMMAND);
    return 0;
}

/* ---- the service ---- */

/* A bad configuration changes nothing. */
static void reload(const char *path, struct agent_conf *conf) {
    struct agent_conf next;
    struct timespec now;
    char error[CONF_ERROR_MAX];
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                     (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    if (agent_conf_open_file(path, &next, error)) {
        log_error("%s", error);
        log_error("the configuration is as before");
        return;
    }
    agent_conf_close(conf);
    *conf = next;
    log_open("agent", (enum log_level)conf->log_level);
}

static enum agent_exit serve(const char *path, struct agent_conf *conf, bool once) {
    AUTO_MEM struct agent *agent = malloc(sizeof *agent);
    AUTO_FD int signal_fd = -1;
    enum agent_exit code = AGENT_EXIT_AGAIN;
    if (!agent || agent_service_signals(&signal_fd))
        return code;
    for (;;) {
        code = agent_open(agent, conf);
        if (code != AGENT_EXIT_DONE)
            return code;
        enum agent_end end = agent_service_run(agent, signal_fd, once, &code);
        agent_close(agent);
        if (end == AGENT_END_EXIT)
            return code;
        log_info("opening %s again", path);
        reload(path, conf);
    }
}

static int print_sample(void) {
    conf_print_sample(agent_rows, stdout);
    return fflush(stdout) ? AGENT_EXIT_AGAIN : AGENT_EXIT_DONE;
}

static enum agent_exit check(const char *path, const struct agent_conf *conf) {
    enum agent_exit code = agent_check(conf);
    if (code == AGENT_EXIT_DONE)
        (void)printf("%s: good\n", path);
    return code;
}

static enum agent_exit run(const struct arguments *arguments, struct agent_conf *conf) {
    if (arguments->command == COMMAND_STATUS)
        return agent_status_print(conf);
    if (arguments->command == COMMAND_CHECK)
        return check(arguments->conf_path, conf);
    log_info("touchmark-agent " TOUCHMARK_VERSION " starts for %s", conf->device);
    enum agent_exit code = serve(arguments->conf_path, conf, arguments->command == COMMAND_ONCE);
    log_info("touchmark-agent ends with %d", (int)code);
    (void)sd_notify(0, "STOPPING=1");
    return code;
}

/* The heap holds secrets for moments: no core file may. */
static void refuse_cores(void) {
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
}

int main(int argc, char **argv) {
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .doc = "Enrolls this machine at an EST (RFC 7030) server and renews its certificate for "
               "ever.\vServes until SIGTERM or SIGINT; SIGHUP reads the configuration again, "
               "SIGUSR1 renews now. Logs JSON lines to standard error.\nExit "
               "codes: 0 done, 2 configuration refused, 64 wrong usage, 75 no answer yet, 77 "
               "refused by the server."};
    struct arguments arguments = {.conf_path = AGENT_DEFAULT_FILE};
    struct agent_conf conf;
    char error[CONF_ERROR_MAX];
    if (argp_parse(&argp, argc, argv, 0, NULL, &arguments))
        return AGENT_EXIT_CONFIG;
    if (arguments.command == COMMAND_SAMPLE)
        return print_sample();
    refuse_cores();
    if (agent_conf_open_file(arguments.conf_path, &conf, error)) {
        (void)fprintf(stderr, "%s\n", error);
        return AGENT_EXIT_CONFIG;
    }
    log_open("agent", (enum log_level)conf.log_level);
    enum agent_exit code = run(&arguments, &conf);
    agent_conf_close(&conf);
    return (int)code;
}
