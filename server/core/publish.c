/* SPDX-License-Identifier: Apache-2.0 */
/* What is published, when it is due, links and alarms: see publish.h. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memfile.h"
#include "ca/hash.h"
#include "server/core/publish_internal.h"

#define RETRY_MS 5000
#define START_MS 60000 /* until the HSM and the status face must be there after a start */

static int64_t refresh_of(const struct core_publish *p, const struct core_object *o) {
    return o->kind == IPC_PUBLISH_FILTER ? p->config.conf->filter_refresh
                                         : p->config.conf->crl_refresh;
}

static int64_t delay_of(const struct core_publish *p, const struct core_object *o) {
    return o->kind == IPC_PUBLISH_FILTER ? p->config.conf->filter_delay : p->config.conf->crl_delay;
}

/* ---- the status face ---- */

static void offer_to(const struct core_object *o, struct ipc_link *link) {
    struct ipc_publish message = {.kind = (uint8_t)o->kind,
                                  .number = o->row.number,
                                  .size = o->row.size,
                                  .this_update_ms = o->row.this_update_ms,
                                  .next_update_ms = o->row.next_update_ms};
    TEXT_SET(message.issuer, o->row.issuer);
    TEXT_SET(message.object, o->row.object);
    memcpy(message.sha256, o->row.sha256, sizeof message.sha256);
    int fd = fcntl(o->fd, F_DUPFD_CLOEXEC, 0);
    enum tm_err err = fd < 0 ? TM_EIO : ipc_link_send_fd(link, &ipc_publish_schema, &message, fd);
    if (err && err != TM_ECLOSED)
        log_error("%s of %s cannot be handed to the status face: %s", o->row.object, o->row.issuer,
                  tm_err_name(err));
}

static void offer(struct core_publish *p, struct core_object *o) {
    o->served = false;
    for (size_t i = 0; i < p->links.count; i++)
        offer_to(o, p->links.items[i]);
}

void core_publish_link(struct core_publish *publish, struct ipc_link *link) {
    if (!publish)
        return;
    core_links_add(&publish->links, link);
    for (size_t i = 0; i < publish->count; i++)
        if (publish->objects[i].fd >= 0)
            offer_to(&publish->objects[i], link);
}

void core_publish_unlink(struct core_publish *publish, const struct ipc_link *link) {
    if (publish)
        core_links_remove(&publish->links, link);
}

static struct core_object *find(struct core_publish *p, const char *issuer, const char *object) {
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->objects[i].row.issuer, issuer) == 0 &&
            strcmp(p->objects[i].row.object, object) == 0)
            return &p->objects[i];
    return NULL;
}

/* From here on it is kept: what was revoked up to its start is told. */
static void settle(struct core_publish *p, struct core_object *o) {
    int64_t now = clock_mono_ms();
    o->served = true;
    o->behind = o->revoked > o->covers;
    if (!o->behind)
        o->promised = now + refresh_of(p, o) + delay_of(p, o);
    else if (o->behind_since < o->covers)
        o->promised = (o->behind_since = o->covers) + delay_of(p, o);
    if (o->alarmed && now <= o->promised) {
        log_info("%s of %s is published again", o->row.object, o->row.issuer);
        o->alarmed = false;
    }
}

bool core_publish_acknowledged(struct core_publish *publish,
                               const struct ipc_published *published) {
    struct core_object *o = publish ? find(publish, published->issuer, published->object) : NULL;
    if (!o)
        return false;
    if (!published->good)
        log_error("%s of %s, number %" PRIu64 ", is not served: %s", o->row.object, o->row.issuer,
                  published->number, published->text);
    else if (published->number == o->row.number)
        settle(publish, o);
    return true;
}

/* ---- when ---- */

bool core_object_names(const struct core_object *object, const struct ca_serial *serial) {
    struct bytes octets = {serial->octets, serial->n};
    return object->shard < 0 || (unsigned)object->shard == ca_crl_shard(object->issuer, octets);
}

void core_publish_revoked(struct core_publish *publish, const struct ca_certificate *certificate) {
    if (!publish)
        return;
    int64_t now = clock_mono_ms();
    for (size_t i = 0; i < publish->count; i++) {
        struct core_object *o = &publish->objects[i];
        if (o->kind == IPC_PUBLISH_CERTIFICATE || strcmp(o->row.issuer, certificate->issuer) != 0 ||
            !core_object_names(o, &certificate->serial))
            continue;
        int64_t delay = delay_of(publish, o);
        if (!o->behind)
            o->behind_since = now;
        o->behind = true;
        o->revoked = now;
        if (o->due > now + delay / 4)
            o->due = now + delay / 4;
        if (o->promised > o->behind_since + delay)
            o->promised = o->behind_since + delay;
    }
}

bool core_publish_now(struct core_publish *publish, const char *issuer) {
    int64_t now = clock_mono_ms();
    bool any = false;
    for (size_t i = 0; publish && i < publish->count; i++)
        if (!issuer || strcmp(publish->objects[i].row.issuer, issuer) == 0) {
            if (publish->objects[i].due > now)
                publish->objects[i].due = now;
            any = true;
        }
    return any;
}

void core_publish_raise(struct core_publish *publish, const struct ca_published *row) {
    struct core_object *o = publish ? find(publish, row->issuer, row->object) : NULL;
    if (o)
        o->row = *row;
}

void core_publish_released(struct core_publish *publish, struct core_object *object,
                           const struct core_run *run) {
    object->running = false;
    object->covers = run->started;
    object->due = clock_mono_ms() + refresh_of(publish, object);
    if (object->revoked > object->covers)
        object->due = clock_mono_ms() + delay_of(publish, object) / 4;
    offer(publish, object);
}

void core_publish_failed(struct core_publish *publish, struct core_object *object) {
    (void)publish;
    object->running = false;
    object->due = clock_mono_ms() + RETRY_MS;
}

/* What has been due the longest, so that nothing waits for ever; of two, the CRL, which is made
 * sooner. */
static struct core_object *most_due(struct core_publish *p, int64_t now) {
    struct core_object *best = NULL;
    for (size_t i = 0; i < p->count; i++) {
        struct core_object *o = &p->objects[i];
        if (o->kind == IPC_PUBLISH_CERTIFICATE || o->due > now)
            continue;
        if (!best || o->due < best->due || (o->due == best->due && o->kind < best->kind))
            best = o;
    }
    return best;
}

static void start_run(struct core_publish *p, struct core_object *first, int64_t now) {
    struct core_object *chosen[RUN_PARTS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < p->count && count < RUN_PARTS_MAX; i++) {
        struct core_object *o = &p->objects[i];
        if (o->issuer == first->issuer && o->kind == first->kind && o->due <= now)
            chosen[count++] = o;
    }
    enum tm_err err = core_run_start(p, chosen, count);
    for (size_t i = 0; err && i < count; i++)
        core_publish_failed(p, chosen[i]);
}

/* ---- alarms ---- */

static void raise_alarm(struct core_publish *p, struct core_object *o) {
    o->alarmed = true;
    char text[IPC_TEXT_MAX + 1];
    (void)snprintf(text, sizeof text, "%s of %s is late: %s", o->row.object, o->row.issuer,
                   o->behind ? "it does not name what was revoked" : "it was to be renewed by now");
    core_alarm_raise(&p->alarm, text);
}

static bool is_late(const struct core_object *o, int64_t now) {
    return o->kind != IPC_PUBLISH_CERTIFICATE && now > o->promised;
}

void core_publish_tick(struct core_publish *publish) {
    if (!publish)
        return;
    int64_t now = clock_mono_ms();
    struct core_object *due = publish->run ? NULL : most_due(publish, now);
    if (due)
        start_run(publish, due, now);
    for (size_t i = 0; i < publish->count; i++)
        if (!publish->objects[i].alarmed && is_late(&publish->objects[i], now))
            raise_alarm(publish, &publish->objects[i]);
}

void core_publish_each(const struct core_publish *publish,
                       void (*fn)(void *arg, const struct core_publish_view *view), void *arg) {
    for (size_t i = 0; publish && i < publish->count; i++) {
        const struct core_object *o = &publish->objects[i];
        const struct core_publish_view view = {&o->row, o->served, o->behind,
                                               is_late(o, clock_mono_ms())};
        fn(arg, &view);
    }
}

/* ---- life ---- */

/* Of certificates that another CA signs, that CA alone says which are good. */
static size_t objects_of(const struct core_publish *p, const struct ca_issuer *issuer) {
    if (issuer->remote)
        return 0;
    return 2 + issuer->crl_shards + (p->config.conf->filter_refresh > 0);
}

static struct core_object *add_object(struct core_publish *p, const struct ca_issuer *issuer,
                                      enum ipc_publish_kind kind, int shard, const char *name) {
    struct core_object *o = &p->objects[p->count++];
    *o = (struct core_object){.issuer = issuer, .kind = kind, .shard = shard, .fd = -1};
    TEXT_SET(o->row.issuer, issuer->name);
    TEXT_SET(o->row.object, name);
    o->promised = clock_mono_ms() + START_MS + delay_of(p, o);
    return o;
}

static enum tm_err load_row(struct core_publish *p, struct core_object *o) {
    struct ca_store *store = p->config.store;
    enum tm_err err = store->ops->row(store, CA_TABLE_PUBLISHED, &o->row, NULL);
    return err == TM_ENOTFOUND ? TM_OK : err;
}

/* Filters of earlier processes cover times up to this. */
static enum tm_err load_filter(struct core_publish *p, struct core_object *o) {
    enum tm_err err = load_row(p, o);
    if (!err)
        ca_service_serials_from(p->config.service, o->row.this_update_ms);
    return err;
}

/* The CA's own certificate, for authorityInfoAccess: it never changes, and has no number. */
static enum tm_err hold_certificate(struct core_object *o) {
    struct bytes der = o->issuer->der;
    struct ca_hasher *hasher = NULL;
    enum tm_err err = memfile_new("certificate", &o->fd);
    if (!err)
        err = memfile_write(o->fd, der);
    if (!err)
        err = memfile_seal(o->fd);
    if (!err)
        err = ca_hasher_new(&hasher);
    if (!err)
        err = ca_hash(hasher, &der, 1, o->row.sha256);
    ca_hasher_free(hasher);
    o->row.size = der.n;
    return err;
}

static enum tm_err add_issuer(struct core_publish *p, const struct ca_issuer *issuer) {
    if (issuer->remote)
        return TM_OK;
    enum tm_err err =
        hold_certificate(add_object(p, issuer, IPC_PUBLISH_CERTIFICATE, -1, "certificate"));
    if (!err)
        err = load_row(p, add_object(p, issuer, IPC_PUBLISH_CRL, -1, "crl"));
    for (unsigned shard = 0; !err && shard < issuer->crl_shards; shard++) {
        char name[16];
        (void)snprintf(name, sizeof name, "crl-%u", shard);
        err = load_row(p, add_object(p, issuer, IPC_PUBLISH_CRL, (int)shard, name));
    }
    if (!err && p->config.conf->filter_refresh > 0)
        err = load_filter(p, add_object(p, issuer, IPC_PUBLISH_FILTER, -1, "filter"));
    return err;
}

enum tm_err core_publish_new(const struct core_publish_config *config,
                             struct core_publish **ret_publish) {
    struct core_publish *p = calloc(1, sizeof *p);
    if (!p)
        return TM_ENOMEM;
    p->config = *config;
    p->alarm = (struct core_alarm){.store = config->store, .now_ms = config->now_ms};
    size_t room = 0;
    for (size_t i = 0; i < config->setup->issuer_count; i++)
        room += objects_of(p, &config->setup->issuers[i]);
    p->objects = calloc(room + 1, sizeof *p->objects);
    enum tm_err err = p->objects ? TM_OK : TM_ENOMEM;
    for (size_t i = 0; !err && i < config->setup->issuer_count; i++)
        err = add_issuer(p, &config->setup->issuers[i]);
    if (!err)
        err = config->store->ops->scan_open(config->store, &p->scan);
    if (err) {
        log_error("the publisher cannot start: %s", tm_err_name(err));
        core_publish_stop(p);
        core_publish_free(p);
        return err;
    }
    *ret_publish = p;
    return TM_OK;
}

void core_publish_stop(struct core_publish *publish) {
    if (!publish)
        return;
    publish->stopped = true;
    if (publish->scan)
        publish->config.store->ops->scan_close(TAKE(publish->scan));
}

void core_publish_free(struct core_publish *publish) {
    if (!publish)
        return;
    core_run_free(publish->run);
    for (size_t i = 0; i < publish->count; i++)
        auto_close_fd(&publish->objects[i].fd);
    free(publish->objects);
    free(publish);
}
