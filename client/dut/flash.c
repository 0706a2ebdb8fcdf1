/* SPDX-License-Identifier: Apache-2.0 */
/* See flash.h. */
#include "client/dut/flash.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "client/port/folder.h"

AUTO_DEFINE(DIR, closedir)

enum tm_err flash_open(const char *root, const char *unit, struct flash *ret) {
    char path[PATH_MAX];
    AUTO_FD int parent = -1;
    int folder = -1, n = snprintf(path, sizeof path, "%s/%s", root, unit);
    if (n < 0 || (size_t)n >= sizeof path)
        return TM_ELIMIT;
    enum tm_err err = tm_folder_open(root, &parent);
    if (!err)
        err = tm_folder_open(path, &folder);
    if (!err)
        *ret = (struct flash){folder, FLASH_UNLIMITED};
    return err;
}

void flash_close(struct flash *flash) {
    if (flash->folder >= 0)
        (void)close(flash->folder);
    flash->folder = -1;
}

enum tm_err flash_read(const struct flash *flash, const char *name, struct buf *out) {
    return tm_folder_read(flash->folder, name, out);
}

static enum tm_err use_power(struct flash *flash) {
    if (flash->writes_left == 0)
        return TM_ECLOSED;
    if (flash->writes_left != FLASH_UNLIMITED)
        flash->writes_left--;
    return TM_OK;
}

enum tm_err flash_write(struct flash *flash, const char *name, struct bytes data) {
    enum tm_err err = use_power(flash);
    return err ? err : tm_folder_write(flash->folder, name, data);
}

enum tm_err flash_erase(struct flash *flash, const char *name) {
    enum tm_err err = use_power(flash);
    return err ? err : tm_folder_erase(flash->folder, name);
}

static bool ends(const char *name, const char *ending) {
    size_t n = strlen(name), e = strlen(ending);
    return name[0] != '.' && n > e && strcmp(name + n - e, ending) == 0;
}

enum tm_err flash_count(const struct flash *flash, const char *ending, size_t *ret_n,
                        char ret_name[FLASH_NAME_MAX]) {
    int fd = openat(flash->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    AUTO(DIR) entries = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    size_t n = 0;
    if (!entries) {
        if (fd >= 0)
            (void)close(fd);
        return TM_EIO;
    }
    while ((entry = readdir(entries)))
        if (ends(entry->d_name, ending)) {
            n++;
            if (ret_name)
                text_copy(ret_name, FLASH_NAME_MAX, entry->d_name);
        }
    *ret_n = n;
    return TM_OK;
}
