/* SPDX-License-Identifier: Apache-2.0 */
/* `touchmark`: the security team's and the operators' command. */
#include <argp.h>
#include <stdlib.h>
#include <string.h>

#include "admin/ceremony_command.h"
#include "admin/command.h"
#include "admin/keys_command.h"

static const char ceremony_words[] = "ceremony";

const char *argp_program_version = "touchmark " TOUCHMARK_VERSION;

/* The commands, to follow the options in --help. The caller (argp) frees. */
static char *list_commands(int key, const char *text, void *input) {
    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC)
        return (char *)text;
    char *list = NULL;
    size_t n;
    FILE *out = open_memstream(&list, &n);
    if (!out)
        return NULL;
    fprintf(out, "Commands (touchmark COMMAND --help says more):\n");
    fprintf(out, "  %-18s %s\n", ceremony_words, "Make keys and CA certificates from a YAML file.");
    fprintf(out, "  %-18s %s\n", "keys add", "Add an issuer whose key is on the token.");
    fprintf(out, "  %-18s %s\n", "keys activate", "Let an issuer sign for tenants.");
    fprintf(out, "  %-18s %s\n", "keys retire", "Take an issuer out of cacerts.");
    for (const struct admin_command *command = admin_commands; command->words; command++)
        fprintf(out, "  %-18s %.*s\n", command->words, (int)strcspn(command->help, ".") + 1,
                command->help);
    fprintf(out, "\nExit codes: 0 done, 1 refused, 64 wrong usage, 69 touchmarkd does not answer, "
                 "78 configuration refused.");
    return fclose(out) ? NULL : list;
}

static error_t parse_none(int key, char *arg, struct argp_state *state) {
    (void)arg;
    if (key == ARGP_KEY_NO_ARGS)
        argp_error(state, "a command is missing");
    if (key != ARGP_KEY_ARG)
        return ARGP_ERR_UNKNOWN;
    state->next = state->argc; /* options behind it are a command's */
    return 0;
}

/* --help, --version and --usage of the program as a whole, and what is no command. */
static int run_without_command(int argc, char **argv) {
    static const struct argp argp = {.parser = parse_none,
                                     .args_doc = "COMMAND [ARGUMENT...]",
                                     .doc = "Operate a Touchmark enrollment server.\v",
                                     .help_filter = list_commands};
    char name[] = "touchmark";
    argv[0] = name; /* argp names the program by it */
    (void)argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, NULL);
    fprintf(stderr, "touchmark: there is no command \"%.60s%s%.60s\"; see touchmark --help\n",
            argv[1], argc > 2 ? " " : "", argc > 2 ? argv[2] : "");
    return EX_USAGE;
}

/* How many of the arguments are the command's words; 0 when it is another command. */
static int match(const char *words, int argc, char **argv) {
    const char *space = strchr(words, ' ');
    size_t first = space ? (size_t)(space - words) : strlen(words);
    if (strlen(argv[1]) != first || strncmp(argv[1], words, first) != 0)
        return 0;
    if (!space)
        return 1;
    return argc > 2 && strcmp(argv[2], space + 1) == 0 ? 2 : 0;
}

static int run(const struct admin_command *command, int used, int argc, char **argv) {
    char name[64];
    (void)snprintf(name, sizeof(name), "touchmark %s", command->words);
    argv[used] = name; /* argp names the program by it */
    struct admin_call call;
    admin_parse(argc - used, argv + used, command, &call);
    return command->run(&call);
}

int main(int argc, char **argv) {
    if (argc < 2)
        return run_without_command(argc, argv);
    if (strcmp(argv[1], ceremony_words) == 0)
        return ceremony_command(argc - 1, argv + 1);
    if (argc > 2 && strcmp(argv[1], "keys") == 0 && keys_command_is(argv[2]))
        return keys_command(argc - 2, argv + 2);
    for (const struct admin_command *command = admin_commands; command->words; command++) {
        int used = match(command->words, argc, argv);
        if (used)
            return run(command, used, argc, argv);
    }
    return run_without_command(argc, argv);
}
