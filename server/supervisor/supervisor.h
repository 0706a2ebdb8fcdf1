/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor: starts, links, watches and ends the role processes. Single-threaded, since
 * it forks; reads nothing from the network.
 *
 *   supervisor.c  start, signals, reload, stop
 *   plan.c        what should run now, step by step from what does
 *   child.c       one role process: fork, exec, control link, end
 *   links.c       which roles talk to which
 *   sockets.c     the listening sockets
 *   announce.c    pid and ready files, service manager
 *
 * Everything that happens (a start, a death, a signal, a timer) ends in plan_step, which compares
 * what runs with what should and takes the next steps. So reload, restart, certificate roll-over
 * and stop are all the same code.
 */
#ifndef TOUCHMARK_SERVER_SUPERVISOR_SUPERVISOR_H
#define TOUCHMARK_SERVER_SUPERVISOR_SUPERVISOR_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/loop.h"
#include "ipc/link.h"
#include "ipc/messages.h"
#include "server/settings.h"

struct supervisor;

/* ---- child.c ---- */

enum child_state { CHILD_STARTING, CHILD_READY, CHILD_DRAINING };

struct child {
    struct supervisor *supervisor;
    struct child *next;
    enum ipc_role kind;
    unsigned index;      /* no two living ones of a kind share it */
    unsigned generation; /* of the configuration it was started with */
    unsigned epoch;      /* fronts: of configuration and TLS certificate */
    enum child_state state;
    uint8_t told; /* enum ipc_control_verb: how it was told to end */
    pid_t pid;
    int64_t started;          /* monotonic ms */
    struct ipc_link *control; /* NULL once it closed its end */
    struct loop_timer deadline;
};

/* Per kind of role: when it may be started again. */
struct post {
    unsigned failures;
    int64_t not_before; /* monotonic ms */
    struct loop_timer retry;
    bool crash_handed; /* TOUCHMARK_CRASH went to one already */
};

MUST_USE enum tm_err child_spawn(struct supervisor *s, enum ipc_role kind);
/* Asks it to finish and exit; one that has not even started, or does not within the drain timeout,
 * is killed. May be called again. */
void child_drain(struct child *child);
void child_kill(struct child *child);
/* Reaps all that ended. */
void child_reap(struct supervisor *s);
struct child *child_find(const struct supervisor *s, enum ipc_role kind);
void child_log_name(const struct child *child, char ret[32]);

/* ---- links.c ---- */

/* Connects a new child to those that run and that it has to do with. */
void links_make(struct supervisor *s, struct child *child);

/* ---- sockets.c ---- */

struct sockets {
    int tcp;
    int admin;
    unsigned port; /* really bound */
    char *admin_path;
    int status;           /* -1: there is no status face */
    unsigned status_port; /* really bound; 0: there is none */
};

/* None. */
#define SOCKETS_NONE ((struct sockets){.tcp = -1, .admin = -1, .status = -1})

/* Opens what `conf` asks for, except what `old` (NULL-safe) has already: that is duplicated. Logs.
 * TM_EIO, TM_EEXISTS (another process serves the admin socket), TM_ENOMEM. */
MUST_USE enum tm_err sockets_open(const struct conf *conf, const struct conf *old_conf,
                                  const struct sockets *old, struct sockets *ret);
/* What a role of this kind accepts on; -1: it does not. */
int sockets_of(const struct sockets *sockets, enum ipc_role kind);
/* unlink_admin: also removes the admin socket's file. */
void sockets_close(struct sockets *sockets, bool unlink_admin);

/* ---- announce.c ---- */

struct announcement {
    int pid_fd;   /* locked while we run */
    bool dirty;   /* the ready file is behind */
    bool written; /* there is a ready file */
    bool reloading;
    uint64_t watchdog_ms; /* 0 = the service manager wants none */
    struct loop_timer watchdog;
};

/* Makes run_dir if it is missing, and takes the lock there. TM_EEXISTS: it is another touchmarkd's;
 * TM_EIO. Logs. */
MUST_USE enum tm_err announce_open(struct supervisor *s);
void announce_close(struct supervisor *s); /* removes the files */
void announce_ready(struct supervisor *s);
void announce_reloading(struct supervisor *s);
void announce_stopping(struct supervisor *s);

/* ---- plan.c ---- */

/* The server's own certificate, with tls.self_issue. */
struct certificate_plan {
    bool due;                   /* the tlscert role should have a look */
    unsigned usable_generation; /* the configuration for which there is one */
    struct stat seen;           /* the file that the present fronts were started with */
    struct loop_timer daily;
};

void plan_init(struct supervisor *s);
void plan_deinit(struct supervisor *s);
void plan_step(struct supervisor *s);
/* A new configuration is in place. */
void plan_reloaded(struct supervisor *s);
void plan_child_ready(struct child *child);
/* It is reaped, and freed after this call; status as of waitpid. */
void plan_child_ended(const struct child *child, int status);
/* The core does not believe its signer any more. */
void plan_distrusted(struct supervisor *s, enum ipc_role peer);

/* ---- supervisor.c ---- */

struct supervisor {
    struct loop *loop;
    const char *conf_path;
    struct settings settings;
    struct sockets sockets;
    int signal_fd;
    struct loop_fd *signal_watch;
    struct child *children;
    struct post posts[IPC_ROLE_LAST + 1];
    unsigned generation;            /* of the configuration, from 1 */
    unsigned epoch;                 /* of fronts, from 1 */
    unsigned core_ready_generation; /* the last for which a core got ready */
    struct certificate_plan certificate;
    struct announcement announcement;
    bool stopping;
    bool served; /* everything was up once */
    int exit_code;
};

/* Takes up the configuration as it is now. TM_EPARSE and others: it stays as it was, `text` says
 * why (the log says more). */
MUST_USE enum tm_err supervisor_reload(struct supervisor *s, char text[IPC_TEXT_MAX + 1]);
/* Begins the orderly end. */
void supervisor_stop(struct supervisor *s, int exit_code);

/* touchmarkd without --role: serves until a signal. Its exit code. */
int supervisor_main(const char *conf_path);

#endif
