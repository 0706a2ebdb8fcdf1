/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where signers get their PINs: see supervisor.h. The supervisor never reads one. A descriptor that
 * it was started with it hands to the one signer whose it is, and keeps for the next; what can be
 * read only once would have to be remembered by somebody, and is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "server/supervisor/supervisor.h"

/* What touchmarkd opens itself is close-on-exec, what it was started with is not. */
static bool was_inherited(int fd) {
    int flags = fcntl(fd, F_GETFD);
    return flags >= 0 && !(flags & FD_CLOEXEC);
}

static const char *fault_of_fd(int fd) {
    struct stat st;
    if (!was_inherited(fd))
        return "touchmarkd was not started with this descriptor open";
    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        return "a pipe, socket or device can be read only once, and a signer that restarts needs "
               "the PIN again; it must be a file or a memory file";
    if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY)
        return "it is not open for reading";
    return NULL;
}

static const char *fault_of(const struct conf_signer *token) {
    if (conf_pin_fd(token) >= 0)
        return fault_of_fd(conf_pin_fd(token));
    if (conf_pin_prompts(token) && !isatty(STDIN_FILENO))
        return "standard input is no terminal, and nobody could be asked";
    return NULL;
}

enum tm_err pins_check(const struct conf *conf, char error[CONF_ERROR_MAX]) {
    for (size_t i = 0; i < conf_token_count(conf); i++) {
        const struct conf_signer *token = conf_token(conf, i);
        const char *fault = conf_token_used(conf, i) ? fault_of(token) : NULL;
        if (!fault)
            continue;
        (void)snprintf(error, CONF_ERROR_MAX, "token %s: pin_file %s: %s", token->name,
                       token->pin_file, fault);
        return TM_EDENIED;
    }
    return TM_OK;
}

int pins_fd(const struct supervisor *s, unsigned token) {
    return conf_pin_fd(conf_token(&s->settings.conf, token));
}

bool pins_prompt(const struct supervisor *s, unsigned token) {
    return conf_pin_prompts(conf_token(&s->settings.conf, token));
}

void pins_terminal_keep(struct supervisor *s) {
    s->has_terminal = tcgetattr(STDIN_FILENO, &s->terminal) == 0;
    (void)signal(SIGTTOU, SIG_IGN); /* restoring it from the background must not stop everything */
}

void pins_terminal_restore(const struct supervisor *s) {
    if (s->has_terminal && tcsetattr(STDIN_FILENO, TCSANOW, &s->terminal))
        log_warn("the terminal could not be restored: %s", strerror(errno));
}
