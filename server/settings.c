/* SPDX-License-Identifier: Apache-2.0 */
/* See settings.h. */
#include "server/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/log.h"
#include "base/memfile.h"
#include "conf/managed.h"
#include "server/bridge/files.h"
#include "server/core/core.h"
#include "server/privileges.h"
#include "server/upstream/upstream.h"

#define TEXT_MAX ((size_t)1 << 20)

/* The whole content of fd from its start, at most `most` octets. */
static enum tm_err read_all(int fd, size_t most, char **ret_text, size_t *ret_n) {
    AUTO_MEM char *text = malloc(most + 1);
    size_t n = 0;
    if (!text)
        return TM_ENOMEM;
    for (;;) {
        ssize_t got = pread(fd, text + n, most + 1 - n, (off_t)n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return TM_EIO;
        if (got == 0)
            break;
        n += (size_t)got;
        if (n > most)
            return TM_ELIMIT;
    }
    *ret_text = TAKE(text);
    *ret_n = n;
    return TM_OK;
}

/* The configuration's text, a NUL, which neither has, and that of the issuers file. */
static enum tm_err seal_texts(const char *text, size_t n, const char *managed, size_t managed_n,
                              int *ret_fd) {
    const struct bytes parts[] = {{(const uint8_t *)text, n},
                                  {(const uint8_t *)"", 1},
                                  {(const uint8_t *)managed, managed_n}};
    AUTO_FD int fd = -1;
    enum tm_err err = memfile_new("touchmark.yaml", &fd);
    for (size_t i = 0; !err && i < sizeof parts / sizeof parts[0]; i++)
        err = memfile_write(fd, parts[i]);
    if (!err)
        err = memfile_seal(fd);
    if (!err)
        *ret_fd = TAKE_FD(fd);
    return err;
}

/* Processors that this process may use: what a container or taskset leaves of them. */
static unsigned processors(void) {
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n < 1 ? 1 : (unsigned)n;
}

static enum tm_err check_user(const struct conf *conf) {
    const char *user = conf->process.user;
    if (geteuid() != 0 || !user || !user[0])
        return TM_OK;
    return privileges_user(user, NULL, NULL);
}

static enum tm_err settings_read(const char *path, struct settings *settings,
                                 char error[CONF_ERROR_MAX]) {
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    AUTO_MEM char *text = NULL;
    AUTO_MEM char *managed = NULL;
    size_t n = 0, managed_n = 0;
    enum tm_err err = fd < 0 ? TM_EIO : read_all(fd, TEXT_MAX, &text, &n);
    if (err == TM_ELIMIT)
        (void)snprintf(error, CONF_ERROR_MAX, "%s: larger than 1 MiB", path);
    else if (err)
        (void)snprintf(error, CONF_ERROR_MAX, "%s: %s", path, strerror(errno));
    if (!err)
        err = conf_open(text, n, path, &settings->conf, error);
    if (!err)
        err = conf_managed_read(settings->conf.issuers_file, &managed, &managed_n, error);
    if (!err)
        err = conf_merge(&settings->conf, managed, managed_n, error);
    if (err)
        return err;
    (void)snprintf(error, CONF_ERROR_MAX, "%s: process.user: there is no system user \"%.64s\"",
                   path, settings->conf.process.user ? settings->conf.process.user : "");
    err = check_user(&settings->conf);
    if (err)
        return err;
    (void)snprintf(error, CONF_ERROR_MAX, "%s: cannot be kept in memory", path);
    return seal_texts(text, n, managed, managed_n, &settings->text_fd);
}

enum tm_err settings_load(const char *path, struct settings *ret, char error[CONF_ERROR_MAX]) {
    struct settings settings = {.text_fd = -1};
    enum tm_err err = settings_read(path, &settings, error);
    if (err) {
        settings_close(&settings);
        return err;
    }
    settings.workers =
        settings.conf.listen.workers ? (unsigned)settings.conf.listen.workers : processors();
    *ret = settings;
    return TM_OK;
}

void settings_close(struct settings *settings) {
    conf_close(&settings->conf);
    if (settings->text_fd >= 0)
        (void)close(settings->text_fd);
    settings->text_fd = -1;
}

static enum tm_err check_mqtt(const struct conf_mqtt *mqtt) {
    struct bridge_files files;
    if (!mqtt->broker)
        return TM_OK;
    enum tm_err err = bridge_files_read(mqtt, false, &files);
    bridge_files_wipe(&files);
    return err;
}

static enum tm_err check_upstreams(const struct conf *conf) {
    const struct conf_issuer *issuers = conf->issuers.items;
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < conf->issuers.count && !err; i++) {
        struct upstream_files files;
        if (issuers[i].kind != CONF_ISSUER_EST)
            continue;
        err = upstream_files_read(&issuers[i], false, &files);
        upstream_files_wipe(&files);
    }
    return err;
}

enum tm_err settings_check(const struct settings *settings) {
    struct core_setup setup;
    enum tm_err err = core_setup_load(&settings->conf, &setup);
    if (err)
        return err;
    core_setup_free(&setup);
    err = check_mqtt(&settings->conf.mqtt);
    return err ? err : check_upstreams(&settings->conf);
}

enum tm_err settings_check_apart(const struct settings *settings) {
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(settings_check(settings) ? 1 : 0);
    if (pid > 0)
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    if (pid < 0 || !WIFEXITED(status)) {
        log_error("the configuration could not be checked");
        return TM_EIO;
    }
    return WEXITSTATUS(status) ? TM_EPARSE : TM_OK;
}

enum tm_err settings_receive(int text_fd, const char *path, struct conf *ret_conf) {
    AUTO_MEM char *text = NULL;
    size_t n = 0;
    char error[CONF_ERROR_MAX];
    enum tm_err err = read_all(text_fd, 2 * TEXT_MAX + 2, &text, &n);
    const char *end = err ? NULL : memchr(text, '\0', n);
    if (!err && !end)
        err = TM_EPARSE;
    if (err) {
        log_error("no configuration from the supervisor: %s", tm_err_name(err));
        return err;
    }
    size_t own_n = (size_t)(end - text);
    err = conf_open(text, own_n, path, ret_conf, error);
    if (!err) {
        err = conf_merge(ret_conf, end + 1, n - own_n - 1, error);
        if (err)
            conf_close(ret_conf);
    }
    if (err)
        log_error("%s", error);
    return err;
}
