/* SPDX-License-Identifier: Apache-2.0 */
/* The upstream role's life, and its link to the core: see upstream.h. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/role.h"
#include "server/upstream/upstream.h"

#define DRAIN_POLL_MS 20

struct asked {
    const char *issuer;
    struct upstream_files files;
    struct upstream_ca *ca;
};

struct upstream {
    struct role *role;
    struct ipc_link *core; /* NULL: the core is away */
    struct asked *cas;
    size_t count;
    struct loop_timer drain;
    int64_t drain_until; /* 0 = not draining */
};

/* ---- to the core ---- */

static void send_answer(void *arg, const struct ipc_upstream_answer *answer) {
    struct upstream *u = arg;
    enum tm_err err =
        u->core ? ipc_link_send(u->core, &ipc_upstream_answer_schema, answer) : TM_ECLOSED;
    if (err && err != TM_ECLOSED)
        log_warn("an answer did not reach the core: %s", tm_err_name(err));
}

static void refuse(struct upstream *u, uint64_t id, const char *text) {
    struct ipc_upstream_answer answer = {.id = id, .status = IPC_UPSTREAM_UNREACHABLE};
    TEXT_SET(answer.text, text);
    send_answer(u, &answer);
}

/* ---- from the core ---- */

static struct upstream_ca *ca_of(const struct upstream *u, const char *issuer) {
    for (size_t i = 0; i < u->count; i++)
        if (strcmp(u->cas[i].issuer, issuer) == 0)
            return u->cas[i].ca;
    return NULL;
}

static bool take(struct upstream *u, struct bytes message) {
    struct ipc_upstream_ask ask;
    if (codec_decode(&ipc_upstream_ask_schema, message, &ask))
        return false;
    struct upstream_ca *ca = ca_of(u, ask.issuer);
    if (!ca)
        return false;
    enum tm_err err = upstream_ca_ask(ca, &ask);
    if (err)
        refuse(u, ask.id, "the request cannot be made");
    return true;
}

static void core_message(void *arg, struct ipc_link *link, struct bytes message, int fd) {
    (void)link;
    if (fd >= 0)
        (void)close(fd); /* the core has no reason to send one */
    if (!take(arg, message))
        log_error("the core sent what cannot be read (type %#x)", codec_peek(message));
}

/* Its asks have their end in its store, and IDs of the next core begin anew. */
static void lose_core(struct upstream *u) {
    ipc_link_close(u->core);
    u->core = NULL;
    for (size_t i = 0; i < u->count; i++)
        upstream_ca_forget(u->cas[i].ca);
}

static void core_closed(void *arg, struct ipc_link *link) {
    (void)link;
    lose_core(arg);
}

static const struct ipc_link_events core_events = {core_message, core_closed};

static void linked(struct role *role, enum ipc_role peer, unsigned peer_index, int fd) {
    struct upstream *u = role->self;
    (void)peer_index;
    if (peer != IPC_ROLE_CORE) {
        log_error("the upstream role needs no link to role %d", (int)peer);
        (void)close(fd);
        return;
    }
    lose_core(u);
    if (ipc_link_open(role->loop, fd, role->conf->core.queue, &core_events, u, &u->core))
        log_error("cannot open the link to the core");
}

/* ---- draining ---- */

/* A core that drains itself still asks, and goes first. */
static bool is_done(const struct upstream *u) {
    size_t active = 0;
    for (size_t i = 0; i < u->count; i++)
        active += upstream_ca_active(u->cas[i].ca);
    return !u->core || (u->role->stopping && !active);
}

static void drain_on(void *arg) {
    struct upstream *u = arg;
    if (is_done(u) || clock_mono_ms() >= u->drain_until ||
        loop_timer_set(u->role->loop, &u->drain, clock_mono_ms() + DRAIN_POLL_MS))
        role_exit(u->role);
}

static void drain(struct role *role) {
    struct upstream *u = role->self;
    if (!u->drain_until)
        u->drain_until = clock_mono_ms() + role->conf->process.drain_timeout;
    drain_on(u);
}

/* ---- start ---- */

static enum tm_err read_files(struct upstream *u) {
    const struct conf_issuer *issuers = u->role->conf->issuers.items;
    size_t count = u->role->conf->issuers.count;
    enum tm_err err = TM_OK;
    u->cas = calloc(count + 1, sizeof *u->cas);
    if (!u->cas)
        return TM_ENOMEM;
    for (size_t i = 0; i < count && !err; i++)
        if (issuers[i].kind == CONF_ISSUER_EST) {
            struct asked *asked = &u->cas[u->count++];
            asked->issuer = issuers[i].name;
            err = upstream_files_read(&issuers[i], true, &asked->files);
        }
    return err;
}

static enum tm_err open_cas(struct upstream *u) {
    const struct conf_issuer *issuers = u->role->conf->issuers.items;
    enum tm_err err = TM_OK;
    struct asked *asked = u->cas;
    for (size_t i = 0; i < u->role->conf->issuers.count && !err; i++)
        if (issuers[i].kind == CONF_ISSUER_EST) {
            err = upstream_ca_new(u->role->loop, &issuers[i], &asked->files, send_answer, u,
                                  &asked->ca);
            asked++;
        }
    return err;
}

enum tm_err upstream_start(struct role *role) {
    struct upstream *u = calloc(1, sizeof *u);
    if (!u)
        return TM_ENOMEM;
    u->role = role;
    u->drain = (struct loop_timer){.fn = drain_on, .arg = u};
    role->self = u;
    role->linked = linked;
    role->drain = drain;
    enum tm_err err = read_files(u);
    if (!err)
        err = role_drop(role);
    if (!err && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        err = TM_ENOMEM;
    if (!err)
        err = open_cas(u);
    return err ? err : role_ready(role);
}

void upstream_stop(struct role *role) {
    struct upstream *u = role->self;
    if (!u)
        return;
    loop_timer_stop(role->loop, &u->drain);
    ipc_link_close(u->core);
    for (size_t i = 0; i < u->count; i++) {
        upstream_ca_free(u->cas[i].ca);
        upstream_files_wipe(&u->cas[i].files);
    }
    free(u->cas);
    free(u);
    curl_global_cleanup();
    role->self = NULL;
}
