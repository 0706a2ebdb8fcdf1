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

#define CERTIFICATE_RETRY_MS 600000 /* while the present one serves */
#define DAY_MS 86400000
#define JITTER_MS 3600000

/* ---- the core ---- */

static bool is_stale(const struct supervisor *s, const struct child *child) {
    return child->generation != s->generation;
}

static bool may_start(struct supervisor *s, enum ipc_role kind) {
    return post_may_start(post_of(s, kind, 0));
}

static void start(struct supervisor *s, enum ipc_role kind) {
    post_start(s, kind, 0);
}

/* One process at a time: the store has one writer. */
static void keep_core(struct supervisor *s) {
    struct child *core = child_find(s, IPC_ROLE_CORE);
    if (core && is_stale(s, core))
        child_drain(core);
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
        post_hold_back(s, post_of(s, IPC_ROLE_TLSCERT, 0), CERTIFICATE_RETRY_MS);
        return;
    }
    s->certificate.due = false;
    s->posts[IPC_ROLE_TLSCERT].failures = 0;
    notice_certificate(s);
    look_again_tomorrow(s);
}

/* ---- fronts ---- */

static bool fronts_may_start(struct supervisor *s) {
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

/* ---- the metrics face ---- */

/* It waits for nobody either: it is what tells that others are not there. */
static unsigned wanted_metrics(const struct supervisor *s) {
    return s->settings.conf.metrics.enabled ? 1 : 0;
}

static void keep_metrics(struct supervisor *s) {
    if (count(s, IPC_ROLE_METRICS, false) < wanted_metrics(s) && may_start(s, IPC_ROLE_METRICS))
        start(s, IPC_ROLE_METRICS);
    drain_succeeded(s, IPC_ROLE_METRICS, wanted_metrics(s));
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
    bool upstream = drain_all(s, IPC_ROLE_UPSTREAM), metrics = drain_all(s, IPC_ROLE_METRICS);
    if (drain_all(s, IPC_ROLE_SIGNER) || upstream || metrics)
        return;
    loop_stop(s->loop);
}

/* ---- what happened ---- */

static bool all_up(const struct supervisor *s) {
    return is_up(s, IPC_ROLE_CORE) && tokens_settled(s) &&
           (!wants_bridge(s) || is_up(s, IPC_ROLE_BRIDGE)) &&
           count(s, IPC_ROLE_STATUS, true) >= wanted_status(s) &&
           count(s, IPC_ROLE_METRICS, true) >= wanted_metrics(s) &&
           count(s, IPC_ROLE_UPSTREAM, true) >= wanted_upstream(s) &&
           count(s, IPC_ROLE_FRONT, true) >= s->settings.workers;
}

void plan_step(struct supervisor *s) {
    if (s->stopping) {
        step_down(s);
        return;
    }
    keep_core(s);
    tokens_keep(s);
    keep_bridge(s);
    keep_certificate(s);
    keep_fronts(s);
    keep_status(s);
    keep_metrics(s);
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
    else if (WEXITSTATUS(status) == ROLE_EXIT_CONFIG || WEXITSTATUS(status) == ROLE_EXIT_PIN)
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

static void check_hope(struct supervisor *s, const struct child *child, bool config) {
    const struct post *post = post_of(s, child->kind, child->index);
    if (s->served || (child->kind == IPC_ROLE_SIGNER && !tokens_hopeless(s, child->index)))
        return;
    if (config)
        give_up(s, ROLE_EXIT_CONFIG);
    else if (post->failures >= POST_START_TRIES)
        give_up(s, ROLE_EXIT_FAILED);
}

/* Who is asked for the PIN may type another. */
static void hold_pin(struct supervisor *s, const struct child *child) {
    if (child->generation != s->generation)
        return;
    post_of(s, child->kind, child->index)->held = true;
    log_error(
        "token %s refused its PIN; it is not tried again before a reload, because tokens lock "
        "themselves after a few wrong ones",
        conf_token(&s->settings.conf, child->index)->name);
}

void plan_child_ended(const struct child *child, int status) {
    struct supervisor *s = child->supervisor;
    bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    bool pin = WIFEXITED(status) && WEXITSTATUS(status) == ROLE_EXIT_PIN;
    bool config = pin || (WIFEXITED(status) && WEXITSTATUS(status) == ROLE_EXIT_CONFIG);
    bool expected = child->state == CHILD_DRAINING || (clean && child->kind == IPC_ROLE_TLSCERT);
    log_end(child, status, expected);
    if (child->asks)
        pins_terminal_restore(s);
    if (s->stopping)
        return;
    if (!expected)
        post_failed(s, post_of(s, child->kind, child->index), clock_mono_ms() - child->started,
                    config);
    if (pin && !child->asks)
        hold_pin(s, child);
    if (child->kind == IPC_ROLE_TLSCERT)
        certificate_ended(s, child, status);
    check_hope(s, child, config);
}

void plan_distrusted(struct supervisor *s, enum ipc_role peer, unsigned index) {
    struct child *signer = child_find_signer(s, index);
    if (peer != IPC_ROLE_SIGNER || !signer)
        return;
    log_error("the core does not go by signer-%u any more; it is restarted", index);
    child_kill(signer);
}

void plan_reloaded(struct supervisor *s) {
    s->generation++;
    s->epoch++;
    s->certificate.due = true;
    post_forgive(s);
    plan_step(s);
}

void plan_init(struct supervisor *s) {
    s->generation = 1;
    s->epoch = 1;
    s->certificate.due = true;
    s->certificate.daily = (struct loop_timer){.fn = look_now, .arg = s};
    post_init(s);
}

void plan_deinit(struct supervisor *s) {
    loop_timer_stop(s->loop, &s->certificate.daily);
    post_deinit(s);
}
