/* SPDX-License-Identifier: Apache-2.0 */
/* See base/memfile.h. */
#include "base/memfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/log.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

enum tm_err memfile_new(const char *name, int *ret_fd) {
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        log_error("cannot make the memory file %s: %s", name, strerror(errno));
        return TM_EIO;
    }
    *ret_fd = fd;
    return TM_OK;
}

enum tm_err memfile_write(int fd, struct bytes data) {
    if (!file_write(fd, data))
        return TM_OK;
    int failed = errno;
    log_error("cannot write to a memory file: %s", strerror(failed));
    return failed == ENOSPC || failed == ENOMEM ? TM_EFULL : TM_EIO;
}

enum tm_err memfile_seal(int fd) {
    if (fcntl(fd, F_ADD_SEALS, SEALS) == 0)
        return TM_OK;
    log_error("cannot seal a memory file: %s", strerror(errno));
    return TM_EIO;
}

/* Only memory files have seals: F_GET_SEALS fails on any other. */
enum tm_err memfile_map(int fd, size_t max, struct bytes *ret) {
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS) != SEALS)
        return TM_EDENIED;
    if (fstat(fd, &st)) {
        log_error("cannot look at a memory file: %s", strerror(errno));
        return TM_EIO;
    }
    if (st.st_size <= 0 || (uintmax_t)st.st_size > max)
        return TM_ELIMIT;
    size_t n = (size_t)st.st_size;
    const uint8_t *p = mmap(NULL, n, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        log_error("cannot map a memory file: %s", strerror(errno));
        return TM_EIO;
    }
    *ret = (struct bytes){p, n};
    return TM_OK;
}

void memfile_unmap(struct bytes mapped) {
    if (mapped.n > 0)
        (void)munmap((void *)(uintptr_t)mapped.p, mapped.n);
}
