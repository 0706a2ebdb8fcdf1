/* SPDX-License-Identifier: Apache-2.0 */
/* Where a PIN comes from. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/terminal.h"
#include "pkcs11/token.h"

__attribute__((format(printf, 3, 4))) static enum tm_err
say(char text[HSM_TEXT_MAX], enum tm_err err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, HSM_TEXT_MAX, format, args);
    va_end(args);
    return err;
}

/* Up to cap octets until the end, or until the line ends. */
static ssize_t read_up_to(int fd, char *buf, size_t cap, bool line) {
    size_t n = 0;
    while (n < cap && !(line && n > 0 && buf[n - 1] == '\n')) {
        ssize_t got = read(fd, buf + n, line ? 1 : cap - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

/* `pin` has room for the longest PIN and its LF, or proof of more; it is wiped. */
static enum tm_err judge_pin(char pin[HSM_PIN_MAX + 1], ssize_t got, const char *source,
                             char ret[HSM_PIN_MAX], char text[HSM_TEXT_MAX]) {
    size_t n = got > 0 ? (size_t)got : 0;
    if (n > 0 && pin[n - 1] == '\n')
        n--;
    bool good = n > 0 && n < HSM_PIN_MAX;
    for (size_t i = 0; i < n; i++)
        good = good && (unsigned char)pin[i] >= 0x20 && pin[i] != 0x7f;
    if (good) {
        memcpy(ret, pin, n);
        ret[n] = '\0';
    }
    bytes_wipe(pin, HSM_PIN_MAX + 1);
    if (got < 0)
        return say(text, TM_EIO, "PIN from %s: %s", source, strerror(errno));
    if (!good)
        return say(text, TM_EPARSE, "PIN from %s: must be 1 to %d characters on one line", source,
                   HSM_PIN_MAX - 1);
    return TM_OK;
}

static enum tm_err take_pin(int fd, bool line, const char *source, char ret[HSM_PIN_MAX],
                            char text[HSM_TEXT_MAX]) {
    char pin[HSM_PIN_MAX + 1];
    ssize_t got = read_up_to(fd, pin, sizeof pin, line);
    return judge_pin(pin, got, source, ret, text);
}

enum tm_err hsm_pin_read_again(int fd, char ret[HSM_PIN_MAX], char text[HSM_TEXT_MAX]) {
    static const char source[] = "the open descriptor";
    char pin[HSM_PIN_MAX + 1];
    struct stat st;
    if (fstat(fd, &st) < 0)
        return say(text, TM_EIO, "PIN from %s: %s", source, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return say(text, TM_EDENIED, "PIN from %s: neither a file nor a memory file", source);
    return judge_pin(pin, pread(fd, pin, sizeof pin, 0), source, ret, text);
}

static enum tm_err pin_from_file(const char *path, bool check_mode, char ret[HSM_PIN_MAX],
                                 char text[HSM_TEXT_MAX]) {
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return say(text, TM_EIO, "PIN file %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return say(text, TM_EDENIED, "PIN file %s: not a regular file", path);
    if (check_mode && (st.st_mode & 077))
        return say(text, TM_EDENIED,
                   "PIN file %s: mode %04o lets others in; must be 0600 or 0400 (chmod go= it)",
                   path, st.st_mode & 07777);
    return take_pin(fd, false, path, ret, text);
}

/* systemd grants the service's user by an ACL, which shows as a group's read bit; the
 * folder itself is private, so the mode is not judged here. */
static enum tm_err pin_from_credential(const char *name, char ret[HSM_PIN_MAX],
                                       char text[HSM_TEXT_MAX]) {
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (!folder || folder[0] != '/')
        return say(text, TM_EIO, "credential %s: $CREDENTIALS_DIRECTORY is not set", name);
    if (name[0] == '\0' || name[0] == '.' || strchr(name, '/'))
        return say(text, TM_EINVAL, "credential \"%s\": not a name", name);
    AUTO_MEM char *path = NULL;
    if (asprintf(&path, "%s/%s", folder, name) < 0) {
        path = NULL;
        return say(text, TM_ENOMEM, "out of memory");
    }
    return pin_from_file(path, false, ret, text);
}

static enum tm_err pin_from_fd(const char *number, char ret[HSM_PIN_MAX], char text[HSM_TEXT_MAX]) {
    char *end;
    errno = 0;
    long fd = strtol(number, &end, 10);
    if (end == number || *end || errno || fd < 0 || fd > 65535)
        return say(text, TM_EINVAL, "fd:%s is not a descriptor's number", number);
    AUTO_FD int owned = (int)fd;
    char source[32];
    (void)snprintf(source, sizeof source, "descriptor %ld", fd);
    return take_pin(owned, false, source, ret, text);
}

static enum tm_err pin_from_terminal(const char *what, char ret[HSM_PIN_MAX],
                                     char text[HSM_TEXT_MAX]) {
    struct terminal terminal;
    enum tm_err err = terminal_ask(what, &terminal);
    if (err)
        return say(text, TM_EIO,
                   err == TM_ENOTFOUND ? "%s: there is no terminal to ask on"
                                       : "%s: the terminal cannot be told not to echo",
                   what);
    err = take_pin(terminal.fd, true, "the terminal", ret, text);
    terminal_close(&terminal);
    return err;
}

enum tm_err hsm_pin_read_as(const char *what, const char *source, char ret[HSM_PIN_MAX],
                            char text[HSM_TEXT_MAX]) {
    static const char credential[] = "credential:", descriptor[] = "fd:";
    if (strcmp(source, "prompt") == 0)
        return pin_from_terminal(what, ret, text);
    if (strncmp(source, credential, sizeof credential - 1) == 0)
        return pin_from_credential(source + sizeof credential - 1, ret, text);
    if (strncmp(source, descriptor, sizeof descriptor - 1) == 0)
        return pin_from_fd(source + sizeof descriptor - 1, ret, text);
    return pin_from_file(source, true, ret, text);
}

enum tm_err hsm_pin_read(const char *source, char ret[HSM_PIN_MAX], char text[HSM_TEXT_MAX]) {
    return hsm_pin_read_as("PIN", source, ret, text);
}
