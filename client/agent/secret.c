/* SPDX-License-Identifier: Apache-2.0 */
/* See secret.h. */
#include "client/agent/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/log.h"
#include "client/port/folder.h"

enum tm_err agent_folder_of(const char *path, int *ret_folder, const char **ret_name) {
    const char *slash = strrchr(path, '/');
    char folder[PATH_MAX];
    if (!slash || (size_t)(slash - path) + 2 > sizeof folder)
        return TM_EIO;
    size_t n = (size_t)(slash - path) + 1; /* with its slash, for "/" is a folder too */
    memcpy(folder, path, n);
    folder[n] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        log_error("%s: %s", folder, strerror(errno));
        return TM_EIO;
    }
    *ret_folder = fd;
    *ret_name = slash + 1;
    return TM_OK;
}

static enum tm_err take_line(const char *path, struct bytes line, char ret[AGENT_SECRET_MAX]) {
    if (line.n > 0 && line.p[line.n - 1] == '\n')
        line.n--;
    bool good = line.n > 0 && line.n < AGENT_SECRET_MAX;
    for (size_t i = 0; i < line.n; i++)
        good = good && line.p[i] >= 0x20 && line.p[i] != 0x7f;
    if (!good) {
        log_error("%s: must be 1 to %d characters on one line", path, AGENT_SECRET_MAX - 1);
        return TM_EPARSE;
    }
    memcpy(ret, line.p, line.n);
    ret[line.n] = '\0';
    return TM_OK;
}

static enum tm_err read_line(const char *path, bool check_mode, char ret[AGENT_SECRET_MAX]) {
    uint8_t octets[AGENT_SECRET_MAX]; /* the longest line and its LF */
    struct buf line = BUF_ON(octets);
    AUTO_FD int folder = -1;
    const char *name;
    enum tm_err err = agent_folder_of(path, &folder, &name);
    if (err)
        return err;
    err = check_mode ? tm_folder_read_secret(folder, name, &line)
                     : tm_folder_read(folder, name, &line);
    if (!err)
        err = take_line(path, buf_bytes(&line), ret);
    else if (err == TM_ELIMIT)
        err = take_line(path, (struct bytes){0}, ret);
    bytes_wipe(octets, sizeof octets);
    return err;
}

/* systemd grants the service's user by an ACL, which shows as a group's read bit; the
 * folder itself is private, so the mode is not judged here. */
static enum tm_err read_credential(const char *name, char ret[AGENT_SECRET_MAX]) {
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (!folder || folder[0] != '/' || name[0] == '\0' || name[0] == '.' || strchr(name, '/')) {
        log_error("credential:%s is not a systemd credential of this service", name);
        return TM_EIO;
    }
    AUTO_MEM char *path = NULL;
    if (asprintf(&path, "%s/%s", folder, name) < 0) {
        path = NULL;
        return TM_ENOMEM;
    }
    return read_line(path, false, ret);
}

enum tm_err agent_secret_read(const char *source, char ret[AGENT_SECRET_MAX]) {
    static const char credential[] = "credential:";
    if (strncmp(source, credential, sizeof credential - 1) == 0)
        return read_credential(source + sizeof credential - 1, ret);
    return read_line(source, true, ret);
}
