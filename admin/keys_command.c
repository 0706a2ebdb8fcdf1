/* SPDX-License-Identifier: Apache-2.0 */
/* The order of things in `touchmark keys`: see keys_command.h. */
#include "admin/keys_command.h"

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

/* The whole with this text of the issuers file. */
static enum tm_err open_whole(const struct keys_order *order, const char *text, size_t n,
                              struct conf *ret_conf, char error[CONF_ERROR_MAX]) {
    AUTO_MEM char *own = NULL;
    size_t own_n;
    enum tm_err err = conf_read_file(order->conf, &own, &own_n, error);
    if (!err)
        err = conf_open(own, own_n, order->conf, ret_conf, error);
    if (err)
        return err;
    err = conf_merge(ret_conf, text, n, error);
    if (err)
        conf_close(ret_conf);
    return err;
}

/* ---- the change ---- */

struct texts {
    char *before;
    size_t before_n;
    char *after;
    size_t after_n;
    struct conf whole; /* with `after`; empty before make_text */
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
    return err ? err : open_whole(order, texts->after, texts->after_n, &texts->whole, error);
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
    size_t n = (size_t)snprintf(ret, IPC_TEXT_MAX + 1, "%s", keys_words[order->act]);
    for (size_t i = 0; i < order->tenant_count && n < IPC_TEXT_MAX; i++)
        n += (size_t)snprintf(ret + n, IPC_TEXT_MAX + 1 - n, "%s %s", i ? "," : " for",
                              order->tenants[i]);
    if (order->reason && n < IPC_TEXT_MAX)
        (void)snprintf(ret + n, IPC_TEXT_MAX + 1 - n, ": %s", order->reason);
}

/* Writes, has it taken up, and looks whether the token has the key. */
static enum tm_err put_in_force(const struct keys_order *order, const struct conf *conf,
                                const char *socket, const struct texts *texts, bool agreed,
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
    if (err && agreed && !refused)
        fprintf(stderr, "touchmark: two officers agreed on it, and so it stays as it is\n");
    else if (err)
        revert(conf, socket, order, texts, !refused);
    return err;
}

static enum tm_err say_proposed(void) {
    printf("two officers sign it (touchmark act sign); then give this command again\n");
    return TM_OK;
}

static enum tm_err check_key(const struct keys_order *order, const char *socket,
                             const char *spki_sha256, char error[CONF_ERROR_MAX]) {
    if (order->act == KEYS_ADD)
        return keys_name_free(socket, order->name, spki_sha256, error);
    return order->act == KEYS_ACTIVATE ? keys_shown(socket, order->name, error) : TM_OK;
}

static enum tm_err change(const struct keys_order *order, const struct conf *conf,
                          const char *socket, struct texts *texts, char error[CONF_ERROR_MAX]) {
    enum keys_agreement agreement = KEYS_SAME;
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
    if (!err)
        err = check_key(order, socket, spki_sha256, error);
    if (!err)
        err = keys_agree(order, conf, &texts->whole, socket, &agreement, error);
    if (err || agreement == KEYS_PROPOSED)
        return err ? err : say_proposed();
    return put_in_force(order, conf, socket, texts, agreement == KEYS_AGREED, error);
}

/* What stands in the files already. */
static enum tm_err agree(const struct keys_order *order, const struct conf *conf,
                         const char *socket, char error[CONF_ERROR_MAX]) {
    enum keys_agreement agreement = KEYS_SAME;
    enum tm_err err = keys_agree(order, NULL, conf, socket, &agreement, error);
    if (!err)
        err = keys_agree_ceilings(order, conf, socket, &agreement, error);
    if (err || agreement == KEYS_PROPOSED)
        return err ? err : say_proposed();
    if (agreement == KEYS_SAME) {
        printf("what the configuration says is what is agreed\n");
        return TM_OK;
    }
    return keys_reload(socket, "", "", error);
}

int keys_command(int argc, char **argv) {
    struct keys_order order;
    struct conf conf;
    struct texts texts = {0};
    char error[CONF_ERROR_MAX] = "";
    keys_parse(argc, argv, &order);
    if (conf_open_file(order.conf, &conf, error)) {
        fprintf(stderr, "touchmark: %s\n", error);
        return EX_CONFIG;
    }
    const char *socket = order.socket ? order.socket : conf.core.admin_socket;
    enum tm_err err = order.act == KEYS_AGREE ? agree(&order, &conf, socket, error)
                                              : change(&order, &conf, socket, &texts, error);
    conf_close(&texts.whole);
    free(texts.before);
    free(texts.after);
    conf_close(&conf);
    if (!err)
        return fflush(stdout) ? EX_IOERR : EX_OK;
    fprintf(stderr, "touchmark: %s\n", error);
    return err == TM_ECLOSED ? EX_UNAVAILABLE : ADMIN_EXIT_REFUSED;
}
