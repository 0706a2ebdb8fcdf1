/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index's folder, before LMDB looks into it. Since the file is never synced while it is open,
 * what the machine's end left of it may be pages of any age: a mark beside it says whether it was
 * closed, and else since which start of the machine it is open. A process that ended without
 * closing leaves a good file, but one that ends so again and again may do it because of the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/log.h"
#include "store/datafile.h"
#include "store/index_internal.h"

#define MARK_SIZE 64
#define MARK_FORMAT "touchmark-index 1 %c %u %s"
#define UNCLEAN_MAX 3 /* ends in a row without closing */
#define BOOT_ID "/proc/sys/kernel/random/boot_id"

struct mark {
    char word; /* 'c' closed, 'o' open, 'b' broken */
    unsigned unclean;
    char boot[37];
};

/* Which start of the machine this is; "?" fits no other. */
static void read_boot(char ret[37]) {
    AUTO_FD int fd = open(BOOT_ID, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, ret, 36);
    ret[n == 36 ? 36 : 0] = 0;
    if (n != 36)
        (void)strcpy(ret, "?");
}

static struct mark mark_read(int fd) {
    char text[MARK_SIZE + 1];
    struct mark mark = {.word = 'b'};
    ssize_t n = pread(fd, text, MARK_SIZE, 0);
    text[n > 0 ? n : 0] = 0;
    if (sscanf(text, "touchmark-index 1 %c %4u %36s", &mark.word, &mark.unclean, mark.boot) != 3)
        mark.word = 'b';
    return mark;
}

/* One sector, so it is there as a whole or not at all. */
static bool mark_write(int fd, char word, unsigned unclean, const char *boot) {
    char text[MARK_SIZE + 1];
    int n = snprintf(text, sizeof text, MARK_FORMAT, word, unclean, boot);
    memset(text + n, '\n', MARK_SIZE - (size_t)n);
    return pwrite(fd, text, MARK_SIZE, 0) == MARK_SIZE && !fdatasync(fd);
}

static bool usable(const char *folder, const struct mark *mark, const char *boot) {
    char text[IPC_TEXT_MAX + 1];
    bool same = strcmp(mark->boot, boot) == 0 && boot[0] != '?';
    if (mark->word == 'b' || (mark->word == 'o' && (!same || mark->unclean >= UNCLEAN_MAX)))
        return false;
    return store_datafile_check(folder, text) == TM_OK;
}

static enum tm_err throw_away(const char *folder, const char *name) {
    char path[4096];
    enum tm_err err = store_path(folder, name, path, sizeof path);
    if (!err && unlink(path) && errno != ENOENT)
        err = TM_EIO;
    return err;
}

enum tm_err index_folder_take(const char *folder, bool *ret_kept, int *ret_fd) {
    char path[4096], boot[37];
    if (mkdir(folder, 0700) && errno != EEXIST)
        return TM_EIO;
    enum tm_err err = store_path(folder, "mark", path, sizeof path);
    if (err)
        return err;
    AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return TM_EIO;
    read_boot(boot);
    struct mark mark = mark_read(fd);
    *ret_kept = usable(folder, &mark, boot);
    unsigned unclean = *ret_kept && mark.word == 'o' ? mark.unclean + 1 : 0;
    /* Only this process has the store, so nobody reads by the old lock file. */
    err = throw_away(folder, "lock.mdb");
    if (!err && !*ret_kept)
        err = throw_away(folder, STORE_DATA_FILE);
    if (!err && !mark_write(fd, 'o', unclean, boot))
        err = TM_EIO;
    if (!err)
        *ret_fd = TAKE_FD(fd);
    return err;
}

void index_mark_closed(int fd) {
    if (!mark_write(fd, 'c', 0, "-"))
        log_warn("the index's mark cannot be written; it may be built anew");
}

void index_mark_broken(int fd) {
    if (!mark_write(fd, 'b', 0, "-"))
        log_warn("the index's mark cannot be written");
}
