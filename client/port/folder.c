/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are replaced as a whole: see folder.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/crash.h"
#include "base/log.h"
#include "client/port/folder.h"

/* Of a name: ".<name>.new", so that no item's name is another's temporary. */
struct temporary {
    char name[TM_FOLDER_NAME_MAX + 6];
};

static enum tm_err failed(const char *name) {
    enum tm_err err = errno == ENOSPC || errno == EDQUOT ? TM_EFULL : TM_EIO;
    log_error("%s: %s", name, strerror(errno));
    return err;
}

static enum tm_err temporary_of(const char *name, struct temporary *ret) {
    if (strlen(name) >= TM_FOLDER_NAME_MAX)
        return TM_EINVAL;
    (void)snprintf(ret->name, sizeof ret->name, ".%s.new", name);
    return TM_OK;
}

/* ---- the folder ---- */

/* Its own entry in the parent must outlive a power cut before anything in it can. A parent that
 * was there before us and may not be read holds the entry of another's making. */
static enum tm_err sync_parent(int folder, const char *path, bool made) {
    AUTO_FD int parent = openat(folder, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0 && errno == EACCES && !made)
        return TM_OK;
    return parent < 0 || fsync(parent) ? failed(path) : TM_OK;
}

static enum tm_err check_owner(int folder, const char *path) {
    struct stat st;
    if (fstat(folder, &st))
        return failed(path);
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) == 0 && (st.st_uid == geteuid() || st.st_uid == 0))
        return TM_OK;
    log_error("%s: another user may write to this folder", path);
    return TM_EDENIED;
}

enum tm_err tm_folder_open(const char *path, int *ret_fd) {
    bool made = mkdir(path, 0700) == 0;
    if (!made && errno != EEXIST)
        return failed(path);
    AUTO_FD int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return failed(path);
    enum tm_err err = check_owner(folder, path);
    if (!err)
        err = sync_parent(folder, path, made);
    if (!err)
        *ret_fd = TAKE_FD(folder);
    return err;
}

static enum tm_err remove_name(int folder, const char *name) {
    return unlinkat(folder, name, 0) && errno != ENOENT ? failed(name) : TM_OK;
}

enum tm_err tm_folder_tidy(int folder, const char *name) {
    struct temporary temporary;
    enum tm_err err = temporary_of(name, &temporary);
    return err ? err : remove_name(folder, temporary.name);
}

/* ---- reading ---- */

static enum tm_err read_all(int fd, const char *name, struct buf *out) {
    struct buf taken = *out;
    while (taken.n < taken.cap) {
        ssize_t n = read(fd, taken.p + taken.n, taken.cap - taken.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed(name);
        if (n == 0)
            break;
        taken.n += (size_t)n;
    }
    *out = taken;
    return TM_OK;
}

static enum tm_err read_checked(int folder, const char *name, mode_t refused, struct buf *out) {
    struct stat st;
    AUTO_FD int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? TM_ENOTFOUND : failed(name);
    if (fstat(fd, &st))
        return failed(name);
    if (!S_ISREG(st.st_mode)) {
        log_error("%s: not a regular file", name);
        return TM_EIO;
    }
    if (st.st_mode & refused) {
        log_error("%s: other users have access to this file; it must have mode 0600", name);
        return TM_EDENIED;
    }
    if (out->full || (uintmax_t)st.st_size > out->cap - out->n)
        return TM_ELIMIT;
    return read_all(fd, name, out);
}

enum tm_err tm_folder_read(int folder, const char *name, struct buf *out) {
    return read_checked(folder, name, 0, out);
}

enum tm_err tm_folder_read_secret(int folder, const char *name, struct buf *out) {
    return read_checked(folder, name, S_IRWXG | S_IRWXO, out);
}

/* ---- writing ---- */

static enum tm_err write_all(int fd, const char *name, struct bytes data) {
    for (size_t at = 0; at < data.n;) {
        ssize_t n = write(fd, data.p + at, data.n - at);
        if (n < 0 && errno != EINTR)
            return failed(name);
        at += n > 0 ? (size_t)n : 0;
    }
    return TM_OK;
}

/* Who may read it is settled before there is something to read. */
static enum tm_err write_temporary(int folder, const char *name, struct bytes data, mode_t mode,
                                   gid_t group) {
    enum tm_err err = remove_name(folder, name);
    if (err)
        return err;
    AUTO_FD int fd =
        openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || (group != TM_FOLDER_OWN_GROUP && fchown(fd, (uid_t)-1, group)) ||
        fchmod(fd, mode))
        return failed(name);
    err = write_all(fd, name, data);
    crash_point("files.written");
    if (!err && fsync(fd))
        err = failed(name);
    crash_point("files.synced");
    return err;
}

static enum tm_err sync_folder(int folder, const char *name) {
    return fsync(folder) ? failed(name) : TM_OK;
}

enum tm_err tm_folder_write_as(int folder, const char *name, struct bytes data, mode_t mode,
                               gid_t group) {
    struct temporary temporary;
    enum tm_err err = temporary_of(name, &temporary);
    if (err)
        return err;
    err = write_temporary(folder, temporary.name, data, mode, group);
    if (!err && renameat(folder, temporary.name, folder, name))
        err = failed(name);
    if (err) {
        (void)unlinkat(folder, temporary.name, 0);
        return err;
    }
    crash_point("files.renamed");
    return sync_folder(folder, name);
}

enum tm_err tm_folder_write(int folder, const char *name, struct bytes data) {
    return tm_folder_write_as(folder, name, data, 0600, TM_FOLDER_OWN_GROUP);
}

enum tm_err tm_folder_erase(int folder, const char *name) {
    enum tm_err err = remove_name(folder, name);
    if (err)
        return err;
    crash_point("files.unlinked");
    return sync_folder(folder, name);
}
