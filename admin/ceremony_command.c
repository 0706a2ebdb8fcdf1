/* SPDX-License-Identifier: Apache-2.0 */
/* The key ceremony's command line: ca/ceremony.h on pkcs11/keystore.h. */
#include "admin/ceremony_command.h"

#include <argp.h>
#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "admin/ceremony_internal.h"
#include "admin/command.h"
#include "base/auto.h"
#include "ca/ceremony.h"
#include "ca/environment.h"
#include "pkcs11/keystore.h"

typedef struct ca_keystore ca_keystore;
AUTO_DEFINE(ca_keystore, hsm_keystore_free)

enum mode { HOLD, CHECK, REHEARSE, SHOW };

struct options {
    const char *file;
    enum mode mode;
};

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct options *options = state->input;
    switch (key) {
    case 'c':
        options->mode = CHECK;
        return 0;
    case 'r':
        options->mode = REHEARSE;
        return 0;
    case 's':
        options->mode = SHOW;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0)
            argp_error(state, "one file at a time");
        options->file = arg;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "the ceremony's YAML file is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print_ca(const struct ca_ceremony_ca *ca, bool root) {
    printf("%s %s: key \"%s\" on token %s%s\n", root ? "root" : "intermediate", ca->name,
           ca->key_label, ca->token, ca->certificate ? ", exists already" : "");
    if (ca->ocsp_key_label)
        printf("  and key \"%s\" for OCSP answers\n", ca->ocsp_key_label);
    if (ca->tls_key_label)
        printf("  and key \"%s\" for the TLS server\n", ca->tls_key_label);
}

static void print_plan(const struct ca_ceremony *plan) {
    const struct ca_ceremony_token *tokens = plan->tokens.items;
    const struct ca_ceremony_ca *intermediates = plan->intermediates.items;
    printf("environment %s, certificates in %s, transcript %s\n",
           ca_environment_words[plan->environment], plan->out, plan->transcript);
    for (size_t i = 0; i < plan->tokens.count; i++)
        printf("token %s: label \"%s\" in %s%s\n", tokens[i].name, tokens[i].label,
               tokens[i].module, tokens[i].init ? ", made here" : "");
    print_ca(&plan->root, true);
    if (plan->previous_root.certificate)
        printf("  follows %s: %s-old-with-new.pem, %s-new-with-old.pem\n",
               plan->previous_root.certificate, plan->root.name, plan->root.name);
    for (size_t i = 0; i < plan->intermediates.count; i++)
        print_ca(&intermediates[i], false);
}

static void print_step(void *arg, const char *line) {
    (void)arg;
    printf("%s\n", line);
    (void)fflush(stdout);
}

/* PINs are in this process: no core file, no debugger. */
static bool hide_memory(void) {
    const struct rlimit none = {0, 0};
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && setrlimit(RLIMIT_CORE, &none) == 0;
}

static void user_name(char *ret, size_t cap) {
    const struct passwd *user = getpwuid(getuid());
    (void)snprintf(ret, cap, "%s (uid %u)", user ? user->pw_name : "?", (unsigned)getuid());
}

enum tm_err ceremony_hold(const struct ca_ceremony *plan, const char *file,
                          char error[CONF_ERROR_MAX]) {
    char host_name[256] = "", user[128];
    AUTO(ca_keystore) keystore = NULL;
    if (!hide_memory()) {
        (void)snprintf(error, CONF_ERROR_MAX, "cannot protect this process's memory: %s",
                       strerror(errno));
        return TM_EIO;
    }
    if (hsm_keystore_new(&keystore)) {
        (void)snprintf(error, CONF_ERROR_MAX, "out of memory");
        return TM_ENOMEM;
    }
    (void)gethostname(host_name, sizeof host_name - 1);
    user_name(user, sizeof user);
    const struct ca_ceremony_host host = {.host = host_name,
                                          .user = user,
                                          .program = "touchmark " TOUCHMARK_VERSION,
                                          .input = file,
                                          .step = print_step};
    return ca_ceremony_run(plan, keystore, &host, error);
}

static int hold(const struct ca_ceremony *plan, const char *file) {
    char error[CONF_ERROR_MAX];
    if (ceremony_hold(plan, file, error)) {
        fprintf(stderr, "touchmark ceremony: %s\n", error);
        return ADMIN_EXIT_REFUSED;
    }
    printf("certificates in %s, transcript %s\n", plan->out, plan->transcript);
    return EX_OK;
}

static int run_plan(const struct options *options) {
    struct ca_ceremony plan;
    char error[CONF_ERROR_MAX];
    if (ca_ceremony_load(options->file, &plan, error)) {
        fprintf(stderr, "touchmark ceremony: %s\n", error);
        return EX_CONFIG;
    }
    int code = EX_OK;
    if (options->mode == CHECK)
        print_plan(&plan);
    else
        code = options->mode == REHEARSE ? ceremony_rehearse(&plan, options->file)
                                         : hold(&plan, options->file);
    ca_ceremony_free(&plan);
    return code;
}

int ceremony_command(int argc, char **argv) {
    static const struct argp_option rows[] = {
        {.name = "check",
         .key = 'c',
         .doc = "Check the file and say what would be made; opens no token"},
        {.name = "rehearse",
         .key = 'r',
         .doc = "Hold it on SoftHSM tokens that are removed afterwards, as environment test"},
        {.name = "show",
         .key = 's',
         .doc =
             "FILE is a transcript: print it for people, and hold it against the files it names"},
        {0}};
    static const struct argp argp = {
        .options = rows,
        .parser = parse_option,
        .args_doc = "FILE.yaml",
        .doc = "Make CA keys on their tokens, and their certificates, as FILE.yaml says.\v"
               "Everything is checked before anything is made. A ceremony that was interrupted "
               "goes on when the same file is given again. PINs come from where the file says, "
               "never from this command line."};
    struct options options = {0};
    char name[] = "touchmark ceremony";
    argv[0] = name; /* argp names the program by it */
    (void)argp_parse(&argp, argc, argv, 0, NULL, &options);
    return options.mode == SHOW ? ceremony_show(options.file) : run_plan(&options);
}
