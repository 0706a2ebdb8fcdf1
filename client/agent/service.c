/* SPDX-License-Identifier: Apache-2.0 */
/* See service.h. */
#include "client/agent/service.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/agent/publish.h"
#include "client/agent/status.h"
#include "client/port/run.h"

#define WAIT_MAX_MS 3600000  /* then the clocks are looked at again, should they have jumped */
#define UNPUBLISHED_MS 60000 /* what could not be exported is tried again */
#define ERROR_MS 1000        /* after a key store or storage failed */
#define ERRORS_MAX 5         /* one after the other, then all is opened again */

struct service {
    struct agent *agent;
    int signal_fd;
    bool once;
    int64_t watchdog_ms; /* the service manager wants to hear from us so often; 0 = it does not */
    unsigned errors;
    bool stop, reopen;
};

/* ---- signals ---- */

enum tm_err agent_service_signals(int *ret_fd) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGUSR1);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGCHLD, SIG_DFL); /* if it was inherited as ignored, no hook could be reaped */
    int fd = sigprocmask(SIG_BLOCK, &set, NULL) == 0
                 ? signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)
                 : -1;
    if (fd < 0) {
        log_error("cannot receive signals: %s", strerror(errno));
        return TM_EIO;
    }
    *ret_fd = fd;
    return TM_OK;
}

static void take_signals(struct service *s) {
    struct signalfd_siginfo info;
    while (read(s->signal_fd, &info, sizeof info) == sizeof info) {
        switch (info.ssi_signo) {
        case SIGHUP:
            s->reopen = true;
            break;
        case SIGUSR1:
            log_info("told to renew");
            tm_device_renew(&s->agent->device);
            break;
        default:
            s->stop = true;
            break;
        }
    }
}

/* ---- the service manager ---- */

static void feed_watchdog(void) {
    (void)sd_notify(0, "WATCHDOG=1");
}

static int64_t watchdog_ms(void) {
    uint64_t usec = 0;
    return sd_watchdog_enabled(0, &usec) > 0 ? (int64_t)(usec / 1000) : 0;
}

/* ---- news ---- */

static const char *event_name(enum tm_event_kind kind) {
    static const char *const names[] = {
        [TM_EVENT_ENROLLED] = "enrolled",
        [TM_EVENT_RENEWED] = "renewed",
        [TM_EVENT_RECOVERED] = "recovered",
        [TM_EVENT_ROLLED_BACK] = "rolled-back",
        [TM_EVENT_DISCARDED] = "discarded",
        [TM_EVENT_ANCHORS] = "anchors",
        [TM_EVENT_BOOTSTRAP_ERASED] = "bootstrap-erased",
        [TM_EVENT_FAILED] = "failed",
        [TM_EVENT_STRANDED] = "stranded",
    };
    return names[kind];
}

static const char *slot_name(enum tm_slot slot) {
    static const char *const names[] = {
        [TM_SLOT_NONE] = "",      [TM_SLOT_IDEVID] = " IDevID",     [TM_SLOT_CURRENT] = " current",
        [TM_SLOT_NEXT] = " next", [TM_SLOT_PREVIOUS] = " previous",
    };
    return names[slot];
}

static enum log_level level_of(enum tm_event_kind kind) {
    switch (kind) {
    case TM_EVENT_STRANDED:
        return LOG_LEVEL_ERROR;
    case TM_EVENT_FAILED:
    case TM_EVENT_DISCARDED:
    case TM_EVENT_ROLLED_BACK:
        return LOG_LEVEL_WARN;
    default:
        return LOG_LEVEL_INFO;
    }
}

/* Does it change what is exported? */
static bool is_change(enum tm_event_kind kind) {
    return kind == TM_EVENT_ENROLLED || kind == TM_EVENT_RENEWED || kind == TM_EVENT_RECOVERED ||
           kind == TM_EVENT_ROLLED_BACK || kind == TM_EVENT_ANCHORS;
}

static void take_event(struct agent *agent, const struct tm_event *event) {
    struct agent_report *report = &agent->report;
    log_line(level_of(event->kind), 0, "%s%s%s%s", event_name(event->kind), slot_name(event->slot),
             event->text[0] ? ": " : "", event->text);
    report->event = event_name(event->kind);
    report->event_ms = clock_wall_ms();
    TEXT_SET(report->event_text, event->text);
    if (event->kind == TM_EVENT_STRANDED)
        agent->stranded = true;
    if (!is_change(event->kind))
        return;
    if (event->kind != TM_EVENT_ANCHORS)
        agent->stranded = false;
    if (event->slot == TM_SLOT_CURRENT || event->kind == TM_EVENT_ANCHORS)
        agent->changed = report->event;
}

/* ---- is it over? ---- */

static bool is_due(const struct tm_status *status) {
    const struct tm_certificate *current = &status->slots[TM_SLOT_CURRENT];
    bool settled = status->phase == TM_PHASE_IDLE || status->phase == TM_PHASE_SOAK;
    if (!settled || !current->used)
        return true;
    return status->wall_ms && (status->wall_ms >= current->not_after_ms ||
                               (status->renew_at_ms && status->wall_ms >= status->renew_at_ms));
}

static bool was_denied(const struct agent *agent) {
    return agent->stranded || agent->parts.result == TM_RESULT_DENIED ||
           agent->parts.result == TM_RESULT_REFUSED || agent->parts.result == TM_RESULT_UNTRUSTED;
}

/* What is to be done before --once may end is done, or will not be. */
static bool once_ends(const struct service *s, enum agent_exit *ret_exit) {
    struct tm_status status;
    const struct agent *agent = s->agent;
    tm_device_status(&agent->device, tm_clock_now(), &status);
    bool idevid = !agent->conf->labels.idevid || status.slots[TM_SLOT_IDEVID].used;
    if (status.failures == 0 && s->errors == 0 && (is_due(&status) || !idevid))
        return false; /* it is still at it */
    if (status.failures == 0 && s->errors == 0)
        *ret_exit = agent->changed ? AGENT_EXIT_AGAIN : AGENT_EXIT_DONE;
    else
        *ret_exit = was_denied(agent) ? AGENT_EXIT_DENIED : AGENT_EXIT_AGAIN;
    return true;
}

/* ---- the loop ---- */

static void wait_until(struct service *s, int64_t until_mono_ms) {
    int64_t now = tm_clock_now().mono_ms, left = until_mono_ms - now;
    int64_t most = s->agent->changed ? UNPUBLISHED_MS : WAIT_MAX_MS;
    if (s->watchdog_ms && s->watchdog_ms / 2 < most)
        most = s->watchdog_ms / 2;
    left = left < 0 ? 0 : left > most ? most : left;
    if (agent_parts_wait(&s->agent->parts, now + left, s->signal_fd))
        tm_device_hurry(&s->agent->device);
}

/* Until there is something to wait for: *ret_until_mono_ms. */
static enum tm_err work(struct service *s, int64_t *ret_until_mono_ms) {
    struct agent *agent = s->agent;
    struct tm_transport transport = agent_parts_transport(&agent->parts);
    for (;;) {
        struct tm_step step;
        enum tm_err err = agent_parts_connect(&agent->parts, tm_clock_now().wall_ms == 0);
        if (!err)
            err = tm_run(&agent->device, &transport, tm_clock_now, &step);
        if (err)
            return err;
        if (step.kind == TM_STEP_WAIT) {
            *ret_until_mono_ms = step.until_mono_ms;
            return TM_OK;
        }
        take_event(agent, &step.event);
        feed_watchdog();
        agent_publish(agent);
        agent_status_write(agent);
    }
}

/* A key store that was lost (a token that was pulled, say) comes back when it is opened again. */
static int64_t after_error(struct service *s, enum tm_err err) {
    log_error("storage or key store failed: %s", tm_err_name(err));
    if (++s->errors >= ERRORS_MAX)
        s->reopen = true;
    return tm_clock_now().mono_ms + ERROR_MS;
}

static bool round_ends(struct service *s, enum agent_exit *ret_exit) {
    int64_t until = 0;
    feed_watchdog();
    agent_publish(s->agent);
    enum tm_err err = work(s, &until);
    if (err)
        until = after_error(s, err);
    else
        s->errors = 0;
    agent_status_write(s->agent);
    if (s->once && once_ends(s, ret_exit))
        return true;
    wait_until(s, until);
    take_signals(s);
    return s->stop || s->reopen;
}

enum agent_end agent_service_run(struct agent *agent, int signal_fd, bool once,
                                 enum agent_exit *ret_exit) {
    struct service s = {
        .agent = agent, .signal_fd = signal_fd, .once = once, .watchdog_ms = watchdog_ms()};
    enum agent_exit code = AGENT_EXIT_DONE;
    agent->parts.before = feed_watchdog;
    agent_status_write(agent);
    (void)sd_notify(0, "READY=1");
    while (!round_ends(&s, &code))
        ;
    if (s.reopen && !s.stop)
        return AGENT_END_REOPEN;
    *ret_exit = s.stop && once ? AGENT_EXIT_AGAIN : code;
    return AGENT_END_EXIT;
}
