/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration files from disk; see conf/schema.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "conf/tree.h"

/* At most cap octets of the file; more is an error of the caller's limit. */
static enum tm_err read_all(int fd, char *text, size_t cap, size_t *ret_n) {
    size_t n = 0;
    while (n < cap) {
        ssize_t got = read(fd, text + n, cap - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return TM_EIO;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    *ret_n = n;
    return TM_OK;
}

enum tm_err conf_read_file(const char *path, char **ret_text, size_t *ret_n,
                           char error[CONF_ERROR_MAX]) {
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    /* One octet more than is allowed, so that the loader sees that it is too long. */
    AUTO_MEM char *text = malloc(CONF_TEXT_MAX + 1);
    size_t n;
    if (!text) {
        (void)snprintf(error, CONF_ERROR_MAX, "%s: out of memory", path);
        return TM_ENOMEM;
    }
    if (fd < 0 || read_all(fd, text, CONF_TEXT_MAX + 1, &n)) {
        (void)snprintf(error, CONF_ERROR_MAX, "%s: %s", path, strerror(errno));
        return TM_EIO;
    }
    *ret_text = TAKE(text);
    *ret_n = n;
    return TM_OK;
}

enum tm_err conf_load_file(const char *path, const struct conf_row *rows, void *ret_struct,
                           size_t size, char error[CONF_ERROR_MAX]) {
    memset(ret_struct, 0, size);
    AUTO_MEM char *text = NULL;
    size_t n;
    enum tm_err err = conf_read_file(path, &text, &n, error);
    if (err)
        return err;
    return conf_load_text(text, n, path, rows, ret_struct, size, error);
}
