/* SPDX-License-Identifier: Apache-2.0 */
/* See export.h. */
#include "client/agent/export.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/log.h"
#include "client/port/folder.h"

#define CURRENT "current"
#define CURRENT_NEW ".current.new"

static const char *const names[] = {AGENT_EXPORT_CERTIFICATE, AGENT_EXPORT_CHAIN, AGENT_EXPORT_CA,
                                    AGENT_EXPORT_KEY};
#define NAME_COUNT (sizeof names / sizeof names[0])

static enum tm_err failed(const char *what) {
    log_error("export.folder: %s: %s", what, strerror(errno));
    return TM_EIO;
}

enum tm_err agent_export_group(const struct agent_conf *conf, gid_t *ret_group) {
    *ret_group = TM_FOLDER_OWN_GROUP;
    if (!conf->export.group)
        return TM_OK;
    const struct group *group = getgrnam(conf->export.group);
    if (!group) {
        log_error("export.group: there is no system group \"%s\"", conf->export.group);
        return TM_EINVAL;
    }
    *ret_group = group->gr_gid;
    return TM_OK;
}

/* Services of other users go through it, whatever the umask. */
static enum tm_err open_folder(const char *path, int *ret_fd) {
    AUTO_FD int folder = -1;
    enum tm_err err = tm_folder_open(path, &folder);
    if (!err && fchmod(folder, 0755) != 0)
        err = failed(path);
    if (!err)
        *ret_fd = TAKE_FD(folder);
    return err;
}

/* ---- one of the two folders ---- */

static bool is_current(int folder, const char *generation) {
    char target[8];
    ssize_t n = readlinkat(folder, CURRENT, target, sizeof target);
    return n > 0 && (size_t)n == strlen(generation) && memcmp(target, generation, (size_t)n) == 0;
}

/* The keys in it are no longer needed. */
static enum tm_err clear(int folder, const char *generation) {
    AUTO_FD int inner = openat(folder, generation, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (inner < 0)
        return errno == ENOENT ? TM_OK : failed(generation);
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < NAME_COUNT && !err; i++) {
        err = tm_folder_tidy(inner, names[i]);
        if (!err)
            err = tm_folder_erase(inner, names[i]);
    }
    return err;
}

static enum tm_err write_set(int inner, const struct agent_export_set *set, gid_t group) {
    mode_t key_mode = group == TM_FOLDER_OWN_GROUP ? 0600 : 0640;
    enum tm_err err = tm_folder_write_as(inner, AGENT_EXPORT_CERTIFICATE, set->certificate, 0644,
                                         TM_FOLDER_OWN_GROUP);
    if (!err)
        err = tm_folder_write_as(inner, AGENT_EXPORT_CHAIN, set->chain, 0644, TM_FOLDER_OWN_GROUP);
    if (!err)
        err = tm_folder_write_as(inner, AGENT_EXPORT_CA, set->ca, 0644, TM_FOLDER_OWN_GROUP);
    if (!err && set->key.n)
        err = tm_folder_write_as(inner, AGENT_EXPORT_KEY, set->key, key_mode, group);
    return err;
}

static enum tm_err fill(int folder, const char *generation, const struct agent_export_set *set,
                        gid_t group) {
    enum tm_err err = clear(folder, generation);
    if (err)
        return err;
    if (mkdirat(folder, generation, 0755) != 0 && errno != EEXIST)
        return failed(generation);
    AUTO_FD int inner = openat(folder, generation, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (inner < 0 || fchmod(inner, 0755) != 0)
        return failed(generation);
    return write_set(inner, set, group);
}

/* ---- the links ---- */

static enum tm_err link_name(int folder, const char *name, bool wanted) {
    char target[sizeof CURRENT + TM_FOLDER_NAME_MAX];
    (void)snprintf(target, sizeof target, CURRENT "/%s", name);
    if (!wanted)
        return unlinkat(folder, name, 0) != 0 && errno != ENOENT ? failed(name) : TM_OK;
    return symlinkat(target, folder, name) != 0 && errno != EEXIST ? failed(name) : TM_OK;
}

static enum tm_err link_names(int folder, bool with_key) {
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < NAME_COUNT && !err; i++)
        err = link_name(folder, names[i], with_key || strcmp(names[i], AGENT_EXPORT_KEY) != 0);
    return err;
}

/* From here on the other set is what everybody reads. */
static enum tm_err turn_to(int folder, const char *generation) {
    (void)unlinkat(folder, CURRENT_NEW, 0); /* of a run that was cut short */
    if (symlinkat(generation, folder, CURRENT_NEW) != 0 ||
        renameat(folder, CURRENT_NEW, folder, CURRENT) != 0 || fsync(folder) != 0)
        return failed(CURRENT);
    return TM_OK;
}

enum tm_err agent_export_write(const struct agent_conf *conf, const struct agent_export_set *set) {
    AUTO_FD int folder = -1;
    gid_t group;
    enum tm_err err = agent_export_group(conf, &group);
    if (!err)
        err = open_folder(conf->export.folder, &folder);
    if (err)
        return err;
    bool first = is_current(folder, "0");
    err = fill(folder, first ? "1" : "0", set, group);
    if (!err)
        err = link_names(folder, set->key.n > 0);
    if (!err)
        err = turn_to(folder, first ? "1" : "0");
    return err ? err : clear(folder, first ? "0" : "1");
}

bool agent_export_exists(const struct agent_conf *conf) {
    AUTO_MEM char *path = NULL;
    if (asprintf(&path, "%s/%s", conf->export.folder, AGENT_EXPORT_CERTIFICATE) < 0) {
        path = NULL;
        return false;
    }
    return access(path, F_OK) == 0;
}
