/* SPDX-License-Identifier: Apache-2.0 */
/* One role process: see supervisor.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/role.h"
#include "server/supervisor/supervisor.h"

#define CONTROL_QUEUE 256
#define START_MS 60000   /* a PKCS#11 module can hang while it starts */
#define PROMPT_MS 600000 /* somebody has to come and type the PIN */
#define GRACE_MS 2000    /* beyond the drain timeout, which the roles keep themselves */
#define CLOSED_MS 10000  /* between closing the control link and the end of the process */
#define EXEC_FAILED 127

void child_log_name(const struct child *child, char ret[32]) {
    if (child->kind == IPC_ROLE_FRONT || child->kind == IPC_ROLE_SIGNER)
        (void)snprintf(ret, 32, "%s-%u", role_name(child->kind), child->index);
    else
        (void)snprintf(ret, 32, "%s", role_name(child->kind));
}

struct child *child_find(const struct supervisor *s, enum ipc_role kind) {
    struct child *child = s->children;
    while (child && child->kind != kind)
        child = child->next;
    return child;
}

struct child *child_find_signer(const struct supervisor *s, unsigned token) {
    struct child *child = s->children;
    while (child && (child->kind != IPC_ROLE_SIGNER || child->index != token))
        child = child->next;
    return child;
}

static bool index_used(const struct supervisor *s, enum ipc_role kind, unsigned index) {
    for (const struct child *c = s->children; c; c = c->next)
        if (c->kind == kind && c->index == index)
            return true;
    return false;
}

/* ---- in the new process, before exec ---- */

/* What a role does not need to know. SIG_IGN and PDEATHSIG survive exec. */
static void clean_environment(const struct child *child, bool crash) {
    static const char *const service_manager[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC",
                                                  "WATCHDOG_PID",  "LISTEN_FDS",
                                                  "LISTEN_PID",    "LISTEN_FDNAMES"};
    for (size_t i = 0; i < sizeof service_manager / sizeof service_manager[0]; i++)
        (void)unsetenv(service_manager[i]);
    if (child->kind != IPC_ROLE_SIGNER && child->kind != IPC_ROLE_BRIDGE &&
        child->kind != IPC_ROLE_UPSTREAM)
        (void)unsetenv("CREDENTIALS_DIRECTORY");
    if (!crash)
        (void)unsetenv("TOUCHMARK_CRASH");
}

static void reset_signals(void) {
    static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};
    sigset_t none;
    (void)sigemptyset(&none);
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        (void)signal(ignored[i], SIG_IGN);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Puts descriptors where server/role.h promises them. All go out of the way first, because one's
 * present number may be another's place. */
static bool place_descriptors(int control, int conf, int listen, int pin) {
    const int places[] = {STDIN_FILENO, ROLE_FD_CONTROL, ROLE_FD_CONF, ROLE_FD_LISTEN, ROLE_FD_PIN};
    int from[] = {open("/dev/null", O_RDONLY), control, conf, listen, pin};
    const size_t count = sizeof places / sizeof places[0];
    for (size_t i = 0; i < count; i++)
        if (from[i] >= 0 && (from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 16)) < 0)
            return false;
    for (size_t i = 0; i < count; i++)
        if (from[i] < 0)
            (void)close(places[i]);
        else if (dup2(from[i], places[i]) < 0)
            return false;
    return close_range(ROLE_FD_PIN + 1, ~0U, 0) == 0;
}

static __attribute__((noreturn)) void become_role(const struct child *child, int control,
                                                  bool crash, pid_t parent) {
    const struct supervisor *s = child->supervisor;
    char role[64], name[32], conf[4096 + 8];
    int listen = sockets_of(&s->sockets, child->kind);
    int pin = child->kind == IPC_ROLE_SIGNER ? pins_fd(s, child->index) : -1;
    child_log_name(child, name);
    (void)snprintf(role, sizeof role, "--role=%s", name);
    (void)snprintf(conf, sizeof conf, "--conf=%s", s->conf_path);
    char *const argv[] = {(char[]){"touchmarkd"}, role, conf, NULL};
    clean_environment(child, crash);
    reset_signals();
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 && getppid() == parent &&
        place_descriptors(control, s->settings.text_fd, listen, pin))
        (void)execv("/proc/self/exe", argv);
    _exit(EXEC_FAILED);
}

/* ---- in the supervisor ---- */

/* A core that is replaced needs no answer: its successor is one. */
static void reload_asked(struct child *child) {
    struct ipc_control answer = {.verb = IPC_CONTROL_RELOAD};
    if (supervisor_reload(child->supervisor, answer.text) && child->control &&
        ipc_link_send(child->control, &ipc_control_schema, &answer))
        log_warn("the core was not told that its reload was refused");
}

static void control_message(void *arg, struct ipc_link *link, struct bytes message, int fd) {
    struct child *child = arg;
    struct ipc_control control;
    (void)link;
    if (fd >= 0)
        (void)close(fd);
    if (codec_decode(&ipc_control_schema, message, &control))
        return;
    if (control.verb == IPC_CONTROL_READY && child->state == CHILD_STARTING)
        plan_child_ready(child);
    else if (control.verb == IPC_CONTROL_DISTRUST && child->kind == IPC_ROLE_CORE)
        plan_distrusted(child->supervisor, (enum ipc_role)control.peer, control.peer_index);
    else if (control.verb == IPC_CONTROL_RELOAD && child->kind == IPC_ROLE_CORE)
        reload_asked(child);
}

static void set_deadline(struct child *child, int64_t ms) {
    if (loop_timer_set(child->supervisor->loop, &child->deadline, clock_mono_ms() + ms))
        child_kill(child);
}

static void control_closed(void *arg, struct ipc_link *link) {
    struct child *child = arg;
    ipc_link_close(link);
    child->control = NULL;
    set_deadline(child, CLOSED_MS);
}

static const struct ipc_link_events control_events = {control_message, control_closed};

static void deadline_passed(void *arg) {
    struct child *child = arg;
    char name[32];
    child_log_name(child, name);
    log_warn("%s (process %ld) does not %s; it is killed", name, (long)child->pid,
             child->state == CHILD_STARTING ? "start" : "end");
    child_kill(child);
}

static enum tm_err child_fork(struct child *child, int control_end, bool crash) {
    pid_t parent = getpid();
    child->pid = fork();
    if (child->pid == 0)
        become_role(child, control_end, crash, parent);
    if (child->pid < 0) {
        log_error("cannot fork: %s", strerror(errno));
        return TM_EIO;
    }
    return TM_OK;
}

static void child_free(struct child *child) {
    loop_timer_stop(child->supervisor->loop, &child->deadline);
    ipc_link_close(child->control);
    free(child);
}

/* The kill option of TOUCHMARK_CRASH is for one process of each kind; those after it live. */
static bool hand_crash(struct post *post) {
    bool first = !post->crash_handed;
    post->crash_handed = true;
    return first;
}

enum tm_err child_spawn(struct supervisor *s, enum ipc_role kind, unsigned index) {
    struct child *child = calloc(1, sizeof *child);
    int ends[2];
    if (!child)
        return TM_ENOMEM;
    child->supervisor = s;
    child->kind = kind;
    child->generation = s->generation;
    child->epoch = s->epoch;
    child->started = clock_mono_ms();
    child->deadline = (struct loop_timer){.fn = deadline_passed, .arg = child};
    child->index = index;
    while (index_used(s, kind, child->index))
        child->index++;
    enum tm_err err = ipc_pair(ends);
    if (err) {
        child_free(child);
        return err;
    }
    AUTO_FD int theirs = ends[1];
    err = ipc_link_open(s->loop, ends[0], CONTROL_QUEUE, &control_events, child, &child->control);
    if (!err)
        err = child_fork(child, theirs, hand_crash(&s->posts[kind]));
    if (err) {
        child_free(child);
        return err;
    }
    child->next = s->children;
    s->children = child;
    s->announcement.dirty = true;
    child->asks = kind == IPC_ROLE_SIGNER && pins_prompt(s, index);
    if (kind != IPC_ROLE_CORE) /* recovery takes what it takes */
        set_deadline(child, child->asks ? PROMPT_MS : START_MS);
    links_make(s, child);
    return TM_OK;
}

void child_kill(struct child *child) {
    (void)kill(child->pid, SIGKILL);
}

void child_drain(struct child *child) {
    const struct ipc_control drain = {.verb = child->supervisor->stopping ? IPC_CONTROL_STOP
                                                                          : IPC_CONTROL_DRAIN};
    if (child->state == CHILD_DRAINING && child->told == drain.verb)
        return;
    bool started = child->state != CHILD_STARTING;
    child->state = CHILD_DRAINING;
    child->told = drain.verb;
    if (!started || !child->control || ipc_link_send(child->control, &ipc_control_schema, &drain)) {
        child_kill(child);
        return;
    }
    set_deadline(child, child->supervisor->settings.conf.process.drain_timeout + GRACE_MS);
}

static struct child *take_child(struct supervisor *s, pid_t pid) {
    for (struct child **at = &s->children; *at; at = &(*at)->next)
        if ((*at)->pid == pid) {
            struct child *child = *at;
            *at = child->next;
            return child;
        }
    return NULL;
}

void child_reap(struct supervisor *s) {
    int status;
    for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
        struct child *child = take_child(s, pid);
        if (!child)
            continue;
        s->announcement.dirty = true;
        plan_child_ended(child, status);
        child_free(child);
    }
}
