/* SPDX-License-Identifier: Apache-2.0 */
/* See landlock.h. The C library has no wrappers for these calls. */
#include "server/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/log.h"

#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

#define REPLACING                                                                                  \
    (READING | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |                       \
     LANDLOCK_ACCESS_FS_REMOVE_FILE)

/* What the first version of Landlock can refuse; later ones know more, which seccomp refuses. */
#define EVERYTHING                                                                                 \
    (READING | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |                        \
     LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                              \
     LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |    \
     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | \
     LANDLOCK_ACCESS_FS_MAKE_SYM)

static bool allow(int ruleset, const char *folder, uint64_t access) {
    AUTO_FD int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES;
    const struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};
    return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

static enum tm_err restrict_to(const char *const *folders, uint64_t access) {
    const struct landlock_ruleset_attr attr = {.handled_access_fs = EVERYTHING};
    AUTO_FD int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (ruleset < 0) {
        log_warn("files are not walled off: this kernel has no Landlock (%s)", strerror(errno));
        return TM_OK;
    }
    bool good = true;
    for (size_t i = 0; folders[i] && good; i++)
        good = allow(ruleset, folders[i], access);
    if (good && syscall(SYS_landlock_restrict_self, ruleset, 0) == 0)
        return TM_OK;
    log_error("files cannot be walled off: %s", strerror(errno));
    return TM_EIO;
}

enum tm_err landlock_read_only(const char *const *folders) {
    return restrict_to(folders, READING);
}

enum tm_err landlock_replace_only(const char *const *folders) {
    return restrict_to(folders, REPLACING);
}
