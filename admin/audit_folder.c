/* SPDX-License-Identifier: Apache-2.0 */
/* Files of an export: see audit_command.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "admin/audit_command.h"
#include "base/auto.h"
#include "base/file.h"

bool admin_folder_make_for(const char *path) {
    char part[ADMIN_PATH_MAX];
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        (void)snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        if (mkdir(part, 0755) && errno != EEXIST) {
            (void)admin_audit_fail("the folder %s cannot be made: %s", part, strerror(errno));
            return false;
        }
    }
    return true;
}

/* Three digits to a folder, all but the last behind an x: 1234067 is x001/x234/067. */
static int put_index(char *to, size_t cap, uint64_t index) {
    unsigned groups[8];
    size_t count = 0;
    int n = 0;
    do
        groups[count++] = (unsigned)(index % 1000);
    while ((index /= 1000) > 0);
    while (count-- > 0 && n >= 0 && (size_t)n < cap)
        n += snprintf(to + n, cap - (size_t)n, "%s%03u%s", count ? "x" : "", groups[count],
                      count ? "/" : "");
    return n;
}

bool admin_folder_tile(const char *dir, int level, uint64_t index, size_t width,
                       char ret[ADMIN_PATH_MAX]) {
    char name[16], path[64], part[16] = "";
    (void)snprintf(name, sizeof name, level < 0 ? "entries" : "%d", level);
    (void)put_index(path, sizeof path, index);
    if (width < 256)
        (void)snprintf(part, sizeof part, ".p/%zu", width);
    int n = snprintf(ret, ADMIN_PATH_MAX, "%s/tile/%s/%s%s", dir, name, path, part);
    return n > 0 && n < ADMIN_PATH_MAX;
}

int admin_folder_write(const char *path, struct bytes content) {
    if (!admin_folder_make_for(path))
        return EX_CANTCREAT;
    AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 || file_write(fd, content)) {
        (void)admin_audit_fail("%s cannot be written: %s", path, strerror(errno));
        return EX_CANTCREAT;
    }
    return EX_OK;
}
