/* SPDX-License-Identifier: Apache-2.0 */
/* One command's line by argp, with the options that this command takes and no others. */
#include <argp.h>
#include <string.h>

#include "admin/command.h"
#include "conf/conf.h"

#define LONG_KEY 256 /* keys of options without a letter start here */

struct parsing {
    struct admin_call *call;
    uint64_t given; /* bits of the options seen */
};

static int key_of(enum admin_field_id id) {
    return admin_fields[id].letter ? admin_fields[id].letter : LONG_KEY + (int)id;
}

static enum admin_field_id option_of(const struct admin_command *command, int key) {
    for (int id = 1; id < ADMIN_FIELD_COUNT; id++)
        if (command->options & UINT64_C(1) << id && key_of((enum admin_field_id)id) == key)
            return (enum admin_field_id)id;
    return ADMIN_NO_FIELD;
}

static size_t argument_count(const struct admin_command *command) {
    size_t n = 0;
    while (command->arguments[n] != ADMIN_NO_FIELD)
        n++;
    return n;
}

static void set(struct argp_state *state, enum admin_field_id id, const char *text) {
    struct parsing *parsing = state->input;
    char allowed[CONF_ERROR_MAX];
    if (admin_field_set(id, text, parsing->call, allowed))
        argp_error(state, "%s \"%.60s\" is not allowed; must be %s", admin_fields[id].name, text,
                   allowed);
    parsing->given |= UINT64_C(1) << id;
}

static error_t parse_one(int key, char *arg, struct argp_state *state) {
    struct parsing *parsing = state->input;
    const struct admin_command *command = parsing->call->command;
    if (key == ARGP_KEY_ARG) {
        size_t count = argument_count(command), at = state->arg_num;
        if (at >= count && command->repeats)
            at = count - 1;
        if (at >= count)
            argp_error(state, "\"%.60s\" is one argument too many", arg);
        set(state, command->arguments[at], arg);
        return 0;
    }
    if (key == ARGP_KEY_END) {
        if (state->arg_num < command->required)
            argp_error(state, "%s is missing",
                       admin_fields[command->arguments[state->arg_num]].name);
        if (command->demanded && !(parsing->given & UINT64_C(1) << command->demanded))
            argp_error(state, "--%s is missing", admin_fields[command->demanded].name);
        return 0;
    }
    enum admin_field_id id = option_of(command, key);
    if (id == ADMIN_NO_FIELD)
        return ARGP_ERR_UNKNOWN;
    set(state, id, arg ? arg : "");
    return 0;
}

static void list_options(const struct admin_command *command,
                         struct argp_option ret[ADMIN_FIELD_COUNT + 1]) {
    size_t n = 0;
    for (int id = 1; id < ADMIN_FIELD_COUNT; id++)
        if (command->options & UINT64_C(1) << id)
            ret[n++] = (struct argp_option){.name = admin_fields[id].name,
                                            .key = key_of((enum admin_field_id)id),
                                            .arg = admin_fields[id].metavar,
                                            .doc = admin_fields[id].help};
    ret[n] = (struct argp_option){0};
}

static void list_arguments(const struct admin_command *command, char ret[64]) {
    size_t at = 0;
    ret[0] = '\0';
    for (size_t i = 0; command->arguments[i] != ADMIN_NO_FIELD && at < 64; i++)
        at += (size_t)snprintf(ret + at, 64 - at, i < command->required ? "%s%s" : "%s[%s]",
                               i ? " " : "", admin_fields[command->arguments[i]].name);
    if (command->repeats && at < 64)
        (void)snprintf(ret + at, 64 - at, "...");
}

void admin_parse(int argc, char **argv, const struct admin_command *command,
                 struct admin_call *ret_call) {
    struct argp_option options[ADMIN_FIELD_COUNT + 1];
    char arguments[64];
    list_options(command, options);
    list_arguments(command, arguments);
    const struct argp argp = {
        .options = options, .parser = parse_one, .args_doc = arguments, .doc = command->help};
    *ret_call = (struct admin_call){.command = command, .conf = CONF_DEFAULT_FILE};
    ret_call->request.verb = command->verb;
    struct parsing parsing = {.call = ret_call};
    (void)argp_parse(&argp, argc, argv, 0, NULL, &parsing);
}
