/* SPDX-License-Identifier: Apache-2.0 */
/* touchmarkd: command line. Without options it is the supervisor; --role is how that starts the
 * other processes. */
#include <argp.h>
#include <stdio.h>

#include "server/role.h"
#include "server/settings.h"
#include "server/supervisor/supervisor.h"

struct arguments {
    const char *conf_path;
    const char *role;
    bool check;
};

enum { OPTION_CHECK = 256, OPTION_ROLE };

static const struct argp_option options[] = {
    {"conf", 'c', "FILE", 0, "configuration, by default " CONF_DEFAULT_FILE, 0},
    {"check", OPTION_CHECK, NULL, 0, "check the configuration and the files it names, then exit",
     0},
    {"role", OPTION_ROLE, "ROLE", OPTION_HIDDEN, NULL, 0},
    {0},
};

static error_t parse(int key, char *value, struct argp_state *state) {
    struct arguments *arguments = state->input;
    switch (key) {
    case 'c':
        arguments->conf_path = value;
        return 0;
    case OPTION_CHECK:
        arguments->check = true;
        return 0;
    case OPTION_ROLE:
        arguments->role = value;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int check(const char *conf_path) {
    struct settings settings;
    char error[CONF_ERROR_MAX];
    if (settings_load(conf_path, &settings, error)) {
        (void)fprintf(stderr, "%s\n", error);
        return ROLE_EXIT_CONFIG;
    }
    bool good = settings_check(&settings) == TM_OK;
    settings_close(&settings);
    if (!good)
        return ROLE_EXIT_CONFIG;
    (void)printf("%s: good\n", conf_path);
    return 0;
}

static void print_version(FILE *out, struct argp_state *state) {
    (void)state;
    (void)fprintf(out, "touchmarkd " TOUCHMARK_VERSION "\n");
}

int main(int argc, char **argv) {
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .doc = "EST (RFC 7030) enrollment server.\vServes until SIGTERM or SIGINT; SIGHUP reloads "
               "the configuration. Logs lines to standard error."};
    struct arguments arguments = {.conf_path = CONF_DEFAULT_FILE};
    argp_program_version_hook = print_version;
    if (argp_parse(&argp, argc, argv, 0, NULL, &arguments))
        return ROLE_EXIT_CONFIG;
    if (arguments.role)
        return role_main(arguments.role, arguments.conf_path);
    if (arguments.check)
        return check(arguments.conf_path);
    return supervisor_main(arguments.conf_path);
}
