/* SPDX-License-Identifier: Apache-2.0 */
/* Start, signals, reload and stop: see supervisor.h. */
#include "server/supervisor/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/log.h"
#include "server/role.h"

static void kill_all(struct supervisor *s) {
    for (struct child *c = s->children; c; c = c->next)
        child_kill(c);
}

void supervisor_stop(struct supervisor *s, int exit_code) {
    if (s->stopping)
        return;
    s->stopping = true;
    s->exit_code = exit_code;
    announce_stopping(s);
}

/* Told once: in order. Told again: now. */
static void stop_asked(struct supervisor *s) {
    if (s->stopping) {
        log_warn("told to stop again: killing all processes");
        kill_all(s);
        return;
    }
    log_info("stopping");
    supervisor_stop(s, 0);
}

static enum tm_err refuse(enum tm_err err, char text[IPC_TEXT_MAX + 1], const char *why) {
    log_error("%s", why);
    (void)snprintf(text, IPC_TEXT_MAX + 1, "%.*s", IPC_TEXT_MAX, why);
    return err;
}

/* A bad configuration changes nothing. */
static enum tm_err load_successor(struct supervisor *s, struct settings *ret,
                                  struct sockets *ret_sockets, char text[IPC_TEXT_MAX + 1]) {
    char error[CONF_ERROR_MAX];
    struct settings settings;
    enum tm_err err = settings_load(s->conf_path, &settings, error);
    if (err)
        return refuse(err, text, error);
    const struct conf *old = &s->settings.conf;
    err = settings_check_apart(&settings);
    if (err)
        (void)refuse(err, text, "a file that the configuration names is not good: see the log");
    if (!err) {
        err = pins_check(&settings.conf, error);
        if (err)
            (void)refuse(err, text, error);
    }
    if (!err && strcmp(settings.conf.process.run_dir, old->process.run_dir) != 0)
        err = refuse(TM_EDENIED, text, "process.run_dir cannot change while touchmarkd runs");
    if (!err) {
        err = sockets_open(&settings.conf, old, &s->sockets, ret_sockets);
        if (err)
            (void)refuse(err, text, "a socket cannot be opened: see the log");
    }
    if (err)
        settings_close(&settings);
    else
        *ret = settings;
    return err;
}

enum tm_err supervisor_reload(struct supervisor *s, char text[IPC_TEXT_MAX + 1]) {
    struct settings settings;
    struct sockets sockets;
    if (s->stopping)
        return refuse(TM_ECLOSED, text, "touchmarkd is about to stop");
    log_info("reloading %s", s->conf_path);
    enum tm_err err = load_successor(s, &settings, &sockets, text);
    if (err) {
        log_error("the configuration is as before");
        return err;
    }
    bool moved = strcmp(s->sockets.admin_path, sockets.admin_path) != 0;
    sockets_close(&s->sockets, moved);
    settings_close(&s->settings);
    s->sockets = sockets;
    s->settings = settings;
    log_open("supervisor", (enum log_level)settings.conf.process.log_level);
    log_use((enum log_format)settings.conf.process.log_format);
    announce_reloading(s);
    plan_reloaded(s);
    return TM_OK;
}

static void signalled(void *arg, uint32_t events) {
    struct supervisor *s = arg;
    struct signalfd_siginfo info;
    char text[IPC_TEXT_MAX + 1];
    (void)events;
    while (read(s->signal_fd, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGHUP)
            (void)!supervisor_reload(s, text); /* it has said itself what is wrong */
        else if (info.ssi_signo != SIGCHLD)
            stop_asked(s);
    }
    child_reap(s); /* signals of the same number merge, so whichever it was */
    plan_step(s);
}

static enum tm_err watch_signals(struct supervisor *s) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGCHLD, SIG_DFL); /* if it was inherited as ignored, nothing could be reaped */
    if (sigprocmask(SIG_BLOCK, &set, NULL) == 0)
        s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s->signal_fd < 0) {
        log_error("cannot receive signals: %s", strerror(errno));
        return TM_EIO;
    }
    return loop_add(s->loop, s->signal_fd, EPOLLIN, signalled, s, &s->signal_watch);
}

static enum tm_err open_all(struct supervisor *s) {
    enum tm_err err = loop_new(&s->loop);
    if (err)
        return err;
    plan_init(s);
    pins_terminal_keep(s);
    err = watch_signals(s);
    if (!err)
        err = announce_open(s);
    if (!err)
        err = sockets_open(&s->settings.conf, NULL, NULL, &s->sockets);
    return err;
}

static void close_all(struct supervisor *s) {
    if (!s->loop)
        return;
    plan_deinit(s);
    sockets_close(&s->sockets, true);
    announce_close(s);
    loop_remove(s->signal_watch);
    if (s->signal_fd >= 0)
        (void)close(s->signal_fd);
    loop_free(s->loop);
}

static int serve(struct supervisor *s) {
    enum tm_err err = open_all(s);
    if (!err) {
        log_info("touchmarkd " TOUCHMARK_VERSION " starts with %u fronts", s->settings.workers);
        plan_step(s);
        err = loop_run(s->loop);
    }
    close_all(s);
    return err ? ROLE_EXIT_FAILED : s->exit_code;
}

int supervisor_main(const char *conf_path) {
    static struct supervisor s; /* one per process, and large */
    char error[CONF_ERROR_MAX];
    s = (struct supervisor){.conf_path = conf_path,
                            .signal_fd = -1,
                            .sockets = SOCKETS_NONE,
                            .announcement = {.pid_fd = -1}};
    log_open("supervisor", LOG_LEVEL_INFO);
    if (settings_load(conf_path, &s.settings, error)) {
        log_error("%s", error);
        return ROLE_EXIT_CONFIG;
    }
    log_open("supervisor", (enum log_level)s.settings.conf.process.log_level);
    log_use((enum log_format)s.settings.conf.process.log_format);
    int code = ROLE_EXIT_CONFIG;
    if (pins_check(&s.settings.conf, error))
        log_error("%s", error);
    else
        code = serve(&s);
    settings_close(&s.settings);
    return code;
}
