/* SPDX-License-Identifier: Apache-2.0 */
/* See base/file.h. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"

enum tm_err file_write(int fd, struct bytes data) {
    for (size_t at = 0; at < data.n;) {
        ssize_t n = write(fd, data.p + at, data.n - at);
        if (n < 0 && errno != EINTR)
            return TM_EIO;
        at += n > 0 ? (size_t)n : 0;
    }
    return TM_OK;
}

enum tm_err file_sync_folder(const char *path) {
    AUTO_MEM char *folder = strdup(path);
    if (!folder)
        return TM_ENOMEM;
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    AUTO_FD int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) ? TM_EIO : TM_OK;
}

/* Who owned the old one owns the new one. Somebody who may write the folder, and is not root, has
 * to own it; that is well where all may read it, its old owner among them. */
static bool take_over(int fd, const struct stat *old) {
    if (fchown(fd, old->st_uid, old->st_gid) && (errno != EPERM || !(old->st_mode & S_IROTH)))
        return false;
    return fchmod(fd, old->st_mode & 0777) == 0;
}

static enum tm_err write_temporary(const char *temporary, const char *path, struct bytes content,
                                   mode_t mode) {
    (void)unlink(temporary); /* of a process that was cut short */
    AUTO_FD int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    struct stat old;
    if (fd < 0 || (stat(path, &old) == 0 && !take_over(fd, &old)))
        return TM_EIO;
    enum tm_err err = file_write(fd, content);
    return !err && fsync(fd) ? TM_EIO : err;
}

enum tm_err file_replace(const char *path, struct bytes content, mode_t mode) {
    AUTO_MEM char *temporary = NULL;
    if (asprintf(&temporary, "%s.new", path) < 0) {
        temporary = NULL;
        return TM_ENOMEM;
    }
    enum tm_err err = write_temporary(temporary, path, content, mode);
    if (!err && rename(temporary, path))
        err = TM_EIO;
    return err ? err : file_sync_folder(path);
}
