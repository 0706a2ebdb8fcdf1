/* SPDX-License-Identifier: Apache-2.0 */
/* touchmark-station: command line. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/argument.h"
#include "base/auto.h"
#include "base/log.h"
#include "client/agent/service.h"
#include "client/station/commands.h"

const char *argp_program_version = "touchmark-station " TOUCHMARK_VERSION;

#define WORDS_MAX 4

struct arguments {
    const char *conf_path;
    struct station_call call;
    bool sample;
    char given[8]; /* letters of the options that belong to commands */
    size_t word_count;
    const char *words[WORDS_MAX];
};

#define OPTION_SAMPLE 256

static const struct argp_option options[] = {
    {"conf", 'c', "FILE", 0, "configuration, by default " STATION_DEFAULT_FILE, 0},
    {"ids", 'i', "FILE", 0, "job run, resume: take IDs from FILE, one per line", 0},
    {"secret-fd", 's', "N", 0, "login: read the secret from descriptor N", 0},
    {"reason", 'r', "TEXT", 0, "job stop, device scrap: why", 0},
    {"offline", 'o', NULL, 0, "status: do not ask the server", 0},
    {"sample", OPTION_SAMPLE, NULL, 0, "print a sample configuration, then exit", 0},
    {0},
};

/* ---- parsing ---- */

static bool names(const struct station_command *command, const struct arguments *a,
                  size_t *ret_words) {
    size_t n = command->group ? 2 : 1;
    *ret_words = n;
    if (a->word_count < n || strcmp(a->words[n - 1], command->name) != 0)
        return false;
    return !command->group || strcmp(a->words[0], command->group) == 0;
}

static const struct station_command *find(const struct arguments *a, size_t *ret_words) {
    for (const struct station_command *c = station_commands; c->name; c++)
        if (names(c, a, ret_words))
            return c;
    return NULL;
}

static void take_argument(struct station_call *call, const char *what, const char *word) {
    if (strcmp(what, "JOB") == 0)
        call->job = word;
    else if (strcmp(what, "ID") == 0)
        call->id = word;
    else
        call->name = word;
}

static const char *name_of(char letter) {
    for (const struct argp_option *option = options; option->name; option++)
        if (option->key == letter)
            return option->name;
    return "";
}

static void take_arguments(struct arguments *a, const struct station_command *command, size_t first,
                           struct argp_state *state) {
    size_t next = first;
    for (const char *const *what = command->arguments; *what; what++) {
        bool optional = **what == '?';
        if (next < a->word_count)
            take_argument(&a->call, *what + optional, a->words[next++]);
        else if (!optional)
            argp_error(state, "%s is missing", *what);
    }
    if (next < a->word_count)
        argp_error(state, "there is one argument too many: %s", a->words[next]);
    if (a->given[strspn(a->given, command->options)] != '\0')
        argp_error(state, "%s does not take this option", command->name);
    const char *must = strchr(command->options, '!');
    if (must && !strchr(a->given, must[1]))
        argp_error(state, "--%s is missing", name_of(must[1]));
}

static void give(struct arguments *a, int key) {
    size_t n = strlen(a->given);
    if (n + 1 < sizeof a->given && !strchr(a->given, key))
        a->given[n] = (char)key;
}

static error_t parse(int key, char *value, struct argp_state *state) {
    struct arguments *a = state->input;
    switch (key) {
    case 'c':
        a->conf_path = value;
        return 0;
    case 'i':
        a->call.ids = value;
        break;
    case 's':
        a->call.secret_fd = (int)argument_number(state, value, 0, 1023);
        break;
    case 'r':
        a->call.reason = value;
        break;
    case 'o':
        a->call.offline = true;
        break;
    case OPTION_SAMPLE:
        a->sample = true;
        return 0;
    case ARGP_KEY_ARG:
        if (a->word_count == WORDS_MAX)
            argp_error(state, "there are too many arguments");
        a->words[a->word_count++] = value;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    give(a, key);
    return 0;
}

/* The table of commands as text. */
static char *help(int key, const char *text, void *input) {
    char *made = NULL;
    size_t n = 0;
    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC)
        return (char *)text;
    FILE *out = open_memstream(&made, &n);
    if (!out)
        return (char *)text;
    (void)fputs("Commands:\n", out);
    for (const struct station_command *c = station_commands; c->name; c++) {
        char line[64];
        (void)snprintf(line, sizeof line, "%s%s%s%s%s%s%s", c->group ? c->group : "",
                       c->group ? " " : "", c->name, c->arguments[0] ? " " : "",
                       c->arguments[0] ? c->arguments[0] : "", c->arguments[1] ? " " : "",
                       c->arguments[1] ? c->arguments[1] : "");
        (void)fprintf(out, "  %-24s %s\n", line, c->help);
    }
    return fclose(out) ? (char *)text : made;
}

/* ---- running ---- */

/* Secrets are in memory for moments: no core file may have them. */
static void refuse_cores(void) {
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
}

static enum station_exit run(struct arguments *a, const struct station_command *command) {
    struct station_conf conf;
    char error[CONF_ERROR_MAX];
    AUTO_FD int stop_fd = -1;
    refuse_cores();
    if (station_conf_open_file(a->conf_path, &conf, error)) {
        (void)fprintf(stderr, "%s\n", error);
        return STATION_CONFIG;
    }
    log_open("station", (enum log_level)conf.log_level);
    enum station_exit code = STATION_AGAIN;
    if (agent_service_signals(&stop_fd) == TM_OK) {
        a->call.conf = &conf;
        a->call.stop_fd = stop_fd;
        code = command->run(&a->call);
    }
    station_conf_close(&conf);
    return fflush(stdout) && code == STATION_DONE ? STATION_AGAIN : code;
}

static error_t parse_all(int key, char *value, struct argp_state *state) {
    struct arguments *a = state->input;
    size_t words = 0;
    if (key != ARGP_KEY_END || a->sample)
        return parse(key, value, state);
    const struct station_command *command = find(a, &words);
    if (!command)
        argp_error(state, "there is no such command");
    else
        take_arguments(a, command, words, state);
    return 0;
}

int main(int argc, char **argv) {
    static const struct argp argp = {
        .options = options,
        .parser = parse_all,
        .args_doc = "COMMAND [ARGUMENT...]",
        .doc = "Gives units on a factory line their keys and certificates, by the rules of a job."
               "\v",
        .help_filter = help};
    struct arguments a = {.conf_path = STATION_DEFAULT_FILE, .call = {.secret_fd = -1}};
    size_t words = 0;
    if (argp_parse(&argp, argc, argv, 0, NULL, &a))
        return STATION_CONFIG;
    if (a.sample) {
        conf_print_sample(station_rows, stdout);
        return fflush(stdout) ? STATION_AGAIN : STATION_DONE;
    }
    return (int)run(&a, find(&a, &words));
}
