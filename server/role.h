/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A role's life inside touchmarkd. The supervisor starts each role by fork and exec of
 * itself with --role; descriptors 3 (control link), 4 (sealed memory file with the configuration
 * text) and, where the role has one, 5 (its listening socket: TCP for faces, the admin
 * socket for the core), and 6 (for a signer whose pin_file is fd:N, that descriptor) are open. The
 * role sets up, then calls role_ready, then serves the loop.
 *
 * Reload and restart are one mechanism: a role's configuration never changes while it
 * lives; the supervisor starts a successor and drains the old one.
 */
#ifndef TOUCHMARK_SERVER_ROLE_H
#define TOUCHMARK_SERVER_ROLE_H

#include "base/loop.h"
#include "conf/conf.h"
#include "ipc/link.h"
#include "ipc/messages.h"

#define ROLE_FD_CONTROL 3
#define ROLE_FD_CONF 4
#define ROLE_FD_LISTEN 5
#define ROLE_FD_PIN 6

struct metrics_source;
struct metrics_answer;

struct role {
    enum ipc_role kind;
    unsigned index; /* which front; a signer's token (conf_token) */
    struct conf *conf;
    struct loop *loop;
    struct ipc_link *control;
    int listen_fd; /* or -1 */
    int exit_code; /* what the process will end with: 0 until role_fail */
    void *self;    /* the role's own state */
    bool stopping; /* set before drain: all of touchmarkd ends, who is idle is not waited for */
    /* A new link to a peer role; the callee owns fd. Replaces an older link to the same peer and
     * index. */
    void (*linked)(struct role *role, enum ipc_role peer, unsigned peer_index, int fd);
    /* Finish what is under way, then role_exit(role). */
    void (*drain)(struct role *role);
    /* The reload that this role asked for was refused. NULL: it asks for none. */
    void (*reload_refused)(struct role *role, const char *text);
    /* Adds what this role has counted (server/metrics/answer.h), from memory and at once. NULL:
     * nothing but what every process says of itself. */
    void (*measure)(struct role *role, struct metrics_answer *answer);
    struct metrics_source *source; /* of role.c: how it is asked for that */
};

/* Becomes conf->process.user when root; otherwise, and the second time, nothing happens. role_ready
 * does it too: call it before for files that must belong to that user. TM_EDENIED. */
MUST_USE enum tm_err role_drop(struct role *role);
/* Drops privileges as role_drop, makes the process non-dumpable, installs the role's seccomp
 * filter (server/sandbox.h; other threads get it too) and tells the supervisor. Call it when all
 * files are open. */
MUST_USE enum tm_err role_ready(struct role *role);
/* Ends the loop and the process: with success, or with an exit code of those below. */
void role_exit(struct role *role);
void role_fail(struct role *role, int exit_code);

/* Exit codes that the supervisor understands. */
#define ROLE_EXIT_CONFIG 78 /* EX_CONFIG: trying again will not help soon */
#define ROLE_EXIT_FAILED 70 /* EX_SOFTWARE: restart at once, with backoff */
#define ROLE_EXIT_PIN 77    /* EX_NOPERM, signer: the token refused the PIN, and may lock itself */
#define ROLE_EXIT_SERVES 75 /* EX_TEMPFAIL, tlscert: no new certificate, the present one serves */

/* "front", "core", ...; never NULL. */
const char *role_name(enum ipc_role kind);

/* The whole life of a role process, from --role=`spec` ("core", "front-3") on: its exit code.
 * conf_path names the configuration in messages and is what its relative paths refer to. */
int role_main(const char *spec, const char *conf_path);

/* One per role: sets role->linked and ->drain, sets up, calls role_ready. Returns after setup
 * (the caller runs the loop) or an error that was logged. _stop frees after the loop ended. */
MUST_USE enum tm_err front_start(struct role *role);
void front_stop(struct role *role);
MUST_USE enum tm_err core_start(struct role *role);
void core_stop(struct role *role);
MUST_USE enum tm_err signer_start(struct role *role);
void signer_stop(struct role *role);
MUST_USE enum tm_err bridge_start(struct role *role);
void bridge_stop(struct role *role);
MUST_USE enum tm_err tlscert_start(struct role *role);
void tlscert_stop(struct role *role);
MUST_USE enum tm_err status_start(struct role *role);
void status_stop(struct role *role);
MUST_USE enum tm_err upstream_start(struct role *role);
void upstream_stop(struct role *role);
MUST_USE enum tm_err metrics_start(struct role *role);
void metrics_stop(struct role *role);

#endif
