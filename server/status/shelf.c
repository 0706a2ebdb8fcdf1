/* SPDX-License-Identifier: Apache-2.0 */
/* The folder and its lock, reading and writing one file: see shelf.h. */
#include "server/status/shelf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memfile.h"
#include "server/status/content.h"
#include "server/status/shelf_internal.h"

/* One at a time, under the lock. Its suffix is of no published file. */
#define TEMPORARY ".touchmark.new"
#define FILE_MODE 0644 /* everybody may read it */
#define FOLDER_MODE 0755

enum tm_err status_shelf_open(const char *dir, struct status_shelf **ret_shelf) {
    if (mkdir(dir, FOLDER_MODE) && errno != EEXIST) {
        log_error("status.dir %s: %s", dir, strerror(errno));
        return TM_EIO;
    }
    AUTO_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || faccessat(fd, ".", W_OK, 0)) {
        log_error("status.dir %s: %s", dir, strerror(errno));
        return TM_EIO;
    }
    struct status_shelf *shelf = calloc(1, sizeof *shelf);
    if (!shelf)
        return TM_ENOMEM;
    shelf->dir = TAKE_FD(fd);
    *ret_shelf = shelf;
    return TM_OK;
}

void status_shelf_close(struct status_shelf *shelf) {
    if (!shelf)
        return;
    (void)close(shelf->dir);
    free(shelf->records);
    free(shelf);
}

enum tm_err status_shelf_lock(struct status_shelf *shelf) {
    int failed;
    do
        failed = flock(shelf->dir, LOCK_EX);
    while (failed && errno == EINTR);
    if (!failed)
        return TM_OK;
    log_error("cannot lock status.dir: %s", strerror(errno));
    return TM_EIO;
}

void status_shelf_unlock(struct status_shelf *shelf) {
    (void)flock(shelf->dir, LOCK_UN);
}

/* ---- reading ---- */

static enum tm_err read_octets(int fd, size_t n, struct bytes *ret) {
    AUTO_MEM uint8_t *octets = malloc(n);
    size_t done = 0;
    if (!octets)
        return TM_ENOMEM;
    while (done < n) {
        ssize_t got = read(fd, octets + done, n - done);
        if (got == 0)
            return TM_EPARSE; /* it was cut meanwhile */
        if (got < 0 && errno != EINTR)
            return TM_EIO;
        done += got > 0 ? (size_t)got : 0;
    }
    *ret = (struct bytes){TAKE(octets), n};
    return TM_OK;
}

enum tm_err status_shelf_read(const struct status_shelf *shelf, const char *name,
                              struct stat *ret_stat, struct status_item **ret_item) {
    enum ipc_publish_kind kind;
    struct stat st;
    struct bytes octets;
    AUTO_FD int fd =
        openat(shelf->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st))
        return errno == ENOENT ? TM_ENOTFOUND : TM_EIO;
    if (!S_ISREG(st.st_mode) || st.st_size < 1 || st.st_size > STATUS_FILE_MAX ||
        status_name_kind(name, &kind))
        return TM_EPARSE;
    enum tm_err err = read_octets(fd, (size_t)st.st_size, &octets);
    if (err)
        return err;
    AUTO(status_item) item = NULL;
    err = status_item_new(octets, false, &item);
    if (!err)
        err = status_content_read(kind, name, item);
    if (err)
        return err;
    *ret_stat = st;
    *ret_item = TAKE(item);
    return TM_OK;
}

static void load_one(struct status_shelf *shelf, const char *name, status_shelf_fn *fn, void *arg) {
    AUTO(status_item) item = NULL;
    struct stat st;
    enum ipc_publish_kind kind;
    if (status_name_kind(name, &kind))
        return;
    enum tm_err err = status_shelf_read(shelf, name, &st, &item);
    if (!err)
        err = status_shelf_found(shelf, name, item, &st);
    if (err)
        log_error("%s in status.dir is not served: %s", name, tm_err_name(err));
    else
        fn(arg, name, TAKE(item));
}

static enum tm_err load_all(struct status_shelf *shelf, status_shelf_fn *fn, void *arg) {
    AUTO_FD int fd = openat(shelf->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder) {
        log_error("cannot read status.dir: %s", strerror(errno));
        return TM_EIO;
    }
    (void)TAKE_FD(fd);
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
        load_one(shelf, entry->d_name, fn, arg);
    (void)closedir(folder);
    return TM_OK;
}

enum tm_err status_shelf_load(struct status_shelf *shelf, status_shelf_fn *fn, void *arg) {
    enum tm_err err = status_shelf_lock(shelf);
    if (err)
        return err;
    if (unlinkat(shelf->dir, TEMPORARY, 0) == 0)
        log_warn("removed a file from status.dir that a dead process had not finished");
    err = load_all(shelf, fn, arg);
    status_shelf_unlock(shelf);
    return err;
}

/* ---- writing ---- */

/* On the disk under its temporary name. */
static bool write_temporary(const struct status_shelf *shelf, struct bytes octets,
                            struct stat *ret_stat) {
    (void)unlinkat(shelf->dir, TEMPORARY, 0);
    AUTO_FD int fd = openat(shelf->dir, TEMPORARY,
                            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    /* fchmod: whatever the umask. */
    if (fd < 0 || fchmod(fd, FILE_MODE) || file_write(fd, octets))
        return false;
    crash_point("status.file_written");
    return fsync(fd) == 0 && fstat(fd, ret_stat) == 0;
}

enum tm_err status_shelf_write(const struct status_shelf *shelf, const char *name,
                               struct bytes octets, struct stat *ret_stat) {
    struct stat st;
    bool good = write_temporary(shelf, octets, &st);
    if (good) {
        crash_point("status.file_synced");
        good = renameat(shelf->dir, TEMPORARY, shelf->dir, name) == 0;
    }
    if (good) {
        crash_point("status.file_renamed");
        good = fsync(shelf->dir) == 0;
    }
    if (good) {
        crash_point("status.folder_synced");
        *ret_stat = st;
        return TM_OK;
    }
    int failed = errno;
    log_error("cannot write %s to status.dir: %s", name, strerror(failed));
    (void)unlinkat(shelf->dir, TEMPORARY, 0);
    return failed == ENOSPC || failed == EDQUOT ? TM_EFULL : TM_EIO;
}
