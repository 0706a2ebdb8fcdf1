/* SPDX-License-Identifier: Apache-2.0 */
/* What should run, and the next steps towards it: see supervisor.h. */
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/role.h"
#include "server/supervisor/supervisor.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000
#define STABLE_MS 10000 /* who lived that long starts with a clean sheet */
#define CONFIG_BACKOFF_MIN_MS 5000
#define CONFIG_BACKOFF_MAX_MS 60000
#define START_TRIES 8               /* before anything ever served: about six seconds */
#define CERTIFICATE_RETRY_MS 600000 /* while the present one serves */
#define DAY_MS 86400000
#define JITTER_MS 3600000

static void step(void *arg) {
    plan_step(arg);
}

/* ---- when a role may start again ---- */

static void hold_back(struct supervisor *s, enum ipc_role kind, int64_t delay) {
    struct post *post = &s->posts[kind];
    post->not_before = clock_mono_ms() + delay;
    if (loop_timer_set(s->loop, &post->retry, post->not_before))
        log_error("no memory for a timer");
}

static int64_t doubled(int64_t first, int64_t last, unsigned times) {
    int64_t delay = first;
    for (unsigned i = 0; i < times && delay < last; i++)
        delay *= 2;
    return delay < last ? delay : last;
}

static int64_t backoff(struct post *post, int64_t lived, bool config) {
    if (lived >= STABLE_MS)
        post->failures = 0;
    unsigned before = post->failures++;
    if (config)
        return doubled(CONFIG_BACKOFF_MIN_MS, CONFIG_BACKOFF_MAX_MS, before);
    return before == 0 ? 0 : doubled(BACKOFF_MIN_MS, BACKOFF_MAX_MS, before - 1);
}

static bool may_start(const struct supervisor *s, enum ipc_role kind) {
    return clock_mono_ms() >= s->posts[kind].not_before;
}

static void start(struct supervisor *s, enum ipc_role kind) {
    enum tm_err err = child_spawn(s, kind);
    if (err) {
        log_error("%s cannot be started: %s", role_name(kind), tm_err_name(err));
        hold_back(s, kind, BACKOFF_MAX_MS);
    }
}

/* ---- core and signer ---- */

static bool is_stale(const struct supervisor *s, const struct child *child) {
    return child->generation != s->generation;
}

/* A registration authority alone has no key, and no token. */
static bool wants_signer(const struct supervisor *s) {
    return conf_has_issuer_of(&s->settings.conf, CONF_ISSUER_TOKEN);
}

/* One process at a time: the store has one writer, and two processes that open a SoftHSM token at
 * once fail to log in. The old core goes first, so that its tickets still find their signer. */
static void keep_core_and_signer(struct supervisor *s) {
    struct child *core = child_find(s, IPC_ROLE_CORE), *signer = child_find(s, IPC_ROLE_SIGNER);
    if (core && is_stale(s, core))
        child_drain(core);
    if (signer && is_stale(s, signer) && !(core && is_stale(s, core)))
        child_drain(signer);
    if (!signer && wants_signer(s) && may_start(s, IPC_ROLE_SIGNER))
        start(s, IPC_ROLE_SIGNER);
    if (!core && may_start(s, IPC_ROLE_CORE))
        start(s, IPC_ROLE_CORE);
}

static bool is_up(const struct supervisor *s, enum ipc_role kind) {
    const struct child *child = child_find(s, kind);
    return child && child->state == CHILD_READY && !is_stale(s, child);
}

/* ---- the bridge ---- */

static bool wants_bridge(const struct supervisor *s) {
    return s->settings.conf.mqtt.broker != NULL;
}

/* One process at a time: a broker throws one client out when another comes with the same ID, and
 * two hosts would take turns at saying that the other is offline. The old one serves until there is
 * a core for the new one, so that only its own restart is a gap, in which the broker keeps what
 * devices send. */
static void keep_bridge(struct supervisor *s) {
    struct child *bridge = child_find(s, IPC_ROLE_BRIDGE);
    if (s->core_ready_generation != s->generation)
        return;
    if (bridge && is_stale(s, bridge))
        child_drain(bridge);
    else if (!bridge && wants_bridge(s) && may_start(s, IPC_ROLE_BRIDGE))
        start(s, IPC_ROLE_BRIDGE);
}

/* ---- the server's own certificate ---- */

static void keep_certificate(struct supervisor *s) {
    struct child *running = child_find(s, IPC_ROLE_TLSCERT);
    if (running && is_stale(s, running))
        child_kill(running);
    if (s->settings.conf.tls.self_issue && s->certificate.due && !running &&
        is_up(s, IPC_ROLE_CORE) && may_start(s, IPC_ROLE_TLSCERT))
        start(s, IPC_ROLE_TLSCERT);
}

static void look_again_tomorrow(struct supervisor *s) {
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
        random = (uint32_t)getpid(); /* any spread will do */
    if (loop_timer_set(s->loop, &s->certificate.daily,
                       clock_mono_ms() + DAY_MS + random % JITTER_MS))
        log_error("no memory for a timer");
}

static void look_now(void *arg) {
    struct supervisor *s = arg;
    s->certificate.due = true;
    plan_step(s);
}

/* Fronts read the file when they start: a new one needs new fronts. */
static void notice_certificate(struct supervisor *s) {
    struct stat now = {0};
    struct stat *seen = &s->certificate.seen;
    (void)stat(s->settings.conf.tls.certificate, &now);
    bool changed = now.st_ino != seen->st_ino || now.st_mtim.tv_sec != seen->st_mtim.tv_sec ||
                   now.st_mtim.tv_nsec != seen->st_mtim.tv_nsec;
    if (changed && child_find(s, IPC_ROLE_FRONT))
        s->epoch++;
    *seen = now;
}

static void certificate_ended(struct supervisor *s, const struct child *child, int status) {
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (is_stale(s, child) || (code != 0 && code != ROLE_EXIT_SERVES))
        return;
    s->certificate.usable_generation = s->generation;
    if (code == ROLE_EXIT_SERVES) {
        hold_back(s, IPC_ROLE_TLSCERT, CERTIFICATE_RETRY_MS);
        return;
    }
    s->certificate.due = false;
    s->posts[IPC_ROLE_TLSCERT].failures = 0;
    notice_certificate(s);
    look_again_tomorrow(s);
}

/* ---- fronts ---- */

static bool fronts_may_start(const struct supervisor *s) {
    return s->core_ready_generation == s->generation && may_start(s, IPC_ROLE_FRONT) &&
           (!s->settings.conf.tls.self_issue || s->certificate.usable_generation == s->generation);
}

/* A front is also as old as its TLS certificate. */
static bool is_current(const struct supervisor *s, const struct child *child) {
    return child->kind == IPC_ROLE_FRONT ? child->epoch == s->epoch : !is_stale(s, child);
}

static unsigned count(const struct supervisor *s, enum ipc_role kind, bool only_ready) {
    unsigned n = 0;
    for (const struct child *c = s->children; c; c = c->next)
        if (c->kind == kind && is_current(s, c) && c->state != CHILD_DRAINING &&
            (!only_ready || c->state == CHILD_READY))
            n++;
    return n;
}

/* The old ones accept until the new ones do, on the same socket. */
static void drain_succeeded(struct supervisor *s, enum ipc_role kind, unsigned wanted) {
    if (count(s, kind, true) < wanted)
        return;
    for (struct child *c = s->children; c; c = c->next)
        if (c->kind == kind && !is_current(s, c))
            child_drain(c);
}

static void keep_fronts(struct supervisor *s) {
    for (unsigned n = count(s, IPC_ROLE_FRONT, false);
         n < s->settings.workers && fronts_may_start(s); n++)
        start(s, IPC_ROLE_FRONT);
    drain_succeeded(s, IPC_ROLE_FRONT, s->settings.workers);
}

/* ---- the status face ---- */

/* It waits for nobody: what was published before is served while core and HSM are away. */
static unsigned wanted_status(const struct supervisor *s) {
    return s->settings.conf.status.url ? 1 : 0;
}

static void keep_status(struct supervisor *s) {
    if (count(s, IPC_ROLE_STATUS, false) < wanted_status(s) && may_start(s, IPC_ROLE_STATUS))
        start(s, IPC_ROLE_STATUS);
    drain_succeeded(s, IPC_ROLE_STATUS, wanted_status(s));
}

/* ---- other CAs ---- */

static unsigned wanted_upstream(const struct supervisor *s) {
    return conf_has_issuer_of(&s->settings.conf, CONF_ISSUER_EST) ? 1 : 0;
}

/* The old one ends by itself when the old core, which still asks it, has ended. */
static void keep_upstream(struct supervisor *s) {
    if (count(s, IPC_ROLE_UPSTREAM, false) < wanted_upstream(s) && may_start(s, IPC_ROLE_UPSTREAM))
        start(s, IPC_ROLE_UPSTREAM);
    drain_succeeded(s, IPC_ROLE_UPSTREAM, wanted_upstream(s));
}

/* ---- the end ---- */

static bool drain_all(struct supervisor *s, enum ipc_role kind) {
    bool any = false;
    for (struct child *c = s->children; c; c = c->next)
        if (c->kind == kind) {
            child_drain(c);
            any = true;
        }
    return any;
}

static void step_down(struct supervisor *s) {
    bool certificate = drain_all(s, IPC_ROLE_TLSCERT), bridge = drain_all(s, IPC_ROLE_BRIDGE);
    bool status = drain_all(s, IPC_ROLE_STATUS);
    if (drain_all(s, IPC_ROLE_FRONT) || bridge || certificate || status ||
        drain_all(s, IPC_ROLE_CORE))
        return;
    bool upstream = drain_all(s, IPC_ROLE_UPSTREAM);
    if (drain_all(s, IPC_ROLE_SIGNER) || upstream)
        return;
    loop_stop(s->loop);
}

/* ---- what happened ---- */

static bool all_up(const struct supervisor *s) {
    return is_up(s, IPC_ROLE_CORE) && (!wants_signer(s) || is_up(s, IPC_ROLE_SIGNER)) &&
           (!wants_bridge(s) || is_up(s, IPC_ROLE_BRIDGE)) &&
           count(s, IPC_ROLE_STATUS, true) >= wanted_status(s) &&
           count(s, IPC_ROLE_UPSTREAM, true) >= wanted_upstream(s) &&
           count(s, IPC_ROLE_FRONT, true) >= s->settings.workers;
}

void plan_step(struct supervisor *s) {
    if (s->stopping) {
        step_down(s);
        return;
    }
    keep_core_and_signer(s);
    keep_bridge(s);
    keep_certificate(s);
    keep_fronts(s);
    keep_status(s);
    keep_upstream(s);
    if (all_up(s)) {
        s->served = true;
        announce_ready(s);
    }
}

void plan_child_ready(struct child *child) {
    struct supervisor *s = child->supervisor;
    char name[32];
    child->state = CHILD_READY;
    loop_timer_stop(s->loop, &child->deadline);
    if (child->kind == IPC_ROLE_CORE)
        s->core_ready_generation = child->generation;
    s->announcement.dirty = true;
    child_log_name(child, name);
    log_info("%s (process %ld) is ready", name, (long)child->pid);
    plan_step(s);
}

static void log_end(const struct child *child, int status, bool expected) {
    enum log_level level = expected ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR;
    char name[32];
    child_log_name(child, name);
    if (WIFSIGNALED(status))
        log_line(level, 0, "%s (process %ld) was killed by SIG%s%s", name, (long)child->pid,
                 sigabbrev_np(WTERMSIG(status)), WCOREDUMP(status) ? " (core dumped)" : "");
    else if (WEXITSTATUS(status) == ROLE_EXIT_CONFIG)
        log_line(level, 0,
                 "%s (process %ld) cannot work with this configuration; its last message says why",
                 name, (long)child->pid);
    else
        log_line(level, 0, "%s (process %ld) ended with %d", name, (long)child->pid,
                 WEXITSTATUS(status));
}

/* A server that has never served is not kept alive: whoever started it should see that. */
static void give_up(struct supervisor *s, int exit_code) {
    log_error("giving up: touchmarkd cannot start like this");
    supervisor_stop(s, exit_code);
}

void plan_child_ended(const struct child *child, int status) {
    struct supervisor *s = child->supervisor;
    bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    bool config = WIFEXITED(status) && WEXITSTATUS(status) == ROLE_EXIT_CONFIG;
    bool expected = child->state == CHILD_DRAINING || (clean && child->kind == IPC_ROLE_TLSCERT);
    log_end(child, status, expected);
    if (s->stopping)
        return;
    if (!expected)
        hold_back(s, child->kind,
                  backoff(&s->posts[child->kind], clock_mono_ms() - child->started, config));
    if (child->kind == IPC_ROLE_TLSCERT)
        certificate_ended(s, child, status);
    if (!s->served && config)
        give_up(s, ROLE_EXIT_CONFIG);
    else if (!s->served && s->posts[child->kind].failures >= START_TRIES)
        give_up(s, ROLE_EXIT_FAILED);
}

void plan_distrusted(struct supervisor *s, enum ipc_role peer) {
    struct child *signer = child_find(s, IPC_ROLE_SIGNER);
    if (peer != IPC_ROLE_SIGNER || !signer)
        return;
    log_error("the core received a wrong signature; the signer is restarted");
    child_kill(signer);
}

void plan_reloaded(struct supervisor *s) {
    s->generation++;
    s->epoch++;
    s->certificate.due = true;
    for (size_t i = 0; i <= IPC_ROLE_LAST; i++) {
        s->posts[i].failures = 0;
        s->posts[i].not_before = 0;
    }
    plan_step(s);
}

void plan_init(struct supervisor *s) {
    s->generation = 1;
    s->epoch = 1;
    s->certificate.due = true;
    s->certificate.daily = (struct loop_timer){.fn = look_now, .arg = s};
    for (size_t i = 0; i <= IPC_ROLE_LAST; i++)
        s->posts[i].retry = (struct loop_timer){.fn = step, .arg = s};
}

void plan_deinit(struct supervisor *s) {
    loop_timer_stop(s->loop, &s->certificate.daily);
    for (size_t i = 0; i <= IPC_ROLE_LAST; i++)
        loop_timer_stop(s->loop, &s->posts[i].retry);
}
