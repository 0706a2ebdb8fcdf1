/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the outside is told: RUN_DIR/touchmarkd.pid (locked while we run), the service manager,
 * and RUN_DIR/touchmarkd.ready, which is there while everything is, or was, up:
 *
 *     {"pid": 10, "address": "127.0.0.1", "port": 8443, "core": 11, "signer": 12,
 *      "signers": {"signer": 12, "second": 17}, "fronts": [13, 14], "bridge": 15, "status": 16,
 *      "status_port": 8080, "upstream": 18, "metrics": 19, "metrics_port": 9464}
 *
 * "signers" are those that are up, by token; "signer" is that of the section `signer`, or 0.
 * Bridge, status face, upstream and metrics face only where there is one; whether the bridge has
 * found its broker is not said.
 *
 * It is replaced as a whole whenever a process was replaced and all serve again.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/supervisor/supervisor.h"

AUTO_DEFINE(json_t, json_decref)

static void path_in(const struct supervisor *s, const char *name, char ret[PATH_MAX]) {
    (void)snprintf(ret, PATH_MAX, "%s/%s", s->settings.conf.process.run_dir, name);
}

/* The lock is on the file that the path names now, not on one that another process just removed. */
static bool is_at_path(int fd, const char *path) {
    struct stat by_fd, by_path;
    return fstat(fd, &by_fd) == 0 && stat(path, &by_path) == 0 && by_fd.st_ino == by_path.st_ino &&
           by_fd.st_dev == by_path.st_dev;
}

static enum tm_err lock_pid_file(const char *path, int *ret_fd) {
    for (int tries = 0; tries < 10; tries++) {
        AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
            break;
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            log_error("%s is locked: another touchmarkd runs", path);
            return TM_EEXISTS;
        }
        if (is_at_path(fd, path)) {
            *ret_fd = TAKE_FD(fd);
            return TM_OK;
        }
    }
    log_error("%s: %s", path, strerror(errno));
    return TM_EIO;
}

static void pet_watchdog(void *arg) {
    struct supervisor *s = arg;
    struct announcement *a = &s->announcement;
    (void)sd_notify(0, "WATCHDOG=1");
    if (loop_timer_set(s->loop, &a->watchdog, clock_mono_ms() + (int64_t)a->watchdog_ms / 2))
        log_error("no memory for the watchdog's timer");
}

enum tm_err announce_open(struct supervisor *s) {
    struct announcement *a = &s->announcement;
    char path[PATH_MAX];
    const char *run_dir = s->settings.conf.process.run_dir;
    if (mkdir(run_dir, 0755) && errno != EEXIST) {
        log_error("process.run_dir %s: %s", run_dir, strerror(errno));
        return TM_EIO;
    }
    path_in(s, "touchmarkd.pid", path);
    enum tm_err err = lock_pid_file(path, &a->pid_fd);
    if (err)
        return err;
    char ready[PATH_MAX];
    path_in(s, "touchmarkd.ready", ready);
    (void)unlink(ready); /* of one that was killed */
    if (ftruncate(a->pid_fd, 0) || dprintf(a->pid_fd, "%ld\n", (long)getpid()) < 0) {
        log_error("%s: %s", path, strerror(errno));
        return TM_EIO;
    }
    uint64_t usec = 0;
    a->watchdog = (struct loop_timer){.fn = pet_watchdog, .arg = s};
    a->watchdog_ms = sd_watchdog_enabled(0, &usec) > 0 ? usec / 1000 : 0;
    if (a->watchdog_ms)
        pet_watchdog(s);
    return TM_OK;
}

void announce_close(struct supervisor *s) {
    struct announcement *a = &s->announcement;
    char path[PATH_MAX];
    loop_timer_stop(s->loop, &a->watchdog);
    if (a->pid_fd < 0)
        return;
    path_in(s, "touchmarkd.ready", path);
    (void)unlink(path);
    path_in(s, "touchmarkd.pid", path);
    (void)unlink(path);
    (void)close(a->pid_fd);
    a->pid_fd = -1;
}

static const char *token_name(const struct supervisor *s, const struct child *signer) {
    return conf_token(&s->settings.conf, signer->index)->name;
}

static json_t *describe(const struct supervisor *s) {
    AUTO(json_t) fronts = json_array();
    AUTO(json_t) signers = json_object();
    json_int_t core = 0, signer = 0, bridge = 0, status = 0, upstream = 0, metrics = 0;
    for (const struct child *c = s->children; c; c = c->next) {
        if (c->state != CHILD_READY)
            continue;
        if (c->kind == IPC_ROLE_FRONT && c->epoch == s->epoch)
            (void)json_array_append_new(fronts, json_integer(c->pid));
        else if (c->kind == IPC_ROLE_CORE)
            core = c->pid;
        else if (c->kind == IPC_ROLE_SIGNER && c->generation == s->generation)
            (void)json_object_set_new(signers, token_name(s, c), json_integer(c->pid));
        else if (c->kind == IPC_ROLE_BRIDGE)
            bridge = c->pid;
        else if (c->kind == IPC_ROLE_STATUS && c->generation == s->generation)
            status = c->pid;
        else if (c->kind == IPC_ROLE_UPSTREAM && c->generation == s->generation)
            upstream = c->pid;
        else if (c->kind == IPC_ROLE_METRICS && c->generation == s->generation)
            metrics = c->pid;
    }
    signer = json_integer_value(json_object_get(signers, s->settings.conf.signer.name));
    json_t *object =
        json_pack("{sIsssIsIsIsOsO}", "pid", (json_int_t)getpid(), "address",
                  s->settings.conf.listen.address, "port", (json_int_t)s->sockets.port, "core",
                  core, "signer", signer, "signers", signers, "fronts", fronts);
    if (object && bridge)
        (void)json_object_set_new(object, "bridge", json_integer(bridge));
    if (object && status) {
        (void)json_object_set_new(object, "status", json_integer(status));
        (void)json_object_set_new(object, "status_port", json_integer(s->sockets.status_port));
    }
    if (object && upstream)
        (void)json_object_set_new(object, "upstream", json_integer(upstream));
    if (object && metrics) {
        (void)json_object_set_new(object, "metrics", json_integer(metrics));
        (void)json_object_set_new(object, "metrics_port", json_integer(s->sockets.metrics_port));
    }
    return object;
}

static void write_ready_file(struct supervisor *s) {
    char path[PATH_MAX], temporary[PATH_MAX];
    AUTO(json_t) object = describe(s);
    path_in(s, "touchmarkd.ready", path);
    path_in(s, "touchmarkd.ready.new", temporary);
    if (!object || json_dump_file(object, temporary, JSON_COMPACT) || rename(temporary, path))
        log_error("%s: %s", path, strerror(errno));
}

void announce_ready(struct supervisor *s) {
    struct announcement *a = &s->announcement;
    if (!a->dirty)
        return;
    a->dirty = false;
    write_ready_file(s);
    if (!a->written || a->reloading) {
        (void)sd_notify(0, "READY=1");
        log_info("serving on %s port %u", s->settings.conf.listen.address, s->sockets.port);
    }
    a->written = true;
    a->reloading = false;
}

void announce_reloading(struct supervisor *s) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    s->announcement.reloading = true;
    s->announcement.dirty = true;
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                     (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

void announce_stopping(struct supervisor *s) {
    (void)s;
    (void)sd_notify(0, "STOPPING=1");
}
