/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor: starts, links, watches and ends the role processes. Single-threaded, since
 * it forks; reads nothing from the network.
 *
 *   supervisor.c  start, signals, reload, stop
 *   plan.c        what should run now, step by step from what does
 *   post.c        when a role may be started again
 *   tokens.c      the signers, one per token
 *   child.c       one role process: fork, exec, control link, end
 *   links.c       which roles talk to which
 *   sockets.c     the listening sockets
 *   pins.c        where signers get their PINs
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
#include <termios.h>

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
    unsigned index;      /* no two living ones of a kind share it; a signer's: of its token */
    unsigned generation; /* of the configuration it was started with */
    unsigned epoch;      /* fronts: of configuration and TLS certificate */
    enum child_state state;
    bool asks;    /* a signer: on the terminal */
    uint8_t told; /* enum ipc_control_verb: how it was told to end */
    pid_t pid;
    int64_t started;          /* monotonic ms */
    struct ipc_link *control; /* NULL once it closed its end */
    struct loop_timer deadline;
};

/* Per kind of role, and per token of signers: when it may be started again. */
struct post {
    unsigned failures;
    bool config;        /* the last failure was of those that trying again does not mend */
    bool held;          /* trying again would do harm: not before a reload */
    int64_t not_before; /* monotonic ms */
    struct loop_timer retry;
    bool crash_handed; /* TOUCHMARK_CRASH went to one already */
};

/* index: a signer's token; others get one that is free. */
MUST_USE enum tm_err child_spawn(struct supervisor *s, enum ipc_role kind, unsigned index);
/* Asks it to finish and exit; one that has not even started, or does not within the drain timeout,
 * is killed. May be called again. */
void child_drain(struct child *child);
void child_kill(struct child *child);
/* Reaps all that ended. */
void child_reap(struct supervisor *s);
struct child *child_find(const struct supervisor *s, enum ipc_role kind);
/* The signer of this token, of whatever generation. */
struct child *child_find_signer(const struct supervisor *s, unsigned token);
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
    int metrics;          /* -1: there is no metrics face */
    unsigned metrics_port;
};

/* None. */
#define SOCKETS_NONE ((struct sockets){.tcp = -1, .admin = -1, .status = -1, .metrics = -1})

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

/* ---- post.c ---- */

#define POST_START_TRIES 8 /* before anything ever served: about six seconds */

struct post *post_of(struct supervisor *s, enum ipc_role kind, unsigned index);
void post_init(struct supervisor *s);
void post_deinit(struct supervisor *s);
/* Of all: a clean sheet. */
void post_forgive(struct supervisor *s);
bool post_may_start(const struct post *post);
void post_hold_back(struct supervisor *s, struct post *post, int64_t delay_ms);
/* It lived for lived_ms and ended unexpectedly. */
void post_failed(struct supervisor *s, struct post *post, int64_t lived_ms, bool config);
/* Starts one, or holds back. */
void post_start(struct supervisor *s, enum ipc_role kind, unsigned index);

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
/* The core does not believe this signer any more. */
void plan_distrusted(struct supervisor *s, enum ipc_role peer, unsigned index);

/* ---- tokens.c ---- */

/* Starts, ends and replaces signers. */
void tokens_keep(struct supervisor *s);
/* Is its signer up, or its standby's? */
bool tokens_served(const struct supervisor *s, unsigned token);
/* Was every token tried, and is the default one, or its standby, up? What only serves some tenants
 * must not keep the others waiting. */
bool tokens_settled(const struct supervisor *s);
/* Before anything was served: a signer ended. Is there no point in going on? */
bool tokens_hopeless(const struct supervisor *s, unsigned token);

/* ---- pins.c ---- */

/* Can the PINs of all tokens in use be had, now and when a signer restarts? Nobody but the signer
 * reads one. TM_EDENIED and one sentence. */
MUST_USE enum tm_err pins_check(const struct conf *conf, char error[CONF_ERROR_MAX]);
/* What the signer of this token is handed to read its PIN from; -1: nothing. */
int pins_fd(const struct supervisor *s, unsigned token);
/* Does it ask on the terminal? */
bool pins_prompt(const struct supervisor *s, unsigned token);
/* A signer that was ended while it asked has left the terminal without echo. */
void pins_terminal_keep(struct supervisor *s);
void pins_terminal_restore(const struct supervisor *s);

/* ---- supervisor.c ---- */

struct supervisor {
    struct loop *loop;
    const char *conf_path;
    struct settings settings;
    struct sockets sockets;
    int signal_fd;
    struct loop_fd *signal_watch;
    struct child *children;
    struct post posts[IPC_ROLE_LAST + 1]; /* signers have their own */
    struct post signers[CONF_TOKENS_MAX];
    unsigned generation;            /* of the configuration, from 1 */
    unsigned epoch;                 /* of fronts, from 1 */
    unsigned core_ready_generation; /* the last for which a core got ready */
    struct certificate_plan certificate;
    struct announcement announcement;
    struct termios terminal; /* as it was at the start */
    bool has_terminal;
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
