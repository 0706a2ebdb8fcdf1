/* SPDX-License-Identifier: Apache-2.0 */
/* The device's storage as files in a folder: see files.h. */
#include <errno.h>
#include <string.h>
#include <sys/file.h>

#include "base/auto.h"
#include "base/log.h"
#include "client/port/files.h"
#include "client/port/folder.h"

struct tm_files {
    int folder; /* its flock keeps other processes out */
    struct tm_storage storage;
};

static const char *const names[TM_ITEM_COUNT] = {
    [TM_ITEM_JOURNAL_A] = "journal-a",     [TM_ITEM_JOURNAL_B] = "journal-b",
    [TM_ITEM_ANCHORS_0] = "anchors-0.der", [TM_ITEM_ANCHORS_1] = "anchors-1.der",
    [TM_ITEM_CHAIN_0] = "chain-0.der",     [TM_ITEM_CHAIN_1] = "chain-1.der",
    [TM_ITEM_CHAIN_2] = "chain-2.der",     [TM_ITEM_CHAIN_3] = "chain-3.der",
    [TM_ITEM_BOOTSTRAP] = "bootstrap",
};

static bool known(enum tm_item item) {
    return (unsigned)item < TM_ITEM_COUNT;
}

const char *tm_files_name(enum tm_item item) {
    return known(item) ? names[item] : "";
}

static enum tm_err files_read(void *self, enum tm_item item, struct buf *out) {
    const struct tm_files *files = self;
    return known(item) ? tm_folder_read(files->folder, names[item], out) : TM_EINVAL;
}

static enum tm_err files_write(void *self, enum tm_item item, struct bytes data) {
    const struct tm_files *files = self;
    return known(item) ? tm_folder_write(files->folder, names[item], data) : TM_EINVAL;
}

static enum tm_err files_erase(void *self, enum tm_item item) {
    const struct tm_files *files = self;
    return known(item) ? tm_folder_erase(files->folder, names[item]) : TM_EINVAL;
}

/* On the folder itself: a lock file would be one more thing for a power cut to leave behind. */
static enum tm_err lock(int folder, const char *path) {
    if (flock(folder, LOCK_EX | LOCK_NB) == 0)
        return TM_OK;
    enum tm_err err = errno == EWOULDBLOCK ? TM_EAGAIN : TM_EIO;
    log_error("%s: %s", path, err == TM_EAGAIN ? "another process uses it" : strerror(errno));
    return err;
}

static enum tm_err tidy(int folder) {
    enum tm_err err = TM_OK;
    for (size_t i = 0; i < TM_ITEM_COUNT && !err; i++)
        err = tm_folder_tidy(folder, names[i]);
    return err;
}

enum tm_err tm_files_open(const char *folder, struct tm_files **ret) {
    AUTO_FD int fd = -1;
    enum tm_err err = tm_folder_open(folder, &fd);
    if (!err)
        err = lock(fd, folder);
    if (!err)
        err = tidy(fd);
    if (err)
        return err;
    struct tm_files *files = calloc(1, sizeof *files);
    if (!files)
        return TM_ENOMEM;
    files->folder = TAKE_FD(fd);
    files->storage = (struct tm_storage){
        .version = TM_TABLE_VERSION,
        .self = files,
        .read = files_read,
        .write = files_write,
        .erase = files_erase,
    };
    *ret = files;
    return TM_OK;
}

void tm_files_close(struct tm_files *files) {
    if (!files)
        return;
    (void)close(files->folder);
    free(files);
}

const struct tm_storage *tm_files_storage(struct tm_files *files) {
    return &files->storage;
}
