/* SPDX-License-Identifier: Apache-2.0 */
/* See hook.h. */
#include "client/agent/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "base/auto.h"
#include "base/clock.h"

#define VARIABLES_MAX 16

/* "NAME=value" each, and a NULL at the end. */
struct environment {
    char *at[VARIABLES_MAX + 2];
};

static void environment_deinit(struct environment *e) {
    for (char **at = e->at; *at; at++)
        free(*at);
}

static enum tm_err environment_init(const struct agent_variable *variables, size_t count,
                                    struct environment *ret) {
    struct environment e = {
        .at = {strdup("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")}};
    size_t n = e.at[0] ? 1 : 0;
    bool good = n == 1 && count <= VARIABLES_MAX;
    for (size_t i = 0; good && i < count; i++) {
        if (!variables[i].value)
            continue;
        good = asprintf(&e.at[n], "%s=%s", variables[i].name, variables[i].value) >= 0;
        if (good)
            n++;
        else
            e.at[n] = NULL;
    }
    if (good)
        *ret = e;
    else
        environment_deinit(&e);
    return good ? TM_OK : TM_ENOMEM;
}

/* A process group of its own, no signal blocked or ignored, no input; output goes to the log. */
static int spawn(const char *program, char *const *environment, pid_t *ret_pid) {
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    sigset_t none, ignored;
    char *arguments[] = {(char *)(uintptr_t)program, NULL};
    (void)sigemptyset(&none);
    (void)sigemptyset(&ignored);
    (void)sigaddset(&ignored, SIGPIPE);
    int err = posix_spawnattr_init(&attributes);
    if (err)
        return err;
    err = posix_spawn_file_actions_init(&actions);
    if (!err) {
        (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                        POSIX_SPAWN_SETSIGDEF);
        (void)posix_spawnattr_setsigmask(&attributes, &none);
        (void)posix_spawnattr_setsigdefault(&attributes, &ignored);
        err = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        if (!err)
            err = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
        if (!err)
            err = posix_spawn(ret_pid, program, &actions, &attributes, arguments, environment);
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    (void)posix_spawnattr_destroy(&attributes);
    return err;
}

/* Did it end in time? It is not reaped. */
static bool ends(pid_t pid, int64_t timeout_ms) {
    AUTO_FD int fd = pidfd_open(pid, 0);
    int64_t until = clock_mono_ms() + timeout_ms;
    for (int64_t left = timeout_ms; fd >= 0 && left > 0; left = until - clock_mono_ms()) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        int n = poll(&poll_fd, 1, (int)left);
        if (n > 0)
            return true;
        if (n < 0 && errno != EINTR)
            break;
    }
    return false;
}

static int reap(pid_t pid) {
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static enum tm_err judge(int status, char ret_text[AGENT_HOOK_TEXT_MAX]) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        text_copy(ret_text, AGENT_HOOK_TEXT_MAX, "done");
        return TM_OK;
    }
    if (WIFEXITED(status))
        (void)snprintf(ret_text, AGENT_HOOK_TEXT_MAX, "exit code %d", WEXITSTATUS(status));
    else
        (void)snprintf(ret_text, AGENT_HOOK_TEXT_MAX, "killed by signal %d", WTERMSIG(status));
    return TM_EIO;
}

enum tm_err agent_hook_run(const char *program, int64_t timeout_ms,
                           const struct agent_variable *variables, size_t count,
                           char ret_text[AGENT_HOOK_TEXT_MAX]) {
    struct environment environment;
    pid_t pid;
    enum tm_err err = environment_init(variables, count, &environment);
    if (err) {
        text_copy(ret_text, AGENT_HOOK_TEXT_MAX, "no memory");
        return err;
    }
    int code = spawn(program, environment.at, &pid);
    environment_deinit(&environment);
    if (code) {
        (void)snprintf(ret_text, AGENT_HOOK_TEXT_MAX, "cannot be started: %s", strerror(code));
        return TM_EIO;
    }
    bool ended = ends(pid, timeout_ms);
    if (!ended)
        (void)kill(-pid, SIGKILL);
    int status = reap(pid);
    if (ended)
        return judge(status, ret_text);
    (void)snprintf(ret_text, AGENT_HOOK_TEXT_MAX, "killed after %lld s",
                   (long long)(timeout_ms / 1000));
    return TM_ETIMEOUT;
}
