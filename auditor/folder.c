/* SPDX-License-Identifier: Apache-2.0 */
/* Files of an export: see auditor.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auditor/auditor.h"
#include "base/auto.h"

static enum tm_err read_all(int fd, uint8_t *to, size_t n) {
    for (size_t at = 0; at < n;) {
        ssize_t got = read(fd, to + at, n - at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return TM_EIO;
        at += (size_t)got;
    }
    return TM_OK;
}

bool auditor_read(const char *path, size_t max, const char *what, struct bytes *ret) {
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    bool good = fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && (uint64_t)st.st_size <= max;
    AUTO_MEM uint8_t *octets = good ? malloc((size_t)st.st_size + 1) : NULL;
    if (!octets || read_all(fd, octets, (size_t)st.st_size)) {
        if (what)
            fprintf(stderr, "touchmark-audit: %s %s cannot be read\n", what, path);
        return false;
    }
    *ret = (struct bytes){octets, (size_t)st.st_size};
    (void)TAKE(octets);
    return true;
}

/* Three digits to a folder, all but the last behind an x. */
static void write_index(uint64_t index, char ret[64]) {
    char tail[64] = "";
    (void)snprintf(ret, 64, "%03u", (unsigned)(index % 1000));
    for (index /= 1000; index; index /= 1000) {
        memcpy(tail, ret, sizeof tail);
        (void)snprintf(ret, 64, "x%03u/%.50s", (unsigned)(index % 1000), tail);
    }
}

void auditor_tile_path(const char *dir, int level, uint64_t index, size_t width,
                       char ret[AUDITOR_PATH_MAX]) {
    char name[16] = "entries", path[64], part[16] = "";
    if (level >= 0)
        (void)snprintf(name, sizeof name, "%d", level);
    if (width < 256)
        (void)snprintf(part, sizeof part, ".p/%zu", width);
    write_index(index, path);
    (void)snprintf(ret, AUDITOR_PATH_MAX, "%.3900s/tile/%s/%s%s", dir, name, path, part);
}
