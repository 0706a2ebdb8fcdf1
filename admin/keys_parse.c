/* SPDX-License-Identifier: Apache-2.0 */
/* The command lines of `touchmark keys`: see keys_internal.h. */
#include <argp.h>
#include <stdlib.h>
#include <string.h>

#include "admin/keys_command.h"
#include "admin/keys_internal.h"
#include "conf/value.h"

const char *const keys_words[] = {"add", "activate", "retire", "agree", NULL};

bool keys_command_is(const char *word) {
    for (size_t i = 0; keys_words[i]; i++)
        if (strcmp(keys_words[i], word) == 0)
            return true;
    return false;
}

enum key {
    KEY_LABEL = 256,
    KEY_TOKEN,
    KEY_CERTIFICATE,
    KEY_CHAIN,
    KEY_OCSP,
    KEY_SHARDS,
    KEY_OLD_WITH_NEW,
    KEY_NEW_WITH_OLD,
};

static void set_name(struct argp_state *state, struct keys_order *order, char *arg) {
    static const struct conf_row rule = {.type = CONF_NAME};
    char *copy = NULL;
    if (order->act == KEYS_AGREE)
        argp_error(state, "agree takes no issuer: it is about what the configuration says");
    if (state->arg_num > 0)
        argp_error(state, "one issuer at a time");
    if (conf_value_parse(&rule, arg, "/", &copy))
        argp_error(state, "\"%.60s\" is no name for an issuer", arg);
    free(copy);
    order->name = arg;
}

static void add_tenant(struct argp_state *state, struct keys_order *order, char *arg) {
    if (order->tenant_count == KEYS_TENANTS_MAX)
        argp_error(state, "more than %d tenants", KEYS_TENANTS_MAX);
    order->tenants[order->tenant_count++] = arg;
}

static void set_shards(struct argp_state *state, struct keys_order *order, char *arg) {
    static const struct conf_row rule = {.type = CONF_UINT, .max = 1024};
    if (conf_value_parse(&rule, arg, "/", &order->issuer.crl_shards))
        argp_error(state, "--crl-shards must be a number from 0 to 1024");
}

static void check_complete(struct argp_state *state, const struct keys_order *order) {
    if (!order->name)
        argp_error(state, "the issuer's name is missing");
    if (order->act == KEYS_ADD && (!order->issuer.key_label || !order->issuer.certificate))
        argp_error(state, "--key-label and --certificate are needed");
}

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct keys_order *order = state->input;
    switch (key) {
    case 'c':
        order->conf = arg;
        return 0;
    case 's':
        order->socket = arg;
        return 0;
    case 't':
        add_tenant(state, order, arg);
        return 0;
    case 'r':
        order->reason = arg;
        return 0;
    case KEY_LABEL:
        order->issuer.key_label = arg;
        return 0;
    case KEY_TOKEN:
        order->issuer.token = arg;
        return 0;
    case KEY_CERTIFICATE:
        order->issuer.certificate = arg;
        return 0;
    case KEY_CHAIN:
        order->issuer.chain = arg;
        return 0;
    case KEY_OCSP:
        order->issuer.ocsp_key_label = arg;
        return 0;
    case KEY_SHARDS:
        set_shards(state, order, arg);
        return 0;
    case KEY_OLD_WITH_NEW:
        order->issuer.old_with_new = arg;
        return 0;
    case KEY_NEW_WITH_OLD:
        order->issuer.new_with_old = arg;
        return 0;
    case ARGP_KEY_ARG:
        set_name(state, order, arg);
        return 0;
    case ARGP_KEY_END:
        check_complete(state, order);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

#define COMMON                                                                                     \
    {.name = "conf", .key = 'c', .arg = "FILE", .doc = "Configuration (" CONF_DEFAULT_FILE ")"},   \
        {.name = "socket",                                                                         \
         .key = 's',                                                                               \
         .arg = "PATH",                                                                            \
         .doc = "Administration socket, instead of the configured"},                               \
    {                                                                                              \
        .name = "reason", .key = 'r', .arg = "TEXT", .doc = "Why; it is recorded in the audit"     \
    }
#define TENANT                                                                                     \
    {                                                                                              \
        .name = "tenant", .key = 't', .arg = "NAME",                                               \
        .doc = "For which tenant; may be given several times, and left out if there is only one"   \
    }
static const struct argp_option add_rows[] = {
    {.name = "key-label", .key = KEY_LABEL, .arg = "TEXT", .doc = "Label of its key on the token"},
    {.name = "token",
     .key = KEY_TOKEN,
     .arg = "NAME",
     .doc = "Which of the configured tokens that is, instead of that of signer"},
    {.name = "certificate", .key = KEY_CERTIFICATE, .arg = "FILE", .doc = "Its certificate (PEM)"},
    {.name = "chain",
     .key = KEY_CHAIN,
     .arg = "FILE",
     .doc = "Certificates above it (PEM), the root last"},
    {.name = "ocsp-key-label",
     .key = KEY_OCSP,
     .arg = "TEXT",
     .doc = "Label of the key that signs its OCSP answers"},
    {.name = "crl-shards", .key = KEY_SHARDS, .arg = "N", .doc = "Parts of its CRL (0)"},
    {.name = "old-with-new",
     .key = KEY_OLD_WITH_NEW,
     .arg = "FILE",
     .doc = "OldWithNew (PEM), if its root follows another"},
    {.name = "new-with-old", .key = KEY_NEW_WITH_OLD, .arg = "FILE", .doc = "NewWithOld, likewise"},
    COMMON,
    TENANT,
    {0}};
static const struct argp_option activate_rows[] = {COMMON, TENANT, {0}};
static const struct argp_option retire_rows[] = {COMMON, {0}};
static const struct argp_option agree_rows[] = {COMMON, {0}};

static const char *const docs[] = {
    [KEYS_ADD] = "Add an issuer whose key is on the token. Devices of its tenants learn of it by "
                 "cacerts; it signs nothing yet.",
    [KEYS_ACTIVATE] = "Let an issuer sign for tenants. The one that did so far stays in cacerts.",
    [KEYS_RETIRE] = "Take an issuer out of cacerts. What says which of its certificates are good "
                    "goes on, and they still authenticate.",
    [KEYS_AGREE] = "Propose to officers what the configuration says of the issuers of tenants, "
                   "and of signer.max_rate and signer.max_total, where it was changed by hand; "
                   "and have it taken up once they have signed.",
};

void keys_parse(int argc, char **argv, struct keys_order *ret) {
    static const struct argp_option *const rows[] = {[KEYS_ADD] = add_rows,
                                                     [KEYS_ACTIVATE] = activate_rows,
                                                     [KEYS_RETIRE] = retire_rows,
                                                     [KEYS_AGREE] = agree_rows};
    char name[32];
    *ret = (struct keys_order){.conf = CONF_DEFAULT_FILE};
    while (strcmp(keys_words[ret->act], argv[0]) != 0)
        ret->act++;
    if (ret->act == KEYS_AGREE)
        ret->name = "";
    const struct argp argp = {.options = rows[ret->act],
                              .parser = parse_option,
                              .args_doc = ret->act == KEYS_AGREE ? NULL : "NAME",
                              .doc = docs[ret->act]};
    (void)snprintf(name, sizeof name, "touchmark keys %s", keys_words[ret->act]);
    argv[0] = name; /* argp names the program by it */
    (void)argp_parse(&argp, argc, argv, 0, NULL, ret);
}
