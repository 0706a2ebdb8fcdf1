/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of `touchmark keys`, and the order of things: see keys_command.h. */
#include "admin/keys_command.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "admin/command.h"
#include "admin/keys_internal.h"
#include "base/auto.h"
#include "ca/environment.h"
#include "ca/issuer.h"
#include "ca/pem.h"
#include "conf/value.h"

static const char *const words[] = {"add", "activate", "retire"};

bool keys_command_is(const char *word) {
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i], word) == 0)
            return true;
    return false;
}

/* ---- the command line ---- */

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

static const char *const docs[] = {
    [KEYS_ADD] = "Add an issuer whose key is on the token. Devices of its tenants learn of it by "
                 "cacerts; it signs nothing yet.",
    [KEYS_ACTIVATE] = "Let an issuer sign for tenants. The one that did so far stays in cacerts.",
    [KEYS_RETIRE] = "Take an issuer out of cacerts. What says which of its certificates are good "
                    "goes on, and they still authenticate.",
};

static void parse(int argc, char **argv, struct keys_order *ret) {
    static const struct argp_option *const rows[] = {
        [KEYS_ADD] = add_rows, [KEYS_ACTIVATE] = activate_rows, [KEYS_RETIRE] = retire_rows};
    char name[32];
    *ret = (struct keys_order){.conf = CONF_DEFAULT_FILE};
    while (strcmp(words[ret->act], argv[0]) != 0)
        ret->act++;
    const struct argp argp = {.options = rows[ret->act],
                              .parser = parse_option,
                              .args_doc = "NAME",
                              .doc = docs[ret->act]};
    (void)snprintf(name, sizeof name, "touchmark keys %s", words[ret->act]);
    argv[0] = name; /* argp names the program by it */
    (void)argp_parse(&argp, argc, argv, 0, NULL, ret);
}

/* ---- checks before anything is written ---- */

static enum tm_err check_rollover(const char *path, char error[CONF_ERROR_MAX]) {
    char text[IPC_TEXT_MAX + 1];
    struct bytes der;
    if (!path)
        return TM_OK;
    enum tm_err err = ca_pem_load(path, &der, text);
    if (err)
        (void)snprintf(error, CONF_ERROR_MAX, "%s", text);
    else
        free((void *)(uintptr_t)der.p);
    return err;
}

/* The server would refuse it as well; here nothing was done yet. */
static enum tm_err check_certificate(const struct keys_order *order, const struct conf *conf,
                                     char spki_sha256[65], char error[CONF_ERROR_MAX]) {
    char text[IPC_TEXT_MAX + 1];
    struct ca_issuer issuer;
    enum tm_err err =
        ca_issuer_load(order->name, order->issuer.certificate, order->issuer.chain, &issuer, text);
    if (err) {
        (void)snprintf(error, CONF_ERROR_MAX, "%s", text);
        return err;
    }
    bool matches = ca_environment_matches(issuer.view.subject, conf->environment);
    uint8_t hash[32];
    bool hashed = EVP_Digest(issuer.view.spki.whole.p, issuer.view.spki.whole.n, hash, NULL,
                             EVP_sha256(), NULL) == 1 &&
                  hex_encode(BYTES_OF(hash), spki_sha256, 65) == TM_OK;
    ca_issuer_free(&issuer);
    if (!hashed) {
        (void)snprintf(error, CONF_ERROR_MAX, "its key cannot be hashed");
        return TM_ECRYPTO;
    }
    if (!matches) {
        (void)snprintf(error, CONF_ERROR_MAX, "%s: its subject does not say \"OU=%s\"",
                       order->issuer.certificate, ca_environment_unit(conf->environment));
        return TM_EDENIED;
    }
    err = check_rollover(order->issuer.old_with_new, error);
    return err ? err : check_rollover(order->issuer.new_with_old, error);
}

/* Does the whole hold together with this text? */
static enum tm_err check_whole(const struct keys_order *order, const char *text, size_t n,
                               char error[CONF_ERROR_MAX]) {
    AUTO_MEM char *own = NULL;
    size_t own_n;
    struct conf conf;
    enum tm_err err = conf_read_file(order->conf, &own, &own_n, error);
    if (!err)
        err = conf_open(own, own_n, order->conf, &conf, error);
    if (err)
        return err;
    err = conf_merge(&conf, text, n, error);
    conf_close(&conf);
    return err;
}

/* ---- the change ---- */

struct texts {
    char *before;
    size_t before_n;
    char *after;
    size_t after_n;
};

static enum tm_err make_text(const struct keys_order *order, const struct conf *conf,
                             struct texts *texts, char error[CONF_ERROR_MAX]) {
    struct conf_managed managed;
    enum tm_err err = conf_managed_load(conf->issuers_file, &managed, error);
    if (err)
        return err;
    err = keys_change(order, conf, &managed, error);
    if (!err) {
        (void)snprintf(error, CONF_ERROR_MAX, "out of memory");
        err = conf_managed_print(&managed, &texts->after, &texts->after_n);
    }
    conf_free(conf_managed_rows, &managed, sizeof managed);
    return err ? err : check_whole(order, texts->after, texts->after_n, error);
}

/* One command at a time: the folder is locked until the process ends. */
static enum tm_err lock(const char *path, char error[CONF_ERROR_MAX]) {
    AUTO_MEM char *folder = strdup(path);
    char *slash = folder ? strrchr(folder, '/') : NULL;
    if (!slash)
        return TM_ENOMEM;
    slash[slash == folder] = '\0';
    AUTO_FD int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB)) {
        (void)snprintf(error, CONF_ERROR_MAX, "%.200s: %s", folder,
                       errno == EWOULDBLOCK ? "another keys command is at work" : strerror(errno));
        return TM_EIO;
    }
    (void)TAKE_FD(fd);
    return TM_OK;
}

/* What was done already is undone; the server takes up what it had. */
static void revert(const struct conf *conf, const char *socket, const struct keys_order *order,
                   const struct texts *texts, bool reload) {
    char error[CONF_ERROR_MAX];
    enum tm_err err =
        conf_managed_replace(conf->issuers_file, texts->before, texts->before_n, error);
    if (!err && reload && keys_reload(socket, order->name, "taken back", error))
        err = keys_reload_by_signal(conf, socket, error);
    if (err)
        fprintf(stderr, "touchmark: and it could not be taken back: %s\n", error);
}

static void describe(const struct keys_order *order, char ret[IPC_TEXT_MAX + 1]) {
    size_t n = (size_t)snprintf(ret, IPC_TEXT_MAX + 1, "%s", words[order->act]);
    for (size_t i = 0; i < order->tenant_count && n < IPC_TEXT_MAX; i++)
        n += (size_t)snprintf(ret + n, IPC_TEXT_MAX + 1 - n, "%s %s", i ? "," : " for",
                              order->tenants[i]);
    if (order->reason && n < IPC_TEXT_MAX)
        (void)snprintf(ret + n, IPC_TEXT_MAX + 1 - n, ": %s", order->reason);
}

/* Writes, has it taken up, and looks whether the token has the key. */
static enum tm_err put_in_force(const struct keys_order *order, const struct conf *conf,
                                const char *socket, const struct texts *texts,
                                char error[CONF_ERROR_MAX]) {
    char reason[IPC_TEXT_MAX + 1];
    describe(order, reason);
    enum tm_err err = conf_managed_replace(conf->issuers_file, texts->after, texts->after_n, error);
    if (err)
        return err;
    err = keys_reload(socket, order->name, reason, error);
    bool refused = err == TM_EDENIED;
    if (!err && order->act == KEYS_ADD)
        err = keys_shown(socket, order->name, error);
    if (err)
        revert(conf, socket, order, texts, !refused);
    return err;
}

static enum tm_err carry_out(const struct keys_order *order, const struct conf *conf,
                             struct texts *texts, char error[CONF_ERROR_MAX]) {
    const char *socket = order->socket ? order->socket : conf->core.admin_socket;
    char spki_sha256[65];
    if (!conf->issuers_file) {
        (void)snprintf(error, CONF_ERROR_MAX, "%.200s: issuers_file is not set", order->conf);
        return TM_EDENIED;
    }
    enum tm_err err = lock(conf->issuers_file, error);
    if (!err)
        err = conf_managed_read(conf->issuers_file, &texts->before, &texts->before_n, error);
    if (!err && order->act == KEYS_ADD)
        err = check_certificate(order, conf, spki_sha256, error);
    if (!err)
        err = make_text(order, conf, texts, error);
    if (!err && order->act == KEYS_ADD)
        err = keys_name_free(socket, order->name, spki_sha256, error);
    if (!err && order->act == KEYS_ACTIVATE)
        err = keys_shown(socket, order->name, error);
    return err ? err : put_in_force(order, conf, socket, texts, error);
}

int keys_command(int argc, char **argv) {
    struct keys_order order;
    struct conf conf;
    struct texts texts = {0};
    char error[CONF_ERROR_MAX] = "";
    parse(argc, argv, &order);
    if (conf_open_file(order.conf, &conf, error)) {
        fprintf(stderr, "touchmark: %s\n", error);
        return EX_CONFIG;
    }
    enum tm_err err = carry_out(&order, &conf, &texts, error);
    free(texts.before);
    free(texts.after);
    conf_close(&conf);
    if (!err)
        return EX_OK;
    fprintf(stderr, "touchmark: %s\n", error);
    return err == TM_ECLOSED ? EX_UNAVAILABLE : ADMIN_EXIT_REFUSED;
}
