/* SPDX-License-Identifier: Apache-2.0 */
/* What all role processes have in common: see role.h. */
#include "server/role.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"
#include "server/metrics/source.h"
#include "server/privileges.h"
#include "server/sandbox.h"
#include "server/settings.h"

#define CONTROL_QUEUE 16

struct role_kind {
    const char *name;
    enum ipc_role kind;
    bool listens;
    enum tm_err (*start)(struct role *role);
    void (*stop)(struct role *role);
};

static const struct role_kind kinds[] = {
    {"front", IPC_ROLE_FRONT, true, front_start, front_stop},
    {"core", IPC_ROLE_CORE, true, core_start, core_stop},
    {"signer", IPC_ROLE_SIGNER, false, signer_start, signer_stop},
    {"bridge", IPC_ROLE_BRIDGE, false, bridge_start, bridge_stop},
    {"tlscert", IPC_ROLE_TLSCERT, false, tlscert_start, tlscert_stop},
    {"status", IPC_ROLE_STATUS, true, status_start, status_stop},
    {"upstream", IPC_ROLE_UPSTREAM, false, upstream_start, upstream_stop},
    {"metrics", IPC_ROLE_METRICS, true, metrics_start, metrics_stop},
};
#define KIND_COUNT (sizeof kinds / sizeof kinds[0])

const char *role_name(enum ipc_role kind) {
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (kinds[i].kind == kind)
            return kinds[i].name;
    return "supervisor";
}

/* "core" or "front-3". */
static const struct role_kind *parse_spec(const char *spec, unsigned *ret_index) {
    for (size_t i = 0; i < KIND_COUNT; i++) {
        size_t n = strlen(kinds[i].name);
        unsigned index = 0;
        char more = 0;
        if (strncmp(spec, kinds[i].name, n) != 0)
            continue;
        if (spec[n] != '\0' && sscanf(spec + n, "-%5u%c", &index, &more) != 1)
            continue;
        *ret_index = index;
        return &kinds[i];
    }
    return NULL;
}

enum tm_err role_drop(struct role *role) {
    return privileges_drop(role->conf->process.user);
}

static bool uses_network(const struct role *role) {
    return role->kind == IPC_ROLE_SIGNER && conf_token(role->conf, role->index)->network;
}

enum tm_err role_ready(struct role *role) {
    const struct ipc_control ready = {.verb = IPC_CONTROL_READY, .peer = (uint8_t)role->kind};
    enum tm_err err = role_drop(role);
    if (!err)
        err = privileges_seal();
    if (!err && role->conf->process.sandbox)
        err = sandbox_enter(role->kind, uses_network(role), role->conf->status.dir);
    return err ? err : ipc_link_send(role->control, &ipc_control_schema, &ready);
}

void role_exit(struct role *role) {
    loop_stop(role->loop);
}

void role_fail(struct role *role, int exit_code) {
    role->exit_code = exit_code;
    loop_stop(role->loop);
}

static void control_linked(struct role *role, const struct ipc_control *control, int fd) {
    if (fd >= 0 && control->peer == IPC_ROLE_METRICS)
        metrics_source_link(role->source, fd);
    else if (fd >= 0 && role->linked)
        role->linked(role, (enum ipc_role)control->peer, control->peer_index, fd);
    else if (fd >= 0)
        (void)close(fd);
}

static void control_message(void *arg, struct ipc_link *link, struct bytes message, int fd) {
    struct role *role = arg;
    struct ipc_control control;
    (void)link;
    if (codec_decode(&ipc_control_schema, message, &control) == TM_OK) {
        if (control.verb == IPC_CONTROL_LINK) {
            control_linked(role, &control, fd);
            return;
        }
        if (control.verb == IPC_CONTROL_RELOAD && role->reload_refused)
            role->reload_refused(role, control.text);
        role->stopping |= control.verb == IPC_CONTROL_STOP;
        if ((control.verb == IPC_CONTROL_DRAIN || role->stopping) && role->drain)
            role->drain(role);
    } else {
        log_error("the supervisor sent what is no control message");
    }
    if (fd >= 0)
        (void)close(fd);
}

/* The supervisor is gone, and everything that a role works for with it. */
static void control_closed(void *arg, struct ipc_link *link) {
    (void)arg;
    (void)link;
    _exit(ROLE_EXIT_FAILED);
}

static const struct ipc_link_events control_events = {control_message, control_closed};

/* What a role could not start with. Files, profiles and stored data do not get better by trying
 * again at once; a token may come back any moment. */
static int start_failure(enum ipc_role kind, enum tm_err err) {
    switch (err) {
    case TM_EPARSE:
    case TM_EDENIED:
    case TM_ECORRUPT:
    case TM_EIO:
        return ROLE_EXIT_CONFIG;
    case TM_ENOTFOUND:
        return kind == IPC_ROLE_SIGNER ? ROLE_EXIT_FAILED : ROLE_EXIT_CONFIG;
    case TM_OK:
    case TM_ENOMEM:
    case TM_EINVAL:
    case TM_ELIMIT:
    case TM_EEXISTS:
    case TM_ECONFLICT:
    case TM_EFULL:
    case TM_EAGAIN:
    case TM_ECLOSED:
    case TM_ETIMEOUT:
    case TM_ECRYPTO:
    case TM_ETOKEN:
        break;
    }
    return ROLE_EXIT_FAILED;
}

static void live(const struct role_kind *kind, struct role *role) {
    enum tm_err err = kind->start(role);
    if (err) {
        log_error("%s cannot start: %s", kind->name, tm_err_name(err));
        if (!role->exit_code)
            role->exit_code = start_failure(role->kind, err);
    } else if (loop_run(role->loop)) {
        role->exit_code = ROLE_EXIT_FAILED;
    }
    kind->stop(role);
}

static enum tm_err set_up(struct role *role, const char *conf_path, const char *name) {
    static struct conf conf; /* one per process, and large */
    enum tm_err err = settings_receive(ROLE_FD_CONF, conf_path, &conf);
    if (err)
        return err;
    role->conf = &conf;
    log_open(name, (enum log_level)conf.process.log_level);
    log_use((enum log_format)conf.process.log_format);
    err = loop_new(&role->loop);
    if (!err)
        err = ipc_link_open(role->loop, ROLE_FD_CONTROL, CONTROL_QUEUE, &control_events, role,
                            &role->control);
    if (!err)
        err = metrics_source_new(role, &role->source);
    return err;
}

/* These are for the supervisor, which drains its roles in order; a terminal or a service manager
 * sends them to the whole group. */
static void ignore_signals(void) {
    static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        (void)signal(ignored[i], SIG_IGN);
}

int role_main(const char *spec, const char *conf_path) {
    struct role role = {.listen_fd = -1};
    char name[32], title[16];
    const struct role_kind *kind = parse_spec(spec, &role.index);
    if (!kind) {
        (void)fprintf(stderr, "touchmarkd: there is no role \"%s\"\n", spec);
        return ROLE_EXIT_CONFIG;
    }
    (void)snprintf(name, sizeof name, "%s", spec);
    (void)snprintf(title, sizeof title, "tm-%.12s", spec);
    (void)prctl(PR_SET_NAME, title, 0, 0, 0); /* else every process is called "exe" */
    log_open(name, LOG_LEVEL_INFO);
    ignore_signals();
    role.kind = kind->kind;
    if (kind->listens)
        role.listen_fd = ROLE_FD_LISTEN;
    enum tm_err err = set_up(&role, conf_path, name);
    if (err)
        role.exit_code = start_failure(role.kind, err);
    else
        live(kind, &role);
    ipc_link_close(role.control);
    metrics_source_free(role.source);
    loop_free(role.loop);
    if (role.conf)
        conf_close(role.conf);
    return role.exit_code;
}
