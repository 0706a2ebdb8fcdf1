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
#define SETS ".sets"
#define SET_MAX (sizeof SETS + 2) /* octets of ".sets/0" and its NUL */

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

/* Services of other users go through a folder that is made here, whatever the umask; the mode of
 * one that is there already is somebody's choice. */
static enum tm_err open_folder(const char *path, int *ret_fd) {
    if (mkdir(path, 0755) == 0 && chmod(path, 0755) != 0)
        return failed(path);
    return tm_folder_open(path, ret_fd);
}

enum tm_err agent_export_prepare(const struct agent_conf *conf) {
    AUTO_FD int folder = -1;
    gid_t group;
    enum tm_err err = agent_export_group(conf, &group);
    return err || !conf->export.folder ? err : open_folder(conf->export.folder, &folder);
}

static enum tm_err open_inner(int folder, const char *name, int *ret_fd) {
    if (mkdirat(folder, name, 0755) != 0 && errno != EEXIST)
        return failed(name);
    AUTO_FD int inner = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (inner < 0 || fchmod(inner, 0755) != 0)
        return failed(name);
    *ret_fd = TAKE_FD(inner);
    return TM_OK;
}

static enum tm_err open_folders(const char *path, int *ret_folder, int *ret_sets) {
    AUTO_FD int folder = -1, sets = -1;
    enum tm_err err = open_folder(path, &folder);
    if (!err)
        err = open_inner(folder, SETS, &sets);
    if (err)
        return err;
    *ret_folder = TAKE_FD(folder);
    *ret_sets = TAKE_FD(sets);
    return TM_OK;
}

/* ---- one of the two sets ---- */

/* What `current` points to, below the export folder. */
struct target {
    char path[SET_MAX];
};

static struct target target_of(const char *set) {
    struct target target;
    (void)snprintf(target.path, sizeof target.path, SETS "/%.1s", set);
    return target;
}

static bool is_current(int folder, const char *set) {
    struct target target = target_of(set);
    char now[SET_MAX];
    ssize_t n = readlinkat(folder, CURRENT, now, sizeof now);
    return n > 0 && (size_t)n == strlen(target.path) && memcmp(target.path, now, (size_t)n) == 0;
}

/* Its key is no longer needed. */
static enum tm_err clear(int sets, const char *set) {
    AUTO_FD int inner = -1;
    enum tm_err err = open_inner(sets, set, &inner);
    for (size_t i = 0; i < NAME_COUNT && !err; i++) {
        err = tm_folder_tidy(inner, names[i]);
        if (!err)
            err = tm_folder_erase(inner, names[i]);
    }
    return err;
}

static enum tm_err write_set(int inner, const struct agent_export_set *content, gid_t group) {
    mode_t key_mode = group == TM_FOLDER_OWN_GROUP ? 0600 : 0640;
    enum tm_err err = tm_folder_write_as(inner, AGENT_EXPORT_CERTIFICATE, content->certificate,
                                         0644, TM_FOLDER_OWN_GROUP);
    if (!err)
        err = tm_folder_write_as(inner, AGENT_EXPORT_CHAIN, content->chain, 0644,
                                 TM_FOLDER_OWN_GROUP);
    if (!err)
        err = tm_folder_write_as(inner, AGENT_EXPORT_CA, content->ca, 0644, TM_FOLDER_OWN_GROUP);
    if (!err && content->key.n)
        err = tm_folder_write_as(inner, AGENT_EXPORT_KEY, content->key, key_mode, group);
    return err;
}

static enum tm_err fill(int sets, const char *set, const struct agent_export_set *content,
                        gid_t group) {
    AUTO_FD int inner = -1;
    enum tm_err err = clear(sets, set);
    if (!err)
        err = open_inner(sets, set, &inner);
    return err ? err : write_set(inner, content, group);
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

/* From here on the other set is what everybody reads. Who watches the folder sees one change. */
static enum tm_err turn_to(int folder, int sets, const char *set) {
    struct target target = target_of(set);
    (void)unlinkat(sets, CURRENT, 0); /* of a run that was cut short */
    if (symlinkat(target.path, sets, CURRENT) != 0 ||
        renameat(sets, CURRENT, folder, CURRENT) != 0 || fsync(sets) != 0 || fsync(folder) != 0)
        return failed(CURRENT);
    return TM_OK;
}

enum tm_err agent_export_write(const struct agent_conf *conf,
                               const struct agent_export_set *content) {
    AUTO_FD int folder = -1, sets = -1;
    gid_t group;
    enum tm_err err = agent_export_group(conf, &group);
    if (!err)
        err = open_folders(conf->export.folder, &folder, &sets);
    if (err)
        return err;
    bool zero = is_current(folder, "0");
    const char *old = zero ? "0" : "1", *new = zero ? "1" : "0";
    err = fill(sets, new, content, group);
    if (!err)
        err = link_names(folder, content->key.n > 0);
    if (!err)
        err = turn_to(folder, sets, new);
    return err ? err : clear(sets, old);
}

bool agent_export_exists(const struct agent_conf *conf) {
    AUTO_MEM char *path = NULL;
    if (asprintf(&path, "%s/%s", conf->export.folder, AGENT_EXPORT_CERTIFICATE) < 0) {
        path = NULL;
        return false;
    }
    return access(path, F_OK) == 0;
}
